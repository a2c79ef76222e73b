"""Whatever a method raises or returns: the caller gets a truthful error, and the server lives."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest

from desk import Desk
from promptness import prompt
from runmacs.roc import errors


class CameraError(ValueError):
    """An exception with attributes of its own."""

    def __init__(self, message: str, temperature: float) -> None:
        super().__init__(message)
        self.temperature = temperature


class Mute(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError("not even this")

    __repr__ = __str__


class DiesWhenShown(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class Lying(Exception):
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise RuntimeError("what am I?")

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("what have I?")

    @property
    def args(self) -> Any:  # type: ignore[override]
        raise RuntimeError("what was I told?")


class Untraceable(Exception):
    """Its frames hold what cannot be shown either."""

    def __init__(self) -> None:
        super().__init__(Mute(), object(), {1: 2}, lambda: None)
        self.mute = Mute()
        self.itself = self
        self.__cause__ = Mute()


class Bottom(BaseException):
    pass


def group() -> NoReturn:
    raise ExceptionGroup("two things", [ValueError("one"), TypeError("two")])


def circle() -> NoReturn:
    one, two = ValueError("one"), KeyError("two")
    one.__cause__, two.__cause__ = two, one
    raise one


def endless() -> None:
    endless()


def deep() -> list[Any]:
    nested: list[Any] = []
    for _ in range(200):
        nested = [nested]
    return nested


def looped() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


class Sick:
    """Raises and returns whatever it is told to."""

    def __init__(self) -> None:
        self.actions: dict[str, Callable[[], object]] = {}
        self.values: dict[str, object] = {}

    def act(self, name: str) -> object:
        return self.actions[name]()

    @property
    def fever(self) -> float:
        raise CameraError("too hot", 71.5)

    @fever.setter
    def fever(self, value: float) -> None:
        raise OSError(5, "cannot cool")

    def works(self) -> bool:
        return True


@pytest.fixture
def sick() -> Sick:
    return Sick()


@pytest.fixture
def desk(sick: Sick) -> Iterator[Desk]:
    """A desk where ``sick`` is shared, by a server that must be alive in the end."""
    with Desk() as desk:
        server = desk.serve(sick, "sick")
        yield desk
        assert desk.client["sick"].works() is True
        assert server._thread is not None
        assert server._thread.is_alive()
        with prompt():  # a standstill of 1.5 s looks like a loss
            assert desk.client["roc.broker"].stats()["servers_lost"] == 0


def raising(error: BaseException | type[BaseException]) -> Callable[[], NoReturn]:
    def act() -> NoReturn:
        raise error

    return act


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        KeyError("gone"),
        ZeroDivisionError("by zero"),
        FileNotFoundError(2, "No such file or directory", "frames.dat"),
        TimeoutError("the camera's own"),
        AttributeError("not a member, but raised inside"),
        TypeError("not an argument, but raised inside"),
        LookupError("near"),
        NotImplementedError("later"),
        AssertionError(),
        MemoryError("no room"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_builtin_exceptions_are_caught_as_such(desk: Desk, sick: Sick, error: Exception) -> None:
    sick.actions["now"] = raising(error)
    with pytest.raises(type(error)) as caught:
        desk.client["sick"].act("now")
    remote = caught.value
    assert isinstance(remote, errors.RemoteError)
    assert remote.executed is True
    assert remote.remote_type == type(error).__name__
    assert f"sick.act raised {type(error).__name__}" in str(remote)
    assert not isinstance(remote, errors.MethodNotFound | errors.InvalidParams)


NASTY: dict[str, Callable[[], BaseException]] = {
    "SystemExit": lambda: SystemExit(2),
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "StopIteration": lambda: StopIteration(3),
    "StopAsyncIteration": StopAsyncIteration,
    "CancelledError": asyncio.CancelledError,
    "Bottom": Bottom,
    "Mute": Mute,
    "DiesWhenShown": DiesWhenShown,
    "Lying": Lying,
    "Untraceable": Untraceable,
    "RecursionError": lambda: RecursionError("as if"),
    "UserWarning": lambda: UserWarning("only"),
    "Exception": lambda: Exception(object(), {1: 2}, 2**70, float("nan"), b"bytes"),
    "RuntimeError": lambda: RuntimeError("\ud800 a lone surrogate", "\x00", "\x1b[31mred"),
    "ServerLost": lambda: errors.ServerLost("raised by the method itself"),
    "Expired": lambda: errors.Expired("raised by the method itself"),
    "MethodNotFound": lambda: errors.MethodNotFound("raised by the method itself"),
}


# By name: pytest's own reports would not survive some of them.
@pytest.mark.parametrize("name", NASTY)
def test_exceptions_of_every_nasty_kind(desk: Desk, sick: Sick, name: str) -> None:
    """All of them come out as a RemoteError, and none ends or confuses the caller's program."""

    def act() -> NoReturn:
        raise NASTY[name]()

    sick.actions["now"] = act
    with pytest.raises(errors.RemoteError) as caught:
        desk.client["sick"].act("now")
    assert caught.value.executed is True
    assert caught.value.remote_type == name
    assert "sick.act" in str(caught.value)
    assert not isinstance(caught.value, StopIteration | StopAsyncIteration | errors.DeliveryError)


