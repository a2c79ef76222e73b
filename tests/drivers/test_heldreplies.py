"""Which replies wait for the next ones."""

from __future__ import annotations

import pytest

from core.scripted import request_text
from runmacs.roc._drivers.heldreplies import HeldReplies
from runmacs.roc.core.worker import Task
from runmacs.roc.wire.jsonrpc import parse_body

QUICK, SLOW = 0.00005, 0.01


def task(method: str = "echo") -> Task:
    text = request_text(1, call="c1.1", method=method)
    return Task(b"token", [text], parse_body(text), 0.0, 0.0, 0)


@pytest.fixture
def held() -> HeldReplies:
    held = HeldReplies(prefetch=20)
    held.note(task(), QUICK)
    held.note(task("expose"), SLOW)
    return held


def test_a_third_of_what_is_handed_out_leaves_together(held: HeldReplies) -> None:
    waits = [held.hold("echo", 0.0) for _ in range(14)]
    assert waits == ([True] * 6 + [False]) * 2


def test_none_waits_for_longer_than_a_millisecond(held: HeldReplies) -> None:
    assert [held.hold("echo", now) for now in (5.0, 5.0004, 5.0011)] == [True, True, False]
    assert held.hold("echo", 5.0012), "the next one begins anew"


@pytest.mark.parametrize("following", ["expose", "never called", ""])
def test_none_waits_for_what_is_slow_or_unknown_or_nothing(
    held: HeldReplies, following: str
) -> None:
    assert held.hold("echo", 0.0)
    assert not held.hold(following, 0.0)
    assert not held.clear(), "all of it has left"


def test_a_method_counts_as_it_was_the_last_time(held: HeldReplies) -> None:
    held.note(task(), SLOW)
    assert not held.hold("echo", 0.0)
    held.note(task(), QUICK)
    assert held.hold("echo", 0.0)


def test_one_at_a_time_waits_for_nothing() -> None:
    held = HeldReplies(prefetch=1)
    held.note(task(), QUICK)
    assert not held.hold("echo", 0.0)


def test_what_was_held_is_told_once(held: HeldReplies) -> None:
    held.hold("echo", 0.0)
    assert held.clear()
    assert not held.clear()


def test_names_without_end_are_forgotten(held: HeldReplies) -> None:
    for number in range(3000):
        held.note(task(f"m{number}"), QUICK)
    assert len(held._quick) <= 1000
