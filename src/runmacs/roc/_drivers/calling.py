"""Drives a client's calls: *whoever waits, drives.*

The socket is guarded by a lock, and used only with it. Of the threads that wait for a
call one is the *leader*: it waits on the socket's descriptors, without the lock, and
completes the calls of all. The others wait for their own call to be completed, or to be
made leader. So a single caller has no thread hop, and many callers share one.

Leadership is a courtesy, not a right: two leaders would do no harm, as each takes the
lock before it touches anything. That is why a lost one (a thread that died, an interrupt
at the worst of moments) is simply replaced by whichever waiter notices.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import zmq

from .. import errors
from ..core.call import Call
from ..core.caller import CallerCore
from ..core.effects import Effect, Reopen
from ..endpoints import Endpoints
from .clock import now as clock
from .forking import keep, register
from .gates import Gate, Waker
from .interrupts import Shield
from .links import open_link
from .sockets import context

__all__ = ["FORKED", "LIVING", "Caller", "Forked"]

_TURN = 0.25
"""Seconds that a wait lasts at most before things are looked at again."""

_CONNECTING = 0.05
"""The same while there is no connection."""

_LINGER = 1.0
"""Seconds that the last messages have to leave."""


class Caller:
    """The calls of one client over one connection. Any thread may use it."""

    def __init__(
        self, ctx: zmq.Context[Any] | None, endpoints: Endpoints, name: Callable[[], str]
    ) -> None:
        self.endpoints = endpoints
        self._name = name
        self._begin_anew()
        self._connect(ctx)
        register(self)

    def _begin_anew(self) -> None:
        self.core = CallerCore(self._name(), self.endpoints.rocBroker)
        self._lock = threading.Lock()
        self._waiting: dict[int, Call] = {}
        self._leader: Call | None = None
        self._led_at = 0.0
        self._closed = False

    def _connect(self, ctx: zmq.Context[Any] | None) -> None:
        self._context = context(ctx)
        self._waker = Waker()
        self._link = open_link(self._context, self.endpoints)
        self._gate = Gate(*self._link.fds, self._waker.fd)

    # ---- blocking calls

    def complete(self, call: Call, timeout: float) -> None:
        """Make a call and wait until it is done; Ctrl-C abandons it."""
        shield = Shield()
        try:
            self._begin(call, timeout)
            while not call.done:
                if self._leader is call:
                    self._lead(shield)
                else:
                    self._follow(call, shield)
        finally:
            shield.lift()
            self._leave(call)
            shield.end()

    def _begin(self, call: Call, timeout: float) -> None:
        call.waiter = threading.Lock()
        call.waiter.acquire()
        with self._lock:
            self._submit(call, timeout)
            self._waiting[id(call)] = call
            if self._leader is None:
                self._leader = call

    def _lead(self, shield: Shield) -> None:
        """Wait for the socket once, and complete whatever has come."""
        now = clock()
        self._led_at = now
        due = self.core.next_deadline()
        turn = _TURN if self.core.up else _CONNECTING
        timeout = turn if due is None else min(turn, due - now)
        gate = self._gate
        shield.lower()
        try:
            ready = gate.wait(timeout)
        except RuntimeError:
            # Two leaders for a moment: this one looks by itself.
            ready = Gate(*self._link.fds, self._waker.fd).wait(timeout)
        shield.lift()
        with self._lock:
            if self._waker.fd in ready:
                self._waker.clear()
            self._pump(ready)

    def _follow(self, call: Call, shield: Shield) -> None:
        """Wait to be completed or promoted; step in when the leader does not lead."""
        shield.lower()
        call.waiter.acquire(timeout=_TURN)
        shield.lift()
        if call.done or self._leader is call:
            return
        with self._lock:
            leader = self._leader
            if leader is None or leader.done or clock() - self._led_at > 2 * _TURN:
                self._leader = call

    def _leave(self, call: Call) -> None:
        """The call has ended, whichever way; who led hands over to the oldest waiter."""
        with self._lock:
            self._waiting.pop(id(call), None)
            self._abandon(call)
            if self._leader is call or self._leader is None:
                self._leader = next(iter(self._waiting.values()), None)
                self._led_at = clock()
                if self._leader is not None:
                    self._leader.wake()
            if self._closed and not self._waiting:
                self._waker.close()

    # ---- the socket; all of this with the lock

    def _submit(self, call: Call, timeout: float) -> None:
        if self._closed:
            raise errors.Closed("this client was closed; make a new one.")
        now = clock()
        self._take_changes(now)
        out: list[Effect] = []
        self.core.submit(call, now, timeout, out)
        self._carry_out(out, now)
        self._read(now)

    def _abandon(self, call: Call) -> None:
        if call.done or self._closed:
            return
        now = clock()
        self._read(now)  # it may have been answered already
        out: list[Effect] = []
        self.core.abandon(call, now, out)
        self._carry_out(out, now)
        self._read(now)

    def _pump(self, ready: list[int]) -> None:
        """Take all that has come, and see whether something is due."""
        if self._closed:
            return
        now = clock()
        messages = self._link.fds[0]
        self._read(now, messages in ready)
        self._take_changes(now)
        due = self.core.next_deadline()
        if due is not None and now >= due:
            out: list[Effect] = []
            self.core.tick(now, out)
            self._carry_out(out, now)
            self._read(now)

    def _read(self, now: float, signalled: bool = False) -> None:
        """Take what has come. With no call open the last look, for more, is left undone:
        the next call looks before it waits.
        """
        link, core = self._link, self.core
        while signalled or link.readable():
            signalled = False
            frames = link.receive()
            if frames is None:
                break
            core.on_frames(frames, now)
            if not core.open_calls:
                break

    def _take_changes(self, now: float) -> None:
        for up in self._link.changes(now):
            if not up:
                self._read(now)
                self.core.link_down()
            elif not self.core.up:
                out: list[Effect] = []
                self.core.link_up(now, out)
                self._carry_out(out, now)
        self._read(now)  # looking for changes may have read messages

    def _carry_out(self, out: list[Effect], now: float) -> None:
        for index, effect in enumerate(out):
            if isinstance(effect, Reopen):
                self._reopen()
            elif isinstance(effect, list) and not self._link.send(effect):
                rest = [frames for frames in out[index:] if isinstance(frames, list)]
                self.core.unsent(rest, now)
                return

    def _reopen(self) -> None:
        self._link.close()
        self._link = open_link(self._context, self.endpoints)
        self._gate = Gate(*self._link.fds, self._waker.fd)
        self._waker.wake()

    # ---- the end

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """End all open calls and close the connection. May be called twice."""
        shield = Shield()
        try:
            with self._lock:
                if self._closed:
                    return
                out: list[Effect] = []
                linger = self.core.close(out)
                self._carry_out(out, clock())
                self._closed = True
                self.core.fail_all(errors.Closed("the client was closed."))
                self._link.close(_LINGER if linger else 0.0)
                self._waker.wake()
                if not self._waiting:
                    self._waker.close()
        finally:
            shield.end()

    def __del__(self) -> None:
        if hasattr(self, "_gate") and not self._closed:
            self._link.close()
            self._waker.close()

    def on_fork(self) -> None:
        """In a child: what was inherited belongs to the parent; the first use connects anew."""
        closed = self._closed
        self._begin_anew()
        self._closed = closed
        self._reviving = threading.Lock()
        if not closed:
            self.__class__ = FORKED.get(type(self), type(self))


class Forked(Caller):
    """A caller in a forked child, until it is used or closed there."""

    def complete(self, call: Call, timeout: float) -> None:
        self.revive()
        self.complete(call, timeout)

    def close(self) -> None:
        self.revive(closed=True)
        self.close()

    def revive(self, closed: bool = False) -> None:
        """Become a living caller with a connection of its own, or a closed one.

        Raises:
            Closed: an inproc broker stayed behind in the parent.
        """
        with self._reviving:
            living = LIVING.get(type(self))
            if living is None:
                return  # another thread was quicker
            if self.endpoints.transport == "inproc" and not closed:
                raise errors.Closed(
                    f"{self.endpoints.rocBroker} was left behind in the process that this one"
                    " was forked from: inproc reaches no further. Use tcp or ipc."
                )
            self._disown()
            self._closed = closed
            if not closed:
                self._connect(None)
            self.__class__ = living  # type: ignore[assignment]

    def _disown(self) -> None:
        keep(self._link, self._context)
        self._waker.close()  # this end of it; the parent has its own

    def __del__(self) -> None:
        self._disown()


FORKED: dict[type[Caller], type[Caller]] = {Caller: Forked}
LIVING: dict[type[Caller], type[Caller]] = {Forked: Caller}
