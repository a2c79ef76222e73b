"""The queue of one object: turns, limits of time, and finding a call in it."""

from __future__ import annotations

import gc
import json
from collections import Counter, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.scripted import request_text
from runmacs.roc.core.waiting import WaitingCall, WaitingCalls
from runmacs.roc.wire.jsonrpc import parse_body
from runmacs.roc.wire.values import Buffer


def waiting_call(
    client: str = "c1", number: int = 1, deadline: float = 10.0, text: bytes = b"", age: float = 0.0
) -> WaitingCall:
    text = text or request_text(number, call=f"{client}.{number}", ttl=10.0, at=50.0)
    frames: tuple[Buffer, ...] = (text, b"pixels")
    body = parse_body(text)
    return WaitingCall(client.encode(), frames, body, 0.0, deadline, unread=age)


def names(calls: list[WaitingCall]) -> list[str]:
    return [json.loads(bytes(call.frames[0]))["roc"]["call"] for call in calls]


def queue_of(*calls: WaitingCall) -> WaitingCalls:
    queue = WaitingCalls()
    for call in calls:
        queue.add(call)
        queue.check()
    return queue


def take_all(queue: WaitingCalls) -> list[WaitingCall]:
    taken = []
    while len(queue):
        taken.append(queue.take(next(iter(queue.clients))))
        queue.check()
    return taken


def test_clients_in_turn_and_each_in_order() -> None:
    calls = [waiting_call("a", 1), waiting_call("a", 2), waiting_call("a", 3)]
    calls += [waiting_call("b", 1), waiting_call("c", 1), waiting_call("c", 2)]
    assert names(take_all(queue_of(*calls))) == ["a.1", "b.1", "c.1", "a.2", "c.2", "a.3"]


def test_who_comes_later_has_its_turn_after_those_who_wait() -> None:
    queue = queue_of(waiting_call("a", 1), waiting_call("a", 2), waiting_call("b", 1))
    assert names([queue.take(b"a")]) == ["a.1"]
    queue.add(waiting_call("c", 1))
    assert names(take_all(queue)) == ["b.1", "a.2", "c.1"]


def test_one_of_those_who_wait_may_be_taken_out_of_turn() -> None:
    queue = queue_of(waiting_call("a", 1), waiting_call("b", 1), waiting_call("b", 2))
    assert list(queue.clients) == [b"a", b"b"]
    assert names([queue.take(b"b")]) == ["b.1"]
    assert names(take_all(queue)) == ["a.1", "b.2"]


@given(st.lists(st.sampled_from("abcd"), max_size=40))
def test_nobody_is_served_twice_while_another_waits(clients: list[str]) -> None:
    counts: Counter[str] = Counter()
    queue = WaitingCalls()
    for client in clients:
        counts[client] += 1
        queue.add(waiting_call(client, counts[client]))
    waiting = dict(counts)
    recent: deque[str] = deque()
    for name in names(take_all(queue)):
        client = name[0]
        others = {other for other, left in waiting.items() if left}
        recent = deque(c for c in recent if c in others)
        if client in recent:
            assert recent[0] == client
            recent.popleft()
        recent.append(client)
        waiting[client] -= 1
    assert not any(waiting.values())


def test_a_call_can_leave_from_anywhere() -> None:
    calls = [waiting_call("a", 1), waiting_call("a", 2), waiting_call("b", 1)]
    queue = queue_of(*calls)
    queue.remove(calls[0])
    queue.check()
    queue.remove(calls[2])
    queue.check()
    assert list(queue) == [calls[1]]
    assert queue.bytes == calls[1].size


def test_expired_calls_come_out_and_no_others() -> None:
    calls = [waiting_call("a", n, deadline=float(n)) for n in (3, 1, 2)]
    queue = queue_of(*calls, waiting_call("b", 9, deadline=2.0))
    assert sorted(names(queue.expired(2.0))) == ["a.1", "a.2", "b.9"]
    queue.check()
    assert names(list(queue)) == ["a.3"]
    assert queue.expired(2.9) == []


def test_a_call_is_found_by_its_id() -> None:
    batch = b"[%b,%b]" % (request_text(1, call="a.7"), request_text(2, call="a.8"))
    calls = [waiting_call("a", 1), waiting_call("b", 1), waiting_call("a", 7, text=batch)]
    queue = queue_of(*calls)
    assert queue.find(b"a", "a.1") is calls[0]
    assert queue.find(b"b", "b.1") is calls[1]
    assert queue.find(b"a", "a.8") is calls[2]
    for unknown in ("a.2", "", "a", "b.", ".1"):
        assert queue.find(b"a", unknown) is None
    assert queue.find(b"nobody", "c.1") is None


def test_a_call_is_found_from_a_new_connection_of_its_caller() -> None:
    call = waiting_call("a", 1)
    assert queue_of(waiting_call("b", 1), call).find(b"a, connected again", "a.1") is call


def test_what_was_held_is_older_when_it_is_passed_on() -> None:
    text, buffer = waiting_call().passed_on(1.5)
    assert buffer == b"pixels"
    (request,) = parse_body(text).items
    assert (request.roc.ttl, request.roc.at) == (8.5, 51.5)  # type: ignore[union-attr]


def test_what_was_not_held_is_passed_on_as_it_is() -> None:
    for call in (waiting_call(), waiting_call(text=b"junk"), waiting_call(text=b"[1]")):
        assert call.passed_on(0.0005) == call.frames
    junk = waiting_call(text=b'{"roc":{"ttl":1}}')
    assert junk.passed_on(5.0) == junk.frames


def test_what_was_unread_for_a_while_says_so() -> None:
    body = parse_body(waiting_call(age=3.0).passed_on(1.0)[0])
    assert body.ttl == pytest.approx(6.0)
    (request,) = body.items
    assert request.roc.at == 51.0  # type: ignore[union-attr]


def test_the_size_counts_every_frame_and_what_keeping_it_costs() -> None:
    small, large = waiting_call(), waiting_call(text=request_text(1, params=["x" * 10_000]))
    assert large.size - small.size == pytest.approx(10_000, abs=100)
    assert small.size > 500


def test_what_waits_is_nothing_that_the_garbage_collector_must_look_at() -> None:
    batch = b"[" + b",".join(request_text(n, call=f"c1.{n}") for n in (1, 2)) + b"]"
    queue = queue_of(*(waiting_call(number=n) for n in range(5)), waiting_call(text=batch))
    gc.collect()  # a tuple is looked at once, and never again
    for call in queue:
        parts = (call, call.frames, call.body, call.body.items, *call.body.items, call.withdrawn)
        assert not any(gc.is_tracked(part) for part in parts[:-1])
