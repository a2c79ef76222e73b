"""The door for programs: JSON-RPC, attributes, status, history and log over HTTP.

Rules:

* GET changes nothing. Reading an attribute runs code on the instrument, and so needs the token
  or the page's header.
* The calls of a batch are made one after the other: it is an instrument.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..errors import ConfigError, ProtocolError, RocError
from ..status.updates import nested
from ..wire.jsonrpc import (
    Invalid,
    encode_error,
    encode_responses,
    encode_result,
    parse_body,
)
from ..wire.jsonrpc import Request as RpcRequest
from ..wire.logmsg import parse_level
from ..wire.values import decode_arguments
from . import calls
from .guard import may_run
from .hub import Hub
from .presented import Form, as_json, as_npy, error_json, to_json
from .requests import JSON, answer, failure, form_of, json_answer, parts_of, wants_events
from .statusfeed import Leaf, is_within
from .streams import log_events, status_events

__all__ = ["Door", "leaf_json"]

TIMEOUT: Final = "roc-timeout"
_RECORDS: Final = 10_000


class Door:
    """What programs may ask of a hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    # ---- calls

    async def rpc(self, request: Request) -> Response:
        """``POST /rpc/<object>``: a JSON-RPC request, batch or notification."""
        object_id = "/".join(parts_of(request, "rpc"))
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != JSON:
            return _complaint(415, "the body is JSON-RPC 2.0: Content-Type: application/json")
        try:
            timeout = calls.checked_timeout(request.headers.get(TIMEOUT))
        except ConfigError as error:
            return failure(error)
        body = parse_body(await request.body())
        if len(body.items) > self._hub.settings.limits.calls:
            most = self._hub.settings.limits.calls
            return _complaint(413, f"a batch has at most {most} requests; send several")
        form = form_of(request)
        if form == "npy":
            return await self._rpc_npy(object_id, body.items, timeout)
        answers = [await self._one(object_id, item, timeout, form) for item in body.items]
        text = encode_responses([one for one in answers if one is not None], body.batch)
        return Response(text, media_type=JSON) if text else Response(status_code=204)

    async def _one(
        self, object_id: str, item: RpcRequest | Invalid, timeout: float | None, form: Form
    ) -> bytes | None:
        """The response to one request; None to a notification."""
        if isinstance(item, Invalid):
            return encode_error(item.reply_id, item.code, item.message)
        try:
            result = as_json(await self._called(object_id, item, timeout), form)
        except RocError as error:
            said = error_json(error)
            if item.reply_id is None:
                return None
            return encode_error(item.reply_id, said["code"], said["message"], to_json(said["data"]))
        return None if item.reply_id is None else encode_result(item.reply_id, result)

    async def _rpc_npy(
        self, object_id: str, items: Iterable[RpcRequest | Invalid], timeout: float | None
    ) -> Response:
        """A single request whose result is an array, as a file; errors as JSON."""
        (item, *more) = items
        if more or isinstance(item, Invalid) or item.reply_id is None:
            return _complaint(400, "application/x-npy answers a single sound request with an id")
        try:
            file = as_npy(await self._called(object_id, item, timeout))
        except RocError as error:
            return failure(error)
        return Response(file, media_type="application/x-npy")

    async def _called(self, object_id: str, item: RpcRequest, timeout: float | None) -> Any:
        params = None if isinstance(item.params, msgspec.UnsetType) else bytes(item.params)
        args, kwargs = _arguments(params)
        return await calls.call(self._hub, object_id, item.method, args, kwargs, timeout)

    # ---- objects

    async def objects(self, request: Request) -> Response:
        """``GET /objects``, ``/objects/<id>`` (its description), ``/objects/<id>/<attribute>``."""
        parts = parts_of(request, "objects")
        if not parts:
            return json_answer(self._hub.overview()["objects"])
        try:
            if len(parts) == 1:
                return answer(await calls.discover(self._hub, parts[0]), "base64")
            if not may_run(request.scope):
                return _complaint(
                    403,
                    "reading an attribute runs code of the object: send the token, or the header"
                    " `Roc-Page: 1`",
                )
            object_id, name = "/".join(parts[:-1]), parts[-1]
            timeout = calls.checked_timeout(request.headers.get(TIMEOUT))
            value = await calls.call(self._hub, object_id, "rpc.get", [name], {}, timeout)
            return answer(value, form_of(request))
        except RocError as error:
            return failure(error)

    async def openrpc(self, request: Request) -> Response:
        """``GET /openrpc/<id>``: the object's methods, for generators of clients."""
        object_id = "/".join(parts_of(request, "openrpc"))
        try:
            document = await calls.discover(self._hub, object_id)
        except RocError as error:
            return failure(error)
        url = request.url_for("rpc", object_id=object_id)
        servers = [{"name": "roc web", "url": str(url)}]
        return answer({**document, "servers": servers}, "base64")

    # ---- status

    async def status(self, request: Request) -> Response:
        """``GET /status/<path>``: a leaf or a branch; as a stream with text/event-stream."""
        path = "/".join(parts_of(request, "status"))
        if wants_events(request):
            return status_events(self._hub, path)
        leaves = {name: leaf for name, leaf in self._hub.status.leaves.items() if _in(name, path)}
        if path and not leaves:
            return _complaint(404, f"nobody has told anything of {path!r}")
        form = form_of(request)
        value = leaves[path].value if path in leaves else _tree(leaves, path)
        try:
            if form == "npy":
                return answer(value, "npy")
            shown = {name: leaf_json(leaf, form) for name, leaf in leaves.items()}
            told = {"path": path, "value": msgspec.Raw(as_json(value, form)), "leaves": shown}
            return json_answer(told)
        except RocError as error:
            return failure(error)

    async def history(self, request: Request) -> Response:
        """``GET /history/<path>``: the points of all numbers in a branch; JSON or CSV."""
        path = "/".join(parts_of(request, "history"))
        series = {name: self._hub.history.get(name) for name in self._hub.history.paths(path)}
        if not series:
            return _complaint(404, f"there are no numbers at {path!r}")
        if "text/csv" in request.headers.get("accept", ""):
            lines = ["path,time,value\r\n"]
            for name, points in series.items():
                shown = '"' + name.replace('"', '""') + '"'
                pairs = zip(points.times, points.values, strict=True)
                lines += [f"{shown},{at:.3f},{value!r}\r\n" for at, value in pairs]
            return Response("".join(lines), media_type="text/csv; charset=utf-8")
        told = {
            name: {"times": [*points.times], "values": [*points.values]}
            for name, points in series.items()
        }
        return Response(as_json(told), media_type=JSON)

    # ---- the log

    async def logs(self, request: Request) -> Response:
        """``GET /logs``: the newest records that fit; as a stream with text/event-stream."""
        asked = request.query_params
        try:
            chosen: dict[str, Any] = {
                "level": parse_level(asked.get("level") or None),
                "nodes": tuple(filter(None, asked.getlist("node"))),
                "logger": asked.get("logger", ""),
                "text": asked.get("text", ""),
                "call": asked.get("call", ""),
            }
            if wants_events(request):
                resumed = request.headers.get("last-event-id", "")
                return log_events(self._hub, int(resumed) if resumed.isdecimal() else None, chosen)
            chosen["after"] = _whole(asked.get("after", "0"), "after", 10**15)
            chosen["since"] = _seconds(asked.get("since"), "since")
            chosen["until"] = _seconds(asked.get("until"), "until")
            most = _whole(asked.get("n", "100"), "n", _RECORDS)
        except ConfigError as error:
            return failure(error)
        lines = self._hub.logs.select(most, **chosen)
        if "application/x-ndjson" in request.headers.get("accept", ""):
            text = b"".join(line.record.raw + b"\n" for line in lines)
            return Response(text, media_type="application/x-ndjson")
        records = [msgspec.Raw(line.record.raw) for line in lines]
        return json_answer({"records": records, "after": self._hub.logs.taken})

    # ---- all of it

    async def overview(self, request: Request) -> Response:
        """``GET /`` for programs: what is wrong now, and how all fares."""
        return json_answer(self._hub.overview())


