"""The WebSocket of a page: everything over one connection.

The page says ``{"op": "hello", "token"}`` first, then

* ``{"op": "follow", "topics": ["status", "logs"], "after"}``; the overview comes in any case,
  and records only after the one of that number;
* ``{"op": "call", "id", "object", "method", "args", "kwargs", "timeout"}``;
* ``{"op": "cancel", "id"}``;
* ``{"op": "history", "id", "paths"}``.

It gets texts (``t`` says what: ``hello``, ``overview``, ``status``, ``logs``, ``error``), and
binary messages for results and for arrays of the status, see `presented.packed`.

Rules:

* Status and log are gathered for a tenth of a second.
* A page that sends more than it may is told so, and disconnected when it goes on.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import deque
from contextlib import suppress
from typing import Any, Final

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..errors import LocalProtocolError, QueueFull, RocError
from ..wire.values import value_of
from . import calls
from .guard import authorized
from .hub import Hub
from .logfeed import Line
from .outbox import Outbox, TooSlow
from .presented import error_json, is_array, packed, to_json
from .statusfeed import TURN

__all__ = ["Page"]

_HELLO: Final = 5.0
_TOPICS: Final = frozenset({"status", "logs"})
_LEAVES: Final = 2_000
_RECORDS: Final = 500
_PLOTS: Final = 50
_parse = msgspec.json.Decoder(dict[str, Any]).decode
_UNSOUND: Final = (msgspec.MsgspecError, ValueError, RecursionError, TypeError, KeyError)


class _TooOften(Exception):
    """This page goes on asking more than it may."""


class Page:
    """One connection."""

    def __init__(self, hub: Hub, websocket: WebSocket) -> None:
        self._hub = hub
        self._socket = websocket
        self._calls: dict[Any, asyncio.Task[None]] = {}
        limits = hub.settings.limits
        self._allowance, self._at = limits.burst, time.monotonic()

    async def run(self) -> None:
        """Serve it, until it goes."""
        await self._socket.accept()
        with suppress(WebSocketDisconnect):
            if not await self._is_welcome():
                await self._socket.close(4401, "the token is needed")
                return
            box = self._hub.join()
            if box is None:
                await self._socket.close(4503, "too many pages are open; close one")
                return
            try:
                await self._serve(box)
            finally:
                self._hub.leave(box)
                for task in [*self._calls.values()]:
                    task.cancel()

    async def _is_welcome(self) -> bool:
        try:
            message = _parse(await asyncio.wait_for(self._receive(), _HELLO))
        except (TimeoutError, *_UNSOUND):
            return False
        if message.get("op") != "hello":
            return False
        settings = self._hub.settings
        token = str(message.get("token") or "")
        known = hmac.compare_digest(token.encode(), settings.token.encode())
        return settings.loopback or authorized(self._socket.scope) or (known and bool(token))

    async def _receive(self) -> str:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text: str | None = message.get("text")
        if text is None:
            raise ValueError("a page sends texts")
        return text

    async def _serve(self, box: Outbox) -> None:
        await self._send_text(to_json({"t": "hello", "run": self._hub.started}))
        box.mark("overview")
        sender = asyncio.create_task(self._send_all(box))
        try:
            while not sender.done():
                reader = asyncio.create_task(self._receive())
                await asyncio.wait({reader, sender}, return_when=asyncio.FIRST_COMPLETED)
                if not reader.done():
                    reader.cancel()
                    break
                self._on_text(box, reader)
        except TooSlow:
            await self._socket.close(4408, "this page does not read its answers")
        except _TooOften:
            await self._socket.close(4429, "this page asks too often")
        finally:
            sender.cancel()
            with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await sender

    # ---- what the page says

    def _on_text(self, box: Outbox, reader: asyncio.Task[str]) -> None:
        identity: Any = None
        try:
            message = _parse(reader.result())
            identity = message.get("id")
            self._check_rate()
            self._on_message(box, message, identity)
        except _UNSOUND as error:
            self._answer_error(box, identity, LocalProtocolError(f"this is no request: {error}"))
        except RocError as error:
            self._answer_error(box, identity, error)

    def _check_rate(self) -> None:
        limits, now = self._hub.settings.limits, time.monotonic()
        self._allowance += (now - self._at) * limits.requests
        self._allowance, self._at = min(limits.burst, self._allowance) - 1, now
        if self._allowance < -limits.burst:
            raise _TooOften
        if self._allowance < 0:
            raise QueueFull(f"This page asks more than {limits.requests:g} times a second.")

    def _on_message(self, box: Outbox, message: dict[str, Any], identity: Any) -> None:
        match message.get("op"):
            case "follow":
                self._follow(box, _TOPICS & {*message["topics"]}, int(message.get("after") or 0))
            case "call":
                self._begin(box, identity, self._call(box, message, identity))
            case "cancel":
                if task := self._calls.get(identity):
                    task.cancel()
            case "history":
                self._history(box, [*map(str, message["paths"])][:_PLOTS], identity)
            case other:
                raise ValueError(f"there is no op {str(other)[:40]!r}")

    def _follow(self, box: Outbox, topics: frozenset[str] | set[str], after: int) -> None:
        new = topics - box.topics
        box.topics = {*topics}
        if "status" in new:
            box.paths = dict.fromkeys([*self._hub.status.leaves])
            box.mark("status")
        if "logs" in new:
            logs = self._hub.logs
            box.records = deque(logs.select(self._hub.settings.limits.waiting, after))
            box.lost = max(0, logs.taken - after - len(box.records)) if after else 0
            box.mark("more")

    def _begin(self, box: Outbox, identity: Any, work: Any) -> None:
        if len(self._calls) >= self._hub.settings.limits.calls or identity in self._calls:
            work.close()
            raise QueueFull("This page has too many calls under way; wait for one of them.")
        task = self._calls[identity] = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._calls.pop(identity, None))

    async def _call(self, box: Outbox, message: dict[str, Any], identity: Any) -> None:
        began = time.monotonic()
        try:
            value = await calls.call(
                self._hub,
                str(message["object"]),
                str(message["method"]),
                [value_of(value) for value in message.get("args") or []],
                {name: value_of(value) for name, value in (message.get("kwargs") or {}).items()},
                calls.checked_timeout(message.get("timeout")),
            )
            seconds = time.monotonic() - began
            box.answer(packed({"t": "result", "id": identity, "seconds": seconds}, value))
        except RocError as error:
            self._answer_error(box, identity, error)
        except _UNSOUND as error:
            self._answer_error(box, identity, LocalProtocolError(f"this is no request: {error}"))
        except TooSlow:
            await self._socket.close(4408, "this page does not read its answers")

    def _answer_error(self, box: Outbox, identity: Any, error: RocError) -> None:
        told = {"t": "error", "id": identity, "error": error_json(error)}
        with suppress(TooSlow):
            box.answer(to_json(told).decode())

    def _history(self, box: Outbox, paths: list[str], identity: Any) -> None:
        series = {path: self._hub.history.get(path) for path in paths}
        value = {
            path: [bytes(points.times), bytes(points.values)] for path, points in series.items()
        }
        box.answer(packed({"t": "result", "id": identity, "seconds": 0}, value))

    # ---- what it is told

    async def _send_all(self, box: Outbox) -> None:
        gathered = 0.0
        while True:
            await box.wait()
            for message in box.take_answers():
                if isinstance(message, bytes):
                    await self._socket.send_bytes(message)
                else:
                    await self._socket.send_text(message)
            if time.monotonic() - gathered < TURN:
                # Answers are not kept waiting; all else is gathered.
                if not box.answers:
                    await asyncio.sleep(TURN / 4)
                box.mark("more")
                continue
            gathered = time.monotonic()
            await self._send_news(box)

    async def _send_text(self, message: bytes) -> None:
        await self._socket.send_text(message.decode())

    async def _send_news(self, box: Outbox) -> None:
        marks, box.marks = box.marks, set()
        if "overview" in marks:
            await self._send_text(to_json({"t": "overview", **self._hub.overview()}))
        if box.paths or "status" in marks:
            await self._send_status(box, "status" in marks)
        if box.records or box.lost:
            await self._send_records(box)

    async def _send_status(self, box: Outbox, first: bool) -> None:
        paths = [*box.paths][:_LEAVES]
        for path in paths:
            del box.paths[path]
        leaves = self._hub.status.leaves
        told: dict[str, Any] = {path: None for path in paths}
        arrays = []
        for path in paths:
            if (leaf := leaves.get(path)) is None:
                continue
            if is_array(leaf.value):
                arrays.append([path, leaf.value, *leaf[2:]])
                del told[path]
            else:
                told[path] = [msgspec.Raw(leaf.json), *leaf[2:]]
        await self._send_text(to_json({"t": "status", "first": first, "leaves": told}))
        if arrays:
            await self._socket.send_bytes(packed({"t": "status"}, arrays))
        if box.paths:
            box.mark("more")

    async def _send_records(self, box: Outbox) -> None:
        lines = [box.records.popleft() for _ in range(min(_RECORDS, len(box.records)))]
        lost, box.lost = box.lost, 0
        message = {"t": "logs", "records": _raw(lines), "lost": lost}
        await self._send_text(to_json(message))
        if box.records:
            box.mark("more")


def _raw(lines: list[Line]) -> list[Any]:
    return [[line.n, msgspec.Raw(line.record.raw)] for line in lines]
