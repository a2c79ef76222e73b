"""The options, each declared once.

Rules:

* ``OPTIONS`` is the only list of options; flags, environment variables, the keys of the
  configuration file, ``rocbroker --help`` and the reference are made from it.
* An option alone decides which values are right, wherever they come from; a complaint
  names the place of the value and what would be right there, and is a ConfigError.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from ..endpoints import DEFAULT_BASE_PORT, MAX_BASE_PORT
from ..errors import ConfigError
from ..wire.mdp import POLICIES

__all__ = ["OPTIONS", "Option", "Setting", "Value", "as_toml", "did_you_mean", "shown"]

Value = str | int | float


@dataclass(frozen=True, slots=True)
class Setting:
    """The value of an option, and where it was found."""

    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Option:
    """One option; its name is its key in the file, and the other spellings follow.

    ``default`` gives the type as well. ``least`` and ``most`` bound a number.
    """

    name: str
    default: Value
    help: str
    metavar: str
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int | None = None
    reader: Literal["rocbroker", "clients and servers"] = "rocbroker"

    @property
    def type(self) -> type[str] | type[int] | type[float]:
        """The type that its values have."""
        return type(self.default)

    @property
    def environment(self) -> str:
        """The environment variable: ``ROC_BASE_PORT`` for ``base_port``."""
        return f"ROC_{self.name.upper()}"

    @property
    def flag(self) -> str:
        """The flag: ``--base-port`` for ``base_port``."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def takes(self) -> str:
        """What its values are, in words: ``a whole number from 0 to 65533``."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.type is str:
            return "text"
        number = "a number" if self.type is float else "a whole number"
        if self.most is None:
            return f"{number} of at least {self.least}"
        return f"{number} from {self.least} to {self.most}"

    def parse(self, text: str, place: str) -> Value:
        """The value that a flag or a variable has as text.

        Raises:
            ConfigError: it is none; the message begins with ``place``.
        """
        if self.type is str:
            return self._checked_text(text, place)
        pattern = r"-?[0-9]{1,18}" if self.type is int else r"-?[0-9]{1,18}(\.[0-9]{1,18})?"
        if re.fullmatch(pattern, text) and self._in_range(value := self.type(text)):
            return value
        raise ConfigError(
            f"{place}: {shown(text)} is not {self.takes}: write one like {self.default}."
        )

    def check(self, value: object, place: str) -> Value:
        """The value as the configuration file has it.

        Raises:
            ConfigError: it is none; the message begins with ``place``.
        """
        # By exact type: a TOML boolean is a Python int as well.
        if type(value) is str and self.type is str:
            return self._checked_text(value, place)
        if type(value) is int and self.type is not str and self._in_range(value):
            return self.type(value)
        if type(value) is float and self.type is float and self._in_range(value):
            return value
        wanted = "text in quotes" if self.type is str else f"{self.takes}, without quotes"
        raise ConfigError(
            f"{place}: {self.name} takes {wanted}: write {self.name} = {as_toml(self.default)}."
        )

    def _in_range(self, value: Any) -> bool:
        # Infinity is no limit that anybody could rely on, and NaN compares as False.
        most = 10**18 if self.most is None else self.most
        return bool(self.least <= value <= most)

    def _checked_text(self, text: str, place: str) -> str:
        if self.choices:
            if text.lower() in self.choices:
                return text.lower()
            meant = did_you_mean(text, self.choices)
            raise ConfigError(f"{place}: {shown(text)} is no value for {self.name}: {meant}")
        # This refuses the lone surrogates of undecodable bytes too: no file could hold them.
        if not text.isprintable():
            raise ConfigError(
                f"{place}: {shown(text)} holds a control character: write it without."
            )
        return text


def shown(text: str) -> str:
    """A text as a complaint quotes it: escaped, and never longer than a line."""
    return repr(text) if len(text) <= 60 else f"{text[:40]!r}..."


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a complaint: the nearest one of the known words, else all of them."""
    from ..core.nearest import nearest

    known = list(known)
    near = nearest(word, known, 1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}."


def as_toml(value: Value) -> str:
    """A value as it stands in the configuration file."""
    if not isinstance(value, str):
        return repr(value)
    escaped = value.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'


def _by_name(*options: Option) -> dict[str, Option]:
    return {option.name: option for option in options}


OPTIONS: Final = _by_name(
    Option(
        "broker",
        f"127.0.0.1:{DEFAULT_BASE_PORT}",
        "the broker to use: host, host:baseport, or its rocBroker address",
        "ADDRESS",
        reader="clients and servers",
    ),
    Option(
        "policy",
        "exclusive",
        "what a server is beside others of its id: alone, in reserve, or one of many",
        "NAME",
        choices=POLICIES,
        reader="clients and servers",
    ),
    Option(
        "bind",
        "127.0.0.1",
        "the address rocbroker listens on: an interface's, * for all, for ipc a path",
        "ADDRESS",
    ),
    Option(
        "base_port",
        DEFAULT_BASE_PORT,
        "the first of rocbroker's three consecutive ports; 0 picks free ones",
        "N",
        most=MAX_BASE_PORT,
    ),
    Option(
        "transport",
        "tcp",
        "how rocbroker is reached, over the network or by files of this computer",
        "NAME",
        choices=("tcp", "ipc"),
    ),
    Option(
        "log_level",
        "info",
        "the least severe records that rocbroker prints",
        "LEVEL",
        choices=("debug", "info", "warning", "error", "critical"),
    ),
    Option(
        "calls_per_object",
        10_000,
        "how many calls may wait for one object; one more is answered with QueueFull",
        "N",
        least=1,
    ),
    Option(
        "bytes_waiting",
        512 * 1024 * 1024,
        "how many bytes all waiting calls may take; one more is answered with QueueFull",
        "N",
        least=1,
    ),
    Option(
        "absent_objects",
        1_000,
        "for how many absent objects calls may wait; one more is answered with ObjectNotFound",
        "N",
    ),
    Option(
        "unstated_patience",
        10.0,
        "for how many seconds a call that states no time to live may wait",
        "SECONDS",
    ),
    Option(
        "longest_wait",
        3600.0,
        "for how many seconds any call may wait, whatever it states",
        "SECONDS",
    ),
    Option(
        "status_leaves",
        100_000,
        "how many leaves the status tree may have; an update that would make more is not taken",
        "N",
        least=1,
    ),
    Option(
        "state_file",
        "auto",
        "where rocbroker keeps the status over its own restart; none keeps nothing",
        "FILE",
    ),
    Option(
        "log_records",
        50_000,
        "how many of the newest log records are kept for who looks late",
        "N",
    ),
    Option(
        "log_bytes",
        64 * 1024 * 1024,
        "how many bytes the kept log records may take; the oldest go first",
        "N",
    ),
    Option(
        "subscriber_bytes",
        8 * 1024 * 1024,
        "how many bytes of publications may wait for a subscriber; it does not get what comes then",
        "N",
        least=1,
    ),
)
