"""What a program adds to a log record (``extra``), as JSON that anybody reads.

Rules:

* It is total: what cannot travel goes as its ``repr``, and what has none as a sentence.
* Plain JSON, without ROC's tags, so that ``jq`` and its like need to know nothing: infinities
  and NaN are the texts that OpenTelemetry has for them, arrays and objects their ``repr``.
* Everything has a limit, and says so where it was cut.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from typing import Any, Final

import msgspec

__all__ = ["MOST_TEXT", "cut", "encode_attributes", "encode_text", "text_of"]

MOST_TEXT: Final = 64 * 1024
"""Characters of one attribute's text."""
_MOST_ATTRIBUTES: Final = 256 * 1024
_DEPTH: Final = 6
_ITEMS: Final = 1000
_LARGEST: Final = 2**63

_encode = msgspec.json.Encoder().encode


def cut(text: str, most: int) -> str:
    """The text, or its beginning and how long it was."""
    if len(text) <= most:
        return text
    return f"{text[:most]}... (cut: it had {len(text)} characters)"


def encode_text(text: str) -> bytes:
    """A text as JSON; what is no Unicode (lone surrogates) as its escapes."""
    try:
        return _encode(text)
    except UnicodeEncodeError:
        return _encode(text.encode("utf-8", "backslashreplace").decode())


def text_of(value: object, most: int = MOST_TEXT) -> str:
    """What a value says of itself, or why it cannot."""
    try:
        return cut(repr(value), most)
    except Exception as error:
        return f"(cannot be shown: its __repr__ raised {type(error).__name__})"


def encode_attributes(extra: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """Names and JSON of what was added; those past the limit say only that."""
    found: list[tuple[str, bytes]] = []
    size = 0
    for name, value in extra.items():
        text = _json_of(value)
        size += len(text)
        if size > _MOST_ATTRIBUTES:
            text = b'"(left out: the attributes of this record are too large)"'
        found.append((str(name), text))
    return found


def _json_of(value: object) -> bytes:
    kind = type(value)
    if kind is str:
        return encode_text(cut(value, MOST_TEXT))  # type: ignore[arg-type]
    try:
        return _encode(_plain(value, 0))
    except Exception:
        return encode_text(text_of(value))


def _plain(value: Any, depth: int) -> Any:
    """The value as plain JSON can say it."""
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:
        return cut(value, MOST_TEXT).encode("utf-8", "backslashreplace").decode()
    if kind is int:
        return value if -_LARGEST <= value < _LARGEST else text_of(value)
    if kind is float:
        return value if math.isfinite(value) else _unusual(value)
    if depth < _DEPTH:
        if kind is dict:
            items = _first(value.items())
            return {_key(name): _plain(item, depth + 1) for name, item in items}
        if kind in (list, tuple, set, frozenset):
            return [_plain(item, depth + 1) for item in _first(value)]
    if kind in (datetime, date, time):
        return value.isoformat()
    if isinstance(value, (int, float, str)):  # subclasses: enumerations, numpy's float64
        base = next(base for base in (int, float, str) if isinstance(value, base))
        return _plain(base.__call__(value), depth)
    return text_of(value)


def _key(name: object) -> str:
    text = name if type(name) is str else text_of(name, 200)
    return text.encode("utf-8", "backslashreplace").decode()


def _first(items: Any) -> Iterable[Any]:
    """The items, of which there must not be too many."""
    if len(items) > _ITEMS:
        raise ValueError("too many: its repr says enough")
    return list(items)


def _unusual(value: float) -> str:
    if value != value:
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
