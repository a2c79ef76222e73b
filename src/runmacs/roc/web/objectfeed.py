"""Which objects are up, and how the broker fares.

Rules:

* The broker is asked once a second, and at once when the status tree tells of a change.
* An object that was up and is not is remembered: somebody will want to know since when.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from ..asyncclient import AsyncRocClient
from ..errors import BrokerUnreachable, CallTimeout, RocError

__all__ = ["ABSENT", "ObjectFeed"]

PERIOD: Final = 1.0
ABSENT: Final = "absent"
_REMEMBERED: Final = 1_000
_BROKER: Final = "roc.broker"


class ObjectFeed:
    """Follows the objects.

    Attributes:
        objects: by id, as `roc.broker.objects()` has them, with ``running`` (calls being
            executed), ``rate`` (calls a second) and ``gone`` (when it was lost, or None).
        stats: the broker's counters; ``rates`` those a second.
        about: the broker's id, protocol version and software.
        waiting: what is waited for, in words; empty while all is well.
    """

    def __init__(
        self,
        client: AsyncRocClient,
        on_change: Callable[[], None],
        on_restart: Callable[[], None],
    ) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.stats: dict[str, Any] = {}
        self.rates: dict[str, float] = {}
        self.about: dict[str, Any] = {}
        self.waiting = f"Waiting for the broker at {client.address}."
        self.restarts = 0
        self._client = client
        self._on_change = on_change
        self._on_restart = on_restart
        self._asked_at = 0.0
        self._soon = asyncio.Event()

    def look(self) -> None:
        """Ask now."""
        self._soon.set()

    async def run(self) -> None:
        """Follow, until cancelled."""
        while True:
            try:
                await self._ask()
            except RocError as error:
                self.waiting = self._why(error)
            self._on_change()
            try:
                await asyncio.wait_for(self._soon.wait(), PERIOD)
            except TimeoutError:
                continue
            self._soon.clear()

    async def _ask(self) -> None:
        entries = await self._client.call_object(_BROKER, "objects")
        stats = await self._client.call_object(_BROKER, "stats")
        now = time.monotonic()
        if stats.get("broker") != self.about.get("broker"):
            await self._on_broker()
        seconds = now - self._asked_at
        if seconds >= PERIOD / 2:
            self._count(entries, stats, seconds)
            self._asked_at, self.stats = now, stats
        self._remember({entry["id"]: entry for entry in entries})
        self.waiting = ""

    async def _on_broker(self) -> None:
        """Another run of a broker than before, or the first."""
        known = bool(self.about)
        self.about = dict(await self._client.call_object(f"{_BROKER}!", "rpc.ping"))
        self.stats = {}
        self.rates = {}
        if known:
            self.restarts += 1
            self._on_restart()

    def _count(self, entries: list[dict[str, Any]], stats: dict[str, Any], seconds: float) -> None:
        for entry in entries:
            before = self.objects.get(entry["id"], {}).get("counted", entry["calls"])
            entry["rate"] = round(max(0, entry["calls"] - before) / seconds, 1)
            entry["counted"] = entry["calls"]
        self.rates = {
            name: round(max(0, number - self.stats[name]) / seconds, 1)
            for name, number in stats.items()
            if isinstance(number, int) and name in self.stats
        }

    def _remember(self, up: dict[str, dict[str, Any]]) -> None:
        now = time.time()
        for name, entry in up.items():
            known = self.objects.get(name, {})
            entry.setdefault("rate", known.get("rate", 0.0))
            entry.setdefault("counted", known.get("counted", entry["calls"]))
            entry["running"] = sum(server.get("running", 0) for server in entry["servers"])
            entry["gone"] = known.get("gone") or now if entry["state"] == ABSENT else None
        for name, known in self.objects.items():
            if name not in up:
                up[name] = {
                    **known,
                    "state": ABSENT,
                    "gone": known["gone"] or now,
                    "rate": 0.0,
                    "running": 0,
                    "queued": 0,
                    "servers": [],
                }
        self.objects = {name: up[name] for name in sorted(up)[:_REMEMBERED]}

    def _why(self, error: RocError) -> str:
        """What is waited for, in words."""
        address = self._client.address
        if isinstance(error, BrokerUnreachable):
            return f"No broker answers at {address}. This goes on when one does."
        if isinstance(error, CallTimeout):
            return f"The broker at {address} does not answer. This goes on when it does."
        return f"The broker at {address} answers with an error: {error}"
