"""What `roc top` looks at: the whole system, once a second, and its log as it comes.

Rules:

* Threads look, and never wait for each other; whoever shows takes what there is.
* Nothing here disturbs an object: a latency is a ping on the control lane.
* The broker may go and come back: `problem` says so, and the looking goes on.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from .. import errors
from ..client import RocClient
from ..endpoints import Endpoints
from ..logstream import LogStream
from ..status import StatusTree
from ..wire.logmsg import Record
from .names import BROKER, objects_of

__all__ = ["ObjectFigures", "Observer"]

_EVERY = 1.0
_PING_WITHIN = 0.5
_HISTORY = 500


@dataclass(frozen=True)
class ObjectFigures:
    """An object as it was a moment ago; ``latency`` in seconds, None if it did not answer."""

    object_id: str
    state: str
    host: str
    pid: int | None
    calls: int
    calls_per_second: float
    latency: float | None
    queued: int
    errors: int | None
    last_error: str


@dataclass
class Observer:
    """Looks until it is closed.

    Attributes:
        objects: what was seen last, in the broker's order.
        stats: the broker's figures.
        problem: why nothing newer is known; empty when all is well.
        tree: the status.
        records: the newest records, to be taken from the left.
    """

    broker: Endpoints
    objects: list[ObjectFigures] = field(default_factory=list)
    stats: dict[str, Any] = field(default_factory=dict)
    problem: str = "connecting"
    records: deque[Record] = field(default_factory=lambda: deque(maxlen=_HISTORY))

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._calls: dict[str, tuple[float, int]] = {}
        self._client = RocClient(self.broker, timeout=_EVERY)
        self.tree = StatusTree(self.broker)
        self._log = LogStream(self.broker, history=_HISTORY // 5)
        for work in (self._look, self._read_log):
            threading.Thread(target=work, daemon=True).start()

    def close(self) -> None:
        """Look no more."""
        self._over.set()
        self._client.close()
        self.tree.close()
        self._log.close()

    def _read_log(self) -> None:
        while not self._over.is_set():
            try:
                self.records.extend(self._log.read(_EVERY))
            except errors.Closed:
                return

    def _look(self) -> None:
        with ThreadPoolExecutor(8) as threads:
            while not self._over.is_set():
                began = time.monotonic()
                try:
                    entries = objects_of(self._client)
                    self.stats = self._client.call_object(BROKER, "stats")
                    self.objects = list(threads.map(self._figures_of, entries))
                    self.problem = ""
                except errors.Closed:
                    return
                except errors.RocError:
                    where = self.broker.rocBroker
                    self.problem = f"waiting for the broker at {where}; is `rocbroker` running?"
                self._over.wait(max(0.0, began + _EVERY - time.monotonic()))

    def _figures_of(self, entry: dict[str, Any]) -> ObjectFigures:
        object_id = str(entry["id"])
        facts, latency = self._ping(entry)
        now, calls = time.monotonic(), int(entry["calls"])
        before, known = self._calls.get(object_id, (now, calls))
        self._calls[object_id] = now, calls
        count = facts.get("errors")
        return ObjectFigures(
            object_id,
            str(entry["state"]),
            str(entry["host"] or ""),
            entry["pid"],
            calls,
            max(0.0, (calls - known) / (now - before)) if now > before else 0.0,
            latency,
            int(entry["queued"]),
            count if isinstance(count, int) else None,
            str(facts.get("last_error") or ""),
        )

    def _ping(self, entry: dict[str, Any]) -> tuple[dict[str, Any], float | None]:
        if entry["state"] != "serving" or entry["pid"] is None:
            return {}, None
        began = time.perf_counter()
        try:
            facts = self._client.call_object(f"{entry['id']}!", "rpc.ping", timeout=_PING_WITHIN)
        except errors.RocError:
            return {}, None
        return (facts if isinstance(facts, dict) else {}), time.perf_counter() - began
