"""Threads that stand back, and those that step forward."""

from __future__ import annotations

import os
import threading

import pytest

from runmacs.roc._drivers import native
from runmacs.roc._drivers.standing import stand_back, step_forward
from slices import OWN, SHORT, slice_of

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
@pytest.mark.parametrize("before", [0, 10, 15])
def test_it_takes_a_small_share_and_no_larger_one_than_it_had(before: int) -> None:
    mine = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    before = max(before, mine)
    found: list[int] = []

    def stand() -> None:
        me = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, me, before)
        stand_back()
        found.append(os.getpriority(os.PRIO_PROCESS, me))

    thread = threading.Thread(target=stand)
    thread.start()
    thread.join()
    assert found == [max(10, before)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == mine


@needs_policies
def test_what_somebody_else_has_chosen_stays() -> None:
    assert in_a_thread(os.SCHED_BATCH, os.SCHED_IDLE) == [os.SCHED_BATCH, os.SCHED_IDLE]


def test_a_system_without_policies_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getscheduler", raising=False)
    stand_back()


def slices_of_a_thread(policy: int | None = None) -> list[int | None]:
    """The slice of a thread that steps forward: before, meanwhile, and afterwards."""
    found: list[int | None] = []

    def step() -> None:
        me = threading.current_thread()
        if policy is not None:
            os.sched_setscheduler(0, policy, os.sched_param(0))
        found.append(slice_of(me))
        with step_forward():
            found.append(slice_of(me))
        found.append(slice_of(me))

    thread = threading.Thread(target=step)
    thread.start()
    thread.join()
    return found


def test_a_thread_steps_forward_and_back() -> None:
    assert slices_of_a_thread() == [OWN, SHORT, OWN]


@needs_policies
def test_the_slice_is_short_where_the_system_and_the_extension_can() -> None:
    major, minor = os.uname().release.split(".")[:2]
    can = native.RUNS == "C" and (int(major), int(minor)) >= (6, 12) and OWN is not None
    assert (100_000 if can else OWN) == SHORT


@needs_policies
def test_a_thread_of_another_policy_does_not_step_forward() -> None:
    before, meanwhile, after = slices_of_a_thread(os.SCHED_BATCH)
    assert before == meanwhile == after


def test_what_is_short_already_stays() -> None:
    found: list[int | None] = []

    def step() -> None:
        with step_forward():
            with step_forward():
                pass
            found.append(slice_of(threading.current_thread()))

    thread = threading.Thread(target=step)
    thread.start()
    thread.join()
    assert found == [SHORT]
