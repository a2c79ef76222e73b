"""From the body of a request to the body of its reply: one shared object's side.

Serves any lane (through a broker, direct, in one process): who calls `Dispatcher.serve`
brings the frames and carries the answer away.

Rules:

* Whatever the method does, the caller gets a truthful answer and the server lives:
  SystemExit, KeyboardInterrupt, an exception whose ``__str__`` raises, a result that
  cannot be sent.
* ``error.data.executed`` is False for what was refused before the body ran, True for
  what came after it began.
* A notification, or a batch of nothing else, is answered with one empty frame.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from .. import errors
from ..wire import mdp
from ..wire.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    NULL,
    Body,
    Invalid,
    Request,
    encode_error,
    encode_responses,
    encode_result,
)
from ..wire.values import Buffer, decode_arguments, encode_value
from .sharing import ArgumentsRefused, MemberRefused, Refusal, SharedObject

__all__ = ["Dispatcher", "Interrupted"]

_CONTROL_METHODS = ("rpc.ping", "rpc.discover")


class Interrupted(BaseException):
    """The server's own stop broke into the running method."""


class Dispatcher:
    """Executes the requests of one object.

    Args:
        shared: the object, and what of it may be reached.
        about: facts for the answer to ``rpc.ping`` and for errors (host, pid, ...).
        interrupted: tells a KeyboardInterrupt of the process from one that the method
            raised by itself.
        limit: bytes that one reply may have, over all its frames.
    """

    def __init__(
        self,
        shared: SharedObject,
        about: dict[str, Any],
        interrupted: Callable[[], bool] = lambda: False,
        limit: int = mdp.MESSAGE_LIMIT,
    ) -> None:
        self.shared = shared
        self.about = about
        self.limit = limit
        self._interrupted = interrupted

    def serve(
        self,
        body: Body,
        frames: Sequence[Buffer],
        expired: Callable[[Request], bool] = lambda request: False,
        control: bool = False,
    ) -> list[Buffer]:
        """Execute what a body asks for, in order; returns the frames of the reply."""
        buffers: list[Buffer] = []
        answers: list[bytes] = []
        for item in body.items:
            if isinstance(item, Invalid):
                answer: bytes | None = encode_error(item.reply_id, item.code, item.message)
            else:
                answer = self._answer(item, frames[1:], buffers, expired, control)
            if answer is not None:
                answers.append(answer)
        return [encode_responses(answers, body.batch), *buffers]

    def _answer(
        self,
        request: Request,
        received: Sequence[Buffer],
        buffers: list[Buffer],
        expired: Callable[[Request], bool],
        control: bool,
    ) -> bytes | None:
        reply_id = request.reply_id
        if control and request.method not in _CONTROL_METHODS:
            message = f"{request.method} does not go over the control lane."
            return encode_error(reply_id or NULL, INVALID_REQUEST, message, {"executed": False})
        if expired(request):
            return self._fail(request, errors.Expired("its time was over when its turn came"))
        mark = len(buffers)
        try:
            result = self._prepare(request, received)()
        except Refusal as refusal:
            return self._fail(request, refusal)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and self._interrupted():
                return self._fail(request, self._interruption(request))
            return self._raised(request, error)
        if reply_id is None:
            return None
        try:
            text = encode_value(result, "result", buffers)
            self._check_size(text, buffers)
        except (errors.LocalProtocolError, ValueError, TypeError) as error:
            del buffers[mark:]
            message = f"{self._name(request)} was executed, but its result cannot be sent: {error}"
            return self._error(request, getattr(error, "code", INTERNAL_ERROR), message, True)
        return encode_result(reply_id, text)

    def _prepare(self, request: Request, received: Sequence[Buffer]) -> Callable[[], object]:
        """Everything that can be refused before the body runs."""
        args, kwargs = self._arguments(request, received)
        method = request.method
        if not method.startswith("rpc."):
            return self.shared.bind(method, args, kwargs)
        if method == "rpc.get":
            (name,) = _strings(method, args, kwargs, 1)
            return lambda: self.shared.get(name)
        if method == "rpc.set":
            name, value = _expect(method, args, kwargs, 2)
            _strings(method, [name], {}, 1)
            return lambda: self.shared.set(name, value)
        if method == "rpc.discover":
            names = _strings(method, args, kwargs, len(args[:1]))
            return lambda: self.shared.describe(*names)
        if method == "rpc.ping":
            return lambda: self.about
        message = f"{self.shared.object_id}: {method!r} is not a method of the protocol."
        raise MemberRefused(message)

    def _arguments(
        self, request: Request, received: Sequence[Buffer]
    ) -> tuple[list[Any], dict[str, Any]]:
        params = None if isinstance(request.params, msgspec.UnsetType) else bytes(request.params)
        try:
            return decode_arguments(params, received)
        except errors.RocError as error:
            message = f"{self._name(request)}: its arguments cannot be read: {error}"
            raise ArgumentsRefused(message) from error

    def _check_size(self, text: bytes, buffers: Sequence[Buffer]) -> None:
        size = len(text) + sum(memoryview(buffer).nbytes for buffer in buffers)
        if size > self.limit - 4096:
            raise errors.TooLarge(
                f"it has {size / 1e6:.0f} MB, and a message may have {self.limit / 1e6:.0f} MB;"
                " send it in parts."
            )

    # ---- errors

    def _name(self, request: Request) -> str:
        """Object and member, for messages: ``vnir.fps`` for a get or set of ``fps``."""
        return f"{self.shared.object_id}.{self._member(request)}"

    def _member(self, request: Request) -> str:
        if request.method in ("rpc.get", "rpc.set") and request.params is not msgspec.UNSET:
            try:
                first = msgspec.json.decode(request.params, type=list[Any])[:1]
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                first = []
            if first and isinstance(first[0], str):
                return first[0]
        return request.method

    def _fail(self, request: Request, refusal: errors.RocError) -> bytes | None:
        message = str(refusal)
        if not message.startswith(self.shared.object_id):
            message = f"{self._name(request)}: {message}"
        return self._error(request, refusal.code, message, refusal.executed, refusal.data)

    def _interruption(self, request: Request) -> errors.RocError:
        message = f"{self._name(request)}: its server was stopped while it ran."
        return errors.ServerLost(message, executed=None)

    def _raised(self, request: Request, error: BaseException) -> bytes | None:
        if request.reply_id is None:
            return None
        kind = type(error)
        message = f"{self._name(request)} raised {kind.__name__}: {_text(error)}"
        data = {
            "type": kind.__qualname__,
            "module": kind.__module__,
            "mro": [f"{c.__module__}.{c.__qualname__}" for c in kind.__mro__ if c is not object],
            "traceback": _traceback(error),
            "host": self.about.get("host"),
            "pid": self.about.get("pid"),
        }
        extras = _encode_extras(error)
        return self._error(request, errors.RemoteError.code, message, True, data, extras)

    def _error(
        self,
        request: Request,
        code: int,
        message: str,
        executed: bool | None,
        data: Any = None,
        extras: dict[str, msgspec.Raw] | None = None,
    ) -> bytes | None:
        reply_id = request.reply_id
        if reply_id is None:
            return None
        facts: dict[str, Any] = {
            "executed": executed,
            "object": self.shared.object_id,
            "method": self._member(request),
            **(data if isinstance(data, dict) else {}),
            **(extras or {}),
        }
        return encode_error(reply_id, code, message, msgspec.json.encode(_printable(facts)))


