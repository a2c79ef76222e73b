"""The client's calls, as transcripts: what is sent when, and how each call ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from runmacs.roc import errors
from runmacs.roc.core.call import Batch, Call
from runmacs.roc.core.caller import VERDICT_WAIT, CallerCore
from runmacs.roc.core.effects import Effect, Reopen
from runmacs.roc.core.outcome import result_of
from runmacs.roc.wire import mdp
from runmacs.roc.wire.jsonrpc import Request, parse_body

C = mdp.CLIENT


class ScriptedCaller:
    """A caller core, a clock that stands until told, and a line for each effect."""

    def __init__(self, limit: int = 10_000) -> None:
        self.core = CallerCore("c1", "tcp://daq2:5555", limit)
        self.now = 1000.0
        self.sent: list[list[Any]] = []
        """Every message, in order."""

    # ---- what the program does

    def call(
        self,
        method: str = "m",
        timeout: float = 2.0,
        object_id: str = "vnir",
        params: bytes | None = None,
        buffers: tuple[bytes, ...] = (),
        waits: bool = False,
    ) -> tuple[Call, list[str]]:
        call = Call(object_id, method, params, buffers)
        call.waits = waits
        out: list[Effect] = []
        self.core.submit(call, self.now, timeout, out)
        return call, self._lines(out)

    def open_call(self, **options: Any) -> Call:
        return self.call(**options)[0]

    def notify(self, method: str = "m", timeout: float = 2.0) -> tuple[Call, list[str]]:
        """A one-way call; the socket has taken it."""
        call = Call("vnir", method, None, ())
        call.one_way = True
        out: list[Effect] = []
        self.core.submit(call, self.now, timeout, out)
        lines = self._lines(out)
        self.core.taken()
        return call, lines

    def batch(
        self, *methods: str, timeout: float = 2.0, buffers: tuple[bytes, ...] = ()
    ) -> tuple[list[Call], list[str]]:
        calls = [Call("vnir", method.strip("!"), None, ()) for method in methods]
        for call, method in zip(calls, methods, strict=True):
            call.one_way = method.endswith("!")
        out: list[Effect] = []
        self.core.submit_batch(Batch("vnir", calls, buffers), self.now, timeout, out)
        return calls, self._lines(out)

    def abandon(self, call: Call) -> list[str]:
        out: list[Effect] = []
        self.core.abandon(call, self.now, out)
        return self._lines(out)

    def close(self) -> tuple[list[str], bool]:
        out: list[Effect] = []
        waits = self.core.close(out)
        return self._lines(out), waits

    # ---- what the socket and the broker do

    def link_up(self) -> list[str]:
        out: list[Effect] = []
        self.core.link_up(self.now, out)
        return self._lines(out)

    def greeted(self) -> None:
        """The broker has answered who it is."""
        number = next(n for n, method in self.requests() if method == "rpc.ping")
        self.gets(number, result={"broker": "b1", "version": 1})
        assert self.core.broker == "b1"

    def link_down(self) -> None:
        self.core.link_down()
        self.core.check()

    def unsent(self, count: int = 1) -> None:
        """The socket did not take the last messages."""
        messages, self.sent[-count:] = self.sent[-count:], []
        self.core.unsent(messages, self.now)
        self.core.check()

    def gets(self, number: object, **response: Any) -> None:
        text = json.dumps({"jsonrpc": "2.0", "id": number, **response}).encode()
        self.gets_frames(b"", C, b"vnir", text)

    def gets_frames(self, *frames: Any) -> None:
        self.core.on_frames(list(frames), self.now)
        self.core.check()

    def gets_verdict(self, executed: bool | None, state: str, **more: Any) -> None:
        """The answer to the last withdrawal."""
        self.gets_answer(result={"executed": executed, "state": state, **more})

    def gets_answer(self, **response: Any) -> None:
        """Any answer to the last withdrawal."""
        number = [n for n, method in self.requests() if method == "rpc.cancel"][-1]
        self.gets(number, **response)

    # ---- time

    def tick(self) -> list[str]:
        out: list[Effect] = []
        self.core.tick(self.now, out)
        return self._lines(out)

    def pass_time(self, seconds: float) -> list[str]:
        """Time passes, with a tick whenever the core asked for one."""
        lines: list[str] = []
        end = self.now + seconds
        while (due := self.core.next_deadline()) is not None and due <= end:
            self.now = max(due, self.now)
            lines += self.tick()
            still_due = self.core.next_deadline()
            assert still_due is None or still_due > self.now, "nothing is due after a tick"
        self.now = end
        return lines

    # ---- effects as text

    def requests(self) -> list[tuple[int, str]]:
        """Numbers and methods of all that was sent, the last greeting's ping first."""
        texts = [json.loads(bytes(frames[3])) for frames in self.sent]
        trees = [tree for text in texts for tree in (text if isinstance(text, list) else [text])]
        return [(tree.get("id", 0), tree["method"]) for tree in trees]

    def _lines(self, out: list[Effect]) -> list[str]:
        self.core.check()
        return list(map(self._line, out))

    def _line(self, effect: Effect) -> str:
        if isinstance(effect, Reopen):
            return f"reopens: {effect.why}"
        assert isinstance(effect, list)
        assert effect[:2] == [b"", C]
        self.sent.append(effect)
        body = parse_body(effect[3])
        requests = [item for item in body.items if isinstance(item, Request)]
        assert len(requests) == len(body.items)
        said = ", ".join(f"{r.method} #{int(r.reply_id or b'0')}" for r in requests)
        return f"{bytes(effect[2]).decode()} {f'[{said}]' if body.batch else said}"


