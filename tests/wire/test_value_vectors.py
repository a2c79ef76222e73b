"""The vectors of the specification: values as data, for this and every other language."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runmacs.roc.errors import RemoteProtocolError, Unsendable
from runmacs.roc.wire.values import Buffer, Member, Resident, decode_value, encode_value
from sameness import same

PATH = Path(__file__).parents[2] / "spec" / "vectors" / "values.json"
VECTORS: dict[str, list[dict[str, Any]]] = json.loads(PATH.read_text(encoding="utf-8"))


def names(kind: str) -> list[str]:
    return [vector["name"] for vector in VECTORS[kind]]


def built(value: Any) -> Any:
    """The Python value that a vector describes; on purpose nothing of the product is used."""
    if isinstance(value, list):
        return [built(item) for item in value]
    if isinstance(value, dict):
        if "$" in value:
            return BUILDERS[value["$"]](value)
        return {key: built(item) for key, item in value.items()}
    return value


def complex_of(value: dict[str, Any]) -> complex:
    return complex(*map(float, value["value"]))


def array_of(value: dict[str, Any]) -> Any:
    dtype = dtype_of(value["dtype"])
    stored = np.dtype(dtype.str[0] + "i8") if dtype.kind in "mM" else dtype
    array: Any = np.zeros(value["shape"], stored, order=value["order"])
    items = built(value["items"])
    for index in np.ndindex(array.shape):
        item = items
        for place in index:
            item = item[place]
        array[index] = record(item, stored)
    return array.view(dtype)


def scalar_of(value: dict[str, Any]) -> Any:
    return array_of({**value, "items": value["item"], "shape": [], "order": "C"})[()]


def record(item: Any, dtype: np.dtype[Any]) -> Any:
    """An item as numpy wants it, which takes a tuple for a structure and a list for an axis."""
    if dtype.names is None:
        return item
    return tuple(record(part, dtype[name]) for part, name in zip(item, dtype.names, strict=True))


def dtype_of(spelling: Any) -> np.dtype[Any]:
    if isinstance(spelling, str):
        return np.dtype(spelling)
    if isinstance(spelling, dict):
        formats = [
            (dtype_of(part[0]), tuple(part[1])) if isinstance(part, list) else dtype_of(part)
            for part in spelling["formats"]
        ]
        return structure({**spelling, "formats": formats})
    fields: list[Any] = []
    for name, inner, *shape in spelling:
        label = tuple(name) if isinstance(name, list) else name
        fields.append((label, dtype_of(inner), *map(tuple, shape)))
    if not any(name == "" for name, *_ in fields):
        return np.dtype(fields)
    places = np.cumsum([0, *(field[1].itemsize for field in fields)]).tolist()
    real = [(field, place) for field, place in zip(fields, places, strict=False) if field[0]]
    return structure(
        {
            "names": [field[0] for field, _ in real],
            "formats": [field[1] for field, _ in real],
            "offsets": [place for _, place in real],
            "itemsize": places[-1],
        }
    )


def structure(layout: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(layout)
    return dtype


BUILDERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "int": lambda value: int(value["value"]),
    "float": lambda value: float(value["value"]),
    "decimal": lambda value: Decimal(value["value"]),
    "fraction": lambda value: Fraction(value["value"]),
    "uuid": lambda value: uuid.UUID(value["value"]),
    "date": lambda value: date.fromisoformat(value["value"]),
    "time": lambda value: time.fromisoformat(value["value"]),
    "datetime": lambda value: datetime.fromisoformat(value["value"]),
    "timedelta": lambda value: timedelta(microseconds=int(value["microseconds"])),
    "complex": complex_of,
    "bytes": lambda value: base64.b64decode(value["base64"]),
    "set": lambda value: set(built(value["items"])),
    "frozenset": lambda value: frozenset(built(value["items"])),
    "tuple": lambda value: tuple(built(value["items"])),
    "slice": lambda value: slice(*built(value["items"])),
    "member": lambda value: Member(value["kind"]),
    "object": lambda value: Resident(value["path"]),
    "array": array_of,
    "scalar": scalar_of,
    "utf16": lambda value: "".join(chr(int(unit, 16)) for unit in value["units"]),
}


def received(vector: dict[str, Any]) -> tuple[bytes, list[bytes]]:
    if "json" in vector:
        text = vector["json"].encode()
    else:
        text = base64.b64decode(vector["json_base64"])
    return text, [base64.b64decode(buffer) for buffer in vector["buffers"]]


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=names("valid"))
def test_a_valid_text_is_its_value(vector: dict[str, Any]) -> None:
    value = built(vector["value"])
    decoded = decode_value(*received(vector))
    assert same(decoded, value)
    if isinstance(value, np.ndarray):
        assert decoded.flags.f_contiguous == value.flags.f_contiguous


SENT = [vector for vector in VECTORS["valid"] if vector["sent"]]


@pytest.mark.parametrize("vector", SENT, ids=[vector["name"] for vector in SENT])
def test_a_value_is_sent_as_its_text(vector: dict[str, Any]) -> None:
    buffers: list[Buffer] = []
    text = encode_value(built(vector["value"]), "result", buffers)
    expected, expected_buffers = received(vector)
    assert ordered(text) == ordered(expected)
    assert list(map(bytes, buffers)) == expected_buffers


def ordered(text: bytes) -> str:
    """A text without what JSON does not mean: white space and the order of members."""
    return json.dumps(json.loads(text), sort_keys=True)


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=names("invalid"))
def test_an_invalid_text_is_a_protocol_error(vector: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_value(*received(vector))


@pytest.mark.parametrize("vector", VECTORS["unsendable"], ids=names("unsendable"))
def test_an_unsendable_value_is_refused_with_its_place(vector: dict[str, Any]) -> None:
    with pytest.raises(Unsendable) as caught:
        encode_value(built(vector["value"]), "result", [])
    assert str(caught.value).startswith(vector["place"])


def test_every_vector_has_a_name_of_its_own() -> None:
    every = [name for kind in ("valid", "invalid", "unsendable") for name in names(kind)]
    assert len(every) > 150
    assert len(set(every)) == len(every)
