"""Type hints of functions, setters and classes, as calls and sets from afar meet them."""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from runmacs.roc import errors
from runmacs.roc.core.sharing import ArgumentsRefused, SharedObject
from runmacs.roc.core.signatures import Fit
from specimens import shared

if TYPE_CHECKING:
    from decimal import Decimal


class Mode(enum.Enum):
    FAST = "fast"
    SLOW = "slow"


@dataclass
class Window:
    left: int
    width: int = 10


def halved(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(self: object, value: Any, *args: Any) -> Any:
        return function(self, float(value) / 2, *args)

    return wrapper


class Spectrometer:
    """Every sort of hinted parameter; what arrived is kept."""

    label: str
    gain: int = 1
    mode: Mode = Mode.FAST
    frame: Window | None = None
    spare: int = None  # type: ignore[assignment]
    shared_count: ClassVar[int] = 0

    class Order(enum.Enum):
        FIRST = 1

    def __init__(self) -> None:
        self.bodies = 0
        self.label = "VNIR"
        self.loose: Any = None
        self._seconds = 0.1
        self.later = functools.partial(self.expose, binning=2)
        self.shutter = Shutter()

    def expose(self, seconds: float, mode: Mode = Mode.FAST, *, binning: int = 1) -> Any:
        self.bodies += 1
        return seconds, mode, binning

    def place(
        self,
        window: Window,
        /,
        name: str = None,  # type: ignore[assignment]  # noqa: RUF013
    ) -> Any:
        return window, name

    def sum(self, *values: float, **weights: int) -> Any:
        return values, weights

    def odd(self, when: Decimal, how: int) -> Any:
        return when, how

    def order(self, order: Order) -> Any:
        return order

    def options(self, name: int, /, **options: str) -> Any:
        return name, options

    @property
    async def humidity(self) -> float:
        return 0.5

    def plain(self, value, other=1):  # type: ignore[no-untyped-def]
        return value

    @halved
    def halve(self, value: float, digits: int = 1) -> float:
        return value

    @staticmethod
    def path(path: Path) -> Path:
        return path

    @classmethod
    def count(cls, number: int) -> int:
        return number

    @property
    def seconds(self) -> float:
        return self._seconds

    @seconds.setter
    def seconds(self, value: float) -> None:
        self._seconds = value

    @property
    def window(self) -> Window | None:
        return self.frame

    @window.setter
    def window(self, value: Window) -> None:
        self.frame = value


class Shutter:
    state = "closed"

    def __call__(self, state: str) -> str:
        return state


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "result"),
    [
        ("expose", [1], {}, (1, Mode.FAST, 1)),
        ("expose", [0.5, "slow"], {"binning": 3}, (0.5, Mode.SLOW, 3)),
        ("expose", [], {"mode": "slow", "seconds": 1.0}, (1.0, Mode.SLOW, 1)),
        ("later", [1, "slow"], {}, (1, Mode.SLOW, 2)),
        ("place", [{"left": 1}], {}, (Window(1), None)),
        ("place", [{"left": 1}, None], {}, (Window(1), None)),
        ("place", [{"left": 1}], {"name": None}, (Window(1), None)),
        ("sum", [1, 2.5], {"a": 1}, ((1, 2.5), {"a": 1})),
        ("odd", ["anything", 1], {}, ("anything", 1)),
        ("order", [1], {}, Spectrometer.Order.FIRST),
        ("options", [1], {"name": "x"}, (1, {"name": "x"})),
        ("path", ["/tmp"], {}, Path("/tmp")),
        ("count", [3], {}, 3),
        ("plain", ["anything"], {"other": object}, "anything"),
        ("halve", ["3"], {}, 1.5),
        ("shutter", ["open"], {}, "open"),
    ],
)
def test_arguments_arrive_as_the_hints_say(
    name: str, args: list[Any], kwargs: dict[str, Any], result: Any
) -> None:
    vnir = shared(Spectrometer())
    given = list(args)
    for _ in range(2):  # compiled already, the second time
        assert vnir.bind(name, args, kwargs)() == result
    assert args == given


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "parts"),
    [
        ("expose", ["1"], {}, ["(seconds: float, mode: Mode", "'seconds' takes float, not str"]),
        ("expose", [1, "quick"], {}, ["'mode' takes Mode ('fast', 'slow'), not 'quick'"]),
        (
            "expose",
            [True],
            {"binning": 1.5},
            ["'seconds' takes float, not bool; 'binning' takes int, not float"],
        ),
        ("expose", [], {"seconds": None}, ["'seconds' takes float, not None"]),
        ("expose", ["x"], {"bining": 1}, ["no parameter 'bining' (did you mean 'binning'?)"]),
        ("later", ["1"], {}, ["'seconds' takes float, not str"]),
        ("place", [{"left": "x"}], {}, ["'window.left' takes int, not str"]),
        ("place", [{"left": 1}, 3], {}, ["'name' takes str | None, not int"]),
        ("sum", [1, "2"], {}, ["'values[1]' takes float, not str"]),
        ("sum", [], {"a": "x"}, ["'a' takes int, not str"]),
        ("odd", [1, "2"], {}, ["'how' takes int, not str"]),
        ("options", [1], {"name": 2}, ["'name' takes str, not int"]),
        ("order", [2], {}, ["'order' takes Order (1), not 2"]),
        ("path", [3], {}, ["'path' takes Path, not int"]),
        ("count", ["3"], {}, ["'number' takes int, not str"]),
        ("shutter", [1], {}, ["'state' takes str, not int"]),
    ],
)
def test_a_wrong_type_is_refused_before_the_body_naming_argument_and_types(
    name: str, args: list[Any], kwargs: dict[str, Any], parts: list[str]
) -> None:
    spectrometer = Spectrometer()
    vnir = shared(spectrometer)
    for _ in range(2):
        with pytest.raises(errors.InvalidParams) as caught:
            vnir.bind(name, args, kwargs)
        assert isinstance(caught.value, ArgumentsRefused)
        assert caught.value.executed is False
        assert str(caught.value).startswith(f"vnir.{name} takes (")
        assert "signature" in caught.value.data
        for part in parts:
            assert part in str(caught.value)
    assert spectrometer.bodies == 0


