"""Values: what travels, what it arrives as, and what is refused with its place."""

from __future__ import annotations

import enum
import json
import math
import pathlib
import random
import string
import subprocess
import sys
import threading
import uuid
from collections import Counter, OrderedDict, UserList, defaultdict, deque, namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal, localcontext
from ipaddress import IPv4Address
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runmacs.roc.errors import LocalProtocolError, RemoteProtocolError, Unsendable
from runmacs.roc.wire.values import (
    Buffer,
    Member,
    decode_arguments,
    decode_value,
    encode_arguments,
    encode_value,
    is_value,
)
from sameness import same

INF, NAN = math.inf, math.nan


class Point(NamedTuple):
    x: Any
    y: Any


class Colour(enum.Enum):
    RED = "red"
    BOTH = ("red", 2.5)
    STRANGE = object()


class Speed(enum.IntEnum):
    SLOW = 1


class Mode(str, enum.Enum):  # noqa: UP042
    VIDEO = "video"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass
class Frame:
    shape: tuple[int, int] | None
    meta: Any = None
    unit: ClassVar[str] = "counts"


@dataclass(slots=True)
class Late:
    when: float = field(init=False)


class Text(str):
    pass


class Whole(int):
    pass


class Real(float):
    pass


class Moment(datetime):
    """A datetime that knows more than a datetime can hold, as pandas has one."""

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = datetime.__hash__

    def isoformat(self, *args: Any, **kwargs: Any) -> str:
        return super().isoformat(*args, **kwargs) + ".000000001"


class NoMoment(datetime):
    def isoformat(self, *args: Any, **kwargs: Any) -> str:
        return "NaT"


class Spell(timedelta):
    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = timedelta.__hash__


class Local(datetime):
    pass


class Greenwich(tzinfo):
    def utcoffset(self, when: datetime | None) -> timedelta:
        return timedelta(0)

    def dst(self, when: datetime | None) -> None:
        return None

    def tzname(self, when: datetime | None) -> None:
        return None


def sent(value: object) -> tuple[bytes, list[Buffer]]:
    buffers: list[Buffer] = []
    return encode_value(value, "result", buffers), buffers


def arrives(value: object) -> Any:
    """What a value is after its journey; the frames come from memory that nobody owns."""
    text, buffers = sent(value)
    return decode_value(text, [bytearray(buffer) for buffer in buffers])


UNCHANGED: list[object] = [
    None, True, False, 0, 1, -1, 2**31, 2**53 + 1, -(2**63), 2**63, 2**64 - 1,
    0.0, -0.0, 1.0, 0.1, 1e16, 1e22, 5e-324, 1.7976931348623157e308, NAN, INF, -INF,
    "", "a", "\x00\x1f\x7f\u2028", "äöü€", "😀", "\ue000\uffff\U0010ffff", '"\\/', "\\u0041",
    "__roc__", "null", "NaN",
    b"", b"\x00\xff", bytes(100_000),
    [], [[]], [1, 2.0, "x", None, True, b"y"], [1] * 300, [1.5] * 300, ["a"] * 300, [None] * 3,
    [1.5, NAN, -INF], [2**64 - 1, -(2**63)], [2**63] * 3, [1e308] * 3, [True, 1], [1, True],
    [INF, -INF], [-0.0, 0.0], [[1.5] * 30] * 30,
    {}, {"": 0}, {"a": {"b": {"c": [1, {"d": NAN}]}}}, {"ä b": 1, "a.b": 2, "*": 3},
    {"z": 1, "a": 2, "m": 3},
    {"__roc__": 1}, {"__roc__": "float", "value": "nan"}, {"__roc__": {"__roc__": {"__roc__": []}}},
    {"x": 1, "__roc__": None, "y": NAN}, [{"__roc__": b"x"}],
    1j, complex(-0.0, 0.0), complex(NAN, -INF), complex(1e300, 5e-324),
    datetime(2026, 11, 22), datetime(2026, 11, 22, 10, 0, 0, 123456), datetime.min, datetime.max,
    datetime(2026, 11, 22, 10, tzinfo=UTC),
    datetime(2026, 11, 22, 10, tzinfo=timezone(-timedelta(hours=3, minutes=30))),
    datetime(2026, 11, 22, tzinfo=timezone(timedelta(hours=5, seconds=7, microseconds=9))),
    date(2026, 11, 22), date.min, date.max,
    time(0), time(23, 59, 59, 999999), time(10, tzinfo=timezone(timedelta(hours=1))),
    timedelta(0), timedelta(microseconds=-1), timedelta.min, timedelta.max,
    Decimal("1.50"), Decimal("-0"), Decimal("1E+30"), Decimal("0E-9"), Decimal("NaN"),
    Decimal("-NaN42"), Decimal("sNaN7"), Decimal("Infinity"), Decimal("-Infinity"),
    Decimal("1E+999999999999999999"), Decimal("1." + "3" * 200),
    uuid.UUID("12345678-1234-5678-1234-567812345678"), uuid.UUID(int=2**128 - 1),
    set(), {1, 2.5, "x", None, b"y"}, {NAN}, {(1, (2, "x")), ()}, {frozenset({1}), frozenset()},
    {(1, frozenset({(2,)}))}, {1j, Decimal("1.5"), date(2026, 1, 1), timedelta(1)},
    {Member("method")},
    Member("method"), Member("object"),
]  # fmt: skip

