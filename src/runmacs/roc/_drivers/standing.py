"""Threads that stand back, as nobody waits for what they do, and those that step forward.

No thread gets more of the processor than its share, and none needs a privilege.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from . import native

__all__ = ["stand_back", "step_forward"]


def stand_back() -> None:
    """From here on this thread interrupts nobody: woken up, it begins when others pause.

    It keeps its share of the processor, and needs no privilege. Where the system knows no such
    thing, or somebody has given the thread another rank already, nothing is changed.
    """
    with contextlib.suppress(AttributeError, OSError):
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


@contextlib.contextmanager
def step_forward() -> Iterator[None]:
    """Meanwhile this thread, woken up, goes before those who compute: others wait for it.

    What it begins meanwhile would inherit that, so it is for threads that run nobody else's
    code. Without the C extension, before Linux 6.12, or where somebody has given the thread
    another rank already, nothing is changed.
    """
    before = native.shorten_slice()
    try:
        yield
    finally:
        native.restore_slice(before)
