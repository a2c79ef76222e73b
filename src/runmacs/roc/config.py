"""Configuration: each option declared once, and where its value comes from.

Rules:

* ``OPTIONS`` is the only list of options; flags, environment variables, the
  configuration file and the reference are made from it.
* What the program passes comes first, then the environment, the file, the default.
  What is empty counts as not given.
* The file is read anew on each look-up, and only when the environment does not
  answer already.  All of it must be right: an unknown key is an error.
* Every complaint names the place it is about and is a ConfigError.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .endpoints import (
    DEFAULT_BASE_PORT,
    TRANSPORTS,
    Endpoints,
    SocketName,
    parse_endpoints,
)
from .errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "CONFIG_VARIABLE",
    "OPTIONS",
    "Option",
    "Setting",
    "config_file",
    "lookup",
    "resolve_bind",
    "resolve_broker",
    "resolve_publish",
    "resolve_subscribe",
]

# Not an option: what names the file cannot stand in it.
CONFIG_VARIABLE: Final = "ROC_CONFIG"
_SIZE_LIMIT: Final = 65536


@dataclass(frozen=True, slots=True)
class Option:
    """One option; its name is its key in the file, and the other spellings follow."""

    name: str
    type: type[str] | type[int]
    default: str | int
    help: str
    choices: tuple[str, ...] = ()

    @property
    def environment(self) -> str:
        """The environment variable: ``ROC_BASE_PORT`` for ``base_port``."""
        return f"ROC_{self.name.upper()}"

    @property
    def flag(self) -> str:
        """The flag: ``--base-port`` for ``base_port``."""
        return f"--{self.name.replace('_', '-')}"


@dataclass(frozen=True, slots=True)
class Setting:
    """The value of an option, and where it was found."""

    value: Any
    source: str


def _by_name(*options: Option) -> dict[str, Option]:
    return {option.name: option for option in options}


OPTIONS: Final = _by_name(
    Option(
        "broker",
        str,
        f"127.0.0.1:{DEFAULT_BASE_PORT}",
        "the broker to use: host, host:baseport, or its rocBroker address",
    ),
    Option(
        "bind",
        str,
        "127.0.0.1",
        "the address rocbroker listens on: an interface's, * for all, for ipc a path",
    ),
    Option(
        "base_port",
        int,
        DEFAULT_BASE_PORT,
        "the first of rocbroker's three consecutive ports; 0 picks free ones",
    ),
    Option("transport", str, "tcp", "how rocbroker is reached", TRANSPORTS),
    Option(
        "log_level",
        str,
        "info",
        "the least severe records that rocbroker prints",
        ("debug", "info", "warning", "error", "critical"),
    ),
)


def resolve_broker(address: Endpoints | str | None = None) -> Endpoints:
    """The broker's Endpoints from any spelling; None and '' mean the configured one.

    A full address is the rocBroker's.

        >>> resolve_broker("192.168.0.10").rocBroker
        'tcp://192.168.0.10:5555'

    Raises:
        ConfigError: the address, the environment or the configuration file is wrong.
    """
    return _resolve(address, "rocBroker")


def resolve_publish(destination: Endpoints | str | None = None) -> Endpoints:
    """Like resolve_broker(), but a full address is the generalXSUB's."""
    return _resolve(destination, "generalXSUB")


def resolve_subscribe(source: Endpoints | str | None = None) -> Endpoints:
    """Like resolve_broker(), but a full address is the generalXPUB's."""
    return _resolve(source, "generalXPUB")


def resolve_bind(
    bind: str | None = None, base_port: int | None = None, transport: str | None = None
) -> Endpoints:
    """Where a broker binds; what is None comes from the configuration.

    Raises:
        ConfigError: no broker can bind there; the message names the values' sources.
    """
    given = {"bind": bind, "base_port": base_port, "transport": transport}
    settings = {
        name: lookup(name) if value is None else Setting(value, OPTIONS[name].flag)
        for name, value in given.items()
    }
    try:
        return Endpoints(*(setting.value for setting in settings.values()))
    except ConfigError as error:
        sources = ", ".join(f"{name} ({setting.source})" for name, setting in settings.items())
        raise ConfigError(f"{sources}: {error}") from None