CHANGED: list[tuple[object, object]] = [
    ((), []),
    ((1, (2.5, ())), [1, [2.5, []]]),
    (bytearray(b"abc"), b"abc"),
    (memoryview(b"abc"), b"abc"),
    (memoryview(b"abcdef")[::-2], b"fdb"),
    (memoryview(b""), b""),
    (memoryview(b"abcdefgh").cast("H"), b"abcdefgh"),
    (memoryview(b"abcdef").cast("B", (2, 3)), b"abcdef"),
    (np.array([[1, 2], [3, 4]], ">u2").data, b"\0\1\0\2\0\3\0\4"),
    (np.array([[1, 2], [3, 4]], "u1", order="F").data, b"\1\2\3\4"),
    (np.zeros((0, 3), "u1").data, b""),
    (np.zeros(2, [("a", "u1"), ("b", "<u2")]).data, bytes(6)),
    (frozenset({1}), {1}),
    (Text("x"), "x"),
    (Whole(3), 3),
    (Real(2.5), 2.5),
    (Real("nan"), NAN),
    ({Text("k"): Text("v")}, {"k": "v"}),
    (OrderedDict(b=1, a=NAN), {"b": 1, "a": NAN}),
    (defaultdict(list, a=[1]), {"a": [1]}),
    (Counter("aab"), {"a": 2, "b": 1}),
    (Colour.RED, "red"),
    (Colour.BOTH, ["red", 2.5]),
    (Speed.SLOW, 1),
    (Mode.VIDEO, "video"),
    (Access.READ | Access.WRITE, 3),
    ({Mode.VIDEO: Speed.SLOW}, {"video": 1}),
    ([Speed.SLOW, Speed.SLOW], [1, 1]),
    ({Speed.SLOW, Mode.VIDEO}, {1, "video"}),
    (Point(1, Point(NAN, (2,))), {"x": 1, "y": {"x": NAN, "y": [2]}}),
    (Frame((2, 3), [Frame((1, 1))]),
     {"shape": [2, 3], "meta": [{"shape": [1, 1], "meta": None}]}),
    (pathlib.PurePosixPath("/data/ä b"), "/data/ä b"),
    (pathlib.PureWindowsPath(r"C:\data"), r"C:\data"),
    ({pathlib.PurePosixPath("a")}, {"a"}),
    (datetime(2026, 7, 1, tzinfo=Greenwich()), datetime(2026, 7, 1, tzinfo=UTC)),
    (Local(2026, 7, 1), datetime(2026, 7, 1)),
    (np.array([1, 2], "<u2").tolist(), [1, 2]),
]  # fmt: skip


def named(values: list[Any]) -> list[str]:
    return [f"{index}-{type(value).__name__}" for index, value in enumerate(values)]


@pytest.mark.parametrize("value", UNCHANGED, ids=named(UNCHANGED))
def test_it_arrives_as_it_was(value: object) -> None:
    assert same(arrives(value), value)
    assert same(arrives([value, {"a": value}, value]), [value, {"a": value}, value])


@pytest.mark.parametrize(("value", "expected"), CHANGED, ids=named([pair[0] for pair in CHANGED]))
def test_it_arrives_as_what_json_and_the_tags_can_say(value: object, expected: object) -> None:
    assert same(arrives(value), expected)
    assert same(arrives({"a": [value]}), {"a": [expected]})


def test_a_value_is_not_changed_by_sending_it() -> None:
    inner = [NAN, (1,), {"__roc__": 1}]
    value = {"a": inner, "b": {"c": NAN}}
    sent(value)
    assert same(value, {"a": [NAN, (1,), {"__roc__": 1}], "b": {"c": NAN}})
    assert value["a"] is inner