@pytest.mark.parametrize("act", [group, circle, endless])
def test_exceptions_with_a_history(desk: Desk, sick: Sick, act: Callable[[], object]) -> None:
    sick.actions["now"] = act
    with pytest.raises(errors.RemoteError) as caught:
        desk.client["sick"].act("now")
    assert act.__name__ in caught.value.remote_traceback


def test_own_attributes_and_arguments_travel(desk: Desk) -> None:
    with pytest.raises(ValueError, match="too hot") as caught:
        _ = desk.client["sick"].fever
    error = caught.value
    assert isinstance(error, errors.RemoteError)
    assert str(error) == "sick.fever raised CameraError: too hot"
    assert error.remote_args == ("too hot",)
    assert error.remote_attributes == {"temperature": 71.5}
    with pytest.raises(OSError, match="cannot cool") as set_error:
        desk.client["sick"].fever = 1
    assert set_error.value.errno == 5
    assert set_error.value.strerror == "cannot cool"


def test_the_remote_traceback_is_shown(desk: Desk, sick: Sick) -> None:
    """Where it happened, in the method's own file; not where the server called it."""
    sick.actions["now"] = raising(ValueError("no"))
    with pytest.raises(ValueError, match="no") as caught:
        desk.client["sick"].act("now")
    error = caught.value
    assert isinstance(error, errors.RemoteError)
    assert "test_remote_errors.py" in error.remote_traceback
    assert "raise error" in error.remote_traceback
    assert "dispatch.py" not in error.remote_traceback
    (note,) = error.__notes__
    assert note.startswith("Remote traceback (sick")
    assert "raise error" in note


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (lambda: None, "result"),
        ([1, {"meta": len}], r"result\[1\]\.meta"),
        ({"frames": [0, 1, {1: 2}]}, r"result\.frames\[2\].*1"),
        ({"a": 2**64}, r"result\.a"),
        (deep(), "128"),
        (looped(), "result"),
        ("\ud800", "result"),
        ({"when": [datetime]}, r"result\.when\[0\]"),
        ([[[[[object()]]]]], r"result\[0\]\[0\]\[0\]\[0\]\[0\]"),
        ([object()] * 101, r"result\[0\]"),
        ((number for number in range(3)), "generator"),
        (group, "function"),
    ],
)
def test_results_that_cannot_be_sent(desk: Desk, sick: Sick, value: object, place: str) -> None:
    """It was executed, and the error names the place."""
    sick.actions["now"] = lambda: value
    with pytest.raises(errors.RocError, match=place) as caught:
        desk.client["sick"].act("now")
    assert not isinstance(caught.value, errors.RemoteError), "the method has raised nothing"
    assert caught.value.executed is True
    assert "sick.act was executed, but its result cannot be sent" in str(caught.value)


@pytest.mark.parametrize("value", [object(), {1: 2}, 2**64, looped(), deep(), "\ud800"])
def test_arguments_that_cannot_be_sent(desk: Desk, value: object) -> None:
    """Refused at the sender, before anything has left."""
    act = desk.client["sick"].act
    stats = desk.client["roc.broker"].stats
    requests = stats()["requests"]
    with pytest.raises(errors.LocalProtocolError, match=r"args\[0\]") as caught:
        act(value)
    assert caught.value.executed is False
    with pytest.raises(errors.LocalProtocolError, match="name"):
        act(name=value)
    assert stats()["requests"] == requests + 1, "this look at the counters, and nothing else"


def test_many_failures_leave_nothing_behind(desk: Desk, sick: Sick) -> None:
    sick.actions["now"] = raising(Untraceable())
    act = desk.client["sick"].act
    for _ in range(200):
        with pytest.raises(errors.RemoteError):
            act("now")
