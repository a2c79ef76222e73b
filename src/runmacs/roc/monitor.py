"""The broker as an object: what ``roc.broker`` answers, over the ordinary protocol."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from .core.broker import BrokerCore
from .core.traffic import Traffic

__all__ = ["BrokerMonitor"]


class BrokerMonitor:
    """The broker that you are talking to.

    Example::

        >>> roc_broker = client["roc.broker"]           # doctest: +SKIP
        >>> [entry["id"] for entry in roc_broker.objects()]
        ['vnir']
    """

    def __init__(self, core: BrokerCore, clock: Callable[[], float], traffic: Traffic) -> None:
        self._core = core
        self._traffic = traffic
        self._clock = clock
        self._started = clock()

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

        And how many ``publishers`` and ``subscribers`` are connected now.
        """
        return {
            "broker": self._core.broker_id,
            "uptime": self._clock() - self._started,
            **self._core.snapshot()["counters"],
            **asdict(self._traffic),
        }


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
