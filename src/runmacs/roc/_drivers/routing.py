"""Drives the broker: calls and publications, one thread.

* The front carries calls to and from `core.broker`. A portion that has come is routed, and
  answers to one peer leave together, so that one wake-up serves many.
* After the calls of each turn comes a bounded portion of publications, which ends as soon as
  there are calls again; see `news`.
* All wait for this thread, so it steps forward.
* What the broker is asked itself (``roc.broker``) is served here, between two messages.
"""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import zmq

from .. import errors
from ..core.broker import BrokerCore
from ..core.effects import Asked, Effect
from ..core.events import Drained, StoodStill, Stop, Tick, Unreachable
from ..core.liveness import Standstill
from ..core.news import NewsCore
from ..core.traffic import Traffic
from ..endpoints import Endpoints
from ..wire.values import Buffer
from .clock import now as clock
from .dialing import check_transport
from .forking import keep, register
from .fronts import Front, StreamFront, ZmqFront
from .gates import Poller, Waker
from .hosting import see_off
from .news import News
from .sockets import context
from .standing import step_forward

__all__ = ["Routing"]

_TURN = 0.25
_CALLS_FLOW = 0.05
"""Seconds for which calls count as flowing after the last one."""

_ATTEMPTS = 100
_BIND_PATIENCE = 0.5
_random = random.SystemRandom()


