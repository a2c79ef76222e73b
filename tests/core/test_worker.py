"""The server's conversation with its broker, as transcripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from core.scripted import error_names, request_text
from runmacs.roc.core.effects import Effect, Greeted, Refused, Reopen
from runmacs.roc.core.worker import Task, WorkerCore
from runmacs.roc.wire import mdp
from runmacs.roc.wire.jsonrpc import Request, encode_result
from runmacs.roc.wire.mdp import Properties

W = mdp.WORKER
TAKEN = json.dumps({"code": -32002, "message": "taken", "host": "daq2", "pid": 7}).encode()
UNSOUND = json.dumps({"code": -32600, "message": "READY came twice"}).encode()
STOPPED = json.dumps({"code": -32004, "message": "The broker was stopped."}).encode()
PROPERTIES = Properties(instance="i1", prefetch=16, host="daq2", pid=17)


class ScriptedWorker:
    """A worker core, a clock that stands until told, and a line for each effect."""

    def __init__(self) -> None:
        self.core = WorkerCore("vnir", PROPERTIES)
        self.now = 1000.0

    # ---- what the socket and the broker do

    def opened(self) -> list[str]:
        out: list[Effect] = []
        self.core.opened(self.now, out)
        return self._lines(out)

    def unsent(self) -> None:
        self.core.unsent(self.now)
        self.core.check()

    def link_down(self) -> None:
        self.core.link_down(self.now)
        self.core.check()

    def link_up(self) -> list[str]:
        out: list[Effect] = []
        self.core.link_up(self.now, out)
        return self._lines(out)

    def gets(self, *frames: Any) -> list[str]:
        out: list[Effect] = []
        self.core.on_frames(list(frames), self.now, out)
        return self._lines(out)

    def beat(self) -> list[str]:
        return self.gets(b"", W, mdp.HEARTBEAT)

    def greeted(self, state: str = "serving") -> list[str]:
        return self.gets(b"", W, mdp.HEARTBEAT, b'{"state":"%b"}' % state.encode())

    def sent_away(self, *reason: bytes) -> list[str]:
        return self.gets(b"", W, mdp.DISCONNECT, *reason)

    def request(self, call: str, ttl: float | None = 9.0, **roc: Any) -> list[str]:
        """A ROC client's request: its call id is ``call``, its token too."""
        roc = {"call": call, **({} if ttl is None else {"ttl": ttl}), **roc}
        text = request_text(int(call.rpartition(".")[2]), "m", None, **roc)
        return self.gets(b"", W, mdp.REQUEST, call.encode(), b"", text)

    def control(self, number: int, method: str, params: object = None) -> list[str]:
        text = request_text(number, method, params)
        return self.gets(b"", W, mdp.CONTROL, b"control", b"", text)

    def cancel(self, call: str, number: int = 90) -> list[str]:
        return self.control(number, "rpc.cancel", {"call": call})

    # ---- what the server does

    def take(self) -> tuple[Task | None, list[str]]:
        out: list[Effect] = []
        task = self.core.take(self.now, out)
        return task, self._lines(out)

    def begin(self) -> Task:
        task, lines = self.take()
        assert task is not None
        assert lines == []
        return task

    def begun(self) -> list[str]:
        """Begin and finish all that is there; the calls in the order they were begun."""
        order: list[str] = []
        while True:
            task, _ = self.take()
            if task is None:
                return order
            order.append(task.token.decode())
            self.finish(task)

    def finish(self, task: Task, result: bytes = b"null") -> list[str]:
        out: list[Effect] = []
        reply_id = task.body.items[0].reply_id or b"null"
        self.core.finish(task, [encode_result(reply_id, result)], out)
        return self._lines(out)

    def stop(self) -> list[str]:
        out: list[Effect] = []
        self.core.stop(out)
        return self._lines(out)

    # ---- time

    def tick(self) -> list[str]:
        out: list[Effect] = []
        self.core.tick(self.now, out)
        return self._lines(out)

    def pass_time(self, seconds: float, broker_beats: bool = False) -> list[str]:
        """Time passes, with a tick whenever the core asked for one."""
        lines: list[str] = []
        end = self.now + seconds
        while (due := self.core.next_deadline()) is not None:
            # Right at its deadline a broker is not silent for too long yet.
            due = max(due, self.now + 0.001)
            if due > end:
                break
            self.now = due
            if broker_beats:
                lines += self.beat()
            lines += self.tick()
            if lines and lines[-1].startswith("reopens"):
                lines += self.opened()
        self.now = end
        return lines

    def stand_still(self, seconds: float) -> None:
        self.now += seconds
        self.core.stood_still(seconds)

    def freeze(self) -> None:
        self.stand_still(12.0)
        self.tick()
        self.core.drained()

    # ---- effects as text

    def _lines(self, out: list[Effect]) -> list[str]:
        self.core.check()
        return list(map(self._line, out))

    def _line(self, effect: Effect) -> str:
        match effect:
            case Greeted(greeting):
                return f"greeted: {greeting.state}"
            case Refused(reason, first):
                return f"refused {'at first' if first else 'later'}: {reason.message}"
            case Reopen(why):
                return f"reopens: {why}"
        assert isinstance(effect, list)
        assert effect[:2] == [b"", W]
        if effect[2] == mdp.READY:
            assert effect[3] == b"vnir"
            assert mdp.parse_properties(bytes(effect[4])) == PROPERTIES
            return "READY"
        if effect[2] == mdp.REPLY:
            assert effect[4] == b""
            return f"{bytes(effect[3]).decode()} {_answer(bytes(effect[5]))}"
        return {mdp.HEARTBEAT: "HEARTBEAT", mdp.DISCONNECT: "DISCONNECT"}[bytes(effect[2])]


