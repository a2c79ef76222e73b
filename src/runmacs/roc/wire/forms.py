"""The forms of values: what a sender writes for each type.

A form is a tree that JSON can say without loss. Rules:

* None, bool, int, finite float, str, list and a dict with string keys stand for
  themselves. Everything else is a tag, an object whose member ``__roc__`` names
  its kind; ``spec/wire.md`` lists the kinds.
* Bytes and arrays do not enter the JSON: their memory is appended to the
  message's buffers and the tag names its index. What can be sent as it lies is
  not copied.
* The type alone decides. A subclass arrives as the type it extends.
* What would not arrive equal is refused, never bent.
* Containers are copied before they are looked at, so another thread that goes
  on changing them cannot make a message that contradicts itself.
* numpy, decimal, fractions, uuid and pathlib are not imported here: a value of theirs can
  only exist where somebody else has done so.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Collection
from datetime import date, datetime, time, timedelta
from enum import Enum
from functools import lru_cache
from math import isfinite
from struct import error as StructError
from struct import pack
from typing import Any, TypeAlias

from .refused import NAME_SHOWN, Refused, reason_of, step_to
from .standins import Formed, Index, Member, Resident

__all__ = ["DEPTH", "TAG", "Buffer", "coder_of", "form"]

Buffer: TypeAlias = bytes | bytearray | memoryview
Coder: TypeAlias = Callable[[Any, int, list[Buffer]], object]

TAG = "__roc__"
DEPTH = 128
INT_MIN, INT_MAX = -(2**63), 2**64 - 1

_SECOND = timedelta(seconds=1)
_CASTABLE = frozenset("?bBcdefhHiIlLnNPqQ")


def form(value: Any, level: int, buffers: list[Buffer]) -> object:
    """The form of a value that stands inside ``level`` containers, or Refused."""
    kind: Any = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is float:
        return value if isfinite(value) else _float(value, level, buffers)
    if kind is int:
        return value if INT_MIN <= value <= INT_MAX else _int(value, level, buffers)
    coder = _EXACT.get(kind) or coder_of(kind)
    if coder is None:
        raise Refused(reason_of(kind))
    return coder(value, level, buffers)


@lru_cache(maxsize=512)
def coder_of(kind: type) -> Coder | None:
    """What makes the form of values of this type; None when they cannot be sent."""
    if kind in _EXACT:
        return _EXACT[kind]
    if issubclass(kind, Enum):
        return _enum
    for module, name, coder in _ELSEWHERE:
        found = getattr(sys.modules.get(module), name, None)
        if isinstance(found, type) and issubclass(kind, found):
            return coder
    if hasattr(kind, "__dataclass_fields__"):
        return _dataclass
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _named_tuple
    return next((coder for base, coder in _EXACT.items() if issubclass(kind, base)), None)


# Scalars ---------------------------------------------------------------------------------


def _itself(value: Any, level: int, buffers: list[Buffer]) -> object:
    return value


def _str(value: str, level: int, buffers: list[Buffer]) -> object:
    return str.__str__(value)


def _int(value: int, level: int, buffers: list[Buffer]) -> object:
    if not INT_MIN <= value <= INT_MAX:
        raise Refused(
            f"an int of {value.bit_length()} bits is outside -2**63 to 2**64-1; send it as a str"
        )
    return int(value)


def _float(value: float, level: int, buffers: list[Buffer]) -> object:
    if isfinite(value):
        return float(value)
    return {TAG: "float", "value": "nan" if value != value else "inf" if value > 0 else "-inf"}


def _complex(value: complex, level: int, buffers: list[Buffer]) -> object:
    parts = [_float(value.real, level, buffers), _float(value.imag, level, buffers)]
    return {TAG: "complex", "value": parts}


def _enum(value: Enum, level: int, buffers: list[Buffer]) -> object:
    return form(value.value, level, buffers)


def _timedelta(value: timedelta, level: int, buffers: list[Buffer]) -> object:
    microseconds = (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
    if type(value) is not timedelta:
        same = timedelta(microseconds=microseconds) == value
        if not same:
            raise Refused(f"a {type(value).__qualname__} that a timedelta cannot hold")
    return {TAG: "timedelta", "microseconds": microseconds}


def _iso(name: str, base: type[datetime] | type[date] | type[time]) -> Coder:
    """The coder of a type with ``isoformat``; subclasses only as far as they come back equal."""

    def coder(value: Any, level: int, buffers: list[Buffer]) -> object:
        text = value.isoformat()
        if type(value) is not base:
            try:
                same = base.fromisoformat(text) == value
            except ValueError:
                same = False
            if not same:
                raise Refused(f"a {type(value).__qualname__} that a {name} cannot hold")
        offset = None if base is date else value.utcoffset()
        if offset and abs(offset) < _SECOND:  # Python would read it back as UTC
            raise Refused("an offset from UTC of less than a second; send it in UTC")
        return {TAG: name, "value": text}

    return coder


def _text(name: str) -> Coder:
    def coder(value: Any, level: int, buffers: list[Buffer]) -> object:
        return {TAG: name, "value": str(value)}

    return coder


def _fraction(value: Any, level: int, buffers: list[Buffer]) -> object:
    try:
        return {TAG: "fraction", "value": f"{value.numerator}/{value.denominator}"}
    except ValueError:  # Python itself does not write so many digits
        raise Refused("a Fraction of thousands of digits; send a float") from None


def _path(value: Any, level: int, buffers: list[Buffer]) -> object:
    return str(value)


def _member(value: Member, level: int, buffers: list[Buffer]) -> object:
    return {TAG: "member", "kind": value.kind}


def _formed(value: Formed, level: int, buffers: list[Buffer]) -> object:
    return value.form


def _resident(value: Resident, level: int, buffers: list[Buffer]) -> object:
    return {TAG: "object", "path": value.path}


def _slice(value: slice, level: int, buffers: list[Buffer]) -> object:
    _enter(level)
    parts = [form(part, level + 1, buffers) for part in (value.start, value.stop, value.step)]
    return {TAG: "slice", "value": parts}


def _index(value: Index, level: int, buffers: list[Buffer]) -> object:
    if not isinstance(value.value, tuple):
        return form(value.value, level, buffers)
    _enter(level)
    forms: list[object] = []
    try:
        for item in value.value:
            forms.append(form(Index(item), level + 1, buffers))
    except Refused as refused:
        refused.steps.append(f"[{len(forms)}]")
        raise
    return {TAG: "tuple", "value": forms}


# Memory ----------------------------------------------------------------------------------


def _bytes(value: bytes | bytearray, level: int, buffers: list[Buffer]) -> object:
    # A bytearray is copied: while its memory is held, its owner could not make it longer.
    buffers.append(bytes(value))
    return {TAG: "bytes", "buffer": len(buffers) - 1}


def _memoryview(value: memoryview, level: int, buffers: list[Buffer]) -> object:
    try:
        if "O" in value.format:
            raise Refused("a memoryview of Python objects; send a list")
        raw = value.tobytes() if _uncastable(value) else value.cast("B")
    except ValueError:
        raise Refused("a memoryview that was released; send it before") from None
    buffers.append(raw)
    return {TAG: "bytes", "buffer": len(buffers) - 1}


def _uncastable(view: memoryview) -> bool:
    """Whether Python shows this memory as plain bytes only after copying it."""
    return not (view.c_contiguous and view.nbytes and view.format.lstrip("@") in _CASTABLE)


def _array(value: Any, level: int, buffers: list[Buffer]) -> object:
    from . import arrays

    return arrays.array_form(value, buffers)


def _scalar(value: Any, level: int, buffers: list[Buffer]) -> object:
    from . import arrays

    return arrays.scalar_form(value, buffers)


# Containers ------------------------------------------------------------------------------


def _enter(level: int) -> None:
    if level >= DEPTH:
        raise Refused(f"it is nested deeper than {DEPTH} levels; does something contain itself?")


def _list(value: Collection[Any], level: int, buffers: list[Buffer]) -> object:
    _enter(level)
    items = list(value)
    if _flat(items):
        return items
    forms: list[object] = []
    try:
        for item in items:
            forms.append(form(item, level + 1, buffers))
    except Refused as refused:
        refused.steps.append(f"[{len(forms)}]")
        raise
    return forms


def _flat(items: list[Any]) -> bool:
    """Whether the items are of one simple type, and all stand for themselves.

    Each step is one pass in C: a long list of numbers must not cost more here
    than in the JSON encoder. False only means that somebody has to look closer.
    """
    kinds = list(map(type, items))
    if not kinds:
        return True
    kind = kinds[0]
    if kinds.count(kind) != len(kinds):
        return False
    if kind is float:
        return isfinite(sum(items))
    if kind is int:
        try:
            pack(f"{len(items)}q", *items)
        except StructError:  # it refuses what does not fit 64 bits
            return False
        return True
    return kind is str or kind is bool or kind is type(None)


def _dict(value: dict[Any, Any], level: int, buffers: list[Buffer]) -> object:
    _enter(level)
    items = dict(value)
    if list(map(type, items)).count(str) != len(items):
        items = _string_keys(items)
    key = ""
    try:
        for key, item in items.items():
            shape = form(item, level + 1, buffers)
            if shape is not item:
                items[key] = shape
    except Refused as refused:
        refused.steps.append(step_to(key))
        raise
    if TAG in items:
        return {TAG: "dict", "value": [[key, shape] for key, shape in items.items()]}
    return items


def _string_keys(items: dict[Any, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, item in items.items():
        if not isinstance(key, str):
            raise Refused(
                f"its key {_shown(key)} is of type {type(key).__qualname__}, and keys must be "
                "str; convert it, or send a list of pairs"
            )
        plain[str.__str__(key)] = item
    return plain


def _shown(key: object) -> str:
    try:
        shown = repr(key)
    except Exception:  # somebody else's __repr__ may raise anything
        return "..."
    return shown if len(shown) <= NAME_SHOWN else f"{shown[:NAME_SHOWN]}..."


def _named_tuple(value: Any, level: int, buffers: list[Buffer]) -> object:
    return _dict(dict(zip(value._fields, value, strict=True)), level, buffers)


def _dataclass(value: Any, level: int, buffers: list[Buffer]) -> object:
    items = {}
    for field in dataclasses.fields(value):
        try:
            items[field.name] = getattr(value, field.name)
        except AttributeError:
            refused = Refused("the field was never set")
            refused.steps.append(step_to(field.name))
            raise refused from None
    return _dict(items, level, buffers)


def _set(value: set[Any] | frozenset[Any], level: int, buffers: list[Buffer]) -> object:
    _enter(level)
    forms: list[object] = []
    try:
        for item in list(value):
            shape = form(item, level + 1, buffers)
            if not _hashable(shape):
                raise Refused(
                    f"a {type(item).__qualname__} in a set would arrive as a dict; send a list"
                )
            forms.append(shape)
    except Refused as refused:
        refused.steps.append("{...}")
        raise
    return {TAG: "set", "value": forms}


def _hashable(shape: object) -> bool:
    """Whether the receiver can make a member of a set from this form."""
    if type(shape) is list:
        return all(map(_hashable, shape))
    return type(shape) is not dict or shape.get(TAG) not in (None, "dict", "array", "slice")


# In this order subclasses are looked up, so what extends another type stands before it.
_EXACT: dict[type, Coder] = {
    type(None): _itself,
    bool: _itself,
    int: _int,
    float: _float,
    str: _str,
    list: _list,
    dict: _dict,
    tuple: _list,
    type({}.keys()): _list,
    type({}.values()): _list,
    type({}.items()): _list,
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _memoryview,
    complex: _complex,
    set: _set,
    frozenset: _set,
    datetime: _iso("datetime", datetime),
    date: _iso("date", date),
    time: _iso("time", time),
    timedelta: _timedelta,
    slice: _slice,
    Index: _index,
    Member: _member,
    Formed: _formed,
    Resident: _resident,
}
_ELSEWHERE: tuple[tuple[str, str, Coder], ...] = (
    ("numpy", "ndarray", _array),
    ("numpy", "generic", _scalar),
    ("decimal", "Decimal", _text("decimal")),
    ("fractions", "Fraction", _fraction),
    ("uuid", "UUID", _text("uuid")),
    ("pathlib", "PurePath", _path),
)