def test_bytes_are_not_copied_but_a_bytearray_stays_its_owners() -> None:
    raw = bytes(1000)
    text, buffers = sent([raw, memoryview(raw)])
    assert buffers[0] is raw
    assert isinstance(buffers[1], memoryview)
    assert buffers[1].obj is raw
    growing = bytearray(b"abc")
    text, buffers = sent(growing)
    growing.extend(b"def")
    assert decode_value(text, buffers) == b"abc"


def test_buffers_are_appended_to_what_is_there() -> None:
    buffers: list[Buffer] = [b"an earlier value's"]
    text = encode_value({"a": b"x", "b": b"y"}, "result", buffers)
    assert buffers == [b"an earlier value's", b"x", b"y"]
    assert decode_value(text, buffers) == {"a": b"x", "b": b"y"}


def test_the_text_may_be_any_buffer() -> None:
    for raw in (bytearray(b'[1,"x"]'), memoryview(b'[1,"x"]'), msgspec.Raw(b'[1,"x"]')):
        assert decode_value(raw, []) == [1, "x"]


# What is refused -------------------------------------------------------------------------


def nested(levels: int, around: Callable[[object], object]) -> object:
    value: object = 1
    for _ in range(levels):
        value = around(value)
    return value


CONTAINERS: list[Callable[[object], object]] = [
    lambda inner: [inner],
    lambda inner: (inner,),
    lambda inner: {"a": inner},
    lambda inner: {"__roc__": inner},
    lambda inner: frozenset({inner}),
    lambda inner: Point(inner, 0),
    lambda inner: Frame(None, inner),
    lambda inner: [0, "[", inner, NAN],
]


@pytest.mark.parametrize("around", CONTAINERS, ids=range(len(CONTAINERS)))
def test_nesting_goes_to_128_levels(around: Callable[[object], object]) -> None:
    deepest = nested(128, around)
    arrived = arrives(deepest)
    assert same(arrives(arrived), arrived)
    params = encode_arguments((deepest,), {"a": deepest}, [])
    assert same(decode_arguments(params, []), ([arrived], {"a": arrived}))
    for levels in (129, 5000):
        with pytest.raises(Unsendable, match="nested deeper than 128 levels"):
            sent(nested(levels, around))


def test_what_contains_itself_is_refused() -> None:
    endless: list[object] = [1]
    endless.append({"again": endless})
    with pytest.raises(Unsendable, match=r"^result\[1\]\.again.* \.\.\. .*contain itself"):
        sent(endless)


