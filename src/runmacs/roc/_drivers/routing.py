"""Drives the broker: three sockets, one thread.

* The ROUTER carries calls to and from `core.broker`. It is drained, up to a number of
  messages, before anything else is looked at, so that one wake-up serves many.
* The XSUB is forwarded to the XPUB, and subscriptions back.
* What the broker is asked itself (``roc.broker``) is served here, between two messages.
"""

from __future__ import annotations

import errno
import random
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
from .sockets import (
    Gate,
    Waker,
    context,
    descriptor,
    has_message,
    is_listened_at,
    receive,
    send,
    tune,
)

__all__ = ["Routing"]

_DRAIN = 64
_TURN = 0.25
_PEER_HWM = 100_000
_ATTEMPTS = 100


class Routing:
    """The broker's sockets and their loop. ``answer`` serves calls to the broker itself."""

    def __init__(
        self,
        ctx: zmq.Context[Any] | None,
        endpoints: Endpoints,
        core: BrokerCore,
        answer: Callable[[Sequence[Buffer]], Sequence[Buffer]],
    ) -> None:
        self.core = core
        self._answer = answer
        self._context = context(ctx)
        self._waker = Waker()
        self._stopping = False
        self._still = Standstill()
        self.router, self.xsub, self.xpub = self._sockets(endpoints)
        try:
            self.endpoints = self._bind(endpoints)
        except BaseException:
            self._close(linger=0)
            raise

    # ---- sockets

    def _sockets(self, endpoints: Endpoints) -> tuple[zmq.Socket[Any], ...]:
        sockets = tuple(self._context.socket(kind) for kind in (zmq.ROUTER, zmq.XSUB, zmq.XPUB))
        for socket in sockets:
            tune(socket, endpoints)
        router = sockets[0]
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        router.setsockopt(zmq.SNDHWM, _PEER_HWM)
        router.setsockopt(zmq.RCVHWM, _PEER_HWM)
        router.setsockopt(zmq.BACKLOG, 1000)
        return sockets

    def _bind(self, endpoints: Endpoints) -> Endpoints:
        if endpoints.brokerBasePort:
            self._bind_all(endpoints)
            return endpoints
        for _ in range(_ATTEMPTS):
            candidate = replace(endpoints, brokerBasePort=random.randrange(20_000, 60_000))
            try:
                self._bind_all(candidate)
            except errors.ConfigError as error:
                if error.data != errno.EADDRINUSE:
                    raise
            else:
                return candidate
        raise errors.ConfigError("No three consecutive free ports were found; try --base-port N.")

    def _bind_all(self, endpoints: Endpoints) -> None:
        addresses = (endpoints.rocBroker, endpoints.generalXSUB, endpoints.generalXPUB)
        bound: list[tuple[zmq.Socket[Any], str]] = []
        for socket, address in zip((self.router, self.xsub, self.xpub), addresses, strict=True):
            try:
                if is_listened_at(address):
                    raise zmq.ZMQError(errno.EADDRINUSE)
                socket.bind(address)
            except zmq.ZMQError as error:
                for other, taken in bound:
                    other.unbind(taken)
                raise _bind_error(address, error) from None
            bound.append((socket, address))

    def _close(self, linger: int) -> None:
        for socket in (self.router, self.xsub, self.xpub):
            socket.close(linger=linger)

    # ---- the loop

    def run(self) -> None:
        """Route until `stop`; then tell everybody, and close."""
        calls, *news = map(descriptor, (self.router, self.xsub, self.xpub))
        gate = Gate(calls, *news, self._waker.fd)
        ready = [calls, *news]
        try:
            while not self._stopping:
                busy = self._take_calls(calls in ready)
                if ready != [calls]:
                    busy |= self._forward()
                now = clock()
                timeout = 0.0 if busy else self._timeout(now)
                self._stood_still(self._still.waiting(now, timeout))
                ready = gate.wait(timeout) if timeout else [calls, *news]
                if self._waker.fd in ready:
                    self._waker.clear()
                self._stood_still(self._still.awake(clock()))
        finally:
            self._carry_out(self.core.handle(Stop(), clock()), clock())
            self._close(linger=500)
            self._waker.close()

    def stop(self) -> None:
        """End the loop, from any thread or a signal handler."""
        self._stopping = True
        self._waker.wake()

    def _stood_still(self, seconds: float) -> None:
        if seconds:
            self.core.handle(StoodStill(seconds), clock())

    def _timeout(self, now: float) -> float:
        due = self.core.next_deadline()
        turn = Standstill.SETTLE if self._still.age else _TURN
        return turn if due is None else max(0.001, min(turn, due - now))

    def _take_calls(self, signalled: bool) -> bool:
        """Route what has come; True if there is more.

        A send may swallow the descriptor's edge: only a last look that finds nothing
        allows a wait.
        """
        core, router = self.core, self.router
        now = clock()
        out: list[Effect] = []
        for _ in range(_DRAIN):
            if not (signalled or has_message(router)):
                break
            signalled = False
            frames = receive(router)
            if frames is not None:
                core.on_frames(frames, now, out)
                if out:
                    self._carry_out(out, now)
        else:
            self._tick(now)
            return True
        if self._still.age and self._still.drained(now):
            core.handle(Drained(), now)
        return self._tick(now) and has_message(router)

    def _tick(self, now: float) -> bool:
        """Do what is due; True if anything was sent."""
        due = self.core.next_deadline()
        if due is None or now < due:
            return False
        self._carry_out(self.core.handle(Tick(), now), now)
        return True

    def _carry_out(self, out: list[Effect], now: float) -> None:
        router = self.router
        while out:
            effects, out[:] = out[:], []
            for effect in effects:
                if isinstance(effect, Asked):
                    answer = self._answer(effect.frames)
                    effect = [effect.client, b"", b"MDPC01", effect.name, *answer]
                if not isinstance(effect, list):
                    continue
                try:
                    send(router, effect)
                except zmq.ZMQError as error:
                    if error.errno != errno.EHOSTUNREACH:
                        self.core.counters.dropped_peer_full += 1
                    out += self.core.handle(Unreachable(effect), now)

    def _forward(self) -> bool:
        """Pass on publications and subscriptions; True if there may be more."""
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
        return more or has_message(self.xsub) or has_message(self.xpub)


def _bind_error(address: str, error: zmq.ZMQError) -> errors.ConfigError:
    if error.errno == errno.EADDRINUSE:
        what = "is in use: another broker runs there; stop it, or choose another --base-port"
    elif error.errno == errno.EACCES:
        what = "may not be bound by this user; choose a --base-port above 1023"
    elif error.errno in (errno.EADDRNOTAVAIL, errno.ENODEV, errno.EINVAL):
        what = "is not an address of this computer; choose another --bind"
    else:
        what = f"cannot be bound ({error.strerror}); choose another --bind or --base-port"
    return errors.ConfigError(f"{address} {what}.", data=error.errno)
