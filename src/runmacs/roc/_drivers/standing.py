"""Threads that stand back, as nobody waits for what they do, and those that step forward.

No thread gets more of the processor than its share, and none needs a privilege.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from . import native

__all__ = ["stand_back", "step_forward"]


_NICE = 10
"""Of two that want one processor the other one gets ten times as much."""


def stand_back() -> None:
    """From here on this thread interrupts nobody: woken up, it begins when others pause; and
    where there are more who want to run than processors, it has a small share.

    That needs no privilege. Where the system knows no such thing (all but Linux), or somebody
    has given the thread another rank already, nothing is changed.
    """
    with contextlib.suppress(AttributeError, OSError):
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
            thread = threading.get_native_id()
            if os.getpriority(os.PRIO_PROCESS, thread) < _NICE:
                os.setpriority(os.PRIO_PROCESS, thread, _NICE)


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