UNSENDABLE: list[tuple[object, str]] = [
    (2**64, "result cannot be sent: an int of 65 bits is outside -2**63 to 2**64-1"),
    (-(2**63) - 1, "result cannot be sent: an int of 64 bits"),
    (10**5000, "result cannot be sent: an int of 16610 bits"),
    ([1, 2**64], "result[1] cannot be sent: an int of 65 bits"),
    (Whole(2**64), "result cannot be sent: an int of 65 bits"),
    ("\ud800", "result cannot be sent: it holds a lone surrogate"),
    (["ok", "a\udfffb"], "result[1] cannot be sent: it holds a lone surrogate"),
    ({"a": [{"b": ("x", "\udc80")}]}, "result.a[0].b[1] cannot be sent: it holds a lone"),
    ({"\ud800": 1}, "result['\\ud800'] cannot be sent: it holds a lone surrogate"),
    ({"__roc__": "\ud800"}, "result.__roc__ cannot be sent: it holds a lone surrogate"),
    ([{"a", "\ud800"}], "result[0]{...} cannot be sent: it holds a lone surrogate"),
    ({"a": Point("\ud800", 1)}, "result.a.x cannot be sent: it holds a lone surrogate"),
    (pathlib.PurePosixPath("a\udcff"), "result cannot be sent: it holds a lone surrogate"),
    ({1: 2}, "result cannot be sent: its key 1 is of type int, and keys must be str"),
    ({"a": {(1, 2): 3}}, "result.a cannot be sent: its key (1, 2) is of type tuple"),
    ({None: 1}, "result cannot be sent: its key None is of type NoneType"),
    ({Colour.RED: 1}, "result cannot be sent: its key <Colour.RED: 'red'> is of type Colour"),
    ({"frames": [0, 1, 2, {"meta": (n for n in [1])}]},
     "result.frames[3].meta cannot be sent: a value of type generator has no form on the wire; "
     "streams cannot be sent yet: send a list"),
    ({"two words": {"a-b": object()}}, "result['two words']['a-b'] cannot be sent: a value of "
     "type object has no form on the wire; send a dict of its values"),
    (iter([]), "type list_iterator has no form on the wire; streams cannot be sent yet"),
    (range(3), "result cannot be sent: a value of type range has no form on the wire; send a list"),
    (deque([1]), "type collections.deque has no form on the wire; send a list"),
    (UserList([1]), "type collections.UserList has no form on the wire; send a list"),
    (MappingProxyType({}), "type mappingproxy has no form on the wire; send a dict"),
    (IPv4Address(1), "type ipaddress.IPv4Address has no form on the wire; send a dict of"),
    (len, "type builtin_function_or_method has no form on the wire; call it where it lives"),
    (lambda: 1, "type function has no form on the wire; call it where it lives"),
    (int, "result cannot be sent: a value of type type has no form on the wire"),
    (Frame, "result cannot be sent: a value of type type has no form on the wire"),
    (math, "result cannot be sent: a value of type module has no form on the wire"),
    (ValueError("x"), "result cannot be sent: a value of type ValueError has no form on the wire"),
    (threading.Lock(), "has no form on the wire; send a dict of its values, or share it as an"),
    (Colour.STRANGE, "result cannot be sent: a value of type object has no form on the wire"),
    ([Frame((1, 1), {"x": object()})], "result[0].meta.x cannot be sent: a value of type object"),
    (Late(), "result.when cannot be sent: the field was never set"),
    ({"s": {Point(1, 2)}}, "result.s{...} cannot be sent: a Point in a set would arrive as a dict"),
    ({(1, Point(1, 2))}, "result{...} cannot be sent: a tuple in a set would arrive as"),
    ({frozenset({len})}, "result{...}{...} cannot be sent: a value of type builtin_function"),
    (Moment(2026, 11, 22), "result cannot be sent: a Moment that a datetime cannot hold"),
    (NoMoment(2026, 11, 22), "result cannot be sent: a NoMoment that a datetime cannot hold"),
    (datetime(2026, 7, 1, tzinfo=timezone(timedelta(microseconds=-1))),
     "result cannot be sent: an offset from UTC of less than a second"),
    (time(1, tzinfo=timezone(timedelta(microseconds=1))), "of less than a second; send it in UTC"),
    (Spell(1), "result cannot be sent: a Spell that a timedelta cannot hold"),
    (np.array([object()]).data, "result cannot be sent: a memoryview of Python objects"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "message"), UNSENDABLE, ids=[p[1][:50] for p in UNSENDABLE])
def test_it_is_refused_with_its_place(value: object, message: str) -> None:
    buffers: list[Buffer] = [b"kept"]
    with pytest.raises(Unsendable) as caught:
        encode_value([b"dropped", value], "result", buffers)
    assert buffers == [b"kept"]
    with pytest.raises(Unsendable) as caught:
        encode_value(value, "result", buffers)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.__cause__ is None


def test_a_memoryview_that_was_released_is_refused() -> None:
    view = memoryview(b"abc")
    view.release()
    with pytest.raises(Unsendable, match="released"):
        sent(view)


def test_a_key_that_cannot_be_shown_is_refused_all_the_same() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(Unsendable, match=r"its key \.\.\. is of type .*Shy"):
        sent({Shy(): 1})
    with pytest.raises(Unsendable, match="is of type int"):
        sent({10**5000: 1})


def test_what_waits_is_refused_with_the_right_advice() -> None:
    async def soon() -> int:
        return 1

    async def many() -> Any:
        yield 1

    waiting = soon()
    with pytest.raises(Unsendable, match=r"type coroutine .* await it"):
        sent(waiting)
    waiting.close()
    with pytest.raises(Unsendable, match=r"type async_generator .* streams cannot be sent yet"):
        sent(many())


def test_a_dict_that_another_thread_changes_is_sent_as_it_was_at_one_moment() -> None:
    shared: dict[str, object] = {"0": 0.0}
    stop = threading.Event()

    def change() -> None:
        for count in range(10**9):
            if stop.is_set():
                return
            shared[str(count % 1000)] = [float(count)]
            if count % 1000 == 999:
                shared.clear()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(300):
            assert isinstance(arrives(shared), dict)
    finally:
        stop.set()
        thread.join()


