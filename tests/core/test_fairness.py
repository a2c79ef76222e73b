"""Who pipelines thousands of calls delays others by what was handed out already, and no more."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from runmacs.roc.core.broker import BrokerCore
from runmacs.roc.core.worker import WorkerCore
from runmacs.roc.wire import mdp
from runmacs.roc.wire.mdp import CLIENT, EMPTY, WORKER, Properties

PREFETCH = 20
MOST = 16
"""Calls of one client that are handed out at a time; the rest is kept for others."""

MANY = 5000
Message = list[Any]


def request(client: str, number: int, name: bytes = b"vnir") -> Message:
    text = msgspec.json.encode(
        {
            "jsonrpc": "2.0",
            "id": number,
            "method": "echo",
            "roc": {"call": f"{client}.{number}", "ttl": 60.0},
        }
    )
    return [client.encode(), EMPTY, CLIENT, name, text]


def caller_of(frames: Message) -> str:
    """Who made the call that is handed to a worker."""
    call: str = msgspec.json.decode(frames[-1])["roc"]["call"]
    return call.partition(".")[0]


def broker_with(*objects: bytes) -> BrokerCore:
    core = BrokerCore("broker")
    out: list[Any] = []
    for name in objects:
        properties = Properties(prefetch=PREFETCH, instance=name.decode())
        ready = [name, EMPTY, WORKER, mdp.READY, name, msgspec.json.encode(properties)]
        core.on_frames(ready, 0.0, out)
    return core


def answer(core: BrokerCore, handed_out: Message) -> list[Any]:
    """The worker replies; what the broker does then."""
    out: list[Any] = []
    token = handed_out[4]
    core.on_frames([handed_out[0], EMPTY, WORKER, mdp.REPLY, token, EMPTY, b"{}"], 0.0, out)
    return out


def test_at_the_broker_the_other_clients_call_does_not_wait_at_all() -> None:
    core = broker_with(b"vnir")
    out: list[Any] = []
    for number in range(MANY):
        core.on_frames(request("many", number), 0.0, out)
    assert len(out) == MOST
    core.on_frames(request("one", 0), 0.0, out)
    assert len(out) == MOST + 1
    assert caller_of(out[-1]) == "one"
    core.check()


def test_what_is_kept_goes_to_each_but_once() -> None:
    core = broker_with(b"vnir")
    out: list[Any] = []
    for number in range(MANY):
        core.on_frames(request("many", number), 0.0, out)
    out.clear()
    for number in range(2):
        for client in ("b", "c", "d", "e", "f"):
            core.on_frames(request(client, number), 0.0, out)
    assert list(map(caller_of, out)) == ["b", "c", "d", "e"]
    core.check()
    for message in list(out):
        out += answer(core, message)
        core.check()
    handed_out = [caller_of(each) for each in out[4:] if each[2] == WORKER]
    assert handed_out == ["f", "b", "c", "d"], "in turn, and none of those that are many"


def test_when_all_is_handed_out_the_next_is_who_waits_with_nothing_there() -> None:
    core = broker_with(b"vnir")
    out: list[Any] = []
    for number in range(MANY):
        core.on_frames(request("many", number), 0.0, out)
    for client in ("b", "c", "d", "e", "late"):
        core.on_frames(request(client, 0), 0.0, out)
    assert len(out) == PREFETCH
    (handed_out,) = (each for each in answer(core, out[0]) if each[2] == WORKER)
    assert caller_of(handed_out) == "late"


def test_a_crowd_that_waits_is_served_in_turn_by_all_of_the_credit() -> None:
    core = broker_with(b"vnir")
    out: list[Any] = []
    crowd = [f"client{number:03}" for number in range(100)]
    for client in crowd:
        core.on_frames(request(client, 0), 0.0, out)
    assert len(out) == PREFETCH
    for message in out:  # it grows as they are answered
        out += [each for each in answer(core, message) if each[2] == WORKER]
        core.check()
    assert list(map(caller_of, out)) == crowd


def test_at_the_broker_another_object_does_not_wait_at_all() -> None:
    core = broker_with(b"vnir", b"swir")
    out: list[Any] = []
    for number in range(MANY):
        core.on_frames(request("many", number), 0.0, out)
    out.clear()
    core.on_frames(request("one", 0, b"swir"), 0.0, out)
    assert [(message[0], caller_of(message)) for message in out] == [(b"swir", "one")]


def test_at_the_server_the_other_clients_call_is_the_next_or_the_one_after() -> None:
    worker = WorkerCore("vnir", Properties(prefetch=PREFETCH))
    out: list[Any] = []
    worker.opened(0.0, out)
    tokens = itertools.count()
    for client in ["many"] * (PREFETCH - 1) + ["one"]:
        token = b"%d" % next(tokens)
        body = request(client, 1)[4:]
        worker.on_frames([EMPTY, WORKER, mdp.REQUEST, token, EMPTY, *body], 0.0, out)
    order = []
    while (task := worker.take(0.0, out)) is not None:
        order.append(caller_of([task.frames[0]]))
        worker.finish(task, [b"{}"], out)
    assert len(order) == PREFETCH
    assert order.index("one") <= 1


def test_all_the_way_at_most_what_was_prefetched_comes_before() -> None:
    """Broker and server together, whoever is the quicker of the two."""
    for lag in (0, 1, PREFETCH // 2, PREFETCH):
        core = broker_with(b"vnir")
        worker = WorkerCore("vnir", Properties(prefetch=PREFETCH))
        out: list[Any] = []
        worker.opened(0.0, out)
        on_the_way: list[Any] = []
        for number in range(MANY):
            core.on_frames(request("many", number), 0.0, on_the_way)
        core.on_frames(request("one", 0), 0.0, on_the_way)
        executed: list[str] = []
        done: list[Any] = []
        while "one" not in executed:
            while len(on_the_way) > lag or (on_the_way and not worker.queued):
                worker.on_frames(on_the_way.pop(0)[1:], 0.0, out)
            task = worker.take(0.0, out)
            assert task is not None
            executed.append(caller_of([task.frames[0]]))
            worker.finish(task, [b"{}"], out)
            done.append([b"vnir", *out.pop()])
            if len(done) > lag // 2:
                for reply in done:
                    sent: list[Any] = []
                    core.on_frames(reply, 0.0, sent)
                    on_the_way += [message for message in sent if message[2] == WORKER]
                done.clear()
        assert len(executed) <= MOST + 2, f"with a lag of {lag}"
