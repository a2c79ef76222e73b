"""The broker is killed under load, and started again at the same address.

Nobody restarts anything else: servers and clients find the new broker by themselves.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from callers import Calling
from processes import BrokerProcess, Child, Spawner, start_broker
from promptness import prompt
from runmacs.roc import Endpoints, RocClient, errors
from waiting import wait_until

BACK_WITHIN = 3.0
TOLD_WITHIN = 1.0
OBJECTS = ["alpha", "beta", "gamma"]

Begun = Callable[[], list[int]]


@dataclass
class Load:
    """Clients that call without a pause, each call with a number of its own."""

    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    done: list[tuple[float, str, int]] = field(default_factory=list)
    failed: list[tuple[float, float, BaseException, int]] = field(default_factory=list)
    stopping: bool = False
    threads: list[threading.Thread] = field(default_factory=list)

    def add(self, client: RocClient, object_id: str) -> None:
        thread = threading.Thread(target=self._call, args=(client, object_id), daemon=True)
        self.threads.append(thread)
        thread.start()

    def _call(self, client: RocClient, object_id: str) -> None:
        while not self.stopping:
            number = next(self.numbers)
            began = time.monotonic()
            try:
                assert client.call_object(object_id, "begin", (number, 0.002)) == number
            except Exception as error:
                self.failed.append((began, time.monotonic(), error, number))
            else:
                self.done.append((time.monotonic(), object_id, number))

    def first_after(self, moment: float) -> dict[str, float]:
        """When each object first answered a call after this moment."""
        first: dict[str, float] = {}
        for ended, object_id, _ in list(self.done):
            if ended > moment:
                first.setdefault(object_id, ended)
        return first

    def stop(self) -> None:
        self.stopping = True
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()


def restart(spawn: Spawner, endpoints: Endpoints) -> BrokerProcess:
    return start_broker(spawn, "--base-port", endpoints.brokerBasePort)


@pytest.mark.parametrize("pause", [0.0, 2.0], ids=["at once", "after 2 s"])
def test_all_is_callable_again(
    broker_process: BrokerProcess,
    serve_recorder: Callable[..., Child],
    spawn: Spawner,
    begun: Begun,
    pause: float,
) -> None:
    """Within 3 s of the new broker's start, and no call was begun twice."""
    servers = [serve_recorder(object_id, name=object_id) for object_id in OBJECTS]
    clients = [RocClient(broker_process.endpoints, timeout=5.0) for _ in range(4)]
    load = Load()
    for client in clients:
        for object_id in OBJECTS:
            client.wait_for(object_id)
            load.add(client, object_id)
    wait_until(lambda: len(load.done) > 200, what="the load flows")

    killed = time.monotonic()
    broker_process.child.kill()
    wait_until(lambda: time.monotonic() >= killed + pause, pause + 1)
    again = restart(spawn, broker_process.endpoints)
    ready = time.monotonic()

    wait_until(lambda: len(load.first_after(ready)) == len(OBJECTS))
    took = max(load.first_after(ready).values()) - ready
    print(f"callable again {took:.2f} s after the broker's ready line")
    with prompt():
        assert took < BACK_WITHIN
    for client in clients:
        assert list(client) == OBJECTS
    load.stop()
    for client in clients:
        client.close()

    assert len(begun()) == len(set(begun())), "a call was begun twice"
    check_verdicts(load, set(begun()), killed)
    assert [server.returncode for server in servers] == [None] * 3
    again.stop()


def check_verdicts(load: Load, begun: set[int], killed: float) -> None:
    """What the callers were told is true, and they were told in time."""
    assert begun >= {number for _, _, number in load.done}
    for began, ended, error, number in load.failed:
        assert isinstance(error, errors.BrokerUnreachable | errors.ServerLost), repr(error)
        if error.executed is False:
            assert number not in begun
        if began < killed:
            assert error.executed is None
            assert ended - killed < TOLD_WITHIN


