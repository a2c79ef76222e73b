"""A client's life: close, use after it, what it leaves behind, and the end of its program."""

from __future__ import annotations

import os
import sys
import time

import pytest
import zmq

from callers import Calling
from desk import Desk
from processes import Spawner
from promptness import prompt
from runmacs.roc import Endpoints, RocClient, RocServer, errors
from runmacs.roc.broker import Broker
from waiting import wait_until


class Camera:
    fps = 10.0

    def nap(self, seconds: float) -> None:
        time.sleep(seconds)


def test_close_ends_the_calls_of_other_threads(desk: Desk) -> None:
    desk.serve(Camera())
    client = RocClient(desk.endpoints, timeout=30)
    nap = client["vnir"].nap
    calls = [Calling(nap, 3.0) for _ in range(4)]
    objects = desk.client["roc.broker"].objects
    wait_until(lambda: objects()[0]["servers"][0]["running"] == len(calls))
    closed = time.monotonic()
    client.close()
    for call in calls:
        error = call.wait().error
        assert isinstance(error, errors.Closed)
        assert "vnir.nap" in str(error)
        with prompt():
            assert call.ended - closed < 0.5


def test_use_after_close(desk: Desk) -> None:
    desk.serve(Camera())
    with RocClient(desk.endpoints, timeout=20) as client:
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
            with RocClient(desk.endpoints, timeout=20) as client:
                assert client["vnir"].fps == 10.0
        for number in range(3):
            with RocServer(desk.endpoints, f"other{number}", Camera()):
                pass
        with (
            Broker(Endpoints("127.0.0.1", 0)) as broker,
            RocClient(broker.endpoints, timeout=20) as client,
        ):
            assert list(client) == []

    round_()
    before = descriptors()
    for _ in range(10):
        round_()
    # ZeroMQ closes them in a thread of its own; a few come and go with other connections.
    wait_until(lambda: descriptors() <= before + 5, what="all descriptors are closed")


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="/proc counts descriptors; run it on Linux"
)
def test_forgotten_clients_leave_no_descriptor(nowhere: Endpoints) -> None:
    """A client that is dropped, not closed, as happens in notebooks."""
    RocClient(nowhere, timeout=20)
    before = descriptors()
    for _ in range(50):
        RocClient(nowhere, timeout=20)
    wait_until(lambda: descriptors() <= before + 5, what="all descriptors are closed")


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
        client = RocClient(broker.endpoints, timeout=20)
        proxy = client["vnir"]
        proxy.nap(0)
        print("done", flush=True)
        {ending}
        """
    )
    child.wait_for("^done$")
    assert child.ends_in_time() == 0
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
    assert child.ends_in_time() == 0
    assert child.stderr == ""
