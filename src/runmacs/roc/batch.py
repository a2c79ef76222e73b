"""Batches: calls that are collected in a ``with`` block, and sent together when it ends.

Rules:

* The calls of one object are one message, and are executed in their order, one after the
  other; those of different objects side by side.
* A block that raises sends nothing.
* A batch is answered as a whole. So it has one timeout, for all of its calls together; but
  what becomes of each is told apart.
* Arguments are taken when the call is collected: an array may be written to afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from . import errors
from .core.call import COLLECTED, Call
from .core.call import Batch as Message
from .spelling import Spelled, spelled
from .wire import mdp
from .wire.jsonrpc import BATCH_LIMIT
from .wire.values import Buffer, encode_arguments

if TYPE_CHECKING:
    import asyncio
    import concurrent.futures

__all__ = ["AsyncBatch", "Batch"]

_LARGEST = mdp.MESSAGE_LIMIT - 4096
_REQUEST = 256
"""Bytes that a request has at most, beside its method and parameters."""


class Promising(Protocol):
    """What a batch needs of a client's connection."""

    def promise(self, call: Call, finish: Callable[[Call], Any]) -> Any:
        """The future of a call that is about to be made."""

    def begin_batch(self, batch: Message, timeout: float) -> None:
        """Make calls that travel together."""


class _Part:
    """The calls of one object."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.futures: list[Any] = []
        self.buffers: list[Buffer] = []
        self.size = 0
        self.timeout = 0.0


class _Collected:
    """What the batches of both faces have in common."""

    def __init__(
        self,
        client: Any,
        caller: Promising,
        timeout: float | None,
        finish: Callable[[Call], Any],
    ) -> None:
        self._client = client
        self._caller = caller
        self._timeout = timeout
        self._finish = finish
        self._parts: dict[str, _Part] = {}
        self._state = "new"

    def _collect(
        self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], one_way: bool
    ) -> Any:
        if self._state != "open":
            raise errors.LocalProtocolError(
                "a batch takes calls in its `with` block only; begin another one."
            )
        said = spelled(self._client, function, args, kwargs)
        spot = said.spot
        part = self._parts.get(spot.object_id)
        if part is None:
            part = self._parts[spot.object_id] = _Part()
        call = _encoded(said, part)
        call.one_way = one_way
        future = self._caller.promise(call, self._finish)
        call.state = COLLECTED
        part.calls.append(call)
        part.futures.append(future)
        own = self._client.timeout if spot.timeout is None else spot.timeout
        part.timeout = max(part.timeout, own)
        return future

    def _begin(self) -> None:
        if self._state != "new":
            raise errors.LocalProtocolError("a batch is good for one `with` block; begin another.")
        self._state = "open"

    def _end(self, failed: bool) -> None:
        self._state = "over"
        for object_id, part in self._parts.items():
            if failed:
                for future in part.futures:
                    future.cancel()
                continue
            both = zip(part.calls, part.futures, strict=True)
            calls = [call for call, future in both if not future.cancelled()]
            if calls:
                message = Message(object_id, calls, part.buffers)
                timeout = part.timeout if self._timeout is None else self._timeout
                self._caller.begin_batch(message, timeout)


class Batch(_Collected):
    """Collects calls in a ``with`` block. Made by `RocClient.batch`."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        """Collect a call, spelled as for `RocClient.submit`; its result comes after the block.

        Raises:
            TypeError, Unsendable: it is no call that can be sent.
            TooLarge: the batch has too many calls for one object, or too many bytes.
        """
        future: concurrent.futures.Future[Any] = self._collect(function, args, kwargs, False)
        return future

    def notify(self, function: Any, /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        """Collect a one-way call; the future is done, with None, when it was sent."""
        future: concurrent.futures.Future[Any] = self._collect(function, args, kwargs, True)
        return future

    def __enter__(self) -> Batch:
        self._begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(kind is not None)


class AsyncBatch(_Collected):
    """Collects calls in an ``async with`` block. Made by `AsyncRocClient.batch`."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
        """Collect a call, spelled as for `RocClient.submit`; its result comes after the block.

        Raises:
            TypeError, Unsendable: it is no call that can be sent.
            TooLarge: the batch has too many calls for one object, or too many bytes.
        """
        future: asyncio.Future[Any] = self._collect(function, args, kwargs, False)
        return future

    def notify(self, function: Any, /, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
        """Collect a one-way call; the future is done, with None, when it was sent."""
        future: asyncio.Future[Any] = self._collect(function, args, kwargs, True)
        return future

    async def __aenter__(self) -> AsyncBatch:
        self._begin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(kind is not None)


def _encoded(said: Spelled, part: _Part) -> Call:
    """The call, as one of those in its part; one that is refused leaves nothing there."""
    object_id = said.spot.object_id
    if len(part.calls) >= BATCH_LIMIT:
        raise errors.TooLarge(
            f"{object_id}: a batch has at most {BATCH_LIMIT} calls for one object, and this is one"
            " more; nothing is sent if the block ends with this error. Make several batches."
        )
    mark = len(part.buffers)
    params = encode_arguments(said.args, said.kwargs, part.buffers)
    size = _REQUEST + len(said.method) + len(params or b"")
    if len(part.buffers) > mark:
        part.buffers[mark:] = own = list(map(bytes, part.buffers[mark:]))
        size += sum(map(len, own))
    if part.size + size > _LARGEST:
        del part.buffers[mark:]
        raise errors.TooLarge(
            f"{object_id}.{said.member}: with it the batch has {(part.size + size) / 1e6:.0f} MB,"
            f" and a message may have {mdp.MESSAGE_LIMIT / 1e6:.0f} MB; nothing is sent if the"
            " block ends with this error. Make several batches."
        )
    part.size += size
    call = Call(object_id, said.method, params, (), said.member)
    call.reads = said.reads
    return call
