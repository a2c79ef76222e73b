"""The client: which objects there are, calls and what they end with, and its own life."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import zmq

from desk import Desk
from processes import BrokerProcess, Child, Spawner
from runmacs.roc import Endpoints, RocClient, RocServer, errors
from runmacs.roc.broker import Broker
from waiting import wait_until

AT_ONCE = 0.1


@pytest.fixture
def desk() -> Iterator[Desk]:
    with Desk() as desk:
        yield desk


@pytest.fixture
def nowhere() -> Endpoints:
    """Endpoints where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return Endpoints("127.0.0.1", min(taken.getsockname()[1], 65533))


class Camera:
    def __init__(self) -> None:
        self.fps = 10.0
        self.begun: list[str] = []

    def echo(self, *args: object, **kwargs: object) -> object:
        return [list(args), kwargs]

    def nap(self, seconds: float, name: str = "") -> float:
        self.begun.append(name)
        time.sleep(seconds)
        return seconds


def in_thread(call: Callable[..., object], *args: object) -> threading.Thread:
    """Make a call that may fail in a thread of its own."""

    def run() -> None:
        try:
            call(*args)
        except errors.RocError:
            return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


# ---- which objects there are


def test_lists_objects(desk: Desk) -> None:
    client = desk.client
    assert list(client) == []
    assert len(client) == 0
    assert client, "an empty client is still a client"
    for name in ("swir", "vnir", "nav"):
        desk.serve(Camera(), name)
    assert list(client) == ["nav", "swir", "vnir"]
    assert len(client) == 3
    assert "vnir" in client
    assert "vnri" not in client
    assert 5 not in client


@pytest.mark.parametrize("object_id", ["", "v nir", "roc.mine", "mmi.service", "x" * 201, "a\n"])
def test_ids_that_no_object_can_have(desk: Desk, object_id: str) -> None:
    for refused in (desk.client.__getitem__, desk.client.proxy, desk.client.wait_for):
        with pytest.raises(errors.ConfigError, match="object id"):
            refused(object_id)


def test_broker_is_an_object_as_well(desk: Desk) -> None:
    desk.serve(Camera())
    (entry,) = desk.client["roc.broker"].objects()
    assert entry["id"] == "vnir"
    assert entry["pid"] == os.getpid()
    assert "vnir" in desk.client and "roc.broker" not in list(desk.client)


def test_misspelt_id_fails_in_milliseconds_and_suggests_the_nearest(desk: Desk) -> None:
    desk.serve(Camera(), "vnir")
    desk.serve(Camera(), "swir")
    _ = desk.client["vnir"].fps
    began = time.monotonic()
    with pytest.raises(LookupError, match="'vnri'.*[dD]id you mean 'vnir'") as caught:
        _ = desk.client["vnri"].fps
    assert time.monotonic() - began < AT_ONCE
    assert isinstance(caught.value, errors.ObjectNotFound)
    assert caught.value.executed is False
    assert caught.value.data["suggestions"][0] == "vnir"


# ---- waiting for one


def test_wait_for_one_that_is_there(desk: Desk) -> None:
    desk.serve(Camera())
    began = time.monotonic()
    assert desk.client.wait_for("vnir").fps == 10.0
    assert time.monotonic() - began < AT_ONCE


def test_wait_for_one_that_comes_later(desk: Desk) -> None:
    found: list[Any] = []
    waiting = threading.Thread(target=lambda: found.append(desk.client.wait_for("vnir")))
    waiting.start()
    wait_until(lambda: desk.client["roc.broker"].stats()["requests"] > 2)
    assert not found
    with RocServer(desk.endpoints, "vnir", Camera()):
        waiting.join(1.0)
        assert found and found[0].fps == 10.0


