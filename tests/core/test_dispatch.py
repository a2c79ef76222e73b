"""From a request to its reply: a truthful answer and a server that lives, whatever is done."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from datetime import date
from typing import Any, NoReturn

import msgspec
import numpy as np
import pytest

from core.scripted import error_names, request_text
from runmacs.roc import errors
from runmacs.roc.core.call import Call
from runmacs.roc.core.dispatch import Dispatcher
from runmacs.roc.core.outcome import result_of
from runmacs.roc.core.sharing import SharedObject
from runmacs.roc.wire.jsonrpc import Request, parse_body, parse_responses
from runmacs.roc.wire.values import Buffer, encode_arguments

ABOUT = {"object": "vnir", "host": "daq2", "pid": 17, "language": "python"}
MB = 1_000_000
OVER = errors.Expired("its time was over when its turn came")


class Device:
    """An object that does as it is told, and whatever a program may do wrong."""

    def __init__(self) -> None:
        self.begun: list[object] = []
        self.gain = 1
        self.matrix = np.arange(6, dtype="<u2").reshape(2, 3)

    def note(self, what: object = None) -> object:
        """Notes that it was begun, and returns what it was given."""
        self.begun.append(what)
        return what

    def add(self, a: int, b: int = 0, *, c: int = 0) -> int:
        self.begun.append("add")
        return a + b + c

    def act(self, what: str) -> object:
        self.begun.append(what)
        return ACTS[what]()

    @property
    def broken(self) -> int:
        raise RuntimeError("no sensor")

    @property
    def unreadable(self) -> object:
        return object()


class Unlucky(Exception):
    def __str__(self) -> str:
        raise RuntimeError("even that")


class Quits(BaseException):
    pass


class Odd(Exception):
    """Keeps what cannot travel."""

    def __init__(self, message: str, device: object) -> None:
        super().__init__(message, device)
        self.device = device
        self.limit = 3.5
        self.wave = np.zeros(3)
        self._secret = "s"
        self.__dict__[7] = "a key that is no text"  # type: ignore[index]


class Meta(type):
    """Lies about its classes, and raises when it is looked at."""

    @property
    def __module__(cls) -> NoReturn:  # type: ignore[override]
        raise RuntimeError

    def __getattribute__(cls, name: str) -> Any:
        if name in ("__name__", "__qualname__", "__mro__"):
            raise RuntimeError(name)
        return super().__getattribute__(name)


class Masked(Exception, metaclass=Meta):
    pass


class Jinx(enum.Enum):
    ONE = 1

    @property
    def value(self) -> NoReturn:
        raise RuntimeError("no value")


class Undated(date):
    def isoformat(self) -> str:
        raise SystemExit("leave")


class Unshown:
    def __repr__(self) -> str:
        raise KeyboardInterrupt


def throw(error: BaseException) -> Callable[[], NoReturn]:
    def act() -> NoReturn:
        raise error

    return act


def recurse() -> object:
    return recurse()


def chained() -> object:
    try:
        {}["dark"]  # type: ignore[index]
    except KeyError as error:
        raise ValueError("no dark frame") from error
    return None


def noted() -> object:
    error = ValueError("x")
    error.add_note("see page 7")
    raise error


def relabelled() -> object:
    error = ValueError("x")
    error.args = ("a", Unshown(), "\udcff")
    raise error


def deep(levels: int) -> object:
    tree: list[object] = []
    for _ in range(levels):
        tree = [tree]
    return tree


def ouroboros() -> object:
    tail: list[object] = []
    tail.append(tail)
    return tail


LOCAL_TRAP = type("Trap", (Exception,), {"__module__": 17, "__qualname__": "\udcff"})

ACTS: dict[str, Callable[[], object]] = {
    "value": lambda: 3,
    "nothing": lambda: None,
    "array": lambda: np.arange(4, dtype="<u2"),
    "SystemExit": throw(SystemExit(3)),
    "SystemExit without code": throw(SystemExit()),
    "KeyboardInterrupt": throw(KeyboardInterrupt("mine")),
    "GeneratorExit": throw(GeneratorExit()),
    "BaseException": throw(Quits("away")),
    "StopIteration": throw(StopIteration(5)),
    "no message": throw(ValueError()),
    "__str__ raises": throw(Unlucky()),
    "odd": throw(Odd("odd", Unshown())),
    "masked": throw(Masked("who")),
    "trap": throw(LOCAL_TRAP("x")),
    "relabelled": relabelled,
    "lone surrogate": throw(ValueError("\udcff \x1b[2J")),
    "huge message": throw(ValueError("x" * 5 * MB)),
    "many args": throw(ValueError(*range(100_000))),
    "huge args": throw(ValueError(*["y" * MB] * 30)),
    "recursion": recurse,
    "chained": chained,
    "noted": noted,
    "group": throw(ExceptionGroup("two", [ValueError("a"), KeyError("b")])),
    "unsendable": lambda: {"frames": [1, {"meta": object()}]},
    "unsendable key": lambda: {"frames": {3: 1}},
    "a generator": lambda: (n for n in range(3)),
    "too deep": lambda: deep(200),
    "contains itself": ouroboros,
    "an int of 65 bits": lambda: 2**64,
    "an enum whose value raises": lambda: [Jinx.ONE],
    "a date that exits": lambda: Undated(2026, 11, 22),
    "a lone surrogate": lambda: "\udcff",
    "too large": lambda: np.zeros(300, dtype="u1"),
    "too large as text": lambda: "x" * 9000,
}


class Bench:
    """A dispatcher around a device, called with frames."""

    def __init__(self, limit: int = 256 * MB) -> None:
        self.device = Device()
        self.interrupted = False
        self.dispatcher = Dispatcher(
            SharedObject(self.device, "vnir"), ABOUT, lambda: self.interrupted, limit
        )

    def serve(self, text: bytes, *buffers: Buffer, **options: Any) -> list[Buffer]:
        return self.dispatcher.serve(parse_body(text), [text, *buffers], **options)

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """What a client of ours would get: the result, or the exception."""
        buffers: list[Buffer] = []
        params = encode_arguments(args, kwargs, buffers)
        call = Call("vnir", method, params, buffers)
        text = b'{"jsonrpc":"2.0","id":1,"method":%b%b}' % (
            msgspec.json.encode(method),
            b"" if params is None else b',"params":' + params,
        )
        reply = self.serve(text, *buffers)
        assert all(isinstance(frame, (bytes, bytearray, memoryview)) for frame in reply)
        (call.response,) = parse_responses(reply[0]) or []
        call.frames = [b"", b"MDPC01", b"vnir", *reply]
        return result_of(call)

    def error(self, method: str, params: object = None, **options: Any) -> dict[str, Any]:
        """The error that the reply has, as it travels."""
        reply = self.serve(request_text(1, method, params), **options)
        assert len(reply) == 1
        error = json.loads(bytes(reply[0]))["error"]
        assert isinstance(error, dict)
        return error


@pytest.fixture
def bench() -> Bench:
    return Bench()


# --- the straight way -----------------------------------------------------------------


def test_a_method_is_called(bench: Bench) -> None:
    assert bench.call("add", 1, 2) == 3
    assert bench.call("add", a=1, c=5) == 6
    assert bench.call("add", 1, c=5) == 6
    assert bench.call("note") is None


def test_arrays_go_in_and_out_as_buffers(bench: Bench) -> None:
    frame = np.arange(6, dtype="<f4").reshape(2, 3)
    result = bench.call("note", frame)
    assert np.array_equal(result, frame)
    assert not result.flags.writeable
    text = request_text(1, "act", ["array"])
    reply, buffer = bench.serve(text)
    assert json.loads(bytes(reply))["result"]["buffer"] == 0
    assert memoryview(buffer).nbytes == 8


def test_attributes(bench: Bench) -> None:
    assert bench.call("rpc.get", "gain") == 1
    assert bench.call("rpc.set", "gain", 4) is None
    assert bench.device.gain == 4
    assert np.array_equal(bench.call("rpc.get", "matrix"), bench.device.matrix)


def test_methods_of_the_protocol(bench: Bench) -> None:
    assert bench.call("rpc.ping") == {**ABOUT, "errors": 0, "last_error": None}
    assert {method["name"] for method in bench.call("rpc.discover")["methods"]} >= {"add", "act"}


def test_a_notification_is_executed_and_answered_with_an_empty_frame(bench: Bench) -> None:
    assert bench.serve(request_text(None, "note", [7])) == [b""]
    assert bench.device.begun == [7]
    for act in ("SystemExit", "unsendable", "array"):
        assert bench.serve(request_text(None, "act", [act])) == [b""]
    assert bench.serve(request_text(None, "nothing")) == [b""]


def test_a_batch_is_executed_in_order_and_shares_its_buffers(bench: Bench) -> None:
    texts = [
        request_text(1, "note", [{"__roc__": "bytes", "buffer": 1}]),
        request_text(None, "note", [2]),
        request_text(2, "act", ["array"]),
        request_text(3, "act", ["unsendable"]),
        request_text(4, "act", ["array"]),
    ]
    reply, *buffers = bench.serve(b"[%b]" % b",".join(texts), b"zero", b"one")
    assert bench.device.begun == [b"one", 2, "array", "unsendable", "array"]
    first, second, third, fourth = json.loads(bytes(reply))
    assert [first["id"], second["id"], third["id"], fourth["id"]] == [1, 2, 3, 4]
    assert first["result"] == {"__roc__": "bytes", "buffer": 0}
    assert second["result"]["buffer"] == 1
    assert third["error"]["code"] == errors.Unsendable.code
    assert fourth["result"]["buffer"] == 2
    assert len(buffers) == 3


# --- what is refused before anything begins -------------------------------------------


@pytest.mark.parametrize(
    ("method", "params", "name", "says"),
    [
        ("nothing", None, "MethodNotFound", "nothing"),
        ("_secret", None, "MethodNotFound", "_secret"),
        ("ad", [1], "MethodNotFound", "add"),
        ("rpc.nothing", None, "MethodNotFound", "rpc.nothing"),
        ("rpc.cancel", {"call": "c1.1"}, "MethodNotFound", "rpc.cancel"),
        ("add", [], "InvalidParams", "a"),
        ("add", [1, 2, 3], "InvalidParams", "add"),
        ("add", {"d": 1, "a": 1}, "InvalidParams", "d"),
        ("add", {"*": [1], "a": 1}, "InvalidParams", "a"),
        ("add", {"*": 1}, "InvalidParams", "list"),
        ("add", [{"__roc__": "pickle"}], "InvalidParams", "pickle"),
        ("add", [{"__roc__": "bytes", "buffer": 0}], "InvalidParams", "buffer"),
        ("add", [deep(150)], "InvalidParams", "deeper"),
        ("rpc.get", [], "InvalidParams", "rpc.get"),
        ("rpc.get", [1], "InvalidParams", "string"),
        ("rpc.get", ["gain", 1], "InvalidParams", "1"),
        ("rpc.get", {"name": "gain"}, "InvalidParams", "positional"),
        ("rpc.get", ["gian"], "MethodNotFound", "gain"),
        ("rpc.get", [""], "MethodNotFound", ""),
        ("rpc.set", ["gain"], "InvalidParams", "2"),
        ("rpc.set", [1, 1], "InvalidParams", "string"),
        ("rpc.set", ["add", 1], "MethodNotFound", "add"),
        ("rpc.discover", [1], "InvalidParams", "string"),
        ("rpc.discover", ["a", "b"], "InvalidParams", "rpc.discover"),
        ("rpc.discover", ["nothing"], "MethodNotFound", "nothing"),
    ],
)
def test_what_is_refused_was_not_begun(
    bench: Bench, method: str, params: object, name: str, says: str
) -> None:
    error = bench.error(method, params)
    assert error_names[error["code"]] == name
    assert error["data"]["executed"] is False
    assert error["data"]["object"] == "vnir"
    assert says in error["message"]
    assert error["message"].startswith("vnir")
    assert bench.device.begun == []


def test_what_is_out_of_range_is_refused(bench: Bench) -> None:
    text = b'{"jsonrpc":"2.0","id":1,"method":"note","params":[1e999]}'
    error = json.loads(bytes(bench.serve(text)[0]))["error"]
    assert error_names[error["code"]] == "InvalidParams"
    assert bench.device.begun == []


def test_a_misspelt_member_is_suggested(bench: Bench) -> None:
    assert bench.error("ad")["data"]["suggestions"] == ["add"]
    assert bench.error("rpc.get", ["gian"])["data"]["method"] == "gian"


def test_the_object_is_named_once(bench: Bench) -> None:
    """Though its id may be the beginning of a word."""
    dispatcher = Dispatcher(SharedObject(bench.device, "a"), ABOUT)
    text = request_text(1, "rpc.get", [1])
    (reply,) = dispatcher.serve(parse_body(text), [text])
    assert json.loads(bytes(reply))["error"]["message"].startswith("a.rpc.get: ")
    for method in ("nothing", "add"):
        assert bench.error(method)["message"].count("vnir") == 1


def test_what_is_no_request_earns_its_error(bench: Bench) -> None:
    for text, code in ((b"junk", -32700), (b"17", -32600), (b"[]", -32600)):
        (reply,) = bench.serve(text)
        response = json.loads(bytes(reply))
        assert (response["error"]["code"], response["id"]) == (code, None)


# --- time -----------------------------------------------------------------------------


def test_what_is_late_is_not_begun(bench: Bench) -> None:
    error = bench.error("note", refusal=lambda request: OVER)
    assert error_names[error["code"]] == "Expired"
    assert error["data"]["executed"] is False
    assert bench.serve(request_text(None, "note"), refusal=lambda request: OVER) == [b""]
    assert bench.device.begun == []


def test_in_a_batch_each_request_has_its_own_time(bench: Bench) -> None:
    def over(request: Request) -> errors.Expired | None:
        return OVER if len(bench.device.begun) >= 2 else None

    batch = b"[%b]" % b",".join(request_text(n, "note", [n]) for n in range(4))
    responses = json.loads(bytes(bench.serve(batch, refusal=over)[0]))
    assert bench.device.begun == [0, 1]
    assert ["result" in response for response in responses] == [True, True, False, False]


# --- notifications --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("rpc.get", ["broken"], "vnir.broken raised "),
        ("nothing", [], "vnir has no public member 'nothing'"),
        ("note", [1, 2, 3], "vnir.note"),
    ],
)
def test_what_a_notification_fails_with_is_told_to_somebody(
    bench: Bench, method: str, params: object, message: str
) -> None:
    told: list[tuple[str, BaseException | None]] = []
    bench.dispatcher.unanswered = lambda *what: told.append(what)
    text = b"[%b,%b]" % (request_text(None, method, params), request_text(None, "note", [4]))
    assert bench.serve(text) == [b""]
    ((said, error),) = told
    assert said.startswith(message)
    assert (error is not None) is (" raised " in said)
    assert bench.device.begun == [4]


# --- the control lane -----------------------------------------------------------------


def test_over_the_control_lane_go_methods_of_the_protocol_only(bench: Bench) -> None:
    for method in ("rpc.ping", "rpc.discover"):
        (reply,) = bench.serve(request_text(1, method), control=True)
        assert "result" in json.loads(bytes(reply))
    for method, params in (("note", []), ("rpc.get", ["gain"]), ("rpc.set", ["gain", 2])):
        error = bench.error(method, params, control=True)
        assert error_names[error["code"]] == "ProtocolError"
        assert error["data"]["executed"] is False
        assert bench.serve(request_text(None, method, params), control=True) == [b""]
    assert bench.device.begun == []
    assert bench.device.gain == 1


# --- whatever a method raises ---------------------------------------------------------

RAISING = [
    ("SystemExit", "SystemExit", "SystemExit: 3"),
    ("SystemExit without code", "SystemExit", "SystemExit: (no message)"),
    ("KeyboardInterrupt", "KeyboardInterrupt", "mine"),
    ("GeneratorExit", "GeneratorExit", "GeneratorExit"),
    ("BaseException", "Quits", "away"),
    ("StopIteration", "StopIteration", "5"),
    ("no message", "ValueError", "ValueError: (no message)"),
    ("__str__ raises", "Unlucky", "__str__ raised RuntimeError"),
    ("odd", "Odd", "Odd"),
    ("masked", "Masked", "Masked: who"),
    ("trap", "\\udcff", "Trap: x"),
    ("relabelled", "ValueError", "cannot be shown"),
    ("lone surrogate", "ValueError", "\\udcff \x1b[2J"),
    ("huge message", "ValueError", "xxx..."),
    ("many args", "ValueError", "ValueError"),
    ("huge args", "ValueError", "ValueError"),
    ("recursion", "RecursionError", "recursion"),
    ("chained", "ValueError", "no dark frame"),
    ("noted", "ValueError", "x"),
    ("group", "ExceptionGroup", "two"),
]


@pytest.mark.parametrize(("act", "kind", "says"), RAISING)
def test_whatever_a_method_raises_its_caller_is_told(
    bench: Bench, act: str, kind: str, says: str
) -> None:
    error = bench.error("act", [act])
    assert error_names[error["code"]] == "RemoteError"
    assert error["message"].startswith("vnir.act raised ")
    assert says in error["message"]
    data = error["data"]
    assert data["executed"] is True
    assert data["type"] == kind
    assert (data["object"], data["method"], data["host"], data["pid"]) == (
        "vnir",
        "act",
        "daq2",
        17,
    )
    assert isinstance(data["args"], list)
    assert isinstance(data["attributes"], dict)
    assert ("in act" in data["traceback"]) == (act != "masked")
    assert len(json.dumps(error)) < 400_000
    assert bench.device.begun == [act]
    assert bench.call("add", 1) == 1


def test_what_a_property_raises_is_told_too(bench: Bench) -> None:
    error = bench.error("rpc.get", ["broken"])
    assert error_names[error["code"]] == "RemoteError"
    assert error["message"] == "vnir.broken raised RuntimeError: no sensor"
    assert error["data"]["method"] == "broken"


def test_a_property_on_the_way_to_a_nested_object_may_raise_as_well(bench: Bench) -> None:
    for method, params in (("broken.move", []), ("rpc.get", ["broken.x"])):
        error = bench.error(method, params)
        assert error_names[error["code"]] == "RemoteError"
        assert "no sensor" in error["message"]


def test_the_class_of_an_exception_is_told_with_its_ancestry(bench: Bench) -> None:
    data = bench.error("act", ["odd"])["data"]
    module = Odd.__module__
    assert data["module"] == module
    assert data["mro"] == [f"{module}.Odd", "builtins.Exception", "builtins.BaseException"]
    assert bench.error("act", ["masked"])["data"]["mro"][1:] == data["mro"][1:]


def test_args_and_attributes_travel_as_far_as_they_can(bench: Bench) -> None:
    data = bench.error("act", ["odd"])["data"]
    assert data["args"] == ["odd", "(cannot be shown)"]
    assert data["attributes"] == {
        "device": "(cannot be shown)",
        "limit": 3.5,
        "wave": "array([0., 0., 0.])",
    }
    assert bench.error("act", ["relabelled"])["data"]["args"] == [
        "a",
        "(cannot be shown)",
        "'\\udcff'",
    ]


def test_what_builtin_exceptions_keep_by_themselves_travels_too(bench: Bench) -> None:
    def attributes(error: BaseException) -> dict[str, Any]:
        ACTS["own"] = throw(error)
        found = bench.error("act", ["own"])["data"]["attributes"]
        assert isinstance(found, dict)
        return found

    missing = FileNotFoundError(2, "No such file", "dark.dat")
    assert attributes(missing) == {
        "errno": 2,
        "strerror": "No such file",
        "filename": "dark.dat",
    }
    assert attributes(ImportError("x", name="driver", path="/opt")) == {
        "msg": "x",
        "name": "driver",
        "path": "/opt",
    }
    undecodable = UnicodeDecodeError("utf-8", b"a\xff", 1, 2, "bad")
    assert attributes(undecodable)["object"] == {"__roc__": "bytes", "base64": "Yf8="}
    assert attributes(AttributeError("x", name="gian", obj=bench)) == {"name": "gian"}


def test_the_traceback_begins_in_the_objects_own_code(bench: Bench) -> None:
    text = bench.error("act", ["chained"])["data"]["traceback"]
    assert "runmacs/roc/core" not in text
    assert text.startswith("Traceback (most recent call last):")
    assert "KeyError: 'dark'" in text
    assert "direct cause" in text
    assert text.rstrip().endswith("ValueError: no dark frame")
    assert "..." not in text
    assert "see page 7" in bench.error("act", ["noted"])["data"]["traceback"]


def test_a_long_traceback_keeps_both_ends(bench: Bench) -> None:
    text = bench.error("act", ["huge message"])["data"]["traceback"]
    assert len(text) < 21_000
    assert text.startswith("Traceback (most recent call last):")
    assert "\n...\n" in text
    assert text.rstrip().endswith("xxx")


# --- results that cannot be sent ------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "name", "says"),
    [
        ("unsendable", "Unsendable", "result.frames[1].meta"),
        ("unsendable key", "Unsendable", "result.frames"),
        ("a generator", "Unsendable", "result"),
        ("too deep", "Unsendable", "deeper"),
        ("contains itself", "Unsendable", "contain itself"),
        ("an int of 65 bits", "Unsendable", "65 bits"),
        ("an enum whose value raises", "RocError", "no value"),
        ("a date that exits", "RocError", "leave"),
        ("a lone surrogate", "Unsendable", "surrogate"),
    ],
)
def test_a_result_that_cannot_be_sent_was_executed(
    bench: Bench, act: str, name: str, says: str
) -> None:
    error = bench.error("act", [act])
    assert error_names[error["code"]] == name
    assert error["data"]["executed"] is True
    assert error["message"].startswith("vnir.act was executed, but its result cannot be sent: ")
    assert says in error["message"]
    assert bench.call("add", 1) == 1


def test_an_attribute_that_cannot_be_sent_is_an_object(bench: Bench) -> None:
    assert bench.call("rpc.get", "unreadable").kind == "object"


@pytest.mark.parametrize("act", ["too large", "too large as text"])
def test_a_result_over_the_limit_is_refused_here(act: str) -> None:
    bench = Bench(limit=4096 + 250)
    error = bench.error("act", [act])
    assert error_names[error["code"]] == "TooLarge"
    assert error["data"]["executed"] is True
    assert "MB" in error["message"]
    assert bench.call("add", 1) == 1


def test_the_results_of_a_batch_count_together() -> None:
    bench = Bench(limit=4096 + 2500)
    batch = b"[%b]" % b",".join(request_text(n, "note", ["x" * 1000]) for n in range(4))
    (reply,) = bench.serve(batch)
    assert len(reply) < 4096 + 2500
    responses = json.loads(bytes(reply))
    assert ["result" in response for response in responses] == [True, True, False, False]
    codes = {response["error"]["code"] for response in responses[2:]}
    assert codes == {errors.TooLarge.code}
    arrays = b"[%b]" % b",".join(request_text(n, "act", ["too large"]) for n in range(9))
    reply, *buffers = bench.serve(arrays)
    assert sum(memoryview(buffer).nbytes for buffer in buffers) <= 2500
    assert len(buffers) == sum("result" in response for response in json.loads(bytes(reply)))


# --- interruption ---------------------------------------------------------------------


def test_a_keyboard_interrupt_of_the_process_is_the_servers_end(bench: Bench) -> None:
    def interrupt() -> NoReturn:
        bench.interrupted = True
        raise KeyboardInterrupt

    ACTS["interrupt"] = interrupt
    error = bench.error("act", ["interrupt"])
    assert error_names[error["code"]] == "ServerLost"
    assert error["data"]["executed"] is None
    assert "stopped while it ran" in error["message"]


def test_after_an_interruption_nothing_more_is_begun(bench: Bench) -> None:
    def interrupt() -> NoReturn:
        bench.interrupted = True
        raise KeyboardInterrupt

    ACTS["interrupt"] = interrupt
    texts = [
        request_text(1, "note", [1]),
        request_text(2, "act", ["interrupt"]),
        request_text(3, "note", [3]),
        request_text(None, "note", [4]),
    ]
    responses = json.loads(bytes(bench.serve(b"[%b]" % b",".join(texts))[0]))
    assert [r.get("error", {}).get("data", {}).get("executed", "result") for r in responses] == [
        "result",
        None,
        False,
    ]
    assert bench.device.begun == [1, "interrupt"]
    (reply,) = bench.serve(request_text(1, "rpc.ping"), control=True)
    assert "result" in json.loads(bytes(reply))


def test_other_exceptions_during_an_interruption_are_told_as_they_are(bench: Bench) -> None:
    def cleanup() -> NoReturn:
        bench.interrupted = True
        raise ValueError("in a finally")

    ACTS["cleanup"] = cleanup
    assert "in a finally" in bench.error("act", ["cleanup"])["message"]


# --- through to the client ------------------------------------------------------------


@pytest.mark.parametrize("act", [act for act, _, _ in RAISING])
def test_the_client_can_catch_and_show_it(bench: Bench, act: str) -> None:
    with pytest.raises(errors.RemoteError) as caught:
        bench.call("act", act)
    assert caught.value.executed is True
    assert str(caught.value).startswith("vnir.act raised ")
    assert repr(caught.value)
    assert caught.value.remote_traceback