def _answer(text: bytes) -> str:
    if not text:
        return "answered with nothing"
    tree = json.loads(text)
    if isinstance(tree, list):
        return ", ".join(_answer(json.dumps(item).encode()) for item in tree)
    if "result" in tree:
        return f"#{tree['id']} = {json.dumps(tree['result'])}"
    error = tree["error"]
    executed = error["data"]["executed"]
    return f"#{tree['id']} fails: {error_names[error['code']]}, executed {executed}"


@pytest.fixture
def worker() -> ScriptedWorker:
    """A worker whose socket has just been opened."""
    worker = ScriptedWorker()
    assert worker.opened() == ["READY"]
    return worker


@pytest.fixture
def serving(worker: ScriptedWorker) -> ScriptedWorker:
    """A worker that a ROC broker has accepted."""
    assert worker.greeted() == ["greeted: serving"]
    return worker


# --- states ---------------------------------------------------------------------------

EVENTS: dict[str, Callable[[ScriptedWorker], object]] = {
    "greeted serving": lambda w: w.greeted("serving"),
    "greeted standby": lambda w: w.greeted("standby"),
    "greeted held": lambda w: w.greeted("held"),
    "heartbeat": lambda w: w.beat(),
    "sent away": lambda w: w.sent_away(),
    "taken": lambda w: w.sent_away(TAKEN),
    "unsound": lambda w: w.sent_away(UNSOUND),
    "broker stopped": lambda w: w.sent_away(STOPPED),
    "unsent": lambda w: w.unsent(),
    "link down": lambda w: w.link_down(),
    "silence": lambda w: w.pass_time(8.0),
    "frozen": lambda w: w.freeze(),
    "opened": lambda w: w.opened(),
    "a greeting that is none": lambda w: w.gets(b"", W, mdp.HEARTBEAT, b'{"state":"?"}'),
}
STATES = ("joining", "serving", "standby", "held")
NEXT = {
    "greeted serving": "serving",
    "greeted standby": "standby",
    "greeted held": "held",
    "heartbeat": None,
    "a greeting that is none": None,
}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", STATES)
def test_every_event_in_every_state(worker: ScriptedWorker, state: str, event: str) -> None:
    if state != "joining":
        worker.greeted(state)
    before = worker.core.greeted
    EVENTS[event](worker)
    expected = NEXT.get(event, "joining")
    assert worker.core.state == (state if expected is None else expected)
    if event.startswith("greeted"):
        assert worker.core.greeted
    else:
        assert worker.core.greeted == (before and expected is None)
    assert worker.core.next_deadline() is not None
    # Whatever happened: it finds its broker again.
    worker.pass_time(1.6)
    worker.opened()
    assert worker.greeted() == ["greeted: serving"]
    worker.request("c1.1")
    assert worker.begun() == ["c1.1"]


