"""A server's life: start, stop, brokers that are not there, and other servers of its id."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import Any

import pytest
import zmq

from desk import Desk
from processes import Spawner
from promptness import prompt
from runmacs.roc import RocClient, RocServer, errors
from waiting import wait_until


class Camera:
    def __init__(self) -> None:
        self.fps = 10.0
        self.gain = 1

    def add(self, left: int, right: int = 2) -> int:
        return left + right

    def nap(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds


# ---- start and stop


def test_start_returns_when_the_broker_has_accepted_it(desk: Desk) -> None:
    for number in range(20):
        with RocServer(desk.endpoints, f"vnir{number}", Camera()):
            assert f"vnir{number}" in desk.client


def test_stop_takes_it_away_at_once(desk: Desk) -> None:
    server = RocServer(desk.endpoints, "vnir", Camera()).start()
    assert desk.client["vnir"].fps == 10.0
    server.stop()
    assert list(desk.client) == []
    server.stop()  # a second time does no harm
    with pytest.raises(errors.ObjectNotFound):
        _ = desk.connect()["vnir"].fps


def test_starts_again_after_a_stop(desk: Desk) -> None:
    server = RocServer(desk.endpoints, "vnir", Camera())
    for _ in range(3):
        with server:
            assert server.start() is server, "a second start does no harm"
            assert desk.connect()["vnir"].fps == 10.0
    assert list(desk.client) == []


def test_run_returns_after_a_stop_from_another_thread(desk: Desk) -> None:
    server = RocServer(desk.endpoints, "vnir", Camera())

    def use_and_stop() -> None:
        assert desk.client.wait_for("vnir").add(1) == 3
        server.stop()

    stopper = threading.Thread(target=use_and_stop, daemon=True)
    stopper.start()
    server.run()
    stopper.join(30)
    assert list(desk.client) == []


def test_method_may_stop_its_own_server(desk: Desk) -> None:
    class Suicidal:
        def shutdown(self) -> str:
            server.stop()
            return "goodbye"

    server = RocServer(desk.endpoints, "vnir", Suicidal()).start()
    assert desk.client["vnir"].shutdown() == "goodbye"
    wait_until(lambda: list(desk.client) == [], what="the object is gone")


def test_stop_waits_for_the_running_method(desk: Desk) -> None:
    server = RocServer(desk.endpoints, "vnir", Camera()).start()
    nap = desk.client["vnir"].nap
    results: list[float] = []
    running = threading.Thread(target=lambda: results.append(nap(0.5)))
    running.start()
    wait_until(lambda: desk.client["roc.broker"].objects()[0]["servers"][0]["running"])
    server.stop()
    running.join(30)
    assert results == [0.5]


def test_several_servers_on_one_context_that_is_not_theirs(desk: Desk) -> None:
    with zmq.Context() as context:
        with ExitStack() as servers:
            names = [f"vnir{number}" for number in range(5)]
            for name in names:
                servers.enter_context(RocServer(desk.endpoints, name, Camera(), context))
            assert list(desk.client) == names
            for number, name in enumerate(names):
                desk.client[name].fps = number
            assert [desk.client[name].fps for name in names] == list(range(5))
        assert list(desk.client) == []
        assert not context.closed
        with RocServer(desk.endpoints, "more", Camera(), ctx=context):
            assert "more" in desk.client
    # Here the context was terminated, which waits for every socket: all of them are closed.
    assert context.closed


# ---- brokers come and go


def test_without_a_broker_it_says_so_once_and_waits(spawn: Spawner) -> None:
    with Desk() as first:
        endpoints = first.endpoints
    child = spawn(
        """
        import sys
        from runmacs.roc import RocServer

        class Camera:
            fps = 10.0

        RocServer(sys.argv[1], "vnir", Camera()).run()
        """,
        endpoints.rocBroker,
    )
    wait_until(lambda: child.stderr, what="it says where it looks")
    said = time.monotonic()
    wait_until(lambda: time.monotonic() > said + 2.5, 3)
    (line,) = child.stderr.splitlines()
    assert endpoints.rocBroker in line
    assert "vnir" in line
    assert "rocbroker" in line
    with Desk(endpoints) as desk:
        assert desk.client.wait_for("vnir").fps == 10.0
        wait_until(lambda: len(child.stderr.splitlines()) == 2)
        assert child.returncode is None


def test_start_without_a_broker_gives_up_waiting_not_serving() -> None:
    with Desk() as first:
        endpoints = first.endpoints
    began = time.monotonic()
    with RocServer(endpoints, "vnir", Camera()):
        with prompt():
            assert 1.5 < time.monotonic() - began < 3.0
        with Desk(endpoints) as desk:
            assert desk.client.wait_for("vnir").fps == 10.0


def test_restarted_broker_is_joined_again(desk: Desk) -> None:
    """Three times, by the same server and the same clients."""
    with Desk() as first:
        endpoints = first.endpoints
    with RocServer(endpoints, "vnir", Camera()), RocClient(endpoints, timeout=20) as client:
        for number in range(3):
            with Desk(endpoints):
                began = time.monotonic()
                vnir = client.wait_for("vnir")
                with prompt():
                    assert time.monotonic() - began < 3.0
                vnir.gain = number
                assert vnir.gain == number


# ---- who may serve


def test_standby_takes_over(desk: Desk) -> None:
    class Numbered:
        def __init__(self, number: int) -> None:
            self.number = number

    first = RocServer(desk.endpoints, "vnir", Numbered(1), policy="standby").start()
    desk.serve(Numbered(2), policy="standby")
    vnir = desk.client["vnir"]
    assert vnir.number == 1
    states = [s["state"] for s in desk.client["roc.broker"].objects()[0]["servers"]]
    assert states == ["serving", "standby"]
    first.stop()
    assert vnir.number == 2


def test_pool_shares_the_load(desk: Desk) -> None:
    cameras = [Camera() for _ in range(3)]
    for camera in cameras:
        desk.serve(camera, policy="pool")
    nap = desk.connect(timeout=10)["vnir"].nap
    callers = [threading.Thread(target=nap, args=(0.3,)) for _ in range(3)]
    began = time.monotonic()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    with prompt():
        assert time.monotonic() - began < 0.6, "three naps at once, not one after another"


def test_policies_do_not_mix(desk: Desk) -> None:
    desk.serve(Camera(), policy="pool")
    with pytest.raises(errors.ObjectIdTaken):
        RocServer(desk.endpoints, "vnir", Camera()).start()


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((None, "v nir", 1), {}, "'v nir'"),
        ((None, "", 1), {}, "1 to 200 bytes"),
        ((None, "roc.mine", 1), {}, "broker's own"),
        ((None, "vnir", 1), {"policy": "exclusiv"}, "exclusive, standby, pool"),
        ((None, "vnir", 1), {"prefetch": 0}, "1 to 10000"),
        (("tcp://*:5555", "vnir", 1), {}, r"\*"),
        (("127.0.0.1:99999", "vnir", 1), {}, "99999"),
    ],
)
def test_senseless_options(arguments: tuple[Any, ...], options: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.ConfigError, match=words):
        RocServer(*arguments, **options)


def test_repr(desk: Desk) -> None:
    server = desk.serve(Camera())
    assert repr(server) == f"<RocServer of 'vnir' (Camera) at {desk.endpoints.rocBroker}>"
