"""What a peer may send as tags: anything. Each gives a value, or one protocol error."""

from __future__ import annotations

import base64
import contextlib
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runmacs.roc.errors import RemoteProtocolError
from runmacs.roc.wire.forms import DEPTH
from runmacs.roc.wire.values import Buffer, decode_arguments, decode_value

NAN = {"__roc__": "float", "value": "nan"}


def decoded(tree: object, *buffers: bytes) -> Any:
    return decode_value(json.dumps(tree).encode(), buffers)


def tag(kind: object, /, **members: object) -> dict[str, object]:
    return {"__roc__": kind, **members}


def array_of(dtype: object, shape: object = (), **members: object) -> dict[str, object]:
    return tag("array", dtype=dtype, shape=shape, **{"buffer": 0, **members})


# One bad thing each, beside sixteen bytes as buffer 0.
HOSTILE: dict[str, object] = {
    "no such kind": tag("pickle", value="gASVAAAA"),
    "kind is null": tag(None),
    "kind is a list": tag(["bytes"]),
    "kind is an object": tag({}),
    "buffer beyond the last": tag("bytes", buffer=1),
    "buffer negative": tag("bytes", buffer=-1),
    "buffer is true": tag("bytes", buffer=False),
    "buffer is a float": tag("bytes", buffer=0.0),
    "buffer is huge": tag("bytes", buffer=2**70),
    "buffer is null": tag("bytes", buffer=None),
    "buffer is wrong though base64 is there": tag("bytes", buffer=9, base64="QQ=="),
    "bytes of nothing": tag("bytes"),
    "base64 is short": tag("bytes", base64="QQ"),
    "base64 is URL-safe": tag("bytes", base64="_-8="),
    "base64 has a line end": tag("bytes", base64="QQ==\n"),
    "base64 is not ASCII": tag("bytes", base64="ÄÖ=="),
    "base64 is a number": tag("bytes", base64=17),
    "float is no name": tag("float", value="infinite"),
    "float is a number": tag("float", value=1.5),
    "float is a list": tag("float", value=["nan"]),
    "float is missing": tag("float"),
    "complex of one": tag("complex", value=[1.0]),
    "complex of three": tag("complex", value=[1, 2, 3]),
    "complex of text": tag("complex", value=["1", "2"]),
    "complex of truth": tag("complex", value=[True, 1.0]),
    "complex too large": tag("complex", value=[10**400, 0]),
    "complex of complex": tag("complex", value=[tag("complex", value=[1, 2]), 0]),
    "complex is a number": tag("complex", value=1),
    "datetime in words": tag("datetime", value="tomorrow"),
    "datetime is empty": tag("datetime", value=""),
    "datetime is a number": tag("datetime", value=0),
    "datetime out of range": tag("datetime", value="2026-02-30T00:00:00"),
    "datetime far out": tag("datetime", value="99999-01-01T00:00:00"),
    "datetime with a bad offset": tag("datetime", value="2026-01-01T00:00:00+99:99"),
    "date with a time": tag("date", value="2026-01-01T00:00:00"),
    "date is a list": tag("date", value=[]),
    "time of day 25": tag("time", value="25:00"),
    "timedelta too long": tag("timedelta", microseconds=10**30),
    "timedelta of a float": tag("timedelta", microseconds=1.5),
    "timedelta of truth": tag("timedelta", microseconds=True),
    "timedelta of nothing": tag("timedelta"),
    "decimal in words": tag("decimal", value="a lot"),
    "decimal is a number": tag("decimal", value=1.5),
    "decimal is empty": tag("decimal", value=""),
    "decimal exponent too large": tag("decimal", value="1E+9999999999999999999"),
    "decimal exponent too small": tag("decimal", value="1E-9999999999999999999"),
    "fraction of a number": tag("fraction", value=0.5),
    "fraction of one part": tag("fraction", value="3"),
    "fraction in decimals": tag("fraction", value="0.5/1"),
    "fraction with an exponent": tag("fraction", value="1e1000000000"),
    "fraction by zero": tag("fraction", value="1/0"),
    "fraction by less": tag("fraction", value="1/-3"),
    "fraction of other digits": tag("fraction", value="١/٣"),
    "fraction too long": tag("fraction", value=f"{'9' * 5000}/1"),
    "uuid is short": tag("uuid", value="1234"),
    "uuid is a number": tag("uuid", value=1234),
    "set is an object": tag("set", value={}),
    "set is text": tag("set", value="abc"),
    "set is missing": tag("set"),
    "set with a dict": tag("set", value=[{}]),
    "set with a dict in a list": tag("set", value=[[1, [{"a": 1}]]]),
    "set with a dict tag": tag("set", value=[tag("dict", value=[])]),
    "set with an array": tag("set", value=[array_of("<u2", [8])]),
    "set with a signalling NaN": tag("set", value=[tag("decimal", value="sNaN")]),
    "dict is an object": tag("dict", value={"ab": 1}),
    "dict of text": tag("dict", value=["ab"]),
    "dict of triples": tag("dict", value=[["a", 1, 2]]),
    "dict with a number as key": tag("dict", value=[[1, 2]]),
    "dict with a list as key": tag("dict", value=[[["a"], 2]]),
    "dict is missing": tag("dict"),
    "member is unknown": tag("member", kind="module"),
    "member is a list": tag("member", kind=["method"]),
    "member is missing": tag("member"),
    "object without path": tag("object"),
    "object at a number": tag("object", path=1),
    "array of nothing": tag("array"),
    "array without dtype": tag("array", shape=[8], buffer=0),
    "array without shape": tag("array", dtype="<u2", buffer=0),
    "array without memory": tag("array", dtype="<u2", shape=[8]),
    "array too small": array_of("<u2", [7]),
    "array too large": array_of("<u2", [9]),
    "array of a negative size": array_of("<u2", [-8]),
    "array of two negative sizes": array_of("<u2", [-2, -4]),
    "array of a huge size": array_of("<u2", [2**62]),
    "array whose sizes overflow": array_of("<u2", [2**32, 2**32]),
    "array whose sizes overflow to its size": array_of("|u1", [2**60 + 1, 16]),
    "array huge but empty": array_of("<u2", [0, 2**62], buffer=None, base64=""),
    "array huge, empty, in base64": tag(
        "array", dtype="<u8", shape=[2**62, 2**62, 0], base64=""
    ),
    "array size beyond 64 bits": array_of("<u2", [10**100]),
    "array size is a float": array_of("<u2", [8.0]),
    "array size is true": array_of("|S16", [True]),
    "array shape is a number": array_of("<u2", 8),
    "array shape is an object": array_of("<u2", {"0": 8}),
    "array of many dimensions": array_of("|S16", [1] * 65),
    "array of too many dimensions": array_of("|S16", [1] * 100_000),
    "array of texts that are none": tag("array", dtype="<U1", shape=[1], base64="/////w=="),
    "array of texts just beyond": tag("array", dtype=">U1", shape=[1], base64="ABEAAA=="),
    "array in no order": array_of("<u2", [8], order="A"),
    "array in an order that is a list": array_of("<u2", [8], order=["F"]),
    "array of base64 that is none": tag("array", dtype="<u2", shape=[1], base64="?"),
    "scalar of nothing": tag("scalar"),
    "scalar without value": tag("scalar", dtype="<f4"),
    "scalar without dtype": tag("scalar", value=1),
    "scalar of text in a float": tag("scalar", dtype="<f4", value="1"),
    "scalar of truth in an int": tag("scalar", dtype="<i4", value=True),
    "scalar of an int as truth": tag("scalar", dtype="|b1", value=1),
    "scalar of a float in an int": tag("scalar", dtype="<i4", value=1.0),
    "scalar too large for its int": tag("scalar", dtype="|u1", value=256),
    "scalar too small for its int": tag("scalar", dtype="<u4", value=-1),
    "scalar too large for its float": tag("scalar", dtype="<f4", value=1e300),
    "scalar too large for any float": tag("scalar", dtype="<f8", value=10**400),
    "scalar of a list": tag("scalar", dtype="<f4", value=[1.0]),
    "scalar of a date as number": tag("scalar", dtype="<M8[s]", value=0),
    "scalar of too many bytes": tag("scalar", dtype="<M8[s]", base64="AAAA"),
    "scalar of a structure with no text": tag("scalar", dtype=[["a", "<U1"]], base64="/////w=="),
    "array of structures with no text": tag(
        "array", dtype=[["a", "|u1"], ["b", [["c", ">U1", [2]]], [1]]], shape=[1],
        base64="AAAAAAAAEQAA",
    ),
    "array of texts upon texts": array_of(
        {"names": [f"f{n}" for n in range(17)], "formats": ["<U4"] * 17, "offsets": [0] * 17,
         "itemsize": 16}, [1],
    ),
    "scalar of text in bytes": tag("scalar", dtype="<U1", base64="AAAAAQ=="),
    "scalar in a scalar": tag("scalar", dtype="<f4", value=tag("scalar", dtype="<f4", value=[])),
}  # fmt: skip