@pytest.fixture
def caller() -> ScriptedCaller:
    """A caller that knows no broker yet."""
    return ScriptedCaller()


@pytest.fixture
def linked(caller: ScriptedCaller) -> ScriptedCaller:
    """A caller with a connection to a broker that greets."""
    assert caller.link_up() == ["roc.broker! rpc.ping #1"]
    caller.greeted()
    return caller


@pytest.fixture
def stock(caller: ScriptedCaller) -> ScriptedCaller:
    """A caller with a connection to a stock broker, which knows no ``roc.broker``."""
    caller.link_up()
    return caller


def failure(call: Call) -> errors.RocError:
    assert call.done
    with pytest.raises(errors.RocError) as caught:
        result_of(call)
    return caught.value


# --- the straight way -----------------------------------------------------------------


def test_a_call_is_sent_and_answered(linked: ScriptedCaller) -> None:
    call, lines = linked.call("openShutter")
    assert lines == ["vnir openShutter #2"]
    assert (call.state, call.done) == ("sent", False)
    linked.gets(2, result=3)
    assert (call.state, call.done) == ("done", True)
    assert result_of(call) == 3
    assert linked.core.next_deadline() is None


def test_what_a_request_carries(linked: ScriptedCaller) -> None:
    linked.call("expose", params=b'[{"buffer":0}]', buffers=(b"pixels",), timeout=1.5)
    empty, header, name, text, buffer = linked.sent[-1]
    assert (empty, header, name, buffer) == (b"", C, b"vnir", b"pixels")
    assert json.loads(text) == {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "expose",
        "params": [{"buffer": 0}],
        "roc": {"call": "c1.2", "ttl": 1.5, "at": 1000.0},
    }


@pytest.mark.parametrize("timeout", [1e-6, 0.1, 2, 3600.0, 1e9])
def test_any_timeout_is_json(linked: ScriptedCaller, timeout: float) -> None:
    linked.call(timeout=timeout)
    assert json.loads(linked.sent[-1][3])["roc"]["ttl"] == pytest.approx(timeout)


@pytest.mark.parametrize("method", ['say "hello"', "größe", "a\nb", "\x1b", "lens.focus"])
def test_any_method_is_json(linked: ScriptedCaller, method: str) -> None:
    for _ in range(2):
        linked.call(method)
        assert json.loads(linked.sent[-1][3])["method"] == method


def test_replies_come_in_any_order(linked: ScriptedCaller) -> None:
    calls = [linked.open_call() for _ in range(5)]
    for call in (calls[3], calls[0], calls[4], calls[2], calls[1]):
        linked.gets(call.number, result=call.number)
    assert [result_of(call) for call in calls] == [2, 3, 4, 5, 6]


def test_a_reply_brings_its_buffers(linked: ScriptedCaller) -> None:
    call = linked.open_call()
    text = b'{"jsonrpc":"2.0","id":2,"result":{"__roc__":"bytes","buffer":0}}'
    linked.gets_frames(b"", C, b"vnir", zmq.Frame(text), zmq.Frame(b"pixels"))
    assert result_of(call) == b"pixels"


def test_a_proxy_that_reached_its_object_waits_for_it(linked: ScriptedCaller) -> None:
    def waits() -> bool:
        return "wait" in json.loads(linked.sent[-1][3])["roc"]

    call = linked.open_call()
    assert not waits()
    linked.gets(call.number, error={"code": -32000, "message": "x"})
    call = linked.open_call()
    assert not waits()
    linked.gets(call.number, result=1)
    linked.call()
    assert waits()
    linked.call(object_id="swir")
    assert not waits()
    linked.call(object_id="swir", waits=True)
    assert waits()


def test_an_object_that_was_waited_for_is_reached(linked: ScriptedCaller) -> None:
    call = Call.waiting_for("vnir")
    out: list[Effect] = []
    linked.core.submit(call, linked.now, 2.0, out)
    linked.gets(call.number, result={})
    linked.call()
    assert "wait" in json.loads(linked.sent[-1][3])["roc"]


# --- replies that are none ------------------------------------------------------------

