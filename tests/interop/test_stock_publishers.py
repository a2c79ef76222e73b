"""Publications of stock ZeroMQ sockets through the broker, over every transport."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from desk import Desk
from processes import POSIX, BrokerProcess, Spawner
from promptness import prompt
from runmacs.roc import Endpoints, RocClient
from test_transports import TRANSPORTS, has_ipv6
from waiting import wait_until

posix = pytest.mark.skipif(not POSIX, reason="POSIX signals; run it on Linux or macOS")


@pytest.fixture
def context() -> Iterator[zmq.Context[Any]]:
    with zmq.Context() as context:
        yield context


@pytest.fixture(params=TRANSPORTS)
def desk(
    request: pytest.FixtureRequest, tmp_path: Path, context: zmq.Context[Any]
) -> Iterator[Desk]:
    where = Endpoints(TRANSPORTS[request.param], 0)
    if request.param == "IPv6" and not has_ipv6():
        pytest.skip("there is no ::1 here; enable IPv6 on the loopback interface")
    if request.param == "ipc":
        if sys.platform == "win32":
            pytest.skip("ipc is POSIX here; run it on Linux or macOS")
        where = Endpoints(str(tmp_path / "lab"), 5555, "ipc")
    if request.param == "inproc":
        where = Endpoints("lab", 5555, "inproc")
    with Desk(where, context) as desk:
        yield desk


class Stock:
    """Stock sockets at a broker; closed at the end."""

    def __init__(self, context: zmq.Context[Any], endpoints: Endpoints) -> None:
        self._context = context
        self._endpoints = endpoints
        self._sockets: list[zmq.Socket[Any]] = []

    def _socket(self, kind: int, address: str) -> zmq.Socket[Any]:
        socket: zmq.Socket[Any] = self._context.socket(kind)
        self._sockets.append(socket)
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = 0
        socket.setsockopt(zmq.IPV6, 1)
        socket.rcvtimeo = socket.sndtimeo = 30_000
        socket.connect(address)
        return socket

    def publisher(self, kind: int = zmq.XPUB) -> zmq.Socket[Any]:
        """One that the broker has asked for everything."""
        publisher = self._socket(kind, self._endpoints.generalXSUB)
        if kind == zmq.XPUB:
            assert publisher.recv() == b"\x01"
        return publisher

    def subscriber(self, *prefixes: bytes, kind: int = zmq.SUB) -> zmq.Socket[Any]:
        subscriber = self._socket(kind, self._endpoints.generalXPUB)
        for prefix in prefixes:
            if kind == zmq.SUB:
                subscriber.subscribe(prefix)
            else:
                subscriber.send(b"\x01" + prefix)
        return subscriber

    def close(self) -> None:
        for socket in self._sockets:
            socket.close()


@pytest.fixture
def stock(context: zmq.Context[Any], desk: Desk) -> Iterator[Stock]:
    stock = Stock(context, desk.endpoints)
    yield stock
    stock.close()


def arrive(publisher: zmq.Socket[Any], *subscribers: zmq.Socket[Any], topic: bytes) -> None:
    """Publish until each of these has got one: they are connected, and subscribed."""
    for subscriber in subscribers:

        def has_come(subscriber: zmq.Socket[Any] = subscriber) -> bool:
            publisher.send_multipart([topic, b"is anybody there"])
            return bool(subscriber.poll(20))

        wait_until(has_come, what="a first message")
    publisher.send_multipart([topic, b"begin"])
    for subscriber in subscribers:
        while subscriber.recv_multipart() != [topic, b"begin"]:
            pass


@pytest.mark.parametrize("into", [zmq.PUB, zmq.XPUB], ids=["PUB", "XPUB"])
@pytest.mark.parametrize("out", [zmq.SUB, zmq.XSUB], ids=["SUB", "XSUB"])
def test_each_kind_of_socket(stock: Stock, into: int, out: int) -> None:
    publisher = stock.publisher(into)
    some, every = stock.subscriber(b"a", kind=out), stock.subscriber(b"", kind=out)
    arrive(publisher, some, every, topic=b"a")
    sent = [[topic, b"%d" % n, b"h"] for n in range(500) for topic in (b"a", b"ab", b"b")]
    for message in [*sent, [b"a", bytes(1_000_000)], [b"a end"]]:
        publisher.send_multipart(message)
    assert [every.recv_multipart() for _ in sent] == sent
    expected = [message for message in sent if message[0] != b"b"]
    assert [some.recv_multipart() for _ in expected] == expected
    for reader in (some, every):
        assert reader.recv_multipart() == [b"a", bytes(1_000_000)]
        assert reader.recv_multipart() == [b"a end"]
        assert not reader.poll(0)


def test_an_emit_and_the_end_of_the_process(
    stock: Stock, context: zmq.Context[Any], desk: Desk
) -> None:
    """A publisher that waits for the broker's subscription loses nothing."""
    subscriber, other = stock.subscriber(b""), stock.publisher()
    arrive(other, subscriber, topic=b"t")
    for number in range(20):
        with context.socket(zmq.XPUB) as publisher:
            publisher.linger = 5000
            publisher.setsockopt(zmq.IPV6, 1)
            publisher.connect(desk.endpoints.generalXSUB)
            assert publisher.recv() == b"\x01"
            publisher.send_multipart([b"once", b"%d" % number])
        assert subscriber.recv_multipart() == [b"once", b"%d" % number]