# None of these is ever the dtype of an array of sixteen bytes.
BAD_DTYPES: list[object] = [
    "O", "|O", "|O8", "object", "<O8", "O8", "u2", "=u2", "|u2", "<u3", "<b2", "<i16", "f", "float",
    "int", "", " <u2", "<u2 ", "<u2\n", "<u2,<u2", "2<u2", "(2,)<u2", "<u2;import os", "|S-1",
    "|S99999999999", "<U999999999999999", "<U9999999999", "<M8[0s]", "<M8[fortnight]", "<M8[s/3]",
    "<M8[]s", "|V٣", "T", "StringDType()", "<f3", "|f8",
    None, True, 2, 1.5, {}, ["<u2"], ["<u2", "<u2"], ["<u2", [8]], [[]], [["a"]], [["a", None]],
    [["a", "|O8"], ["b", "<u8"]], [["a", "O"]], [["a", [["b", "|O8"]]]], [["a", {"bO": 1}]],
    [["a", "<u8"], ["a", "<u8"]], [[1, "<u2"]], [[None, "<u2"]], [[["t", 1], "<u2"]],
    [[["t", "n", "x"], "<u2"]], [[["a", "a"], "<u8"], ["b", "<u8"]],
    [["a", "<u2", [-8]]], [["a", "<u2", 8]], [["a", "<u2", [True]]], [["a", "<u2", ["8"]]],
    [["a", "<u2", [2**40, 2**40]]], [["a", "<u2", [2**31]]], [["a", "<u2", [8], 1]],
    [["a", "|V2147483647"], ["b", "|V2147483647"]], {"aO": 1}, {"a": ["|O8", 0]},
    {"names": ["a"], "formats": ["|O8"], "offsets": [0], "itemsize": 16},
    {"names": ["a"], "formats": ["<u2"], "offsets": [-1], "itemsize": 16},
    {"names": ["a"], "formats": ["<u2"], "offsets": [15], "itemsize": 16},
    {"names": ["a"], "formats": ["<u2"], "offsets": [2**70], "itemsize": 16},
    {"names": ["a"], "formats": ["<u2"], "offsets": [0], "itemsize": 2**70},
    {"names": ["a"], "formats": ["<u2"], "offsets": [0], "itemsize": -16},
    {"names": ["a"], "formats": ["<u2"], "offsets": [0]},
    {"names": ["a", "b"], "formats": ["<u2"], "offsets": [0], "itemsize": 16},
    {"names": ["a", "a"], "formats": ["<u2", "<u2"], "offsets": [0, 2], "itemsize": 16},
    {"names": [1], "formats": ["<u2"], "offsets": [0], "itemsize": 16},
    {"names": "a", "formats": ["<u2"], "offsets": [0], "itemsize": 16},
    {"names": None, "formats": ["<u2"], "offsets": [0], "itemsize": 16},
    {"names": ["a"], "formats": "<u2", "offsets": [0], "itemsize": 16},
    {"names": ["a"], "formats": [["<u2", [2**62]]], "offsets": [0], "itemsize": 16},
]  # fmt: skip


