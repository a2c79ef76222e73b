"""Arrays and numpy scalars: every dtype and layout, as views of what arrived."""

from __future__ import annotations

import itertools
import json
import math
import pathlib
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from runmacs.roc.errors import Unsendable
from runmacs.roc.wire.arrays import read_dtype, spell_dtype
from runmacs.roc.wire.memory import Memory
from runmacs.roc.wire.values import Buffer, decode_value, encode_value
from sameness import same

Array = np.ndarray[Any, Any]


def sent(value: object) -> tuple[Any, list[Buffer]]:
    """The tag, as JSON says it, and the buffers."""
    buffers: list[Buffer] = []
    return json.loads(encode_value(value, "result", buffers)), buffers


def arrives(value: object) -> Any:
    """What a value is after its journey, in frames that begin at odd addresses."""
    tag, buffers = sent(value)
    frames = [memoryview(b"!" + bytes(buffer))[1:] for buffer in buffers]
    return decode_value(json.dumps(tag).encode(), frames)


def filled(dtype: Any, shape: tuple[int, ...] = (2, 3)) -> Array:
    """An array of this dtype with other than zero bytes, where any bytes will do."""
    array = np.zeros(shape, dtype)
    if array.dtype.kind not in "bU" and array.dtype.names is None:
        array = np.arange(array.nbytes, dtype="u1").view(array.dtype).reshape(shape)
    return array


ALIGNED = np.dtype([("a", "u1"), ("b", "<f8"), ("c", "u1")], align=True)
NUMBERS = ["i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16", "U1", "U3", "M8",
           "m8", "M8[s]", "M8[ns]", "m8[us]", "m8[D]", "M8[Y]", "M8[25us]", "M8[as]"]  # fmt: skip
PLAIN = [
    *("|b1", "|i1", "|u1", "|S1", "|S7", "|V1", "|V9", np.dtype("g").str, np.dtype("G").str),
    *(order + number for number in NUMBERS for order in "<>"),
]
STRUCTURED: dict[str, Any] = {
    "two fields": [("a", "<u2"), ("b", ">f8")],
    "a name with spaces and umlauts": [("ä b", "<u2"), ("__roc__", "|S3")],
    "a subarray": [("a", "<u2", (2, 3)), ("b", "|b1", (1,)), ("c", "<f4", (0,))],
    "nested": [("a", [("x", "<i4"), ("y", [("z", ">u2", (2,))])]), ("b", "<M8[us]")],
    "a subarray of structures": [("a", [("x", "<i4"), ("y", "|u1")], (2, 2))],
    "aligned": ALIGNED,
    "aligned inside": [("u", "u1"), ("s", ALIGNED), ("t", ALIGNED, (2,))],
    "padded at its end": {"names": ["a"], "formats": ["<u2"], "offsets": [4], "itemsize": 32},
    "titles": [(("a title", "a"), "<u2"), ("b", "<u2")],
    "texts": [("u", "<U3"), ("s", "|S3"), ("v", "|V3")],
    "a void beside padding": {
        "names": ["v", "a"], "formats": ["|V2", "<u2"], "offsets": [0, 4], "itemsize": 8,
    },
    "no field": [],
    "an empty structure inside": [("a", []), ("b", "<u2")],
    "out of order": {"names": ["a", "b"], "formats": ["<u2", "<f4"], "offsets": [4, 0]},
    "overlapping": {
        "names": ["whole", "halves"], "formats": ["<u4", ("<u2", (2,))], "offsets": [0, 0],
        "itemsize": 5,
    },
    "texts in structures": [("a", "u1"), ("n", [("x", ">U2", (2,)), ("y", "<U0")], (2,))],
    "overlapping inside": [
        ("n", {"names": ["a", "b"], "formats": ["<u4", "<u2"], "offsets": [0, 1]}, (2,)),
        ("m", [("x", "<u2", (3,))], (2,)),
    ],
}  # fmt: skip
DTYPES = [np.dtype(spelling) for spelling in (*PLAIN, *STRUCTURED.values())]
IDS = [*PLAIN, *STRUCTURED]