NO_REPLIES = [
    [],
    [b""],
    [b"", C, b"vnir"],
    [b"x", C, b"vnir", b'{"jsonrpc":"2.0","id":2,"result":1}'],
    [b"", mdp.WORKER, b"vnir", b'{"jsonrpc":"2.0","id":2,"result":1}'],
    [b"", C, b"vnir", b"junk"],
    [b"", C, b"vnir", b'{"jsonrpc":"2.0","id":2}'],
    [b"", C, b"vnir", b'{"jsonrpc":"2.0","id":99,"result":1}'],
    [b"", C, b"vnir", b'{"jsonrpc":"2.0","id":"2","result":1}'],
    [b"", C, b"vnir", b'{"jsonrpc":"2.0","id":2.0,"result":1}'],
    [b"", C, b"vnir", b'{"jsonrpc":"2.0","id":1.0,"result":1}'],
    [b"", C, b"vnir", b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":""}}'],
    [b"", C, b"vnir", b'{"jsonrpc":"2.0","id":-2,"result":1}'],
]


@pytest.mark.parametrize("frames", NO_REPLIES)
def test_what_is_no_reply_is_counted_and_ends_nothing(
    linked: ScriptedCaller, frames: list[bytes]
) -> None:
    call = linked.open_call()
    linked.gets_frames(*frames)
    assert not call.done
    assert linked.core.late == 1
    linked.gets(2, result=1)
    assert call.done


def test_an_empty_reply_is_that_of_a_notification(linked: ScriptedCaller) -> None:
    call = linked.open_call()
    linked.gets_frames(b"", C, b"vnir", b"")
    assert (call.done, linked.core.late) == (False, 0)


def test_a_late_reply_is_counted(linked: ScriptedCaller) -> None:
    call = linked.open_call()
    linked.pass_time(2.0 + VERDICT_WAIT)
    assert call.done
    linked.gets(2, result=1)
    linked.gets(2, result=1)
    assert linked.core.late == 2
    failure(call)


def test_a_reply_is_matched_by_its_id_and_by_nothing_else(linked: ScriptedCaller) -> None:
    call = linked.open_call()
    linked.gets_frames(b"", C, b"another", b'[{"jsonrpc":"2.0","id":2,"result":1}]')
    assert result_of(call) == 1


# --- without a broker -----------------------------------------------------------------


def test_calls_wait_for_the_connection(caller: ScriptedCaller) -> None:
    first, lines = caller.call("first")
    assert lines == []
    caller.now += 0.5
    second, lines = caller.call("second")
    assert lines == []
    assert (first.state, second.state) == ("queued", "queued")
    caller.now += 1.0
    assert caller.link_up() == ["roc.broker! rpc.ping #3", "vnir first #1", "vnir second #2"]
    ttls = [json.loads(frames[3])["roc"]["ttl"] for frames in caller.sent[1:]]
    assert ttls == [0.5, 1.0]


def test_a_call_that_could_not_be_sent_was_not_executed(caller: ScriptedCaller) -> None:
    call = caller.open_call(timeout=1.0)
    caller.pass_time(0.99)
    assert not call.done
    assert caller.pass_time(0.02) == []
    error = failure(call)
    assert type(error) is errors.BrokerUnreachable
    assert error.executed is False
    for fact in ("vnir.m", "tcp://daq2:5555", "1 s", "rocbroker", "ROC_BROKER"):
        assert fact in str(error)
    assert caller.link_up() == ["roc.broker! rpc.ping #2"]


def test_a_call_whose_time_is_over_is_not_sent_when_the_connection_comes(
    caller: ScriptedCaller,
) -> None:
    late, soon = caller.open_call(timeout=1.0), caller.open_call(timeout=3.0)
    caller.now += 2.0
    assert caller.link_up() == ["roc.broker! rpc.ping #3", "vnir m #2"]
    assert failure(late).executed is False
    assert not soon.done


# --- a socket that does not take it ---------------------------------------------------


def test_what_the_socket_did_not_take_goes_out_later_in_its_order(
    linked: ScriptedCaller,
) -> None:
    for name in ("a", "b", "c"):
        linked.call(name)
    linked.unsent(2)
    assert linked.call("d")[1] == []
    assert linked.pass_time(0.02) == ["vnir b #3", "vnir c #4", "vnir d #5"]
    methods = [method for _, method in linked.requests()]
    assert methods == ["rpc.ping", "a", "b", "c", "d"]
    assert linked.call("e")[1] == ["vnir e #6"]


def test_the_time_that_is_left_counts_from_when_it_was_really_sent(
    linked: ScriptedCaller,
) -> None:
    linked.call(timeout=2.0)
    linked.unsent()
    linked.now += 0.75
    linked.tick()
    roc = json.loads(linked.sent[-1][3])["roc"]
    assert (roc["ttl"], roc["at"]) == (1.25, 1000.75)


def test_a_call_that_the_socket_never_took_was_not_executed(linked: ScriptedCaller) -> None:
    call = linked.open_call(timeout=0.1)
    linked.unsent()
    while not call.done:
        if linked.pass_time(0.01):
            linked.unsent()
    assert linked.now <= 1000.12
    assert failure(call).executed is False


def test_the_greeting_is_asked_for_again(caller: ScriptedCaller) -> None:
    caller.link_up()
    caller.unsent()
    caller.call()
    assert caller.pass_time(0.02) == ["roc.broker! rpc.ping #3"]
    caller.gets(3, result={"broker": "b1"})
    assert caller.core.broker == "b1"
    assert caller.core.snapshot()["pings"] == 0


# --- deadlines ------------------------------------------------------------------------


def test_at_its_deadline_a_call_is_withdrawn(linked: ScriptedCaller) -> None:
    call = linked.open_call(timeout=0.5)
    assert linked.pass_time(0.49) == []
    assert linked.pass_time(0.02) == ["vnir! rpc.cancel #3"]
    assert json.loads(linked.sent[-1][3])["params"] == {"call": "c1.2"}
    assert (call.state, call.done) == ("withdrawing", False)
    linked.gets_verdict(False, "queued")
    error = failure(call)
    assert issubclass(type(error), TimeoutError)
    assert (type(error), error.executed) == (errors.CallTimeout, False)
    assert str(error) == "vnir.m: no answer within 0.5 s; it was not executed, and will not be."


@pytest.mark.parametrize(
    ("verdict", "kind", "executed", "words"),
    [
        ({"executed": False, "state": "queued"}, "CallTimeout", False, "was not executed"),
        ({"executed": False, "state": "withdrawn"}, "CallTimeout", False, "was not executed"),
        ({"executed": False, "state": "absent"}, "ObjectNotFound", False, "no server shares"),
        (
            {"executed": None, "state": "running", "seconds": 1.94},
            "CallTimeout",
            None,
            "it still runs, since 1.9 s",
        ),
        (
            {"executed": None, "state": "stalled", "seconds": 4.2},
            "CallTimeout",
            None,
            "silent for 4.2 s",
        ),
        ({"executed": None, "state": "dispatched"}, "CallTimeout", None, "cannot be known"),
        ({"executed": None, "state": "unknown"}, "CallTimeout", None, "cannot be known"),
        ({"executed": None, "state": "of tomorrow"}, "CallTimeout", None, "cannot be known"),
        ({}, "CallTimeout", None, "cannot be known"),
        ([], "CallTimeout", None, "cannot be known"),
        ("yes", "CallTimeout", None, "cannot be known"),
        ({"executed": "no", "state": 3}, "CallTimeout", None, "cannot be known"),
    ],
)
def test_verdicts(
    linked: ScriptedCaller, verdict: object, kind: str, executed: bool | None, words: str
) -> None:
    call = linked.open_call()
    linked.pass_time(2.0)
    linked.gets_answer(result=verdict)
    error = failure(call)
    assert type(error).__name__ == kind
    assert error.executed is executed
    assert words in str(error)
    assert str(error).startswith("vnir.m: no ")
    assert "2 s" in str(error)
    assert linked.core.snapshot()["verdicts"] == 0


def test_an_error_for_a_verdict_says_nothing(linked: ScriptedCaller) -> None:
    call = linked.open_call()
    linked.pass_time(2.0)
    linked.gets_answer(error={"code": -32601, "message": "what is rpc.cancel?"})
    assert failure(call).executed is None


def test_it_waits_for_the_verdict_and_not_for_ever(linked: ScriptedCaller) -> None:
    call = linked.open_call()
    linked.pass_time(2.0 + VERDICT_WAIT - 0.01)
    assert call.state == "withdrawing"
    linked.pass_time(0.02)
    assert failure(call).executed is None
    assert "cannot be known" in str(failure(call))
    linked.gets_verdict(False, "queued")
    assert linked.core.late == 1


def test_the_verdict_has_its_time_after_a_standstill(linked: ScriptedCaller) -> None:
    """The deadline passed while the program computed; only then the call is withdrawn."""
    call = linked.open_call(timeout=2.0)
    linked.now += 5.0
    assert linked.tick()[0].startswith("vnir! rpc.cancel")
    linked.pass_time(VERDICT_WAIT - 0.01)
    linked.gets_verdict(None, "running", seconds=4.9)
    assert "it still runs" in str(failure(call))


def test_an_answer_that_comes_before_the_verdict_is_the_answer(linked: ScriptedCaller) -> None:
    call = linked.open_call()
    linked.pass_time(2.01)
    linked.gets(call.number, result=7)
    assert result_of(call) == 7
    linked.gets_verdict(None, "running", seconds=2.0)
    assert linked.core.late == 1


def test_an_answer_in_the_last_moment_needs_no_withdrawal(linked: ScriptedCaller) -> None:
    call = linked.open_call()
    linked.pass_time(1.99)
    linked.gets(call.number, result=7)
    assert "rpc.cancel" not in str(linked.pass_time(1.0))
    assert result_of(call) == 7


def test_the_control_lane_of_a_control_call_is_the_same(linked: ScriptedCaller) -> None:
    call = linked.open_call(method="rpc.ping", object_id="vnir!", timeout=0.5)
    assert linked.pass_time(0.5) == ["vnir! rpc.cancel #3"]
    linked.gets_verdict(False, "queued")
    assert str(failure(call)).startswith("vnir.rpc.ping: ")


def test_expired_is_a_timeout_too(linked: ScriptedCaller) -> None:
    """The broker's word, which may come before the caller's own deadline."""
    call = linked.open_call()
    linked.pass_time(1.99)
    data = {"executed": False, "object": "vnir"}
    linked.gets(call.number, error={"code": -32006, "message": "late", "data": data})
    error = failure(call)
    assert type(error) is errors.CallTimeout
    assert error.executed is False


@pytest.mark.parametrize(("late", "believed"), [(0.5, True), (60.0, False), (0.0, True)])
def test_who_is_told_that_it_is_later_than_it_can_be_gives_its_clock_another_number(
    linked: ScriptedCaller, late: float, believed: bool
) -> None:
    call = linked.open_call()
    linked.now += 1.0
    data = {"executed": False, "late": late}
    linked.gets(call.number, error={"code": -32006, "message": "late", "data": data})
    linked.call()
    assert json.loads(linked.sent[-1][3])["roc"].get("clock", 0) == (0 if believed else 1)


# --- a stock broker -------------------------------------------------------------------


def test_a_stock_broker_gets_nothing_beyond_the_first_question(stock: ScriptedCaller) -> None:
    call = stock.open_call(timeout=30.0)
    assert stock.pass_time(31.0) == []
    assert [method for _, method in stock.requests()] == ["rpc.ping", "m"]
    error = failure(call)
    assert type(error) is errors.CallTimeout
    assert error.executed is None


def test_a_stock_brokers_calls_end_without_waiting_for_a_verdict(stock: ScriptedCaller) -> None:
    call = stock.open_call()
    stock.pass_time(2.0)
    assert call.done


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": -32001, "message": "no such object"}},
        {"result": []},
        {"result": None},
        {"result": "b1"},
        {"result": {"broker": 5}},
    ],
)
def test_a_greeting_that_is_none(stock: ScriptedCaller, answer: dict[str, Any]) -> None:
    stock.gets(1, **answer)
    assert stock.core.broker is None
    assert stock.core.late == 0


