"""A call: one pending request of a client, and how it is written for the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from .. import errors
from ..wire.jsonrpc import Response, encode_request
from ..wire.mdp import CLIENT, EMPTY
from ..wire.values import Buffer

__all__ = ["Call", "number_in"]

_METHODS_KEPT = 10_000


class Call:
    """A pending request. ``outcome`` is a result or an exception, once ``done``."""

    __slots__ = (
        "buffers",
        "deadline",
        "done",
        "error",
        "frames",
        "member",
        "method",
        "number",
        "object_id",
        "params",
        "response",
        "sent_at",
        "state",
        "timeout",
        "verdict_number",
        "waiter",
        "waits",
    )

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
        self.number = 0
        self.timeout = 0.0
        self.deadline = 0.0
        self.sent_at: float | None = None
        self.state = "new"
        self.done = False
        self.response: Response | None = None
        self.frames: Sequence[Any] = ()
        self.error: errors.RocError | None = None
        self.verdict_number = 0
        self.waiter: Any = None
        self.waits = False

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

    def sent(self, instance: bytes, now: float, wait: bool, clock: int) -> list[Any]:
        """The frames of its request, handed to the socket now.

        Args:
            instance: names the client in the call id.
            wait: whether the broker shall wait for the object.
            clock: the number of the clock that ``now`` is of.
        """
        extension = b'{"call":"%b.%d","ttl":%.6f,"at":%.6f%b%b}' % (
            instance,
            self.number,
            self.deadline - now,
            now,
            b',"wait":true' if wait else b"",
            b',"clock":%d' % clock if clock else b"",
        )
        text = encode_request(_quoted(self.method), self.params, self.number, extension)
        self.state = "sent"
        self.sent_at = now
        return [EMPTY, CLIENT, self.object_id.encode(), text, *self.buffers]


_method_text: dict[str, bytes] = {}


def _quoted(method: str) -> bytes:
    text = _method_text.get(method)
    if text is None:
        if len(_method_text) > _METHODS_KEPT:
            _method_text.clear()
        text = _method_text[method] = msgspec.json.encode(method)
    return text


def number_in(text: bytes) -> int:
    """The id in a request that we encoded ourselves: it stands first, after the version."""
    return int(text[text.index(b'"id":') + 5 :].split(b",", 1)[0])
