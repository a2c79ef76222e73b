"""Feeds: what a publisher asks of those who publish, and what they may ask of it.

Rules:

* Each has its turn to be asked first, so that none waits for another that has much to say.
* One that raises is asked no more; its error is shown as that of a thread is.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

__all__ = ["Farewell", "Feed", "Feeds"]


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


class Feeds:
    """The feeds of one publisher, which its thread asks.

    Others may look meanwhile, or change them where there is no thread: a change makes a new
    list, so that who goes through the old one is not disturbed.
    """

    def __init__(self) -> None:
        self._feeds: list[Feed] = []

    def __bool__(self) -> bool:
        return bool(self._feeds)

    def __iter__(self) -> Iterator[Feed]:
        return iter(self._feeds)

    def add(self, feed: Feed) -> None:
        """Ask it from now on."""
        self._feeds = [*self._feeds, feed]

    def remove(self, feed: Feed) -> None:
        """Ask it no more, if it was."""
        self._feeds = [other for other in self._feeds if other is not feed]

    def tell(self, feed: Feed, what: str, *arguments: Any) -> Any:
        """Call a feed. One that raises is asked no more, and the others are served on."""
        try:
            return getattr(feed, what)(*arguments)
        except Exception:
            self.remove(feed)
            thread = threading.current_thread()
            threading.excepthook(threading.ExceptHookArgs([*sys.exc_info(), thread]))
            return None

    def tell_all(self, what: str, *arguments: Any) -> list[Any]:
        """Call them all; what each of them says."""
        return [self.tell(feed, what, *arguments) for feed in self._feeds]

    def in_turn(self, only: Sequence[Feed] | None = None) -> list[Feed]:
        """Those to be asked now, each first in its turn; or ``only`` some of them."""
        if only is not None:
            return [feed for feed in self._feeds if feed in only]
        if len(self._feeds) > 1:
            self._feeds = [*self._feeds[1:], self._feeds[0]]
        return self._feeds

    def is_empty(self, feed: Feed) -> bool:
        """Whether nothing waits in it; one that is asked no more is empty."""
        return bool(self.tell(feed, "empty")) or feed not in self._feeds

    def all_empty(self) -> bool:
        """Whether nothing waits in any."""
        return all(self.is_empty(feed) for feed in self._feeds)
