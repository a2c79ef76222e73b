"""What happens to a broker: the events that its core takes.

Replies and requests, which are nearly all of them, come to `BrokerCore.on_frames` as plain
lists; these are for the rest, and for whoever has events of any kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["Arrived", "Drained", "Event", "StoodStill", "Stop", "Tick", "Unreachable"]


@dataclass(frozen=True)
class Arrived:
    """A message, routing id in front. ``user`` is who sent it, where that is known."""

    frames: list[Any]
    user: str | None = None


@dataclass(frozen=True)
class Unreachable:
    """These frames could not be sent: that peer's connection is gone."""

    frames: list[Any]


@dataclass(frozen=True)
class StoodStill:
    """The loop stood still for so long; what is read until `Drained` is older by that."""

    seconds: float


@dataclass(frozen=True)
class Drained:
    """The socket is empty."""


@dataclass(frozen=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True)
class Stop:
    """The broker ends: tell everybody."""


Event: TypeAlias = Arrived | Unreachable | StoodStill | Drained | Tick | Stop
