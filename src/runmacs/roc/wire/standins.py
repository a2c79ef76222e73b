"""What stands in a message for something that is no value of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Formed", "Index", "Member", "Resident"]


@dataclass(frozen=True, slots=True)
class Member:
    """What reading an attribute answers when it is no value: a "method" or an "object"."""

    kind: str


@dataclass(frozen=True, slots=True)
class Resident:
    """A result that is an object, and stays where it lives; the path of the shared one is ""."""

    path: str


@dataclass(frozen=True, slots=True)
class Index:
    """A key or an index: a tuple in it arrives as a tuple, and not as a list."""

    value: Any


@dataclass(frozen=True, slots=True)
class Formed:
    """A form that came from a peer, to be passed on as it is."""

    form: Any
