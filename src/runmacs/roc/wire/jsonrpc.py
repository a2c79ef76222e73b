"""JSON-RPC 2.0: requests, responses, batches and notifications, to and from text.

Rules:

* Parsers are total: any bytes give requests, or an `Invalid` that holds the
  error code the specification asks for.
* Parameters, results and ids stay undecoded (`msgspec.Raw`): who routes a message
  does not pay for reading its values, and an id is echoed as it was written.
* One extension member, ``roc``, carries the call id, the time to live, the
  sender's clock, and whether the call may wait for its object. A peer that does
  not know it loses nothing.
* Who holds a call for some time takes that time from its ``ttl`` and adds it to
  its ``at`` before it passes the call on (`aged`).

Source: https://www.jsonrpc.org/specification (2013-01-04).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET, Raw, UnsetType

__all__ = [
    "INTERNAL_ERROR",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "METHOD_NOT_FOUND",
    "NULL",
    "PARSE_ERROR",
    "Body",
    "ErrorObject",
    "Extension",
    "Invalid",
    "Request",
    "Response",
    "aged",
    "encode_error",
    "encode_request",
    "encode_responses",
    "encode_result",
    "parse_body",
    "parse_responses",
]

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

NULL = b"null"

Text: TypeAlias = bytes | bytearray | memoryview


class Extension(msgspec.Struct, frozen=True, omit_defaults=True):
    """The member ``roc`` of a request."""

    call: str = ""
    ttl: float | None = None
    at: float | None = None
    wait: bool = False


_PLAIN = Extension()


class Request(msgspec.Struct):
    """One sound request; ``id`` is UNSET for a notification."""

    jsonrpc: Literal["2.0"]
    method: str
    params: Raw | UnsetType = UNSET
    id: Raw | UnsetType = UNSET
    roc: Extension = _PLAIN

    @property
    def reply_id(self) -> bytes | None:
        """The id as it was written, None for a notification."""
        return None if isinstance(self.id, UnsetType) else bytes(self.id)


class Invalid(NamedTuple):
    """What was not a sound request, and the error that it earns."""

    code: int
    message: str
    reply_id: bytes = NULL


class Body(NamedTuple):
    """What stands in the first body frame of a call."""

    items: list[Request | Invalid]
    batch: bool

    @property
    def sound(self) -> bool:
        """Whether at least one request in it is JSON-RPC."""
        return any(type(item) is Request for item in self.items)

    @property
    def ttl(self) -> float | None:
        """Seconds that the longest-lived request may still wait; None if not said."""
        times = [item.roc.ttl for item in self.items if isinstance(item, Request)]
        known = [ttl for ttl in times if ttl is not None]
        return max(known) if known and len(known) == len(times) else None

    @property
    def waits(self) -> bool:
        """Whether its caller asked to wait for an object that is not there yet."""
        return any(isinstance(item, Request) and item.roc.wait for item in self.items)

    def carries(self, call: str) -> bool:
        """Whether one of its requests has this call id."""
        return any(isinstance(item, Request) and item.roc.call == call for item in self.items)


_single = msgspec.json.Decoder(Request)
_batch = msgspec.json.Decoder(list[Raw])
_members = msgspec.json.Decoder(dict[str, Raw])
_anything = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()

_NOT_TEXT = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def parse_body(text: Text) -> Body:
    """The requests in a call's first body frame. Never raises."""
    try:
        request = _single.decode(text)
    except _NOT_TEXT:
        return _parse_unusual(memoryview(text))
    return Body([_checked(request)], False)


def _parse_unusual(text: Text) -> Body:
    if bytes(text[:64]).lstrip(b" \t\r\n")[:1] != b"[":
        return Body([_diagnosed(text)], False)
    try:
        items = _batch.decode(text)
    except _NOT_TEXT:
        return Body([_diagnosed(text)], False)
    if not items:
        return Body([Invalid(INVALID_REQUEST, "Invalid Request: an empty batch")], False)
    return Body([_parse_item(bytes(item)) for item in items], True)


def _parse_item(text: bytes) -> Request | Invalid:
    try:
        return _checked(_single.decode(text))
    except _NOT_TEXT:
        return _diagnosed(text)


def _checked(request: Request) -> Request | Invalid:
    """What the types cannot say: params are structured, an id is a string, number or null."""
    params, identity = request.params, request.id
    if not isinstance(params, UnsetType) and bytes(params)[:1] not in (b"[", b"{"):
        return _refused(request, "params must be an array or an object")
    if not isinstance(identity, UnsetType) and bytes(identity)[:1] in (b"[", b"{", b"t", b"f"):
        return Invalid(INVALID_REQUEST, "Invalid Request: id must be a string, a number or null")
    return request