@pytest.mark.parametrize("tree", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_tag_is_a_protocol_error(tree: object) -> None:
    for placed in (tree, [tree], {"a": tree}, tag("set", value=[tree]), [NAN, tree]):
        with pytest.raises(RemoteProtocolError, match=r"^the peer sent a bad value: \w"):
            decoded(placed, bytes(16))


@pytest.mark.parametrize("dtype", BAD_DTYPES, ids=lambda dtype: json.dumps(dtype)[:60])
def test_a_hostile_dtype_is_a_protocol_error(dtype: object) -> None:
    for shape in ([], [1], [2], [8], [16]):
        with pytest.raises(RemoteProtocolError):
            decoded(array_of(dtype, shape), bytes(16))
    with pytest.raises(RemoteProtocolError):
        decoded(tag("scalar", dtype=dtype, base64=base64.b64encode(bytes(16)).decode()))


def test_a_dtype_of_endless_structures_is_a_protocol_error() -> None:
    by_descr: object = "<u2"
    by_layout: object = "<u2"
    for _ in range(200):
        by_descr = [["a", by_descr]]
        by_layout = {"names": ["a"], "formats": [by_layout], "offsets": [0], "itemsize": 2}
    for dtype in (by_descr, by_layout):
        with pytest.raises(RemoteProtocolError, match="nested"):
            decoded(array_of(dtype, [8]), bytes(16))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"nul", b"{", b"[1,]", b'{"a":1,}', b"{1:2}", b"NaN", b"Infinity", b"-Infinity",
        b"1e999", b"01", b"+1", b".5", b"0x1", b"'a'", b'"\x00"', b'"\xff"', b'{"\xff":1}',
        b'"\\ud800"', b'"\\ud800\\u0041"', b'"\\udc00"', b'"\\x41"', b"\xef\xbb\xbf1", b"1 2",
        b"\x80\x04N.", b"1" * 100_000, b"[" * 100_000, b'{"a":' * 100_000,
    ],
    ids=lambda raw: ascii(raw[:20]),
)  # fmt: skip
def test_what_is_not_json_is_a_protocol_error(raw: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_value(raw, [])
    with pytest.raises(RemoteProtocolError):
        decode_arguments(raw, [])


def nested(levels: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    return opening * levels + b"1" + closing * levels


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        (b"[", b"]"),
        (b'{"a":', b"}"),
        (b'["[{",', b"]"),
        (b'{"__roc__":"set","value":[', b"]}"),
        (b'{"__roc__":"dict","value":[["a",', b"]]}"),
        (b'{"b":{"__roc__":"float","value":"nan"},"a":', b"}"),
    ],
    ids=["list", "dict", "list among lists", "set", "tagged dict", "dict with a tag"],
)
def test_nesting_is_limited_to_the_level(opening: bytes, closing: bytes) -> None:
    decode_value(nested(DEPTH, opening, closing), [])
    decode_arguments(b"[" + nested(DEPTH, opening, closing) + b"]", [])
    decode_arguments(b'{"a":' + nested(DEPTH, opening, closing) + b"}", [])
    for levels in (DEPTH + 1, 300, 2000):
        raw = nested(levels, opening, closing)
        with pytest.raises(RemoteProtocolError, match="nested deeper than 128 levels"):
            decode_value(raw, [])
        with pytest.raises(RemoteProtocolError, match="nested deeper than 128 levels"):
            decode_arguments(b"[" + raw + b"]", [])
        with pytest.raises(RemoteProtocolError, match="nested deeper than 128 levels"):
            decode_arguments(b'{"*":[' + raw + b"]}", [])


