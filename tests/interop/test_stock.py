"""The stock peers among themselves: what fails elsewhere is then not theirs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import zmq

from interop.stock import (
    DISCONNECT,
    HEARTBEAT,
    READY,
    REPLY,
    REQUEST,
    WORKER,
    Peer,
    ask,
    dealer_client,
)
from promptness import prompt


@pytest.mark.parametrize("kind", [zmq.REQ, zmq.DEALER])
def test_worker_serves_client(
    stock_broker: str, stock_worker: Callable[..., object], kind: int
) -> None:
    stock_worker(stock_broker, "echo", "echo")
    assert ask(stock_broker, b"echo", b"one", b"two", kind=kind) == [b"one", b"two"]


def test_request_waits_for_its_worker(stock_broker: str) -> None:
    with Peer(stock_broker) as client, Peer(stock_broker) as worker:
        client.request(b"late", b"first")
        client.request(b"late", b"second")
        assert dealer_client(stock_broker, b"mmi.service", b"late") == [b"404"]
        worker.send(b"", WORKER, READY, b"late", b'{"unknown": "to a stock broker"}')
        *envelope, token, empty, body = worker.receive()
        assert envelope == [b"", WORKER, REQUEST]
        assert (empty, body) == (b"", b"first")
        # One at a time: the second request comes after the first reply, not before.
        assert dealer_client(stock_broker, b"mmi.service", b"late") == [b"200"]
        assert not worker.socket.poll(0)
        worker.send(b"", WORKER, REPLY, token, b"", b"done")
        assert client.reply() == (b"late", [b"done"])
        assert worker.receive()[-1] == b"second"


@pytest.mark.parametrize("command", [HEARTBEAT, REPLY])
def test_unknown_worker_is_disconnected(stock_broker: str, command: bytes) -> None:
    with Peer(stock_broker) as worker:
        worker.send(b"", WORKER, command)
        assert worker.receive() == [b"", WORKER, DISCONNECT]


@pytest.mark.slow
def test_idle_worker_gets_bare_heartbeats_and_expires(stock_broker: str) -> None:
    with Peer(stock_broker) as worker:
        worker.send(b"", WORKER, READY, b"mute", b"{}")
        assert worker.receive() == [b"", WORKER, HEARTBEAT]
        while True:
            try:
                assert worker.receive(timeout=4.0) == [b"", WORKER, HEARTBEAT]
            except TimeoutError:
                break
        with prompt():  # or the broker's next beat was late
            assert dealer_client(stock_broker, b"mmi.service", b"mute") == [b"404"]
