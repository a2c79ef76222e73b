"""Drives the broker: a front and two sockets, one thread.

* The front carries calls to and from `core.broker`. All that has come is routed, and
  answers to one peer leave together, so that one wake-up serves many.
* The XSUB is forwarded to the XPUB, and subscriptions back.
* What the broker is asked itself (``roc.broker``) is served here, between two messages.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import zmq

from .. import errors
from ..core.broker import BrokerCore, Drained, StoodStill, Stop, Tick, Unreachable
from ..core.effects import Asked, Effect
from ..core.liveness import Standstill
from ..endpoints import Endpoints
from ..wire.values import Buffer
from .clock import now as clock
from .dialing import check_transport
from .forking import keep, register
from .fronts import Front, StreamFront, ZmqFront
from .gates import Poller, Waker
from .sockets import context, descriptor, has_message, is_listened_at, receive, send, tune

__all__ = ["Routing"]

_DRAIN = 64
_TURN = 0.25
_ATTEMPTS = 100
_BIND_PATIENCE = 0.5
_random = random.SystemRandom()


class Routing:
    """The broker's sockets and their loop. ``answer`` serves calls to the broker itself."""

    def __init__(
        self,
        ctx: zmq.Context[Any] | None,
        endpoints: Endpoints,
        core: BrokerCore,
        answer: Callable[[Sequence[Buffer]], Sequence[Buffer]],
    ) -> None:
        check_transport(endpoints)
        self.core = core
        self._answer = answer
        # One of its own where that is possible: ending it waits until the last goodbye has
        # left and the addresses are free again. Inproc peers need the same one.
        self._own = zmq.Context() if ctx is None and endpoints.transport != "inproc" else None
        self._context = self._own or context(ctx)
        self._waker = Waker()
        self._stopping = False
        self._news_unread = True
        self._unclaimed = ["the sockets"]
        self._files: list[str] = []
        self._still = Standstill()
        self._poller = Poller()
        self.front = self._front(endpoints)
        self.xsub, self.xpub = self._sockets(endpoints)
        try:
            self.endpoints = self._bind(endpoints)
        except BaseException:
            self._close(linger=0)
            self._waker.close()
            raise
        register(self)

    # ---- sockets

    def _sockets(self, endpoints: Endpoints) -> tuple[zmq.Socket[Any], zmq.Socket[Any]]:
        xsub, xpub = self._context.socket(zmq.XSUB), self._context.socket(zmq.XPUB)
        for socket in (xsub, xpub):
            tune(socket, endpoints)
        return xsub, xpub

    def _front(self, endpoints: Endpoints) -> Front:
        if endpoints.transport == "inproc":
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
        news = ((self.xsub, endpoints.generalXSUB), (self.xpub, endpoints.generalXPUB))
        bound: list[tuple[zmq.Socket[Any], str]] = []
        address = endpoints.rocBroker
        try:
            _refuse_if_listened_at(address)
            self.front.bind(endpoints)
            for socket, address in news:
                _refuse_if_listened_at(address)
                socket.bind(address)
                bound.append((socket, address))
        except (zmq.ZMQError, OSError) as error:
            self.front.unbind(endpoints)
            for socket, taken in bound:
                socket.unbind(taken)
            raise _bind_error(address, error) from None

    def _close(self, linger: int) -> None:
        for address in self._files:
            _remove_file(address)
        self.front.close()
        self.xsub.close(linger=linger)
        self.xpub.close(linger=linger)
        self._tidy_up()
        self._poller.close()
        if self._own is not None:
            self._own.term()

    def _tidy_up(self) -> None:
        """libzmq removes its ipc files some time later, which may be too late."""
        where = getattr(self, "endpoints", None)
        if where is not None and where.transport == "ipc":
            for address in (where.generalXSUB, where.generalXPUB):
                with contextlib.suppress(OSError, ValueError):
                    os.unlink(address.removeprefix("ipc://"))

    # ---- the loop

    def run(self) -> None:
        """Route until `stop`; then tell everybody, and close. Once only."""
        if not self._claim():
            return
        news = [descriptor(self.xsub), descriptor(self.xpub)]
        for fd in (*news, self._waker.fd):
            self._poller.add(fd)
        ready = news
        try:
            while not self._stopping:
                busy = self._take_calls(ready)
                if not busy or len(ready) > 1:
                    busy |= self._forward(news, ready)
                now = clock()
                timeout = 0.0 if busy else self._timeout(now)
                self._stood_still(self._still.waiting(now, timeout))
                ready = self._poller.wait(timeout)
                if self._waker.fd in ready:
                    self._waker.clear()
                self._stood_still(self._still.awake(clock()))
        finally:
            self._carry_out(self.core.handle(Stop(), clock()), clock())
            self._close(linger=500)
            self._waker.close()

    def stop(self) -> None:
        """End the loop, from any thread or a signal handler; close what never ran."""
        self._stopping = True
        self._waker.wake()
        if self._claim():
            self._close(linger=0)
            self._waker.close()

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

    def _timeout(self, now: float) -> float:
        due = self.core.next_deadline()
        turn = Standstill.SETTLE if self._still.age else _TURN
        return turn if due is None else max(0.001, min(turn, due - now))

    def _take_calls(self, ready: list[int]) -> bool:
        """Route what has come; True if there may be more."""
        core = self.core
        inbox: list[list[Any]] = []
        more = self.front.collect(ready, inbox)
        looked = now = clock()
        self._stood_still(self._still.waiting(now, 0.0))
        out: list[Effect] = []
        for frames in inbox:
            now = clock()
            if now - looked > Standstill.THRESHOLD:
                # What was collected waited while this loop stood still in the midst of it.
                self._stood_still(self._still.waiting(now, 0.0))
            looked = now
            core.on_frames(frames, now, out)
        self._carry_out(out, now)
        more |= self.front.flush()
        if not more and self._still.age and self._still.drained(now):
            core.handle(Drained(), now)
        return self._tick(now) or more

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
        while out:
            effects, out[:] = out[:], []
            for effect in effects:
                if isinstance(effect, Asked):
                    answer = self._answer(effect.frames)
                    effect = [effect.client, b"", b"MDPC01", effect.name, *answer]
                if isinstance(effect, list) and (code := self.front.send(effect)):
                    if code != errno.EHOSTUNREACH:
                        self.core.counters.dropped_peer_full += 1
                    out += self.core.handle(Unreachable(effect), now)

    def _forward(self, news: list[int], ready: list[int]) -> bool:
        """Pass on publications and subscriptions; True if there may be more."""
        if not self._news_unread and news[0] not in ready and news[1] not in ready:
            return False
        more = False
        for source, target, upward in (
            (self.xsub, self.xpub, False),
            (self.xpub, self.xsub, True),
        ):
            for _ in range(_DRAIN):
                frames = receive(source)
                if frames is None:
                    break
                if upward and (len(frames) != 1 or frames[0][:1] not in (b"\0", b"\1")):
                    self.core.counters.dropped_malformed += 1
                    continue
                try:
                    send(target, frames)
                except zmq.ZMQError:
                    self.core.counters.dropped_peer_full += 1
            else:
                more = True
        # A send may have swallowed a descriptor's edge.
        self._news_unread = more or has_message(self.xsub) or has_message(self.xpub)
        return self._news_unread

    # ---- after a fork

    def on_fork(self) -> None:
        """In a child: the thread that routes is the parent's, and so are the sockets."""
        keep(self.front, self.xsub, self.xpub, self._poller, self._context)
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


def _remove_file(address: str) -> None:
    """Remove an ipc socket's file, as libzmq does not, while it is still ours for certain."""
    path = address.removeprefix("ipc://")
    if path != address and not path.startswith("@"):
        with contextlib.suppress(OSError):
            os.unlink(path)


def _refuse_if_listened_at(address: str) -> None:
    if is_listened_at(address):
        raise OSError(errno.EADDRINUSE, "in use")


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
