"""Threads that stand back."""

from __future__ import annotations

import os
import threading

import pytest

from runmacs.roc._drivers.standing import stand_back

needs_policies = pytest.mark.skipif(
    not hasattr(os, "SCHED_BATCH"), reason="threads have no policies; run it on Linux"
)


def in_a_thread(*policies: int) -> list[int]:
    """The policies of a thread that began with each of these, after it stood back."""
    found: list[int] = []

    def stand() -> None:
        for policy in policies:
            os.sched_setscheduler(0, policy, os.sched_param(0))
            stand_back()
            found.append(os.sched_getscheduler(0))

    thread = threading.Thread(target=stand)
    thread.start()
    thread.join()
    return found


@needs_policies
def test_a_thread_stands_back_and_no_other_does() -> None:
    before = os.sched_getscheduler(0)
    assert in_a_thread(os.SCHED_OTHER) == [os.SCHED_BATCH]
    assert os.sched_getscheduler(0) == before


@needs_policies
def test_what_somebody_else_has_chosen_stays() -> None:
    assert in_a_thread(os.SCHED_BATCH, os.SCHED_IDLE) == [os.SCHED_BATCH, os.SCHED_IDLE]


def test_a_system_without_policies_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getscheduler", raising=False)
    stand_back()