# Arguments -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((), {}, None),
        ((0.02,), {}, b"[0.02]"),
        ((), {"gain": 3}, b'{"gain":3}'),
        ((1, (2,)), {"gain": None}, b'{"*":[1,[2]],"gain":null}'),
        ((), {"__roc__": 1}, b'{"__roc__":1}'),
        (({"__roc__": 1},), {}, b'[{"__roc__":"dict","value":[["__roc__",1]]}]'),
    ],
    ids=["none", "positional", "keyword", "both", "a keyword like a tag", "a dict like a tag"],
)
def test_arguments_are_json_rpc_params(
    args: tuple[object, ...], kwargs: dict[str, object], text: bytes | None
) -> None:
    buffers: list[Buffer] = []
    assert encode_arguments(args, kwargs, buffers) == text
    lists = [list(arg) if isinstance(arg, tuple) else arg for arg in args]
    assert same(decode_arguments(text, buffers), (lists, kwargs))


def test_arguments_bring_their_buffers() -> None:
    buffers: list[Buffer] = [b"earlier"]
    text = encode_arguments((b"x",), {"mask": {b"y"}, "limit": NAN}, buffers)
    assert buffers == [b"earlier", b"x", b"y"]
    assert same(decode_arguments(text, buffers), ([b"x"], {"mask": {b"y"}, "limit": NAN}))


@pytest.mark.parametrize(
    ("args", "kwargs", "place"),
    [
        ((1, [object()]), {}, r"args\[1\]\[0\] cannot"),
        ((b"x",), {"gain": {"y": object()}}, r"gain\.y cannot"),
        ((1, ["\ud800"]), {}, r"args\[1\]\[0\] cannot"),
        ((1,), {"gain": {"y": "\ud800"}}, r"gain\.y cannot"),
        ((), {"\ud800": 1}, r"'\\ud800' cannot"),
        ((), {"*": [1]}, r"an argument named '\*' cannot"),
    ],
)
def test_an_argument_is_refused_with_its_place(
    args: tuple[object, ...], kwargs: dict[str, object], place: str
) -> None:
    buffers: list[Buffer] = [b"kept"]
    with pytest.raises(Unsendable, match=f"^{place} be sent: "):
        encode_arguments(args, kwargs, buffers)
    assert buffers == [b"kept"]


@pytest.mark.parametrize("params", [b"1", b'"x"', b"null", b'{"*":1}', b'{"*":{"a":1}}', b"[1"])
def test_what_is_no_params_is_a_protocol_error(params: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_arguments(params, [])


# By type ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [*UNCHANGED, *(value for value, _ in CHANGED), Colour.STRANGE, [object()], Late(),
              np.float32(1), np.zeros(3), np.array([object()])]
)  # fmt: skip
def test_its_type_says_that_it_is_a_value(value: object) -> None:
    assert is_value(value)


@pytest.mark.parametrize(
    "value", [object(), len, lambda: 1, int, Frame, Colour, math, iter([]), range(3), deque(),
              ValueError(), threading.Lock(), IPv4Address(1), np.dtype("u2"), np]
)  # fmt: skip
def test_its_type_says_that_it_is_no_value(value: object) -> None:
    assert not is_value(value)


# Without numpy ---------------------------------------------------------------------------


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_numpy_is_not_imported_before_an_array_arrives() -> None:
    run(
        "import sys\n"
        "from runmacs.roc.wire.values import *\n"
        "buffers = []\n"
        "text = encode_value({'a': [1.5, b'x', (1,)]}, 'result', buffers)\n"
        "decode_value(text, buffers)\n"
        "try: encode_value(object(), 'result', buffers)\n"
        "except TypeError: pass\n"
        "assert not is_value(object())\n"
        "assert 'numpy' not in sys.modules\n"
        'tag = b\'{"__roc__":"array","dtype":"<u2","shape":[1],"base64":"AQA="}\'\n'
        "assert decode_value(tag, []).tolist() == [1]\n"
        "assert 'numpy' in sys.modules\n"
    )