class Routing:
    """The broker's sockets and their loop.

    Calls go through ``core``, publications through ``news``, which ``traffic`` counts;
    ``answer`` serves calls to the broker itself.
    """

    def __init__(
        self,
        ctx: zmq.Context[Any] | None,
        endpoints: Endpoints,
        core: BrokerCore,
        answer: Callable[[Sequence[Buffer]], Sequence[Buffer]],
        news: NewsCore,
        traffic: Traffic,
    ) -> None:
        check_transport(endpoints)
        self.core = core
        self._answer = answer
        self._waker = Waker()
        self._stopping = False
        self._called = 0.0
        self._unclaimed = ["the sockets"]
        self._still = Standstill()
        self._poller = Poller()
        # Inproc lives in libzmq, in the context that the peers use.
        self._context = context(ctx) if endpoints.transport == "inproc" else None
        self.front = self._front(endpoints)
        limit = core.limits.subscriber_bytes
        self.news = News(self._poller, self._context, endpoints, news, traffic, limit)
        try:
            self.endpoints = self._bind(endpoints)
        except BaseException:
            self._close()
            raise
        register(self)

    # ---- sockets

    def _front(self, endpoints: Endpoints) -> Front:
        if self._context is not None:
            return ZmqFront(self._poller, self._context, endpoints)
        return StreamFront(self._poller)

    def _bind(self, endpoints: Endpoints) -> Endpoints:
        if endpoints.brokerBasePort:
            self._bind_patiently(endpoints)
            return endpoints
        for _ in range(_ATTEMPTS):
            candidate = replace(endpoints, brokerBasePort=_random.randrange(20_000, 60_000))
            try:
                self._bind_all(candidate)
            except errors.ConfigError as error:
                if error.data != errno.EADDRINUSE:
                    raise
            else:
                return candidate
        raise errors.ConfigError("No three consecutive free ports were found; try --base-port N.")

    def _bind_patiently(self, endpoints: Endpoints) -> None:
        """A broker that ended a moment ago may hold its ports still: ZeroMQ closes later."""
        deadline = clock() + _BIND_PATIENCE
        while True:
            try:
                self._bind_all(endpoints)
                return
            except errors.ConfigError as error:
                if error.data != errno.EADDRINUSE or clock() > deadline:
                    raise
            time.sleep(_BIND_PATIENCE / 20)

    def _bind_all(self, endpoints: Endpoints) -> None:
        sides = (
            (self.front, endpoints.rocBroker),
            (self.news.intake, endpoints.generalXSUB),
            (self.news.outlet, endpoints.generalXPUB),
        )
        for side, address in sides:
            try:
                side.bind(endpoints)
            except (zmq.ZMQError, OSError) as error:
                for other, _ in sides:
                    other.unbind(endpoints)
                raise _bind_error(address, error) from None

    def _close(self) -> None:
        see_off(self._poller, {**self.front.part(), **self.news.part()})
        self._poller.close()
        self._waker.close()

    # ---- the loop

    def run(self) -> None:
        """Route until `stop`; then tell everybody, and close. Once only."""
        if not self._claim():
            return
        with step_forward():
            self._run()

    def _run(self) -> None:
        self._poller.add(self._waker.fd)
        ready: list[int] = []
        try:
            while not self._stopping:
                busy = self._take_calls(ready)
                now = clock()
                if self.news.concerned(ready, now):
                    flowing = now - self._called < _CALLS_FLOW
                    busy |= self.news.turn(ready, flowing, self._is_called)
                    now = clock()
                timeout = 0.0 if busy else self._timeout(now)
                self._stood_still(self._still.waiting(now, timeout))
                ready = self._poller.wait(timeout)
                if self._waker.fd in ready:
                    self._waker.clear()
                self._stood_still(self._still.awake(clock()))
        finally:
            self._carry_out(self.core.handle(Stop(), clock()), clock())
            self._close()

    def stop(self) -> None:
        """End the loop, from any thread or a signal handler; close what never ran."""
        self._stopping = True
        self._waker.wake()
        if self._claim():
            self._close()

    def _claim(self) -> bool:
        """Whoever claims the sockets uses and closes them: the loop, or a stop before it."""
        try:
            self._unclaimed.pop()
        except IndexError:
            return False
        return True

    def _stood_still(self, seconds: float) -> None:
        if seconds:
            self.core.handle(StoodStill(seconds), clock())
            self.news.core.stood_still(seconds)

    def _timeout(self, now: float) -> float:
        timeout = Standstill.SETTLE if self._still.age else _TURN
        due = self.core.next_deadline()
        if due is not None:
            timeout = min(timeout, max(0.001, due - now))
        return min(timeout, max(0.001, self.news.next_deadline(now) - now))

    def _is_called(self) -> bool:
        """Whether there are calls now."""
        return self.front.is_called(self._poller.look())

    def _take_calls(self, ready: list[int]) -> bool:
        """Route what has come; True if there may be more."""
        more = False
        for inbox in self.front.collect(ready):
            now = clock()
            self._stood_still(self._still.waiting(now, 0.0))
            if inbox:
                self._called = now
                now = self._route(inbox, now)
            more |= self.front.flush()
        if not more and self._still.age and self._still.drained(now):
            self.core.handle(Drained(), now)
        return self._tick(now) or more

    def _route(self, inbox: list[list[Any]], now: float) -> float:
        """Route messages, of which the first was collected at ``now``; returns the time."""
        on_frames, threshold = self.core.on_frames, Standstill.THRESHOLD
        out: list[Effect] = []
        looked = now
        for frames in inbox:
            now = clock()
            if now - looked > threshold:
                # What was collected waited while this loop stood still in the midst of it.
                self._stood_still(self._still.waiting(now, 0.0))
            looked = now
            on_frames(frames, now, out)
        self._carry_out(out, now)
        return now

    def _tick(self, now: float) -> bool:
        """Do what is due, and see who has gone; True if anything was sent."""
        out: list[Effect] = []
        for peer in self.front.tick(now):
            if peer in self.core.registry.workers:
                out += self.core.handle(Unreachable([peer]), now)
        due = self.core.next_deadline()
        if due is not None and now >= due:
            out += self.core.handle(Tick(), now)
        if not out:
            return False
        self._carry_out(out, now)
        return self.front.flush()

    def _carry_out(self, out: list[Effect], now: float) -> None:
        send_all = self.front.send_all
        while out:
            effects, out[:] = out[:], []
            position, count = 0, len(effects)
            while (position := send_all(effects, position)) < count:
                self._carry_out_one(effects[position], now, out)
                position += 1

    def _carry_out_one(self, effect: Effect, now: float, out: list[Effect]) -> None:
        if isinstance(effect, Asked):
            answer = self._answer(effect.frames)
            effect = [effect.client, b"", b"MDPC01", effect.name, *answer]
        if isinstance(effect, list) and (code := self.front.send(effect)):
            if code != errno.EHOSTUNREACH:
                self.core.counters.dropped_peer_full += 1
            out += self.core.handle(Unreachable(effect), now)

    # ---- after a fork

    def on_fork(self) -> None:
        """In a child: the thread that routes is the parent's, and so are the sockets."""
        keep(self.front, self.news, self._poller, self._context)
        self.__class__ = _Inherited

    def check_owner(self) -> None:
        """Raises Closed in a child that was forked from the broker's process."""


class _Inherited(Routing):
    """A broker in a child that was forked from its process: it does nothing there."""

    def check_owner(self) -> None:
        raise errors.Closed(
            f"the broker at {self.endpoints.rocBroker} is in the process that this one was"
            " forked from, and not in this one."
        )

    def run(self) -> None:
        self.check_owner()

    def stop(self) -> None:
        pass


def _bind_error(address: str, error: OSError | zmq.ZMQError) -> errors.ConfigError:
    if error.errno == errno.EADDRINUSE:
        what = "is in use: another broker runs there; stop it, or choose another --base-port"
    elif error.errno == errno.EACCES:
        what = "may not be bound by this user; choose a --base-port above 1023"
    elif error.errno in (errno.EADDRNOTAVAIL, errno.ENODEV, errno.EINVAL):
        what = "is not an address of this computer; choose another --bind"
    else:
        what = f"cannot be bound ({error.strerror}); choose another --bind or --base-port"
    return errors.ConfigError(f"{address} {what}.", data=error.errno)
