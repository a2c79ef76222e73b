"""Drives a client's calls from an asyncio event loop: the same core and connection.

* The loop watches the connection's descriptors and pumps when one is readable; a timer
  stands for the core's next deadline. No thread is involved.
* A loop that cannot watch descriptors (Windows' proactor) has a thread do the watching,
  which then asks the loop to pump.
* One client belongs to one loop: the first that it is used in.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from .. import errors
from ..core.caller import Call
from .calling import FORKED, Caller, Forked
from .clock import now as clock
from .sockets import Gate

__all__ = ["LoopCaller"]

_IDLE = 0.25


class _Promise:
    """Stands where a blocking caller has its lock."""

    __slots__ = ("future",)

    def __init__(self, future: asyncio.Future[None]) -> None:
        self.future = future

    def locked(self) -> bool:
        return not self.future.done()

    def release(self) -> None:
        self.future.set_result(None)


class LoopCaller(Caller):
    """The calls of one asyncio client."""

    _loop: asyncio.AbstractEventLoop | None = None
    _timer: asyncio.TimerHandle | None = None
    _timer_due = 0.0
    _watched: tuple[int, ...] = ()
    _watcher: _Watcher | None = None

    async def complete_soon(self, call: Call, timeout: float) -> None:
        """Make a call and wait until it is done; a cancelled task abandons it."""
        loop = self._join()
        call.waiter = _Promise(loop.create_future())
        with self._lock:
            self._submit(call, timeout)
        self._plan()
        try:
            if not call.done:
                await call.waiter.future
        finally:
            if not call.done:
                with self._lock:
                    self._abandon(call)

    def _join(self) -> asyncio.AbstractEventLoop:
        """The running loop, which is ours from the first call on."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise errors.LocalProtocolError(
                "this client belongs to another event loop; make one client for each loop."
            )
        self._watch()
        return loop

    def _watch(self) -> None:
        """Have the loop watch the connection; anew after the connection was reopened."""
        if self._watched == self._link.fds or self._loop is None or self._closed:
            return
        self._unwatch()
        self._watched = self._link.fds
        try:
            for descriptor in self._watched:
                self._loop.add_reader(descriptor, self._on_readable, descriptor)
        except NotImplementedError:
            self._watcher = _Watcher(self._loop, self._watched, self._on_readable)

    def _unwatch(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher = None
        elif self._loop is not None and not self._loop.is_closed():
            for descriptor in self._watched:
                self._loop.remove_reader(descriptor)
        self._watched = ()

    def _on_readable(self, descriptor: int) -> None:
        with self._lock:
            self._pump([descriptor])
        self._plan()

    def _on_timer(self) -> None:
        self._timer = None
        with self._lock:
            self._pump([])
        self._plan()

    def _plan(self) -> None:
        """Set the timer for what is due next, and watch what must be watched."""
        self._watch()
        due = self.core.next_deadline()
        if self._loop is None or due is None or self._closed:
            return
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_later(max(0.0, due - clock()), self._on_timer)

    def close(self) -> None:
        """End all open calls and close the connection. May be called twice."""
        if not self._closed:
            self._unwatch()
            if self._timer is not None:
                self._timer.cancel()
        super().close()


class _Watcher:
    """A thread that watches descriptors for a loop that cannot."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fds: tuple[int, ...], ready: Any) -> None:
        self._loop = loop
        self._fds = fds
        self._ready = ready
        self._seen = threading.Event()
        self._stopped = False
        threading.Thread(target=self._watch, name="roc-watcher", daemon=True).start()

    def _watch(self) -> None:
        gate = Gate(*self._fds)
        while not self._stopped and not self._loop.is_closed():
            for descriptor in gate.wait(_IDLE):
                self._seen.clear()
                try:
                    self._loop.call_soon_threadsafe(self._pump, descriptor)
                except RuntimeError:
                    return
                self._seen.wait(_IDLE)

    def _pump(self, descriptor: int) -> None:
        if not self._stopped:
            self._ready(descriptor)
        self._seen.set()

    def stop(self) -> None:
        self._stopped = True


class _ForkedLoopCaller(Forked, LoopCaller):
    """An asyncio client's caller in a forked child, until it is used."""

    living = LoopCaller

    async def complete_soon(self, call: Call, timeout: float) -> None:
        self.revive()
        await self.complete_soon(call, timeout)

    def revive(self) -> None:
        self._loop = self._timer = self._watcher = None
        self._watched = ()
        super().revive()


FORKED[LoopCaller] = _ForkedLoopCaller