@pytest.mark.parametrize("dtype", DTYPES, ids=IDS)
def test_every_dtype_arrives_as_it_was(dtype: np.dtype[Any]) -> None:
    for shape in ((), (1,), (2, 3), (0,), (3, 0, 2), (1, 1, 1, 1)):
        array = filled(dtype, shape)
        arrived = arrives(array)
        assert type(arrived) is np.ndarray
        assert same(arrived, array)
        assert not arrived.flags.writeable
        with pytest.raises(ValueError, match="WRITEABLE"):
            arrived.flags.writeable = True


@pytest.mark.parametrize("dtype", DTYPES, ids=IDS)
def test_every_dtype_has_a_spelling_that_is_plain_json(dtype: np.dtype[Any]) -> None:
    spelling = json.loads(json.dumps(spell_dtype(dtype)))
    back = read_dtype(spelling)
    assert back == dtype
    assert back.fields == dtype.fields
    assert back.itemsize == dtype.itemsize


LAYOUTS: dict[str, Any] = {
    "C": np.arange(24).reshape(2, 3, 4),
    "Fortran": np.asfortranarray(np.arange(24).reshape(2, 3, 4)),
    "transposed": np.arange(6).reshape(2, 3).T,
    "permuted": np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
    "every second": np.arange(10)[::2],
    "backwards": np.arange(10)[::-1],
    "a window": np.arange(100).reshape(10, 10)[2:5, 3:7],
    "a Fortran window": np.asfortranarray(np.arange(100).reshape(10, 10))[2:5, 3:7],
    "a column": np.arange(12).reshape(3, 4)[:, 1],
    "broadcast": np.broadcast_to(np.arange(3), (4, 3)),
    "a field": np.zeros(5, [("a", "u1"), ("b", "<f8")])["b"],
    "an odd address": np.frombuffer(b"!" + bytes(range(16)), "<u4", 4, offset=1),
    "fields": np.array([(1, 2, 3)], [("x", "u1"), ("y", "<u2"), ("z", "<f4")])[["z", "x"]],
    "empty and transposed": np.zeros((0, 3)).T,
    "0-d": np.array(5),
    "0-d of a structure": np.zeros((), ALIGNED),
}


