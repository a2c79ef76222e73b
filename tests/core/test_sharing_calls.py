"""Which calls a shared object binds, and which arguments fit."""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from runmacs.roc import errors
from runmacs.roc.core.sharing import ArgumentsRefused, Refusal
from runmacs.roc.wire.values import Member
from specimens import refusal_of, shared

METHOD = Member("method")
OBJECT = Member("object")


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "result"),
    [
        ("openShutter", [], {}, "open"),
        ("setGain", [2], {}, (2, 0)),
        ("setGain", [2], {"channel": 1}, (2, 1)),
        ("setGain", [], {"gain": 2}, (2, 0)),
        ("anything", [1], {"self": 2, "args": 3, "name": 4, "func": 5}, None),
        ("version", [], {}, 0),
        ("version", [4], {}, 4),
        ("family", ["X"], {}, "CameraX"),
        ("cached", [4], {}, 8),
        ("show", [4], {}, "int"),
        ("show", ["x"], {}, "object"),
        ("preset", [], {"channel": 2}, (5, 2)),
        ("sine", [0], {}, 0.0),
        ("hook", [1], {}, 2),
        ("increment", [1], {}, 4),
        ("shutter", ["open"], {}, "open"),
        ("lens.home", [], {}, "home"),
        ("lens.focus.move", [3], {}, 3),
        ("objective.home", [], {}, "home"),
    ],
)
def test_methods_of_every_sort_are_called(
    name: str, args: list[object], kwargs: dict[str, object], result: object
) -> None:
    vnir = shared()
    for _ in range(2):  # known already, the second time
        got = vnir.bind(name, args, kwargs)()
        assert got == ((tuple(args), kwargs) if result is None else result)


def test_binding_does_not_begin_the_body() -> None:
    class Counter:
        def __init__(self) -> None:
            self.calls = 0

        def count(self) -> None:
            self.calls += 1

    counter = Counter()
    body = shared(counter).bind("count", [], {})
    assert counter.calls == 0
    body()
    assert counter.calls == 1


@pytest.mark.parametrize("name", ["fps", "model", "counts", "gain", "table", "lens.position"])
def test_an_attribute_is_not_called(name: str) -> None:
    assert "read it, do not call it" in str(refusal_of(lambda: shared().bind(name, [], {})))


def test_a_nested_object_that_is_not_callable_is_not_called() -> None:
    assert "a nested object" in str(refusal_of(lambda: shared().bind("lens", [], {})))


def test_a_function_behind_a_property_is_called_once_it_was_read() -> None:
    vnir = shared()
    refusal_of(lambda: vnir.bind("converter", [1], {}))
    assert vnir.get("converter") == METHOD
    assert vnir.bind("converter", [1], {})() == 2
    with pytest.raises(ArgumentsRefused):
        vnir.bind("converter", [], {})


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "parts"),
    [
        ("openShutter", [1], {}, ["1 positional arguments are 1 too many"]),
        ("setGain", [], {}, ["'gain' is missing"]),
        ("setGain", [1, 2], {}, ["1 too many"]),
        ("setGain", [1], {"gain": 2}, ["'gain' is given twice"]),
        ("setGain", [], {"gian": 2}, ["'gain' is missing", "'gian'", "did you mean 'gain'?"]),
        ("setGain", [1], {"self": 2}, ["'self' is the object itself"]),
        ("options", [], {"self": 2}, ["'self' is the object itself"]),
        ("shutter", ["x"], {"self": 2}, ["'self' is the object itself"]),
        ("lens.focus.move", [], {}, ["'steps' is missing", "(steps: int) -> int"]),
        ("hook", [], {}, ["'x' is missing"]),
        ("increment", [1, 2], {}, ["1 too many"]),
        ("shutter", [], {}, ["'state' is missing"]),
    ],
)
def test_arguments_that_do_not_fit_are_refused_before_the_body(
    name: str, args: list[object], kwargs: dict[str, object], parts: list[str]
) -> None:
    vnir = shared()
    for _ in range(2):
        with pytest.raises(errors.InvalidParams) as caught:
            vnir.bind(name, args, kwargs)
        assert isinstance(caught.value, TypeError)
        assert isinstance(caught.value, Refusal)
        assert caught.value.executed is False
        assert str(caught.value).startswith(f"vnir.{name} takes (")
        assert caught.value.data["signature"] in str(caught.value)
        for part in parts:
            assert part in str(caught.value)


def test_a_parameter_may_be_called_self() -> None:
    class Odd:
        def method(this, self: int) -> int:
            return self

    odd = shared(Odd())
    assert odd.bind("method", [], {"self": 3})() == 3
    assert odd.bind("method", [3], {})() == 3


def test_the_arguments_are_checked_against_what_is_really_called() -> None:
    def with_default(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(self: object, first: int, added: int) -> Any:
            return function(self, first), added

        return wrapper

    def transparent(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    class Decorated:
        @with_default
        def added(self, first: int) -> int:
            return first

        @transparent
        def passed(self, first: int) -> int:
            return first

    decorated = shared(Decorated())
    assert decorated.bind("added", [1, 2], {})() == (1, 2)
    with pytest.raises(ArgumentsRefused):
        decorated.bind("added", [1], {})
    body = decorated.bind("passed", [], {})
    with pytest.raises(TypeError):
        body()


def test_a_method_that_is_replaced_is_checked_anew() -> None:
    class Patched:
        def method(self) -> int:
            return 0

    patched = shared(Patched())
    assert patched.bind("method", [], {})() == 0
    setattr(Patched, "method", lambda self, a, b: a + b)  # noqa: B010
    assert patched.bind("method", [1, 2], {})() == 3
    with pytest.raises(ArgumentsRefused):
        patched.bind("method", [], {})


def test_methods_written_in_c() -> None:
    class Stack(list[int]):
        pass

    stack = shared(Stack(), "stack")
    stack.bind("append", [3], {})()
    assert stack.bind("pop", [], {})() == 3
    with pytest.raises(ArgumentsRefused):
        stack.bind("append", [], {})
    stack.instance.append = math.pow  # type: ignore[attr-defined]
    assert stack.bind("append", [2, 3], {})() == 8.0
    now = shared(types.SimpleNamespace(max=max, f=np.frombuffer))
    assert now.bind("max", [1, 2], {})() == 2  # has no signature: not checked
    assert now.bind("max", [], {}) is not None


def test_builtin_containers_and_numbers_are_shared_as_they_are() -> None:
    words = shared({"a": 1}, "words")
    assert words.bind("get", ["a"], {})() == 1
    assert words.bind("pop", ["a"], {})() == 1
    assert shared(3 + 4j).get("imag") == 4.0
    assert shared(7).bind("bit_length", [], {})() == 3