def test_a_server_in_waiting_is_told_when_it_takes_over(worker: ScriptedWorker) -> None:
    assert worker.greeted("standby") == ["greeted: standby"]
    assert worker.pass_time(1.0, broker_beats=True) == ["HEARTBEAT"] * 2
    assert worker.greeted("serving") == ["greeted: serving"]


# --- registering ----------------------------------------------------------------------


def test_ready_is_tried_again_until_it_can_be_sent() -> None:
    worker = ScriptedWorker()
    assert worker.opened() == ["READY"]
    worker.unsent()
    for _ in range(5):
        assert worker.pass_time(0.09) == []
        assert worker.pass_time(0.02) == ["READY"]
        worker.unsent()
    worker.pass_time(0.2)
    assert worker.greeted() == ["greeted: serving"]


def test_ready_goes_out_as_soon_as_the_connection_stands(serving: ScriptedWorker) -> None:
    assert serving.link_up() == []
    serving.link_down()
    assert serving.link_up() == ["READY"]
    assert serving.link_up() == []
    assert serving.greeted() == ["greeted: serving"]


def test_after_a_disconnect_it_registers_again_at_once(serving: ScriptedWorker) -> None:
    for reason in ([], [STOPPED], [b"junk"]):
        assert serving.sent_away(*reason) == []
        assert serving.pass_time(0.11) == ["READY"]
        serving.greeted()


@pytest.mark.parametrize("reason", [TAKEN, UNSOUND])
def test_when_refused_it_tries_every_second(worker: ScriptedWorker, reason: bytes) -> None:
    text = json.loads(reason)["message"]
    assert worker.sent_away(reason) == [f"refused at first: {text}"]
    assert worker.pass_time(0.95) == []
    assert worker.pass_time(0.1) == ["READY"]


def test_a_server_that_was_held_is_refused_at_first(worker: ScriptedWorker) -> None:
    worker.greeted("held")
    assert worker.sent_away(TAKEN) == ["refused at first: taken"]


@pytest.mark.parametrize("accepted", ["serving", "standby"])
def test_a_server_that_was_accepted_once_is_refused_later(
    worker: ScriptedWorker, accepted: str
) -> None:
    """After a restart of the broker another one was quicker."""
    worker.greeted(accepted)
    worker.sent_away()
    worker.pass_time(0.2)
    worker.greeted("held")
    assert worker.sent_away(TAKEN) == ["refused later: taken"]
    worker.pass_time(1.1)
    assert worker.sent_away(TAKEN) == ["refused later: taken"]


# --- heartbeats and silence -----------------------------------------------------------


def test_it_beats_every_half_second(serving: ScriptedWorker) -> None:
    assert serving.pass_time(5.0, broker_beats=True) == ["HEARTBEAT"] * 10


def test_it_beats_while_a_method_runs(serving: ScriptedWorker) -> None:
    serving.request("c1.1")
    serving.begin()
    assert serving.pass_time(60.0, broker_beats=True) == ["HEARTBEAT"] * 120


def test_a_broker_that_greeted_is_left_after_a_second_and_a_half(serving: ScriptedWorker) -> None:
    assert serving.pass_time(1.5) == ["HEARTBEAT"] * 3
    assert serving.pass_time(0.1) == ["reopens: the broker was silent for 1.5 s", "READY"]
    assert serving.core.state == "joining"


def test_any_message_is_a_sign_of_life(serving: ScriptedWorker) -> None:
    for number in range(8):
        assert serving.pass_time(1.0) == ["HEARTBEAT"] * 2
        serving.request(f"c1.{number}")


def test_a_stock_broker_is_left_after_seven_seconds_and_a_half(worker: ScriptedWorker) -> None:
    assert set(worker.pass_time(7.4)) == {"HEARTBEAT"}
    lines = [line for line in worker.pass_time(0.4) if line != "HEARTBEAT"]
    assert lines == ["reopens: the broker was silent for 7.5 s", "READY"]


@pytest.mark.parametrize("running", [True, False])
def test_a_stock_broker_is_not_judged_while_a_call_is_open(
    worker: ScriptedWorker, running: bool
) -> None:
    """It beats idle workers only."""
    worker.request("c1.1", ttl=1000)
    if running:
        task = worker.begin()
    assert set(worker.pass_time(60.0)) == {"HEARTBEAT"}
    if not running:
        task = worker.begin()
    assert worker.finish(task) == ["c1.1 #1 = null"]
    assert set(worker.pass_time(3.5)) == {"HEARTBEAT"}
    assert "READY" in worker.pass_time(5.0)


