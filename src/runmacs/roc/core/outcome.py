"""What a finished call means to its caller: a value, or an exception of the right type.

Rules:

* An error's code decides its class (`errors`); a remote exception is also the builtin
  type that it descends from most closely, so that ``except ValueError`` catches it.
* SystemExit, KeyboardInterrupt and what steers generators never come out as such: they
  would end or confuse the client's program.
* What an error itself says of ``executed`` counts; else what its code says in every case;
  else nothing is known.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from .. import errors
from ..wire.jsonrpc import PARSE_ERROR, ErrorObject, Response
from ..wire.logmsg import Record, parse_record
from ..wire.logtext import as_text
from ..wire.values import Buffer, decode_value, parse_value, value_in
from .call import Call
from .raised import BUILTIN_ATTRIBUTES

__all__ = ["RemoteLog", "error_of", "result_of"]

_STEERING = (StopIteration, StopAsyncIteration)
_BY_CODE: dict[int, type[errors.RocError]] = {
    kind.code: kind
    for kind in (
        errors.ProtocolError,
        errors.Unsendable,
        errors.TooLarge,
        errors.MethodNotFound,
        errors.InvalidParams,
        errors.ObjectNotFound,
        errors.ObjectIdTaken,
        errors.ServerLost,
        errors.BrokerUnreachable,
        errors.QueueFull,
        errors.Closed,
    )
}
_BY_CODE[PARSE_ERROR] = errors.ProtocolError
_NOT_EXECUTED = (
    PARSE_ERROR,
    errors.MethodNotFound.code,
    errors.InvalidParams.code,
    errors.ObjectNotFound.code,
    errors.ObjectIdTaken.code,
    errors.QueueFull.code,
)


class RemoteLog(tuple[Record, ...]):
    """The records of one call; as text, one line for each."""

    __slots__ = ()

    @classmethod
    def of(cls, data: dict[str, Any]) -> RemoteLog:
        """What an error's data says of the log; what is no record is left out."""
        texts = data.get("log")
        return cls(filter(None, map(_record, texts if isinstance(texts, list) else [])))

    def __str__(self) -> str:
        return "\n".join(map(as_text, self))


def _record(text: object) -> Record | None:
    try:
        return parse_record(text.encode()) if isinstance(text, str) else None
    except (errors.RocError, UnicodeEncodeError):
        return None


_remote_kinds: dict[type[Exception] | None, type[errors.RemoteError]] = {None: errors.RemoteError}


def result_of(call: Call, objects: Callable[[Call, str], Any] | None = None) -> object:
    """The call's result; raises what it failed with.

    ``objects`` makes a proxy for a result that is an object, from its path.
    """
    if call.error is not None:
        raise call.error
    if call.one_way:
        return None
    response = call.response
    if response is None:
        raise errors.LocalProtocolError(f"{call.name}: the call has not ended.")
    if isinstance(response.error, ErrorObject):
        raise error_of(response.error, call)
    return _value(call, response, objects)


def _value(call: Call, response: Response, objects: Callable[[Call, str], Any] | None) -> object:
    raw = b"null" if isinstance(response.result, msgspec.UnsetType) else bytes(response.result)
    try:
        tree, plain = parse_value(raw)
        if plain:
            return tree
        buffers: Sequence[Buffer] = [_view(frame) for frame in call.frames[4:]]
        if objects is None:
            return value_in(tree, buffers)
        return value_in(tree, buffers, functools.partial(objects, call))
    except errors.ProtocolError as error:
        error.message = f"{call.name} was executed, but its result cannot be read: {error.message}"
        error.executed = True
        raise


def _view(frame: Any) -> Buffer:
    return frame if isinstance(frame, bytes) else memoryview(frame).toreadonly()