def test_an_async_property_gives_its_coroutine() -> None:
    coroutine = shared(Spectrometer()).get("humidity")
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    assert stopped.value.value == 0.5


def test_a_function_without_hints_costs_nothing() -> None:
    spectrometer = Spectrometer()
    assert Fit(spectrometer.plain, None).hints is None
    assert Fit(spectrometer.halve, None).hints is None
    assert Fit(len, None).hints is None
    assert Fit(spectrometer.expose, None).hints is not None


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("label", "SWIR", "SWIR"),
        ("gain", 2, 2),
        ("mode", "slow", Mode.SLOW),
        ("frame", {"left": 1}, Window(1)),
        ("frame", None, None),
        ("spare", None, None),
        ("spare", 3, 3),
        ("seconds", 1, 1),
        ("window", {"left": 2}, Window(2)),
        ("loose", object, object),
    ],
)
def test_what_is_set_is_made_what_the_hint_says(name: str, value: Any, expected: Any) -> None:
    spectrometer = Spectrometer()
    shared(spectrometer).set(name, value)
    assert getattr(spectrometer, name) == expected


@pytest.mark.parametrize(
    ("name", "value", "clause"),
    [
        ("label", 3, "'label' takes str, not int"),
        ("gain", 1.5, "'gain' takes int, not float"),
        ("mode", "quick", "'mode' takes Mode ('fast', 'slow'), not 'quick'"),
        ("frame", {"left": "x"}, "'frame.left' takes int, not str"),
        ("seconds", "1", "'seconds' takes float, not str"),
        ("window", None, "'window' takes Window, not None"),
    ],
)
def test_what_is_set_to_a_wrong_type_is_refused(name: str, value: Any, clause: str) -> None:
    spectrometer = Spectrometer()
    before = getattr(spectrometer, name)
    with pytest.raises(errors.InvalidParams) as caught:
        shared(spectrometer).set(name, value)
    assert str(caught.value) == f"vnir.{name} cannot be set: {clause}"
    assert caught.value.executed is False
    assert getattr(spectrometer, name) == before


def test_a_shared_dataclass_stays_sound() -> None:
    @dataclass
    class Settings:
        gain: int = 1
        names: list[str] | None = None

    settings = Settings()
    stage = shared(settings, "settings")
    stage.set("names", ["a"])
    with pytest.raises(errors.InvalidParams):
        stage.set("gain", "high")
    assert settings == Settings(1, ["a"])


def test_hints_are_those_of_the_method_that_overrides() -> None:
    class Lenient(Spectrometer):
        gain: Any = 1

        def expose(self, seconds: Any, *args: Any, **kwargs: Any) -> Any:
            return seconds

    lenient = shared(Lenient())
    assert lenient.bind("expose", ["long"], {})() == "long"
    lenient.set("gain", "high")


def test_a_mutable_default_is_the_functions_own() -> None:
    class Notes:
        def add(self, note: str, notes: list[str] = []) -> list[str]:  # noqa: B006
            notes.append(note)
            return notes

    notes = shared(Notes(), "notes")
    assert notes.bind("add", ["a"], {})() == ["a"]
    assert notes.bind("add", ["b"], {})() == ["a", "b"]  # as Python has it
    assert notes.bind("add", ["c", []], {})() == ["c"]


def test_hints_count_for_functions_that_are_shared_themselves() -> None:
    def double(value: int) -> int:
        return value * 2

    for target in (double, functools.partial(double), Shutter()):
        with pytest.raises(errors.InvalidParams, match=r"takes (int|str), not float"):
            SharedObject(target, "f").special("", "call", [1.5], {})
    assert SharedObject(double, "f").special("", "call", [2], {})() == 4
