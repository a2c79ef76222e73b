"""A process freezes and thaws, as one does in a debugger or on a computer that swaps.

Nothing that timed out meanwhile is executed afterwards, wherever it waited: in the frozen
process, in the broker, or in the buffers of the system in between.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from callers import Calling
from processes import BrokerProcess, Child
from promptness import prompt
from runmacs.roc import RocClient, errors
from waiting import wait_until

TIMEOUT = 0.5
ENDS_WITHIN = TIMEOUT + 0.25

Begun = Callable[[], list[int]]


@pytest.fixture
def strangers(broker_process: BrokerProcess) -> Iterator[list[RocClient]]:
    """Clients that the server has never heard of, but each knows its method already.

    A server that only compares a client's messages with earlier ones cannot tell how late
    their first is.
    """
    clients = [RocClient(broker_process.endpoints, timeout=TIMEOUT) for _ in range(8)]
    yield clients
    for client in clients:
        client.close()


def calls_in_vain(clients: list[RocClient], first: int) -> list[Calling]:
    """One call of each client, all of which must time out, and in time."""
    calls = []
    for number, client in enumerate(clients, first):
        # Not by a proxy: it would ask what kind of member this is, and that would time out.
        calls.append(Calling(lambda c=client, n=number: c.call_object("recorder", "begin", (n,))))
    for call in calls:
        error = call.wait().error
        if isinstance(error, errors.BrokerUnreachable):
            assert error.executed is False  # it has not met the broker, so nothing was sent
            continue
        assert isinstance(error, errors.CallTimeout), repr(error)
        assert error.executed is not True
        with prompt():
            assert call.ended - call.began < ENDS_WITHIN
    return calls


def executes_again(client: RocClient, number: int) -> None:
    """A call ends soon, which begins with the question what kind of member this is."""
    patient = client.proxy("recorder", timeout=30)
    began = time.monotonic()
    assert patient.begin(number) == number
    with prompt():
        assert time.monotonic() - began < 3.0


@pytest.mark.parametrize("attempt", range(5))
def test_frozen_server_executes_nothing_late(
    server: Child, client: RocClient, recorder: Any, strangers: list[RocClient], begun: Begun,
    attempt: int,
) -> None:  # fmt: skip
    executes_again(client, 0)
    executes_again(strangers[0], 1)
    server.freeze()
    calls_in_vain(strangers, 2)
    server.thaw()
    executes_again(client, 100)
    executes_again(strangers[1], 101)
    assert begun() == [0, 1, 100, 101]


def test_frozen_in_mid_call_it_finishes_that_and_nothing_late(
    server: Child, client: RocClient, recorder: Any, strangers: list[RocClient], begun: Begun
) -> None:
    slow = client.proxy("recorder", timeout=30)
    running = Calling(slow.begin, 0, 0.3)
    wait_until(begun, what="the call has begun")
    server.freeze()
    calls_in_vain(strangers, 1)
    server.thaw()
    assert running.wait().result == 0
    executes_again(client, 100)
    assert begun() == [0, 100]


def test_calls_in_line_at_the_server_when_it_freezes(
    server: Child, client: RocClient, recorder: Any, strangers: list[RocClient], begun: Begun,
    let_go: Callable[[], None],
) -> None:  # fmt: skip
    """These the server has read already, and has not begun."""
    running = Calling(client.proxy("recorder", timeout=60).hold, 0)
    wait_until(begun, what="the call has begun")
    calls = [
        Calling(lambda c=stranger, n=number: c.call_object("recorder", "begin", (n,)))
        for number, stranger in enumerate(strangers, 1)
    ]
    broker = client["roc.broker"]
    with prompt():  # before their time is over
        held = 1 + len(calls)
        wait_until(lambda: broker.objects()[0]["servers"][0]["running"] == held, TIMEOUT)
    server.freeze()
    for call in calls:
        assert isinstance(call.wait().error, errors.CallTimeout), repr(call.error)
    let_go()
    server.thaw()
    assert running.wait().result == 0
    executes_again(client, 100)
    assert begun() == [0, 100]


def test_a_call_that_is_still_awaited_is_executed_after_the_thaw(
    server: Child, client: RocClient, recorder: Any, strangers: list[RocClient], begun: Begun
) -> None:
    patient = client.proxy("recorder", timeout=60).begin
    server.freeze()
    awaited = Calling(patient, 7)
    calls_in_vain(strangers, 1)
    server.thaw()
    assert awaited.wait().result == 7
    assert begun() == [7]


@pytest.mark.parametrize("seconds", [2.0, pytest.param(12.0, marks=pytest.mark.slow)])
def test_long_freeze(
    server: Child, client: RocClient, recorder: Any, strangers: list[RocClient], begun: Begun,
    seconds: float,
) -> None:  # fmt: skip
    """After 1.5 s of silence the server is stalled, after 10 s it is lost to its broker."""
    broker = client["roc.broker"]
    server.freeze()
    frozen = time.monotonic()
    calls_in_vain(strangers[:4], 1)
    wait_until(lambda: broker.objects()[0]["state"] == "stalled", what="it is stalled")
    with prompt():
        assert time.monotonic() - frozen < 2.5
    (late,) = calls_in_vain(strangers[4:5], 50)
    assert "executed" in str(late.error), "the caller is told what became of its call"
    assert isinstance(late.error, errors.CallTimeout)
    assert late.error.executed is False, "nothing is handed to a stalled server"
    wait_until(lambda: time.monotonic() > frozen + seconds, seconds + 1)
    with prompt():
        assert ("recorder" in client) == (seconds < 10)
    server.thaw()
    executes_again(client, 100)
    assert begun() == [100]


@pytest.mark.parametrize("attempt", range(5))
def test_frozen_broker_hands_out_nothing_late(
    broker_process: BrokerProcess, server: Child, client: RocClient, recorder: Any,
    strangers: list[RocClient], begun: Begun, attempt: int,
) -> None:  # fmt: skip
    executes_again(client, 0)
    for stranger in strangers[:4]:
        with prompt():
            assert "recorder" in stranger  # the others have not said a word to this broker
    broker_process.child.freeze()
    calls_in_vain(strangers, 1)
    broker_process.child.thaw()
    executes_again(client, 100)
    executes_again(strangers[0], 101)
    executes_again(strangers[-1], 102)
    assert begun() == [0, 100, 101, 102]


def test_broker_frozen_until_its_server_leaves_it(
    broker_process: BrokerProcess, server: Child, client: RocClient, recorder: Any, begun: Begun
) -> None:
    """After 1.5 s the server gives its broker up, and returns once it is back."""
    numbers = itertools.count()

    def executes() -> bool:
        try:
            client.call_object("recorder", "begin", (next(numbers),), timeout=1.0)
        except (errors.DeliveryError, errors.CallTimeout):
            # Handed to the connection that the server has left, or too old to be believed.
            return False
        return True

    broker_process.child.freeze()
    frozen = time.monotonic()
    wait_until(lambda: time.monotonic() > frozen + 2.5, 3.0)
    broker_process.child.thaw()
    thawed = time.monotonic()
    wait_until(executes, what="the object can be called again")
    with prompt():
        assert time.monotonic() - thawed < 3.0
    assert len(begun()) == len(set(begun()))
    assert server.returncode is None
