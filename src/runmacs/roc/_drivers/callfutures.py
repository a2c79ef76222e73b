"""The future of a call: what a program has in its hand until the call has ended.

It does nothing by itself: whoever drives its client's connection tells it; see `futures`.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures._base import FINISHED, PENDING
from typing import Any, Protocol

from .. import errors
from ..core.call import COLLECTED, Call, unsent_text
from .calling import Waiting
from .clock import now as clock

__all__ = ["CallFuture"]


class Driver(Protocol):
    """What a future needs of its client.

    Attributes:
        condition: guards the state of its futures, as `concurrent.futures` has it.
    """

    condition: threading.Condition

    def await_future(self, future: CallFuture, until: float) -> None:
        """Drive until it is done, or the time is over."""

    def withdraw(self, future: CallFuture) -> bool:
        """Abandon the call of a future; False if it has ended already."""

    def call_back(self, fn: Callable[[Any], object], future: CallFuture) -> None:
        """Have a done-callback called, in the background."""

    def has_ended(self, future: CallFuture) -> None:
        """A future's call has; with the lock."""


class CallFuture(concurrent.futures.Future[Any]):
    """A call that was begun, and its result when there is one.

    A `concurrent.futures.Future`, with two differences: `cancel` withdraws the call, also
    when it was sent, and done-callbacks are called in a thread of ROC's own.
    """

    _state = PENDING
    _result: Any = None
    _exception: BaseException | None = None
    _withdrawn = False
    _watchers: tuple[Waiting, ...] = ()

    def __init__(self, caller: Driver, call: Call, finish: Callable[[Call], Any]) -> None:
        # All that the base's does, but the condition: to make one would take longer than all
        # the rest. Nobody waits for it, so that the futures of a client can have one together.
        self._condition = caller.condition
        self._waiters: list[Any] = []
        self._done_callbacks: list[Any] = []
        self._caller: Driver | None = caller
        self._call = call
        self._finish: Callable[[Call], Any] | None = finish

    # ---- what the program does

    def result(self, timeout: float | None = None) -> Any:
        """The call's result; waits for it.

        Raises:
            RocError: what a blocking call would have raised. Its own timeout is one of
                them: the call ends by itself.
            TimeoutError: it has no result within ``timeout`` seconds; the call goes on.
            concurrent.futures.CancelledError: it was cancelled.
        """
        self._await(timeout)
        try:
            return super().result(0)
        except errors.RocError as error:
            error.__traceback__ = None
            raise

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the call failed with, or None; waits as `result` does."""
        self._await(timeout)
        return super().exception(0)

    def _await(self, timeout: float | None) -> None:
        caller = self._caller
        if self._call.state == COLLECTED:
            raise errors.LocalProtocolError(unsent_text(self._call))
        if caller is not None and not self.done():
            caller.await_future(self, math.inf if timeout is None else clock() + timeout)

    def cancel(self) -> bool:
        """Withdraw the call: if it has not begun, it never will; else its result is dropped.

        Returns:
            False if it has ended already.
        """
        caller = self._caller
        if caller is None or not caller.withdraw(self):
            return self.cancelled()
        super().cancel()
        self.set_running_or_notify_cancel()
        self._wake()
        return True

    def add_done_callback(self, fn: Callable[[concurrent.futures.Future[Any]], object]) -> None:
        """Have ``fn(future)`` called when it is done; at once if it is so already.

        It is called in a thread of ROC's own, one callback after another: keep it short.
        """
        caller = self._caller
        if caller is not None and not self.done():
            fn = functools.partial(caller.call_back, fn)
        super().add_done_callback(fn)

    # ---- what its caller does

    def locked(self) -> bool:
        """Whether its call is to say when it has ended."""
        return not self._withdrawn and self._caller is not None

    def release(self) -> None:
        """Its call has ended; with the lock."""
        if self._caller is not None:
            self._caller.has_ended(self)

    @contextlib.contextmanager
    def watched_by(self, waiting: Waiting) -> Iterator[None]:
        """Wake this one, too, at its end."""
        with self._condition:
            self._watchers = (*self._watchers, waiting)
        try:
            yield
        finally:
            with self._condition:
                self._watchers = tuple(other for other in self._watchers if other is not waiting)

    def mark_withdrawn(self) -> None:
        """Its call is about to be withdrawn; with the lock."""
        self._withdrawn = True

    def settle(self) -> None:
        """Take the result of its call, and tell everybody."""
        finish, self._finish = self._finish, None
        if finish is None or self._withdrawn:
            return
        call = self._call
        try:
            value = finish(call)
        except BaseException as error:
            error.__traceback__ = None
            self.set_exception(error)
        else:
            self._succeed(value)
        call.response, call.frames = None, ()
        self._wake()

    def _succeed(self, value: object) -> None:
        """What `set_result` does; in short where nobody is to be called back."""
        with self._condition:
            if not self._done_callbacks:
                self._result = value
                self._state = FINISHED
                for waiter in self._waiters:
                    waiter.add_result(self)
                return
        self.set_result(value)

    def done(self) -> bool:
        return self._state != PENDING

    def _wake(self) -> None:
        self._caller = None  # a result that is kept keeps no client
        for waiting in self._watchers:
            waiting.wake()

    def orphan(self) -> None:
        """In a forked child: its call is the parent's, and so is its result."""
        self._caller = self._finish = None
        self._done_callbacks = []
        if not self.done():
            name = self._call.name
            why = f"{name}: the call was made by the process that this one was forked from."
            self.set_exception(errors.Closed(why, executed=None))