# --- losing the broker ----------------------------------------------------------------


def test_when_the_connection_goes_what_was_sent_cannot_be_known(linked: ScriptedCaller) -> None:
    sent = [linked.open_call(), linked.open_call()]
    linked.pass_time(1.0)
    withdrawing = linked.open_call(timeout=0.1)
    linked.pass_time(0.11)
    linked.link_down()
    queued = linked.open_call(method="later", timeout=9.0)
    for call in [*sent, withdrawing]:
        error = failure(call)
        assert type(error) is errors.BrokerUnreachable
        assert error.executed is None
        assert "tcp://daq2:5555" in str(error)
    assert not queued.done
    lines = linked.link_up()
    assert lines[0].startswith("roc.broker! rpc.ping")
    assert lines[-1].startswith("vnir later")
    assert sum("later" in line for line in lines) == 1
    linked.gets(queued.number, result=1)
    assert result_of(queued) == 1


def test_without_a_connection_nothing_is_sent(linked: ScriptedCaller) -> None:
    linked.link_down()
    assert linked.call()[1] == []
    assert linked.core.snapshot()["up"] is False


def test_what_was_lost_is_withdrawn_over_the_next_connection(linked: ScriptedCaller) -> None:
    """It may still wait at a broker that only its connection was lost to."""
    lost = linked.open_call(timeout=2.0)
    linked.link_down()
    assert failure(lost).executed is None
    linked.now += 0.5
    _, withdrawal = linked.link_up()
    assert withdrawal.startswith("vnir! rpc.cancel #")
    assert json.loads(linked.sent[-1][3])["params"] == {"call": "c1.2"}
    linked.gets_verdict(False, "queued")
    linked.link_down()
    assert len(linked.link_up()) == 1
    assert linked.core.late == 0


