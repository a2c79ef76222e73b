"""Drives a client's calls from an asyncio event loop: the same core and connection.

* The loop watches the connection's descriptors, and a timer stands for the core's next
  deadline. No thread is involved, except for a loop that cannot watch descriptors
  (Windows' proactor): then a thread watches, and asks the loop to look.
* What has come is read before anything is found to be late. So a loop that stood still in
  somebody's computation gets the replies that came meanwhile, not timeouts.
* A call leaves at once. But of the many that tasks make in one turn of the loop only the first
  few do: the others leave together, a system call for each 64, and the last at its end.
* One client belongs to one loop, until that is closed.
* The loop holds a client only while calls are open: one that is dropped goes at once.
"""

from __future__ import annotations

import asyncio
import functools
import weakref
from collections.abc import Callable, Generator
from typing import Any

from .. import errors
from ..core.call import COLLECTED, Batch, Call, unsent_text
from .calling import FORKED, LIVING, TOGETHER, Caller, Forked
from .clock import now as clock
from .interrupts import Shield
from .watching import Readers, Watcher, run_in, watch

__all__ = ["LoopCaller"]

_CONNECTING = 0.05

_AT_ONCE = 16
"""Calls of one turn of the loop that are sent one by one."""


class LoopCaller(Caller):
    """The calls of one asyncio client. To be used in the loop's thread."""

    _tie: _Tie

    def _begin_anew(self) -> None:
        super()._begin_anew()
        self._tie = _Tie(self)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watch: Readers | Watcher | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._in_turn = 0

    # ---- calls

    async def complete_soon(self, call: Call, timeout: float) -> None:
        """Make a call and wait until it is done; a cancelled task abandons it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        call.waiter = _Promise(future)
        try:
            if self._loop is not loop:
                self._whole(self._settle_in, loop)
            self._in_turn += 1
            if self._in_turn > _AT_ONCE and not call.buffers:
                self._hold(call, timeout)
            else:
                self._whole(self._begin_soon, call, timeout)
            if not call.done:
                await future
        finally:
            if call.done:
                self._forget(call)
            else:
                # Not by this thread when the garbage collector of another ends the task.
                run_in(loop, self._whole, self._give_up, call)

    def promise(self, call: Call, finish: Callable[[Call], Any]) -> asyncio.Future[Any]:
        """The future of a call that is about to be made; ``finish`` makes its result.

        Raises:
            Closed: the client was closed.
        """
        if self._closed:
            raise errors.Closed("this client was closed; make a new one.")
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._whole(self._settle_in, loop)
        future = _Result(call, loop)
        call.waiter = _Answer(future, call, finish)
        future.add_done_callback(functools.partial(self._on_result, call))
        return future

    def _on_result(self, call: Call, future: asyncio.Future[Any]) -> None:
        if call.done:
            self._forget(call)
        else:  # it was cancelled
            self._whole(self._give_up, call)

    def begin_batch(self, batch: Batch, timeout: float) -> None:
        """Begin calls that travel together."""
        self._whole(self._begin_batch, batch, timeout)

    def _begin_batch(self, batch: Batch, timeout: float) -> None:
        calls = batch.calls()
        self._submit_batch(batch, timeout)
        self._waiting.update((id(call), call) for call in calls if not call.done)
        self._tie.held = self if self._waiting else None

    def _hold(self, call: Call, timeout: float) -> None:
        """Send it at the end of this turn of the loop."""
        call.timeout, call.deadline = timeout, clock() + timeout
        self._waiting[id(call)] = call
        self._tie.held = self
        self._held.append(call)
        if len(self._held) == 1:
            asyncio.get_running_loop().call_soon(self._tie.end_turn)
        if len(self._held) >= TOGETHER:
            self._whole(self._exchange)

    def on_turn_end(self) -> None:
        """Other tasks have made their calls: send what is held."""
        self._in_turn = 0
        if self._held:
            self._whole(self._exchange)

    def _settle_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """Belong to the loop that runs, unless another is still open."""
        if self._closed:
            return
        if self._loop is not None and not self._loop.is_closed():
            raise errors.LocalProtocolError(
                "this client belongs to another event loop, which is still open; make one"
                " client for each loop."
            )
        self._unwatch()
        for left_behind in list(self._waiting.values()):
            if isinstance(left_behind, Call):
                self._give_up(left_behind)
        self._loop = loop
        self._in_turn = 0

    def _begin_soon(self, call: Call, timeout: float) -> None:
        self._submit(call, timeout)
        self._waiting[id(call)] = call
        self._tie.held = self

    def _give_up(self, call: Call) -> None:
        call.waiter = None  # nobody waits, and its loop may be closed
        if id(call) in self._waiting or call.state == COLLECTED:
            self._abandon(call)
        self._forget(call)

    def _forget(self, call: Call) -> None:
        self._waiting.pop(id(call), None)
        if not self._waiting:
            self._tie.held = None

    # ---- the loop

    def on_readable(self, descriptor: int) -> None:
        """Something has come. The loop looks once in a turn."""
        if not self._held:
            self._in_turn = 0
        self._whole(self._pump, [descriptor])

    def on_due(self) -> None:
        """Something is due."""
        self._timer = None
        self._whole(self._pump, [])

    def _whole(self, step: Callable[..., None], *args: Any) -> None:
        """Do something with the socket; Ctrl-C strikes before or after it."""
        shield = Shield()
        try:
            with self._lock:
                step(*args)
            self._plan()
        finally:
            shield.end()

    def _plan(self) -> None:
        """See to it that the loop watches the connection, and rings when something is due."""
        loop = self._loop
        if loop is None or self._closed or loop.is_closed():
            return
        if self._watch is None:
            self._watch = watch(loop, self._link.fds, self._tie.readable)
        due = self.core.next_deadline()
        if due is None:
            return
        now = clock()
        if not self.core.up:
            due = min(due, now + _CONNECTING)
        if self._timer is not None:
            if now < self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer_due = due
        self._timer = loop.call_later(max(0.0, due - now), self._tie.due)

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _reopen(self) -> None:
        self._unwatch()  # first: the new descriptors may have the old ones' numbers
        super()._reopen()

    # ---- the end

    def close(self) -> None:
        """End all open calls and close the connection. May be called twice.

        In another thread than the loop's it happens as soon as the loop can see to it.
        """
        run_in(self._loop, self._close)

    def _close(self) -> None:
        shield = Shield()
        try:
            if not self._closed:
                self._unwatch()
                super().close()
                self._waker.close()
        finally:
            shield.end()

    def __del__(self) -> None:
        if hasattr(self, "_gate") and not self._closed:
            watch, timer, link, waker = self._watch, self._timer, self._link, self._waker

            def end() -> None:
                if watch is not None:
                    watch.stop()
                if timer is not None:
                    timer.cancel()
                link.close()
                waker.close()

            run_in(self._loop, end)

    def on_fork(self) -> None:
        """In a child: what its loop watches is the parent's, who watches on."""
        self._tie.cut()
        super().on_fork()