def test_wait_for_one_that_is_busy(desk: Desk) -> None:
    """It is there, and that is all that was asked."""
    camera = Camera()
    desk.serve(camera)
    running = in_thread(desk.client.proxy("vnir", timeout=5).nap, 1.0)
    wait_until(lambda: camera.begun)
    began = time.monotonic()
    desk.connect().wait_for("vnir")
    assert time.monotonic() - began < 0.5
    assert running.is_alive()
    running.join()


def test_wait_for_one_that_never_comes(desk: Desk) -> None:
    began = time.monotonic()
    with pytest.raises(errors.ObjectNotFound, match=r"vnir.*0\.5 s") as caught:
        desk.client.wait_for("vnir", timeout=0.5)
    assert 0.5 - 0.05 < time.monotonic() - began < 0.5 + 0.25
    assert caught.value.executed is False


def test_wait_for_a_broker_that_comes_later(nowhere: Endpoints) -> None:
    with RocClient(nowhere) as client:
        found: list[Any] = []
        waiting = threading.Thread(target=lambda: found.append(client.wait_for("vnir")))
        waiting.start()
        with Broker(nowhere), RocServer(nowhere, "vnir", Camera()):
            waiting.join(3.0)
            assert found and found[0].fps == 10.0


def test_wait_for_without_any_broker(nowhere: Endpoints) -> None:
    with (
        RocClient(nowhere) as client,
        pytest.raises(errors.BrokerUnreachable, match="rocbroker"),
    ):
        client.wait_for("vnir", timeout=0.3)


# ---- calls


def test_positional_and_keyword_arguments(desk: Desk) -> None:
    echo = desk.share(Camera()).echo
    assert echo() == [[], {}]
    assert echo(1, "two", None) == [[1, "two", None], {}]
    assert echo(gain=3) == [[], {"gain": 3}]
    assert echo(1, 2, gain=3) == [[1, 2], {"gain": 3}]
    assert echo([], {}) == [[[], {}], {}]
    assert echo({"*": [1]}) == [[{"*": [1]}], {}]
    with pytest.raises(errors.Unsendable, match=r"'\*'"):
        echo(**{"*": 1})


def test_arrays_arrive_read_only(desk: Desk) -> None:
    vnir = desk.share(Camera())
    frame = np.arange(60_000, dtype=">u2").reshape(300, 200)
    ((back, small), _) = vnir.echo(frame, frame[:2, :3])
    assert back.dtype == frame.dtype and np.array_equal(back, frame)
    assert np.array_equal(small, frame[:2, :3])
    assert not back.flags.writeable


def test_timeouts_of_client_and_proxy(desk: Desk) -> None:
    desk.serve(Camera())
    quick = desk.connect(timeout=0.2)
    with pytest.raises(TimeoutError, match=r"0\.2 s"):
        quick["vnir"].nap(0.5)
    assert quick.proxy("vnir", timeout=5).nap(0.5) == 0.5
    with RocClient(desk.endpoints, None, 0.25) as by_position:
        assert by_position.timeout == 0.25


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "soon", None])
def test_timeouts_that_make_no_sense(desk: Desk, timeout: Any) -> None:
    with pytest.raises(errors.ConfigError, match="timeout"):
        RocClient(desk.endpoints, timeout=timeout)
    if timeout is not None:
        with pytest.raises(errors.ConfigError, match="timeout"):
            desk.client.proxy("vnir", timeout=timeout)


def test_endless_patience(desk: Desk) -> None:
    desk.serve(Camera())
    assert desk.client.proxy("vnir", timeout=float("inf")).fps == 10.0


# ---- what a timeout says


@pytest.fixture
def busy(desk: Desk) -> Iterator[Camera]:
    """A camera that is taking a nap of 1.5 s for somebody else."""
    camera = Camera()
    desk.serve(camera)
    nap = desk.connect(timeout=10)["vnir"].nap
    running = in_thread(nap, 1.5)
    wait_until(lambda: camera.begun)
    yield camera
    running.join(5)