def test_what_is_abandoned_before_the_greeting_is_withdrawn_after_it(
    caller: ScriptedCaller,
) -> None:
    caller.link_up()
    call = caller.open_call(timeout=2.0)
    assert caller.abandon(call) == [], "it may be a stock broker"
    assert caller.core.next_deadline() is None
    caller.greeted()
    (withdrawal,) = caller.pass_time(0.0)
    assert withdrawal.startswith("vnir! rpc.cancel #")
    assert json.loads(caller.sent[-1][3])["params"] == {"call": f"c1.{call.number}"}
    assert caller.core.next_deadline() is None
    caller.gets_verdict(False, "queued")
    assert caller.core.late == 0


def test_what_was_abandoned_at_a_stock_broker_is_let_be(stock: ScriptedCaller) -> None:
    stock.abandon(stock.open_call(timeout=60.0))
    stock.link_down()
    assert len(stock.link_up()) == 1


def test_what_is_past_its_deadline_needs_no_withdrawal(linked: ScriptedCaller) -> None:
    linked.call(timeout=2.0)
    linked.link_down()
    linked.now += 2.0
    assert len(linked.link_up()) == 1


def test_a_stock_broker_gets_no_withdrawal_of_what_was_lost(stock: ScriptedCaller) -> None:
    stock.call()
    stock.link_down()
    assert len(stock.link_up()) == 1


def test_nothing_is_sent_twice(linked: ScriptedCaller) -> None:
    linked.call("a")
    linked.link_down()
    linked.call("b")
    linked.link_up()
    linked.link_down()
    linked.link_up()
    linked.pass_time(5.0)
    methods = [method for _, method in linked.requests()]
    assert methods.count("a") == 1
    assert methods.count("b") == 1


