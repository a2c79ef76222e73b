"""Slices, keys in which tuples stay tuples, and the views of a dict."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from runmacs.roc.errors import RemoteProtocolError, Unsendable
from runmacs.roc.wire.values import Buffer, Index, decode_arguments, encode_arguments, is_value
from sameness import same


def arrived(*args: object) -> list[Any]:
    buffers: list[Buffer] = []
    return decode_arguments(encode_arguments(args, {}, buffers), buffers)[0]


@pytest.mark.parametrize(
    "value",
    [
        slice(3),
        slice(1, None, -2),
        slice("a", "b"),
        slice(0.5, float("inf"), None),
        slice(None, [1, {"a": slice(1)}], b"x"),
        [slice(1), {"a": slice(None)}],
    ],
)
def test_slices_arrive_as_they_were(value: Any) -> None:
    assert arrived(value) == [value]
    assert is_value(slice(1))


@pytest.mark.parametrize(
    "key",
    ["x", 3, None, (), (1,), ("a", (2, "b")), (slice(1, 2), None), [1, 2], {"a": 1}],
)
def test_a_key_arrives_as_it_was(key: Any) -> None:
    (there,) = arrived(Index(key))
    assert same(there, key)


def test_outside_of_keys_tuples_are_lists() -> None:
    assert same(arrived((1, (2,)), Index([(1,)])), [[1, [2]], [[1]]])


def test_arrays_can_be_indices() -> None:
    where = np.array([0, 2])
    ((first, second),) = arrived(Index((where, slice(None))))
    assert same(first, where)
    assert second == slice(None)


@pytest.mark.parametrize("made", [dict, OrderedDict])
def test_the_views_of_a_dict_are_lists(made: Any) -> None:
    words = made(a=1, b=[2])
    assert arrived(words.keys(), words.values(), words.items()) == [
        ["a", "b"],
        [1, [2]],
        [["a", 1], ["b", [2]]],
    ]


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (slice(1, object()), "args[0] cannot"),
        (Index((1, ("a", object()))), "args[0][1][1] cannot"),
        (Index((1, "\ud800")), "args[0] cannot"),
        ({"a": slice(0, "\ud800")}, "args[0].a cannot"),
        ({slice(1)} if slice.__hash__ else [{object}], "args[0]"),
        ({"a": 1, "b": object()}.values(), "args[0][1] cannot"),
    ],
)
def test_what_cannot_be_sent_inside_is_named(value: Any, place: str) -> None:
    with pytest.raises(Unsendable) as caught:
        arrived(value)
    assert str(caught.value).startswith(place)


def test_keys_do_not_nest_for_ever() -> None:
    key: Any = ()
    for _ in range(200):
        key = (key,)
    with pytest.raises(Unsendable, match="nested deeper"):
        arrived(Index(key))
    text = b'[{"__roc__":"tuple","value":' * 200 + b"1" + b"}]" * 200
    with pytest.raises(RemoteProtocolError, match="nested deeper"):
        decode_arguments(text, [])
