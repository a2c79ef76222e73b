"""Waiting for a condition, with a deadline: what the tests do instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["wait_until"]

T = TypeVar("T")

PAUSE = 0.01


def wait_until(condition: Callable[[], T], timeout: float = 30.0, what: str = "condition") -> T:
    """Call ``condition`` until it gives something true, and return that.

    After ``timeout`` seconds it is asked once more, so that a standstill of the whole
    machine does not fail a test; then AssertionError, saying ``what`` did not come about::

        wait_until(lambda: "vnir" in client, what="vnir is back after the restart")

    The deadline only ends a test that hangs. Where it is a promise that something comes soon,
    measure how long it took, in a block of `promptness.prompt`.
    """
    deadline = time.monotonic() + timeout
    while True:
        late = time.monotonic() >= deadline
        if result := condition():
            return result
        if late:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(PAUSE)