@pytest.mark.parametrize("array", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_arrives_with_its_values(array: Array) -> None:
    arrived = arrives(array)
    assert same(arrived, array)
    assert arrived.shape == array.shape


@pytest.mark.parametrize("array", LAYOUTS.values(), ids=LAYOUTS)
def test_fortran_order_is_kept_and_everything_else_is_in_c_order(array: Array) -> None:
    tag, _ = sent(array)
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    assert tag.get("order", "C") == ("F" if fortran else "C")
    arrived = arrives(array)
    assert arrived.flags.f_contiguous if fortran else arrived.flags.c_contiguous


@pytest.mark.parametrize("dtype", ["<u2", ">f8", "<M8[s]", "<U4", "<f2", "g", ALIGNED])
@pytest.mark.parametrize("order", ["C", "F"])
def test_contiguous_memory_is_copied_on_neither_side(dtype: Any, order: Any) -> None:
    array = np.zeros((300, 200), dtype, order=order)
    buffers: list[Buffer] = []
    text = encode_value(array, "result", buffers)
    view = memoryview(buffers[0])
    assert (view.ndim, view.format, view.nbytes) == (1, "B", array.nbytes)
    assert np.shares_memory(np.frombuffer(view, "u1"), array)
    assert np.shares_memory(decode_value(text, buffers), array)


def test_a_large_array_takes_no_memory_on_its_way() -> None:
    array = np.zeros((2048, 2048), "<u2")
    buffers: list[Buffer] = []
    decode_value(encode_value(array, "result", buffers), buffers)
    tracemalloc.start()
    try:
        arrived = decode_value(encode_value(array, "result", buffers), buffers)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert arrived.nbytes == array.nbytes
    assert peak < 64 * 1024


def test_an_array_keeps_the_memory_that_it_is_a_view_of() -> None:
    text, buffers = sent(np.arange(1000))
    arrived = decode_value(json.dumps(text).encode(), [bytes(buffers.pop())])
    assert arrived.sum() == 499500


def test_a_writable_frame_makes_a_read_only_array_all_the_same() -> None:
    text = b'{"__roc__":"array","dtype":"<u2","shape":[2],"buffer":0}'
    assert not decode_value(text, [bytearray(4)]).flags.writeable


def test_an_array_may_bring_its_memory_as_base64() -> None:
    text = b'{"__roc__":"array","dtype":">u2","shape":[1,2],"base64":"AAEAAg=="}'
    arrived = decode_value(text, [])
    assert same(arrived, np.array([[1, 2]], ">u2"))
    assert not arrived.flags.writeable


def test_arrays_stand_anywhere() -> None:
    value = {"frames": [np.arange(3), {"dark": np.zeros((2, 2), ">f4")}], "n": np.uint8(2)}
    assert same(arrives(value), value)


def test_subclasses_of_numpys_own_arrive_as_arrays(tmp_path: pathlib.Path) -> None:
    mapped = np.memmap(tmp_path / "frame", "<u2", "w+", shape=(2, 3))
    records = np.rec.array([(1, 2.5), (3, 4.5)], dtype=[("a", "<i4"), ("b", "<f8")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        matrix = np.matrix([[1, 2], [3, 4]])
    for special in (mapped, records, matrix):
        arrived = arrives(special)
        assert type(arrived) is np.ndarray
        assert arrived.dtype == special.dtype
        assert arrived.tolist() == special.tolist()


class Quantity(np.ndarray):
    """An array with a unit, as several libraries have one."""


REFUSED: list[tuple[Any, str]] = [
    (np.array([object()]), "result cannot be sent: the dtype object holds Python objects"),
    (np.zeros(1, [("a", "<u2"), ("b", "O")]), "result cannot be sent: the dtype [('a', '<u2')"),
    (np.zeros(1, [("a", [("b", "O", (2,))])]), "holds Python objects; send a list, or astype"),
    (np.zeros(1, [("a", "O")])[0], "result cannot be sent: the dtype [('a', 'O')]"),
    (np.ma.array([1, 2], mask=[False, True]), "a masked array; send .filled(...), or its"),
    (np.ma.masked, "result cannot be sent: a masked array"),
    (np.zeros(3).view(Quantity), "a Quantity is more than a plain array; send numpy.asarray(...)"),
    (np.zeros(1, [("\ud800", "<u2")]), "result cannot be sent: it holds a lone surrogate"),
    ([{"a": np.zeros(1, [("\ud800", "<u2")])}], "result[0].a cannot be sent: it holds a lone"),
    ([np.str_("\ud800")], "result[0] cannot be sent: it holds a lone surrogate"),
    (np.array([2**21], "<u4").view("<U1"), "result cannot be sent: a text has code points that"),
    ({"frames": [1, np.array([None])]}, "result.frames[1] cannot be sent: the dtype object holds"),
    ({"a": [np.dtype("<u2")]}, "result.a[0] cannot be sent: a value of type numpy"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=[pair[1][-50:] for pair in REFUSED])
def test_what_is_more_than_numbers_is_refused(value: object, message: str) -> None:
    buffers: list[Buffer] = []
    with pytest.raises(Unsendable) as caught:
        encode_value([b"x", value], "result", buffers)
    assert buffers == []
    with pytest.raises(Unsendable) as caught:
        sent(value)
    assert message in str(caught.value)


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="numpy 2 has StringDType")
def test_texts_that_live_elsewhere_are_refused() -> None:
    with pytest.raises(Unsendable, match="holds Python objects"):
        sent(np.array(["a", "b"], np.dtypes.StringDType()))


SCALARS: list[Any] = [
    np.True_, np.False_, np.int8(-128), np.uint8(255), np.int64(-(2**63)), np.uint64(2**64 - 1),
    np.float16(0.1), np.float32(0.1), np.float64(0.1), np.float64(-0.0), np.float32("inf"),
    np.float16("-inf"), np.float64("nan"), np.float32(3.4028235e38), np.float32(1e-45),
    np.longdouble("1.1"), np.longdouble("inf"), np.complex64(1 + 2j), np.complex128(complex(-0.0)),
    np.clongdouble(1 + 2j), np.str_("ä\0"), np.str_(""), np.bytes_(b"\xff\0"), np.bytes_(b""),
    np.datetime64("2026-11-22T10:00:00.123456789"), np.datetime64("NaT", "s"),
    np.datetime64("2026"), np.array([1], "M8[25us]")[0], np.timedelta64(-3, "D"),
    np.timedelta64("NaT", "D"),
    np.void(b"\0\xff"), np.void(b""), np.zeros(1, ALIGNED)[0],
    np.array([(1, (2.5, 3))], [("a", ">i4"), ("b", [("x", "<f4"), ("y", "u1")])])[0],
    np.array([1, 2], ">i4")[0],
]  # fmt: skip


@pytest.mark.parametrize("scalar", SCALARS, ids=[f"{type(s).__name__}-{s}" for s in SCALARS])
def test_every_scalar_arrives_as_it_was(scalar: Any) -> None:
    arrived = arrives([scalar, {"a": scalar}])
    assert same(arrived, [scalar, {"a": scalar}])


def test_scalars_may_be_members_of_a_set() -> None:
    value = {np.float64(1.5), np.str_("x"), np.datetime64(1, "s"), np.bytes_(b"x")}
    assert same(arrives(value), value)


def test_a_scalar_is_not_a_python_number_and_an_array_is_no_scalar() -> None:
    assert same(arrives(np.float64(1.5)), np.float64(1.5))
    assert not same(arrives(np.float64(1.5)), 1.5)
    assert type(arrives(np.array(1.5))) is np.ndarray


# Random ones -----------------------------------------------------------------------------

plain_dtypes = npst.scalar_dtypes() | npst.byte_string_dtypes() | npst.unicode_string_dtypes()
structured_dtypes = npst.nested_dtypes(plain_dtypes, max_leaves=5, max_itemsize=300)
any_dtypes = plain_dtypes | structured_dtypes.filter(lambda dtype: dtype.subdtype is None)
shapes = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


@given(dtype=any_dtypes, shape=shapes, data=st.data())
def test_any_array_arrives_as_it_was(
    dtype: np.dtype[Any], shape: tuple[int, ...], data: st.DataObject
) -> None:
    size = int(np.prod(shape)) * dtype.itemsize
    raw = data.draw(st.binary(min_size=size, max_size=size))
    if dtype.itemsize:
        if "U" in str(dtype.descr):
            raw = bytes(size)
        array: Array = np.ndarray(shape, dtype, buffer=bytearray(raw or b"!"))
        axes = data.draw(st.permutations(range(array.ndim)))
        steps = data.draw(
            st.lists(st.sampled_from([1, 2, -1]), min_size=array.ndim, max_size=array.ndim)
        )
        window: Any = (*(slice(None, None, step) for step in steps), ...)
        array = array.transpose(axes)[window]
        assert same(arrives(array), array)


@given(dtype=any_dtypes)
def test_any_dtype_comes_back_from_its_spelling(dtype: np.dtype[Any]) -> None:
    assert read_dtype(json.loads(json.dumps(spell_dtype(dtype)))) == dtype


def test_orders_of_fields_all_come_back() -> None:
    array = np.array([(1, 2, 3, 4)], [("a", "u1"), ("b", "<u2"), ("c", ">f4"), ("d", "<U2")])
    for size in range(1, 5):
        for names in itertools.permutations("abcd", size):
            chosen = array[list(names)]
            assert same(arrives(chosen), chosen)


@pytest.mark.parametrize("shape", [(1024, 1024), (2**20, 1), (1,), ()])
def test_an_array_that_arrived_holds_its_memory(shape: tuple[int, ...]) -> None:
    """Else who received it takes it for free, and the next frame overwrites it."""
    size = 2 * Memory.LEAST
    dtype = f"|V{size // math.prod(shape)}"
    memory, buffer = Memory(), bytearray(size)
    memory.keep(buffer)
    frame = memoryview(buffer).toreadonly()
    tag = {"__roc__": "array", "dtype": dtype, "shape": list(shape), "buffer": 0}
    array = decode_value(json.dumps(tag).encode(), [frame])
    del buffer, frame
    assert memory.take(size) is None
    view = array[..., None]
    del array
    assert memory.take(size) is None
    assert not view.flags.writeable
    del view
    assert memory.take(size) is not None
