"""Links for news where sockets of libzmq carry them, and what only this twin can get wrong."""

from __future__ import annotations

import select
from dataclasses import replace

import pytest
import zmq

from drivers.newsroom import Desk
from drivers.peers import Peer, loopback_listener
from processes import Spawner, start_broker
from promptness import prompt
from runmacs.roc._drivers.clock import now as clock
from runmacs.roc._drivers.gates import Gate, Signal
from runmacs.roc._drivers.links import Link, open_link, open_publishing, open_subscribing
from runmacs.roc._drivers.sockets import ZmqLink, context
from runmacs.roc._drivers.streams import StreamLink
from runmacs.roc.endpoints import Endpoints
from runmacs.roc.wire import zmtp
from waiting import wait_until


def is_stream(link: Link) -> bool:
    return isinstance(link, StreamLink)


def test_which_link_for_which_transport(
    nowhere: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    inproc = Endpoints("lab", 5555, "inproc")
    for endpoints, available, stream in (
        (nowhere, True, True),
        (nowhere, False, False),
        (inproc, True, False),
    ):
        monkeypatch.setattr(Signal, "AVAILABLE", available)
        publishing = open_publishing(context(None), endpoints)
        links = [open_link(context(None), endpoints), open_subscribing(context(None), endpoints)]
        for link in (*links, publishing._link):
            assert is_stream(link) == stream
            assert isinstance(link, ZmqLink) != stream
            link.close()


def test_news_on_a_system_without_epoll_and_kqueue(
    spawn: Spawner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Signal, "AVAILABLE", False)
    broker = start_broker(spawn)
    with Desk(broker.endpoints) as desk:
        desk.connect()
        assert isinstance(desk.subscription._link, ZmqLink)
        for number in range(200):
            desk.emit(b"topic", b"%d" % number)
        desk.pump_until(lambda: desk.reader.count == 200, "all of them")
        broker.child.kill()
        wait_until(lambda: desk.feed.events[-1] == "down", what="its end is noticed")
        broker = start_broker(spawn, "--base-port", broker.endpoints.brokerBasePort)
        desk.connect()
        assert desk.reader.events == ["up", "down", "up"]
        assert desk.feed.events == ["up", "down", "up"]
    broker.stop()


def test_a_look_for_changes_swallows_no_message() -> None:
    """In inproc a look at the socket's state may take the edge that tells of a message."""
    with zmq.Context() as ctx, ctx.socket(zmq.DEALER) as peer:
        where = Endpoints("lab", 5555, "inproc")
        peer.bind(where.rocBroker)
        link = open_link(ctx, where)
        assert list(link.changes(0.0)) == [True]
        link.send([b"hello"])
        assert peer.recv() == b"hello"
        for _ in range(100):
            while link.readable():
                link.receive()
            peer.send(b"answer")
            assert list(link.changes(0.0)) == []
            assert link.readable()
        link.close()


@pytest.mark.skipif(not Signal.AVAILABLE, reason="streams need epoll or kqueue")
@pytest.mark.parametrize("greeting_at", range(1, 8))
@pytest.mark.parametrize("subscription_later", [0, 1, 2])
def test_up_at_once_whichever_look_reads_the_handshake(
    greeting_at: int, subscription_later: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing signals what was read already; a process that ends has no second to lose."""
    listener, where = loopback_listener()
    link = open_publishing(context(None), replace(where, brokerBasePort=where.brokerBasePort - 1))
    link.changes(clock())
    peer = Peer(listener.accept()[0], b"XSUB")
    looks = 0
    real = StreamLink._read

    def look(stream: StreamLink) -> None:
        nonlocal looks
        looks += 1
        data = peer.hello if looks == greeting_at else b""
        if looks == greeting_at + subscription_later:
            data += b"".join(zmtp.encode([b"\1"]))
        if data:
            peer.sock.sendall(data)
            assert stream._connection is not None
            assert select.select([stream._connection.fd], (), (), 5.0)[0]
        real(stream)

    monkeypatch.setattr(StreamLink, "_read", look)
    began = clock()
    while not link.up:
        link.changes(clock())
        due = link.next_deadline()
        assert due is not None or link.up
        # What has not been sent yet is not signalled: that is not the link's fault.
        wait = 0.0 if looks < greeting_at + subscription_later else (due or 0.0) - clock()
        Gate(*link.fds).wait(wait)
    with prompt():
        assert clock() - began < 0.5
    link.close()
    peer.close()
    listener.close()