def test_unsubscribe(stock: Stock) -> None:
    publisher, subscriber = stock.publisher(), stock.subscriber(b"a", b"b", b"b")
    arrive(publisher, subscriber, topic=b"a")
    subscriber.unsubscribe(b"b")  # once of twice
    publisher.send_multipart([b"b", b"1"])
    assert subscriber.recv_multipart() == [b"b", b"1"]
    subscriber.unsubscribe(b"b")
    publisher.send_multipart([b"a", b"2"])
    assert subscriber.recv_multipart() == [b"a", b"2"]

    def is_silent() -> bool:
        publisher.send_multipart([b"b", b"3"])
        publisher.send_multipart([b"a", b"mark"])
        got = [subscriber.recv_multipart()]
        while got[-1] != [b"a", b"mark"]:
            got.append(subscriber.recv_multipart())
        return len(got) == 1

    wait_until(is_silent, what="the end of b")


def test_late_joiners_and_many_prefixes(stock: Stock) -> None:
    publisher, early = stock.publisher(), stock.subscriber(b"")
    arrive(publisher, early, topic=b"t")
    late = stock.subscriber(b"late", *[b"prefix%d." % number for number in range(3000)])
    arrive(publisher, late, topic=b"prefix2999.")
    for number in range(3000):
        publisher.send_multipart([b"prefix%d.x" % number])
        publisher.send_multipart([b"other%d.x" % number])
    for number in range(3000):
        assert late.recv_multipart() == [b"prefix%d.x" % number]
    assert not late.poll(0)


def test_heartbeats_of_libzmq_are_answered(
    stock: Stock, context: zmq.Context[Any], desk: Desk
) -> None:
    """A publisher and a subscriber that look every 50 ms whether the broker is still there."""
    publisher, subscriber = stock.publisher(), stock.subscriber(b"")
    arrive(publisher, subscriber, topic=b"t")
    with context.socket(zmq.XPUB) as beating:
        beating.linger = 0
        beating.setsockopt(zmq.IPV6, 1)
        beating.setsockopt(zmq.HEARTBEAT_IVL, 50)
        beating.setsockopt(zmq.HEARTBEAT_TIMEOUT, 200)
        monitor = beating.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        beating.connect(desk.endpoints.generalXSUB)
        assert beating.poll(30_000)
        with prompt():
            assert not monitor.poll(700), "it is not cut off"
        beating.send_multipart([b"t", b"alive"])
        assert subscriber.recv_multipart() == [b"t", b"alive"]
        beating.disable_monitor()
        monitor.close()


# ---- processes that freeze, or are killed

SOURCE = """
import sys, zmq
publisher = zmq.Context().socket(zmq.XPUB)
publisher.setsockopt(zmq.XPUB_NODROP, 1)
publisher.connect(sys.argv[1])
publisher.recv()
print("publishing", flush=True)
number = 0
while True:
    publisher.send_multipart([b"flood", b"%d" % number, bytes(1000)])
    number += 1
"""

SINK = """
import sys, zmq
subscriber = zmq.Context().socket(zmq.SUB)
subscriber.rcvhwm = 100
subscriber.connect(sys.argv[1])
subscriber.subscribe(b"flood")
subscriber.recv_multipart()
print("reading", flush=True)
while True:
    subscriber.recv_multipart()
"""


@posix
@pytest.mark.slow
@pytest.mark.parametrize("frozen", ["source", "sink"])
def test_one_that_is_frozen_or_killed_harms_nobody(
    broker_process: BrokerProcess, spawn: Spawner, frozen: str, context: zmq.Context[Any]
) -> None:
    endpoints = broker_process.endpoints
    sources = [spawn(SOURCE, endpoints.generalXSUB) for _ in range(2)]
    sinks = [spawn(SINK, endpoints.generalXPUB) for _ in range(2)]
    for child in (*sources, *sinks):
        child.wait_for("^(publishing|reading)$")
    stock = Stock(context, endpoints)
    with RocClient(endpoints, timeout=20) as client:
        stats = client["roc.broker"].stats

        def grown(name: str, by: int = 1000) -> bool:
            before = stats()[name]
            wait_until(lambda: stats()[name] > before + by, what=f"more {name}")
            return True

        assert (stats()["publishers"], stats()["subscribers"]) == (2, 2)
        victim = {"source": sources, "sink": sinks}[frozen][0]
        victim.freeze()
        if frozen == "sink":
            grown("dropped_subscriber_full")
        grown("publications_passed_on", 20_000)
        victim.thaw()
        grown("publications_passed_on", 20_000)
        victim.kill()
        which = "publishers" if frozen == "source" else "subscribers"
        wait_until(lambda: stats()[which] == 1, what="its end is seen")
        subscriber = stock.subscriber(b"flood")
        subscriber.recv_multipart()
        grown("publications_passed_on", 20_000)
        assert client["roc.broker"].objects() == []
    stock.close()
    for child in (*sources, *sinks):
        child.kill()


@pytest.mark.slow
def test_calls_are_answered_during_a_storm(broker_process: BrokerProcess, spawn: Spawner) -> None:
    source = spawn(SOURCE, broker_process.endpoints.generalXSUB)
    sink = spawn(SINK, broker_process.endpoints.generalXPUB)
    sink.wait_for("^reading$")
    with RocClient(broker_process.endpoints, timeout=20) as client:
        stats = client["roc.broker"].stats
        before = stats()
        for _ in range(300):
            stats()
        after = stats()
    with prompt():
        assert after["uptime"] - before["uptime"] < 15
    assert after["publications_taken"] > before["publications_taken"] + 1000
    for child in (source, sink):
        child.kill()
