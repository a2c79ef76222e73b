"""Publications through the broker, turn by turn: intake, core, outlet.

Rules:

* Calls come first. A turn takes a bounded portion of publications, and looks for calls after
  each read, which is a small one while calls flow. A call ends the turn: what was taken
  leaves at the end of the next one.
* Subscriptions take effect before the publications of the same turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import zmq

from ..core.news import NewsCore
from ..core.traffic import Traffic
from ..endpoints import Endpoints
from .clock import now as clock
from .gates import Poller
from .hosting import Leaving
from .intake import Intake, StreamIntake, ZmqIntake
from .outlet import Outlet, StreamOutlet, ZmqOutlet

__all__ = ["News"]

_SECONDS = 0.002
_BYTES = 256 * 1024
"""For how long, and how much, a turn may take."""

_READ = 16 * 1024
_READ_AMONG_CALLS = 4 * 1024
"""Bytes of one read: 0.1 ms of work, while calls flow."""

_LOOK_AGAIN = 0.05
"""Seconds after which a turn is due though nothing has come: somebody's time may be over."""

_FRESH = 0.001
"""Seconds for which a deadline that was asked for is believed."""


class News:
    """The broker's publications. ``traffic`` counts them; ``limit`` is how many bytes may wait
    for one subscriber.
    """

    def __init__(
        self,
        poller: Poller,
        ctx: zmq.Context[Any] | None,
        endpoints: Endpoints,
        core: NewsCore,
        traffic: Traffic,
        limit: int,
    ) -> None:
        self.core = core
        self._traffic = traffic
        self._interrupted = False
        self._more = True
        self._look_again = 0.0
        self._asked = -math.inf
        self._due = 0.0
        self.intake: Intake
        self.outlet: Outlet
        if ctx is not None:
            self.intake = ZmqIntake(poller, ctx, endpoints)
            self.outlet = ZmqOutlet(poller, ctx, endpoints, traffic)
        else:
            self.intake, self.outlet = StreamIntake(poller), StreamOutlet(poller, traffic, limit)

    def concerned(self, ready: Iterable[int], now: float) -> bool:
        """Whether a turn is due: something has come, or it is time."""
        if self._more or now >= self._look_again or now >= self.next_deadline(now):
            return True
        intake, outlet = self.intake.descriptors, self.outlet.descriptors
        return not (intake.isdisjoint(ready) and outlet.isdisjoint(ready))

    def turn(
        self,
        ready: Iterable[int],
        calls_flow: bool = False,
        is_called: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Take what has come, and pass it on; True if there is more to do."""
        out: list[list[bytes]] = []
        now = clock()
        self.outlet.collect(ready)
        self._tell_changes(now)
        called = self.intake.look(ready) and self._take(now, out, calls_flow, is_called)
        self._interrupted = called and not self._interrupted
        if self._interrupted:
            self._more = True
            return True
        due = self.core.next_deadline()
        if due is not None and now >= due:
            self.core.tick(now, out)
            self.outlet.publish(out)
        more = self.outlet.flush()
        more |= self.intake.flush()
        self.outlet.look_after(now)
        self.intake.look_after(now)
        self._tell_changes(now)
        self._more, self._look_again = more, now + _LOOK_AGAIN
        self._asked = -math.inf
        self._traffic.publishers = self.intake.publishers()
        self._traffic.subscribers = self.outlet.subscribers()
        return more

    def _tell_changes(self, now: float) -> None:
        for topic, begun in self.outlet.changes():
            if begun:
                out: list[list[bytes]] = []
                self.core.on_subscribed(topic, now, out)
                self.outlet.publish(out)
            else:
                self.core.on_unsubscribed(topic, now)

    def _take(
        self,
        now: float,
        out: list[list[bytes]],
        calls_flow: bool,
        is_called: Callable[[], bool],
    ) -> bool:
        """Take a portion, and pass it on; True if a call has come meanwhile."""
        end, left = now + _SECONDS, _BYTES
        size = _READ_AMONG_CALLS if calls_flow else _READ
        on_publication = self.core.on_publication
        while now < end and left > 0 and (batch := self.intake.take(size)) is not None:
            messages = batch.messages
            left -= batch.size
            self._traffic.publications_taken += len(messages)
            for message in messages:
                on_publication(message, now, out)
            self.outlet.publish(out, batch)
            out.clear()
            if is_called():
                return True
            now = clock()
        return False

    def next_deadline(self, now: float) -> float:
        """When a turn is due though nothing has come, or when to ask again.

        To find out takes longer than a call needs, so what was found counts for a moment.
        """
        if now - self._asked > _FRESH:
            due = self.core.next_deadline()
            self._asked = now
            self._due = math.inf if due is None else due
            return self._due
        return min(self._due, self._asked + _FRESH)

    def part(self) -> Leaving:
        """Close, except those who have not read all."""
        return {**self.intake.part(), **self.outlet.part()}
