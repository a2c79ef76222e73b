"""What a finished call means to its caller: a value, or an exception of the right type.

Rules:

* An error's code decides its class (`errors`); a remote exception is also the builtin
  type that it descends from most closely, so that ``except ValueError`` catches it.
* SystemExit, KeyboardInterrupt and what steers generators never come out as such: they
  would end or confuse the client's program.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import msgspec

from .. import errors
from ..wire.jsonrpc import ErrorObject, Response
from ..wire.values import Buffer, decode_value
from .caller import Call

__all__ = ["error_of", "result_of"]

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
_remote_kinds: dict[type[Exception] | None, type[errors.RemoteError]] = {None: errors.RemoteError}


def result_of(call: Call) -> object:
    """The call's result; raises what it failed with."""
    if call.error is not None:
        raise call.error
    response = call.response
    if response is None:
        raise errors.LocalProtocolError(f"{call.name}: the call has not ended.")
    if isinstance(response.error, ErrorObject):
        raise error_of(response.error, call)
    return _value(call, response)


def _value(call: Call, response: Response) -> object:
    buffers: Sequence[Buffer] = [_view(frame) for frame in call.frames[4:]]
    raw = b"null" if isinstance(response.result, msgspec.UnsetType) else bytes(response.result)
    try:
        return decode_value(raw, buffers)
    except errors.ProtocolError as error:
        error.message = f"{call.name} was executed, but its result cannot be read: {error.message}"
        error.executed = True
        raise


def _view(frame: Any) -> Buffer:
    return frame if isinstance(frame, bytes) else memoryview(frame).toreadonly()


def error_of(error: ErrorObject, call: Call) -> errors.RocError:
    """The exception that stands for a response's error."""
    data = _data(error, call)
    executed = data.get("executed") if isinstance(data.get("executed"), bool) else None
    message = error.message or f"{call.name}: error {error.code}"
    if error.code == errors.RemoteError.code and isinstance(data.get("type"), str):
        return _remote(message, data)
    if error.code == errors.Expired.code:
        # The broker's or the server's word that came before our own deadline's.
        fate = "it was not executed, and will not be"
        timeout = f"{call.name}: no answer within {call.timeout:g} s; {fate}."
        return errors.CallTimeout(timeout, executed=False, data=data)
    kind = _BY_CODE.get(error.code, errors.CallError)
    if not message.startswith(call.object_id.rstrip("!")) and kind is errors.CallError:
        message = f"{call.name}: {message}"
    if kind in (errors.MethodNotFound, errors.InvalidParams) and "executed" not in data:
        executed = False
    return kind(message, code=error.code, executed=executed, data=data)


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
    base = _builtin_among(mro if isinstance(mro, list) else [])
    kind = _remote_kind(base)
    error = kind(message, executed=True, data=data)
    args, attributes = data.get("args"), data.get("attributes")
    error.remote_type = str(data["type"])
    error.remote_args = tuple(args) if isinstance(args, list) else ()
    error.remote_attributes = attributes if isinstance(attributes, dict) else {}
    error.remote_traceback = str(data.get("traceback", ""))
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


def _remote_kind(base: type[Exception] | None) -> type[errors.RemoteError]:
    kind = _remote_kinds.get(base)
    if kind is None and base is not None:
        name = f"Remote{base.__name__}"
        members = {"__module__": errors.__name__, "__doc__": f"A remote {base.__name__}."}
        try:
            kind = type(name, (errors.RemoteError, base), members)
            kind("")
        except TypeError:
            kind = errors.RemoteError
        _remote_kinds[base] = kind
    return kind or errors.RemoteError


def _fill_in(error: errors.RemoteError) -> None:
    """The attributes that handlers of the builtin type rely on."""
    args = error.remote_args
    if isinstance(error, OSError) and len(args) >= 2 and isinstance(args[0], int):
        error.errno, error.strerror = args[0], str(args[1])
    for name in ("name", "obj", "filename", "key"):
        if name in error.remote_attributes and name not in vars(error):
            try:
                setattr(error, name, error.remote_attributes[name])
            except (AttributeError, TypeError):
                continue
