"""Links for news where sockets of libzmq carry them, and what only this twin can get wrong."""

from __future__ import annotations

import pytest
import zmq

from drivers.newsroom import Desk
from processes import Spawner, start_broker
from runmacs.roc._drivers.gates import Signal
from runmacs.roc._drivers.links import Link, open_link, open_publishing, open_subscribing
from runmacs.roc._drivers.sockets import ZmqLink, context
from runmacs.roc._drivers.streams import StreamLink
from runmacs.roc.endpoints import Endpoints
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