def _refused(request: Request, why: str) -> Invalid:
    return Invalid(INVALID_REQUEST, f"Invalid Request: {why}", request.reply_id or NULL)


def _diagnosed(text: Text) -> Invalid:
    """Which of the specification's two errors fits a text that is not a request."""
    try:
        _anything.decode(text)
    except _NOT_TEXT as error:
        return Invalid(PARSE_ERROR, f"Parse error: {error}")
    try:
        _single.decode(text)
    except _NOT_TEXT as error:
        return Invalid(INVALID_REQUEST, f"Invalid Request: {error}", _id_in(text))
    return Invalid(INVALID_REQUEST, "Invalid Request")


def _id_in(text: Text) -> bytes:
    """The id of a request that is unsound elsewhere; null if it has none."""
    try:
        raw = _members.decode(text).get("id")
    except _NOT_TEXT:
        return NULL
    identity = NULL if raw is None else bytes(raw)
    return NULL if identity[:1] in (b"[", b"{", b"t", b"f") else identity


def encode_request(
    method: bytes,
    params: bytes | None,
    number: int | None,
    extension: bytes = b"",
) -> bytes:
    """The text of one request; ``method``, ``params`` and ``extension`` are JSON already.

    >>> encode_request(b'"rpc.ping"', None, 7)
    b'{"jsonrpc":"2.0","id":7,"method":"rpc.ping"}'
    """
    return b'{"jsonrpc":"2.0"%b,"method":%b%b%b}' % (
        b"" if number is None else b',"id":%d' % number,
        method,
        b"" if params is None else b',"params":' + params,
        extension and b',"roc":' + extension,
    )


def aged(text: Text, seconds: float) -> bytes:
    """The same body after it was held for ``seconds``: ttl smaller, sender's clock later.

    A body without our extension, or one that is not JSON-RPC, comes back unchanged.
    """
    unchanged = bytes(text)
    if b'"roc"' not in unchanged:
        return unchanged
    try:
        if unchanged.lstrip(b" \t\r\n")[:1] == b"[":
            return _encoder.encode([_aged_item(item, seconds) for item in _batch.decode(text)])
        return _encoder.encode(_aged_item(unchanged, seconds))
    except _NOT_TEXT:
        return unchanged


def _aged_item(text: bytes | Raw, seconds: float) -> Raw:
    try:
        members = _members.decode(text)
    except _NOT_TEXT:
        return Raw(text)
    if "roc" not in members:
        return Raw(text)
    extension = msgspec.json.decode(members["roc"], type=dict[str, Any])
    for name, change in (("ttl", -seconds), ("at", seconds)):
        if isinstance(extension.get(name), int | float):
            extension[name] += change
    return Raw(_encoder.encode({**members, "roc": Raw(_encoder.encode(extension))}))


class ErrorObject(msgspec.Struct):
    """The member ``error`` of a response."""

    code: int
    message: str
    data: Raw | UnsetType = UNSET


class Response(msgspec.Struct):
    """One response: ``error`` or ``result`` is set."""

    jsonrpc: Literal["2.0"]
    id: int | str | float | None
    result: Raw | UnsetType = UNSET
    error: ErrorObject | UnsetType = UNSET


_response = msgspec.json.Decoder(Response)


def parse_responses(text: Text) -> list[Response] | None:
    """The responses in a reply's first body frame; None if it is not JSON-RPC. Never raises."""
    try:
        responses = [_response.decode(text)]
    except _NOT_TEXT:
        try:
            responses = [_response.decode(item) for item in _batch.decode(text)]
        except _NOT_TEXT:
            return None
    for response in responses:
        if isinstance(response.result, UnsetType) == isinstance(response.error, UnsetType):
            return None
    return responses


def encode_result(reply_id: bytes, result: bytes) -> bytes:
    """The text of a response that carries a result (JSON already)."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (reply_id, result)


def encode_error(
    reply_id: bytes, code: int, message: str, data: dict[str, Any] | bytes | None = None
) -> bytes:
    """The text of a response that carries an error; ``data`` is plain JSON, or its text."""
    body: dict[str, Any] = {"code": code, "message": _scalar_values(message)}
    if data is not None:
        body["data"] = Raw(data) if isinstance(data, bytes) else data
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (reply_id, _encoder.encode(body))


def _scalar_values(text: str) -> str:
    """The text without lone surrogates, which JSON cannot carry."""
    return text.encode("utf-8", "backslashreplace").decode()


def encode_responses(responses: Sequence[bytes], batch: bool) -> bytes:
    """The first body frame of a reply; empty when there was nothing but notifications."""
    if not responses:
        return b""
    return b"[" + b",".join(responses) + b"]" if batch else responses[0]
