"""JSON-RPC 2.0: requests, responses, batches and notifications, to and from text.

Rules:

* Parsers are total: any bytes give requests, or an `Invalid` that holds the
  error code the specification asks for. Whether a text is JSON in UTF-8 is decided
  for the whole of it, before anything in it counts.
* Parameters, results and ids stay undecoded (`msgspec.Raw`): who routes a message
  does not pay for reading its values, and an id is echoed as it was written.
* One extension member, ``roc``, carries the call id, the time to live, the
  sender's clock, and whether the call may wait for its object. A peer that does
  not know it loses nothing.
* Who holds a call for some time takes that time from its ``ttl`` and adds it to
  its ``at`` before it passes the call on (`aged`). How long the call may have waited
  unread before that is added to its ``age``: a supposition must not touch ``at``, or
  it would pass for a quick journey and make all later ones look slow.
* A batch holds at most `BATCH_LIMIT` requests, so that nobody is kept busy by one.

Source: https://www.jsonrpc.org/specification (2013-01-04).
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
from collections.abc import Container, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET, Raw, UnsetType

__all__ = [
    "BATCH_LIMIT",
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
    "without",
]

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

NULL = b"null"

BATCH_LIMIT = 1000
"""Requests in one batch; over it, the whole batch is an Invalid Request."""

Text: TypeAlias = bytes | bytearray | memoryview


class Extension(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The member ``roc`` of a request."""

    call: str = ""
    ttl: float | None = None
    at: float | None = None
    age: float = 0.0
    clock: int = 0
    wait: bool = False


_PLAIN = Extension()


class Request(msgspec.Struct, gc=False):
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


class Body(msgspec.Struct, frozen=True, gc=False):
    """What stands in the first body frame of a call."""

    items: tuple[Request | Invalid, ...]
    batch: bool

    @property
    def sound(self) -> bool:
        """Whether at least one request in it is JSON-RPC."""
        items = self.items
        return type(items[0]) is Request or any(type(item) is Request for item in items)

    @property
    def ttl(self) -> float | None:
        """Seconds that the longest-lived request may still wait; None if not said."""
        if not self.batch and isinstance(self.items[0], Request):
            roc = self.items[0].roc
            return None if roc.ttl is None else roc.ttl - roc.age
        times = [item.roc for item in self.items if isinstance(item, Request)]
        known = [roc.ttl - roc.age for roc in times if roc.ttl is not None]
        return max(known) if known and len(known) == len(times) else None

    @property
    def waits(self) -> bool:
        """Whether its caller asked to wait for an object that is not there yet."""
        return any(isinstance(item, Request) and item.roc.wait for item in self.items)

    def carries(self, call: str) -> bool:
        """Whether one of its requests has this call id; the empty one is nobody's."""
        return call != "" and any(
            isinstance(item, Request) and item.roc.call == call for item in self.items
        )


_single = msgspec.json.Decoder(Request)
_members = msgspec.json.Decoder(dict[str, Raw])
_any_json = msgspec.json.Decoder(Raw)
_encoder = msgspec.json.Encoder()

_NOT_TEXT = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_BATCH = re.compile(rb"[ \t\r\n]*\[")
_STRUCTURES = (b"[", b"{")
_NO_ID = (b"[", b"{", b"t", b"f")
_LONGEST_REASON = 200


@functools.cache
def _batch_of(item: Any) -> msgspec.json.Decoder[Any]:
    """Reads a batch, and stops at the first item too many: a list is read to its end."""
    places = [(f"item{place}", item | UnsetType, UNSET) for place in range(BATCH_LIMIT)]
    kind = msgspec.defstruct("_Batch", places, array_like=True, forbid_unknown_fields=True)
    return msgspec.json.Decoder(kind)


def _items(text: bytes, kind: Any = Raw) -> list[Any]:
    items = msgspec.structs.astuple(_batch_of(kind).decode(text))
    return list(itertools.takewhile(lambda item: item is not UNSET, items))


def parse_body(text: Text) -> Body:
    """The requests in a call's first body frame. Never raises."""
    text = bytes(text)
    if not _is_utf8(text):
        return Body((Invalid(PARSE_ERROR, "Parse error: the text is not UTF-8"),), False)
    try:
        request = _single.decode(text)
    except _NOT_TEXT as error:
        return _parse_unusual(text, error)
    return Body((_checked(request),), False)


def _is_utf8(text: bytes) -> bool:
    """Checked here, as what stays undecoded is not checked by the codec."""
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parse_unusual(text: bytes, trouble: Exception) -> Body:
    """A text that is not a single sound request: a batch, or one of two errors."""
    try:
        _any_json.decode(text)
    except RecursionError:
        return Body((Invalid(PARSE_ERROR, "Parse error: it is nested too deeply"),), False)
    except _NOT_TEXT as error:
        return Body((Invalid(PARSE_ERROR, f"Parse error: {error}"),), False)
    if _BATCH.match(text) is None:
        return Body((_invalid(text, trouble),), False)
    return _parse_batch(text)


def _parse_batch(text: bytes) -> Body:
    """A list; at once if it has nothing but sound requests, else one by one."""
    with contextlib.suppress(*_NOT_TEXT):
        requests = _items(text, Request)
        if requests:
            return Body(tuple([_checked(request) for request in requests]), True)
    try:
        items = _items(text)
    except _NOT_TEXT:
        why = f"a batch of more than {BATCH_LIMIT} requests; send several"
        return Body((Invalid(INVALID_REQUEST, f"Invalid Request: {why}"),), False)
    if not items:
        return Body((Invalid(INVALID_REQUEST, "Invalid Request: an empty batch"),), False)
    return Body(tuple([_parse_item(bytes(item)) for item in items]), True)