def error_of(error: ErrorObject, call: Call) -> errors.RocError:
    """The exception that stands for a response's error."""
    data = _data(error, call)
    message = error.message or f"{call.name}: error {error.code}"
    if error.code == errors.Expired.code:
        # The broker's or the server's word that came before our own deadline's.
        fate = "it was not executed, and will not be"
        timeout = f"{call.name}: no answer within {call.timeout:g} s; {fate}."
        return errors.CallTimeout(timeout, executed=False, data=data)
    if error.code == errors.RemoteError.code:
        return _remote(message, data)
    kind = _BY_CODE.get(error.code, errors.CallError)
    name = call.object_id.rstrip("!")
    if kind is errors.CallError and not message.startswith((f"{name}.", f"{name}:", f"{name} ")):
        message = f"{call.name}: {message}"
    executed = _executed(data, False if error.code in _NOT_EXECUTED else None)
    found = kind(message, code=error.code, executed=executed, data=data)
    found.remote_log = RemoteLog.of(data)
    return found


def _executed(data: dict[str, Any], otherwise: bool | None) -> bool | None:
    said = data.get("executed", otherwise)
    return said if isinstance(said, bool) else None


def _data(error: ErrorObject, call: Call) -> dict[str, Any]:
    if isinstance(error.data, msgspec.UnsetType):
        return {}
    try:
        data = decode_value(bytes(error.data), [_view(frame) for frame in call.frames[4:]])
    except errors.RocError:
        return {}
    return data if isinstance(data, dict) else {"data": data}


def _remote(message: str, data: dict[str, Any]) -> errors.RemoteError:
    mro = data.get("mro")
    kind = _remote_kind(_builtin_among(mro if isinstance(mro, list) else []))
    error = kind(message, executed=_executed(data, True), data=data)
    args, attributes = data.get("args"), data.get("attributes")
    error.remote_type = str(data.get("type", ""))
    error.remote_args = tuple(args) if isinstance(args, list) else ()
    error.remote_attributes = attributes if isinstance(attributes, dict) else {}
    error.remote_traceback = str(data.get("traceback", ""))
    error.remote_log = RemoteLog.of(data)
    _fill_in(error)
    if error.remote_traceback:
        where = f"{data.get('object')}, {data.get('host')}, pid {data.get('pid')}"
        error.add_note(f"Remote traceback ({where}):\n{error.remote_traceback.rstrip()}")
    return error


def _builtin_among(mro: list[Any]) -> type[Exception] | None:
    """The most derived builtin exception in a remote class's ancestry, but plain Exception."""
    for name in mro:
        if isinstance(name, str) and name.startswith("builtins."):
            kind = getattr(builtins, name.removeprefix("builtins."), None)
            if isinstance(kind, type) and issubclass(kind, Exception):
                return None if kind is Exception or issubclass(kind, _STEERING) else kind
    return None


class _Plain(Exception):
    """Stands before the builtin type in the bases, and makes it take a message alone."""

    message = ""  # an exception group's own cannot be set

    def __init__(self, *args: object) -> None:
        Exception.__init__(self, *args)

    def __reduce__(self) -> tuple[Any, ...]:
        return _remote, (self.message, getattr(self, "data", None) or {})


def _new_group(cls: type[ExceptionGroup[Exception]], message: str, **options: object) -> object:
    return ExceptionGroup.__new__(cls, message, [errors.RemoteError(message)])


def _remote_kind(base: type[Exception] | None) -> type[errors.RemoteError]:
    """The class of remote exceptions that can be caught as ``base`` too."""
    kind = _remote_kinds.get(base)
    if kind is None and base is not None:
        name = f"Remote{base.__name__}"
        members: dict[str, Any] = {
            "__module__": errors.__name__,
            "__doc__": f"A remote {base.__name__}.",
        }
        if issubclass(base, ExceptionGroup):
            members["__new__"] = _new_group
        kind = _remote_kinds[base] = type(name, (errors.RemoteError, _Plain, base), members)
    return kind or errors.RemoteError


def _fill_in(error: errors.RemoteError) -> None:
    """What handlers of the builtin type rely on: its args, and the attributes it has."""
    if not isinstance(error, _Plain):
        return
    args = error.remote_args
    if isinstance(error, OSError) and len(args) >= 2 and isinstance(args[0], int):
        error.errno, error.strerror = args[0], str(args[1])
    for name in BUILTIN_ATTRIBUTES:
        if name in error.remote_attributes and hasattr(type(error), name):
            with contextlib.suppress(AttributeError, TypeError):
                setattr(error, name, error.remote_attributes[name])
    if args:
        error.args = args
