"""What a timeout says: the call was not executed, still runs, or nobody can know."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from callers import Calling
from desk import Desk
from processes import BrokerProcess, Child, Spawner
from promptness import prompt
from runmacs.roc import Endpoints, RocClient, errors
from waiting import wait_until


class Camera:
    def __init__(self) -> None:
        self.fps = 10.0
        self.begun: list[str] = []
        self.go_on = threading.Event()

    def echo(self, *args: object, **kwargs: object) -> object:
        return [list(args), kwargs]

    def hold(self) -> None:
        self.begun.append("")
        self.go_on.wait(60)

    def nap(self, seconds: float, name: str = "") -> float:
        self.begun.append(name)
        time.sleep(seconds)
        return seconds


@pytest.fixture
def busy(desk: Desk) -> Iterator[Camera]:
    """A camera that works for somebody else until it is told to go on."""
    camera = Camera()
    desk.serve(camera)
    running = Calling(desk.connect(timeout=60)["vnir"].hold)
    wait_until(lambda: camera.begun)
    yield camera
    camera.go_on.set()
    running.wait()


def timed_out(call: Callable[[], object], timeout: float) -> errors.CallTimeout:
    began = time.monotonic()
    with pytest.raises(errors.CallTimeout) as caught:
        call()
    with prompt():
        assert timeout - 0.05 < time.monotonic() - began < timeout + 0.25
    assert isinstance(caught.value, TimeoutError)
    assert f"no answer within {timeout:g} s" in str(caught.value)
    return caught.value


def test_timeout_of_a_call_that_was_not_begun(desk: Desk, busy: Camera) -> None:
    error = timed_out(lambda: desk.client.call_object("vnir", "nap", (0, "late"), None, 0.3), 0.3)
    assert error.executed is False
    assert "vnir.nap" in str(error)
    assert "was not executed, and will not be" in str(error)
    busy.go_on.set()
    patient = desk.connect()["vnir"]
    assert patient.fps == 10.0
    assert busy.begun == [""]


def test_timeout_of_a_call_that_runs(desk: Desk) -> None:
    desk.serve(Camera())
    error = timed_out(lambda: desk.client.proxy("vnir", timeout=0.4).nap(0.8), 0.4)
    with prompt():
        assert error.executed is None
        assert "still runs" in str(error)


def test_timeout_of_a_call_that_nobody_can_know_about(
    broker_process: BrokerProcess, spawn: Spawner
) -> None:
    """The server is frozen: for a while it holds calls that it may or may not begin."""
    child = serve_in_process(spawn, broker_process.endpoints)
    with RocClient(broker_process.endpoints, timeout=0.5) as client:
        client.wait_for("vnir", timeout=30)
        assert client.proxy("vnir", timeout=30).fps == 10.0
        child.freeze()
        error = timed_out(lambda: client["vnir"].fps, 0.5)
        assert error.executed is None
        assert "cannot be known" in str(error)


def test_frozen_broker(broker_process: BrokerProcess, spawn: Spawner) -> None:
    serve_in_process(spawn, broker_process.endpoints)
    with RocClient(broker_process.endpoints, timeout=0.5) as client:
        client.wait_for("vnir", timeout=30)
        assert client.proxy("vnir", timeout=30).fps == 10.0
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
            with prompt():
                assert time.monotonic() - began < 0.3 + 0.25
            assert caught.value.executed is False
            message = str(caught.value)
            assert f"no broker answers at {nowhere.rocBroker}" in message
            assert "rocbroker" in message
            assert "ROC_BROKER" in message


def test_late_replies_disturb_nobody(desk: Desk) -> None:
    desk.serve(Camera())
    hasty = desk.connect(timeout=0.1)
    for _ in range(3):
        with prompt(), pytest.raises(errors.CallTimeout):
            hasty["vnir"].nap(0.3)
    patient = hasty.proxy("vnir", timeout=30)
    assert patient.nap(0.0) == 0.0
    assert [patient.echo(n)[0] for n in range(50)] == [[n] for n in range(50)]
