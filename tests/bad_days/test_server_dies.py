"""The server is killed in the middle of a call."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from callers import Calling
from processes import BrokerProcess, Child
from promptness import prompt
from runmacs.roc import RocClient, errors
from waiting import wait_until

KNOWS_WITHIN = 0.75

Begun = Callable[[], list[int]]


def test_its_caller_knows_at_once(
    client: RocClient, server: Child, recorder: Any, begun: Begun
) -> None:
    slow = client.proxy("recorder", timeout=30)
    call = Calling(slow.begin, 1, 60.0)
    wait_until(begun, what="the call has begun")
    killed = time.monotonic()
    server.kill()
    error = call.wait().error
    assert isinstance(error, errors.ServerLost), repr(error)
    assert error.executed is None
    assert "recorder" in str(error)
    assert f"pid {server.pid}" in str(error)
    print(f"its caller knew after {call.ended - killed:.3f} s")
    with prompt():
        assert call.ended - killed < KNOWS_WITHIN


def test_so_do_callers_in_line_behind_it(
    broker_process: BrokerProcess, server: Child, recorder: Any, begun: Begun
) -> None:
    """What the server held unbegun may as well have been begun: nobody is left to say."""
    clients = [RocClient(broker_process.endpoints, timeout=30) for _ in range(3)]
    try:
        methods = [client["recorder"].begin for client in clients]
        calls = [Calling(recorder.begin, 0, 60.0)]
        wait_until(begun, what="the first call has begun")
        calls += [Calling(method, 1) for method in methods]
        broker = clients[0]["roc.broker"]
        wait_until(lambda: broker.objects()[0]["servers"][0]["running"] == 4)
        killed = time.monotonic()
        server.kill()
        for call in calls:
            error = call.wait().error
            assert isinstance(error, errors.ServerLost), repr(error)
            assert error.executed is None
            with prompt():
                assert call.ended - killed < KNOWS_WITHIN
    finally:
        for client in clients:
            client.close()
    assert begun() == [0]


@pytest.mark.parametrize("attempt", range(5))
def test_a_new_one_is_accepted_at_once(
    client: RocClient,
    server: Child,
    recorder: Any,
    begun: Begun,
    serve_recorder: Callable[..., Child],
    attempt: int,
) -> None:
    """Crash and restart: nothing but the new start is needed, and no patience either."""
    old = recorder.pid
    call = Calling(recorder.begin, 1, 60.0)
    wait_until(begun, what="the call has begun")
    server.kill()
    again = serve_recorder(name="again")
    call.wait()
    # No new proxy, no new client, and nobody waits for the new server: the call itself does.
    assert client.proxy("recorder", timeout=30).pid == again.pid != old
    assert recorder.begin(2) == 2
    assert begun() == [1, 2]
    with prompt():  # after a second without a broker it would say so
        assert again.stderr == ""


def test_idle_server_dies_and_its_object_is_gone(client: RocClient, server: Child) -> None:
    server.kill()
    killed = time.monotonic()
    wait_until(lambda: "recorder" not in client, what="the broker knows that it is gone")
    with prompt():
        assert time.monotonic() - killed < 1.5
    stats = client["roc.broker"].stats()
    assert stats["servers_lost"] == 1
    with prompt():  # a standstill of 1.5 s looks like a loss
        assert stats["calls_lost"] == 0


def test_a_call_soon_after_waits_for_its_return(
    client: RocClient, server: Child, recorder: Any, serve_recorder: Callable[..., Child]
) -> None:
    """For 10 s the broker keeps calls for an id that it has lost."""
    server.kill()
    wait_until(lambda: "recorder" not in client, what="the broker knows that it is gone")
    patient = client.proxy("recorder", timeout=30)
    call = Calling(lambda: patient.begin(7))
    again = serve_recorder(name="again")
    assert call.wait().result == 7
    assert patient.pid == again.pid


def test_a_call_for_one_that_does_not_return_was_not_executed(
    client: RocClient, server: Child, recorder: Any, begun: Begun
) -> None:
    server.kill()
    wait_until(lambda: "recorder" not in client, what="the broker knows that it is gone")
    began = time.monotonic()
    with prompt(), pytest.raises(errors.ObjectNotFound) as caught:
        client.proxy("recorder", timeout=1).begin(8)
    with prompt():
        assert time.monotonic() - began < 1 + 0.25
    assert caught.value.executed is False
    assert begun() == []
