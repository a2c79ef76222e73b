"""Drives calls that a program begins now, and waits for later.

Rules:

* Whoever waits, drives: `CallFuture.result` drives the connection as a blocking call does.
  Where nobody waits here (the program computes, or is in ``concurrent.futures.wait``), a
  background thread does. While futures are open it looks every millisecond, drives when
  nobody else does, gives way at once to one who waits, and ends when nothing was open for a
  second.
* Who begins calls in a loop has them held, and sent together; and reads, while it is at it,
  what has come. The first one of a loop leaves at once, the last ones at the next look.
* As many calls as a client may have open may be begun; one more waits until there is room.
* A future is told of its end without the lock, by whoever drives. Done-callbacks are the
  program's code: the background thread calls them, so that they hold up nobody else.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

from .. import errors
from ..core.call import Batch, Call
from .callfutures import CallFuture
from .calling import FORKED, LIVING, TOGETHER, Caller, Forked, Waiting
from .clock import now as clock
from .gates import Gate, Waker
from .interrupts import OwnThread, Shield
from .links import is_of_libzmq

__all__ = ["FutureCaller"]

_LOOK = 0.001
"""Seconds between two looks of the background thread while futures are open."""

_SELDOM = 0.01
"""The same while nothing is open, or somebody drives and no calls are begun."""

_IDLE_LOOKS = 100

_LOOP = 0.0002
"""Seconds within which another call follows in a loop."""

_logger = logging.getLogger("concurrent.futures")


class _Watcher:
    """A thread that waits for something else than a call of its own."""

    def __init__(self, over: Callable[[], bool], until: float) -> None:
        self.waiter = threading.Lock()
        self.waiter.acquire()
        self._over = over
        self._until = until

    @property
    def done(self) -> bool:
        return self._over() or clock() >= self._until

    def wake(self) -> None:
        if self.waiter.locked():
            self.waiter.release()


class FutureCaller(Caller):
    """A caller whose calls need not be waited for.

    Attributes:
        condition: guards the state of its futures, as `concurrent.futures` has it.
    """

    def _begin_anew(self) -> None:
        super()._begin_anew()
        self.condition = threading.Condition()
        self._background: Background | None = None
        self._callbacks: deque[Callable[[], object]] = deque()
        self._crowd: list[Waiting] = []
        self._handed_over = 0.0
        self._last = 0.0

    # ---- beginning

    def begin(self, call: Call, timeout: float, finish: Callable[[Call], Any]) -> CallFuture:
        """Begin a call; ``finish`` makes its result, when it is done.

        Raises:
            Closed: the client was closed.
        """
        future = self.promise(call, finish)
        call.timeout, call.deadline = timeout, clock() + timeout
        if self._crowded(1):
            self._await_room(1, call.deadline)
        if call.buffers:
            self._whole(self._send_now, call)
        else:
            self._hold(call)
        self._be_attended()
        return future

    def _send_now(self, call: Call) -> None:
        """Send a call that has buffers; the program may write to them as soon as this returns."""
        if is_of_libzmq(self.endpoints):
            call.buffers = list(map(bytes, call.buffers))
        self._submit(call, call.timeout, call.deadline)
        if call.state == "queued":
            call.buffers = list(map(bytes, call.buffers))

    def promise(self, call: Call, finish: Callable[[Call], Any]) -> CallFuture:
        """The future of a call that is about to be made."""
        if self._closed:
            raise errors.Closed("this client was closed; make a new one.")
        call.waiter = future = CallFuture(self, call, finish)
        return future

    def begin_batch(self, batch: Batch, timeout: float) -> None:
        """Begin calls that travel together; each has a `promise`."""
        count = len(batch.calls())
        if self._crowded(count):
            self._await_room(count, clock() + timeout)
        self._whole(self._submit_batch, batch, timeout)
        self._be_attended()

    def _hold(self, call: Call) -> None:
        """Send a call a moment later, with others that follow in a loop."""
        now = clock()
        held = self._held
        held.append(call)
        follows = now - self._last < _LOOP
        self._last = now
        if not follows or len(held) >= TOGETHER or now - self._handed_over > _LOOK:
            self._handed_over = now
            self._whole(self._exchange)

    def _whole(self, step: Callable[..., None], *args: Any) -> None:
        """Do something with the socket; Ctrl-C strikes before or after it."""
        shield = Shield()
        try:
            try:
                with self._lock:
                    step(*args)
            finally:
                self._settle()
        finally:
            shield.end()

    # ---- the end of a call

    def has_ended(self, future: CallFuture) -> None:
        """A future's call has; with the lock."""
        self._ended.append(future)

    def _settle(self) -> None:
        ended = self._ended
        while ended:
            try:
                future = ended.popleft()
            except IndexError:  # another thread was quicker
                break
            future.settle()
        if self._crowd:
            for waiting in list(self._crowd):
                waiting.wake()

    def withdraw(self, future: CallFuture) -> bool:
        """Abandon the call of a future; False if it has ended already."""
        found = []

        def withdraw(call: Call) -> None:
            if not self._closed:
                self._read(clock(), True)
            if not call.done:
                future.mark_withdrawn()
                self._abandon(call)
                found.append(call)

        self._whole(withdraw, future._call)
        return bool(found)

    # ---- waiting

    def await_future(self, future: CallFuture, until: float) -> None:
        """Drive until it is done, or the time is over."""
        watcher = _Watcher(future.done, until)
        with future.watched_by(watcher):
            self._stay(watcher, until)

    def _crowded(self, count: int) -> bool:
        """Whether there is no room for so many more. Some is kept for blocking calls, and for
        threads that look at the same time.
        """
        limit = self.core.limit
        kept = min(TOGETHER, limit // 10)
        return self.core.open_calls + len(self._held) + count > limit - kept

    def _await_room(self, count: int, until: float) -> None:
        """Drive until so many more calls may be open, or the time is over."""
        watcher = _Watcher(lambda: not self._crowded(count), until)
        self._crowd.append(watcher)
        try:
            self._stay(watcher, until)
        finally:
            self._crowd.remove(watcher)

    def _stay(self, watcher: _Watcher, until: float) -> None:
        shield = Shield()
        try:
            with self._lock:
                self._join(watcher)
            while not watcher.done:
                self._wait(watcher, shield, until)
        finally:
            shield.lift()
            self._leave(watcher)
            shield.end()

    def _join(self, waiting: Waiting) -> None:
        background = self._background
        if background is not None and self._leader is background:
            self._leader = None
            background.wake()
        super()._join(waiting)

    # ---- where nobody waits

    def call_back(self, fn: Callable[[Any], object], future: CallFuture) -> None:
        """Have a done-callback called, in the background."""
        self._callbacks.append(functools.partial(fn, future))
        self._be_attended()
        background = self._background
        if background is not None:
            background.wake()

    def _be_attended(self) -> None:
        """See to it that there is a background thread. It may be about to end: see `retire`."""
        if self._background is None:
            self._whole(self._start_background)

    def _start_background(self) -> None:
        if self._background is None:
            self._background = Background(self)
            self._background.start()

    def attend(self, background: Background) -> float | None:
        """A look of the background thread: when to look again; None when nothing is open."""
        while self._callbacks:
            self._run_callback(self._callbacks.popleft())
        if self._held:
            with contextlib.suppress(errors.Closed):
                self._whole(self._exchange)
        if not self.core.open_calls or self._closed:
            return _LOOK if self._callbacks else None
        quiet = clock() - self._last
        if self._leader is None and min(quiet, clock() - self._led_at) >= _LOOK:
            self._drive(background)
        return _LOOK if self._leader is None or quiet < _SELDOM else _SELDOM

    def _run_callback(self, callback: Callable[[], object]) -> None:
        try:
            callback()
        except Exception:
            _logger.exception("exception calling callback %r", callback)

    def _drive(self, background: Background) -> None:
        """Lead until somebody waits, or nothing is open."""
        with self._lock:
            if self._leader is None:
                self._leader = background
        shield = Shield()
        link = self._link
        gate = Gate(*link.fds, self._waker.fd, background.waker.fd, eager=False)
        while self._leader is background and self.core.open_calls and self._link is link:
            self._lead(shield, gate=gate)
            background.waker.clear()
            while self._callbacks:
                self._run_callback(self._callbacks.popleft())
        with self._lock:
            if self._leader is background:
                self._hand_on()

    def retire(self, background: Background) -> bool:
        """The background thread wants to end; whether it may.

        It says so before it looks for the last time, and who begins a call looks for it
        afterwards: one of the two sees the other.
        """
        self._background = None
        if not (self._held or self._callbacks or self.core.open_calls) or self._closed:
            return True
        return not self._resume(background)

    def _resume(self, background: Background) -> bool:
        with self._lock:
            if self._background is None:  # else another one was started meanwhile
                self._background = background
            return self._background is background

    # ---- the end

    def close(self) -> None:
        super().close()
        background = self._background
        if background is not None:
            background.wake()

    def on_fork(self) -> None:
        if self._background is not None:
            self._background.waker.close()  # this end of it; the thread is the parent's
        open_calls = [*self.core.calls(), *self._held]
        futures = [call.waiter for call in open_calls] + list(self._ended)
        threading.Condition.__init__(self.condition)  # another thread of the parent may hold it
        super().on_fork()
        for future in futures:
            if isinstance(future, CallFuture):
                future.orphan()


class Background:
    """A thread that drives a client's connection while futures are open and nobody waits.

    It keeps the client alive only as long as something is open.
    """

    done = False

    def __init__(self, caller: FutureCaller) -> None:
        self._caller = weakref.ref(caller)
        self.waker = Waker()
        self.waiter: Any = None

    def start(self) -> None:
        """Begin to look."""
        OwnThread(self._run, "roc-futures").start()

    def wake(self) -> None:
        """Have it look now."""
        self.waker.wake()

    def _run(self) -> None:
        gate = Gate(self.waker.fd, eager=False)
        pause: float | None = _LOOK
        idle = 0
        while self._looks_on(idle):
            gate.wait(_SELDOM if pause is None else pause)
            self.waker.clear()
            pause = self._look()
            idle = idle + 1 if pause is None else 0
        self.waker.close()

    def _look(self) -> float | None:
        caller = self._caller()
        return None if caller is None else caller.attend(self)

    def _looks_on(self, idle: int) -> bool:
        caller = self._caller()
        if caller is None:
            return False
        return not ((caller.closed and idle) or idle >= _IDLE_LOOKS) or not caller.retire(self)


class ForkedFutureCaller(Forked, FutureCaller):
    """The caller of a forked child, until it is used there."""

    def promise(self, call: Call, finish: Callable[[Call], Any]) -> CallFuture:
        self.revive()
        return self.promise(call, finish)

    def begin_batch(self, batch: Batch, timeout: float) -> None:
        self.revive()
        self.begin_batch(batch, timeout)


FORKED[FutureCaller] = ForkedFutureCaller
LIVING[ForkedFutureCaller] = FutureCaller