def test_replies_of_the_earlier_connection_are_late(linked: ScriptedCaller) -> None:
    call = linked.open_call()
    linked.link_down()
    linked.gets(call.number, result=1)
    assert linked.core.late == 1
    assert failure(call).executed is None


def test_a_broker_that_falls_silent_is_pinged_and_left_after_ten_seconds(
    linked: ScriptedCaller,
) -> None:
    call = linked.open_call(timeout=60.0)
    lines = linked.pass_time(9.9)
    assert len(lines) == 9
    assert {line.split()[1] for line in lines} == {"rpc.ping"}
    assert not call.done
    lines = linked.pass_time(1.5)
    assert lines[-1] == "reopens: the broker is silent"
    error = failure(call)
    assert type(error) is errors.BrokerUnreachable
    assert error.executed is None
    assert "silent for 1" in str(error)


def test_a_broker_that_answers_is_not_left(linked: ScriptedCaller) -> None:
    call = linked.open_call(timeout=60.0)
    for _ in range(59):
        for line in linked.pass_time(1.0):
            assert line.startswith("roc.broker! rpc.ping #")
            linked.gets(int(line.rpartition("#")[2]), result={"broker": "b1"})
    assert not call.done
    assert linked.core.late == 0


def test_an_idle_caller_pings_nobody(linked: ScriptedCaller) -> None:
    assert linked.core.next_deadline() is None
    assert linked.tick() == []
    linked.now += 1000.0
    assert linked.tick() == []
    call = linked.open_call(timeout=60.0)
    linked.pass_time(5.0)
    assert not call.done


def test_the_timeout_says_that_the_broker_is_silent(linked: ScriptedCaller) -> None:
    call = linked.open_call(timeout=5.0)
    linked.pass_time(5.0 + VERDICT_WAIT)
    assert "the broker has been silent for" in str(failure(call))


# --- giving up ------------------------------------------------------------------------


def test_an_abandoned_call_is_withdrawn_without_waiting(linked: ScriptedCaller) -> None:
    call = linked.open_call()
    assert linked.abandon(call) == ["vnir! rpc.cancel #3"]
    error = failure(call)
    assert type(error) is errors.Closed
    assert error.executed is None
    linked.gets_verdict(False, "queued")
    assert linked.abandon(call) == []
    assert linked.core.open_calls == 0


def test_an_abandoned_call_that_was_not_sent_never_is(caller: ScriptedCaller) -> None:
    call = caller.open_call()
    assert caller.abandon(call) == []
    assert caller.link_up() == ["roc.broker! rpc.ping #2"]


def test_a_call_that_is_done_cannot_be_abandoned(linked: ScriptedCaller) -> None:
    call = linked.open_call()
    linked.gets(call.number, result=7)
    assert linked.abandon(call) == []
    assert result_of(call) == 7


def test_a_stock_broker_gets_no_withdrawal(stock: ScriptedCaller) -> None:
    assert stock.abandon(stock.open_call()) == []


def test_closing_ends_all_calls(linked: ScriptedCaller) -> None:
    sent = linked.open_call()
    linked.link_down()
    queued = linked.open_call()
    linked.link_up()
    third = linked.open_call()
    linked.link_down()
    fourth = linked.open_call()
    ended = linked.core.fail_all(errors.Closed("the client was closed."))
    linked.core.check()
    assert ended == [fourth]
    for call, executed in ((sent, None), (queued, None), (third, None), (fourth, False)):
        assert failure(call).executed is executed
    assert type(failure(fourth)) is errors.Closed


def test_who_closes_withdraws_what_it_has_sent(linked: ScriptedCaller) -> None:
    assert linked.close() == ([], False)
    linked.call()
    linked.call()
    assert linked.close() == (["vnir! rpc.cancel #4", "vnir! rpc.cancel #5"], True)


def test_who_closes_has_nothing_to_withdraw_from_a_stock_broker(stock: ScriptedCaller) -> None:
    stock.call()
    assert stock.close() == ([], False)


# --- limits ---------------------------------------------------------------------------


@pytest.mark.parametrize("up", [True, False])
def test_one_call_more_than_the_limit_is_not_taken(up: bool) -> None:
    caller = ScriptedCaller(limit=3)
    if up:
        caller.link_up()
        caller.greeted()
    calls = [caller.open_call() for _ in range(3)]
    refused = caller.open_call()
    error = failure(refused)
    assert type(error) is errors.QueueFull
    assert error.executed is False
    assert "3 calls" in str(error)
    caller.pass_time(3.0)
    assert all(call.done for call in calls)
    assert not caller.open_call().done


def test_whoever_waits_is_woken_when_the_call_ends(linked: ScriptedCaller) -> None:
    class Waiter:
        woken = 0

        def locked(self) -> bool:
            return not self.woken

        def release(self) -> None:
            self.woken += 1

    call = linked.open_call()
    call.waiter = Waiter()
    linked.gets(call.number, result=1)
    assert call.waiter.woken == 1
    call.wake()
    assert call.waiter.woken == 1


