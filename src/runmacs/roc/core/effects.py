"""What a core may ask of its driver, beside sending a list of frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..wire.mdp import Greeting, Reason
from ..wire.values import Buffer

__all__ = ["Asked", "Effect", "Greeted", "Refused", "Reopen"]


@dataclass(frozen=True)
class Asked:
    """The broker itself was called: serve it, and send the answer to ``client``."""

    client: bytes
    name: bytes
    frames: Sequence[Buffer]


@dataclass(frozen=True)
class Reopen:
    """Close the socket with all that is unread in it, and open a new one."""

    why: str


@dataclass(frozen=True)
class Greeted:
    """The broker accepted the server; ``greeting.state`` says as what."""

    greeting: Greeting


@dataclass(frozen=True)
class Refused:
    """The broker does not want the server, for this reason."""

    reason: Reason
    first: bool


Frames: TypeAlias = list[Buffer]
Effect: TypeAlias = Frames | Asked | Reopen | Greeted | Refused
