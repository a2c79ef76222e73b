"""Special methods from afar: what Python's syntax does with an object."""

from __future__ import annotations

import collections
import functools
import io
import itertools
import json
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from runmacs.roc import errors
from runmacs.roc.core import special
from runmacs.roc.core.dispatch import Dispatcher
from runmacs.roc.core.operators import OPERATORS
from runmacs.roc.core.refusals import ResultRefused
from runmacs.roc.core.selection import Selection
from runmacs.roc.core.sharing import ArgumentsRefused, SharedObject
from runmacs.roc.core.special import SPECIAL, ClientFailed, specials_of
from runmacs.roc.wire.jsonrpc import parse_body
from runmacs.roc.wire.values import Buffer, Index, Member, encode_arguments
from specimens import Camera, hostile_object, ran, refusal_of, shared

CONTAINER = ["len", "contains", "getitem", "setitem", "delitem", "iter"]


def without_operators(document: dict[str, Any]) -> list[str]:
    return [name for name in document["x-special"] if name not in OPERATORS]


class Sequence:
    """A sequence of the old kind."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> int:
        if index >= 3:
            raise IndexError(index)
        return index * 10


class Channels:
    """Can be indexed, and nothing else."""

    def __getitem__(self, name: str) -> str:
        return name


class Taken(dict[str, int]):
    """Has taken back what its base offers."""

    __iter__ = None  # type: ignore[assignment]
    __contains__ = None  # type: ignore[assignment]
    __delitem__ = None  # type: ignore[assignment]


class Ticker:
    """An iterator."""

    def __iter__(self) -> Ticker:
        return self

    def __next__(self) -> int:
        return ran()


class Lock:
    """A context manager that remembers."""

    def __init__(self, swallows: bool = False) -> None:
        self.seen: list[Any] = []
        self.swallows = swallows

    def __enter__(self) -> Lock:
        self.seen.append("enter")
        return self

    def __exit__(self, *error: Any) -> bool:
        self.seen.append(error)
        return self.swallows


class Half:
    def __enter__(self) -> None:
        pass


@pytest.mark.parametrize(
    ("instance", "expected"),
    [
        ({}, CONTAINER),
        ([], CONTAINER),
        (collections.deque(), CONTAINER),
        ((), ["len", "contains", "getitem", "iter"]),
        ({1}, ["len", "contains", "iter"]),
        ("x", ["len", "contains", "getitem", "iter"]),
        (range(3), ["len", "contains", "getitem", "iter"]),
        (np.zeros(3), [*CONTAINER, "array"]),
        (Sequence(), ["len", "contains", "getitem", "iter"]),
        (Channels(), ["getitem"]),
        (Taken(), ["len", "getitem", "setitem"]),
        (Ticker(), []),
        (iter([]), []),
        (Lock(), ["enter", "exit"]),
        (Half(), []),
        (3, []),
        (Fraction(1, 2), []),
        (Camera(), []),
        (len, ["call"]),
        (lambda: 0, ["call"]),
        (functools.partial(len), ["call"]),
        (Camera().openShutter, ["call"]),
        (Camera().shutter, ["call"]),
        (Camera, []),
        (math, []),
    ],
)
def test_the_class_decides_what_is_supported(instance: object, expected: list[str]) -> None:
    document = SharedObject(instance, "it").describe()
    assert without_operators(document) == expected
    assert ("x-call" in document) == ("call" in expected)


def test_looking_for_special_methods_runs_nobodys_code() -> None:
    assert specials_of(type(hostile_object())) == ("len", "contains", "iter")


def test_nested_objects_tell_what_they_support() -> None:
    camera = Camera()
    camera.error = collections.deque()
    objects = {entry["name"]: entry for entry in shared(camera).describe()["x-objects"]}
    assert without_operators(objects["error"]) == CONTAINER
    assert objects["lens"]["x-special"] == []
    assert objects["shutter"]["x-special"] == ["call"]
    assert without_operators(shared(camera).describe("error")) == CONTAINER


def use(instance: object, name: str, *args: Any, path: str = "", **kwargs: Any) -> Any:
    return SharedObject(instance, "it").special(path, name, list(args), kwargs)()


def test_containers() -> None:
    words = {"a": 1, "b": 2}
    assert use(words, "len") == 2
    assert use(words, "contains", "a") is True
    assert use(words, "contains", "x") is False
    assert use(words, "getitem", "a") == 1
    assert use(words, "setitem", "c", 3) is None
    assert use(words, "delitem", "a") is None
    assert use(words, "iter") == ["b", "c"]
    assert use(Sequence(), "iter") == [0, 10, 20]
    assert use(Sequence(), "contains", 10) is True
    assert use([1, 2, 3], "getitem", slice(1, None)) == [2, 3]
    assert use({(1, 2): 3}, "getitem", (1, 2)) == 3
    assert use(np.arange(6).reshape(2, 3), "getitem", (slice(None), 1)).tolist() == [1, 4]


@pytest.mark.parametrize(
    ("instance", "name", "args", "error"),
    [
        ({}, "getitem", ["x"], KeyError),
        ({}, "delitem", ["x"], KeyError),
        ([], "getitem", [0], IndexError),
        (collections.deque(), "getitem", [slice(0, 1)], TypeError),
        ({}, "getitem", [[1]], TypeError),
        (Channels(), "getitem", [{}], errors.InvalidParams),
        (Sequence(), "getitem", ["x"], errors.InvalidParams),
    ],
)
def test_what_they_raise_comes_out_as_it_is(
    instance: object, name: str, args: list[Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        use(instance, name, *args)
    assert type(caught.value) is error or isinstance(caught.value, ArgumentsRefused)


def test_callables() -> None:
    camera = Camera()
    assert use(functools.partial(max, 5), "call", 3) == 5
    assert use(lambda a, *, b=1: a + b, "call", 1, b=2) == 3
    assert use(camera, "call", "open", path="shutter") == "open"
    assert use(camera, "call", path="openShutter") == "open"
    assert use(camera.shutter, "call", "closed") == "closed"
    assert use(math.hypot, "call", 3, 4) == 5.0
    for args, kwargs in (([], {}), (["open"], {"self": 1}), (["a", "b"], {})):
        with pytest.raises(errors.InvalidParams, match=r"^it takes \(state: str\) -> str: "):
            SharedObject(camera.shutter, "it").special("", "call", args, kwargs)


def test_what_can_be_called_has_members_too_if_it_is_an_object() -> None:
    vnir = shared()
    assert vnir.get("shutter") == Member("object")
    assert vnir.get("increment") == Member("method")
    assert vnir.bind("shutter", ["open"], {})() == "open"
    assert vnir.get("shutter.state") == "open"
    document = vnir.describe()
    assert "shutter" in {entry["name"] for entry in document["methods"]}
    assert "shutter" in {entry["name"] for entry in document["x-objects"]}
    assert vnir.describe("shutter")["x-call"]["x-signature"] == "(state: str) -> str"


def test_a_function_that_is_shared_itself_shows_nothing_of_its_inside() -> None:
    def function() -> int:
        return 1

    function.secret = 3  # type: ignore[attr-defined]
    for target in (function, functools.partial(len), Camera().openShutter, math.sin):
        document = SharedObject(target, "f").describe()
        assert document["methods"] == document["x-attributes"] == document["x-objects"] == []
        for name in ("secret", "func", "args", "func_globals"):
            refusal_of(lambda target=target, name=name: SharedObject(target, "f").get(name))  # type: ignore[misc]


def test_context_managers() -> None:
    lock = Lock()
    assert use(lock, "enter") == Member("object")
    assert use(lock, "exit", None, None, None) is False
    assert lock.seen == ["enter", (None, None, None)]
    text = io.StringIO()
    assert use(text, "enter") == Member("object")
    use(text, "exit", None, None, None)
    assert text.closed


@pytest.mark.parametrize(
    ("name", "message", "kind", "text"),
    [
        ("ValueError", "too much", ValueError, "too much"),
        ("KeyError", "x", KeyError, "'x'"),
        ("CameraError", "broken", ClientFailed, "CameraError: broken"),
        ("KeyboardInterrupt", "", ClientFailed, "KeyboardInterrupt: "),
        ("SystemExit", "3", ClientFailed, "SystemExit: 3"),
        ("UnicodeDecodeError", "x", ClientFailed, "UnicodeDecodeError: x"),
        ("eval", "1", ClientFailed, "eval: 1"),
    ],
)
def test_an_exception_of_the_client_is_rebuilt_for_exit(
    name: str, message: str, kind: type[Exception], text: str
) -> None:
    lock = Lock(swallows=True)
    assert use(lock, "exit", name, message, None) is True
    ((seen_kind, seen, trace),) = lock.seen
    assert seen_kind is type(seen) is kind
    assert str(seen) == text
    assert trace is None


def test_what_enter_gives_is_sent_or_left_again() -> None:
    class Opens:
        def __init__(self, given: object) -> None:
            self.given = given
            self.left = 0

        def __enter__(self) -> object:
            return self.given

        def __exit__(self, *error: object) -> None:
            self.left += 1

    assert use(Opens("/tmp/x"), "enter") == "/tmp/x"
    assert use(Opens(None), "enter") is None
    opens = Opens(object())
    with pytest.raises(ResultRefused, match="left again") as caught:
        use(opens, "enter")
    assert opens.left == 1
    assert caught.value.executed is True
    assert caught.value.code == errors.Unsendable.code


def test_iterating_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless:
        def __iter__(self) -> Iterator[int]:
            return itertools.count()

    monkeypatch.setattr(special, "MOST_ITEMS", 10)
    assert use(range(10), "iter") == list(range(10))
    for endless in (Endless(), range(11)):
        with pytest.raises(ResultRefused, match="more than 10 items") as caught:
            use(endless, "iter")
        assert caught.value.executed is True


def test_a_shared_iterator_is_not_used_up() -> None:
    numbers = iter([1, 2])
    for name, args in (("iter", []), ("contains", [1])):
        refused = refusal_of(lambda name=name, args=args: use(numbers, name, *args))  # type: ignore[misc]
        assert "streams cannot be sent yet" in str(refused)
    assert list(numbers) == [1, 2]


@pytest.mark.parametrize("name", list(SPECIAL))
def test_what_is_not_supported_is_refused_in_words(name: str) -> None:
    refused = refusal_of(lambda: use(Camera().lens, name))
    assert str(refused).startswith("it (Lens) ")
    assert refused.executed is False


@pytest.mark.parametrize(
    "name", ["", "eq", "__len__", "getattr", "hash", "next", "\ud800", "x" * 9999]
)
def test_other_names_are_refused(name: str) -> None:
    assert len(str(refusal_of(lambda: use({}, name)))) < 300


@pytest.mark.parametrize(
    ("instance", "expected"),
    [
        (Fraction(1, 2), ["add", "radd", "lt", "neg", "float", "round", "floor", "divmod", "pow"]),
        (collections.deque(), ["add", "mul", "rmul", "iadd", "imul", "lt", "le", "gt", "ge"]),
        ({}, ["or", "ror", "ior"]),
        ({1}, ["and", "or", "sub", "xor", "iand", "isub", "lt"]),
        (Path(), ["truediv", "rtruediv", "lt"]),
        (np.zeros(3), ["add", "matmul", "iadd", "lt", "neg", "abs"]),
    ],
)
def test_operators_that_are_supported(instance: object, expected: list[str]) -> None:
    special = SharedObject(instance, "it").describe()["x-special"]
    assert set(expected) <= set(special)


@pytest.mark.parametrize("instance", [Camera(), Camera().lens, Lock(), len, math, ran])
def test_objects_without_operators(instance: object) -> None:
    assert not OPERATORS.keys() & {*SharedObject(instance, "it").describe()["x-special"]}


def test_operators() -> None:
    half = Fraction(1, 2)
    assert use(half, "add", 1) == Fraction(3, 2)
    assert use(half, "rsub", 1) == half
    assert use(half, "rtruediv", 1) == 2
    assert use(half, "pow", 2) == Fraction(1, 4)
    assert use(half, "divmod", 2) == (0, half)
    assert use(half, "neg") == -half
    assert use(half, "lt", 1) is True
    assert use(half, "ge", 1) is False
    assert [use(half, name) for name in ("float", "int", "ceil", "floor", "trunc")] == [
        *(0.5, 0, 1, 0, 0)
    ]
    assert use(Fraction(1, 3), "round", 2) == Fraction(33, 100)
    assert use(half, "round", None) == 0
    assert use(7, "index") == 7
    assert use(7, "invert") == -8
    assert use({1, 2}, "and", {2, 3}) == {2}
    assert use(Path("lab"), "truediv", "log") == Path("lab/log")
    with pytest.raises(TypeError, match="unsupported operand"):
        use(half, "add", "x")
    with pytest.raises(ArgumentsRefused, match=r"rpc\.special add takes 1 more"):
        use(half, "add")


def test_operators_in_place() -> None:
    queue = collections.deque([1])
    assert use(queue, "iadd", [2]) == Member("object")
    assert list(queue) == [1, 2]
    words = {"a": 1}
    assert use(words, "ior", {"b": 2}) == Member("object")
    assert words == {"a": 1, "b": 2}
    fixed = SharedObject(words, "it", Selection(readonly=True))
    refusal_of(lambda: fixed.special("", "ior", [{"c": 3}], {}))
    assert fixed.special("", "or", [{"c": 3}], {})() == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize(
    "path",
    ["_secret", "fps", "counts", "Mode", "numpy", "openShutter", "nothing", "lens.x", "stream"],
)
def test_only_objects_are_reached(path: str) -> None:
    refusal_of(lambda: use(Camera(), "len", path=path))


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("len", [1], {}),
        ("getitem", [], {}),
        ("getitem", [1, 2], {}),
        ("setitem", ["a"], {}),
        ("iter", [1], {}),
        ("getitem", ["a"], {"key": "a"}),
        ("getitem", [], {"key": "a"}),
    ],
)
def test_surplus_and_missing_arguments(name: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    with pytest.raises(ArgumentsRefused):
        use({"a": 1}, name, *args, **kwargs)


@pytest.mark.parametrize("args", [[1, None, None], ["ValueError", 3, None], ["ValueError"], []])
def test_exit_takes_a_name_and_a_message(args: list[Any]) -> None:
    lock = Lock()
    with pytest.raises(ArgumentsRefused):
        use(lock, "exit", *args)
    assert lock.seen == []


def test_plain_values_can_be_shared_themselves() -> None:
    assert SharedObject(Path("/a/b"), "p").get("name") == "b"
    assert SharedObject(Path("/a/b"), "p").bind("joinpath", ["c"], {})() == Path("/a/b/c")
    assert SharedObject(Fraction(2, 6), "f").get("denominator") == 3
    assert SharedObject(3, "n").bind("bit_length", [], {})() == 2
    assert use("text", "getitem", slice(0, 2)) == "te"


def test_binding_does_not_begin_the_body() -> None:
    class Watched(dict[str, int]):
        def __getitem__(self, key: str) -> NoReturn:
            raise LookupError(key)

    body = SharedObject(Watched(), "it").special("", "getitem", ["a"], {})
    with pytest.raises(LookupError):
        body()


# --- over the wire --------------------------------------------------------------------


def answer(instance: object, *params: Any, runner: Any = None, **named: Any) -> dict[str, Any]:
    dispatcher = Dispatcher(SharedObject(instance, "it"), {"host": "here", "pid": 1})
    dispatcher.run_coroutine = runner
    buffers: list[Buffer] = []
    arguments = encode_arguments(params, named, buffers) or b"[]"
    request = b'{"jsonrpc":"2.0","id":1,"method":"rpc.special","params":' + arguments + b"}"
    body, *_ = dispatcher.serve(parse_body(request), [request, *buffers])
    found: dict[str, Any] = json.loads(bytes(body))
    return found


def test_a_request_for_a_special_method() -> None:
    assert answer({"a": 1}, "", "getitem", "a")["result"] == 1
    assert answer({(1, 2): 3}, "", "getitem", Index((1, 2)))["result"] == 3
    assert answer(lambda a, *, b: a + b, "", "call", 1, b=2)["result"] == 3
    assert answer(Lock(), "", "enter")["result"] == {"__roc__": "member", "kind": "object"}
    assert answer(Camera(), "shutter", "call", state="open")["result"] == "open"


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        (("", "getitem", "x"), -32000, "it.__getitem__ raised KeyError: 'x'"),
        (("", "call"), -32601, "it (dict) cannot be called"),
        (("", "eq", 1), -32601, "it.eq: rpc.special knows call, len, "),
        (("", "add", 1), -32601, "it (dict) does not support +"),
        (("lens", "len"), -32601, "it has no public member 'lens'"),
        (("",), -32602, "it.rpc.special: rpc.special takes 2 positional parameters."),
        ((), -32602, "it.rpc.special: "),
        ((1, "len"), -32602, "it.rpc.special: rpc.special: a member's name is a string."),
        (("", ["len"]), -32602, "it.rpc.special: "),
        (("", "len", 1), -32602, "it.__len__: rpc.special len takes 0 more parameters."),
    ],
)
def test_an_error_names_what_was_asked_for(params: Any, code: int, message: str) -> None:
    error = answer({}, *params)["error"]
    assert error["code"] == code
    assert error["message"].startswith(message)
    assert error["data"]["executed"] is (code == -32000)


def test_what_cannot_be_sent_was_executed() -> None:
    error = answer([1, object()], "", "iter")["error"]
    assert error["message"].startswith("it.__iter__ was executed, but its result cannot be sent: ")
    assert error["data"]["executed"] is True


def test_a_coroutine_needs_somebody_to_run_it() -> None:
    async def measure() -> int:
        return 3

    assert "runs no event loop" in answer(measure, "", "call")["error"]["message"]

    def run(coroutine: Any) -> Any:
        with pytest.raises(StopIteration) as stopped:
            coroutine.send(None)
        return stopped.value.value

    assert answer(measure, "", "call", runner=run)["result"] == 3
