"""From the body of a request to the body of its reply: one shared object's side.

Serves any lane (through a broker, direct, in one process): who calls `Dispatcher.serve`
brings the frames and carries the answer away.

Rules:

* Whatever the method does, the caller gets a truthful answer and the server lives:
  SystemExit, KeyboardInterrupt, an exception whose ``__str__`` raises, a result that
  cannot be sent. Once the process is being interrupted, nothing more is begun.
* ``error.data.executed`` is False for what was refused before the body ran, True for
  what came after it began.
* A notification, or a batch of nothing else, is answered with one empty frame. What goes
  wrong with one is told here, as nobody else hears of it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from types import CoroutineType
from typing import Any

import msgspec

from .. import errors
from ..wire import mdp
from ..wire.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    Body,
    Invalid,
    Request,
    encode_error,
    encode_responses,
    encode_result,
)
from ..wire.values import Buffer, decode_arguments, encode_value
from .kept import SIGN
from .members import brief
from .raised import facts_of, message_of
from .running import RUNNING, RunningCall, texts_of
from .sharing import ArgumentsRefused, MemberRefused, Refusal, SharedObject
from .special import SPECIAL

__all__ = ["Dispatcher"]

_CONTROL_METHODS = ("rpc.ping", "rpc.discover", "rpc.log_level")
_MESSAGE = 300
_ON_MEMBERS = ("rpc.get", "rpc.set", "rpc.special")


class _Reply:
    """What has been answered so far.

    Attributes:
        size: bytes over all frames.
    """

    __slots__ = ("answers", "buffers", "size")

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.buffers: list[Buffer] = []
        self.size = 0

    def add(self, answer: bytes) -> None:
        """One more answer; its buffers are there already, and counted."""
        self.answers.append(answer)
        self.size += len(answer)


class Dispatcher:
    """Executes the requests of one object.

    Args:
        shared: the object, and what of it may be reached.
        about: facts for the answer to ``rpc.ping`` and for errors (host, pid, ...).
        interrupted: tells a KeyboardInterrupt of the process from one that the method
            raised by itself.
        limit: bytes that one reply may have, over all its frames.

    Attributes:
        run_coroutine: runs what an ``async def`` method gives, and returns its result;
            None where there is nobody to do so.
        log_level: reads and sets the level of a logger of this process; None where there is
            no logging.
        unanswered: hears what went wrong with a notification, and the exception, if any.
    """

    run_coroutine: Callable[[CoroutineType[Any, Any, Any]], object] | None = None
    log_level: Callable[[str, str | int | None], object] | None = None
    unanswered: Callable[[str, BaseException | None], None] | None = None

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
        self._errors = 0
        self._last_error: str | None = None

    def serve(
        self,
        body: Body,
        frames: Sequence[Buffer],
        refusal: Callable[[Request], errors.RocError | None] = lambda request: None,
        control: bool = False,
    ) -> list[Buffer]:
        """Execute what a body asks for, in order; returns the frames of the reply.

        ``refusal`` is asked when a request's turn has come: why it may not begin, if so.
        """
        reply = _Reply()
        for item in body.items:
            if isinstance(item, Invalid):
                answer: bytes | None = encode_error(item.reply_id, item.code, item.message)
            elif control and item.method not in _CONTROL_METHODS:
                message = f"{item.method} does not go over the control lane."
                answer = self._error(item, INVALID_REQUEST, message, False)
            elif self._interrupted() and not control:
                answer = self._interruption(item, "before it began", False)
            elif (why := refusal(item)) is not None:
                answer = self._fail(item, why)
            else:
                answer = self._execute(item, frames[1:], reply)
            if answer is not None:
                reply.add(answer)
        return [encode_responses(reply.answers, body.batch), *reply.buffers]

    def _execute(self, request: Request, received: Sequence[Buffer], reply: _Reply) -> bytes | None:
        token = RUNNING.set(RunningCall(request.roc.call))
        try:
            return self._carry_out(request, received, reply)
        finally:
            RUNNING.reset(token)

    def _carry_out(
        self, request: Request, received: Sequence[Buffer], reply: _Reply
    ) -> bytes | None:
        try:
            result = self._prepare(request, received)()
            if type(result) is CoroutineType:
                result = self._awaited(result)
        except Refusal as refusal:
            return self._fail(request, refusal)
        except BaseException as error:
            if issubclass(type(error), KeyboardInterrupt) and self._interrupted():
                return self._interruption(request, "while it ran", None)
            return self._raised(request, error)
        reply_id = request.reply_id
        return None if reply_id is None else self._result(request, reply_id, result, reply)

    def _awaited(self, coroutine: CoroutineType[Any, Any, Any]) -> object:
        if self.run_coroutine is None:
            coroutine.close()
            raise MemberRefused("it is async, and this server runs no event loop")
        return self.run_coroutine(coroutine)

    def _result(
        self, request: Request, reply_id: bytes, result: object, reply: _Reply
    ) -> bytes | None:
        """The answer that carries a result, or the error that says why it cannot be sent."""
        buffers = reply.buffers
        mark = len(buffers)
        size = reply.size
        try:
            text = self._encoded(request, result, buffers)
            if len(buffers) > mark:
                size += sum(memoryview(buffer).nbytes for buffer in buffers[mark:])
            self._check_size(size + len(text))
        except errors.LocalProtocolError as error:
            code, why = error.code, error.message.removeprefix("result cannot be sent: ")
        except BaseException as error:
            # A value's own code may run here (an enum's, a date's), and raise anything.
            if issubclass(type(error), KeyboardInterrupt) and self._interrupted():
                del buffers[mark:]
                return self._interruption(request, "before its result was sent", True)
            code, why = INTERNAL_ERROR, f"it raised {message_of(error)}"
        else:
            reply.size = size
            return encode_result(reply_id, text)
        del buffers[mark:]
        message = f"{self._name(request)} was executed, but its result cannot be sent: {why}"
        return self._error(request, code, message, True)

    def _encoded(self, request: Request, result: object, buffers: list[Buffer]) -> bytes:
        """A result as it travels; what cannot may stay here, and be used from afar."""
        try:
            return encode_value(result, "result", buffers)
        except errors.Unsendable:
            origin = self._member(request).rpartition(".")[2].partition(SIGN)[0]
            call = "" if request.method == "rpc.get" else "()"
            stands_in = self.shared.stand_in(result, f"{brief(origin, '')}{call}")
            if stands_in is result:
                raise
            return encode_value(stands_in, "result", buffers)

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
        if method == "rpc.special":
            path, name = _strings(method, args[:2], {}, 2)
            return self.shared.special(path, name, args[2:], kwargs)
        if method == "rpc.discover":
            names = _strings(method, args, kwargs, len(args[:1]))
            return lambda: self.shared.describe(*names)
        if method == "rpc.log_level" and self.log_level is not None:
            logger, *levels = _expect_one_or_two(method, args, kwargs)
            _strings(method, [logger], {}, 1)
            return functools.partial(self._log_level, logger, *levels)
        if method == "rpc.ping":
            return lambda: {
                **self.about,
                "errors": self._errors,
                "last_error": self._last_error,
            }
        message = f"{self.shared.object_id}: {method!r} is not a method of the protocol."
        raise MemberRefused(message)

    def _log_level(self, logger: str, level: Any = None) -> object:
        assert self.log_level is not None
        try:
            return self.log_level(logger, level)
        except (TypeError, ValueError) as error:
            raise ArgumentsRefused(f"{self.shared.object_id}: {error}") from None

    def _arguments(
        self, request: Request, received: Sequence[Buffer]
    ) -> tuple[list[Any], dict[str, Any]]:
        params = None if isinstance(request.params, msgspec.UnsetType) else bytes(request.params)
        try:
            return decode_arguments(params, received)
        except errors.RocError as error:
            message = f"{self._name(request)}: its arguments cannot be read: {error}"
            raise ArgumentsRefused(message) from error

    def _check_size(self, size: int) -> None:
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
        if request.method in _ON_MEMBERS and request.params is not msgspec.UNSET:
            names = _first_names(request.params)
            if request.method == "rpc.special" and len(names) == 2:
                method = SPECIAL.get(names[1], names[1])
                return f"{names[0]}.{method}" if names[0] else method
            if names and request.method != "rpc.special":
                return names[0]
        return request.method

    def _fail(self, request: Request, refusal: errors.RocError) -> bytes | None:
        message = str(refusal)
        name = self.shared.object_id
        if not message.startswith((f"{name}.", f"{name}:", f"{name} ")):
            message = f"{self._name(request)}: {message}"
        return self._error(request, refusal.code, message, refusal.executed, refusal.data)

    def _interruption(self, request: Request, when: str, executed: bool | None) -> bytes | None:
        message = f"{self._name(request)}: its server was stopped {when}."
        return self._fail(request, errors.ServerLost(message, executed=executed))

    def _raised(self, request: Request, error: BaseException) -> bytes | None:
        message = f"{self._name(request)} raised {message_of(error)}"
        self._errors += 1
        self._last_error = message if len(message) <= _MESSAGE else f"{message[:_MESSAGE]}..."
        if request.reply_id is None:
            self._tell(message, error)
            return None
        data = {
            **facts_of(error),
            "host": self.about.get("host"),
            "pid": self.about.get("pid"),
        }
        return self._error(request, errors.RemoteError.code, message, True, data)

    def _tell(self, message: str, error: BaseException | None) -> None:
        if self.unanswered is not None:
            self.unanswered(message, error)

    def _error(
        self, request: Request, code: int, message: str, executed: bool | None, data: Any = None
    ) -> bytes | None:
        if request.reply_id is None:
            self._tell(message, None)
            return None
        facts: dict[str, Any] = {
            "executed": executed,
            "object": self.shared.object_id,
            "method": self._member(request),
            **(data if isinstance(data, dict) else {}),
        }
        running = RUNNING.get()
        if executed is not False and running is not None and running.log:
            facts["log"] = texts_of(running.log)
        return encode_error(request.reply_id, code, message, facts)


def _first_names(params: msgspec.Raw) -> list[str]:
    """The strings that begin the parameters, two at most, as far as they can be read."""
    try:
        found = msgspec.json.decode(params)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []
    found = found.get("*") if isinstance(found, dict) else found
    first = found[:2] if isinstance(found, list) else []
    return [*itertools.takewhile(lambda name: isinstance(name, str), first)]


def _expect(method: str, args: Sequence[Any], kwargs: dict[str, Any], count: int) -> Sequence[Any]:
    if kwargs or len(args) != count:
        raise ArgumentsRefused(f"{method} takes {count} positional parameters.")
    return args


def _expect_one_or_two(method: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Sequence[Any]:
    if kwargs or not 1 <= len(args) <= 2:
        raise ArgumentsRefused(f"{method} takes one or two positional parameters.")
    return args


def _strings(method: str, args: Sequence[Any], kwargs: dict[str, Any], count: int) -> list[str]:
    names = _expect(method, args, kwargs, count)
    if not all(isinstance(name, str) for name in names):
        raise ArgumentsRefused(f"{method}: a member's name is a string.")
    return [*names]
