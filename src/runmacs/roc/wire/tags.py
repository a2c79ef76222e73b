"""The values of tags: what a receiver makes of a peer's JSON.

Rules:

* A tag is an object with the member ``__roc__``. Its other members are a
  stranger's: each is checked before it is used, and unknown ones are ignored.
* Whatever is wrong is a RemoteProtocolError with one sentence. Only a numpy that
  is missing here is not the peer's fault.
* No tag makes more memory than a small multiple of what arrived with it.
* Containers count towards the limit of nesting; the JSON of their tags does not.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from importlib import import_module
from math import inf, nan
from typing import Any, TypeAlias

from ..errors import LocalProtocolError, RemoteProtocolError, RocError
from .forms import DEPTH, TAG, Buffer
from .standins import Member

__all__ = ["Reader", "bad", "read_base64", "too_deep"]

_Read: TypeAlias = "Callable[[Reader, dict[str, Any], int], Any]"


def bad(what: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"the peer sent a bad value: {what}")


def too_deep() -> RemoteProtocolError:
    return bad(f"it is nested deeper than {DEPTH} levels")


class Reader:
    """Turns the tags of one message's tree into their values, in place.

    ``objects`` makes what stands for an object that lives elsewhere, from its path.
    """

    __slots__ = ("buffers", "copies", "objects")

    def __init__(
        self, buffers: Sequence[Buffer], objects: Callable[[str], Any] | None = None
    ) -> None:
        self.buffers = buffers
        self.copies: dict[int, bytes] = {}
        self.objects = objects

    def value(self, shape: Any, level: int) -> Any:
        """The value of a form that stands inside ``level`` containers."""
        if type(shape) is list:
            self.enter(level)
            if _holds_containers(shape):
                shape[:] = [self.value(item, level + 1) for item in shape]
        elif type(shape) is dict:
            if TAG in shape:
                return self.tagged(shape, level)
            self.enter(level)
            for key, item in shape.items():
                if type(item) is list or type(item) is dict:
                    shape[key] = self.value(item, level + 1)
        return shape

    def enter(self, level: int) -> None:
        if level >= DEPTH:
            raise too_deep()

    def tagged(self, tag: dict[str, Any], level: int) -> Any:
        kind = tag[TAG]
        read = _READERS.get(kind) if type(kind) is str else None
        if read is None:
            raise bad(f"no tag is called {_shown(kind)}; is the peer newer than this program?")
        try:
            return read(self, tag, level)
        except RocError:
            raise
        except KeyError as error:
            raise bad(f"a {kind} tag lacks its member {error}") from None
        except (ValueError, TypeError, ArithmeticError) as error:
            raise bad(f"a {kind} tag holds no {kind}: {_shown(tag.get('value'))}") from error

    def index(self, tag: dict[str, Any]) -> int:
        """Which buffer a tag names."""
        index = tag["buffer"]
        if type(index) is not int or not 0 <= index < len(self.buffers):
            raise bad(f"a tag names buffer {_shown(index)}, of {len(self.buffers)} that came")
        return index

    def members(self, tag: dict[str, Any], level: int) -> list[Any]:
        """The list that is the value of a container's tag."""
        self.enter(level)
        members = tag["value"]
        if type(members) is not list:
            raise bad(f"the value of a {tag[TAG]} tag must be a list")
        return members


def _holds_containers(items: list[Any]) -> bool:
    kinds = list(map(type, items))
    if kinds and kinds.count(kinds[0]) == len(kinds):
        return kinds[0] is list or kinds[0] is dict
    return not {list, dict}.isdisjoint(kinds)


def _read_float(reader: Reader, tag: dict[str, Any], level: int) -> float:
    text = _text(tag)
    if text not in _FLOATS:
        raise ValueError
    return _FLOATS[text]


def _read_complex(reader: Reader, tag: dict[str, Any], level: int) -> complex:
    real, imaginary = (reader.value(part, level) for part in tag["value"])
    if not {type(real), type(imaginary)} <= {float, int}:
        raise TypeError
    return complex(real, imaginary)


def _read_bytes(reader: Reader, tag: dict[str, Any], level: int) -> bytes:
    if "buffer" not in tag:
        return read_base64(tag)
    # A buffer that several tags name is copied once, so that no message can swell.
    index = reader.index(tag)
    if index not in reader.copies:
        reader.copies[index] = bytes(reader.buffers[index])
    return reader.copies[index]


def _read_array(reader: Reader, tag: dict[str, Any], level: int) -> Any:
    arrays = _arrays()
    if arrays is None:
        raise LocalProtocolError(
            'an array has arrived, and numpy is not installed: pip install "runmacs-roc[numpy]"'
        )
    raw = reader.buffers[reader.index(tag)] if "buffer" in tag else read_base64(tag)
    return arrays.read_array(tag, raw)


def _read_scalar(reader: Reader, tag: dict[str, Any], level: int) -> Any:
    value = reader.value(tag["value"], level) if "value" in tag else None
    arrays = _arrays()
    if arrays is not None:
        return arrays.read_scalar(tag, value)
    if "value" in tag:
        return value
    raise LocalProtocolError(
        "a numpy scalar without a Python value has arrived, and numpy is not installed: "
        'pip install "runmacs-roc[numpy]"'
    )


