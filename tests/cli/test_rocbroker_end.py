"""The end of `rocbroker`: exit 0 within 2 s, and everybody is told."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

import pytest
import zmq

from processes import POSIX, BrokerProcess, Child, Spawner, only_says_how_it_runs
from promptness import prompt
from runmacs.roc import RocClient, RocServer, errors
from runmacs.roc.wire import mdp
from waiting import wait_until

ENDS_WITHIN = 2.0

posix = pytest.mark.skipif(not POSIX, reason="POSIX signals; run it on Linux or macOS")


class Camera:
    fps = 10.0

    def nap(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ends_cleanly_on_a_signal(broker_process: BrokerProcess, number: signal.Signals) -> None:
    broker_process.child.send_signal(number)
    assert broker_process.child.ends_in_time(ENDS_WITHIN) == 0
    assert len(broker_process.child.stdout.splitlines()) == 1
    assert only_says_how_it_runs(broker_process.child)


@posix
def test_ends_cleanly_under_load(broker_process: BrokerProcess) -> None:
    """Servers are told, callers too, and the process is gone within 2 s."""
    endpoints = broker_process.endpoints
    ended: list[tuple[float, BaseException]] = []

    def call(client: RocClient) -> None:
        try:
            while True:
                client.call_object("vnir", "nap", (0.01,))
        except errors.RocError as error:
            ended.append((time.monotonic(), error))

    with RocServer(endpoints, "vnir", Camera()):
        clients = [RocClient(endpoints, timeout=1.0) for _ in range(4)]
        threads = [threading.Thread(target=call, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        with RocClient(endpoints, timeout=20) as client:
            wait_until(lambda: client["roc.broker"].stats()["replies"] > 20)
        broker_process.child.terminate()
        struck = time.monotonic()
        assert broker_process.child.ends_in_time(ENDS_WITHIN) == 0
        for thread in threads:
            thread.join(30)
        for when, error in ended:
            with prompt():  # a second is the time of each call
                assert isinstance(error, errors.BrokerUnreachable)
                # At once where a call was under way; one that came later has waited its time out.
                assert when - struck < 1.0 + 0.25
        assert len(ended) == 4
        for client in clients:
            client.close()


@posix
def test_workers_are_told(broker_process: BrokerProcess) -> None:
    """Also a stock one, by the plain DISCONNECT of 7/MDP, before the connection ends."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as worker:
        worker.linger = 0
        worker.connect(broker_process.endpoints.rocBroker)
        worker.send_multipart([b"", mdp.WORKER, mdp.READY, b"stock"])
        with RocClient(broker_process.endpoints, timeout=20) as client:
            wait_until(lambda: "stock" in client)
        broker_process.child.terminate()
        commands = []
        while worker.poll(30_000):
            commands.append(worker.recv_multipart()[2])
            if commands[-1] == mdp.DISCONNECT:
                break
        assert commands[-1] == mdp.DISCONNECT
        assert broker_process.child.ends_in_time(ENDS_WITHIN) == 0


@posix
def test_ends_although_a_peer_takes_nothing(broker_process: BrokerProcess, spawn: Spawner) -> None:
    """A frozen server cannot keep a broker from ending."""
    child = spawn(
        """
        import sys
        from runmacs.roc import RocServer

        class Camera:
            fps = 10.0

            def size(self, data):
                return len(data)

        RocServer(sys.argv[1], "vnir", Camera()).run()
        """,
        broker_process.endpoints.rocBroker,
    )
    with RocClient(broker_process.endpoints, timeout=0.3) as client:
        client.wait_for("vnir")
        child.freeze()
        for _ in range(3):
            with pytest.raises(errors.RocError):
                client.call_object("vnir", "size", (bytes(20_000_000),))
        broker_process.child.terminate()
        assert broker_process.child.ends_in_time(ENDS_WITHIN) == 0


@posix
@pytest.mark.parametrize("attempt", range(5))
def test_signal_right_after_the_ready_line(rocbroker: Callable[..., Child], attempt: int) -> None:
    child = rocbroker("--base-port", 0)
    child.wait_for("^rocbroker ready")
    child.terminate()
    assert child.ends_in_time(ENDS_WITHIN) == 0
