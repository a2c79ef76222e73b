"""Threads that stand back: nobody waits for what they do."""

from __future__ import annotations

import contextlib
import os

__all__ = ["stand_back"]


def stand_back() -> None:
    """From here on this thread interrupts nobody: woken up, it begins when others pause.

    It keeps its share of the processor, and needs no privilege. Where the system knows no such
    thing, or somebody has given the thread another rank already, nothing is changed.
    """
    with contextlib.suppress(AttributeError, OSError):
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