# --- one-way calls --------------------------------------------------------------------


def test_a_one_way_call_is_done_once_the_socket_took_it(linked: ScriptedCaller) -> None:
    call, lines = linked.notify("openShutter")
    assert lines == ["vnir openShutter #0"]
    assert json.loads(linked.sent[-1][3]) == {
        "jsonrpc": "2.0",
        "method": "openShutter",
        "roc": {"call": "c1.2", "ttl": 2.0, "at": 1000.0},
    }
    assert call.done
    assert result_of(call) is None
    linked.gets_frames(b"", C, b"vnir", b"")
    assert linked.core.snapshot()["late"] == 0
    assert linked.core.next_deadline() is None


def test_a_one_way_call_that_the_socket_did_not_take_waits(linked: ScriptedCaller) -> None:
    call = Call("vnir", "m", None, ())
    call.one_way = True
    out: list[Effect] = []
    linked.core.submit(call, linked.now, 2.0, out)
    linked.core.unsent(out, linked.now)  # type: ignore[arg-type]
    linked.core.taken()
    linked.link_down()
    assert call.state == "queued"
    assert linked.link_up() == ["roc.broker! rpc.ping #3", "vnir m #0"]
    linked.core.taken()
    assert result_of(call) is None


def test_a_one_way_call_without_a_broker_was_not_sent(caller: ScriptedCaller) -> None:
    call, lines = caller.notify(timeout=1.0)
    assert lines == []
    caller.pass_time(1.0)
    error = failure(call)
    assert isinstance(error, errors.BrokerUnreachable)
    assert error.executed is False
    assert caller.link_up() == ["roc.broker! rpc.ping #2"]


def test_a_one_way_call_is_not_withdrawn_when_the_connection_is_lost(
    linked: ScriptedCaller,
) -> None:
    linked.notify()
    linked.link_down()
    assert linked.link_up() == ["roc.broker! rpc.ping #3"]


# --- batches --------------------------------------------------------------------------


def test_a_batch_is_one_message_and_has_one_answer(linked: ScriptedCaller) -> None:
    calls, lines = linked.batch("a", "b!", "c", buffers=(b"pixels",))
    assert lines == ["vnir [a #2, b #0, c #4]"]
    assert linked.sent[-1][4:] == [b"pixels"]
    linked.core.taken()
    assert [call.done for call in calls] == [False, True, False]
    answers = [
        {"jsonrpc": "2.0", "id": 4, "result": {"__roc__": "bytes", "buffer": 0}},
        {"jsonrpc": "2.0", "id": 2, "error": {"code": -32601, "message": "vnir: no a"}},
    ]
    linked.gets_frames(b"", C, b"vnir", json.dumps(answers).encode(), b"result")
    assert isinstance(failure(calls[0]), errors.MethodNotFound)
    assert result_of(calls[2]) == b"result"
    assert linked.core.next_deadline() is None


def test_an_answer_that_lacks_one_leaves_that_call_open(linked: ScriptedCaller) -> None:
    (first, second), _ = linked.batch("a", "b", timeout=0.5)
    linked.gets_frames(b"", C, b"vnir", b'[{"jsonrpc":"2.0","id":2,"result":1}]')
    assert (first.done, second.done) == (True, False)
    assert linked.pass_time(0.5) == ["vnir! rpc.cancel #4"]
    linked.gets_verdict(None, "unknown")
    assert isinstance(failure(second), errors.CallTimeout)


def test_a_batch_waits_for_a_connection_as_a_whole(caller: ScriptedCaller) -> None:
    calls, lines = caller.batch("a", "b", "c!", timeout=5.0)
    assert lines == []
    assert caller.abandon(calls[1]) == []
    assert caller.link_up() == ["roc.broker! rpc.ping #4", "vnir [a #1, c #0]"]
    caller.core.taken()
    assert [call.done for call in calls] == [False, True, True]


def test_a_batch_of_which_nothing_is_left_is_not_sent(caller: ScriptedCaller) -> None:
    calls, _ = caller.batch("a", "b", timeout=5.0)
    for call in calls:
        caller.abandon(call)
    assert caller.link_up() == ["roc.broker! rpc.ping #3"]


def test_a_batch_that_the_socket_did_not_take_is_sent_later(linked: ScriptedCaller) -> None:
    linked.batch("a!", "b")
    linked.unsent()
    linked.core.taken()
    late = linked.open_call(method="c")
    assert linked.pass_time(0.02) == ["vnir [a #0, b #3]", "vnir c #4"]
    assert not late.done


def test_a_batch_without_a_broker_ends_at_its_timeout(caller: ScriptedCaller) -> None:
    calls, _ = caller.batch("a", "b!", timeout=1.0)
    caller.pass_time(1.0)
    for call in calls:
        error = failure(call)
        assert isinstance(error, errors.BrokerUnreachable)
        assert error.executed is False
    assert caller.link_up() == ["roc.broker! rpc.ping #3"]