def test_waiting_callers_are_told(
    broker_process: BrokerProcess, server: Child, recorder: Any, begun: Begun
) -> None:
    """Within 1 s, and whether the call was executed cannot be known."""
    clients = [RocClient(broker_process.endpoints, timeout=30) for _ in range(4)]
    methods = [client["recorder"].begin for client in clients]
    calls = [Calling(method, number, 5.0) for number, method in enumerate(methods)]
    monitor = RocClient(broker_process.endpoints, timeout=20)
    wait_until(lambda: handed_out(monitor) == 4, what="the server holds all four")
    killed = time.monotonic()
    broker_process.child.kill()
    for call in calls:
        error = call.wait().error
        assert isinstance(error, errors.BrokerUnreachable), repr(error)
        assert error.executed is None
        assert broker_process.endpoints.rocBroker in str(error)
        print(f"a caller was told after {call.ended - killed:.3f} s")
        with prompt():
            assert call.ended - killed < TOLD_WITHIN
    for client in [*clients, monitor]:
        client.close()


def handed_out(monitor: RocClient) -> int:
    """How many calls the broker has handed to the recorder's server."""
    (entry,) = monitor["roc.broker"].objects()
    return int(entry["servers"][0]["running"])


def test_server_drops_what_a_dead_broker_handed_to_it(
    broker_process: BrokerProcess,
    server: Child,
    recorder: Any,
    begun: Begun,
    spawn: Spawner,
    client: RocClient,
    let_go: Callable[[], None],
) -> None:
    """Nobody waits for these any longer; the one that runs is not disturbed."""
    clients = [RocClient(broker_process.endpoints, timeout=30) for _ in range(4)]
    methods = [client["recorder"].begin for client in clients]
    calls = [Calling(clients[0]["recorder"].hold, 0)]
    wait_until(begun, what="the first call has begun")
    calls += [Calling(method, number) for number, method in enumerate(methods[1:], 1)]
    broker = client["roc.broker"]
    wait_until(lambda: broker.objects()[0]["servers"][0]["running"] == len(calls))
    broker_process.child.kill()
    for call in calls:
        assert isinstance(call.wait().error, errors.BrokerUnreachable), repr(call.error)
    again = restart(spawn, broker_process.endpoints)
    let_go()
    assert client.wait_for("recorder").begin(100) == 100
    assert begun() == [0, 100]
    for caller in clients:
        caller.close()
    again.stop()


def test_a_call_made_meanwhile_is_sent_once_the_broker_is_back(
    broker_process: BrokerProcess, server: Child, client: RocClient, recorder: Any,
    begun: Begun, spawn: Spawner,
) -> None:  # fmt: skip
    patient = client.proxy("recorder", timeout=30).begin
    broker_process.child.kill()
    call = Calling(patient, 5)
    again = restart(spawn, broker_process.endpoints)
    assert call.wait().result == 5
    assert begun() == [5]
    again.stop()


def test_a_call_that_no_broker_took_was_not_executed(
    broker_process: BrokerProcess, server: Child, client: RocClient, recorder: Any,
    begun: Begun, spawn: Spawner,
) -> None:  # fmt: skip
    with prompt():  # that it is a method is asked for with the same patience
        method = client.proxy("recorder", timeout=0.5).begin
    broker_process.child.kill()
    knows = time.monotonic() + 1.0
    wait_until(lambda: time.monotonic() > knows, 2)
    call = Calling(method, 5).wait()
    assert isinstance(call.error, errors.BrokerUnreachable)
    assert call.error.executed is False
    assert "rocbroker" in str(call.error)
    with prompt():
        assert call.ended - call.began < 0.5 + 0.25
    again = restart(spawn, broker_process.endpoints)
    assert client.wait_for("recorder").begin(6) == 6
    assert begun() == [6]
    again.stop()


def test_server_says_once_that_its_broker_is_back(
    broker_process: BrokerProcess, server: Child, client: RocClient, spawn: Spawner
) -> None:
    broker_process.child.kill()
    again = restart(spawn, broker_process.endpoints)
    client.wait_for("recorder")
    wait_until(lambda: server.stderr)
    (line,) = server.stderr.splitlines()
    assert broker_process.endpoints.rocBroker in line
    again.stop()
