"""Waiting for descriptors in an asyncio event loop.

The loop itself watches where it can. For one that cannot (Windows' proactor) a thread
watches, and asks the loop to look.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

from .gates import Gate, Waker
from .interrupts import OwnThread

__all__ = ["Readers", "Watcher", "readable", "run_in", "watch"]

_TURN = 0.25


def run_in(loop: asyncio.AbstractEventLoop | None, step: Callable[..., None], *args: Any) -> None:
    """Do it here, unless another thread runs the loop: then let that do it."""
    if loop is not None and loop.is_running() and asyncio._get_running_loop() is not loop:
        with contextlib.suppress(RuntimeError):  # closed this very moment
            loop.call_soon_threadsafe(step, *args)
            return
    step(*args)


def watch(
    loop: asyncio.AbstractEventLoop, descriptors: tuple[int, ...], ready: Callable[[int], None]
) -> Readers | Watcher:
    """Have ``ready`` called in the loop when a descriptor is readable, until it is stopped."""
    try:
        return Readers(loop, descriptors, ready)
    except NotImplementedError:
        return Watcher(loop, descriptors, ready)


class Readers:
    """The loop itself watches."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        descriptors: tuple[int, ...],
        ready: Callable[[int], None],
    ) -> None:
        self._loop = loop
        self._descriptors = descriptors
        for descriptor in descriptors:
            loop.add_reader(descriptor, ready, descriptor)

    def stop(self) -> None:
        """Watch no more. In the loop's thread."""
        if not self._loop.is_closed():
            for descriptor in self._descriptors:
                self._loop.remove_reader(descriptor)


class Watcher:
    """A thread watches, and asks the loop to look; not again before it has looked."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        descriptors: tuple[int, ...],
        ready: Callable[[int], None],
    ) -> None:
        self._loop = loop
        self._ready = ready
        self._looked = threading.Event()
        self._stopped = False
        self._waker = Waker()
        self._gate = Gate(*descriptors, self._waker.fd)
        OwnThread(self._run, "roc-watcher").start()

    def _run(self) -> None:
        # A loop that is closed, and so says no more, is noticed within a turn.
        while not self._over():
            for descriptor in self._gate.wait(_TURN):
                if self._over():
                    break
                self._looked.clear()
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._look, descriptor)
                while not self._looked.wait(_TURN) and not self._over():
                    pass
        self._waker.close()

    def _over(self) -> bool:
        return self._stopped or self._loop.is_closed()

    def _look(self, descriptor: int) -> None:
        try:
            if not self._stopped:
                self._ready(descriptor)
        finally:
            self._looked.set()

    def stop(self) -> None:
        """Watch no more. In the loop's thread."""
        self._stopped = True
        self._looked.set()
        self._waker.wake()


async def readable(descriptors: tuple[int, ...], seconds: float) -> list[int]:
    """Wait until one of them is readable, for at most so long; which one it is, if any.

    Each descriptor is to be waited for by one task at a time.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[int]] = loop.create_future()

    def end(*found: int) -> None:
        if not future.done():
            future.set_result(list(found))

    watching = watch(loop, descriptors, end)
    timer = loop.call_later(seconds, end)
    try:
        return await future
    finally:
        timer.cancel()
        # Not by this thread when the garbage collector of another ends the task.
        run_in(loop, watching.stop)
