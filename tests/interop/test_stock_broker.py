"""Our server and client through a stock broker, which never greets and seldom beats."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import zmq

from interop.known import until_known
from interop.stock import HEARTBEAT, READY, WORKER, dealer_client
from processes import Child
from promptness import prompt
from runmacs.roc import RocClient
from runmacs.roc.errors import RocError
from waiting import wait_until

StartBroker = Callable[..., tuple[Child, str]]
ServeLab = Callable[[str], Child]


@pytest.fixture
def client(stock_broker: str, serve_lab: ServeLab) -> Iterator[RocClient]:
    """A client at a stock broker where a RocServer shares ``lab``."""
    serve_lab(stock_broker)
    until_known(stock_broker, b"lab")
    with RocClient(stock_broker, timeout=20) as client:
        yield client


def test_calls(client: RocClient) -> None:
    lab = client["lab"]
    assert lab.add(1, 2) == 3
    assert lab.add(left=3, right=4) == 7
    assert lab.add(5, right=6) == 11


def test_many_calls_in_a_row(client: RocClient) -> None:
    lab = client["lab"]
    assert [lab.add(number, 1) for number in range(200)] == list(range(1, 201))


def test_attributes(client: RocClient) -> None:
    lab = client["lab"]
    assert lab.gain == 1
    lab.gain = 8
    assert lab.gain == 8


def test_errors(client: RocClient) -> None:
    lab = client["lab"]
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        lab.divide(1, 0)
    with pytest.raises(AttributeError, match="divide"):
        lab.divid(1, 1)
    with pytest.raises(TypeError):
        lab.add(1)
    assert lab.add(1, 1) == 2


def test_arrays(client: RocClient) -> None:
    frame = np.arange(512 * 1024, dtype=np.uint16).reshape(512, 1024) // 2
    twice = client["lab"].twice(frame)
    assert twice.dtype == np.uint16
    np.testing.assert_array_equal(twice, frame * 2)
    assert client["lab"].total(frame) == int(frame.sum())


def test_two_clients_at_once(client: RocClient, stock_broker: str) -> None:
    with RocClient(stock_broker, timeout=20) as other:
        client["lab"].gain = 3
        assert other["lab"].gain == 3


def test_unknown_object_is_a_timeout(client: RocClient) -> None:
    """A stock broker keeps the request for ever: all that can be said is that time is up."""
    with pytest.raises(TimeoutError) as caught:
        client.proxy("nobody", timeout=0.5).add(1, 2)
    assert isinstance(caught.value, RocError)
    assert client["lab"].add(1, 2) == 3


@pytest.mark.slow
def test_call_longer_than_the_brokers_patience(client: RocClient) -> None:
    """In 9 s the broker sends neither of the two a single beat; nobody concludes a loss."""
    assert client.proxy("lab", timeout=60).nap(9) == 9
    assert client["lab"].add(1, 2) == 3


@pytest.mark.slow
def test_idle_server_stays_registered(
    client: RocClient, stock_broker: str, serve_lab: ServeLab
) -> None:
    """Over several rounds of beats the one server never has to register again."""
    client["lab"].gain = 5
    with pytest.raises(TimeoutError):
        client.proxy("nobody", timeout=9).add(1, 2)
    assert dealer_client(stock_broker, b"mmi.service", b"lab") == [b"200"]
    assert client["lab"].gain == 5


def answers(client: RocClient) -> bool:
    try:
        return bool(client.proxy("lab", timeout=0.5).add(1, 2) == 3)
    except RocError:
        return False


@pytest.mark.slow
def test_restarted_broker_is_rejoined(start_stock_broker: StartBroker, serve_lab: ServeLab) -> None:
    """The new broker knows nobody: a DISCONNECT or its silence makes the server register."""
    stock, address = start_stock_broker()
    serve_lab(address)
    until_known(address, b"lab")
    with RocClient(address, timeout=20) as client:
        client["lab"].gain = 9
        stock.kill()
        start_stock_broker(address)
        wait_until(lambda: answers(client))
        assert client["lab"].gain == 9, "the server was restarted, too"


@pytest.mark.slow
def test_frozen_broker_is_rejoined(start_stock_broker: StartBroker, serve_lab: ServeLab) -> None:
    stock, address = start_stock_broker()
    serve_lab(address)
    until_known(address, b"lab")
    with RocClient(address, timeout=20) as client:
        with prompt():
            assert answers(client)
        stock.freeze()
        with pytest.raises(TimeoutError):
            client.proxy("lab", timeout=9).add(1, 2)
        stock.thaw()
        wait_until(lambda: answers(client))


def test_broker_that_comes_late_is_joined(
    start_stock_broker: StartBroker, serve_lab: ServeLab
) -> None:
    stock, address = start_stock_broker()
    stock.kill()
    serve_lab(address)
    with RocClient(address, timeout=20) as client:
        assert not answers(client)
        start_stock_broker(address)
        wait_until(lambda: answers(client))


@pytest.mark.slow
def test_silent_broker_is_given_three_beats(serve_lab: ServeLab) -> None:
    """A server that was not greeted waits 7.5 s, then registers on a new connection."""
    router: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
    with router:
        router.setsockopt(zmq.LINGER, 0)
        router.bind("tcp://127.0.0.1:0")
        serve_lab(router.getsockopt_string(zmq.LAST_ENDPOINT))
        first, first_at = next_ready(router)
        second, second_at = next_ready(router)
    assert second != first, "registered again on the old connection"
    with prompt():
        assert 7.0 <= second_at - first_at <= 10.0


def next_ready(router: zmq.Socket[bytes]) -> tuple[bytes, float]:
    """The next READY's sender and time. Nothing is ever sent back."""
    ready: list[tuple[bytes, float]] = []

    def is_ready() -> bool:
        if router.poll(100):
            sender, empty, header, command, *rest = router.recv_multipart()
            assert (empty, header) == (b"", WORKER)
            assert command in (READY, HEARTBEAT)
            if command == READY:
                assert rest[0] == b"lab"
                ready.append((sender, time.monotonic()))
        return bool(ready)

    wait_until(is_ready)
    return ready[0]
