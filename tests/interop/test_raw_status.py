"""Status with nothing but plain PUB and SUB sockets: what spec/status.md promises."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from promptness import prompt
from runmacs.roc import Endpoints, RocClient, RocStatusUpdater, StatusTree, statusUpdateIterator
from waiting import wait_until


@pytest.fixture
def context() -> Iterator[zmq.Context[Any]]:
    with zmq.Context() as context:
        yield context


@pytest.fixture
def pub(context: zmq.Context[Any], broker: Endpoints) -> Iterator[zmq.Socket[Any]]:
    """A plain PUB that is connected: the broker wants everything as soon as it is."""
    with context.socket(zmq.PUB) as pub, statusUpdateIterator(broker, "probe", timeout=0.05) as it:
        pub.linger = 0
        pub.connect(broker.generalXSUB)

        def connected() -> bool:
            pub.send_multipart([b"status.probe.=", b"1"])
            return bool(next(it))

        wait_until(connected, what="the publisher is connected")
        pub.send_multipart([b"status.probe.=", b"null", b'{"removed":true}'])
        wait_until(lambda: next(it).removed, what="nothing of it is under way any more")
        yield pub


@pytest.fixture
def sub(context: zmq.Context[Any], broker: Endpoints) -> Iterator[zmq.Socket[Any]]:
    with context.socket(zmq.SUB) as sub:
        sub.linger = 0
        sub.rcvtimeo = 30_000
        sub.connect(broker.generalXPUB)
        yield sub


def test_two_frames_publish(pub: zmq.Socket[Any], broker: Endpoints) -> None:
    with statusUpdateIterator(broker, "system", timeout=30) as updates, StatusTree(broker) as tree:
        pub.send_multipart([b"status.system.foo.=", b'{"cpu": 0.3, "memory": 0.7}'])
        assert next(updates) == {"system": {"foo": {"cpu": 0.3, "memory": 0.7}}}
        pub.send_multipart([b"status.=", b'{"system": {"bar": [1, null, "x"]}}'])
        assert next(updates) == {"system": {"bar": [1, None, "x"]}}
        tree.wait_for("system.bar", timeout=30)
        leaf = tree.leaf("system.foo.cpu")
        assert (leaf.value, leaf.source, leaf.stale) == (0.3, "", False)


def test_a_plain_publisher_is_never_stale(pub: zmq.Socket[Any], broker: Endpoints) -> None:
    with StatusTree(broker) as tree:
        pub.send_multipart([b"status.a.=", b"1"])
        tree.wait_for("a", timeout=30)
        wait_until(lambda: tree.leaf("a").age > 3.0, what="it has an age")
        assert not tree.leaf("a").stale


def test_a_plain_sub_reads(sub: zmq.Socket[Any], broker: Endpoints) -> None:
    sub.subscribe(b"status.system.foo.")
    sub.subscribe(b"beat.system.foo.=")
    assert sub.recv_multipart()[0] == b"beat.system.foo.=", "the subscription stands"
    with RocStatusUpdater(broker) as updater:
        updater.emit("system.foobar", 1)
        updater.emit("system.foo", {"cpu": 0.3})
        topic, data, head = sub.recv_multipart()
        assert (topic, json.loads(data)) == (b"status.system.foo.=", {"cpu": 0.3})
        assert json.loads(head)["n"] == 2


def test_a_plain_sub_asks_for_a_snapshot(sub: zmq.Socket[Any], broker: Endpoints) -> None:
    with RocStatusUpdater(broker, node="me") as updater:
        updater.emit("", {"a": {"b": 1, "c": [2]}, "x": 3})
        with statusUpdateIterator(broker, timeout=30) as updates:
            assert next(updates)
        for token, mask, paths in (("t1", "a.", ["a.b", "a.c"]), ("t2", "", ["a.b", "a.c", "x"])):
            topic = f"snapshot.{token}.{mask}=".encode()
            sub.subscribe(topic)
            got, text = sub.recv_multipart()
            snapshot = json.loads(text)
            assert got == topic
            assert [leaf[0] for leaf in snapshot["leaves"]] == paths
            assert {state["node"] for state in snapshot["sources"].values()} == {"me"}


def test_counts_tell_what_was_published(pub: zmq.Socket[Any], sub: zmq.Socket[Any]) -> None:
    sub.subscribe(b"beat.a.=")
    first = json.loads(sub.recv_multipart()[1])["count"]
    for number in range(10):
        pub.send_multipart([b"status.a.n.=", b"%d" % number])
        pub.send_multipart([b"status.b.=", b"%d" % number])
    wait_until(lambda: json.loads(sub.recv_multipart()[1])["count"] == first + 10)


JUNK: list[list[bytes]] = [
    [b"status.a.="],
    [b"status."],
    [b"status.a..=", b"1"],
    [b"status.a.=", b"{not json"],
    [b"status.a.=", b"\xff\xfe"],
    [b"status.a.=", b"1", b"no head"],
    [b"status.=", b"7"],
    [b"status.a.=", b"[" * 5000],
    [b"status." + b"a." * 100 + b"=", b"1"],
    [b"status." + b"a" * 300 + b".=", b"1"],
    [b"beacon.x.=", b"{}"],
    [b"", b"", b""],
    [b"\x00" * 100],
]
RESERVED: list[list[bytes]] = [
    [b"status.roc.objects.vnir.=", b"1"],
    [b"roc.objects.vnir.=", b'{"state":"serving"}'],
    [b"status.=", b'{"roc": {"x": 1}}'],
    [b"source.s.=", b"{}"],
    [b"beat.=", b"{}"],
    [b"snapshot.t.=", b"{}"],
]


def test_junk_is_dropped_and_counted_and_nobody_harmed(
    pub: zmq.Socket[Any], broker: Endpoints
) -> None:
    with (
        statusUpdateIterator(broker, "", timeout=30) as updates,
        RocClient(broker, timeout=20) as client,
    ):
        before = client["roc.broker"].stats()
        for frames in (*JUNK, *RESERVED):
            pub.send_multipart(frames)
        pub.send_multipart([b"status.fine.=", b"1"])
        assert next(updates) == {"fine": 1}
        after = client["roc.broker"].stats()
        more = {name: after[name] - before[name] for name in after if name.startswith("dropped")}
        assert more["dropped_updates_reserved"] == len(RESERVED)
        assert more["dropped_updates_malformed"] == len(JUNK) - 2  # the last two are nobody's
        with StatusTree(broker, ["roc.objects", ""]) as tree:
            assert set(tree) == {"fine"}


@pytest.mark.parametrize("junk", [b"", b"\x07", b"\x01" + b"\xff" * 10_000, b"\x00never", b"GET /"])
def test_malformed_subscriptions(context: zmq.Context[Any], broker: Endpoints, junk: bytes) -> None:
    with context.socket(zmq.XSUB) as xsub, RocStatusUpdater(broker) as updater:
        xsub.linger = 0
        xsub.connect(broker.generalXPUB)
        xsub.send(junk)
        xsub.send(b"\x01snapshot.\xff\xff.=")
        xsub.send(b"\x01beat.a*.=")
        xsub.send(b"\x01status.a.")
        with statusUpdateIterator(broker, timeout=30) as updates:
            updater.emit("a", 1)
            assert next(updates) == {"a": 1}
        assert xsub.poll(30_000)


def test_a_subscriber_that_never_reads(context: zmq.Context[Any], broker: Endpoints) -> None:
    """It is dropped from, and nobody else notices."""
    with context.socket(zmq.SUB) as lazy, RocStatusUpdater(broker) as updater:
        lazy.linger, lazy.rcvhwm = 0, 1
        lazy.subscribe(b"status.")
        lazy.subscribe(b"beat.=")
        lazy.connect(broker.generalXPUB)
        assert lazy.poll(30_000)
        with (
            statusUpdateIterator(broker, timeout=30) as updates,
            RocClient(broker, timeout=20) as client,
        ):
            payload = "x" * 100_000
            deadline = time.monotonic() + 30
            number = 0
            while not client["roc.broker"].stats()["dropped_subscriber_full"]:
                assert time.monotonic() < deadline
                for _ in range(20):
                    number += 1
                    updater.emit("a", {"payload": payload, "number": number})
                while next(updates)["a"]["number"] < number:
                    pass
            with prompt():
                assert updates.resyncs == 0
