"""What a type hint asks of an argument, and what is said when the argument does not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from .kinds import class_name

__all__ = ["NOTHING", "Hint", "Misfit"]

NOTHING: Final[frozenset[type]] = frozenset()

_LONGEST_SHOWN: Final = 40
_SHOWN_AS_THEY_ARE: Final = (bool, int, float, str, type(None))


class Hint(NamedTuple):
    """One annotation, compiled.

    Attributes:
        text: the type, for messages.
        plain: values of exactly these types fit as they are; for speed.
        convert: gives the value to pass for any other, or raises `Misfit`. What fits
            comes back as the very same object.
    """

    text: str
    plain: frozenset[type]
    convert: Callable[[Any], Any]


class Misfit(Exception):
    """A value that does not fit; each container adds its step while this passes through.

    Args:
        expected: the type that the hint asks for.
        value: what came instead.
        why: what is wrong, where the two types alone do not tell.
        found: what came, where its type alone does not tell.
    """

    def __init__(self, expected: str, value: object, why: str = "", found: str = "") -> None:
        super().__init__(expected)
        self.expected = expected
        self.why = why
        self.found = found or ("None" if value is None else class_name(type(value)))
        self.steps: list[str] = []

    def clause(self, name: str) -> str:
        """``'seconds' takes float, not str``: what is wrong with the argument ``name``."""
        place = name + "".join(self.steps[::-1])
        if self.why:
            return f"{place!r} cannot become {self.expected}: {self.why}"
        return f"{place!r} takes {self.expected}, not {self.found}"


def shown(value: object) -> str:
    """A value for a message: itself where it is short and simple, else its type."""
    if type(value) in _SHOWN_AS_THEY_ARE:
        text = repr(value)
        if len(text) <= _LONGEST_SHOWN:
            return text
    return class_name(type(value))
