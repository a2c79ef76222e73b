"""Values for HTTP: JSON with lists, JSON with base64, ``.npy``, or frames for the page.

Rules:

* *lists*: what any program reads. Arrays are nested lists, tuples and sets lists, times text;
  NaN and infinities are null. What JSON has no word for keeps its tag.
* *base64*: exact, the tags of ``spec/wire.md``.
* *npy*: for one array, the file format of numpy.
* *packed*: for the page, one binary message: four bytes with the length of a JSON text (little
  endian), that text, and each buffer at the next multiple of eight bytes. The text has
  ``buffers``, pairs of offset and length, beside the value with its tags.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Mapping
from datetime import date, time
from typing import Any, Final, Literal

import msgspec

from ..asyncclient import AsyncMember
from ..errors import RocError, Unsendable
from ..wire.values import Member, Resident, encode_inline, encode_value

__all__ = ["Form", "as_json", "as_npy", "error_json", "is_array", "packed", "to_json"]

Form = Literal["lists", "base64", "npy"]

_ALIGNED: Final = 8
_DEPTH: Final = 100
to_json = msgspec.json.Encoder().encode


def as_json(value: Any, form: Form = "lists") -> bytes:
    """The JSON of a value.

    Raises:
        Unsendable: there is none.
    """
    if form == "base64":
        return encode_inline(_sendable(value, 0), "result")[1]
    return to_json(_plain(value, 0))


def is_array(value: Any) -> bool:
    """Whether a value is an array of numpy."""
    return type(value).__module__ == "numpy" and hasattr(value, "shape")


def as_npy(value: Any) -> bytes:
    """The ``.npy`` file of an array.

    Raises:
        Unsendable: it is none.
    """
    if not is_array(value):
        raise Unsendable("the result is no array, so it has no .npy: ask for application/json")
    import numpy as np

    file = io.BytesIO()
    np.save(file, np.asarray(value), allow_pickle=False)
    return file.getvalue()


def packed(head: Mapping[str, Any], value: Any) -> bytes:
    """A message to the page that may have arrays in it.

    Raises:
        Unsendable: the value cannot travel.
    """
    buffers: list[Any] = []
    text = encode_value(_sendable(value, 0), "result", buffers)
    views = [memoryview(buffer).cast("B") for buffer in buffers]
    places, end = [], 0
    for view in views:
        places.append([end, view.nbytes])
        end += -(-view.nbytes // _ALIGNED) * _ALIGNED
    message = to_json({**head, "value": msgspec.Raw(text), "buffers": places})
    message += b" " * (-(4 + len(message)) % _ALIGNED)
    parts: list[bytes | memoryview] = [struct.pack("<I", len(message)), message]
    for view in views:
        parts += [view, bytes(-view.nbytes % _ALIGNED)]
    return b"".join(parts)


def error_json(error: RocError) -> dict[str, Any]:
    """An error as JSON-RPC has it: code, message and data, with ``executed``."""
    data = error.data if isinstance(error.data, dict) else {"data": error.data}
    data = {name: item for name, item in data.items() if item is not None}
    return {
        "code": error.code,
        "message": _text(str(error)),
        "data": _plain({**data, "executed": error.executed, "kind": _kind(error)}, 0),
    }


def _kind(error: RocError) -> str:
    """The error's class, as the documentation has it."""
    kinds = type(error).__mro__
    ours = (kind.__name__ for kind in kinds if kind.__name__ in _OURS)
    return next(ours, "RocError")


def _names() -> frozenset[str]:
    from .. import errors

    return frozenset(errors.__all__)


_OURS: Final = _names()


def _sendable(value: Any, level: int) -> Any:
    """The value with proxies as what they stand for."""
    if isinstance(value, AsyncMember):
        return Resident(value._roc_path)
    if level < _DEPTH:
        if type(value) in (list, tuple):
            return type(value)(_sendable(item, level + 1) for item in value)
        if type(value) is dict:
            return {name: _sendable(item, level + 1) for name, item in value.items()}
    return value


def _plain(value: Any, level: int) -> Any:
    """The value as a program without ROC reads it."""
    kind = type(value)
    if kind in (int, bool) or value is None:
        return value
    if kind is str:
        return _text(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if level > _DEPTH:
        raise Unsendable("the result is nested too deeply")
    if kind in (list, tuple, set, frozenset):
        return [_plain(item, level + 1) for item in value]
    if kind is dict:
        return {_text(str(name)): _plain(item, level + 1) for name, item in value.items()}
    if kind.__module__ == "numpy" and hasattr(value, "tolist") and _has_numbers(value):
        return _plain(value.tolist(), level + 1)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Member):
        return {"__roc__": "member", "kind": value.kind}
    return encode_inline(_sendable(value, level), "result")[0]


def _has_numbers(value: Any) -> bool:
    """Whether an array's items are numbers, truth values or texts, and not records or times."""
    return value.dtype.kind in "biufU"


def _text(text: str) -> str:
    """Text without lone surrogates, which JSON cannot carry."""
    return text.encode("utf-8", "backslashreplace").decode()
