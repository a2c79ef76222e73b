"""Stock workers behind the real broker, for stock clients and for ours."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest
import zmq

from interop.known import ask_the_broker, until_known
from interop.stock import (
    HEARTBEAT,
    READY,
    REPLY,
    REQUEST,
    WORKER,
    Peer,
    ask,
    dealer_client,
    req_client,
)
from processes import BrokerProcess, Child
from promptness import prompt
from runmacs.roc import RocClient
from runmacs.roc.errors import CallError, CallTimeout, MethodNotFound
from waiting import wait_until

StartWorker = Callable[[str, str, str], Child]

ALL_BYTES = bytes(range(256))


@pytest.mark.parametrize("kind", [zmq.REQ, zmq.DEALER])
def test_worker_serves_bytes_to_a_client(
    roc_broker: str, stock_worker: StartWorker, kind: int
) -> None:
    stock_worker(roc_broker, "echo", "echo")
    until_known(roc_broker, b"echo")
    for body in ([ALL_BYTES], [b""], [b"one", b"", ALL_BYTES * 1000], [b"{}"]):
        assert ask(roc_broker, b"echo", *body, kind=kind) == body


def test_request_waits_for_its_worker(roc_broker: str, stock_worker: StartWorker) -> None:
    with Peer(roc_broker) as client:
        client.request(b"late", ALL_BYTES)
        assert dealer_client(roc_broker, b"mmi.service", b"late") == [b"404"]
        stock_worker(roc_broker, "late", "echo")
        assert client.reply() == (b"late", [ALL_BYTES])


def test_three_under_one_name_work_at_the_same_time(
    roc_broker: str, stock_worker: StartWorker, tmp_path: Path
) -> None:
    """Each holds one request until all three do: two at one worker would never end."""
    pids = {str(stock_worker(roc_broker, "pool", "meet").pid).encode() for _ in range(3)}
    marks = tmp_path / "marks"
    marks.mkdir()
    with Peer(roc_broker) as client:
        for _ in range(3):
            client.request(b"pool", str(marks).encode(), b"3")
        answers = {client.reply()[1][0] for _ in range(3)}
    assert answers == pids


def test_three_under_one_name_share_the_load(roc_broker: str, stock_worker: StartWorker) -> None:
    pids = {str(stock_worker(roc_broker, "pool", "pid").pid).encode() for _ in range(3)}
    seen: set[bytes] = set()

    def all_three_are_seen() -> bool:
        seen.add(req_client(roc_broker, b"pool", b"")[0])
        return seen == pids

    wait_until(all_three_are_seen)
    with Peer(roc_broker) as client:
        for number in range(300):
            client.request(b"pool", str(number).encode())
        replies = [client.reply()[1] for _ in range(300)]
    assert sorted(int(number) for _, number in replies) == list(range(300))
    shares = {pid: sum(answered == pid for answered, _ in replies) for pid in pids}
    with prompt():
        assert min(shares.values()) >= 30, f"the load is not shared: {shares}"


@pytest.mark.parametrize(
    "body", [b"plain", b'{"jsonrpc":"2.0","id":1,"method":"add"}'], ids=["plain", "JSON-RPC"]
)
def test_request_is_never_handed_to_a_worker_that_has_gone(
    broker_process: BrokerProcess, body: bytes
) -> None:
    """What could not be sent to one worker was not dispatched: another one serves it."""
    address = broker_process.endpoints.rocBroker
    connections = psutil.Process(broker_process.child.pid).net_connections
    with Peer(address) as client, Peer(address) as stays:
        with Peer(address) as goes:
            for count, worker in enumerate((goes, stays), start=1):
                worker.send(b"", WORKER, READY, b"pool")
                wait_until(partial(has_servers, address, "pool", count))
            # Both have served once; the next turn is that of ``goes``.
            for worker in (goes, stays):
                client.request(b"pool", b"first")
                serve(worker)
                assert client.reply() == (b"pool", [b"done"])
            before = len(connections())
        wait_until(lambda: len(connections()) < before, what="the connection is gone")
        client.request(b"pool", body)
        serve(stays)
        assert client.reply() == (b"pool", [b"done"])


def has_servers(address: str, name: str, count: int) -> bool:
    """Whether so many workers share the load under this name."""
    objects = ask_the_broker(address, "objects")
    return [len(entry["servers"]) for entry in objects if entry["id"] == name] == [count]


def serve(worker: Peer) -> None:
    """Reply to one request."""
    command = HEARTBEAT
    while command == HEARTBEAT:
        _, _, command, *rest = worker.receive()
    assert command == REQUEST
    worker.send(b"", WORKER, REPLY, rest[0], b"", b"done")


def test_killed_worker_of_a_pool_is_missed_by_nobody(
    roc_broker: str, stock_worker: StartWorker
) -> None:
    workers = [stock_worker(roc_broker, "pool", "pid") for _ in range(3)]
    seen: set[bytes] = set()

    def all_three_are_seen() -> bool:
        seen.add(req_client(roc_broker, b"pool", b"")[0])
        return len(seen) == 3

    wait_until(all_three_are_seen)
    victim = workers.pop()
    victim.kill()

    # What was sent before the broker could notice is lost, as it would be at any Majordomo
    # broker. Soon the two others answer everything.
    def ten_in_a_row_are_answered() -> bool:
        try:
            answers = [req_client(roc_broker, b"pool", b"", timeout=0.5) for _ in range(10)]
        except TimeoutError:
            return False
        return {answer[0] for answer in answers} == {str(w.pid).encode() for w in workers}

    wait_until(ten_in_a_row_are_answered)


def test_killed_last_worker_is_unknown_soon(roc_broker: str, stock_worker: StartWorker) -> None:
    worker = stock_worker(roc_broker, "echo", "echo")
    until_known(roc_broker, b"echo")
    worker.kill()
    killed = time.monotonic()
    until_known(roc_broker, b"echo", code=b"404")
    with prompt():
        assert time.monotonic() - killed < 2.0


def test_call_that_a_killed_worker_held_is_answered_by_the_broker(
    roc_broker: str, stock_worker: StartWorker, tmp_path: Path
) -> None:
    # The request is JSON-RPC, so that the broker knows how to answer it.
    worker = stock_worker(roc_broker, "held", "hold")
    until_known(roc_broker, b"held")
    with Peer(roc_broker) as client:
        mark = tmp_path / "held"
        body = {"jsonrpc": "2.0", "id": 31, "method": "hold", "params": [str(mark)]}
        client.request(b"held", json.dumps(body).encode())
        wait_until(mark.exists)
        worker.kill()
        _, [answer] = client.reply()
    error = json.loads(answer)
    assert error["id"] == 31
    assert error["error"]["code"] == -32003
    assert error["error"]["data"]["executed"] is None


@pytest.mark.slow
def test_worker_busy_for_longer_than_its_patience_is_not_dropped(
    roc_broker: str, stock_worker: StartWorker
) -> None:
    """One thread works for 9 s without a beat, as stock workers do; its answer counts."""
    stock_worker(roc_broker, "busy", "busy")
    until_known(roc_broker, b"busy")
    with Peer(roc_broker) as client:
        client.request(b"busy", b"9")
        client.request(b"busy", b"0")
        assert client.reply() == (b"busy", [b"9"])
        # The same worker is still registered: the next request follows at once.
        assert client.reply() == (b"busy", [b"0"])


@pytest.mark.slow
def test_frozen_worker_is_dropped_and_comes_back(
    roc_broker: str, stock_worker: StartWorker
) -> None:
    worker = stock_worker(roc_broker, "echo", "echo")
    until_known(roc_broker, b"echo")
    worker.freeze()
    until_known(roc_broker, b"echo", code=b"404")
    worker.thaw()
    until_known(roc_broker, b"echo")
    assert req_client(roc_broker, b"echo", b"again") == [b"again"]


def test_our_client_calls_a_stock_worker_that_speaks_jsonrpc(
    roc_broker: str, stock_worker: StartWorker
) -> None:
    """A worker that knows nothing of ROC, neither ``rpc.get`` nor the member ``roc``."""
    stock_worker(roc_broker, "sums", "jsonrpc")
    until_known(roc_broker, b"sums")
    with RocClient(roc_broker) as client:
        assert client.call_object("sums", "add", (1, 2, 3)) == 6
        assert client.call_object("sums", "divide", (1, 4)) == 0.25
        with pytest.raises(CallError, match="division by zero"):
            client.call_object("sums", "divide", (1, 0))
        with pytest.raises(MethodNotFound):
            client.call_object("sums", "multiply", (2, 3))
        assert client.call_object("sums", "add", (4, 5)) == 9


def test_proxy_of_a_stock_worker_that_tells_its_methods(
    roc_broker: str, stock_worker: StartWorker
) -> None:
    stock_worker(roc_broker, "sums", "members")
    until_known(roc_broker, b"sums")
    with RocClient(roc_broker) as client:
        sums = client["sums"]
        assert sums.add(1, 2, 3) == 6
        assert sums.divide(1, 4) == 0.25
        with pytest.raises(AttributeError):
            sums.multiply(2, 3)


def test_call_of_a_stock_worker_that_is_busy_times_out_and_spares_the_next(
    roc_broker: str, stock_worker: StartWorker, tmp_path: Path
) -> None:
    """The control lane, which a stock worker does not know, is never sent to it."""
    stock_worker(roc_broker, "held", "hold")
    until_known(roc_broker, b"held")
    with RocClient(roc_broker) as client:
        with pytest.raises(CallTimeout) as caught:
            client.call_object("held", "hold", (str(tmp_path / "mark"),), timeout=0.5)
        with prompt():
            assert (tmp_path / "mark").exists()
            assert caught.value.executed is None
