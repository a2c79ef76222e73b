"""`FakeClock` and `LocalClock`: time that passes only when it is told to."""

from __future__ import annotations

import pytest

from runmacs.roc.testing import FakeClock, LocalClock


def test_actions_run_at_their_time_and_in_order() -> None:
    clock = FakeClock()
    done: list[tuple[str, float]] = []
    for name, seconds in (("late", 2.0), ("early", 1.0), ("early too", 1.0)):
        clock.after(seconds, lambda name=name: done.append((name, clock())))  # type: ignore[misc]
    clock.run(1.5)
    assert done == [("early", 1.0), ("early too", 1.0)]
    assert clock.now == 1.5
    clock.run(1.5)
    assert done[2:] == [("late", 2.0)]


def test_an_action_may_plan_others() -> None:
    clock = FakeClock(10.0)
    done: list[float] = []

    def again() -> None:
        done.append(clock())
        if len(done) < 3:
            clock.after(0.5, again)

    clock.at(11.0, again)
    clock.run(5.0)
    assert done == [11.0, 11.5, 12.0]


def test_what_was_cancelled_does_not_run_and_what_is_past_runs_now() -> None:
    clock = FakeClock(10.0)
    done: list[str] = []
    clock.at(3.0, lambda: done.append("past"))
    clock.after(1.0, lambda: done.append("cancelled")).cancel()
    clock.run(2.0)
    assert done == ["past"]


def test_time_stops_when_the_condition_holds() -> None:
    clock = FakeClock()
    done: list[float] = []
    for seconds in (1.0, 2.0, 3.0):
        clock.after(seconds, lambda: done.append(clock()))
    assert clock.run_until(10.0, lambda: len(done) == 2)
    assert clock.now == 2.0
    assert not clock.run_until(10.0, lambda: len(done) == 4)
    assert clock.now == 10.0


def test_another_computers_clock() -> None:
    clock = FakeClock(100.0)
    local = LocalClock(clock, offset=50.0, rate=1.5)
    assert local() == 200.0
    assert local.true(local()) == pytest.approx(100.0)
    clock.run(2.0)
    assert local() == 203.0
