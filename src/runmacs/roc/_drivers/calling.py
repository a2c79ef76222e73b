"""Drives a client's calls: *whoever waits, drives.*

The socket is guarded by a lock, and used only with it. Of the threads that wait for a
call one is the *leader*: it waits on the socket's descriptors, without the lock, and
completes the calls of all. The others wait for their own call to be completed, or to be
made leader. So a single caller has no thread hop, and many callers share one.

Leadership is a courtesy, not a right: two leaders would do no harm, as each takes the
lock before it touches anything. That is why a lost one (a thread that died, an interrupt
at the worst of moments) is simply replaced by whichever waiter notices.

Calls that need not leave one by one are *held* for a moment, and go together, in one
system call. Whoever touches the socket hands them over first, so that the order stays.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import zmq

from .. import errors
from ..core.call import Batch, Call
from ..core.caller import CallerCore
from ..core.effects import Effect, Reopen
from ..endpoints import Endpoints
from .clock import now as clock
from .forking import keep, register
from .gates import Gate, Waker
from .interrupts import Shield
from .links import open_link
from .sockets import context

__all__ = ["FORKED", "LIVING", "TOGETHER", "Caller", "Forked", "Waiting"]

_TURN = 0.25
"""Seconds that a wait lasts at most before things are looked at again."""

_CONNECTING = 0.05
"""The same while there is no connection."""

TOGETHER = 64
"""Calls that are sent together at most: one system call takes as many parts."""

_LINGER = 1.0
"""Seconds that the last messages have to leave."""


class Waiting(Protocol):
    """A thread that waits, or what it waits for."""

    waiter: Any
    """A lock that is released to wake it."""

    @property
    def done(self) -> bool:
        """Whether it need not wait any longer."""

    def wake(self) -> None:
        """Have it look."""


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
        self._waiting: dict[int, Waiting] = {}
        self._leader: Waiting | None = None
        self._held: deque[Call] = deque()
        self._ended: deque[Any] = deque()
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
                self._wait(call, shield)
        finally:
            shield.lift()
            self._leave(call, call)
            shield.end()

    def _begin(self, call: Call, timeout: float) -> None:
        call.waiter = threading.Lock()
        call.waiter.acquire()
        with self._lock:
            self._submit(call, timeout)
            self._join(call)

    def _join(self, waiting: Waiting) -> None:
        """One more waits; with the lock."""
        self._waiting[id(waiting)] = waiting
        if self._leader is None:
            self._leader = waiting

    def _wait(self, waiting: Waiting, shield: Shield, until: float = math.inf) -> None:
        """Wait once, as whatever it is."""
        if self._leader is waiting:
            self._lead(shield, until)
        else:
            self._follow(waiting, shield, until)

    def _lead(self, shield: Shield, until: float = math.inf, gate: Gate | None = None) -> None:
        """Wait for the socket once, and complete whatever has come."""
        if self._held:
            with self._lock:
                self._hand_over(clock())
        if self._ended:
            self._settle()
            return
        now = clock()
        self._led_at = now
        due = self.core.next_deadline()
        turn = min(_TURN if self.core.up else _CONNECTING, until - now)
        timeout = turn if due is None else min(turn, due - now)
        gate = gate or self._gate
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
        if self._ended:
            self._settle()

    def _follow(self, waiting: Waiting, shield: Shield, until: float = math.inf) -> None:
        """Wait to be completed or promoted; step in when the leader does not lead."""
        shield.lower()
        waiting.waiter.acquire(timeout=max(0.0, min(_TURN, until - clock())))
        shield.lift()
        if waiting.done or self._leader is waiting:
            return
        with self._lock:
            leader = self._leader
            if leader is None or leader.done or clock() - self._led_at > 2 * _TURN:
                self._leader = waiting

    def _leave(self, waiting: Waiting, call: Call | None = None) -> None:
        """It waits no longer, whatever for; who led hands over to the oldest waiter.

        ``call`` is abandoned if it is not done.
        """
        with self._lock:
            self._waiting.pop(id(waiting), None)
            if call is not None:
                self._abandon(call)
            if self._leader is waiting or self._leader is None:
                self._hand_on()
            if self._closed and not self._waiting:
                self._waker.close()
        if self._ended:
            self._settle()

    def _hand_on(self) -> None:
        """Make the oldest waiter leader; with the lock."""
        self._leader = next(iter(self._waiting.values()), None)
        self._led_at = clock()
        if self._leader is not None:
            self._leader.wake()

    def _settle(self) -> None:
        """Tell those who are told without the lock what has ended: `futures` has such."""

    # ---- the socket; all of this with the lock

    def _submit(self, call: Call, timeout: float, deadline: float | None = None) -> None:
        now = self._ready()
        out: list[Effect] = []
        self.core.submit(call, now, timeout, out, deadline)
        self._carry_out(out, now)
        self._read(now)

    def _submit_batch(self, batch: Batch, timeout: float) -> None:
        now = self._ready()
        out: list[Effect] = []
        self.core.submit_batch(batch, now, timeout, out)
        self._carry_out(out, now)
        self._read(now)

    def _exchange(self) -> None:
        """Send what is held, and take what has come."""
        now = self._ready()
        self._read(now, True)

    def _ready(self) -> float:
        """All that came before a call that is to be made now is done; the time."""
        now = clock()
        if not self._closed:
            self._take_changes(now)
        if self._held:
            self._hand_over(now)
        if self._closed:
            raise errors.Closed("this client was closed; make a new one.")
        return now

    def _hand_over(self, now: float) -> None:
        """Send the calls that were held, together."""
        out: list[Any] = []
        held = self._held
        while held:
            call = held.popleft()
            if self._closed:
                self.core.refuse(call, _closed(call))
            else:
                self.core.submit(call, now, call.timeout, out, call.deadline)
        if not out:
            return
        if not self._link.send_all(()):
            self.core.unsent(out, now)  # there is no connection
        elif not self._link.send_all(out):
            pass  # It broke: nobody knows what of it has left. The core hears of that soon.
        self.core.taken()

    def _abandon(self, call: Call) -> None:
        if call.done or self._closed:
            return
        if call in self._held:
            self._held.remove(call)
            self.core.refuse(call, errors.Closed(f"{call.name}: abandoned by its caller."))
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
                break
        if self.core.leaving:
            self.core.taken()

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
                self._hand_over(clock())  # which refuses them
                self.core.fail_all(errors.Closed("the client was closed."))
                self._link.close(_LINGER if linger else 0.0)
                self._waker.wake()
                if not self._waiting:
                    self._waker.close()
            self._settle()
        finally:
            shield.end()

    def __del__(self) -> None:
        if hasattr(self, "_gate") and not self._closed:
            self._link.close(_LINGER if self.core.owes else 0.0)
            self._waker.close()

    def on_fork(self) -> None:
        """In a child: what was inherited belongs to the parent; the first use connects anew."""
        closed = self._closed
        self._begin_anew()
        self._closed = closed
        self._reviving = threading.Lock()
        if not closed:
            self.__class__ = FORKED.get(type(self), type(self))


def _closed(call: Call) -> errors.Closed:
    return errors.Closed(f"{call.name}: the client was closed.", executed=False)


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
