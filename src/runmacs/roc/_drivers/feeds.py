"""What a publisher asks of those who publish, and what they may ask of it."""

from __future__ import annotations

import threading
from typing import Protocol

__all__ = ["Farewell", "Feed"]


class Feed(Protocol):
    """What is to be published. An automaton, guarded by its own lock if others use it too.

    The publisher's thread calls it, and holds no lock meanwhile. It may raise nothing: one
    that does is asked no more.
    """

    def link_up(self, now: float) -> None:
        """The broker takes messages from now on."""

    def link_down(self, now: float) -> None:
        """It does no longer; what was taken last may be lost."""

    def take(self, now: float, room: int) -> list[list[bytes]]:
        """Messages to send now, of about ``room`` bytes at most; [] when there is nothing."""

    def next_deadline(self) -> float | None:
        """When `take` should be asked, though nobody called `Publisher.wake`."""

    def empty(self) -> bool:
        """Whether nothing waits to be sent; who closes lingers until then."""

    def on_fork(self) -> None:
        """In a child: it is another source, and what waited is sent by the parent.

        Only this thread is left: take no lock, make new ones. It is told of a link later.
        """


class Farewell:
    """Somebody waits until all was sent: for one feed, which is to be detached then, or all."""

    def __init__(self, feed: Feed | None, deadline: float) -> None:
        self.feed = feed
        self.deadline = deadline
        self.rounds: int | None = None
        self.done = threading.Event()