def test_a_tag_is_known_however_its_key_is_spelled() -> None:
    assert decode_value(rb'{"\u005f_roc__":"bytes","base64":"QQ=="}', []) == b"A"
    assert decode_value(rb'{"\u005f\u005F\u0072oc__":"date","value":"2026-11-22"}', []) is not None
    with pytest.raises(RemoteProtocolError):
        decode_value(rb'{"__\u0072oc__":"pickle"}', [])


def test_members_that_are_not_known_are_ignored() -> None:
    assert decoded(tag("decimal", value="1.50", unit="mm", buffer=99)) == Decimal("1.50")
    assert decoded(array_of("<u2", [1], colour="red"), b"\1\0").tolist() == [1]


def test_a_buffer_named_often_is_copied_once() -> None:
    swelling = [tag("bytes", buffer=0)] * 1000
    copies = decode_value(json.dumps(swelling).encode(), [bytearray(1 << 20)])
    assert len({id(copy) for copy in copies}) == 1


def test_an_error_shows_little_of_what_came_and_nothing_that_moves_a_cursor() -> None:
    evil = "\x1b[2J\u202e" + "x" * 10_000
    for tree in (tag(evil), tag("decimal", value=evil), array_of(evil), tag("member", kind=evil),
                 tag("bytes", base64=evil), array_of([[evil, "|O8"]])):  # fmt: skip
        with pytest.raises(RemoteProtocolError) as caught:
            decoded(tree, b"")
        assert len(str(caught.value)) < 250
        assert str(caught.value).isprintable()


# Random ones -----------------------------------------------------------------------------

KINDS = ["array", "bytes", "complex", "date", "datetime", "decimal", "dict", "float",
         "fraction", "member", "object", "scalar", "set", "time", "timedelta", "uuid"]  # fmt: skip