def test_its_own_standstill_is_not_the_brokers_silence(serving: ScriptedWorker) -> None:
    serving.stand_still(5.0)
    assert serving.tick() == ["HEARTBEAT"]
    assert serving.core.state == "serving"
    assert "READY" in serving.pass_time(1.6)


def test_after_ten_seconds_of_standstill_the_broker_gave_it_up(serving: ScriptedWorker) -> None:
    """What is unread was handed to others, or its callers were told that it is lost."""
    serving.request("c1.1", ttl=100)
    serving.stand_still(9.5)
    (line,) = serving.tick()
    assert line.startswith("reopens: this process stood still")
    assert serving.take() == (None, [])


def test_short_standstills_in_the_long_run_are_forgiven(serving: ScriptedWorker) -> None:
    for _ in range(20):
        serving.stand_still(0.8)
        serving.beat()
        serving.core.drained()
        assert set(serving.tick()) <= {"HEARTBEAT"}
    assert serving.core.state == "serving"


# --- losing the broker ----------------------------------------------------------------

LOSSES: dict[str, Callable[[ScriptedWorker], object]] = {
    "silence": lambda w: w.pass_time(1.6),
    "sent away": lambda w: w.sent_away(),
    "unsent": lambda w: w.unsent(),
    "link down": lambda w: w.link_down(),
    "opened again": lambda w: w.opened(),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_who_loses_its_broker_drops_what_it_has_not_begun(
    serving: ScriptedWorker, loss: str
) -> None:
    for number in (1, 2, 3):
        serving.request(f"c1.{number}", ttl=100)
    task = serving.begin()
    LOSSES[loss](serving)
    assert serving.take() == (None, [])
    assert serving.finish(task) == []
    assert serving.core.dropped_replies == 1
    serving.pass_time(0.2)
    serving.greeted()
    serving.request("c1.4")
    assert serving.begun() == ["c1.4"]
    assert serving.core.dropped_replies == 1


def test_a_call_of_the_earlier_broker_is_not_running_for_the_new_one(
    serving: ScriptedWorker,
) -> None:
    serving.request("c1.1")
    serving.begin()
    serving.opened()
    serving.greeted()
    assert serving.cancel("c1.1") == ['control #90 = {"executed": null, "state": "unknown"}']


def test_nothing_is_taken_from_a_broker_before_it_was_told_who_is_here(
    serving: ScriptedWorker,
) -> None:
    serving.sent_away()
    serving.request("c1.1")
    serving.control(1, "rpc.ping")
    serving.pass_time(0.2)
    assert serving.begun() == []
    serving.request("c1.2")
    assert serving.begun() == ["c1.2"]


# --- execution ------------------------------------------------------------------------


def test_one_at_a_time_in_order_and_clients_in_turn(serving: ScriptedWorker) -> None:
    for call in ("a.1", "a.2", "a.3", "b.1", "c.1", "c.2"):
        serving.request(call)
    assert serving.begun() == ["a.1", "b.1", "c.1", "a.2", "c.2", "a.3"]


def test_what_is_called_next_counts_for_callers_who_wait_for_more(
    serving: ScriptedWorker,
) -> None:
    for call in ("a.1", "a.2", "b.1"):
        serving.request(call)
    following = []
    while (task := serving.core.take(serving.now, [])) is not None:
        following.append(serving.core.method_after(task))
        serving.core.finish(task, [b"{}"], [])
    method = "m"
    assert following == [method, "", ""], "b, and a at last, wait for nothing else"


def test_a_reply_carries_its_token_and_its_buffers(serving: ScriptedWorker) -> None:
    body = [request_text(1), b"one", memoryview(b"two")]
    serving.gets(b"", W, mdp.REQUEST, b"\x00token\xff", b"", *body)
    task = serving.begin()
    assert list(task.frames) == body
    out: list[Effect] = []
    serving.core.finish(task, [b"{}", b"pixels"], out)
    assert out == [[b"", W, mdp.REPLY, b"\x00token\xff", b"", b"{}", b"pixels"]]


def test_requests_of_stock_clients_are_executed_in_order(serving: ScriptedWorker) -> None:
    for token in (b"t1", b"t2", b"t3"):
        serving.gets(b"", W, mdp.REQUEST, token, b"", b"junk")
    assert serving.begun() == ["t1", "t2", "t3"]


def test_a_late_request_is_declined_when_its_turn_comes(serving: ScriptedWorker) -> None:
    serving.request("c1.1", ttl=1.0)
    serving.request("c1.2", ttl=3.0)
    serving.now += 1.0
    task, lines = serving.take()
    assert lines == ["c1.1 #1 fails: Expired, executed False"]
    assert task is not None
    assert task.token == b"c1.2"
    assert serving.core.expired == 1


def test_a_request_without_time_to_live_never_expires(serving: ScriptedWorker) -> None:
    serving.request("c1.1", ttl=None)
    serving.now += 1e6
    assert serving.begun() == ["c1.1"]


def test_a_late_notification_is_answered_with_nothing(serving: ScriptedWorker) -> None:
    text = request_text(None, ttl=0.5)
    serving.gets(b"", W, mdp.REQUEST, b"t", b"", text)
    serving.now += 1.0
    assert serving.take() == (None, ["t answered with nothing"])


def test_what_was_unread_while_it_stood_still_is_older(serving: ScriptedWorker) -> None:
    serving.stand_still(2.0)
    serving.request("c1.1", ttl=1.9)
    serving.request("c1.2", ttl=2.5)
    serving.core.drained()
    serving.request("c1.3", ttl=1.9)
    serving.now += 0.4
    assert serving.begun() == ["c1.2", "c1.3"]
    assert serving.core.expired == 1


def test_what_the_broker_left_unread_is_older(serving: ScriptedWorker) -> None:
    serving.request("c1.1", ttl=2.0, age=1.5)
    serving.request("c2.2", ttl=2.0, age=2.5)
    serving.now += 0.4
    assert serving.begun() == ["c1.1"]
    serving.request("c1.3", ttl=2.0, age=1.5)
    serving.now += 0.6
    assert serving.begun() == []


def test_what_was_long_on_its_way_is_older(serving: ScriptedWorker) -> None:
    serving.request("c1.1", ttl=1.0, at=50.0)
    assert serving.begun() == ["c1.1"]
    serving.now += 10.0
    serving.request("c1.2", ttl=1.0, at=57.0)
    serving.request("c2.1", ttl=1.0, at=57.0)
    assert serving.begun() == ["c2.1"]
    serving.request("c1.3", ttl=1.0, at=59.5)
    assert serving.begun() == ["c1.3"]


def test_a_sender_whose_clock_stood_still_begins_anew(serving: ScriptedWorker) -> None:
    serving.request("c1.1", ttl=1.0, at=50.0)
    assert serving.begun() == ["c1.1"]
    serving.now += 10.0
    serving.request("c1.2", ttl=1.0, at=50.0)
    serving.request("c1.3", ttl=1.0, at=50.0, clock=1)
    assert serving.begun() == ["c1.3"]


def test_a_batch_is_taken_whole_and_judged_request_by_request(serving: ScriptedWorker) -> None:
    texts = [request_text(1, call="c1.1", ttl=1.0), request_text(2, call="c1.2", ttl=9.0)]
    serving.gets(b"", W, mdp.REQUEST, b"t", b"", b"[%b]" % b",".join(texts))
    serving.now += 2.0
    task = serving.begin()
    first, second = task.body.items
    assert isinstance(first, Request)
    assert isinstance(second, Request)
    assert task.expired(first, serving.now)
    assert not task.expired(second, serving.now)


# --- the control lane -----------------------------------------------------------------


def test_control_requests_go_first(serving: ScriptedWorker) -> None:
    serving.request("a.1")
    serving.request("b.1")
    serving.control(1, "rpc.ping")
    assert serving.begun() == ["control", "a.1", "b.1"]


def test_all_control_requests_go_first(serving: ScriptedWorker) -> None:
    serving.request("a.1")
    serving.control(1, "rpc.ping")
    serving.control(2, "rpc.discover")
    serving.control(3, "rpc.ping")
    assert serving.begun() == ["control", "control", "control", "a.1"]


def test_control_requests_are_served_beside_a_running_method(serving: ScriptedWorker) -> None:
    serving.request("a.1")
    running = serving.begin()
    assert serving.core.take_control() is None
    serving.control(1, "rpc.ping")
    serving.request("a.2")
    task = serving.core.take_control()
    assert task is not None
    assert task.control
    assert serving.core.take_control() is None
    assert serving.finish(task) == ["control #1 = null"]
    assert serving.core.running is running
    assert serving.finish(running) == ["a.1 #1 = null"]
    assert serving.begun() == ["a.2"]


def test_cancel_of_the_running_call(serving: ScriptedWorker) -> None:
    serving.request("c1.1")
    task = serving.begin()
    serving.now += 1.5
    assert serving.cancel("c1.1") == [
        'control #90 = {"executed": null, "state": "running", "seconds": 1.5}'
    ]
    assert serving.finish(task) == ["c1.1 #1 = null"]
    assert serving.cancel("c1.1") == ['control #90 = {"executed": null, "state": "unknown"}']


def test_cancel_of_a_call_that_waits(serving: ScriptedWorker) -> None:
    for call in ("c1.1", "c1.2", "c1.3"):
        serving.request(call)
    serving.begin()
    assert serving.cancel("c1.2") == [
        "c1.2 #2 fails: Expired, executed False",
        'control #90 = {"executed": false, "state": "withdrawn"}',
    ]
    assert serving.begun() == ["c1.3"]


@pytest.mark.parametrize("params", [None, [], ["c1.1"], {}, {"call": ""}, {"call": None}])
def test_a_cancel_that_names_no_call_withdraws_nothing(
    serving: ScriptedWorker, params: object
) -> None:
    serving.gets(b"", W, mdp.REQUEST, b"t1", b"", request_text(1))
    serving.gets(b"", W, mdp.REQUEST, b"t2", b"", request_text(2))
    serving.begin()
    assert serving.control(90, "rpc.cancel", params) == [
        'control #90 = {"executed": null, "state": "unknown"}'
    ]
    assert serving.begun() == ["t2"]


def batch_of(serving: ScriptedWorker, *calls: str, **roc: Any) -> None:
    texts = [request_text(number, call=call, **roc) for number, call in enumerate(calls, 1)]
    serving.gets(b"", W, mdp.REQUEST, b"t", b"", b"[%b]" % b",".join(texts))


def turns(task: Task, now: float) -> list[bool]:
    """Of all requests of a batch, in their turn: whether they are begun."""
    return [task.refusal(item, now) is None for item in task.body.items if type(item) is Request]


def test_cancel_of_one_call_leaves_the_others_of_its_batch(serving: ScriptedWorker) -> None:
    batch_of(serving, "c1.1", "c1.2", "c1.3")
    assert serving.cancel("c1.2") == ['control #90 = {"executed": false, "state": "withdrawn"}']
    assert turns(serving.begin(), serving.now) == [True, False, True]


def test_cancel_tells_the_calls_of_a_running_batch_apart(serving: ScriptedWorker) -> None:
    batch_of(serving, "c1.1", "c1.2", "c1.3")
    task = serving.begin()
    first, second, third = (item for item in task.body.items if isinstance(item, Request))
    assert task.refusal(first, serving.now) is None
    assert task.refusal(second, serving.now) is None
    serving.now += 0.5
    assert serving.cancel("c1.1") == ['control #90 = {"executed": true, "state": "executed"}']
    assert serving.cancel("c1.2") == [
        'control #90 = {"executed": null, "state": "running", "seconds": 0.5}'
    ]
    assert serving.cancel("c1.3") == ['control #90 = {"executed": false, "state": "withdrawn"}']
    assert serving.cancel("c1.4") == ['control #90 = {"executed": null, "state": "unknown"}']
    refusal = task.refusal(third, serving.now)
    assert refusal is not None
    assert str(refusal) == "it was withdrawn by its caller"


def test_a_batch_that_was_late_says_by_how_much(serving: ScriptedWorker) -> None:
    serving.request("c1.1", ttl=9.0, at=50.0)
    serving.begin()
    serving.now += 5.0
    batch_of(serving, "c1.2", "c1.3", ttl=1.0, at=50.0)
    task = serving.begin()
    (request, _) = task.body.items
    assert isinstance(request, Request)
    refusal = task.refusal(request, serving.now)
    assert refusal is not None
    assert refusal.data == {"late": pytest.approx(5.0, abs=0.01)}


def test_the_age_of_a_batch_is_that_of_its_first_sound_request(serving: ScriptedWorker) -> None:
    texts = [b"7", request_text(1, call="c1.1", ttl=1.0, age=2.0)]
    serving.gets(b"", W, mdp.REQUEST, b"t", b"", b"[%b]" % b",".join(texts))
    assert turns(serving.begin(), serving.now) == [False]


def test_a_cancel_that_is_a_notification_is_answered_with_nothing(serving: ScriptedWorker) -> None:
    serving.request("c1.1")
    text = request_text(None, "rpc.cancel", {"call": "c1.1"})
    lines = serving.gets(b"", W, mdp.CONTROL, b"control", b"", text)
    assert lines[-1] == "control answered with nothing"


def test_a_client_that_calls_itself_an_exclamation_mark_is_a_client(
    serving: ScriptedWorker,
) -> None:
    serving.request("!.1")
    assert serving.core.take_control() is None


# --- the end --------------------------------------------------------------------------


def test_at_its_end_it_declines_what_it_has_not_begun_and_says_goodbye(
    serving: ScriptedWorker,
) -> None:
    for call in ("c1.1", "c1.2", "c2.3"):
        serving.request(call)
    task = serving.begin()
    assert serving.finish(task) == ["c1.1 #1 = null"]
    assert serving.stop() == [
        "c2.3 #3 fails: ServerLost, executed False",
        "c1.2 #2 fails: ServerLost, executed False",
        "DISCONNECT",
    ]
    assert serving.take() == (None, [])


def test_there_is_nobody_to_say_goodbye_to_without_a_connection(worker: ScriptedWorker) -> None:
    worker.unsent()
    assert worker.stop() == []


# --- looking inside -------------------------------------------------------------------


def test_snapshot(serving: ScriptedWorker) -> None:
    serving.request("c1.1")
    serving.request("c1.2")
    serving.begin()
    assert serving.core.snapshot() == {
        "object": "vnir",
        "state": "serving",
        "queued": 1,
        "running": True,
        "expired": 0,
        "dropped_replies": 0,
    }


# --- anything -------------------------------------------------------------------------

FRAME = st.sampled_from(
    [
        *(b"", W, mdp.CLIENT, b"token", b"{}", b"[", b"\xff", TAKEN, b'{"state":"held"}'),
        *(mdp.READY, mdp.REQUEST, mdp.REPLY, mdp.HEARTBEAT, mdp.DISCONNECT, mdp.CONTROL),
        *(request_text(1, call="c1.1", ttl=1), request_text(None), b"[1]"),
        *(request_text(3, "rpc.cancel", {"call": "c1.1"}), zmq.Frame(bytes(40_000))),
    ]
)


@settings(max_examples=300)
@given(st.lists(st.lists(FRAME, max_size=7), max_size=12))
def test_it_outlives_any_frames(messages: list[list[bytes]]) -> None:
    worker = ScriptedWorker()
    worker.opened()
    for frames in messages:
        worker.gets(*frames)
        worker.pass_time(0.1)
    worker.begun()
    worker.pass_time(9.0)
    worker.opened()
    worker.greeted()
    worker.request("c9.1")
    assert worker.begun() == ["c9.1"]


def test_large_frames_are_buffers_in_any_place(serving: ScriptedWorker) -> None:
    message = [b"", W, mdp.REQUEST, b"t", b"", request_text(1)]
    for place in range(len(message)):
        serving.gets(*message[:place], zmq.Frame(bytes(40_000)), *message[place + 1 :])
    for command in (mdp.HEARTBEAT, mdp.DISCONNECT):
        serving.gets(b"", W, command, zmq.Frame(bytes(40_000)))
    serving.pass_time(0.2)
    large = request_text(1, params=["x" * 40_000])
    serving.gets(b"", W, mdp.REQUEST, b"large", b"", zmq.Frame(large), zmq.Frame(bytes(40_000)))
    task = serving.begin()
    assert task.token == b"large"
    (request,) = task.body.items
    assert isinstance(request, Request)
    assert request.reply_id == b"1"
