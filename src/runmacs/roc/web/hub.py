"""What the web server knows, and who is told when it changes.

Rules:

* One connection to the broker for all pages, however many there are.
* A feed that fails is begun again; what it knew stays.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from .. import __version__
from ..asyncclient import AsyncRocClient
from .history import History
from .logfeed import Line, LogFeed
from .objectfeed import ObjectFeed
from .outbox import Outbox
from .overview import counts, problems, recent_errors
from .settings import Settings
from .statusfeed import StatusFeed

__all__ = ["Hub"]

log = logging.getLogger("runmacs.roc.web")

_AGAIN: Final = 1.0
_SHOWN_RATES: Final = ("requests", "updates", "publications_taken", "publications_passed_on")


class Hub:
    """Follows the broker for all pages.

    Attributes:
        client: for calls.
        status, logs, objects: what is known.
        history: of numbers, for plots.
        waiting_since: since when there is no broker, or None.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.started = time.time()
        self.client = AsyncRocClient(settings.endpoints)
        self.history = History()
        self.status = StatusFeed(settings.endpoints, self.history, self._on_status)
        self.logs = LogFeed(settings.endpoints, settings.limits.records, self._on_records)
        self.objects = ObjectFeed(self.client, self._on_objects, self._on_restart)
        self.waiting_since: float | None = self.started
        self._boxes: set[Outbox] = set()
        self._tasks: list[asyncio.Task[None]] = []

    # ---- life

    def start(self) -> None:
        """Begin to follow."""
        for feed in (self.status.run, self.logs.run, self.objects.run):
            self._tasks.append(asyncio.create_task(self._kept_up(feed)))

    async def stop(self) -> None:
        """Follow no longer."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        self.client.close()

    async def _kept_up(self, feed: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await feed()
            except Exception:
                log.exception("a feed failed, and is begun again")
            await asyncio.sleep(_AGAIN)

    # ---- readers

    @property
    def readers(self) -> int:
        """How many pages and event streams there are."""
        return len(self._boxes)

    def join(self) -> Outbox | None:
        """A box for a new reader; None if there are too many."""
        if len(self._boxes) >= self.settings.limits.pages:
            return None
        box = Outbox(self.settings.limits)
        self._boxes.add(box)
        return box

    def leave(self, box: Outbox) -> None:
        """This reader is gone."""
        self._boxes.discard(box)

    # ---- what the feeds tell

    def _on_status(self, paths: list[str]) -> None:
        for box in self._boxes:
            box.on_status(paths)
        if any(path.startswith("roc.objects.") for path in paths):
            self.objects.look()

    def _on_records(self, lines: list[Line]) -> None:
        for box in self._boxes:
            box.on_records(lines)

    def _on_objects(self) -> None:
        if not self.objects.waiting:
            self.waiting_since = None
        elif self.waiting_since is None:
            self.waiting_since = time.time()
        for box in self._boxes:
            box.mark("overview")

    def _on_restart(self) -> None:
        self.logs.tell("The broker was started anew: numbers and rates begin again.")

    # ---- what pages begin with

    def overview(self) -> dict[str, Any]:
        """The state of everything in short, and what is wrong."""
        feed = self.objects
        return {
            "problems": problems(self),
            "broker": {
                "address": self.client.address,
                "connected": not feed.waiting,
                "waiting": feed.waiting,
                "restarts": feed.restarts,
                "uptime": feed.stats.get("uptime"),
                **feed.about,
            },
            "counts": counts(self),
            "rates": {name: feed.rates[name] for name in _SHOWN_RATES if name in feed.rates},
            "stats": feed.stats,
            "objects": [
                {name: fact for name, fact in entry.items() if name != "counted"}
                for entry in feed.objects.values()
            ],
            "errors": recent_errors(self),
            "leaves": len(self.status.leaves),
            "stale": sum(leaf.stale for leaf in self.status.leaves.values()),
            "records": self.logs.taken,
            "lost": self.logs.lost,
            "server": {
                "version": __version__,
                "started": self.started,
                "readonly": self.settings.readonly,
                "pages": self.readers,
            },
            "time": time.time(),
        }
