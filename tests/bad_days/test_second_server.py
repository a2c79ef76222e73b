"""Two servers want the same object id: the first keeps it, and the second is told why not."""

from __future__ import annotations

import re
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from callers import Calling
from processes import BrokerProcess, Child, Spawner, start_broker
from promptness import prompt
from runmacs.roc import Endpoints, RocClient, RocServer, errors
from waiting import wait_until

Begun = Callable[[], list[int]]


class Another:
    def begin(self, number: int) -> int:
        raise AssertionError("the second server was called")


@pytest.mark.parametrize("way", ["run", "start"])
def test_is_refused_with_the_reason(
    broker: Endpoints, server: Child, recorder: Any, way: str
) -> None:
    """Host, pid and since when; in the error's words and in its data."""
    second = RocServer(broker, "recorder", Another())
    began = time.monotonic()
    with pytest.raises(errors.ObjectIdTaken) as caught:
        getattr(second, way)()
    took = time.monotonic() - began
    print(f"refused after {took:.3f} s")
    with prompt():
        assert took < 2.0, "the first one beats every 0.5 s"
    error = caught.value
    assert "'recorder'" in str(error)
    assert f"{socket.gethostname()}, pid {server.pid}" in str(error)
    assert re.search(r"since \d+ s", str(error))
    assert error.data["host"] == socket.gethostname()
    assert error.data["pid"] == server.pid
    assert 0 <= error.data["since"] < 60
    assert recorder.pid == server.pid


def test_the_first_is_unharmed(
    client: RocClient,
    server: Child,
    recorder: Any,
    begun: Begun,
    serve_recorder: Callable[..., Child],
) -> None:
    """Not even a call that runs meanwhile, or one that waits in line."""
    slow = client.proxy("recorder", timeout=20)
    running = Calling(slow.begin, 1, 3.0)
    wait_until(begun, what="the call has begun")
    waiting = Calling(slow.begin, 2)
    second = serve_recorder(name="second")
    assert second.wait() != 0, "refused while the first is busy"
    assert running.wait().result == 1
    assert waiting.wait().result == 2
    assert begun() == [1, 2]
    assert server.returncode is None
    with prompt():  # after a second without a broker it would say so
        assert server.stderr == ""
    (entry,) = client["roc.broker"].objects()
    assert len(entry["servers"]) == 1
    assert entry["pid"] == server.pid
    assert client["roc.broker"].stats()["refused_object_id_taken"] == 1


def test_its_program_ends_with_the_reason_on_stderr(
    server: Child, serve_recorder: Callable[..., Child]
) -> None:
    second = serve_recorder(name="second")
    assert second.wait() == 1
    last = second.stderr.splitlines()[-1]
    assert last.startswith("runmacs.roc.errors.ObjectIdTaken: ")
    assert f"pid {server.pid}" in last


def test_is_held_until_a_frozen_first_is_lost(
    server: Child, client: RocClient, recorder: Any, serve_recorder: Callable[..., Child]
) -> None:
    """While nobody knows whether the first still lives, the second waits for it."""
    server.freeze()
    second = serve_recorder(name="second")
    wait_until(lambda: len(client["roc.broker"].objects()[0]["servers"]) == 2)
    assert [s["state"] for s in client["roc.broker"].objects()[0]["servers"]][1] == "held"
    server.kill()
    wait_until(lambda: pid_of(client) == second.pid, what="the second has the object")
    assert second.returncode is None


def test_frozen_first_thaws_and_keeps_its_object(
    server: Child, client: RocClient, recorder: Any, serve_recorder: Callable[..., Child]
) -> None:
    server.freeze()
    second = serve_recorder(name="second")
    wait_until(lambda: len(client["roc.broker"].objects()[0]["servers"]) == 2)
    server.thaw()
    assert second.wait() != 0
    assert "ObjectIdTaken" in second.stderr
    assert client.proxy("recorder", timeout=30).pid == server.pid


def test_server_restarted_after_a_kill_is_accepted(
    server: Child, client: RocClient, serve_recorder: Callable[..., Child]
) -> None:
    """However often, and without a pause in between."""
    servers = [server]
    for number in range(5):
        servers[-1].kill()
        killed = time.monotonic()
        servers.append(serve_recorder(name=f"again{number}"))
        wait_until(lambda: pid_of(client) == servers[-1].pid, what="the new one has the object")
        with prompt():
            assert time.monotonic() - killed < 3.0
        assert servers[-1].returncode is None


def pid_of(client: RocClient) -> int:
    try:
        return int(client.call_object("recorder", "rpc.ping", timeout=1.0)["pid"])
    except (errors.DeliveryError, errors.CallTimeout):
        return 0


def test_refused_later_it_says_so_once_and_tries_on(
    broker_process: BrokerProcess,
    server: Child,
    client: RocClient,
    serve_recorder: Callable[..., Child],
    spawn: Spawner,
) -> None:
    """After a broker's restart another server may have been faster."""
    server.freeze()
    broker_process.child.kill()
    again = start_broker(spawn, "--base-port", broker_process.endpoints.brokerBasePort)
    faster = serve_recorder(name="faster")
    wait_until(lambda: pid_of(client) == faster.pid)
    server.thaw()
    wait_until(lambda: f"pid {faster.pid}" in server.stderr, what="it says who has the object")
    stats = client["roc.broker"].stats
    seen = stats()["refused_object_id_taken"]
    wait_until(lambda: stats()["refused_object_id_taken"] > seen + 1, what="it tries on")
    said = [line for line in server.stderr.splitlines() if f"pid {faster.pid}" in line]
    assert len(said) == 1, "it says so once"
    assert server.returncode is None
    faster.kill()
    wait_until(lambda: pid_of(client) == server.pid, what="the first one has its object back")
    server.send_signal(signal.SIGTERM)
    assert server.wait() == 0
    again.stop()
