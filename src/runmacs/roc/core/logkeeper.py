"""The newest log records, kept by the broker for whoever looks late.

Rules:

* Bounded by number and by bytes; the oldest go first.
* Keeping is cheap, as it is done for each record: the text is looked at when it is asked for,
  and nothing is made that Python's garbage collector would have to go through.
* Of each source the last beacon is kept too: it tells of what was lost at its end.
* Each record gets a number of this keeper's own, without holes: pages are asked for by it.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

from ..errors import RocError
from ..wire.logmsg import Beacon, escape_component, parse_beacon, split_topic

__all__ = ["BYTES", "PAGE_BYTES", "RECORDS", "LogKeeper"]

RECORDS: Final = 50_000
BYTES: Final = 64 * 1024 * 1024
PAGE_BYTES: Final = 1024 * 1024
"""How many bytes of records one answer has, or little more."""
_TOPICS: Final = 10_000
_SOURCES: Final = 2000
_OVERHEAD: Final = 60  # what Python takes for a record beside its text


class LogKeeper:
    """Keeps records as they came.

    Args:
        records, most: how many, and how many bytes.
    """

    def __init__(self, records: int = RECORDS, most: int = BYTES) -> None:
        self.dropped_malformed = 0
        self.last = 0
        """The number of the newest record."""
        self._records = records
        self._most = most
        self._texts: deque[bytes] = deque()
        self._abouts: deque[tuple[int, bytes]] = deque()
        """Severity and node of each text; the same tuple for all of a topic."""
        self._bytes = 0
        self._topics: dict[bytes, tuple[int, bytes]] = {}
        self._sources: dict[str, tuple[float, Beacon]] = {}

    @property
    def kept(self) -> int:
        """How many records there are."""
        return len(self._texts)

    def keep(self, frames: Sequence[bytes], now: float) -> None:
        """A record was published: topic and text. Never raises."""
        if len(frames) != 2:
            self.dropped_malformed += 1
            return
        topic, text = frames
        about = self._topics.get(topic)
        if about is None:
            about = self._learn(topic)
        if about is None or text[:1] != b"{":
            self.dropped_malformed += 1
            return
        texts = self._texts
        texts.append(text)
        self._abouts.append(about)
        self.last += 1
        self._bytes += len(text) + _OVERHEAD
        while self._bytes > self._most or len(texts) > self._records:
            self._bytes -= len(texts.popleft()) + _OVERHEAD
            self._abouts.popleft()

    def hear(self, frames: Sequence[bytes], now: float) -> None:
        """A beacon was published. Never raises; whoever keeps the status counts a bad one."""
        try:
            beacon = parse_beacon(frames[1])
        except (RocError, IndexError):
            return
        if beacon.kind != "log":
            return
        self._sources.pop(beacon.source, None)
        self._sources[beacon.source] = (now, beacon)
        if len(self._sources) > _SOURCES:
            del self._sources[next(iter(self._sources))]

    def sources(self, now: float) -> list[dict[str, Any]]:
        """The last beacon of each source: how many records it has sent, and ``ago`` (seconds)."""
        return [
            {**msgspec.to_builtins(beacon), "ago": now - heard}
            for heard, beacon in self._sources.values()
        ]

    def _learn(self, topic: bytes) -> tuple[int, bytes] | None:
        about = split_topic(topic)
        if about is not None:
            if len(self._topics) >= _TOPICS:
                self._topics.clear()
            self._topics[topic] = about
        return about

    def page(
        self,
        after: int | None,
        n: int,
        least: int = 1,
        nodes: Collection[str] = (),
    ) -> dict[str, Any]:
        """Records as texts, oldest first.

        Args:
            after: the number of the record before the first one; a negative one is how many of
                the wanted ones there are from the first one on; None for the newest ``n``.
            n: how many at most.
            least: the least SeverityNumber.
            nodes: only these nodes'; empty for all.

        Returns:
            ``records``; ``after``, to be asked with for what follows; ``more``, whether there
            is more now; ``first`` and ``last``, the numbers of what is kept.
        """
        wanted = {escape_component(node) for node in nodes}
        first = self.last - len(self._texts) + 1
        if after is None:
            texts, reached = self._newest(n, least, wanted), self.last
        else:
            if after < 0:
                after = self._before_newest(-after, least, wanted)
            texts, reached = self._following(max(after, first - 1), n, least, wanted)
        return {
            "records": [text for text in texts if text is not None],
            "after": reached,
            "more": reached < self.last,
            "first": first,
            "last": self.last,
        }

    def _newest(self, n: int, least: int, nodes: Collection[bytes]) -> list[str | None]:
        found: list[str | None] = []
        size = 0
        for (severity, node), text in zip(
            reversed(self._abouts), reversed(self._texts), strict=True
        ):
            if len(found) >= n or size > PAGE_BYTES:
                break
            if severity >= least and (not nodes or node in nodes):
                found.append(self._sound(text))
                size += len(text)
        return found[::-1]

    def _before_newest(self, count: int, least: int, nodes: Collection[bytes]) -> int:
        """The number before the newest records that are wanted, so many."""
        if least <= 1 and not nodes:
            return self.last - count
        for at, (severity, node) in enumerate(reversed(self._abouts), 1):
            if severity >= least and (not nodes or node in nodes):
                count -= 1
                if not count:
                    return self.last - at
        return 0

    def _following(
        self, after: int, n: int, least: int, nodes: Collection[bytes]
    ) -> tuple[list[str | None], int]:
        found: list[str | None] = []
        size = 0
        reached = after
        skipped = max(0, after - (self.last - len(self._texts)))
        kept = zip(self._abouts, self._texts, strict=True)
        for (severity, node), text in itertools.islice(kept, skipped, None):
            if len(found) >= n or size > PAGE_BYTES:
                break
            reached += 1
            if severity >= least and (not nodes or node in nodes):
                found.append(self._sound(text))
                size += len(text)
        return found, min(reached, self.last)

    def _sound(self, text: bytes) -> str | None:
        """The text, if it is one; whether it is a record is for its reader to say."""
        try:
            return bytes(text).decode()
        except UnicodeDecodeError:
            return None

    # ---- looking inside

    def snapshot(self) -> dict[str, Any]:
        """Plain copies for monitoring."""
        return {"kept": len(self._texts), "bytes": self._bytes, "last": self.last}

    def check(self) -> None:
        """Every invariant."""
        assert self._bytes == sum(len(text) + _OVERHEAD for text in self._texts)
        assert len(self._abouts) == len(self._texts)
        assert len(self._texts) <= min(self._records, self.last)
        assert self._bytes <= self._most or not self._texts
