"""What a client asks of an object, and how it is written for the wire: a call, or a batch.

Rules:

* A batch is one message and has one answer, but each of its calls has a number, an id and an
  end of its own.
* A one-way call is a JSON-RPC notification. It has no answer, so it is done once it was
  handed to the socket.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from .. import errors
from ..wire.jsonrpc import Response, encode_request
from ..wire.mdp import CLIENT, EMPTY
from ..wire.values import Buffer

__all__ = ["COLLECTED", "Batch", "Call", "number_in", "unsent_text"]

COLLECTED = "collected"
"""The state of a call that is in a batch which is not complete yet."""

_METHODS_KEPT = 10_000


class Call:
    """A pending request: ``response`` or ``error`` is set, once it is ``done``."""

    number = 0
    timeout = 0.0
    deadline = 0.0
    sent_at: float | None = None
    state = "new"
    done = False
    response: Response | None = None
    frames: Sequence[Any] = ()
    error: errors.RocError | None = None
    verdict_number = 0
    waiter: Any = None
    waits = False
    one_way = False
    batch: Batch | None = None
    reads: Any = None
    """The proxy that an attribute is read of; it makes what stands for one that has members."""

    def __init__(
        self,
        object_id: str,
        method: str,
        params: bytes | None,
        buffers: Sequence[Buffer],
        member: str = "",
    ) -> None:
        self.object_id = object_id
        self.method = method
        self.member = member or method
        self.params = params
        self.buffers = buffers

    @classmethod
    def waiting_for(cls, object_id: str) -> Call:
        """A call that ends when the object is there, however busy it is."""
        call = cls(f"{object_id}!", "rpc.ping", None, ())
        call.waits = True
        return call

    def wake(self) -> None:
        """Wake who waits, by whatever was left as ``waiter``; twice does no harm."""
        waiter = self.waiter
        if waiter is not None and waiter.locked():
            waiter.release()

    @property
    def name(self) -> str:
        """Object and member, for messages: ``vnir.fps``."""
        return f"{self.object_id.rstrip('!')}.{self.member}"

    def calls(self) -> Sequence[Call]:
        """The calls in this message."""
        return (self,)

    def sent(self, instance: bytes, now: float, wait: bool, clock: int) -> list[Any]:
        """The frames of its request, handed to the socket now.

        Args:
            instance: names the client in the call id.
            wait: whether the broker shall wait for the object.
            clock: the number of the clock that ``now`` is of.
        """
        text = self.written(instance, now, _terms(self.deadline - now, now, wait, clock))
        return [EMPTY, CLIENT, self.object_id.encode(), text, *self.buffers]

    def written(self, instance: bytes, now: float, terms: bytes) -> bytes:
        """The text of its request, handed to the socket now on these `_terms`."""
        extension = b'{"call":"%b.%d",%b}' % (instance, self.number, terms)
        self.state = "sent"
        self.sent_at = now
        number = None if self.one_way else self.number
        return encode_request(_quoted(self.method), self.params, number, extension)


def _terms(left: float, now: float, wait: bool, clock: int) -> bytes:
    """What a request says of its time; ``left`` is its time to live."""
    return b'"ttl":%.6f,"at":%.6f%b%b' % (
        left,
        now,
        b',"wait":true' if wait else b"",
        b',"clock":%d' % clock if clock else b"",
    )


class Batch:
    """Calls of one object that travel as one message, and share its buffers."""

    __slots__ = ("_calls", "buffers", "object_id", "waits")

    def __init__(self, object_id: str, calls: Iterable[Call], buffers: Sequence[Buffer]) -> None:
        self.object_id = object_id
        self.buffers = buffers
        self.waits = False
        self._calls = {id(call): call for call in calls}
        for call in self._calls.values():
            call.batch = self

    def calls(self) -> Sequence[Call]:
        """The calls in it that have not ended before it was sent."""
        return list(self._calls.values())

    def drop(self, call: Call) -> bool:
        """A call ended before it was sent; whether any is left."""
        self._calls.pop(id(call), None)
        return bool(self._calls)

    def sent(self, instance: bytes, now: float, wait: bool, clock: int) -> list[Any]:
        """The frames of its request, handed to the socket now; see `Call.sent`."""
        calls = self._calls.values()
        left = min(call.deadline for call in calls) - now
        terms = _terms(left, now, wait, clock)
        texts = [call.written(instance, now, terms) for call in calls]
        text = b"[%b]" % b",".join(texts)
        return [EMPTY, CLIENT, self.object_id.encode(), text, *self.buffers]


_method_text: dict[str, bytes] = {}


def _quoted(method: str) -> bytes:
    text = _method_text.get(method)
    if text is None:
        if len(_method_text) > _METHODS_KEPT:
            _method_text.clear()
        text = _method_text[method] = msgspec.json.encode(method)
    return text


def unsent_text(call: Call) -> str:
    """Why there is no waiting for a call that is collected."""
    return f"{call.name}: its batch is sent when its `with` block ends; ask for the result then."


def number_in(text: bytes) -> int:
    """The id in a request that we encoded ourselves: it stands first, after the version."""
    return int(text[text.index(b'"id":') + 5 :].split(b",", 1)[0])