def timed_out(call: Callable[[], object], timeout: float) -> errors.CallTimeout:
    began = time.monotonic()
    with pytest.raises(errors.CallTimeout) as caught:
        call()
    assert timeout - 0.05 < time.monotonic() - began < timeout + 0.25
    assert isinstance(caught.value, TimeoutError)
    assert f"no answer within {timeout:g} s" in str(caught.value)
    return caught.value


def test_timeout_of_a_call_that_was_not_begun(desk: Desk, busy: Camera) -> None:
    error = timed_out(lambda: desk.client.call_object("vnir", "nap", (0, "late"), None, 0.3), 0.3)
    assert error.executed is False
    assert "vnir.nap" in str(error)
    assert "was not executed, and will not be" in str(error)
    patient = desk.connect(timeout=5)["vnir"]
    assert patient.fps == 10.0
    assert busy.begun == [""]


def test_timeout_of_a_call_that_runs(desk: Desk) -> None:
    desk.serve(Camera())
    error = timed_out(lambda: desk.client.proxy("vnir", timeout=0.4).nap(0.8), 0.4)
    assert error.executed is None
    assert "still runs" in str(error)


def test_timeout_of_a_call_that_nobody_can_know_about(
    broker_process: BrokerProcess, spawn: Spawner
) -> None:
    """The server is frozen: for a while it holds calls that it may or may not begin."""
    child = serve_in_process(spawn, broker_process.endpoints)
    with RocClient(broker_process.endpoints, timeout=0.5) as client:
        fps = client.wait_for("vnir").fps
        assert fps == 10.0
        child.freeze()
        error = timed_out(lambda: client["vnir"].fps, 0.5)
        assert error.executed is None
        assert "cannot be known" in str(error)


def test_frozen_broker(broker_process: BrokerProcess, spawn: Spawner) -> None:
    serve_in_process(spawn, broker_process.endpoints)
    with RocClient(broker_process.endpoints, timeout=0.5) as client:
        assert client.wait_for("vnir").fps == 10.0
        broker_process.child.freeze()
        error = timed_out(lambda: client["vnir"].fps, 0.5)
        assert error.executed is None
        assert "cannot be known" in str(error)
        broker_process.child.thaw()


def serve_in_process(spawn: Spawner, endpoints: Endpoints) -> Child:
    return spawn(
        """
        import sys
        from runmacs.roc import RocServer

        class Camera:
            fps = 10.0

        RocServer(sys.argv[1], "vnir", Camera()).run()
        """,
        endpoints.rocBroker,
    )


def test_no_broker_at_all(nowhere: Endpoints) -> None:
    with RocClient(nowhere, timeout=0.3) as client:
        for use in (lambda: client["vnir"].fps, lambda: list(client), lambda: "vnir" in client):
            began = time.monotonic()
            with pytest.raises(errors.BrokerUnreachable) as caught:
                use()
            assert time.monotonic() - began < 0.3 + 0.25
            assert caught.value.executed is False
            message = str(caught.value)
            assert f"no broker answers at {nowhere.rocBroker}" in message
            assert "rocbroker" in message and "ROC_BROKER" in message


def test_late_replies_disturb_nobody(desk: Desk) -> None:
    desk.serve(Camera())
    hasty = desk.connect(timeout=0.1)
    for _ in range(3):
        with pytest.raises(errors.CallTimeout):
            hasty["vnir"].nap(0.3)
    patient = hasty.proxy("vnir", timeout=3)
    assert patient.nap(0.0) == 0.0
    assert [patient.echo(n)[0] for n in range(50)] == [[n] for n in range(50)]


# ---- its life


def test_close_ends_the_calls_of_other_threads(desk: Desk) -> None:
    camera = Camera()
    desk.serve(camera)
    client = RocClient(desk.endpoints, timeout=30)
    nap = client["vnir"].nap
    ends: list[tuple[float, BaseException]] = []

    def call() -> None:
        try:
            nap(1.0)
        except BaseException as error:
            ends.append((time.monotonic(), error))

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    wait_until(lambda: camera.begun)
    closed = time.monotonic()
    client.close()
    for caller in callers:
        caller.join(2)
    assert len(ends) == 4
    for when, error in ends:
        assert isinstance(error, errors.Closed)
        assert "vnir.nap" in str(error)
        assert when - closed < 0.5


