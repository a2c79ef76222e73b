"""Found by the simulation: calls that wait at the broker, and those that come back to it."""

from __future__ import annotations

import pytest

from core.scripted import ScriptedBroker, silent
from runmacs.roc.core.events import Unreachable
from runmacs.roc.wire import mdp

W = mdp.WORKER


def unreachable(broker: ScriptedBroker, worker: str) -> list[str]:
    """What was sent to a worker last could not be sent."""
    return broker.do(Unreachable([worker.encode(), *broker.got[worker]]))


def test_calls_wait_for_a_stalled_server_until_it_is_heard() -> None:
    """Its silence may be excused by our own standstill later; it has not been heard for that."""
    broker = ScriptedBroker()
    broker.ready("w1")
    silent(broker.pass_time(2.0))
    assert broker.states("vnir") == ["stalled"]
    broker.call("c1", "vnir", 1, ttl=60.0)
    broker.stand_still(1.0)
    assert silent(broker.pass_time(0.5)) == []
    assert broker.states("vnir") == ["stalled"]
    assert broker.beat("w1") == ["w1 gets m #1 of c1"]


def test_a_call_that_never_left_is_the_next_again() -> None:
    broker = ScriptedBroker()
    broker.ready("w1", prefetch=1, policy="standby")
    broker.ready("w2", prefetch=1, policy="standby")
    for number in (1, 2):
        broker.call("c1", "vnir", number)
    assert unreachable(broker, "w1") == ["w2 is serving", "w2 gets m #1 of c1"]
    assert broker.reply("w2", "c1", 1) == ["c1 #1 = null", "w2 gets m #2 of c1"]


def test_a_call_that_never_left_waits_in_its_old_place_for_the_next_server() -> None:
    broker = ScriptedBroker()
    broker.ready("w1", prefetch=1)
    for number in (1, 2):
        broker.call("c1", "vnir", number)
    assert unreachable(broker, "w1") == []
    assert broker.ready("w2") == ["w2 is serving", "w2 gets m #1 of c1", "w2 gets m #2 of c1"]


def test_a_call_that_comes_back_is_not_aged_twice() -> None:
    broker = ScriptedBroker()
    broker.ready("w1", policy="standby")
    broker.ready("w2", policy="standby")
    broker.stand_still(1.2)
    assert broker.call("c1", "vnir", 1) == ["w1 gets m #1 of c1"]
    assert unreachable(broker, "w1") == ["w2 is serving", "w2 gets m #1 of c1"]
    assert b'"age":1.2' in bytes(broker.got["w2"][5])


def test_a_withdrawal_that_comes_back_is_answered() -> None:
    broker = ScriptedBroker()
    broker.ready("w1")
    broker.call("c1", "vnir", 1)
    assert broker.cancel("c1", "vnir", 2, 1) == ["w1 gets control rpc.cancel #2 of c1"]
    assert unreachable(broker, "w1") == [
        "c1 #1 fails: ServerLost, executed None",
        'c1 #2 = {"executed": null, "state": "unknown"}',
    ]
    assert broker.queued("vnir") == 0


@pytest.mark.parametrize("before", ["c2.7", ""])
def test_a_call_is_withdrawn_over_its_clients_next_connection(before: str) -> None:
    """``c1`` was cut off, and is back as ``c1again``; others wait, with and without call ids."""
    broker = ScriptedBroker()
    broker.ready("w1", prefetch=1)
    broker.call("c2", "vnir", 1)
    broker.call("c3", "vnir", 2, call=before)
    broker.call("c1", "vnir", 3)
    broker.call("c1", "vnir", 4)
    verdict = '{"executed": false, "state": "queued"}'
    assert broker.cancel("c1again", "vnir", 5, "c1.4") == [f"c1again #5 = {verdict}"]
    assert broker.cancel("c1again", "vnir", 6, "c1.3") == [f"c1again #6 = {verdict}"]
    assert broker.queued("vnir") == 1


def test_a_call_at_its_server_is_withdrawn_over_its_clients_next_connection() -> None:
    broker = ScriptedBroker()
    broker.ready("w1")
    broker.call("c2", "vnir", 1)
    broker.call("c1", "vnir", 2)
    lines = broker.cancel("c1again", "vnir", 3, "c1.2")
    assert lines == ["w1 gets control rpc.cancel #3 of c1again"]


def test_who_names_no_call_that_waits_withdraws_nothing() -> None:
    broker = ScriptedBroker()
    broker.ready("w1", prefetch=1)
    for number in (1, 2, 3):
        broker.call("c1", "vnir", number)
    verdict = '{"executed": null, "state": "unknown"}'
    assert broker.cancel("c2", "vnir", 4, "c1.9") == [f"c2 #4 = {verdict}"]
    assert broker.queued("vnir") == 2
