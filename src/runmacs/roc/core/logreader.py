"""Reads the log of all nodes, as an automaton: nothing twice, and every loss told.

States::

    down ──link up──> catching ──no page is left──> live ──a hole──> pulling
                         ^                                              |
                         └───────────────no page is left────────────────┘

Rules:

* Whoever catches up subscribes first and reads what the broker has kept then; what arrives
  meanwhile waits. So nothing falls between the two, and what is in both is known by its
  number.
* A record is known by source, severity and number. One that is not above the last is a
  double. A hole is first looked for among the kept records; what is not there is lost.
* Who is too slow for the stream has holes. It does without the stream then, and pulls pages
  until there are no more: they cost half as much, and wait until they are asked for.
* Beacons tell of holes at the end.
* Of a source that is older than this reader nothing is missed that came before; nor of any
  source what was before a history that is limited.
* A record without a number (from a program that is not ours) is a double if one of the same
  text was among the newest ones.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec

from ..errors import RocError
from ..wire.logmsg import Beacon, Lost, Record, Source, parse_beacon, parse_record, prefixes

__all__ = ["Item", "LogReaderCore"]

Item: TypeAlias = "Record | Lost"

_PAGE: Final = 2500
_WAITING: Final = 16 * 1024 * 1024
_SOURCES: Final = 5000
_UNNUMBERED: Final = 10_000
_MOST: Final = 24
_SETTLED: Final = 2.0
"""Seconds after which a source that lives has told us of itself."""


def _numbers_of(beacon: Beacon) -> dict[int, int]:
    return {int(name): n for name, n in beacon.sent.items() if name in _SEVERITIES}


_SEVERITIES: Final = {f"{severity:02d}" for severity in range(1, _MOST + 1)}


def _aged(found: Any) -> bytes:
    """A beacon that the broker has kept, as it would sound now."""
    if isinstance(found, dict):
        age, ago = found.get("age"), found.get("ago")
        if isinstance(age, (int, float)) and isinstance(ago, (int, float)):
            found = {**found, "age": age + ago}
    try:
        return msgspec.json.encode(found)
    except (TypeError, UnicodeEncodeError):
        return b""


class _Known:
    """What is known of a source: the last number of each severity, and whether it is young."""

    __slots__ = ("last", "resource", "young")

    def __init__(self, resource: Source) -> None:
        self.resource = resource
        self.last: dict[int, int] = {}
        self.young: bool | None = None


class LogReaderCore:
    """The reader of a subscription to the log.

    Args:
        least: the least SeverityNumber to read.
        nodes: whose records; empty for all.
        history: how many of the kept records to read first; None for all, 0 for none, and
            then holes are not looked for among them either.
        since: when this reader, or the one that it continues, began (a `Timestamp`).
        age: how many seconds ago that is.

    Attributes:
        found: records and losses, in order, for the driver to take away.
    """

    def __init__(
        self,
        least: int = 1,
        nodes: Sequence[str] = (),
        history: int | None = None,
        since: str = "",
        age: float = 0.0,
    ) -> None:
        self.found: list[Item] = []
        self.doubles = 0
        self.malformed = 0
        self.lost = 0
        self.state = "down"
        self._pending: list[bytes] = []
        """Subscriptions to begin or to end."""
        self._least = least
        self._nodes = tuple(nodes)
        self._history = history
        self._since = since
        self._age = age
        self._sources: OrderedDict[str, _Known] = OrderedDict()
        self._unnumbered: OrderedDict[int, None] = OrderedDict()
        self._waiting: deque[Sequence[bytes]] = deque()
        self._waiting_bytes = 0
        self._broker = ""
        self._beacons: list[bytes] | None = None
        self._after: int | None = None
        self._first_up: float | None = None
        self._looked = False
        """Whether what is read now was looked for among the kept records already."""
        self._joining = bool(history)
        """Whether the history, which is limited, is still being read."""

    def resume(self, record: Record) -> None:
        """What an earlier reader has already read, oldest first."""
        self._note(record.resource, record.severity, record.n, record.raw)

    def resume_numbers(self, resource: Source, severity: int, last: int) -> None:
        """The last number that an earlier reader has read, or told as lost."""
        self._note(resource, severity, last, b"")

    def continue_from(self, since: str, age: float) -> None:
        """The reader that this one continues began then, so many seconds ago."""
        self._since = since
        self._age = age

    def widen(self) -> None:
        """This reader reads more than the one it continues: what is new to it begins now."""
        for known in self._sources.values():
            known.young = False

    def numbers(self) -> list[tuple[Source, dict[int, int]]]:
        """The last numbers of all sources, for whoever shall continue."""
        return [
            (known.resource, {severity: n for severity, n in known.last.items() if n})
            for known in self._sources.values()
        ]

    def _note(self, resource: Source, severity: int, n: int, raw: bytes) -> None:
        if not n or not resource.source:
            self._is_double(raw)
            return
        known = self._known(resource)
        known.young = True  # what it had before is known
        known.last[severity] = max(n, known.last.get(severity, 0))

    # ---- the link

    def link_up(self, now: float, out: list[Any]) -> None:
        """A connection stands: subscribe, and catch up."""
        self._pending.clear()
        out.append([b"\x01beacon."])
        out.extend([topic] for topic in self._topics(b"\x01"))
        if self._first_up is None:
            self._first_up = now
        self._catch_up()

    def link_down(self, now: float) -> None:
        """The connection is gone; what waited is still good."""
        self._go_live(now)
        self._pending.clear()
        self.state = "down"

    def _catch_up(self) -> None:
        self._beacons = None
        self.state = "catching" if self._history != 0 else "live"

    def _topics(self, what: bytes) -> list[bytes]:
        return [what + topic for topic in prefixes(self._least, self._nodes)]

    def _pull(self, frames: Sequence[bytes]) -> None:
        """There is a hole before this message: look for what belongs there."""
        self.state = "pulling"
        self._pending += self._topics(b"\x00")
        self._wait(frames)

    def _pulled(self) -> None:
        """No page is left: subscribe again, and catch up with what came meanwhile."""
        self._pending += self._topics(b"\x01")
        self._catch_up()

    def on_frames(self, frames: Sequence[bytes], now: float, out: list[Any]) -> None:
        """A message came. Never raises."""
        if self.state == "catching":
            self._wait(frames)
            if frames and frames[0].startswith(b"beacon."):
                self._on_beacon(frames, now, numbers=False)
        elif self.state != "pulling" and (len(frames) != 2 or not self._is_next(frames)):
            self._on_message(frames, now)

    def _wait(self, frames: Sequence[bytes]) -> None:
        self._waiting.append(frames)
        self._waiting_bytes += sum(map(len, frames))
        if self._waiting_bytes > _WAITING:
            # The broker has kept them, and the pages are still to come; else there is a hole.
            self._waiting.clear()
            self._waiting_bytes = 0

    def _is_next(self, frames: Sequence[bytes]) -> bool:
        """Take the record that is just what was expected, as nearly all are."""
        try:
            record = parse_record(bytes(frames[1]), bytes(frames[0]))
        except RocError:
            return False
        n = record.n
        known = self._sources.get(record.resource.source)
        if not n or known is None or known.last.get(record.severity) != n - 1:
            return False
        known.last[record.severity] = n
        self.found.append(record)
        return True

    def tick(self, now: float, out: list[Any]) -> None:
        """Subscribe to what is to be subscribed to, and end the rest."""
        out.extend([topic] for topic in self._pending)
        self._pending.clear()

    def next_deadline(self) -> float | None:
        """When `tick` should come."""
        return 0.0 if self._pending else None

    # ---- what the broker has kept

    def wanted(self) -> tuple[str, dict[str, Any]] | None:
        """What to ask the broker now, if anything: a method of `roc.broker`, and arguments."""
        if self.state not in ("catching", "pulling") or self._pending:
            return None
        if self._beacons is None and self.state == "catching":
            return "log_sources", {}
        nodes = list(self._nodes) or None
        after = -(self._history or 0) if self._after is None else self._after
        return "log", {
            "after": after,
            "n": _PAGE,
            "level": self._least,
            "node": nodes,
            "text": True,
        }

    def on_answer(self, answer: Any, now: float) -> None:
        """The broker's answer to what was wanted; whatever it is."""
        if self.state == "pulling":
            self._on_page(answer, now)
        elif self.state == "catching" and self._beacons is None:
            # Asked before the pages: what it tells of is in them, or lost.
            self._beacons = [_aged(found) for found in answer] if isinstance(answer, list) else []
        elif self.state == "catching":
            self._on_page(answer, now)

    def _on_page(self, page: Any, now: float) -> None:
        try:
            texts, after, more = page["records"], int(page["after"]), bool(page["more"])
            broker = str(page.get("broker", ""))
        except (TypeError, KeyError, ValueError, AttributeError):
            self.on_no_answer(now)
            return
        if broker != self._broker:
            self._broker = broker
            if self._after:
                self._after = 0  # another run, with numbers of its own: from the beginning
                return
        for text in texts if isinstance(texts, list) else []:
            if isinstance(text, str) and (record := self._parsed(text.encode("utf-8", "replace"))):
                self._take(record, now, live=False)
        stuck = self._after is not None and after <= self._after
        self._after = after
        if not more or stuck:
            if self.state == "pulling":
                self._pulled()
            else:
                self._go_live(now)

    def on_no_answer(self, now: float) -> None:
        """The broker keeps none, or does not answer."""
        if self.state == "pulling":
            self._pulled()
        self._go_live(now)

    def _go_live(self, now: float) -> None:
        """What waited is read now; its holes are losses."""
        self.state = "live"
        self._looked = True
        waiting, self._waiting = self._waiting, deque()
        self._waiting_bytes = 0
        for frames in waiting:
            self._on_message(frames, now)
        beacons, self._beacons = self._beacons or [], None
        for beacon in beacons:
            self._on_beacon([b"", beacon], now)
        self._looked = self._joining = False

    # ---- messages

    def _on_message(self, frames: Sequence[bytes], now: float) -> None:
        if len(frames) != 2:
            self.malformed += 1
        elif frames[0].startswith(b"log."):
            self._on_record(frames, now)
        else:
            self._on_beacon(frames, now)

    def _on_record(self, frames: Sequence[bytes], now: float) -> None:
        """Take a record, unless what is before it may have been kept: then it has to wait."""
        record = self._parsed(bytes(frames[1]), bytes(frames[0]))
        if record is None:
            return
        if self._may_heal() and self._is_after_a_hole(record):
            self._pull(frames)
        else:
            self._take(record, now, live=True)

    def _is_after_a_hole(self, record: Record) -> bool:
        known = self._sources.get(record.resource.source)
        last = None if known is None else known.last.get(record.severity)
        return last is not None and record.n > last + 1

    def _parsed(self, text: bytes, topic: bytes | None = None) -> Record | None:
        try:
            return parse_record(text, topic)
        except RocError:
            self.malformed += 1
            return None

    def _take(self, record: Record, now: float, live: bool) -> None:
        n, severity, resource = record.n, record.severity, record.resource
        if not n or not resource.source:
            if self._is_double(record.raw):
                self.doubles += 1
            else:
                self.found.append(record)
            return
        known = self._sources.get(resource.source) or self._known(resource)
        last = known.last.get(severity)
        if last is None:
            last = self._before_first(known, record, now, live)
        if n <= last:
            self.doubles += 1
            return
        if n > last + 1:
            self._lose(resource, severity, last + 1, n - 1)
        known.last[severity] = n
        self.found.append(record)

    def _before_first(self, known: _Known, record: Record, now: float, live: bool) -> int:
        """The number that we expect to be before the first record of a severity."""
        if known.young is None:
            settled = not live or bool(self._age) or self._since_up(now) >= _SETTLED
            known.young = settled and not self._joining and record.timestamp > self._since
        return 0 if known.young else record.n - 1

    def _since_up(self, now: float) -> float:
        return now - (now if self._first_up is None else self._first_up)

    def _lose(self, resource: Source, severity: int, first: int, last: int) -> None:
        lost = Lost(resource, severity, first, last)
        self.lost += lost.count
        self.found.append(lost)

    def _on_beacon(self, frames: Sequence[bytes], now: float, numbers: bool = True) -> None:
        try:
            beacon = parse_beacon(bytes(frames[1]))
        except (RocError, IndexError):
            self.malformed += 1
            return
        if beacon.kind != "log" or (self._nodes and beacon.node not in self._nodes):
            return
        resource = Source(beacon.node, beacon.host, beacon.pid, "", beacon.source)
        known = self._known(resource)
        if known.young is None:
            # Only what began after us is missed from its first record on.
            known.young = not self._joining and beacon.age <= self._age + self._since_up(now)
        if not numbers:
            return
        self._sources.move_to_end(beacon.source)
        sent = _numbers_of(beacon)
        last = known.last
        holes = [at for at, n in sent.items() if at in last and n > last[at]]
        if holes and self._may_heal():
            self._pull(frames)
            return
        for severity in range(self._least, _MOST + 1):
            n = sent.get(severity, 0)
            before = last.get(severity)
            if before is None:
                before = last[severity] = n if known.young is False else 0
            if n > before:
                self._lose(known.resource, severity, before + 1, n)
                last[severity] = n

    def _may_heal(self) -> bool:
        return self.state == "live" and self._history != 0 and not self._looked

    def _known(self, resource: Source) -> _Known:
        known = self._sources.get(resource.source)
        if known is None:
            if len(self._sources) >= _SOURCES:
                self._sources.popitem(last=False)
            known = self._sources[resource.source] = _Known(resource)
        return known

    def _is_double(self, raw: bytes) -> bool:
        """Whether an unnumbered record was read already; it is remembered."""
        mark = hash(raw)
        if mark in self._unnumbered:
            return True
        if len(self._unnumbered) >= _UNNUMBERED:
            self._unnumbered.popitem(last=False)
        self._unnumbered[mark] = None
        return False

    # ---- looking inside

    def snapshot(self) -> dict[str, Any]:
        """Plain copies for monitoring."""
        return {
            "state": self.state,
            "sources": len(self._sources),
            "waiting": len(self._waiting),
            "lost": self.lost,
            "doubles": self.doubles,
            "malformed": self.malformed,
        }

    def check(self) -> None:
        """Every invariant."""
        assert self.state in ("down", "catching", "live", "pulling")
        assert not self._waiting or self.state in ("catching", "pulling")
        assert not self._pending or self.state != "down"
        assert self._waiting_bytes == sum(sum(map(len, frames)) for frames in self._waiting)
        assert len(self._sources) <= _SOURCES
        assert len(self._unnumbered) <= _UNNUMBERED