class _ForkedLoopCaller(Forked, LoopCaller):
    """An asyncio client's caller in a forked child, until it is used."""

    async def complete_soon(self, call: Call, timeout: float) -> None:
        self.revive()
        await self.complete_soon(call, timeout)

    def promise(self, call: Call, finish: Callable[[Call], Any]) -> asyncio.Future[Any]:
        self.revive()
        return self.promise(call, finish)


FORKED[LoopCaller] = _ForkedLoopCaller
LIVING[_ForkedLoopCaller] = LoopCaller


class _Promise:
    """Stands where a blocking caller has its lock."""

    __slots__ = ("_future",)

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self._future = future

    def locked(self) -> bool:
        return not self._future.done() and not self._future.get_loop().is_closed()

    def release(self) -> None:
        self._future.set_result(None)


class _Result(asyncio.Future[Any]):
    """The result of a call that is made for later."""

    def __init__(self, call: Call, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._call = call

    def __await__(self) -> Generator[Any, None, Any]:
        if self._call.state == COLLECTED:
            raise errors.LocalProtocolError(unsent_text(self._call))
        return super().__await__()

    __iter__ = __await__


class _Answer(_Promise):
    """Makes the result of a call known when it has ended."""

    __slots__ = ("_call", "_finish")

    def __init__(
        self, future: asyncio.Future[Any], call: Call, finish: Callable[[Call], Any]
    ) -> None:
        super().__init__(future)
        self._call = call
        self._finish = finish

    def release(self) -> None:
        try:
            value = self._finish(self._call)
        except Exception as error:
            self._future.set_exception(error)
        else:
            self._future.set_result(value)


class _Tie:
    """What a loop has of a client. It keeps it alive only while calls are open."""

    __slots__ = ("_caller", "held")

    def __init__(self, caller: LoopCaller) -> None:
        self._caller: Callable[[], LoopCaller | None] = weakref.ref(caller)
        self.held: LoopCaller | None = None

    def readable(self, descriptor: int) -> None:
        caller = self._caller()
        if caller is not None:
            caller.on_readable(descriptor)

    def due(self) -> None:
        caller = self._caller()
        if caller is not None:
            caller.on_due()

    def end_turn(self) -> None:
        caller = self._caller()
        if caller is not None:
            caller.on_turn_end()

    def cut(self) -> None:
        self._caller = lambda: None
        self.held = None