def lookup(name: str) -> Setting:
    """The value of an option from the environment, the configuration file or its default.

        >>> lookup("log_level")
        Setting(value='info', source='default')

    Raises:
        ConfigError: what was found is wrong; the message says where it stands.
    """
    option = OPTIONS[name]
    text = os.environ.get(option.environment, "")
    if text.strip():
        return Setting(_from_text(option, text), option.environment)
    return _read_file().get(name) or Setting(option.default, "default")


def config_file() -> Path:
    """The configuration file: what ROC_CONFIG names, else the one in the user's folder."""
    from pathlib import Path

    named = os.environ.get(CONFIG_VARIABLE, "")
    if named.strip():
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_config_dir("roc")) / "config.toml"


def _resolve(address: Endpoints | str | None, names: SocketName) -> Endpoints:
    if address is not None and not (isinstance(address, str) and not address.strip()):
        return parse_endpoints(address, names)
    setting = lookup("broker")
    try:
        return parse_endpoints(setting.value)
    except ConfigError as error:
        raise ConfigError(f"{setting.source}: {error}") from None


def _from_text(option: Option, text: str) -> str | int:
    if option.type is str:
        return _checked_choice(option, text, option.environment)
    if re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    raise ConfigError(
        f"{option.environment}: {text!r} is not a whole number: write one like {option.default}."
    )


def _checked_choice(option: Option, value: str, place: str) -> str:
    if not option.choices:
        return value
    if value.lower() in option.choices:
        return value.lower()
    raise ConfigError(
        f"{place}: {value!r} is not a {option.name}: {_nearest(value, option.choices)}"
    )


def _read_file() -> dict[str, Setting]:
    """What the configuration file sets; empty when nobody wrote one."""
    path = config_file()
    try:
        with path.open("rb") as file:
            content = file.read(_SIZE_LIMIT + 1)
    except OSError as error:
        named = bool(os.environ.get(CONFIG_VARIABLE, "").strip())
        if isinstance(error, FileNotFoundError) and not named:
            return {}
        reason = error.strerror or type(error).__name__
        remedy = f"correct or unset {CONFIG_VARIABLE}" if named else "make it readable or remove it"
        raise ConfigError(f"{path} cannot be read ({reason}): {remedy}.") from error
    except ValueError as error:  # a name that holds a zero byte
        raise ConfigError(f"{CONFIG_VARIABLE} names no file: {error}.") from error
    if len(content) > _SIZE_LIMIT:
        raise ConfigError(
            f"{path} has over {_SIZE_LIMIT} bytes and is no configuration file of ROC:"
            f" name the right one in {CONFIG_VARIABLE}."
        )
    text = _decode(path, content)
    return _settings(path, text, _parse_toml(path, text))


def _decode(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: this is not UTF-8: save it as such.") from None


def _parse_toml(path: Path, text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
        at = re.search(r" \(at line (\d+), column \d+\)", reason)
        line = int(at[1]) if at else text.count("\n") + 1
        reason = re.sub(r" \(at [^()]*\)$", "", reason)
        example = f"broker = {_as_toml(OPTIONS['broker'].default)}"
        raise ConfigError(f"{path}, line {line}: {reason}: write it like {example}.") from None


def _settings(path: Path, text: str, document: dict[str, Any]) -> dict[str, Setting]:
    settings = {}
    for key, value in document.items():
        place = f"{path}, line {_line_of(key, text)}"
        option = OPTIONS.get(key)
        if option is None:
            raise ConfigError(f"{place}: there is no option {key!r}: {_nearest(key, OPTIONS)}")
        # By exact type: a TOML boolean is a Python int as well.
        if type(value) is not option.type:
            wanted = "text in quotes" if option.type is str else "a whole number without quotes"
            raise ConfigError(
                f"{place}: {key} takes {wanted}: write {key} = {_as_toml(option.default)}."
            )
        if isinstance(value, str):
            value = _checked_choice(option, value, place) if value.strip() else None
        if value is not None:
            settings[key] = Setting(value, place)
    return settings


def _line_of(key: str, text: str) -> int:
    """The line where a key of the document's top level is set, or its table begins."""
    pattern = rf"\s*\[*\s*[\"']?{re.escape(key)}[\"']?\s*[\].=]"
    for number, line in enumerate(text.split("\n"), 1):
        if re.match(pattern, line):
            return number
    return 1


def _nearest(word: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word.lower(), known, 1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}."


def _as_toml(value: str | int) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
