"""Calls that go on in threads of the test, and when each of them ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["Calling"]


class Calling:
    """One call in a thread of its own.

    Attributes:
        result: what it returned.
        error: what it raised.
        began: when it was made, on the monotonic clock.
        ended: when its caller knew, on the monotonic clock.
    """

    def __init__(self, call: Callable[..., object], *args: object) -> None:
        self.result: object = None
        self.error: BaseException | None = None
        self.began = self.ended = 0.0
        self._call = call
        self._args = args
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.began = time.monotonic()
        try:
            self.result = self._call(*self._args)
        except BaseException as error:
            self.error = error
        self.ended = time.monotonic()

    def wait(self, timeout: float = 30.0) -> Calling:
        """Wait for the end of the call."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), f"the call has not ended within {timeout} s"
        return self
