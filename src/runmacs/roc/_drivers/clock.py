"""The clock of all deadlines: monotonic, and running through a suspended computer."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

__all__ = ["now"]


def _clock() -> Callable[[], float]:
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    if boottime is None:
        # macOS and Windows: their monotonic clocks run on, or stop, as the system has it.
        return time.monotonic
    return functools.partial(time.clock_gettime, boottime)


now = _clock()
"""Seconds; only differences mean something."""
