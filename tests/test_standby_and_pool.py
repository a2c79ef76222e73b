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

from desk import Desk
from processes import Child, Spawner
from promptness import prompt
from runmacs.roc import Endpoints, RocClient, RocServer
from runmacs.roc.errors import CallTimeout, ConfigError, ObjectIdTaken, RocError, ServerLost
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
    wait_until(lambda: states(client) == expected, what=f"the broker knows {expected}")


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
    wait_until(lambda: _pid_or_none(worker) == second.pid, what="the standby serves")
    with prompt():
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
    worker = client["worker"]
    worker.pid()  # from here on it knows what it calls: each call is one request

    def call(name: str, seconds: float) -> None:
        try:
            outcomes[name] = worker.pid(seconds)
        except RocError as error:
            outcomes[name] = error

    running = threading.Thread(target=call, args=("running", 5.0))
    running.start()
    monitor = client["roc.broker"]
    wait_until(lambda: monitor.objects()[0]["servers"][0]["running"] == 1, what="it runs")
    queued = threading.Thread(target=call, args=("queued", 0.0))
    queued.start()
    wait_until(lambda: monitor.objects()[0]["queued"] == 1, what="it is queued")
    first.send_signal(signal.SIGKILL)
    running.join(30)
    queued.join(30)
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
    wait_until(lambda: states(client) == wait_for_states_soon, what="the frozen one is lost")
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
    with prompt():
        assert min(served.values()) >= 10


def test_a_pool_shares_the_load_of_one_caller(
    serve: Callable[..., Child], client: RocClient
) -> None:
    """A proxy that is made anew for each call does not ask each time what it calls."""
    servers = [serve("pool") for _ in range(2)]
    wait_for_states(client, dict.fromkeys([server.pid for server in servers], "serving"))
    served = Counter(client["worker"].pid() for _ in range(20))
    assert set(served) == {server.pid for server in servers}
    with prompt():
        assert min(served.values()) >= 5


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
    first = serve("standby")
    wait_for_states(client, {first.pid: "serving"})
    for policy in ("pool", "exclusive"):
        with pytest.raises(ObjectIdTaken, match=f"pid {first.pid}"):
            RocServer(broker, "worker", object(), policy=policy).start()
    assert client["worker"].pid() == first.pid
    assert os.getpid() not in states(client)


# ---- chosen from outside


@pytest.mark.parametrize("policy", ["standby", "pool"])
def test_the_environment_gives_a_policy_to_any_program(
    spawn: Spawner, broker: Endpoints, client: RocClient, policy: str
) -> None:
    program = """
    import os, sys
    from runmacs.roc.servers import run_simple_server

    class Worker:
        def pid(self):
            return os.getpid()

    run_simple_server("worker", Worker())
    """
    env = {"ROC_BROKER": broker.rocBroker, "ROC_POLICY": policy}
    first = spawn(program, name="first", env=env)
    wait_for_states(client, {first.pid: "serving"})
    second = spawn(program, name="second", env=env)
    wait_for_states(client, {first.pid: "serving", second.pid: policy.replace("pool", "serving")})
    if policy == "pool":
        with prompt():  # after a second without a broker they would say so
            assert (first.stderr, second.stderr) == ("", "")
        return
    wait_until(lambda: second.stderr.endswith("\n"), what="it says that it stands by")
    with prompt():  # after a second without a broker it would say so first
        assert second.stderr == "worker: this server stands by; another server has it.\n"
    first.kill()
    wait_until(lambda: _pid_or_none(client["worker"]) == second.pid, what="it has taken over")
    wait_until(lambda: len(second.stderr.splitlines()) == 2, what="it says so")
    assert second.stderr.splitlines()[1] == "worker: this server serves now."


def test_what_the_program_says_comes_before_the_environment(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROC_POLICY", "pool")
    desk.serve(object(), "alone", policy="exclusive")
    desk.serve(object(), "one")
    policies = {entry["id"]: entry["policy"] for entry in desk.client["roc.broker"].objects()}
    assert policies == {"alone": "exclusive", "one": "pool"}
    monkeypatch.setenv("ROC_POLICY", "alone")
    with pytest.raises(ConfigError, match="ROC_POLICY: 'alone' is no value for policy"):
        RocServer(desk.endpoints, "other", object())


def test_whose_policy_differs_is_told_what_to_do(desk: Desk) -> None:
    desk.serve(object(), "worker")
    with pytest.raises(ObjectIdTaken, match=r"start that one with ROC_POLICY=standby, too"):
        desk.serve(object(), "worker", policy="standby")


def test_a_program_learns_what_its_server_has_become(desk: Desk) -> None:
    """Before the first call: a standby opens its hardware when it takes over."""

    class Camera:
        opened = False

        def open(self, state: str) -> None:
            time.sleep(0.3)
            self.opened = state == "serving"

    seen: list[str] = []
    first, second = Camera(), Camera()

    def on_state(state: str) -> None:
        seen.append(state)
        second.open(state)

    holder = desk.serve(first, policy="standby", on_state=first.open)
    wait_until(lambda: first.opened, what="the first one is open")
    desk.serve(second, policy="standby", on_state=on_state)
    vnir = desk.client["vnir"]
    holder.stop()
    assert vnir.opened is True
    assert seen == ["standby", "serving"]


def test_heartbeats_go_on_while_the_hardware_is_opened(desk: Desk) -> None:
    slow = desk.share(object(), on_state=lambda state: time.sleep(2.5))
    with pytest.raises(CallTimeout) as caught:
        desk.connect(timeout=0.5)["vnir"].name  # noqa: B018
    assert caught.value.executed is False
    assert repr(slow).startswith("<vnir: builtins.object"), "the control lane answers"
    states = [server["state"] for server in desk.client["roc.broker"].objects()[0]["servers"]]
    with prompt():
        assert states == ["serving"]


def test_what_on_state_raises_ends_the_server(spawn: Spawner, broker: Endpoints) -> None:
    child = spawn(
        """
        import sys
        from runmacs.roc.servers import run_simple_server

        def on_state(state):
            raise OSError("no camera on this bus")

        run_simple_server("vnir", object(), broker=sys.argv[1], on_state=on_state)
        """,
        broker.rocBroker,
    )
    assert child.wait() == 1
    assert child.stderr.splitlines()[-1] == "OSError: no camera on this bus"
