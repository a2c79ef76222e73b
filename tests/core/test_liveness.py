"""How long one's own loop stood still, and how late a message is."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runmacs.roc.core import liveness
from runmacs.roc.core.liveness import Standstill, Transit


def test_the_times_fit_together() -> None:
    assert liveness.BEAT * 3 <= liveness.SILENCE < liveness.LOST_AFTER
    assert liveness.STOCK_BEAT * 3 <= liveness.STOCK_SILENCE


# --- standstill -----------------------------------------------------------------------


class Loop:
    """A loop as drivers have it: wait, read, work, wait again."""

    def __init__(self) -> None:
        self.still = Standstill()
        self.now = 100.0

    def wait(self, asked: float, took: float) -> float:
        """Wait for ``asked`` seconds, which take ``took``; how long it stood still."""
        self.still.waiting(self.now, asked)
        self.now += took
        return self.still.awake(self.now)

    def work(self, took: float, asked: float = 0.1) -> float:
        """Work for ``took`` seconds, and be about to wait; how long it stood still."""
        self.now += took
        return self.still.waiting(self.now, asked)


@pytest.mark.parametrize("took", [0.0, 0.02, 0.1, 0.149])
def test_a_wait_as_long_as_asked_for_is_none(took: float) -> None:
    loop = Loop()
    assert loop.wait(0.1, took) == 0.0
    assert loop.still.age == 0.0
    assert loop.still.drained(loop.now)


def test_a_wait_that_lasts_longer_counts_from_its_beginning() -> None:
    """A message may have come right after the wait began."""
    loop = Loop()
    assert loop.wait(0.1, 3.0) == pytest.approx(3.0)
    assert loop.still.age == pytest.approx(3.0)


def test_work_that_lasts_counts_too() -> None:
    loop = Loop()
    loop.wait(0.1, 0.1)
    assert loop.work(0.04) == 0.0
    loop.wait(0.1, 0.1)
    assert loop.work(2.0) == pytest.approx(2.0)


def test_nothing_stood_still_before_the_first_wait() -> None:
    loop = Loop()
    loop.now += 1000.0
    assert loop.work(0.0) == 0.0
    assert loop.still.age == 0.0
    assert Standstill().awake(1000.0) == 0.0


def test_standstills_add_up_until_the_socket_is_empty() -> None:
    loop = Loop()
    loop.wait(0.1, 1.0)
    loop.work(0.5)
    assert loop.still.age == pytest.approx(1.5)
    assert not loop.still.drained(loop.now)
    loop.wait(0.1, 0.1)
    assert loop.still.drained(loop.now)
    assert loop.still.age == 0.0


def test_right_after_a_standstill_an_empty_socket_is_not_believed_yet() -> None:
    """The thread that reads from the network stood still as well."""
    loop = Loop()
    loop.wait(0.1, 1.0)
    for _ in range(3):
        assert not loop.still.drained(loop.now)
        loop.now += 0.01
    loop.now += 0.03
    assert loop.still.drained(loop.now)


def test_that_holds_for_short_ones_too() -> None:
    loop = Loop()
    loop.wait(0.0, 0.06)
    assert loop.still.age == pytest.approx(0.06)
    assert not loop.still.drained(loop.now)
    loop.now += 0.051
    assert loop.still.drained(loop.now)


def test_short_standstills_in_a_row_do_not_put_that_off() -> None:
    """A process that gets its computing time in slices does not age without end."""
    loop = Loop()
    ages = []
    for _ in range(50):
        loop.wait(0.001, 0.06)
        loop.still.drained(loop.now)
        ages.append(loop.still.age)
    assert max(ages) < 0.2
    assert ages.count(0.0) > 10


@given(st.lists(st.tuples(st.floats(0, 0.3), st.floats(0, 5)), max_size=20))
def test_the_age_is_never_less_than_what_a_message_waited(
    turns: list[tuple[float, float]],
) -> None:
    """Whatever comes at the worst moment: while the loop did not look, it grows old."""
    loop = Loop()
    for asked, took in turns:
        began = loop.now
        stopped = loop.wait(asked, took)
        waited_beyond = loop.now - began - asked
        if waited_beyond > Standstill.THRESHOLD:
            assert stopped >= waited_beyond
            assert loop.still.age >= stopped
        loop.still.drained(loop.now)


# --- transit --------------------------------------------------------------------------


def test_the_first_message_is_as_quick_as_any_was() -> None:
    assert Transit().age("c1", 50.0, 1000.0) == 0.0


def test_what_exceeds_the_quickest_journey_is_delay() -> None:
    transit = Transit()
    transit.age("c1", 50.0, 1000.001)
    assert transit.age("c1", 51.0, 1001.001) == pytest.approx(0.0, abs=1e-3)
    assert transit.age("c1", 52.0, 1004.001) == pytest.approx(2.0, abs=2e-3)
    assert transit.age("c1", 53.0, 1003.0) == 0.0


def test_a_quicker_journey_is_the_measure_from_then_on() -> None:
    transit = Transit()
    transit.age("c1", 50.0, 1000.5)
    assert transit.age("c1", 51.0, 1001.0) == 0.0
    assert transit.age("c1", 52.0, 1002.5) == pytest.approx(0.5, abs=1e-3)


def test_each_sender_has_its_own_clock() -> None:
    transit = Transit()
    transit.age("c1", 50.0, 1000.0)
    assert transit.age("c2", 9000.0, 1000.0) == 0.0
    assert transit.age("c2", 9000.0, 1003.0) == pytest.approx(3.0, abs=2e-3)


@pytest.mark.parametrize("drift", [-4e-4, -1e-5, 0.0, 1e-5, 4e-4])
def test_clocks_that_drift_make_nobody_late(drift: float) -> None:
    transit = Transit()
    chance = random.Random(17)
    for second in range(0, 100_000, 10):
        delay = chance.uniform(0.0002, 0.001)
        age = transit.age("c1", second * (1 + drift), second + delay)
        assert age <= 0.001


def test_a_delay_is_seen_through_the_drift() -> None:
    transit = Transit()
    transit.age("c1", 0.0, 0.0)
    assert transit.age("c1", 10.0, 13.0) >= 2.99


def test_many_senders_are_remembered_and_not_all() -> None:
    transit = Transit()
    for number in range(Transit.SENDERS):
        transit.age(f"c{number}", 0.0, 100.0)
    assert transit.age("c0", 0.0, 103.0) > 2.0
    for number in range(10 * Transit.SENDERS):
        transit.age(f"d{number}", 0.0, 100.0)
    assert transit.age("c0", 0.0, 103.0) == 0.0


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.floats(-1e308, 1e308), st.floats(0, 1e6)),
        max_size=20,
    )
)
def test_any_clock_gives_an_age(messages: list[tuple[str, float, float]]) -> None:
    transit = Transit()
    now = 0.0
    for sender, sent, passed in messages:
        now += passed
        assert transit.age(sender, sent, now) >= 0.0
        assert not math.isnan(transit.age(sender, sent, now))
