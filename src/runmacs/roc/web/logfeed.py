"""The log of all programs, as the pages see it.

Rules:

* It begins with what the broker has kept. The newest records stay here; the oldest go.
* A record stays the text that its source wrote.
* That the broker was started anew, or a node, is a record of our own, in its place.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from ..endpoints import Endpoints
from ..logstream import AsyncLogStream
from ..wire.logmsg import Record, Source, encode_own, parse_record, severity_text

__all__ = ["ERROR", "Line", "LogFeed", "moment_of"]

ERROR: Final = 17
_WARN: Final = 13
_PATIENCE: Final = 1.0
_GAP: Final = 0.05
_RUNS: Final = 10_000


class Line(NamedTuple):
    """A record with its number here."""

    n: int
    record: Record

    @property
    def level(self) -> str:
        """What its source calls its level."""
        return self.record.level or severity_text(self.record.severity)


class LogFeed:
    """Follows the log.

    Args:
        endpoints: of the broker.
        most: how many records stay.
        on_records: called with those that came.
    """

    def __init__(
        self, endpoints: Endpoints, most: int, on_records: Callable[[list[Line]], None]
    ) -> None:
        self.lines: deque[Line] = deque(maxlen=most)
        self.errors: deque[Line] = deque(maxlen=1_000)
        self.taken = 0
        self.lost = 0
        self._runs: dict[tuple[str, str], dict[str, None]] = {}
        self._endpoints = endpoints
        self._on_records = on_records

    async def run(self) -> None:
        """Follow, until cancelled."""
        async with AsyncLogStream(self._endpoints) as stream:
            while True:
                if records := await stream.read(_PATIENCE):
                    self._take(records)
                    await asyncio.sleep(_GAP)  # what comes meanwhile is taken at once

    def _take(self, records: list[Record]) -> None:
        records = [told for record in records for told in (*self._begun(record), record)]
        lines = [Line(self.taken + number, record) for number, record in enumerate(records, 1)]
        self.taken += len(lines)
        self.lines.extend(lines)
        for line in lines:
            self.lost += line.record.lost
            if line.record.severity >= ERROR:
                self.errors.append(line)
        self._on_records(lines)

    def _begun(self, record: Record) -> list[Record]:
        """A mark, where a node that was known speaks from a process that was not."""
        source = record.resource.source
        known = self._runs.setdefault((record.node, record.host), {})
        if not source or source in known:
            return []
        anew = bool(known)
        known[source] = None
        if len(self._runs) > _RUNS:
            del self._runs[next(iter(self._runs))]
        if len(known) > _RUNS:
            del known[next(iter(known))]
        if not anew:
            return []
        text = f"{record.node}@{record.host} was started anew, as pid {record.resource.pid}."
        return [_mark(text, moment_of(record), record.node)]

    def tell(self, text: str) -> None:
        """A mark of our own, about the stream itself."""
        self._take([_mark(text, time.time())])

    def select(
        self,
        n: int,
        after: int = 0,
        level: int = 1,
        nodes: tuple[str, ...] = (),
        logger: str = "",
        text: str = "",
        call: str = "",
        since: float | None = None,
        until: float | None = None,
    ) -> list[Line]:
        """The newest ``n`` that fit, oldest first."""
        found: deque[Line] = deque(maxlen=n)
        for line in self._from(after):
            fitting = fits(line.record, level, nodes, logger, text, call)
            if fitting and _is_between(line, since, until):
                found.append(line)
        return [*found]

    def _from(self, after: int) -> Iterator[Line]:
        if not self.lines or after < self.lines[0].n:
            return iter(self.lines)
        skip = min(len(self.lines), after - self.lines[0].n + 1)
        return (self.lines[at] for at in range(skip, len(self.lines)))


def _mark(text: str, at: float, node: str = "") -> Record:
    reporter = Source("roc-web", socket.gethostname(), os.getpid(), "", "")
    facts: dict[str, Any] = {"roc.mark": "restart"}
    if node:
        facts["roc.mark.node"] = node
    return parse_record(encode_own(at, _WARN, text, reporter, facts))


def fits(
    record: Record,
    level: int,
    nodes: tuple[str, ...],
    logger: str,
    text: str,
    call: str = "",
) -> bool:
    """Whether a record is of a level and a node, of a logger or one beneath it, and so on."""
    if record.severity < level or (nodes and record.node not in nodes):
        return False
    if logger and record.logger != logger and not record.logger.startswith(f"{logger}."):
        return False
    if call and (call.encode() not in record.raw or record.attributes.get("roc.call") != call):
        return False
    return not text or text.casefold() in record.message.casefold()


def _is_between(line: Line, since: float | None, until: float | None) -> bool:
    if since is None and until is None:
        return True
    at = moment_of(line.record)
    return (since is None or at >= since) and (until is None or at <= until)


def moment_of(record: Record) -> float:
    """When a record was logged, in seconds since 1970; 0 if it does not say."""
    try:
        return datetime.fromisoformat(record.timestamp).timestamp()
    except (ValueError, OverflowError):
        return 0.0