def _parse_item(text: bytes) -> Request | Invalid:
    try:
        return _checked(_single.decode(text))
    except _NOT_TEXT as error:
        return _invalid(text, error)


def _checked(request: Request) -> Request | Invalid:
    """What the types cannot say: params are structured, an id is a string, number or null."""
    params, identity = request.params, request.id
    if not isinstance(params, UnsetType) and bytes(params)[:1] not in _STRUCTURES:
        why = "params must be an array or an object"
        return Invalid(INVALID_REQUEST, f"Invalid Request: {why}", _sound_id(identity))
    if not isinstance(identity, UnsetType) and bytes(identity)[:1] in _NO_ID:
        return Invalid(INVALID_REQUEST, "Invalid Request: id must be a string, a number or null")
    return request


def _invalid(text: bytes, trouble: Exception) -> Invalid:
    """JSON that is not a sound request, and why."""
    why = str(trouble)[:_LONGEST_REASON]
    try:
        identity = _identity.decode(text).id
    except _NOT_TEXT:
        identity = UNSET
    return Invalid(INVALID_REQUEST, f"Invalid Request: {why}", _sound_id(identity))


class _Identity(msgspec.Struct):
    """What is wanted of a request that is unsound elsewhere: where to send the error."""

    id: Raw | UnsetType = UNSET


_identity = msgspec.json.Decoder(_Identity)


def _sound_id(identity: Raw | UnsetType) -> bytes:
    text = NULL if isinstance(identity, UnsetType) else bytes(identity)
    return NULL if text[:1] in _NO_ID else text


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


def aged(text: Text, seconds: float, unread: float = 0.0) -> bytes:
    """The same body after it was held for ``seconds``: ttl smaller, sender's clock later.

    ``unread`` is how long it may have waited before it was read.

    Everything else stays as it was written. What has no sound extension, or is not
    JSON-RPC at all, comes back unchanged.
    """
    unchanged = bytes(text)
    if not unread and (older := _aged_own(unchanged, seconds)) is not None:
        return older
    # A member's name may be spelled with escapes.
    if b'"roc"' not in unchanged and b"\\u" not in unchanged:
        return unchanged
    if _BATCH.match(unchanged) is None:
        return _aged_item(unchanged, seconds, unread)
    try:
        items = _items(unchanged)
    except _NOT_TEXT:
        return unchanged
    return b"[" + b",".join([_aged_item(bytes(item), seconds, unread) for item in items]) + b"]"


_OWN = re.compile(
    rb',"roc":\{"call":"[^"\\]*","ttl":([0-9]+\.[0-9]+),"at":([0-9]+\.[0-9]+)'
    rb'(?:,"wait":true)?(?:,"clock":[0-9]+)?\}\}'
)


def _aged_own(text: bytes, seconds: float) -> bytes | None:
    """The same for a request as our own clients write it, without reading it; else None.

    What closes with the end of the text is the request itself, so that the extension is its,
    and not one that stands in its parameters.
    """
    found = _OWN.fullmatch(text, max(0, text.rfind(b',"roc":{')))
    if found is None:
        return None
    return b'%b%.6f,"at":%.6f%b' % (
        text[: found.start(1)],
        float(found[1]) - seconds,
        float(found[2]) + seconds,
        text[found.end(2) :],
    )


class _Times(msgspec.Struct):
    ttl: float | None = None
    at: float | None = None
    age: float = 0.0


_times = msgspec.json.Decoder(_Times)


def _aged_item(text: bytes, seconds: float, unread: float) -> bytes:
    try:
        members = _members.decode(text)
        times = _times.decode(members["roc"])
        extension = _members.decode(members["roc"])
    except (KeyError, *_NOT_TEXT):
        return text
    if times.ttl is not None:
        extension["ttl"] = Raw(_encoder.encode(times.ttl - seconds))
    if times.at is not None:
        extension["at"] = Raw(_encoder.encode(times.at + seconds))
    if unread:
        extension["age"] = Raw(_encoder.encode(times.age + unread))
    return _encoder.encode({**members, "roc": Raw(_encoder.encode(extension))})


class _Named(msgspec.Struct):
    """What is wanted of a request to tell which call it is."""

    roc: Extension = _PLAIN


_named = msgspec.json.Decoder(_Named)


def without(text: Text, calls: Container[str]) -> bytes:
    """The same batch without the requests that have these call ids; the rest as it was."""
    kept = [item for item in map(bytes, _items(bytes(text))) if _call_of(item) not in calls]
    return b"[" + b",".join(kept) + b"]"


def _call_of(item: bytes) -> str | None:
    """The call id of one item of a batch; None if it has none that could be withdrawn."""
    try:
        return _named.decode(item).roc.call or None
    except _NOT_TEXT:
        return None


class ErrorObject(msgspec.Struct, gc=False):
    """The member ``error`` of a response."""

    code: int
    message: str
    data: Raw | UnsetType = UNSET


class Response(msgspec.Struct, gc=False):
    """One response: ``error`` or ``result`` is set."""

    jsonrpc: Literal["2.0"]
    id: int | str | float | None
    result: Raw | UnsetType = UNSET
    error: ErrorObject | UnsetType = UNSET


_response = msgspec.json.Decoder(Response)
_responses = msgspec.json.Decoder(list[Response])


def parse_responses(text: Text) -> list[Response] | None:
    """The responses in a reply's first body frame; None if it is not JSON-RPC. Never raises."""
    try:
        responses = [_response.decode(text)]
    except _NOT_TEXT:
        try:
            responses = _responses.decode(text)
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