DTYPES = ["<u2", ">f8", "|b1", "|S3", "<U2", "|V5", "<M8[us]", "<m8", "<f16", "<c8", "|u1", "<U0",
          "|O8", "<f2"]  # fmt: skip

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 20)
    | st.sampled_from([2**31, 2**32, 2**62, 2**63, 2**64, -(2**63), 10**30, 10**400])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
texts = st.sampled_from(
    ["nan", "-inf", "2026-11-22T10:00:00+02:00", "2026-11-22", "10:00:00.5", "1.50", "sNaN", "1E9",
     "1E+9999999999999999999", "12345678-1234-5678-1234-567812345678", "method", "", "AAAA", "QQ==",
     "F", "C", "a", "b", *DTYPES]
)  # fmt: skip
names = st.sampled_from(["a", "b", "", "f0", "é"])
dtypes = st.recursive(
    st.sampled_from(DTYPES) | scalars,
    lambda inner: (
        st.lists(
            st.tuples(names, inner).map(list)
            | st.tuples(names, inner, st.lists(st.integers(0, 3), max_size=2)).map(list)
            | st.tuples(st.tuples(names, names).map(list), inner).map(list),
            max_size=3,
        )
        | st.fixed_dictionaries(
            {
                "names": st.lists(names, max_size=3),
                "formats": st.lists(inner, max_size=3),
                "offsets": st.lists(st.integers(0, 8), max_size=3),
                "itemsize": st.integers(0, 24),
            }
        )
    ),
    max_leaves=4,
)
shapes = st.lists(st.integers(-1, 4) | scalars, max_size=4)


def tags_around(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Objects like tags: every kind with every member, each of which may be anything."""
    anything = inner | scalars | texts
    return st.fixed_dictionaries(
        {"__roc__": st.sampled_from(KINDS) | anything},
        optional={
            "value": anything | st.lists(anything, max_size=3),
            "buffer": st.integers(-1, 3) | anything,
            "base64": st.binary(max_size=9).map(lambda raw: base64.b64encode(raw).decode()) | texts,
            "dtype": dtypes | anything,
            "shape": shapes | anything,
            "order": texts,
            "microseconds": scalars,
            "kind": texts,
            "more": anything,
        },
    )


trees = st.recursive(
    scalars | texts,
    lambda inner: (
        tags_around(inner)
        | st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "*", "__roc__", ""]), inner, max_size=3)
    ),
    max_leaves=12,
)
buffer_lists = st.lists(st.binary(max_size=24) | st.binary(max_size=24).map(bytearray), max_size=3)


def survives(raw: bytes, buffers: list[Buffer]) -> None:
    """Decode, and let nothing through but a value or the one error."""
    for decode in (decode_value, decode_arguments):
        with contextlib.suppress(RemoteProtocolError):
            value = decode(raw, buffers)
            if isinstance(value, np.ndarray):
                assert not value.flags.writeable
                assert not value.dtype.hasobject


@given(raw=st.binary(max_size=60), buffers=buffer_lists)
def test_any_bytes_give_a_value_or_a_protocol_error(raw: bytes, buffers: list[Buffer]) -> None:
    survives(raw, buffers)


@settings(max_examples=500)
@given(tree=trees, buffers=buffer_lists)
@example(tree=tag("scalar", dtype="<f2", value=1e300), buffers=[])
def test_any_json_gives_a_value_or_a_protocol_error(tree: object, buffers: list[Buffer]) -> None:
    survives(json.dumps(tree).encode(), buffers)


@settings(max_examples=500)
@given(tree=tags_around(scalars), buffers=buffer_lists)
def test_any_tag_gives_a_value_or_a_protocol_error(tree: object, buffers: list[Buffer]) -> None:
    survives(json.dumps(tree).encode(), buffers)


@settings(max_examples=500)
@given(dtype=dtypes, shape=shapes, buffer=st.binary(max_size=24), order=st.sampled_from(["C", "F"]))
def test_any_dtype_gives_a_value_or_a_protocol_error(
    dtype: object, shape: object, buffer: bytes, order: str
) -> None:
    survives(json.dumps(array_of(dtype, shape, order=order)).encode(), [buffer])


@given(
    tree=trees,
    at=st.integers(0, 10**6),
    byte=st.integers(0, 255),
    cut=st.booleans(),
)
def test_a_damaged_text_gives_a_value_or_a_protocol_error(
    tree: object, at: int, byte: int, cut: bool
) -> None:
    raw = bytearray(json.dumps(tree).encode())
    at %= len(raw)
    raw[at] = byte
    survives(bytes(raw[:at] if cut else raw), [b"12345678"])
