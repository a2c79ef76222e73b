"""Futures, when servers and brokers die under them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from instrument import held
from processes import BrokerProcess, Child, start_broker
from promptness import prompt
from runmacs.roc import RocClient, errors
from waiting import wait_until

KNOWS_WITHIN = 0.75
LOST_WITHIN = 1.0

Begun = Callable[[], list[int]]


@pytest.fixture
def patient(client: RocClient, server: Child) -> Any:
    return client.proxy("recorder", timeout=30)


@pytest.mark.parametrize("waits", [True, False], ids=["waited for", "nobody waits"])
def test_the_server_is_killed(
    client: RocClient, server: Child, patient: Any, begun: Begun, waits: bool
) -> None:
    begin, hold = patient.begin, patient.hold
    futures = [client.submit(begin, 0), client.submit(hold, 1)]
    futures += [client.submit(begin, number) for number in range(2, 500)]
    assert futures[0].result() == 0
    wait_until(lambda: held(client, "recorder") == 16, what="it holds all that it may")
    wait_until(lambda: len(begun()) == 2)
    killed = time.monotonic()
    server.kill()
    if not waits:
        wait_until(lambda: all(future.done() for future in futures[1:17]))
    found = [future.exception() for future in futures[1:17]]
    with prompt():
        assert time.monotonic() - killed < KNOWS_WITHIN
    # The one that runs counts, too: the server held 16.
    assert all(isinstance(error, errors.ServerLost) for error in found)
    assert {error.executed for error in found} == {None}  # type: ignore[union-attr]
    # The others wait at the broker for the server's return.
    assert not any(future.done() for future in futures[17:])
    client.close()
    assert all(isinstance(future.exception(), errors.Closed) for future in futures[17:])
    assert begun() == [0, 1]


@pytest.mark.parametrize("waits", [True, False], ids=["waited for", "nobody waits"])
def test_the_broker_is_killed_and_comes_back(
    client: RocClient,
    patient: Any,
    begun: Begun,
    broker_process: BrokerProcess,
    spawn: Any,
    waits: bool,
) -> None:
    futures = [client.submit(patient.begin, number, 0.1) for number in range(300)]
    wait_until(lambda: len(begun()) > 3)
    killed = time.monotonic()
    broker_process.child.kill()
    if not waits:
        wait_until(lambda: all(future.done() for future in futures))
    found = [future.exception() for future in futures]
    with prompt():
        assert time.monotonic() - killed < LOST_WITHIN
    lost = [error for error in found if error is not None]
    assert all(isinstance(error, errors.BrokerUnreachable) for error in lost)
    assert {error.executed for error in lost} == {None}  # type: ignore[attr-defined]
    waiting = [client.submit(patient.begin, 1000 + number) for number in range(20)]
    again = start_broker(
        spawn, "--base-port", broker_process.endpoints.brokerBasePort, name="again"
    )
    assert [future.result() for future in waiting] == [1000 + number for number in range(20)]
    numbers = begun()
    assert len(numbers) == len(set(numbers)), "nothing is executed twice"
    assert numbers[-20:] == list(range(1000, 1020))
    # What was at the server or the broker, and not begun, never is.
    with prompt():  # of what was executed one reply, perhaps, was under way
        assert len(numbers) - 20 <= len(futures) - len(lost) + 2
    client.close()
    again.stop()