def _arrays() -> Any:
    """The module for numpy things, or None where numpy is not installed."""
    try:
        from . import arrays
    except ImportError:
        return None
    return arrays


def _read_timedelta(reader: Reader, tag: dict[str, Any], level: int) -> timedelta:
    microseconds = tag["microseconds"]
    if type(microseconds) is not int:
        raise bad(f"the microseconds of a timedelta must be an int, not {_shown(microseconds)}")
    return timedelta(microseconds=microseconds)


def _read_decimal(reader: Reader, tag: dict[str, Any], level: int) -> Any:
    decimal = import_module("decimal")
    # A context of its own, because the program's may let junk pass as NaN.
    return decimal.Decimal(_text(tag), decimal.Context(traps=[decimal.InvalidOperation]))


def _read_fraction(reader: Reader, tag: dict[str, Any], level: int) -> Any:
    # Fraction itself would read "1e1000000000", and compute that.
    parts = re.fullmatch(r"(-?[0-9]{1,4300})/([0-9]{1,4300})", _text(tag), re.ASCII)
    if parts is None:
        raise ValueError
    return import_module("fractions").Fraction(int(parts[1]), int(parts[2]))


def _read_uuid(reader: Reader, tag: dict[str, Any], level: int) -> Any:
    return import_module("uuid").UUID(_text(tag))


def _read_set(reader: Reader, tag: dict[str, Any], level: int) -> set[Any]:
    members = reader.members(tag, level)
    try:
        return {_frozen(reader.value(item, level + 1)) for item in members}
    except TypeError:
        raise bad("a set has a member that cannot be in a set") from None


def _frozen(value: Any) -> Any:
    if type(value) is list:
        return tuple(map(_frozen, value))
    return frozenset(value) if type(value) is set else value


def _read_dict(reader: Reader, tag: dict[str, Any], level: int) -> dict[str, Any]:
    items: dict[str, Any] = {}
    for pair in reader.members(tag, level):
        if type(pair) is not list or len(pair) != 2 or type(pair[0]) is not str:
            raise bad("the value of a dict tag must be a list of pairs of a str and a value")
        items[pair[0]] = reader.value(pair[1], level + 1)
    return items


def _read_slice(reader: Reader, tag: dict[str, Any], level: int) -> slice:
    start, stop, step = (reader.value(part, level + 1) for part in reader.members(tag, level))
    return slice(start, stop, step)


def _read_tuple(reader: Reader, tag: dict[str, Any], level: int) -> tuple[Any, ...]:
    return tuple(reader.value(item, level + 1) for item in reader.members(tag, level))


def _read_member(reader: Reader, tag: dict[str, Any], level: int) -> Member:
    if tag["kind"] not in ("method", "object"):
        raise bad(f"a member is a method or an object, not {_shown(tag['kind'])}")
    return Member(tag["kind"])


def _read_object(reader: Reader, tag: dict[str, Any], level: int) -> Any:
    path = tag["path"]
    if type(path) is not str:
        raise bad(f"the path of an object must be a text, not {_shown(path)}")
    if reader.objects is None:
        raise bad("an object that lives elsewhere can be a result, and nothing else")
    return reader.objects(path)


def _parsed_by(parse: Callable[[str], Any]) -> _Read:
    return lambda reader, tag, level: parse(_text(tag))


def read_base64(tag: dict[str, Any]) -> bytes:
    """The bytes that a tag carries in itself, as a peer that only speaks JSON sends them."""
    try:
        return binascii.a2b_base64(tag["base64"], strict_mode=True)
    except (ValueError, TypeError):
        raise bad(f"the base64 of a {tag[TAG]} tag is none: {_shown(tag['base64'])}") from None


def _text(tag: dict[str, Any]) -> str:
    text = tag["value"]
    if type(text) is not str:
        raise TypeError
    return text


def _shown(value: object) -> str:
    """A peer's value for a message: never long, and never more than printable characters."""
    if isinstance(value, str):
        return ascii(value if len(value) <= 60 else f"{value[:60]}...")
    return f"something of type {type(value).__name__}"


_FLOATS = {"nan": nan, "inf": inf, "-inf": -inf}
_READERS: dict[str, _Read] = {
    "array": _read_array,
    "bytes": _read_bytes,
    "complex": _read_complex,
    "date": _parsed_by(date.fromisoformat),
    "datetime": _parsed_by(datetime.fromisoformat),
    "decimal": _read_decimal,
    "dict": _read_dict,
    "float": _read_float,
    "fraction": _read_fraction,
    "member": _read_member,
    "object": _read_object,
    "scalar": _read_scalar,
    "set": _read_set,
    "slice": _read_slice,
    "time": _parsed_by(time.fromisoformat),
    "timedelta": _read_timedelta,
    "tuple": _read_tuple,
    "uuid": _read_uuid,
}
