"""The broker as transcripts: who says what, and what it then says to whom."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import msgspec
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from core.scripted import ScriptedBroker, request_text, silent
from runmacs.roc.core.events import Arrived, Tick, Unreachable
from runmacs.roc.wire import mdp
from runmacs.roc.wire.jsonrpc import parse_body

W, C = mdp.WORKER, mdp.CLIENT

NOT_FOUND = "fails: ObjectNotFound, executed False"
EXPIRED = "fails: Expired, executed False"
LOST = "fails: ServerLost, executed None"
FULL = "fails: QueueFull, executed False"


@pytest.fixture
def broker() -> ScriptedBroker:
    return ScriptedBroker()


@pytest.fixture
def served(broker: ScriptedBroker) -> ScriptedBroker:
    """A broker with one server of vnir that takes two calls at a time."""
    broker.ready("w1", prefetch=2)
    return broker


def error_of(broker: ScriptedBroker, client: str) -> dict[str, Any]:
    """The error that a client got last."""
    error = json.loads(broker.got[client][3])["error"]
    assert isinstance(error, dict)
    return error


# --- a call and its reply -------------------------------------------------------------


def test_a_call_goes_to_the_server_and_its_reply_comes_back(broker: ScriptedBroker) -> None:
    assert broker.ready("w1") == ["w1 is serving"]
    assert broker.call("c1", "vnir", 1) == ["w1 gets m #1 of c1"]
    assert broker.reply("w1", "c1", 1, 3) == ["c1 #1 = 3"]
    assert broker.counters == {"requests": 1, "replies": 1}


def test_body_frames_pass_as_they_are(served: ScriptedBroker) -> None:
    buffers = [b"\x00\xff" * 9, b"", memoryview(b"pixels")]
    body = [request_text(1), *buffers]
    served.says("c1", b"", C, b"vnir", *body)
    token = served.got["w1"][3]
    assert served.got["w1"][5:] == body
    assert all(got is sent for got, sent in zip(served.got["w1"][5:], body, strict=True))
    served.says("w1", b"", W, mdp.REPLY, token, b"", b"reply", *buffers)
    assert served.got["c1"] == [b"", C, b"vnir", b"reply", *buffers]


def test_a_body_of_any_kind_is_routed(served: ScriptedBroker) -> None:
    assert served.stock_call("c1", "vnir", b"\xff\xfe") == ["w1 gets b'\\xff\\xfe' #0 of c1"]
    assert served.stock_call("c1", "vnir", b"") == ["w1 gets b'' #0 of c1"]


def test_tokens_are_never_the_same(served: ScriptedBroker) -> None:
    tokens = set()
    for number in range(10):
        served.call("c1", "vnir", number)
        tokens.add(served.got["w1"][3])
        served.reply("w1", "c1", number)
    assert len(tokens) == 10


# --- who may answer -------------------------------------------------------------------


def test_a_reply_counts_once(served: ScriptedBroker) -> None:
    served.call("c1", "vnir", 1)
    assert served.reply("w1", "c1", 1) == ["c1 #1 = null"]
    assert served.reply("w1", "c1", 1) == []
    assert served.counters["dropped_reply_not_outstanding"] == 1


def test_nobody_answers_anothers_call(served: ScriptedBroker) -> None:
    served.ready("w2", "swir")
    served.call("c1", "vnir", 1)
    token = served.tokens["w1", "c1", 1]
    assert served.says("w2", b"", W, mdp.REPLY, token, b"", b"{}") == []
    assert served.counters["dropped_reply_not_outstanding"] == 1
    assert served.reply("w1", "c1", 1) == ["c1 #1 = null"]


def test_a_token_that_was_made_up_reaches_nobody(served: ScriptedBroker) -> None:
    served.call("c1", "vnir", 1)
    token = served.tokens["w1", "c1", 1]
    for forged in (token + b"\0", token[:-1], b"c2" + token[2:], b"", b"c1", token[:-1] + b"\xff"):
        assert served.says("w1", b"", W, mdp.REPLY, forged, b"", b"{}") == []
    assert served.counters["dropped_reply_not_outstanding"] == 6


def test_the_token_dies_with_the_conversation(served: ScriptedBroker) -> None:
    served.call("c1", "vnir", 1)
    assert served.leave("w1") == [f"c1 #1 {LOST}"]
    assert served.ready("w1") == ["w1 is serving"]
    assert served.reply("w1", "c1", 1) == []
    assert served.counters["dropped_reply_not_outstanding"] == 1


# --- credit ---------------------------------------------------------------------------


def test_prefetch_is_credit(served: ScriptedBroker) -> None:
    assert served.call("c1", "vnir", 1) == ["w1 gets m #1 of c1"]
    assert served.call("c1", "vnir", 2) == ["w1 gets m #2 of c1"]
    assert served.call("c1", "vnir", 3) == []
    assert served.call("c1", "vnir", 4) == []
    assert served.queued("vnir") == 2
    assert served.reply("w1", "c1", 1) == ["c1 #1 = null", "w1 gets m #3 of c1"]
    assert served.reply("w1", "c1", 3) == ["c1 #3 = null", "w1 gets m #4 of c1"]
    assert served.reply("w1", "c1", 2) == ["c1 #2 = null"]


def test_a_stock_worker_gets_one_at_a_time(broker: ScriptedBroker) -> None:
    assert broker.stock_ready("w1") == []
    assert broker.stock_call("c1", "vnir", b"a") == ["w1 gets b'a' #0 of c1"]
    assert broker.stock_call("c1", "vnir", b"b") == []
    token = broker.tokens["w1", "c1", 0]
    assert broker.says("w1", b"", W, mdp.REPLY, token, b"", b"A") == [
        "c1 gets b'A'",
        "w1 gets b'b' #0 of c1",
    ]


def test_clients_take_turns(broker: ScriptedBroker) -> None:
    broker.ready("w1", prefetch=1)
    broker.call("c0", "vnir", 0)
    for number in range(1, 5):
        broker.call("c1", "vnir", number)
    broker.call("c2", "vnir", 1)
    broker.call("c2", "vnir", 2)
    broker.call("c3", "vnir", 1)
    order = []
    client, number = "c0", 0
    while (lines := broker.reply("w1", client, number))[1:]:
        _, _, _, name, _, client = lines[1].split()
        number = int(name.removeprefix("#"))
        order.append(f"{client}.{number}")
    assert order == ["c1.1", "c2.1", "c3.1", "c1.2", "c2.2", "c1.3", "c1.4"]


def test_what_waited_is_older_when_it_is_handed_out(broker: ScriptedBroker) -> None:
    broker.ready("w1", prefetch=1)
    broker.call("c1", "vnir", 1)
    broker.call("c1", "vnir", 2, buffers=[b"pixels"], ttl=2.0, at=50.0)
    broker.now += 0.75
    broker.reply("w1", "c1", 1)
    body = parse_body(broker.got["w1"][5])
    assert body.ttl == pytest.approx(1.25)
    (request,) = body.items
    assert request.roc.at == pytest.approx(50.75)  # type: ignore[union-attr]
    assert broker.got["w1"][6:] == [b"pixels"]


# --- limits ---------------------------------------------------------------------------


def test_a_full_queue_takes_no_more() -> None:
    broker = ScriptedBroker(calls_per_object=2)
    broker.ready("w1", prefetch=1)
    broker.ready("w2", "swir", prefetch=1)
    for number in (1, 2, 3):
        broker.call("c1", "vnir", number)
    assert broker.call("c2", "vnir", 1) == [f"c2 #1 {FULL}"]
    assert "2 calls wait" in error_of(broker, "c2")["message"]
    assert broker.call("c2", "swir", 2) == ["w2 gets m #2 of c2"]
    assert broker.counters["refused_queue_full"] == 1
    assert broker.reply("w1", "c1", 1) == ["c1 #1 = null", "w1 gets m #2 of c1"]
    assert broker.call("c2", "vnir", 3) == []


def test_waiting_bytes_are_limited_over_all_objects() -> None:
    broker = ScriptedBroker(bytes_waiting=100_000)
    for name in ("vnir", "swir"):
        broker.ready(f"w.{name}", name, prefetch=1)
        broker.call("c1", name, 1)
    assert broker.call("c1", "vnir", 2, buffers=[bytes(60_000)]) == []
    assert broker.call("c1", "swir", 3, buffers=[bytes(60_000)]) == [f"c1 #3 {FULL}"]
    assert broker.call("c1", "swir", 4) == []
    assert broker.reply("w.vnir", "c1", 1) == ["c1 #1 = null", "w.vnir gets m #2 of c1"]
    assert broker.call("c1", "swir", 5, buffers=[bytes(60_000)]) == []


def test_the_bytes_of_calls_that_leave_the_queue_are_given_back() -> None:
    broker = ScriptedBroker(bytes_waiting=50_000)
    broker.ready("w1", prefetch=1)
    broker.call("c1", "vnir", 1)
    for number in range(2, 20):
        assert broker.call("c1", "vnir", number, buffers=[bytes(40_000)]) == []
        assert broker.cancel("c1", "vnir", 100 + number, number)[-1].endswith('"state": "queued"}')
    assert broker.call("c1", "vnir", 30, buffers=[bytes(40_000)], ttl=0.1) == []
    assert f"c1 #30 {EXPIRED}" in broker.pass_time(1.0, beating=["w1"])
    assert broker.call("c1", "vnir", 31, buffers=[bytes(40_000)]) == []
    assert broker.call("c1", "absent", 32, buffers=[bytes(40_000)], wait=True) == [f"c1 #32 {FULL}"]
    assert broker.queued("absent") == 0


def test_object_ids_that_nobody_serves_are_limited() -> None:
    broker = ScriptedBroker(absent_objects=2)
    assert broker.call("c1", "a", 1, wait=True) == []
    assert broker.call("c1", "b", 2, wait=True) == []
    assert broker.call("c1", "c", 3, wait=True) == [f"c1 #3 {NOT_FOUND}"]
    assert broker.call("c1", "a", 4, wait=True) == []
    assert broker.stock_call("c1", "d", b"junk") == []
    assert broker.core.snapshot()["objects"].__len__() == 2


# --- time to live ---------------------------------------------------------------------


def test_a_call_whose_turn_comes_too_late_is_not_handed_out(broker: ScriptedBroker) -> None:
    broker.ready("w1", prefetch=1)
    broker.call("c1", "vnir", 1)
    broker.call("c1", "vnir", 2, ttl=0.4)
    broker.call("c1", "vnir", 3, ttl=5)
    broker.now += 0.4
    assert broker.reply("w1", "c1", 1) == [
        "c1 #1 = null",
        f"c1 #2 {EXPIRED}",
        "w1 gets m #3 of c1",
    ]
    assert broker.counters["expired"] == 1


def test_a_call_that_waited_too_long_is_told_without_delay(broker: ScriptedBroker) -> None:
    broker.ready("w1", prefetch=1)
    broker.call("c1", "vnir", 1)
    broker.call("c1", "vnir", 2, ttl=0.4)
    assert silent(broker.pass_time(0.3, beating=["w1"])) == []
    assert silent(broker.pass_time(0.4, beating=["w1"])) == [f"c1 #2 {EXPIRED}"]
    assert "not executed" in error_of(broker, "c1")["message"]
    assert broker.queued("vnir") == 0


def test_a_call_that_says_nothing_of_its_time_waits_ten_seconds(broker: ScriptedBroker) -> None:
    broker.ready("w1", prefetch=1)
    broker.call("c1", "vnir", 1, ttl=100)
    broker.says("c2", b"", C, b"vnir", request_text(5))
    assert silent(broker.pass_time(9.9, beating=["w1"])) == []
    assert silent(broker.pass_time(0.6, beating=["w1"])) == [f"c2 #5 {EXPIRED}"]


def test_no_time_to_live_is_endless() -> None:
    broker = ScriptedBroker(longest_wait=20.0)
    broker.ready("w1", prefetch=1)
    broker.call("c1", "vnir", 1)
    broker.call("c2", "vnir", 2, ttl=1e300)
    assert silent(broker.pass_time(19.0, beating=["w1"])) == []
    assert silent(broker.pass_time(1.5, beating=["w1"])) == [f"c2 #2 {EXPIRED}"]


def test_a_call_that_is_over_on_arrival_is_not_queued(broker: ScriptedBroker) -> None:
    broker.ready("w1", prefetch=1)
    broker.call("c1", "vnir", 1)
    for ttl in (0, -5):
        broker.call("c1", "vnir", 2, ttl=ttl)
        assert silent(broker.pass_time(0.5, beating=["w1"])) == [f"c1 #2 {EXPIRED}"]


def test_what_was_unread_during_a_standstill_is_older(served: ScriptedBroker) -> None:
    """Nothing begins after its caller gave up, though the broker itself was frozen."""
    served.stand_still(3.0)
    assert served.call("c1", "vnir", 1, ttl=2.0) == [f"c1 #1 {EXPIRED}"]
    assert served.call("c1", "vnir", 2, ttl=5.0) == ["w1 gets m #2 of c1"]
    assert parse_body(served.got["w1"][5]).ttl == pytest.approx(2.0)
    served.drained()
    assert served.call("c1", "vnir", 3, ttl=2.0) == ["w1 gets m #3 of c1"]
    assert parse_body(served.got["w1"][5]).ttl == 2.0


def test_standstills_add_up_until_the_socket_is_empty(served: ScriptedBroker) -> None:
    served.stand_still(0.5)
    served.stand_still(1.0)
    served.call("c1", "vnir", 1, ttl=5.0)
    assert parse_body(served.got["w1"][5]).ttl == pytest.approx(3.5)


# --- unknown objects ------------------------------------------------------------------


def test_an_unknown_object_is_an_error_at_once(broker: ScriptedBroker) -> None:
    assert broker.call("c1", "vnir", 1) == [f"c1 #1 {NOT_FOUND}"]
    error = error_of(broker, "c1")
    assert "No object is shared at all" in error["message"]
    assert error["data"] == {"executed": False, "object": "vnir", "suggestions": []}


def test_the_nearest_ids_are_suggested(broker: ScriptedBroker) -> None:
    for name in ("vnir", "swir", "stage", "vnir2"):
        broker.ready(f"w.{name}", name)
    assert broker.call("c1", "vnri", 1) == [f"c1 #1 {NOT_FOUND}"]
    error = error_of(broker, "c1")
    assert error["data"]["suggestions"][0] == "vnir"
    assert "Did you mean 'vnir'" in error["message"]
    broker.call("c1", "camera", 2)
    error = error_of(broker, "c1")
    assert error["data"]["suggestions"] == []
    assert "Did you mean" not in error["message"]


def test_what_nobody_serves_is_not_suggested(broker: ScriptedBroker) -> None:
    broker.call("c1", "vnir", 1, wait=True)
    broker.call("c2", "vnri", 2)
    assert error_of(broker, "c2")["data"]["suggestions"] == []


@pytest.mark.parametrize("name", [b"", b"v nir", b"a" * 201, b"\xff\xfe", b"vnir@daq2", b"a*"])
def test_what_is_no_object_id_is_never_queued(broker: ScriptedBroker, name: bytes) -> None:
    text = request_text(1, ttl=5.0, wait=True)
    assert broker.says("c1", b"", C, name, text) == [f"c1 #1 {NOT_FOUND}"]
    assert broker.says("c1", b"", C, name, b"junk") == []
    assert broker.core.snapshot()["objects"] == []


def test_a_hint_knows_who_has_come_and_gone_since(broker: ScriptedBroker) -> None:
    def suggested() -> object:
        broker.call("c1", "vnri", 1)
        return error_of(broker, "c1")["data"]["suggestions"]

    assert suggested() == []
    broker.ready("w1", "vnir")
    assert suggested() == suggested() == ["vnir"]
    broker.leave("w1")
    assert suggested() == []


def test_a_caller_may_ask_to_wait(broker: ScriptedBroker) -> None:
    assert broker.call("c1", "vnir", 1, wait=True) == []
    assert broker.call("c1", "vnir", 2, ttl=1.0, wait=True) == []
    assert broker.pass_time(1.5) == [f"c1 #2 {NOT_FOUND}"]
    assert broker.ready("w1") == ["w1 is serving", "w1 gets m #1 of c1"]


def test_calls_wait_for_an_object_that_was_lost_within_ten_seconds(served: ScriptedBroker) -> None:
    assert served.vanish("w1") == []
    assert served.call("c1", "vnir", 1, ttl=5.0) == []
    assert served.ready("w2") == ["w2 is serving", "w2 gets m #1 of c1"]
    served.reply("w2", "c1", 1)
    served.vanish("w2")
    served.now += 9.9
    assert served.call("c1", "vnir", 2, ttl=5.0) == []
    assert served.pass_time(0.6) == [f"c1 #2 {NOT_FOUND}"]
    assert served.call("c1", "vnir", 3, ttl=5.0) == [f"c1 #3 {NOT_FOUND}"]


def test_an_object_that_said_goodbye_is_not_waited_for(served: ScriptedBroker) -> None:
    served.call("c1", "vnir", 1)
    served.call("c1", "vnir", 2)
    served.call("c1", "vnir", 3)
    served.call("c2", "vnir", 4, wait=True)
    assert served.leave("w1") == [
        f"c1 #1 {LOST}",
        f"c1 #2 {LOST}",
        f"c1 #3 {NOT_FOUND}",
    ]
    assert served.call("c1", "vnir", 5) == [f"c1 #5 {NOT_FOUND}"]
    assert served.ready("w2") == ["w2 is serving", "w2 gets m #4 of c2"]


def test_junk_for_an_unknown_object_waits_and_is_never_answered(broker: ScriptedBroker) -> None:
    assert broker.stock_call("c1", "echo", b"hello") == []
    assert broker.stock_call("c2", "echo", b"[1, 2]") == []
    assert broker.stock_ready("w1", "echo") == ["w1 gets b'hello' #0 of c1"]
    assert broker.leave("w1") == []
    assert broker.stock_call("c1", "gone", b"hello") == []
    assert broker.queued("gone") == 1
    assert broker.pass_time(11.0) == []
    assert broker.queued("gone") == 0
    assert broker.stock_ready("w2", "gone") == []


def test_every_request_of_a_batch_is_answered(broker: ScriptedBroker) -> None:
    batch = b"[%b,%b,%b,7]" % (request_text(1), request_text(None), request_text(2))
    assert broker.says("c1", b"", C, b"vnir", batch) == [
        f"c1 #1 {NOT_FOUND}, #2 {NOT_FOUND}, #None {NOT_FOUND}"
    ]
    assert broker.says("c1", b"", C, b"vnir", request_text(None)) == ["c1 gets nothing"]
    notifications = b"[%b,%b]" % (request_text(None), request_text(None))
    assert broker.says("c1", b"", C, b"vnir", notifications) == ["c1 gets nothing"]


# --- several servers of one id --------------------------------------------------------


def test_a_second_exclusive_server_is_refused_at_the_holders_next_sign_of_life(
    broker: ScriptedBroker,
) -> None:
    broker.ready("w1", host="daq2", pid=17)
    broker.now += 12.0
    assert broker.ready("w2") == ["w2 is held", "w1 gets a heartbeat"]
    assert broker.states("vnir") == ["serving", "held"]
    assert broker.call("c1", "vnir", 1) == ["w1 gets m #1 of c1"]
    assert broker.beat("w1") == []
    assert silent(broker.pass_time(0.6)) == ["w2 is sent away: ObjectIdTaken"]
    reason = mdp.parse_reason(broker.got["w2"][3])
    assert reason is not None
    assert (reason.host, reason.pid) == ("daq2", 17)
    assert reason.since == pytest.approx(12.5, abs=0.3)
    assert "'vnir'" in reason.message
    assert "daq2, pid 17" in reason.message
    assert broker.counters["refused_object_id_taken"] == 1
    assert broker.states("vnir") == ["serving"]


def test_a_reply_is_a_sign_of_life_too(served: ScriptedBroker) -> None:
    served.call("c1", "vnir", 1)
    served.ready("w2")
    assert served.reply("w1", "c1", 1) == ["c1 #1 = null"]
    assert silent(served.pass_time(0.6)) == ["w2 is sent away: ObjectIdTaken"]


def test_a_sign_of_life_of_a_holder_that_is_gone_was_on_its_way_while_it_died(
    served: ScriptedBroker,
) -> None:
    served.ready("w2")
    assert served.beat("w1") == []
    served.now += 0.1
    assert served.vanish("w1") == ["w2 is serving"]
    assert silent(served.pass_time(1.0, beating=["w2"])) == []


def test_who_is_held_behind_a_new_holder_waits_for_its_sign_of_life(
    served: ScriptedBroker,
) -> None:
    served.ready("w2")
    served.ready("w3")
    served.beat("w1")
    served.vanish("w1")
    assert served.states("vnir") == ["serving", "held"]
    assert silent(served.pass_time(1.0)) == []
    assert silent(served.pass_time(0.6, beating=["w2"])) == ["w3 is sent away: ObjectIdTaken"]


def test_a_second_server_serves_when_the_holder_is_lost(served: ScriptedBroker) -> None:
    served.call("c1", "vnir", 1)
    served.call("c1", "vnir", 2)
    served.call("c1", "vnir", 3)
    served.ready("w2")
    assert served.vanish("w1") == [
        f"c1 #1 {LOST}",
        f"c1 #2 {LOST}",
        "w2 is serving",
        "w2 gets m #3 of c1",
    ]


def test_a_restarted_server_waits_out_the_one_that_was_killed(served: ScriptedBroker) -> None:
    """kill -9 with the connection still up, as behind a cut cable: lost after 10 s."""
    served.ready("w2")
    assert "w2 is serving" in served.pass_time(11.0, beating=["w2"])
    assert served.states("vnir") == ["serving"]


def test_standby_servers_take_over_in_order_of_arrival(broker: ScriptedBroker) -> None:
    assert broker.ready("w1", policy="standby") == ["w1 is serving"]
    assert broker.ready("w2", policy="standby") == ["w2 is standby"]
    assert broker.ready("w3", policy="standby") == ["w3 is standby"]
    assert broker.beat("w1") == []
    assert broker.call("c1", "vnir", 1) == ["w1 gets m #1 of c1"]
    assert broker.leave("w1") == [f"c1 #1 {LOST}", "w2 is serving"]
    assert broker.ready("w1", policy="standby") == ["w1 is standby"]
    assert broker.leave("w3") == []
    assert broker.vanish("w2") == ["w1 is serving"]


def test_a_pool_shares_by_credit_and_then_by_turns(broker: ScriptedBroker) -> None:
    for worker in ("w1", "w2", "w3"):
        assert broker.ready(worker, policy="pool", prefetch=2) == [f"{worker} is serving"]
    taken = [broker.call("c1", "vnir", number)[0][:2] for number in range(6)]
    assert taken == ["w1", "w2", "w3", "w1", "w2", "w3"]
    assert broker.call("c1", "vnir", 6) == []
    assert broker.reply("w2", "c1", 4) == ["c1 #4 = null", "w2 gets m #6 of c1"]
    broker.reply("w3", "c1", 2)
    broker.reply("w3", "c1", 5)
    broker.reply("w1", "c1", 0)
    assert broker.call("c1", "vnir", 7) == ["w3 gets m #7 of c1"]
    assert broker.call("c1", "vnir", 8) == ["w1 gets m #8 of c1"]


def test_a_pool_with_a_bigger_member(broker: ScriptedBroker) -> None:
    broker.ready("big", policy="pool", prefetch=3)
    broker.stock_ready("small")
    taken = [broker.call("c1", "vnir", number)[0].split()[0] for number in range(4)]
    assert taken == ["big", "big", "small", "big"]


def test_when_one_of_a_pool_leaves_the_others_go_on(broker: ScriptedBroker) -> None:
    for worker in ("w1", "w2"):
        broker.ready(worker, policy="pool", prefetch=1)
    for number in (1, 2, 3):
        broker.call("c1", "vnir", number)
    assert broker.leave("w1") == [f"c1 #1 {LOST}"]
    assert broker.vanish("w1") == []
    assert broker.queued("vnir") == 1
    assert broker.reply("w2", "c1", 2) == ["c1 #2 = null", "w2 gets m #3 of c1"]


def test_a_call_that_one_of_a_pool_did_not_get_goes_to_another(broker: ScriptedBroker) -> None:
    broker.ready("w1", policy="pool")
    broker.ready("w2", policy="pool")
    assert broker.call("c1", "vnir", 1) == ["w1 gets m #1 of c1"]
    frames = [b"w1", *broker.got["w1"]]
    assert broker.do(Unreachable(frames)) == ["w2 gets m #1 of c1"]
    assert broker.states("vnir") == ["serving"]


def test_a_pool_gives_a_stalled_member_nothing(broker: ScriptedBroker) -> None:
    broker.ready("w1", policy="pool")
    broker.ready("w2", policy="pool")
    broker.pass_time(2.0, beating=["w2"])
    assert [broker.call("c1", "vnir", number)[0][:2] for number in range(3)] == ["w2"] * 3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("exclusive", "exclusive"),
        ("exclusive", "pool"),
        ("exclusive", "standby"),
        ("pool", "exclusive"),
        ("pool", "standby"),
        ("standby", "exclusive"),
        ("standby", "pool"),
    ],
)
def test_servers_that_do_not_agree_on_the_policy(
    broker: ScriptedBroker, first: str, second: str
) -> None:
    broker.ready("w1", policy=first)
    assert broker.ready("w2", policy=second)[0] == "w2 is held"
    assert silent(broker.pass_time(0.6, beating=["w1"])) == ["w2 is sent away: ObjectIdTaken"]
    assert broker.call("c1", "vnir", 1) == ["w1 gets m #1 of c1"]


def test_a_stock_worker_joins_a_pool_and_else_is_refused(broker: ScriptedBroker) -> None:
    broker.ready("w1", policy="pool", prefetch=1)
    broker.stock_ready("w2")
    broker.call("c1", "vnir", 1)
    assert broker.call("c1", "vnir", 2) == ["w2 gets m #2 of c1"]
    broker.ready("w3", "swir")
    assert broker.stock_ready("w4", "swir") == ["w3 gets a heartbeat"]
    assert silent(broker.pass_time(0.6, beating=["w3"])) == ["w4 is sent away"]


def test_pool_members_that_were_held_serve_together(broker: ScriptedBroker) -> None:
    broker.ready("w1", policy="exclusive", prefetch=3)
    broker.ready("w2", policy="pool", prefetch=1)
    broker.ready("w3", policy="pool", prefetch=1)
    for number in range(1, 7):
        broker.call("c1", "vnir", number, ttl=9.0)
    lines = broker.vanish("w1")
    assert lines[3:] == [
        "w2 is serving",
        "w2 gets m #4 of c1",
        "w3 is serving",
        "w3 gets m #5 of c1",
    ]


def test_the_same_server_on_a_new_connection_replaces_its_old_one(broker: ScriptedBroker) -> None:
    broker.ready("w1", instance="i1")
    broker.call("c1", "vnir", 1)
    assert broker.ready("w1b", instance="i1") == [f"c1 #1 {LOST}", "w1b is serving"]
    assert broker.reply("w1", "c1", 1) == ["w1 is sent away"]
    assert broker.counters["dropped_unknown_worker"] == 1
    assert broker.call("c1", "vnir", 2) == ["w1b gets m #2 of c1"]


def test_without_an_instance_nobody_is_replaced(broker: ScriptedBroker) -> None:
    broker.ready("w1", instance="")
    assert broker.ready("w2", instance="") == ["w2 is held", "w1 gets a heartbeat"]


def test_an_instance_may_serve_several_ids(broker: ScriptedBroker) -> None:
    assert broker.ready("w1", "vnir", instance="i") == ["w1 is serving"]
    assert broker.ready("w2", "swir", instance="i") == ["w2 is serving"]


# --- the control lane -----------------------------------------------------------------


def test_the_control_lane_goes_ahead_of_the_queue_and_outside_credit(
    served: ScriptedBroker,
) -> None:
    for number in range(1, 5):
        served.call("c1", "vnir", number)
    assert served.call("c2", "vnir!", 9, "rpc.ping") == ["w1 gets control rpc.ping #9 of c2"]
    assert served.reply("w1", "c2", 9, {"host": "daq2"}) == ['c2 #9 = {"host": "daq2"}']
    assert served.got["c2"][2] == b"vnir!"
    assert served.queued("vnir") == 2
    assert served.reply("w1", "c2", 9) == []


@pytest.mark.parametrize(
    "text",
    [
        request_text(1, "openShutter"),
        b"[%b]" % request_text(1, "rpc.ping"),
        b"[%b,%b]" % (request_text(1, "rpc.ping"), request_text(2, "rpc.ping")),
    ],
)
def test_only_single_rpc_calls_go_over_it(served: ScriptedBroker, text: bytes) -> None:
    (line,) = served.says("c1", b"", C, b"vnir!", text)
    assert "fails: ProtocolError, executed False" in line


def test_junk_on_it_is_dropped(served: ScriptedBroker) -> None:
    assert served.stock_call("c1", "vnir!", b"junk") == []
    assert served.stock_call("c1", "!", b"junk") == []
    assert served.call("c1", "!", 1, "rpc.ping") == [f"c1 #1 {NOT_FOUND}"]


def test_the_control_lane_of_an_unknown_object(broker: ScriptedBroker) -> None:
    assert broker.call("c1", "vnir!", 1, "rpc.ping") == [f"c1 #1 {NOT_FOUND}"]
    assert broker.call("c1", "vnir!", 2, "rpc.ping", wait=True) == []
    assert broker.ready("w1") == ["w1 is serving", "w1 gets control rpc.ping #2 of c1"]
    assert broker.reply("w1", "c1", 2, 1) == ["c1 #2 = 1"]
    assert broker.got["c1"][2] == b"vnir!"


@pytest.mark.parametrize("how", ["expiry", "stop", "full"])
def test_an_error_for_a_control_call_names_its_lane(how: str) -> None:
    """As 7/MDP has it: a reply comes under the name that the request asked for."""
    broker = ScriptedBroker(calls_per_object=1)
    broker.call("c1", "vnir!", 1, "rpc.ping", wait=True)
    if how == "expiry":
        broker.pass_time(3.0)
    elif how == "stop":
        broker.stop()
    else:
        broker.call("c1", "vnir!", 2, "rpc.ping", wait=True)
    assert broker.got["c1"][2] == b"vnir!"


def test_a_stock_worker_knows_no_control_lane(broker: ScriptedBroker) -> None:
    broker.stock_ready("w1")
    assert broker.call("c1", "vnir!", 1, "rpc.ping") == [
        "c1 #1 fails: MethodNotFound, executed False"
    ]


def test_several_exclamation_marks_are_nobodys_lane(served: ScriptedBroker) -> None:
    assert served.call("c1", "vnir!!", 1, "rpc.ping") == [f"c1 #1 {NOT_FOUND}"]


# --- withdrawing ----------------------------------------------------------------------


def verdict(number: int, executed: bool | None, state: str, seconds: float | None = None) -> str:
    said = {"executed": executed, "state": state}
    said |= {} if seconds is None else {"seconds": seconds}  # type: ignore[dict-item]
    return f"c1 #{number} = {json.dumps(said)}"


def test_cancel_of_a_queued_call(served: ScriptedBroker) -> None:
    for number in (1, 2, 3, 4):
        served.call("c1", "vnir", number)
    assert served.cancel("c1", "vnir", 9, 3) == [verdict(9, False, "queued")]
    assert served.counters["withdrawn"] == 1
    assert served.reply("w1", "c1", 1) == ["c1 #1 = null", "w1 gets m #4 of c1"]
    assert served.cancel("c1", "vnir", 10, 3) == [verdict(10, None, "unknown")]


def test_cancel_of_a_call_whose_object_is_absent(broker: ScriptedBroker) -> None:
    broker.call("c1", "vnir", 1, wait=True)
    assert broker.cancel("c1", "vnir", 9, 1) == [verdict(9, False, "absent")]
    assert broker.core.snapshot()["objects"] == []
    assert broker.ready("w1") == ["w1 is serving"]


def test_cancel_of_a_call_at_the_server(served: ScriptedBroker) -> None:
    served.call("c1", "vnir", 1)
    assert served.cancel("c1", "vnir", 9, 1) == ["w1 gets control rpc.cancel #9 of c1"]
    running = {"executed": None, "state": "running", "seconds": 2.0}
    assert served.reply("w1", "c1", 9, running) == [verdict(9, None, "running", 2.0)]
    assert served.reply("w1", "c1", 1) == ["c1 #1 = null"]


def test_cancel_of_a_call_at_a_pool_asks_the_server_that_has_it(broker: ScriptedBroker) -> None:
    broker.ready("w1", policy="pool", prefetch=1)
    broker.ready("w2", policy="pool", prefetch=1)
    broker.call("c1", "vnir", 1)
    broker.call("c1", "vnir", 2)
    assert broker.cancel("c1", "vnir", 9, 2) == ["w2 gets control rpc.cancel #9 of c1"]
    assert broker.cancel("c1", "vnir", 10, 1) == ["w1 gets control rpc.cancel #10 of c1"]


def test_cancel_of_a_call_at_a_stalled_server_is_answered_and_passed_on(
    served: ScriptedBroker,
) -> None:
    served.call("c1", "vnir", 1, ttl=9)
    silent(served.pass_time(2.0))
    assert served.states("vnir") == ["stalled"]
    assert served.cancel("c1", "vnir", 9, 1) == [
        "w1 gets control rpc.cancel #9 of c1",
        verdict(9, None, "stalled", 2.0),
    ]
    late = {"executed": False, "state": "withdrawn"}
    assert served.reply("w1", "c1", 9, late) == []


def test_cancel_of_a_call_at_a_stock_worker(broker: ScriptedBroker) -> None:
    broker.stock_ready("w1")
    broker.call("c1", "vnir", 1)
    assert broker.cancel("c1", "vnir", 9, 1) == [verdict(9, None, "dispatched")]


def test_cancel_of_what_nobody_knows(served: ScriptedBroker) -> None:
    assert served.cancel("c1", "vnir", 9, 5) == [verdict(9, None, "unknown")]
    assert served.cancel("c1", "swir", 10, 5) == [verdict(10, None, "unknown")]
    served.call("c1", "vnir", 1)
    served.reply("w1", "c1", 1)
    assert served.cancel("c1", "vnir", 11, 1) == [verdict(11, None, "unknown")]


def test_a_caller_withdraws_over_a_new_connection_what_it_sent_over_the_old(
    served: ScriptedBroker,
) -> None:
    for number in (1, 2, 3):
        served.call("old", "vnir", number)
    assert served.cancel("c1", "vnir", 9, "old.3") == [verdict(9, False, "queued")]
    assert served.cancel("c1", "vnir", 10, "old.1") == ["w1 gets control rpc.cancel #10 of c1"]


def test_cancel_of_one_call_leaves_the_others_of_its_batch(broker: ScriptedBroker) -> None:
    texts = [
        b" \n" + request_text(number, call=f"c1.{number}", ttl=5.0, wait=True)
        for number in (1, 2, 3)
    ]
    broker.says("c1", b"", C, b"vnir", b"[%b, 7]" % b",".join(texts), b"buffer")
    assert broker.cancel("c1", "vnir", 9, 2) == [verdict(9, False, "absent")]
    broker.ready("w1")
    *_, body, buffer = broker.got["w1"]
    assert [tree if tree == 7 else tree["id"] for tree in json.loads(body)] == [1, 3, 7]
    assert buffer == b"buffer"


def test_a_batch_whose_last_call_is_withdrawn_is_gone(broker: ScriptedBroker) -> None:
    texts = [request_text(number, call=f"c1.{number}", ttl=5.0, wait=True) for number in (1, 2)]
    broker.says("c1", b"", C, b"vnir", b"[%b]" % b",".join(texts))
    assert broker.cancel("c1", "vnir", 9, 2) == [verdict(9, False, "absent")]
    assert broker.queued("vnir") == 1
    assert broker.cancel("c1", "vnir", 10, 1) == [verdict(10, False, "absent")]
    assert broker.queued("vnir") == 0


@pytest.mark.parametrize("params", [None, [], ["c1.1"], {}, {"call": 1}, {"call": None}])
def test_a_cancel_that_names_no_call(served: ScriptedBroker, params: object) -> None:
    for number in (1, 2, 3):
        served.says("c1", b"", C, b"vnir", request_text(number))
    text = request_text(9, "rpc.cancel", params)
    assert served.says("c1", b"", C, b"vnir!", text) == [verdict(9, None, "unknown")]
    assert served.queued("vnir") == 1


def test_the_empty_call_id_names_no_call(served: ScriptedBroker) -> None:
    for number in (1, 2, 3):
        served.says("c1", b"", C, b"vnir", request_text(number))
    assert served.cancel("c1", "vnir", 9, "") == [verdict(9, None, "unknown")]
    assert served.queued("vnir") == 1


def test_a_cancel_that_is_a_notification_is_not_answered(served: ScriptedBroker) -> None:
    for number in (1, 2, 3):
        served.call("c1", "vnir", number)
    text = request_text(None, "rpc.cancel", {"call": "c1.3"})
    assert served.says("c1", b"", C, b"vnir!", text) == ["c1 gets nothing"]
    assert served.queued("vnir") == 0


# --- signs of life --------------------------------------------------------------------


def test_heartbeats_every_half_second_and_twice_as_often_to_who_holds_calls(
    broker: ScriptedBroker,
) -> None:
    broker.ready("idle", "swir")
    broker.ready("busy", "vnir")
    broker.stock_ready("stock", "echo")
    broker.call("c1", "vnir", 1, ttl=100)
    beats: dict[str, list[float]] = {"idle": [], "busy": [], "stock": []}
    for _ in range(500):
        for line in broker.pass_time(0.01, beating=["idle", "busy", "stock"]):
            assert line.endswith(" gets a heartbeat")
            beats[line.split()[0]].append(broker.now)
    for worker, interval in (("idle", 0.5), ("busy", 0.25), ("stock", 0.5)):
        gaps = [
            after - before for before, after in zip(beats[worker], beats[worker][1:], strict=False)
        ]
        assert len(gaps) >= 4 / interval
        assert max(gaps) <= interval + 0.02
        assert min(gaps) >= interval - 0.02


def test_many_servers_are_never_looked_after_all_at_once(broker: ScriptedBroker) -> None:
    workers = [f"w{number}" for number in range(1050)]
    for worker in workers:
        broker.ready(worker, worker)
    broker.pass_time(0.5)
    beats: Counter[str] = Counter()
    end = broker.now + 5.0
    while broker.now < end:
        due = broker.core.next_deadline()
        assert due is not None
        lines = broker.pass_time(due - broker.now)
        assert len(lines) <= 100
        beats.update(lines)
    assert set(beats) == {f"{worker} gets a heartbeat" for worker in workers}
    assert min(beats.values()) >= 9
    assert max(beats.values()) <= 11


def test_a_broker_that_is_late_beats_no_less(broker: ScriptedBroker) -> None:
    for number in range(1050):
        broker.ready(f"w{number}", f"w{number}")
    beats: Counter[str] = Counter()
    for _ in range(50):
        broker.now += 0.1
        beats.update(broker.do(Tick()))
    assert len(beats) == 1050
    assert min(beats.values()) >= 7


def test_it_asks_for_a_tick_while_there_is_anybody(broker: ScriptedBroker) -> None:
    assert broker.core.next_deadline() is None
    broker.call("c1", "vnir", 1, ttl=1.0, wait=True)
    assert broker.core.next_deadline() is not None
    broker.pass_time(2.0)
    assert broker.core.next_deadline() is None
    broker.ready("w1")
    assert broker.core.next_deadline() is not None
    broker.leave("w1")
    assert broker.core.next_deadline() is None


def test_a_silent_server_is_stalled_and_then_lost(served: ScriptedBroker) -> None:
    served.call("c1", "vnir", 1, ttl=100)
    served.pass_time(1.4)
    assert served.states("vnir") == ["serving"]
    served.pass_time(0.4)
    assert served.states("vnir") == ["stalled"]
    assert served.call("c1", "vnir", 2, ttl=100) == []
    assert silent(served.pass_time(8.0)) == []
    assert served.states("vnir") == ["stalled"]
    assert silent(served.pass_time(0.5)) == [
        "w1 is sent away: no error",
        f"c1 #1 {LOST}",
    ]
    assert served.counters["servers_lost"] == 1
    assert served.counters["calls_lost"] == 1
    assert served.ready("w2") == ["w2 is serving", "w2 gets m #2 of c1"]


def test_a_stalled_server_that_comes_back_gets_what_waited(served: ScriptedBroker) -> None:
    served.pass_time(2.0)
    served.call("c1", "vnir", 1, ttl=1.0)
    served.call("c1", "vnir", 2, ttl=9.0)
    served.now += 1.0
    assert served.beat("w1") == [f"c1 #1 {EXPIRED}", "w1 gets m #2 of c1"]


def test_a_stock_worker_is_patiently_waited_for(broker: ScriptedBroker) -> None:
    broker.stock_ready("w1")
    assert silent(broker.pass_time(7.4)) == []
    assert broker.states("vnir") == ["serving"]
    assert silent(broker.pass_time(0.5)) == ["w1 is sent away"]
    assert broker.states("vnir") == []


def test_a_busy_stock_worker_is_not_judged(broker: ScriptedBroker) -> None:
    broker.stock_ready("w1")
    broker.stock_call("c1", "vnir", b"a")
    assert silent(broker.pass_time(60.0)) == []
    token = broker.tokens["w1", "c1", 0]
    assert broker.says("w1", b"", W, mdp.REPLY, token, b"", b"A") == ["c1 gets b'A'"]
    assert silent(broker.pass_time(7.0)) == []
    assert silent(broker.pass_time(1.0)) == ["w1 is sent away"]


def test_the_silence_during_the_brokers_own_standstill_is_not_the_workers(
    served: ScriptedBroker,
) -> None:
    served.call("c1", "vnir", 1, ttl=100)
    served.pass_time(1.0)
    served.stand_still(60.0)
    served.pass_time(0.3)
    assert served.states("vnir") == ["serving"]
    served.pass_time(1.0)
    assert served.states("vnir") == ["stalled"]


def test_a_killed_servers_callers_know_at_the_next_heartbeat(served: ScriptedBroker) -> None:
    served.call("c1", "vnir", 1)
    assert served.vanish("w1") == [f"c1 #1 {LOST}"]
    error = error_of(served, "c1")
    assert "daq2, pid 7" in error["message"]
    assert error["data"]["object"] == "vnir"


def test_a_call_that_could_not_be_handed_over_waits_for_the_next_server(
    served: ScriptedBroker,
) -> None:
    served.call("c1", "vnir", 1, buffers=[b"pixels"])
    frames = [b"w1", *served.got["w1"]]
    assert served.do(Unreachable(frames)) == []
    assert served.queued("vnir") == 1
    assert served.counters["requests"] == 1
    assert served.ready("w2") == ["w2 is serving", "w2 gets m #1 of c1"]
    assert served.got["w2"][6:] == [b"pixels"]


def test_a_control_call_that_could_not_be_handed_over_waits_too(served: ScriptedBroker) -> None:
    served.call("c1", "vnir!", 1, "rpc.ping")
    assert served.do(Unreachable([b"w1", *served.got["w1"]])) == []
    assert served.ready("w2") == ["w2 is serving", "w2 gets control rpc.ping #1 of c1"]


def test_a_client_that_is_gone_is_counted(served: ScriptedBroker) -> None:
    assert served.do(Unreachable([b"c1", b"", C, b"vnir", b"{}"])) == []
    assert served.counters["dropped_unreachable_peer"] == 1
    assert served.states("vnir") == ["serving"]


def test_heartbeat_from_a_stranger_earns_a_disconnect(broker: ScriptedBroker) -> None:
    assert broker.beat("w1") == ["w1 is sent away"]
    assert broker.leave("w1") == ["w1 is sent away"]
    assert broker.counters == {"dropped_unknown_worker": 2}


def test_ready_twice_ends_the_conversation(served: ScriptedBroker) -> None:
    served.call("c1", "vnir", 1)
    assert served.ready("w1") == [f"c1 #1 {LOST}", "w1 is sent away: ProtocolError"]
    assert served.counters["servers_lost"] == 1
    assert served.ready("w1") == ["w1 is serving"]


# --- the end --------------------------------------------------------------------------


def test_at_its_end_it_tells_everybody(served: ScriptedBroker) -> None:
    served.stock_ready("w2", "echo")
    served.ready("w3")
    for number in (1, 2, 3):
        served.call("c1", "vnir", number)
    served.call("c2", "swir", 4, wait=True)
    unreachable = "fails: BrokerUnreachable, executed False"
    assert sorted(served.stop()) == [
        f"c1 #3 {unreachable}",
        f"c2 #4 {unreachable}",
        "w1 is sent away: BrokerUnreachable",
        "w2 is sent away",
        "w3 is sent away: BrokerUnreachable",
    ]


# --- its own names --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "about", "code"),
    [
        ("mmi.service", b"vnir", b"200"),
        ("mmi.service", b"roc.broker", b"200"),
        ("mmi.service", b"swir", b"404"),
        ("mmi.service", b"vnir!", b"404"),
        ("mmi.service", b"", b"404"),
        ("mmi.service", b"\xff", b"404"),
        ("mmi.nothere", b"vnir", b"501"),
        ("mmi.", b"", b"501"),
    ],
)
def test_mmi(served: ScriptedBroker, name: str, about: bytes, code: bytes) -> None:
    assert served.stock_call("c1", name, about) == [f"c1 gets {code!r}"]
    assert served.got["c1"] == [b"", C, name.encode(), code]


def test_an_object_that_is_only_waited_for_is_not_served(broker: ScriptedBroker) -> None:
    broker.call("c1", "vnir", 1, wait=True)
    assert broker.stock_call("c2", "mmi.service", b"vnir") == ["c2 gets b'404'"]


def test_the_broker_is_an_object_too(broker: ScriptedBroker) -> None:
    assert broker.call("c1", "roc.broker", 1, "objects") == ["c1 asks roc.broker"]
    assert broker.call("c1", "roc.broker!", 2, "rpc.ping") == ["c1 asks roc.broker!"]
    assert broker.call("c1", "roc.nothing", 3) == [f"c1 #3 {NOT_FOUND}"]
    assert broker.call("c1", "roc.nothing", 4, wait=True) == [f"c1 #4 {NOT_FOUND}"]


def test_snapshot_is_plain(served: ScriptedBroker) -> None:
    served.call("c1", "vnir", 1)
    snapshot = json.loads(msgspec.json.encode(served.core.snapshot()))
    (entry,) = snapshot["objects"]
    (server,) = entry["servers"]
    assert (entry["id"], entry["queued"], entry["served"]) == ("vnir", 0, 0)
    assert server == {
        "state": "serving",
        "policy": "exclusive",
        "host": "daq2",
        "pid": 7,
        "language": "",
        "since": 1000.0,
        "served": 0,
        "running": 1,
    }


# --- anything -------------------------------------------------------------------------

FRAME = st.sampled_from(
    [
        *(b"", W, C, b"vnir", b"swir", b"vnir!", b"roc.broker", b"mmi.service", b"!", b"\xff"),
        *(mdp.READY, mdp.REQUEST, mdp.REPLY, mdp.HEARTBEAT, mdp.DISCONNECT, mdp.CONTROL),
        *(b'{"policy":"pool"}', b"{}", b"[", request_text(1), request_text(2, wait=True)),
        request_text(3, "rpc.cancel", {"call": "x"}),
        b"c1" + (1).to_bytes(8, "big"),
    ]
)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.sampled_from(["c1", "c2", "w1", "w2"]), st.lists(FRAME, max_size=7)),
        max_size=12,
    )
)
def test_it_outlives_any_frames(messages: list[tuple[str, list[bytes]]]) -> None:
    broker = ScriptedBroker()
    for peer, frames in messages:
        broker.says(peer, *frames)
        broker.pass_time(0.1)
    broker.pass_time(20.0)
    assert broker.ready("w9", "free") == ["w9 is serving"]
    assert broker.call("c9", "free", 1) == ["w9 gets m #1 of c9"]


HUGE = bytes(40_000)
FROM_CLIENTS = [
    [b"", C, b"vnir", request_text(1)],
    [b"", C, b"absent", request_text(1)],
    [b"", C, b"vnir!", request_text(1, "rpc.ping")],
    [b"", C, b"mmi.service", b"vnir"],
    [b"", C, b"roc.x", request_text(1)],
]
FROM_WORKERS = [
    [b"", W, mdp.REPLY, b"token", b"", b"{}"],
    [b"", W, mdp.HEARTBEAT],
    [b"", W, mdp.DISCONNECT],
]
READY = [b"", W, mdp.READY, b"vnir", b"{}"]


def send_with_a_large_frame(broker: ScriptedBroker, peer: bytes, message: list[bytes]) -> None:
    """The message once for each place; a driver need not copy large frames: a `zmq.Frame`."""
    for place in range(len(message)):
        broker.do(Arrived([peer, *message[:place], zmq.Frame(HUGE), *message[place + 1 :]]))
    assert broker.stock_call("c9", "mmi.service", b"roc.broker") == ["c9 gets b'200'"]


@pytest.mark.parametrize("message", FROM_WORKERS, ids=["reply", "heartbeat", "disconnect"])
@pytest.mark.parametrize("peer", [b"w1", b"stranger"])
def test_large_frames_from_a_worker_are_buffers(
    served: ScriptedBroker, peer: bytes, message: list[bytes]
) -> None:
    send_with_a_large_frame(served, peer, message)


@pytest.mark.parametrize("message", [*FROM_CLIENTS, READY])
def test_large_frames_are_buffers(served: ScriptedBroker, message: list[bytes]) -> None:
    send_with_a_large_frame(served, b"stranger", message)