def _expect(method: str, args: Sequence[Any], kwargs: dict[str, Any], count: int) -> Sequence[Any]:
    if kwargs or len(args) != count:
        raise ArgumentsRefused(f"{method} takes {count} positional parameters.")
    return args


def _strings(method: str, args: Sequence[Any], kwargs: dict[str, Any], count: int) -> list[str]:
    names = _expect(method, args, kwargs, count)
    if not all(isinstance(name, str) for name in names):
        raise ArgumentsRefused(f"{method}: a member's name is a string.")
    return [*names]


def _text(error: BaseException) -> str:
    try:
        return str(error) or "(no message)"
    except BaseException as worse:
        return f"(its message cannot be shown: __str__ raised {type(worse).__name__})"


def _traceback(error: BaseException) -> str:
    """The remote traceback, from the first frame of the object's own code on."""
    try:
        summary = error.__traceback__
        while summary is not None and summary.tb_next is not None:
            if "runmacs.roc.core" not in summary.tb_frame.f_globals.get("__name__", ""):
                break
            summary = summary.tb_next
        return "".join(traceback.format_exception(type(error), error, summary))[-20_000:]
    except BaseException as worse:
        return f"(the traceback cannot be shown: {type(worse).__name__})"


def _encode_extras(error: BaseException) -> dict[str, msgspec.Raw]:
    """The exception's args and public attributes, as far as they can travel."""
    extras: dict[str, msgspec.Raw] = {}
    try:
        args: list[object] = list(error.args)
        attributes = {k: v for k, v in vars(error).items() if not k.startswith("_")}
    except BaseException:
        return extras
    extras["args"] = msgspec.Raw(b"[" + b",".join(_sendable(arg) for arg in args) + b"]")
    parts = [msgspec.json.encode(_clean(k)) + b":" + _sendable(v) for k, v in attributes.items()]
    extras["attributes"] = msgspec.Raw(b"{" + b",".join(parts) + b"}")
    return extras


def _sendable(value: object) -> bytes:
    """The value as JSON, or its repr where it cannot travel in an error."""
    buffers: list[Buffer] = []
    try:
        text = encode_value(value, "error", buffers)
        if not buffers and len(text) < 10_000:
            return text
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
    try:
        return msgspec.json.encode(_clean(repr(value)[:1000]))
    except BaseException:
        return b'"(cannot be shown)"'


def _clean(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _printable(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: _clean(v) if isinstance(v, str) else v for name, v in facts.items()}
