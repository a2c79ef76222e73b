"""Server-sent events: status and log, for programs that read a stream of text.

Rules:

* First what is there, then what comes. A reader that is too slow gets the newest values, and is
  told how many records it lost.
* Each record has its number as the event's id, so that a reader that connects again goes on
  where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from .hub import Hub
from .logfeed import fits
from .outbox import Outbox
from .presented import as_json, to_json
from .statusfeed import TURN, is_within

__all__ = ["log_events", "status_events"]

_QUIET: Final = 10.0
_FIRST: Final = 100


def status_events(hub: Hub, path: str) -> Response:
    """``event: status``, with an object of paths; ``null`` stands for a path that went."""
    return _stream(hub, "status", lambda box: _status(hub, box, path))


def log_events(hub: Hub, after: int | None, chosen: dict[str, Any]) -> Response:
    """``event: record``, each with one record."""
    return _stream(hub, "logs", lambda box: _records(hub, box, after, chosen))


def _stream(hub: Hub, topic: str, source: Any) -> Response:
    box = hub.join()
    if box is None:
        told = {"error": {"code": 503, "message": "Too many readers: close one first."}}
        return Response(to_json(told), 503, media_type="application/json")
    box.topics.add(topic)

    async def text() -> AsyncIterator[bytes]:
        try:
            async for part in source(box):
                yield part
        finally:
            hub.leave(box)

    return StreamingResponse(text(), media_type="text/event-stream")


async def _status(hub: Hub, box: Outbox, path: str) -> AsyncIterator[bytes]:
    from .door import leaf_json

    leaves = hub.status.leaves
    box.paths = dict.fromkeys([*leaves])
    while True:
        paths, box.paths = box.paths, {}
        told: dict[str, Any] = {}
        for name in paths:
            if is_within(name, path) and (path or not is_within(name, "roc")):
                leaf = leaves.get(name)
                told[name] = None if leaf is None else leaf_json(leaf, "lists")
        if told:
            yield b"event: status\ndata: " + to_json(told) + b"\n\n"
        if not await box.wait(_QUIET):
            yield b": still here\n\n"
        await asyncio.sleep(TURN)


async def _records(
    hub: Hub, box: Outbox, after: int | None, chosen: dict[str, Any]
) -> AsyncIterator[bytes]:
    lines = hub.logs.select(_FIRST if after is None else 10**6, after or 0, **chosen)
    while True:
        for line in lines:
            yield b"id: %d\nevent: record\ndata: %b\n\n" % (line.n, line.record.raw)
        if box.lost:
            lost, box.lost = box.lost, 0
            yield b"event: lost\ndata: %b\n\n" % as_json({"lost": lost})
        if not await box.wait(_QUIET):
            yield b": still here\n\n"
        lines = [line for line in box.records if fits(line.record, **chosen)]
        box.records.clear()
