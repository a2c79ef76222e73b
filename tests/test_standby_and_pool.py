"""Several servers for one id: a standby takes over, a pool shares the load."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from processes import Child, Spawner
from runmacs.roc import Endpoints, RocClient
from runmacs.roc.errors import ObjectIdTaken, RocError, ServerLost
from waiting import wait_until

TAKEOVER = 1.75
"""Seconds after a kill within which the standby has to serve."""

PROGRAM = """
import os, sys, time
from runmacs.roc import RocServer

class Worker:
    def pid(self, seconds=0.0):
        time.sleep(seconds)
        return os.getpid()

RocServer(sys.argv[1], "worker", Worker(), policy=sys.argv[2], prefetch=int(sys.argv[3])).run()
"""


@pytest.fixture
def serve(spawn: Spawner, broker: Endpoints) -> Callable[..., Child]:
    def serve(policy: str, prefetch: int = 16) -> Child:
        return spawn(PROGRAM, broker.rocBroker, policy, str(prefetch), name="")

    return serve


def states(client: RocClient) -> dict[int, str]:
    """Process id and state of each server of the worker."""
    entries = {entry["id"]: entry for entry in client["roc.broker"].objects()}
    servers: list[dict[str, Any]] = entries.get("worker", {}).get("servers", [])
    return {server["pid"]: server["state"] for server in servers}


def wait_for_states(client: RocClient, expected: dict[int, str]) -> None:
    wait_until(lambda: states(client) == expected, 10, f"the broker knows {expected}")


@pytest.fixture
def client(broker: Endpoints) -> Any:
    with RocClient(broker, timeout=10) as client:
        yield client


def test_objects_shows_who_serves_and_who_waits(
    serve: Callable[..., Child], client: RocClient
) -> None:
    first = serve("standby")
    wait_for_states(client, {first.pid: "serving"})
    second = serve("standby")
    wait_for_states(client, {first.pid: "serving", second.pid: "standby"})
    assert {client["worker"].pid() for _ in range(20)} == {first.pid}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_standby_takes_over(
    serve: Callable[..., Child], client: RocClient, number: signal.Signals
) -> None:
    first = serve("standby")
    wait_for_states(client, {first.pid: "serving"})
    second = serve("standby")
    wait_for_states(client, {first.pid: "serving", second.pid: "standby"})
    worker = client["worker"]
    assert worker.pid() == first.pid
    killed = time.monotonic()
    first.send_signal(number)
    wait_until(lambda: _pid_or_none(worker) == second.pid, 10, "the standby serves")
    assert time.monotonic() - killed < TAKEOVER


def _pid_or_none(worker: Any) -> int | None:
    try:
        return int(worker.pid())
    except ServerLost:
        return None


def test_calls_at_a_takeover_are_reported_truthfully(
    serve: Callable[..., Child], client: RocClient
) -> None:
    """One call runs and one is queued in the broker when the server is killed."""
    first = serve("standby", 1)
    wait_for_states(client, {first.pid: "serving"})
    second = serve("standby", 1)
    wait_for_states(client, {first.pid: "serving", second.pid: "standby"})
    outcomes: dict[str, Any] = {}

    def call(name: str, seconds: float) -> None:
        try:
            outcomes[name] = client["worker"].pid(seconds)
        except RocError as error:
            outcomes[name] = error

    running = threading.Thread(target=call, args=("running", 5.0))
    running.start()
    monitor = client["roc.broker"]
    wait_until(lambda: monitor.objects()[0]["servers"][0]["running"] == 1, 5, "it runs")
    queued = threading.Thread(target=call, args=("queued", 0.0))
    queued.start()
    wait_until(lambda: monitor.objects()[0]["queued"] == 1, 5, "it is queued")
    first.send_signal(signal.SIGKILL)
    running.join(10)
    queued.join(10)
    assert isinstance(outcomes["running"], ServerLost)
    assert outcomes["running"].executed is None
    assert outcomes["queued"] == second.pid


def test_a_frozen_server_is_replaced_and_comes_back_as_the_standby(
    serve: Callable[..., Child], client: RocClient
) -> None:
    first = serve("standby")
    wait_for_states(client, {first.pid: "serving"})
    second = serve("standby")
    wait_for_states(client, {first.pid: "serving", second.pid: "standby"})
    first.send_signal(signal.SIGSTOP)
    wait_for_states_soon = {second.pid: "serving"}
    wait_until(lambda: states(client) == wait_for_states_soon, 15, "the frozen one is lost")
    assert client["worker"].pid() == second.pid
    first.send_signal(signal.SIGCONT)
    wait_for_states(client, {second.pid: "serving", first.pid: "standby"})
    assert client["worker"].pid() == second.pid


def test_a_pool_shares_the_load(serve: Callable[..., Child], client: RocClient) -> None:
    servers = [serve("pool", 1) for _ in range(3)]
    wait_for_states(client, dict.fromkeys([server.pid for server in servers], "serving"))
    served: Counter[int] = Counter()

    def work() -> None:
        for _ in range(10):
            served[client["worker"].pid(0.01)] += 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(served.values()) == 60
    assert set(served) == {server.pid for server in servers}
    assert min(served.values()) >= 10


def test_a_pool_goes_on_when_one_of_it_is_killed(
    serve: Callable[..., Child], client: RocClient
) -> None:
    servers = [serve("pool") for _ in range(2)]
    wait_for_states(client, dict.fromkeys([server.pid for server in servers], "serving"))
    servers[0].send_signal(signal.SIGKILL)
    wait_for_states(client, {servers[1].pid: "serving"})
    assert {client["worker"].pid() for _ in range(10)} == {servers[1].pid}


def test_policies_do_not_mix(
    serve: Callable[..., Child], client: RocClient, broker: Endpoints
) -> None:
    from runmacs.roc import RocServer

    first = serve("standby")
    wait_for_states(client, {first.pid: "serving"})
    for policy in ("pool", "exclusive"):
        with pytest.raises(ObjectIdTaken, match=f"pid {first.pid}"):
            RocServer(broker, "worker", object(), policy=policy).start()
    assert client["worker"].pid() == first.pid
    assert os.getpid() not in states(client)
