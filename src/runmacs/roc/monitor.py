"""The broker as an object: what ``roc.broker`` answers, over the ordinary protocol."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from .core.broker import BrokerCore
from .core.news import NewsCore
from .core.traffic import Traffic
from .errors import RocError
from .wire import statusmsg
from .wire.logmsg import parse_level, parse_record
from .wire.standins import Formed

__all__ = ["BrokerMonitor"]

_TEXTS = 2500
_RECORDS = 500


class BrokerMonitor:
    """The broker that you are talking to.

    Example::

        >>> roc_broker = client["roc.broker"]           # doctest: +SKIP
        >>> [entry["id"] for entry in roc_broker.objects()]
        ['vnir']
    """

    def __init__(
        self,
        core: BrokerCore,
        news: NewsCore,
        clock: Callable[[], float],
        traffic: Traffic,
        implementation: str = "Python",
    ) -> None:
        self._implementation = implementation
        self._core = core
        self._news = news
        self._traffic = traffic
        self._clock = clock
        self._started = self._told_at = clock()
        self._told: dict[str, Any] = {}

    def objects(self) -> list[dict[str, Any]]:
        """Every object id, sorted: who serves it, who waits to, and how it fares.

        Each entry has ``id``, ``state`` (serving, stalled, absent), ``policy``, ``host``,
        ``pid``, ``language``, ``since`` (seconds since 1970, UTC), ``calls`` served,
        ``queued``, and ``servers``, the same for each of its servers.
        """
        offset = time.time() - self._clock()
        entries = [_entry(known, offset) for known in self._core.snapshot()["objects"]]
        return sorted(entries, key=lambda entry: str(entry["id"]))

    def stats(self) -> dict[str, Any]:
        """Counters since the start: what was routed, dropped, refused, expired.

        And ``time``, by the broker's clock (seconds since 1970, UTC), how many ``publishers``
        and ``subscribers`` are connected now, and in which ``implementation`` its hot paths
        run: C or Python.
        """
        return {
            "broker": self._core.broker_id,
            "implementation": self._implementation,
            "uptime": self._clock() - self._started,
            "time": time.time(),
            **self._core.counters.figures(),
            **asdict(self._traffic),
            **self._news.snapshot(),
        }

    def status(self, mask: str = "") -> dict[str, Any]:
        """The status tree within a mask, as it is now.

        ``{"leaves": {path: {"value", "age", "source", "stale"}}, "about": {path: {...}}}``;
        ages in seconds. A source is ``node@host``, or empty for a publisher that says nothing
        of itself.
        """
        (one,) = statusmsg.mask_of(mask)
        snapshot = self._news.status.snapshot_of(one, self._clock())
        sources = snapshot.sources
        leaves = {
            path: {
                "value": Formed(form),
                "age": age,
                "source": sources[source].shown if source else "",
                "stale": source != "" and sources[source].stale,
            }
            for path, form, source, age in snapshot.leaves
        }
        return {"leaves": leaves, "about": snapshot.about}

    def figures(self) -> dict[str, Any]:
        """What ``roc.broker`` in the status tree tells: the figures of `stats`, and rates."""
        stats = self.stats()
        now = self._clock()
        seconds = max(now - self._told_at, 1e-3)
        rates = {
            f"{name}_per_second": round((stats[name] - self._told.get(name, 0)) / seconds, 1)
            for name in ("requests", "publications_taken")
        }
        self._told, self._told_at = stats, now
        del stats["time"]  # who follows the tree knows when it came
        objects = self._core.registry.served_objects()
        return {**stats, "uptime": round(stats["uptime"], 1), "objects": objects, **rates}

    def log(
        self,
        after: int | None = None,
        n: int = 100,
        level: str | int | None = None,
        node: str | list[str] | None = None,
        text: bool = False,
    ) -> dict[str, Any]:
        """The newest log records of all nodes, as far as they are kept; oldest first.

        Args:
            after: the number after which to begin, from the answer before; 0 is the oldest
                that is kept, -1000 the newest but 999, and None gives the newest ``n``.
            n: how many at most; an answer has no more than 500 (2500 as texts), and about
                one megabyte.
            level: the least severe ones, by name or SeverityNumber.
            node: one node, or several.
            text: whether to give the records' JSON texts, as their sources wrote them.

        Returns:
            ``records``; ``after``, to ask with for what follows; ``more``, whether there is
            more already; ``first`` and ``last``, the numbers of what is kept; ``broker``, an
            id of the run whose numbers these are.
        """
        nodes = [node] if isinstance(node, str) else (node or [])
        most = max(0, min(n, _TEXTS if text else _RECORDS))
        page = self._news.logs.page(after, most, parse_level(level), nodes)
        if not text:
            page["records"] = [*filter(None, map(_record, page["records"]))]
        return {**page, "broker": self._core.broker_id}

    def log_sources(self) -> list[dict[str, Any]]:
        """Who has sent log records lately: the last beacon of each source, and how long ago
        it came (``ago``, seconds)."""
        return self._news.logs.sources(self._clock())


def _record(text: str) -> dict[str, Any] | None:
    try:
        return parse_record(text.encode()).as_dict()
    except RocError:
        return None


def _entry(known: dict[str, Any], offset: float) -> dict[str, Any]:
    servers = [{**server, "since": server["since"] + offset} for server in known["servers"]]
    first = servers[0] if servers else {"state": "absent"}
    facts = {name: first.get(name) for name in ("policy", "host", "pid", "language", "since")}
    return {
        "id": known["id"],
        "state": first["state"],
        **facts,
        "calls": known["served"],
        "queued": known["queued"],
        "servers": servers,
    }
