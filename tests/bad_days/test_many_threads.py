"""Sixteen threads call through one client, and each gets its own answers."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from processes import Child
from promptness import prompt
from runmacs.roc import RocClient

THREADS = 16


def crossed(recorder: Any, thread: int, calls: int) -> list[tuple[object, object]]:
    """Make so many calls, and return those that got another's answer."""
    wrong: list[tuple[object, object]] = []
    for number in range(calls):
        asked = thread * calls + number
        got = recorder.echo(asked)
        if got != asked:
            wrong.append((asked, got))
    return wrong


def in_threads(recorder: Any, calls: int) -> float:
    """Let all threads call at once; how long they took. No reply may be crossed."""
    wrong: list[tuple[object, object]] = []
    done = []

    def run(thread: int) -> None:
        wrong.extend(crossed(recorder, thread, calls))
        done.append(thread)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(THREADS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sorted(done) == list(range(THREADS)), "a thread has died"
    return time.monotonic() - began


@pytest.mark.slow
def test_no_reply_is_crossed(client: RocClient, server: Child) -> None:
    """10,000 calls each. A second's patience would do; a busy machine gets ten."""
    took = in_threads(client.proxy("recorder", timeout=10), 10_000)
    print(f"{THREADS} x 10,000 calls took {took:.1f} s: {THREADS * 10_000 / took:.0f}/s")
    stats = client["roc.broker"].stats()
    assert stats["replies"] >= THREADS * 10_000
    assert stats["dropped_reply_not_outstanding"] == 0


def test_no_reply_is_crossed_in_a_short_run(client: RocClient, server: Child) -> None:
    in_threads(client.proxy("recorder", timeout=10), 200)


def test_arrays_of_many_threads(client: RocClient, server: Child) -> None:
    """Frames of one reply stay together, whatever else is under way."""
    recorder = client.proxy("recorder", timeout=20)
    failures: list[object] = []

    def run(thread: int) -> None:
        for number in range(20):
            sent = np.full((50_000 + thread,), thread * 100 + number, "<u2")
            got = recorder.echo([sent, number, sent[:7]])
            same = np.array_equal(got[0], sent) and np.array_equal(got[2], sent[:7])
            if not (same and got[1] == number):
                failures.append((thread, number))
        done.append(thread)

    done: list[int] = []
    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert sorted(done) == list(range(8))


def test_a_slow_call_does_not_hold_up_another_objects_calls(
    client: RocClient, server: Child, serve_recorder: Any
) -> None:
    """Two objects, one client: who leads the waiting is nobody's privilege."""
    serve_recorder("other", name="other")
    other = client.wait_for("other")
    slow = threading.Thread(target=client.proxy("recorder", timeout=30).begin, args=(1, 1.0))
    slow.start()
    calls = 0
    while slow.is_alive():
        began = time.monotonic()
        assert other.echo(calls) == calls
        with prompt():
            assert time.monotonic() - began < 0.5
        calls += 1
    with prompt():
        assert calls > 50