def test_use_after_close(desk: Desk) -> None:
    desk.serve(Camera())
    with RocClient(desk.endpoints) as client:
        vnir = client["vnir"]
        assert vnir.fps == 10.0
    client.close()  # a second time does no harm
    for use in (lambda: vnir.fps, lambda: client["vnir"].fps, lambda: list(client)):
        with pytest.raises(errors.Closed, match="closed"):
            use()
    assert "vnir" in repr(vnir)


def test_context_that_was_passed_in_is_not_terminated(desk: Desk) -> None:
    desk.serve(Camera())
    with zmq.Context() as context:
        for _ in range(3):
            with RocClient(desk.endpoints, context) as client:
                assert client["vnir"].fps == 10.0
            assert not context.closed
    # Here it was terminated, which waits for every socket: all of them are closed.


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="/proc counts descriptors; run it on Linux"
)
def test_many_clients_servers_and_brokers_leave_no_descriptor(desk: Desk) -> None:
    desk.serve(Camera())

    def round_() -> None:
        for _ in range(10):
            with RocClient(desk.endpoints) as client:
                assert client["vnir"].fps == 10.0
        for number in range(3):
            with RocServer(desk.endpoints, f"other{number}", Camera()):
                pass
        with Broker(Endpoints("127.0.0.1", 0)) as broker, RocClient(broker.endpoints) as client:
            assert list(client) == []

    round_()
    before = descriptors()
    for _ in range(10):
        round_()
    # ZeroMQ closes them in a thread of its own; a few come and go with other connections.
    wait_until(lambda: descriptors() <= before + 5, 5, "all descriptors are closed")


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="/proc counts descriptors; run it on Linux"
)
def test_forgotten_clients_leave_no_descriptor(nowhere: Endpoints) -> None:
    """A client that is dropped, not closed, as happens in notebooks."""
    RocClient(nowhere)
    before = descriptors()
    for _ in range(50):
        RocClient(nowhere)
    wait_until(lambda: descriptors() <= before + 5, 5, "all descriptors are closed")


@pytest.mark.parametrize(
    "ending",
    [
        "pass",
        "sys.exit(0)",
        "del client",
        "client.close()",
        "threading.Thread(target=lambda: proxy.nap(0.2), daemon=True).start()",
        "RocClient('127.0.0.1:1')",
    ],
)
def test_interpreter_ends_with_everything_open(spawn: Spawner, ending: str) -> None:
    """Broker, server and client, none of them closed: no hang, no complaint."""
    child = spawn(
        f"""
        import sys, threading, time
        from runmacs.roc import Endpoints, RocClient, RocServer
        from runmacs.roc.broker import Broker

        class Camera:
            def nap(self, seconds):
                time.sleep(seconds)

        broker = Broker(Endpoints("127.0.0.1", 0)).start()
        server = RocServer(broker.endpoints, "vnir", Camera()).start()
        client = RocClient(broker.endpoints)
        proxy = client["vnir"]
        proxy.nap(0)
        print("done", flush=True)
        {ending}
        """
    )
    child.wait_for("^done$")
    assert child.wait(2.0) == 0
    assert child.stderr == ""


def test_interpreter_ends_while_no_broker_is_there(spawn: Spawner, nowhere: Endpoints) -> None:
    child = spawn(
        """
        import sys
        from runmacs.roc import RocClient, RocServer, errors

        client = RocClient(sys.argv[1], timeout=0.2)
        try:
            client["vnir"].fps
        except errors.BrokerUnreachable as error:
            print("done", flush=True)
        """,
        nowhere.rocBroker,
    )
    child.wait_for("^done$")
    assert child.wait(2.0) == 0
    assert child.stderr == ""