def test_each_call_of_a_late_batch_is_withdrawn_and_told_its_own_fate(
    linked: ScriptedCaller,
) -> None:
    calls, _ = linked.batch("a", "b", "c", timeout=0.5)
    assert linked.pass_time(0.5) == [
        "vnir! rpc.cancel #5", "vnir! rpc.cancel #6", "vnir! rpc.cancel #7",
    ]  # fmt: skip
    linked.gets(5, result={"executed": True, "state": "executed"})
    linked.gets(6, result={"executed": None, "state": "running", "seconds": 0.4})
    linked.gets(7, result={"executed": False, "state": "withdrawn"})
    fates = [failure(call) for call in calls]
    assert [error.executed for error in fates] == [True, None, False]
    assert "it was executed, but its answer comes with" in str(fates[0])
    assert "still runs, since 0.4 s" in str(fates[1])
    assert "was not executed, and will not be" in str(fates[2])


def test_calls_of_a_batch_are_withdrawn_when_the_connection_is_lost(
    linked: ScriptedCaller,
) -> None:
    calls, _ = linked.batch("a", "b!", "c")
    linked.core.taken()
    linked.link_down()
    assert failure(calls[0]).executed is failure(calls[2]).executed is None
    assert linked.link_up() == [
        "roc.broker! rpc.ping #7", "vnir! rpc.cancel #5", "vnir! rpc.cancel #6",
    ]  # fmt: skip


def test_a_batch_for_which_there_is_no_room_is_refused_as_a_whole() -> None:
    caller = ScriptedCaller(limit=3)
    caller.link_up()
    caller.open_call()
    calls, lines = caller.batch("a", "b", "c")
    assert lines == []
    assert all(isinstance(failure(call), errors.QueueFull) for call in calls)
    assert caller.batch("a", "b")[1] == ["vnir [a #3, b #4]"]


# --- whatever happens -----------------------------------------------------------------

ONE_CALL = b'{"jsonrpc":"2.0","id":'

ACTIONS = st.one_of(
    st.tuples(st.sampled_from(["call", "notify", "batch"]), st.sampled_from([0.05, 0.3, 2.0])),
    st.tuples(st.just("time"), st.sampled_from([0.01, 0.1, 0.5, 3.0])),
    st.tuples(st.sampled_from(["up", "down", "unsent", "greeted", "abandon"]), st.just(0.0)),
    st.tuples(st.just("reply"), st.integers(0, 30)),
    st.tuples(st.just("verdict"), st.sampled_from([False, None])),
)


@settings(max_examples=300)
@given(st.lists(ACTIONS, max_size=30))
def test_every_call_ends_in_its_time(actions: list[tuple[str, Any]]) -> None:
    caller = ScriptedCaller()
    calls: list[tuple[Call, float]] = []
    for what, value in actions:
        match what:
            case "call":
                calls.append((caller.open_call(timeout=value), caller.now + value))
            case "notify":
                calls.append((caller.notify(timeout=value)[0], caller.now + value))
            case "batch":
                batch, _ = caller.batch("a", "b!", "c", timeout=value)
                caller.core.taken()
                calls += [(call, caller.now + value) for call in batch]
            case "time":
                caller.pass_time(value)
            case "up" if not caller.core.up:
                caller.link_up()
            case "down" if caller.core.up:
                caller.link_down()
            case "unsent" if caller.sent and caller.sent[-1][3].startswith(ONE_CALL):
                caller.unsent()
            case "greeted" if caller.core.up:
                for number, method in caller.requests():
                    if method == "rpc.ping":
                        caller.gets(number, result={"broker": "b1"})
            case "abandon" if calls:
                caller.abandon(calls[-1][0])
            case "reply":
                caller.gets(value, result=value)
            case "verdict" if any(method == "rpc.cancel" for _, method in caller.requests()):
                caller.gets_verdict(value, "unknown")
        for call, deadline in calls:
            assert call.done or caller.now < deadline + VERDICT_WAIT + 0.002
    caller.pass_time(3.0)
    assert all(call.done for call, _ in calls)
    numbers = [number for number, _ in caller.requests()]
    sent = [number for number in numbers if any(call.number == number for call, _ in calls)]
    assert len(sent) == len(set(sent))
    assert caller.core.next_deadline() is None


FRAME = st.sampled_from(
    [
        *(b"", C, mdp.WORKER, b"vnir", b"junk", b"[]", b"\xff", zmq.Frame(bytes(40_000))),
        b'{"jsonrpc":"2.0","id":2,"result":1}',
        b'[{"jsonrpc":"2.0","id":2,"result":1},{"jsonrpc":"2.0","id":1,"result":{}}]',
        b'{"jsonrpc":"2.0","id":3,"error":{"code":1,"message":""}}',
    ]
)


@given(st.lists(st.lists(FRAME, max_size=5), max_size=8))
def test_it_outlives_any_frames(messages: list[list[Any]]) -> None:
    caller = ScriptedCaller()
    caller.link_up()
    call = caller.open_call()
    for frames in messages:
        caller.gets_frames(*frames)
    caller.pass_time(3.0)
    assert call.done
