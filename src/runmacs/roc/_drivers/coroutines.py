"""Runs the coroutines of ``async def`` methods, in the thread that executes methods.

Rules:

* There is one event loop for each run of a server. It is made for the first coroutine,
  and runs while one is awaited: a task that a method leaves behind rests in between.
* At the end tasks that are left are cancelled, and asynchronous generators closed.
"""

from __future__ import annotations

import inspect
from contextvars import copy_context
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from ..core.running import RUNNING

if TYPE_CHECKING:
    import asyncio

__all__ = ["Coroutines"]


class Coroutines:
    """The event loop of one server."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._context = copy_context()

    def run(self, coroutine: CoroutineType[Any, Any, Any]) -> Any:
        """Run it to its end, and return its result. Always in the same thread."""
        if self._runner is None:
            # Here, as it takes as long as all the rest of ROC to import.
            import asyncio

            self._runner = asyncio.Runner()
        try:
            # One context for all of them, as the loop has, that knows which call runs.
            self._context.run(RUNNING.set, RUNNING.get())
            return self._runner.run(coroutine, context=self._context)
        finally:
            if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                coroutine.close()  # refused, as a loop of the user's runs in this thread

    def close(self) -> None:
        """Cancel what is left in the loop, and close it."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.close()