def test_where_numpy_is_missing_an_array_says_what_to_install() -> None:
    out = run(
        "import sys\n"
        "sys.modules['numpy'] = None\n"
        "from runmacs.roc.errors import LocalProtocolError\n"
        "from runmacs.roc.wire.values import *\n"
        "import json\n"
        "def show(**members):\n"
        "    try: print(repr(decode_value(json.dumps(members).encode(), [b'12'])))\n"
        "    except LocalProtocolError as error: print(error)\n"
        "show(__roc__='array', dtype='<u2', shape=[1], buffer=0)\n"
        "show(__roc__='scalar', dtype='<M8[s]', base64='AAAAAAAAAAA=')\n"
        "show(__roc__='scalar', dtype='<f4', value=1.5)\n"
        "show(__roc__='scalar', dtype='<c8', value={'__roc__': 'complex', 'value': [1.0, 2.0]})\n"
        "assert not is_value(object())\n"
    )
    array, scalar, single, pair = out.splitlines()
    assert 'pip install "runmacs-roc[numpy]"' in array
    assert 'pip install "runmacs-roc[numpy]"' in scalar
    assert (single, pair) == ("1.5", "(1+2j)")


def test_a_missing_numpy_is_not_the_peers_fault() -> None:
    assert not issubclass(LocalProtocolError, RemoteProtocolError)


# Random values ---------------------------------------------------------------------------


def whole(offset: timedelta) -> timedelta:
    return offset if abs(offset) >= timedelta(seconds=1) else timedelta(0)


offsets = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(whole).map(timezone)
zones = st.none() | offsets
hashable_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text()
    | st.binary(max_size=20)
    | st.complex_numbers()
    | st.datetimes(timezones=zones)
    | st.dates()
    | st.times(timezones=zones)
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.uuids()
    | st.sampled_from([Member("method"), Member("object")])
)
hashables = st.recursive(
    hashable_scalars,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
keys = st.text(max_size=4) | st.sampled_from(["__roc__", "*", "value", "buffer", "kind"])
values = st.recursive(
    hashable_scalars | st.decimals() | st.sets(hashables, max_size=4),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=20,
)


@given(value=values)
def test_any_value_arrives_as_it_was(value: object) -> None:
    assert same(arrives(value), value)


@given(args=st.lists(values, max_size=3), kwargs=st.dictionaries(st.text(), values, max_size=3))
def test_any_arguments_arrive_as_they_were(args: list[object], kwargs: dict[str, object]) -> None:
    kwargs.pop("*", None)
    buffers: list[Buffer] = []
    assert same(decode_arguments(encode_arguments(args, kwargs, buffers), buffers), (args, kwargs))


@given(text=st.text(st.characters(exclude_categories=())))
def test_any_str_arrives_or_is_refused(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        with pytest.raises(Unsendable, match="lone surrogate"):
            sent([text])
    else:
        assert arrives([text]) == [text]


@given(number=st.integers())
def test_any_int_arrives_or_is_refused(number: int) -> None:
    for value in (number, [number], {"a": number}, [1.5, number]):
        if -(2**63) <= number < 2**64:
            assert same(arrives(value), value)
        else:
            with pytest.raises(Unsendable, match="bits is outside"):
                sent(value)


@given(value=values)
def test_the_text_is_strict_json_that_any_reader_can_read(value: object) -> None:
    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    json.loads(sent(value)[0].decode("utf-8"), parse_constant=no_constant)


def test_a_decimal_does_not_depend_on_the_programs_context() -> None:
    with localcontext() as context:
        context.prec = 2
        context.clear_traps()
        assert str(arrives(Decimal("1.23456789"))) == "1.23456789"
        with pytest.raises(RemoteProtocolError):
            decode_value(b'{"__roc__":"decimal","value":"junk"}', [])


def test_long_lists_of_one_type_are_looked_at_to_the_last_item() -> None:
    source = random.Random(1)
    for odd in (NAN, INF, 2**64 - 1, True, None, "x", (1,), [1], {"a": NAN}, b"x", Speed.SLOW):
        for fill in (1.5, 7, "text", True, None):
            mixed: list[object] = [fill] * 500
            mixed[source.randrange(500)] = odd
            expected = [
                1 if item is Speed.SLOW else list(item) if isinstance(item, tuple) else item
                for item in mixed
            ]
            assert same(arrives(mixed), expected)


def test_a_text_is_walked_only_where_a_tag_may_stand() -> None:
    rows = [[float(x) for x in range(30)] for _ in range(200)]
    assert same(arrives(rows), rows)
    assert same(arrives({"note": "no __roc__ here", "rows": rows}),
                {"note": "no __roc__ here", "rows": rows})  # fmt: skip
    assert string.printable == arrives(string.printable)


def test_a_named_tuple_made_at_run_time_arrives_as_a_dict() -> None:
    usage = namedtuple("usage", ["total", "_used"], rename=True)
    assert arrives(usage(1, 2)) == {"total": 1, "_1": 2}
