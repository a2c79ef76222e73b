"""Which values fit a type hint, and what they become."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import sys
import typing
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional, TypedDict, TypeVar, Union

import numpy as np
import numpy.typing as npt
import pytest

from runmacs.roc.core.hints import compile_hint
from runmacs.roc.core.misfits import Misfit
from sameness import same


class Mode(enum.Enum):
    FAST = "fast"
    SLOW = "slow"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Corner(enum.Enum):
    ORIGIN = (0, 0)


@dataclass
class Window:
    left: int
    width: int = 10
    mode: Mode = Mode.FAST
    area: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if self.width < 0:
            raise ValueError("width is 0 or more")
        self.area = self.width


@dataclass
class Tree:
    name: str
    children: list[Tree] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Limits:
    low: float
    high: float = 1.0


class Point(NamedTuple):
    x: float
    y: float = 0.0


Bare = collections.namedtuple("Bare", ["a", "b"])


# Not as a class: what is required would stand there as text.
Options = TypedDict(  # noqa: UP013
    "Options", {"gain": typing.Required[int], "mode": "Mode"}, total=False
)


Gain = NewType("Gain", int)
Number = TypeVar("Number", bound=float)
Either = TypeVar("Either", int, str)
Free = TypeVar("Free")


def fitted(annotation: Any, value: Any) -> Any:
    hint = compile_hint(annotation)
    assert hint is not None, f"{annotation} is not checked"
    if type(value) in hint.plain:
        assert hint.convert(value) is value  # the quick look and the long one agree
    return hint.convert(value)


def refusal(annotation: Any, value: Any) -> str:
    with pytest.raises(Misfit) as caught:
        fitted(annotation, value)
    return caught.value.clause("it")


NOON = datetime.datetime(2026, 11, 22, 12)
FITTING: list[tuple[Any, Any]] = [
    (int, 3),
    (int, np.int16(3)),
    (float, 0.5),
    (float, 3),
    (float, np.float32(0.5)),
    (float, np.uint8(3)),
    (complex, 1j),
    (complex, 3),
    (bool, True),
    (bool, np.True_),
    (str, "x"),
    (bytes, b"x"),
    (None, None),
    (slice, slice(1, 2)),
    (datetime.datetime, NOON),
    (datetime.date, NOON.date()),
    (datetime.date, NOON),
    (datetime.time, NOON.time()),
    (datetime.timedelta, datetime.timedelta(1)),
    (decimal.Decimal, decimal.Decimal("1.5")),
    (fractions.Fraction, fractions.Fraction(1, 3)),
    (uuid.UUID, uuid.UUID(int=1)),
    (list, [1, "x"]),
    (list[int], [1, 2]),
    (list[int], []),
    (list[float], [1, 0.5]),
    (list[Any], [1, "x"]),
    (list[list[int]], [[1], []]),
    (typing.List[int], [1]),  # noqa: UP006
    (dict, {"a": 1}),
    (dict[str, float], {"a": 1, "b": 0.5}),
    (dict[str, list[int]], {"a": [1]}),
    (Mapping[str, int], {"a": 1}),
    (set[int], {1, 2}),
    (Set[int], {1}),
    (Sequence[float], [1, 2.0]),
    (Sequence[float], np.arange(3.0)),
    (Sequence[str], "text"),
    (Sequence, "text"),
    (Iterable[int], {1}),
    (Collection[int], {"a": 1}),
    (Iterable[int], b"\0"),
    (Optional[int], None),  # noqa: UP045
    (int | None, 3),
    (Union[int, str], "x"),  # noqa: UP007
    (float | str, 3),
    (str | Path, "x"),
    (list[int] | np.ndarray, [1]),
    (Literal["fast", 3, None], 3),
    (Literal["fast", 3, None], None),
    (Annotated[int, "volts"], 3),
    (Gain, 3),
    (Number, 3),
    (Either, "x"),
    (Options, {"gain": 1, "more": 2}),
    (np.ndarray, np.arange(3)),
    (npt.NDArray[np.uint16], np.arange(3, dtype="<u2")),
    (npt.NDArray[np.integer[Any]], np.arange(3)),
    (npt.NDArray[np.str_], np.array(["a", "bc"])),
    (npt.NDArray[np.datetime64], np.array(["2026-11-22"], "M8[D]")),
    (npt.NDArray[Any], np.array(["a"])),
    (np.uint8, np.uint8(3)),
    (np.integer, 3),
]


@pytest.mark.parametrize(("annotation", "value"), FITTING, ids=str)
def test_what_fits_is_passed_as_it_is(annotation: Any, value: Any) -> None:
    assert fitted(annotation, value) is value


BUILT: list[tuple[Any, Any, Any]] = [
    (bytearray, b"x", bytearray(b"x")),
    (tuple, [1, "x"], (1, "x")),
    (tuple[int, str], [1, "x"], (1, "x")),
    (tuple[int, ...], [1, 2, 3], (1, 2, 3)),
    (tuple[()], [], ()),
    (tuple[int, tuple[float, float]], [1, [2, 3]], (1, (2, 3))),
    (list[tuple[int, int]], [[1, 2]], [(1, 2)]),
    (frozenset[int], {1}, frozenset({1})),
    (Mode, "fast", Mode.FAST),
    (Level, 2, Level.HIGH),
    (Corner, [0, 0], Corner.ORIGIN),
    (Mode | None, "slow", Mode.SLOW),
    (list[Mode], ["fast", "slow"], [Mode.FAST, Mode.SLOW]),
    (set[Mode], {"fast"}, {Mode.FAST}),
    (dict[str, Mode], {"a": "fast"}, {"a": Mode.FAST}),
    (dict[Mode, int], {"fast": 1}, {Mode.FAST: 1}),
    (Literal[Mode.FAST], "fast", Mode.FAST),
    (Sequence[Mode], ["fast"], [Mode.FAST]),
    (Path, "/tmp/x", Path("/tmp/x")),
    (PurePosixPath, "a", PurePosixPath("a")),
    (Path | None, "a", Path("a")),
    (Window, {"left": 1}, Window(1)),
    (Window, {"left": 1, "width": 2, "mode": "slow"}, Window(1, 2, Mode.SLOW)),
    (Window, {"left": 1, "width": 3, "mode": "fast", "area": 99}, Window(1, 3)),
    (Limits, {"low": 0}, Limits(low=0)),
    (Tree, {"name": "a", "children": [{"name": "b"}]}, Tree("a", [Tree("b")])),
    (list[Window], [{"left": 1}], [Window(1)]),
    (Point, {"x": 1}, Point(1)),
    (Point, [1, 2], Point(1, 2)),
    (Bare, {"a": 1, "b": "x"}, Bare(1, "x")),
    (Options, {"gain": 1, "mode": "slow"}, {"gain": 1, "mode": Mode.SLOW}),
    (Window | int, {"left": 1}, Window(1)),
    (np.ndarray, [[1, 2], [3, 4]], np.array([[1, 2], [3, 4]])),
    (npt.NDArray[np.uint16], [1, 2], np.array([1, 2], "<u2")),
    (npt.NDArray[np.uint16], [], np.array([], "<u2")),
    (npt.NDArray[np.float32], [0.1, 2], np.array([0.1, 2], "<f4")),
    (npt.NDArray[np.float32], [1, 2], np.array([1, 2], "<f4")),
    (npt.NDArray[np.complex64], [1, 2.5], np.array([1, 2.5], "<c8")),
    (npt.NDArray[np.floating[Any]], [1, 2], np.array([1.0, 2.0])),
    (npt.NDArray[np.float64], np.array([1], "<u2"), np.array([1.0])),
    (npt.NDArray[np.uint16], np.array([1], ">u2"), np.array([1], "<u2")),
    (npt.NDArray[np.float64] | None, [1], np.array([1.0])),
    (np.float32, 0.1, np.float32(0.1)),
    (np.uint8, 200, np.uint8(200)),
]


@pytest.mark.parametrize(("annotation", "value", "expected"), BUILT, ids=str)
def test_what_cannot_travel_as_itself_is_built(annotation: Any, value: Any, expected: Any) -> None:
    made = fitted(annotation, value)
    assert type(made) is type(expected)
    if isinstance(expected, (np.ndarray, np.generic)):
        assert same(made, expected)
    else:
        assert made == expected


WRONG: list[tuple[Any, Any, str]] = [
    (int, "3", "'it' takes int, not str"),
    (int, 3.0, "'it' takes int, not float"),
    (int, True, "'it' takes int, not bool"),
    (int, None, "'it' takes int, not None"),
    (int, np.float64(3), "'it' takes int, not float64"),
    (float, "0.5", "'it' takes float, not str"),
    (float, True, "'it' takes float, not bool"),
    (float, 1j, "'it' takes float, not complex"),
    (bool, 1, "'it' takes bool, not int"),
    (str, 1, "'it' takes str, not int"),
    (str, b"x", "'it' takes str, not bytes"),
    (bytes, "x", "'it' takes bytes, not str"),
    (bytearray, "x", "'it' takes bytearray, not str"),
    (None, 0, "'it' takes None, not int"),
    (datetime.datetime, "2026-11-22", "'it' takes datetime, not str"),
    (datetime.datetime, NOON.date(), "'it' takes datetime, not date"),
    (decimal.Decimal, 1.5, "'it' takes Decimal, not float"),
    (fractions.Fraction, 1.5, "'it' takes Fraction, not float"),
    (list, (1,), "'it' takes list, not tuple"),
    (list[int], ["x"], "'it[0]' takes int, not str"),
    (list[int], {"a": 1}, "'it' takes list[int], not dict"),
    (list[list[int]], [[1], [2, "x"]], "'it[1][1]' takes int, not str"),
    (list[float], "0.5", "'it' takes list[float], not str"),
    (dict[str, float], {"a": "x"}, "\"it['a']\" takes float, not str"),
    (dict[int, float], {"1": 1.0}, "\"it['1']\" takes int, not str"),
    (dict, [1], "'it' takes dict, not list"),
    (set[int], [1], "'it' takes set[int], not list"),
    (set[int], {"a"}, "'it{...}' takes int, not str"),
    (tuple[int, str], [1], "'it' takes tuple[int, str], not list of 1"),
    (tuple[int, str], [1, "x", 2], "'it' takes tuple[int, str], not list of 3"),
    (tuple[int, str], [1, 2], "'it[1]' takes str, not int"),
    (tuple[int, ...], [1, "x"], "'it[1]' takes int, not str"),
    (tuple[int, ...], "x", "'it' takes tuple[int, ...], not str"),
    (Sequence[float], "text", "'it' takes Sequence[float], not str"),
    (Sequence[float], {1.0}, "'it' takes Sequence[float], not set"),
    (Iterable[int], 3, "'it' takes Iterable[int], not int"),
    (Optional[int], "x", "'it' takes int | None, not str"),  # noqa: UP045
    (int | list[int], [1, "x"], "'it[1]' takes int, not str"),
    (Literal["fast", "slow"], "quick", "'it' takes 'fast' or 'slow', not 'quick'"),
    (Literal[1], True, "'it' takes 1, not True"),
    (Mode, "quick", "'it' takes Mode ('fast', 'slow'), not 'quick'"),
    (Mode, ["fast"], "'it' takes Mode ('fast', 'slow'), not list"),
    (Level, 3, "'it' takes Level (1, 2), not 3"),
    (Path, 3, "'it' takes Path, not int"),
    (Window, [1, 2], "'it' takes Window, not list"),
    (Window, {"width": 1}, "'it' cannot become Window: 'left' is missing"),
    (Window, {"left": 1, "height": 2}, "'it' cannot become Window: it has no 'height'"),
    (Window, {"left": "x"}, "'it.left' takes int, not str"),
    (Window, {"left": 1, "mode": "quick"}, "'it.mode' takes Mode ('fast', 'slow'), not 'quick'"),
    (
        Window,
        {"left": 1, "width": -1},
        "'it' cannot become Window: it raised ValueError: width is 0 or more",
    ),
    (Tree, {"name": "a", "children": [{"name": 1}]}, "'it.children[0].name' takes str, not int"),
    (Point, {"y": 1}, "'it' cannot become Point: 'x' is missing"),
    (Point, [1, 2, 3], "'it' cannot become Point: it has 2 fields, and 3 have come"),
    (Point, ["a"], "'it.x' takes float, not str"),
    (Options, {"mode": "fast"}, "'it' cannot become Options: 'gain' is missing"),
    (Options, {"gain": "x"}, "'it.gain' takes int, not str"),
    (Gain, "x", "'it' takes int, not str"),
    (Number, "x", "'it' takes float, not str"),
    (Either, 0.5, "'it' takes int | str, not float"),
    (np.ndarray, 3, "'it' takes array, not int"),
    (np.ndarray, [[1], [1, 2]], "'it' cannot become array: its lists do not make one"),
    (npt.NDArray[np.uint16], [1, -1], "'it' takes array of uint16, not list of int64"),
    (npt.NDArray[np.uint16], [1.5], "'it' takes array of uint16, not list of float64"),
    (npt.NDArray[np.uint16], [1, 70000], "'it' takes array of uint16, not list of int64"),
    (npt.NDArray[np.uint16], ["a"], "'it' takes array of uint16, not list of str"),
    (npt.NDArray[np.float32], [1e300], "'it' takes array of float32, not list of float64"),
    (npt.NDArray[np.float32], np.array([0.1]), "'it' takes array of float32, not array of float64"),
    (npt.NDArray[np.uint8], np.array([1]), "'it' takes array of uint8, not array of int64"),
    (
        npt.NDArray[np.floating[Any]],
        np.array([1]),
        "'it' takes array of floating, not array of int",
    ),
    (npt.NDArray[np.float64], [1j], "'it' takes array of float64, not list of complex128"),
    (np.uint8, 300, "'it' takes uint8, not int"),
    (np.uint8, 0.5, "'it' takes uint8, not float"),
    (np.integer, 0.5, "'it' takes integer, not float"),
]


@pytest.mark.parametrize(("annotation", "value", "clause"), WRONG, ids=str)
def test_what_does_not_fit_is_refused_with_both_types(
    annotation: Any, value: Any, clause: str
) -> None:
    assert refusal(annotation, value).startswith(clause)


class Unknown:
    pass


class Broken:
    def __class_getitem__(cls, item: object) -> None:
        raise RuntimeError


@pytest.mark.parametrize(
    "annotation",
    [
        Any,
        object,
        Unknown,
        Unknown | None,
        int | Unknown,
        Callable[[int], int],
        Callable,
        type,
        type[int],
        Free,
        "int",
        3,
        [int],
        collections.deque[int],
        typing.Iterator[int],
        npt.ArrayLike,
        Free | None,
        ...,
    ],
    ids=str,
)
def test_what_cannot_arrive_or_is_not_understood_is_not_checked(annotation: Any) -> None:
    assert compile_hint(annotation) is None


def test_an_annotation_may_be_anything() -> None:
    class Hostile(type):
        def __getattribute__(cls, name: str) -> Any:
            raise RuntimeError(name)

        def __hash__(cls) -> int:
            raise RuntimeError

    class Trap(metaclass=Hostile):
        pass

    assert compile_hint(Trap) is None
    assert compile_hint(list[Trap]) is None or fitted(list[Trap], [1]) == [1]


def test_a_union_takes_what_fits_before_it_builds() -> None:
    assert fitted(Path | str, "x") == "x"
    assert fitted(tuple[int, ...] | list[int], [1]) == [1]
    assert fitted(Path | int, "x") == Path("x")


def test_a_long_list_of_numbers_costs_little() -> None:
    numbers = [0.5] * 1_000_000
    hint = compile_hint(list[float])
    assert hint is not None
    assert hint.convert(numbers) is numbers


def test_names_in_messages_are_short() -> None:
    clause = refusal(Window, {"left": 1, **{"x" * 1000 + str(i): 0 for i in range(100)}})
    assert len(clause) < 700
    assert len(refusal(Literal["a"], "x" * 1000)) < 200
    Many = enum.Enum("Many", {f"n{i}": i for i in range(1000)})  # type: ignore[misc]
    assert len(refusal(Many, "x")) < 200


if sys.version_info >= (3, 12):

    def test_a_type_alias_stands_for_what_it_means_with_and_without_parameters() -> None:
        names: dict[str, Any] = {}
        exec("type Counts = list[int]\ntype Many[T] = list[T]", names)
        for annotation in (names["Counts"], names["Many"][int]):
            hint = compile_hint(annotation)
            assert hint is not None
            assert hint.convert([1, 2]) == [1, 2]
            with pytest.raises(Misfit):
                hint.convert(["one"])