def leaf_json(leaf: Leaf, form: Form) -> dict[str, Any]:
    """A leaf with all that is known of it."""
    value = leaf.json if form == "base64" else as_json(leaf.value)
    facts = {"value": msgspec.Raw(value), "time": leaf.time, "source": leaf.source}
    more = {"unit": leaf.unit, "description": leaf.description, "limits": leaf.limits}
    said = {name: fact for name, fact in more.items() if fact is not None}
    return {**facts, "stale": leaf.stale, **said}


def _in(name: str, path: str) -> bool:
    """Whether a leaf is in a branch; the root does not have the broker's own."""
    return is_within(name, path) and (bool(path) or not is_within(name, "roc"))


def _tree(leaves: dict[str, Leaf], path: str) -> dict[str, Any]:
    branch: dict[str, Any] = {}
    skip = len(path) + 1 if path else 0
    for name, leaf in leaves.items():
        nested(branch, name[skip:], leaf.value)
    return branch


def _arguments(params: bytes | None) -> tuple[list[Any], dict[str, Any]]:
    """What the params stand for; `InvalidParams` for what is no value."""
    from ..errors import InvalidParams

    try:
        return decode_arguments(params, [])
    except ProtocolError as error:
        raise InvalidParams(f"the params cannot be read: {error}", executed=False) from None


def _whole(text: str, name: str, most: int) -> int:
    if text.isascii() and text.isdecimal() and int(text) <= most:
        return int(text)
    raise ConfigError(f"{name} is a whole number from 0 to {most}")


def _seconds(text: str | None, name: str) -> float | None:
    """A moment: seconds since 1970, or ISO 8601."""
    from datetime import UTC, datetime

    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ConfigError(f"{name} is a time: seconds since 1970, or ISO 8601") from None


def _complaint(status: int, message: str) -> Response:
    return json_answer({"error": {"code": status, "message": f"{message}."}}, status)
