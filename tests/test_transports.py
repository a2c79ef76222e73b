"""Every transport carries the same: calls, errors, arrays, many servers, and the control lane."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from desk import Desk
from processes import Spawner, rocbroker_command
from promptness import prompt
from runmacs.roc import Endpoints, RocClient, RocServer, errors
from runmacs.roc.broker import Broker


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


TRANSPORTS = {
    "IPv4": "127.0.0.1",
    "IPv6": "::1",
    "name": "localhost",
    "ipc": "ipc",
    "inproc": "inproc",
}


@pytest.fixture(params=TRANSPORTS)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Endpoints:
    """Where to bind, by each transport in turn."""
    if request.param == "IPv6" and not has_ipv6():
        pytest.skip("there is no ::1 here; enable IPv6 on the loopback interface")
    if request.param == "ipc":
        if sys.platform == "win32":
            pytest.skip("ipc is POSIX here; run it on Linux or macOS")
        return Endpoints(str(tmp_path / "lab"), 5555, "ipc")
    if request.param == "inproc":
        return Endpoints("lab", 5555, "inproc")
    return Endpoints(TRANSPORTS[request.param], 0)


@pytest.fixture
def context() -> Iterator[zmq.Context[Any]]:
    """One for all, as inproc needs; its end waits until every socket is closed."""
    with zmq.Context() as context:
        yield context


@pytest.fixture
def desk(where: Endpoints, context: zmq.Context[Any]) -> Iterator[Desk]:
    with Desk(where, context) as desk:
        yield desk


class Camera:
    def __init__(self) -> None:
        self.fps = 10.0

    def add(self, left: int, right: int = 2) -> int:
        return left + right

    def refuse(self) -> None:
        raise ValueError("no")

    def frame(self, megabytes: float) -> Any:
        count = int(megabytes * 1_000_000) // 2
        return np.arange(count, dtype="<u2").reshape(2, -1)

    def total(self, frame: Any) -> int:
        return int(frame.sum(dtype="u8"))

    def nap(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds


def test_calls(desk: Desk, context: zmq.Context[Any]) -> None:
    vnir = desk.share(Camera(), ctx=context)
    assert vnir.add(1) == 3
    assert [vnir.add(n, right=n) for n in range(100)] == [2 * n for n in range(100)]
    vnir.fps = 12.5
    assert vnir.fps == 12.5
    assert list(desk.client) == ["vnir"]


def test_errors(desk: Desk, context: zmq.Context[Any]) -> None:
    vnir = desk.share(Camera(), ctx=context)
    with pytest.raises(ValueError, match="no"):
        vnir.refuse()
    with pytest.raises(AttributeError, match="'add'"):
        vnir.ad(1)
    with pytest.raises(TypeError, match="left"):
        vnir.add()
    with pytest.raises(LookupError, match="'vnir'"):
        _ = desk.client["vnri"].fps
    with prompt(), pytest.raises(TimeoutError, match="still runs"):
        desk.client.proxy("vnir", timeout=0.2).nap(0.4)
    assert vnir.add(1) == 3


@pytest.mark.parametrize("megabytes", [0.001, 0.1, 20])
def test_arrays(desk: Desk, context: zmq.Context[Any], megabytes: float) -> None:
    desk.serve(Camera(), ctx=context)
    vnir = desk.client.proxy("vnir", timeout=30)
    frame = vnir.frame(megabytes)
    expected = Camera().frame(megabytes)
    assert frame.dtype == expected.dtype
    assert frame.shape == expected.shape
    assert np.array_equal(frame, expected)
    assert vnir.total(frame) == int(expected.sum(dtype="u8"))


def test_several_servers_and_clients(desk: Desk, context: zmq.Context[Any]) -> None:
    names = [f"vnir{number}" for number in range(5)]
    for name in names:
        desk.serve(Camera(), name, ctx=context)
    clients = [desk.connect() for _ in range(3)]
    for number, name in enumerate(names):
        clients[number % 3][name].fps = number
    for client in clients:
        assert list(client) == names
        assert [client[name].fps for name in names] == [0, 1, 2, 3, 4]


def test_ping_is_answered_during_a_long_method(desk: Desk, context: zmq.Context[Any]) -> None:
    """3 s, while a server that is silent for 1.5 s counts as stalled."""
    desk.serve(Camera(), ctx=context)
    running = threading.Thread(target=desk.client.proxy("vnir", timeout=10).nap, args=(3.0,))
    running.start()
    client, longest = desk.connect(), 0.0
    while running.is_alive():
        began = time.monotonic()
        client.call_object("vnir!", "rpc.ping")
        longest = max(longest, time.monotonic() - began)
        with prompt():
            assert client["roc.broker"].objects()[0]["state"] == "serving"
        running.join(0.05)
    print(f"the longest ping took {longest * 1000:.1f} ms")
    with prompt():
        assert longest < 0.1


def test_second_server_is_refused(desk: Desk, context: zmq.Context[Any]) -> None:
    desk.serve(Camera(), ctx=context)
    with pytest.raises(errors.ObjectIdTaken, match="pid"):
        RocServer(desk.endpoints, "vnir", Camera(), context).start()


def test_server_that_comes_first(where: Endpoints, context: zmq.Context[Any]) -> None:
    """It waits for its broker, and the client for both."""
    if not where.brokerBasePort:
        with Broker(where, context) as broker:
            where = broker.endpoints
    with (
        RocServer(where, "vnir", Camera(), context),
        RocClient(where, context) as client,
        Broker(where, context),
    ):
        assert client.wait_for("vnir").fps == 10.0


def test_broker_that_is_restarted(where: Endpoints, context: zmq.Context[Any]) -> None:
    with Broker(where, context) as broker:
        where = broker.endpoints
    with RocServer(where, "vnir", Camera(), context), RocClient(where, context) as client:
        for _ in range(2):
            with Broker(where, context):
                began = time.monotonic()
                assert client.wait_for("vnir").fps == 10.0
                with prompt():
                    assert time.monotonic() - began < 3.0


@pytest.mark.skipif(sys.platform == "win32", reason="ipc is POSIX here; run it on Linux or macOS")
def test_ipc_between_processes(spawn: Spawner, tmp_path: Path) -> None:
    options = ["--transport", "ipc", "--bind", str(tmp_path / "lab"), "--base-port", "7"]
    broker = spawn.command([*rocbroker_command(), *options], name="rocbroker")
    ready = broker.wait_for(r"^rocbroker ready rocBroker=(ipc://\S+) generalXSUB=\S+/lab\.8 ")
    spawn(
        """
        import sys
        from runmacs.roc.servers import run_simple_server

        class Camera:
            fps = 10.0

        run_simple_server("vnir", Camera(), broker=sys.argv[1])
        """,
        ready[1],
    )
    with RocClient(ready[1]) as client:
        assert client.wait_for("vnir").fps == 10.0
    broker.terminate()
    assert broker.wait() == 0
    assert not list(tmp_path.glob("lab.*")), "its sockets are gone from the directory"
