"""Values as words: what is typed at a prompt, and what is shown there.

Rules:

* What is typed is JSON, else text: ``3``, ``true``, ``[1, 2]``, ``"3"``, ``open``.
* What is shown can be typed: text stands bare where that is no JSON, else in quotes.
* JSON for other programs has plain types only: an array is its lists, bytes are base64, a
  time is ISO 8601, a complex number a pair, and what is not finite is null.
* What came from outside is data: no control character reaches a terminal.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

from ..proxy import Proxy, RemoteMethod
from .stderr import printable

__all__ = ["ago", "as_json", "as_word", "is_array", "line_of_json", "parse_word"]

_LONGEST = 2000


def parse_word(text: str) -> Any:
    """The value that a word stands for."""
    try:
        return json.loads(text, parse_constant=float)
    except (ValueError, RecursionError):
        return text


def as_word(value: Any) -> str:
    """A value on one line; a long one is cut, and says so."""
    if is_array(value):
        return summary(value)
    if isinstance(value, str):
        word = printable(value)
        bare = word == value and value.strip() == value and value and parse_word(value) == value
        word = word if bare else json.dumps(value, ensure_ascii=False)
    elif isinstance(value, Proxy | RemoteMethod):
        word = repr(value)
    elif isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    elif isinstance(value, bytes | bytearray):
        word = f"{len(value)} bytes"
    else:
        word = json.dumps(_shortened(value), ensure_ascii=False)
    word = printable(word)
    return word if len(word) <= _LONGEST else f"{word[:_LONGEST]}... ({len(word)} characters)"


def _shortened(value: Any) -> Any:
    """For people: what is in it, arrays as a summary."""
    if is_array(value):
        return summary(value)
    if isinstance(value, Mapping):
        return {str(key): _shortened(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shortened(item) for item in value]
    return as_json(value)


def is_array(value: object) -> bool:
    """Whether it is an array of numpy's. A proxy is not asked: that would be a call."""
    if isinstance(value, Proxy | RemoteMethod):
        return False
    return hasattr(value, "dtype") and hasattr(value, "tolist") and hasattr(value, "shape")


def summary(array: Any) -> str:
    """``uint16 array of 480 x 640, 5 to 4095``."""
    shape = " x ".join(map(str, array.shape)) or "no dimension"
    text = f"{array.dtype} array of {shape}"
    if array.size and array.dtype.kind in "iuf":
        text += f", {array.min()} to {array.max()}"
    return text


def as_json(value: Any) -> Any:
    """The value in plain types of JSON."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Proxy | RemoteMethod):
        return repr(value)
    if is_array(value):
        return _array_as_json(value)
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(item) for item in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, complex):
        return [as_json(value.real), as_json(value.imag)]
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _array_as_json(array: Any) -> Any:
    if array.dtype.kind in "biu" or (array.dtype.kind == "f" and array.size and _is_finite(array)):
        return array.tolist()
    return as_json(array.tolist())


def _is_finite(array: Any) -> bool:
    """Without numpy at hand: a sum of what is not finite is not, either."""
    return math.isfinite(float(abs(array).max()))


def line_of_json(value: Any) -> str:
    """The same as one line of text."""
    return json.dumps(as_json(value), ensure_ascii=False)


def ago(seconds: float | None) -> str:
    """A duration for people: ``0.2 s``, ``12 s``, ``3 min``, ``5 h``, ``2 d``."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    for unit, length, least in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < least:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"
