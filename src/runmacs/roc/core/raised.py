"""What a method raised, as it travels: the facts in an error's ``data``.

Rules:

* Nothing here raises, whatever the exception is made of: its class is read without its
  metaclass, its texts with every mishap expected.
* Everything has a limit; an exception never makes a message that cannot be sent.
* What cannot travel as a value goes as its ``repr``.
"""

from __future__ import annotations

import base64
import traceback
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any

import msgspec

from ..wire.values import Buffer, encode_value
from .kinds import MISSING, class_name, namespace_of, own_dict, static_mro, stored_value

__all__ = ["BUILTIN_ATTRIBUTES", "facts_of", "message_of"]

BUILTIN_ATTRIBUTES = (
    *("errno", "strerror", "filename", "filename2"),
    *("name", "path"),
    *("msg", "lineno", "offset", "text"),
    *("encoding", "object", "start", "end", "reason"),
)
"""What builtin exceptions keep outside their dictionary, and handlers look at."""

_MESSAGE = 10_000
_TRACEBACK = 20_000
_VALUE = 10_000
_VALUES = 20


def message_of(error: BaseException) -> str:
    """``ValueError: 0 < t <= 0.1``."""
    try:
        text = str.__str__(str(error)) or "(no message)"
    except BaseException as worse:
        text = f"(its message cannot be shown: __str__ raised {class_name(type(worse))})"
    if len(text) > _MESSAGE:
        text = text[:_MESSAGE] + "..."
    return _clean(f"{class_name(type(error))}: {text}")


def facts_of(error: BaseException) -> dict[str, Any]:
    """The exception's class, ancestry, args, public attributes and traceback."""
    kind = type(error)
    module = _module(kind)
    args: Sequence[object] = BaseException.__dict__["args"].__get__(error)
    return {
        "type": _clean(class_name(kind, qualified=True).removeprefix(f"{module}.")),
        "module": _clean(module),
        "mro": [
            _clean(class_name(base, qualified=True))
            for base in static_mro(kind)
            if base is not object
        ],
        "args": [_sendable(arg) for arg in args[:_VALUES]],
        "attributes": {_clean(name): _sendable(value) for name, value in _attributes(error)},
        "traceback": _traceback(error),
    }


def _module(kind: type) -> str:
    module = namespace_of(kind).get("__module__")
    return module if type(module) is str else "builtins"


def _attributes(error: BaseException) -> Iterable[tuple[str, object]]:
    stored = {name: stored_value(error, name) for name in BUILTIN_ATTRIBUTES}
    known = {k: v for k, v in stored.items() if v is not MISSING and v is not None}
    own = list((own_dict(error) or {}).items())
    public = {k: v for k, v in own if type(k) is str and not k.startswith("_")}
    return list({**known, **public}.items())[:_VALUES]


def _traceback(error: BaseException) -> str:
    """The remote traceback, from the first frame of the object's own code on."""
    try:
        first = _first_frame(error.__traceback__)
        text = "".join(traceback.format_exception(type(error), error, first))
    except BaseException as worse:
        return f"(the traceback cannot be shown: {class_name(type(worse))})"
    if len(text) > _TRACEBACK:
        # The frames stand in front, the exception itself at the end.
        text = f"{text[: _TRACEBACK // 2]}\n...\n{text[-_TRACEBACK // 2 :]}"
    return _clean(text)


def _first_frame(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None:
        if "runmacs.roc.core" not in str(trace.tb_frame.f_globals.get("__name__", "")):
            break
        trace = trace.tb_next
    return trace  # None for what was raised in C: it has no frame of its own


def _sendable(value: object) -> msgspec.Raw:
    """The value as JSON, or its repr where it cannot travel in an error."""
    buffers: list[Buffer] = []
    try:
        if type(value) is bytes and len(value) < _VALUE // 2:
            # An error has no buffers of its own.
            value = {"__roc__": "bytes", "base64": base64.b64encode(value).decode()}
            return msgspec.Raw(msgspec.json.encode(value))
        text = encode_value(value, "error", buffers)
    except BaseException:
        text = b""
    if not text or buffers or len(text) > _VALUE:
        text = msgspec.json.encode(_shown(value))
    return msgspec.Raw(text)


def _shown(value: object) -> str:
    try:
        return _clean(repr(value)[:1000])
    except BaseException:
        return "(cannot be shown)"


def _clean(text: str) -> str:
    """The text without lone surrogates, which JSON cannot carry."""
    return text.encode("utf-8", "backslashreplace").decode()
