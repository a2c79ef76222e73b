"""What is wrong now, in one list.

Rules:

* Each problem has ``grade`` (``bad`` or ``warn``), ``kind``, ``what`` (a short line), ``detail``,
  ``since`` (seconds since 1970, or None) and ``link``, the page that shows more.
* Bad ones first; within a grade as they stand here.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from .logfeed import Line, moment_of
from .objectfeed import ABSENT

if TYPE_CHECKING:
    from .hub import Hub

__all__ = ["counts", "problems", "recent_errors"]

RECENT: Final = 600.0
"""Seconds for which an error in the log is news."""

_MOST: Final = 200
_QUEUED: Final = 50
_DETAIL: Final = 300
_ERRORS: Final = 12


def problems(hub: Hub) -> list[dict[str, Any]]:
    """All that is wrong now."""
    found = [
        *_broker(hub),
        *_objects(hub),
        *_limits(hub),
        *_errors(hub),
        *_stale(hub),
    ]
    return sorted(found, key=lambda problem: problem["grade"] != "bad")[:_MOST]


def _problem(
    grade: str, kind: str, what: str, detail: str = "", since: float | None = None, link: str = ""
) -> dict[str, Any]:
    return {
        "grade": grade,
        "kind": kind,
        "what": what,
        "detail": detail[:_DETAIL],
        "since": since,
        "link": link,
    }


def _broker(hub: Hub) -> list[dict[str, Any]]:
    waiting = hub.objects.waiting
    return [_problem("bad", "broker", "No broker", waiting, hub.waiting_since)] if waiting else []


def _objects(hub: Hub) -> list[dict[str, Any]]:
    found = []
    for name, entry in hub.objects.objects.items():
        link = f"/objects/{quote(name, safe='')}"
        where = f"pid {entry['pid']} on {entry['host']}" if entry["host"] else ""
        if entry["state"] == ABSENT:
            found.append(_problem("bad", "object", f"{name} is gone", where, entry["gone"], link))
        elif entry["state"] == "stalled":
            silent = f"{where} is connected, and says nothing"
            found.append(_problem("bad", "object", f"{name} is stalled", silent, None, link))
        elif entry["queued"] >= _QUEUED:
            what = f"{name} has {entry['queued']} calls waiting"
            found.append(_problem("warn", "object", what, where, None, link))
    return found


def _limits(hub: Hub) -> list[dict[str, Any]]:
    found = []
    for path, since in hub.status.out.items():
        leaf = hub.status.leaves[path]
        unit = f" {leaf.unit}" if leaf.unit else ""
        low, high = (*(leaf.limits or ()), None, None)[:2]
        detail = f"{_shown(leaf.value)}{unit}; the limits are {_end(low)} to {_end(high)}{unit}"
        link = f"/status/{quote(path, safe='')}"
        found.append(_problem("bad", "limits", f"{path} is out of limits", detail, since, link))
    return found


def _end(limit: float | None) -> str:
    return "open" if limit is None else f"{limit:g}"


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _errors(hub: Hub) -> list[dict[str, Any]]:
    """One problem for each node that logged errors lately."""
    oldest = time.time() - RECENT
    recent: dict[str, list[Line]] = {}
    for line in reversed(hub.logs.errors):
        if moment_of(line.record) < oldest:
            break
        recent.setdefault(line.record.node, []).append(line)
    found = []
    for node, lines in recent.items():
        count = "1 error" if len(lines) == 1 else f"{len(lines)} errors"
        link = "/logs?" + urlencode({"level": "ERROR", "node": node})
        last = lines[0].record
        what = f"{count} from {node} in the last 10 minutes"
        found.append(_problem("warn", "log", what, last.message, moment_of(last), link))
    return found


def recent_errors(hub: Hub) -> list[dict[str, Any]]:
    """The last errors in the log, newest first."""
    newest = [hub.logs.errors[-at] for at in range(1, min(_ERRORS, len(hub.logs.errors)) + 1)]
    return [
        {
            "n": line.n,
            "time": moment_of(line.record),
            "level": line.level,
            "node": line.record.node,
            "message": line.record.message[:_DETAIL],
        }
        for line in newest
    ]


def _stale(hub: Hub) -> list[dict[str, Any]]:
    """One problem for each branch and source that is silent."""
    silent: dict[tuple[str, str], list[str]] = {}
    newest: dict[tuple[str, str], float] = {}
    for path, leaf in hub.status.leaves.items():
        if leaf.stale:
            key = (path.partition(".")[0], leaf.source)
            silent.setdefault(key, []).append(path)
            newest[key] = max(newest.get(key, 0.0), leaf.time)
    found = []
    for (branch, source), paths in silent.items():
        count = "1 value" if len(paths) == 1 else f"{len(paths)} values"
        detail = f"{count}, from {source or 'an unknown source'}, which is silent or has ended"
        what = f"{branch} is stale"
        link = f"/status/{quote(branch, safe='')}"
        found.append(_problem("warn", "stale", what, detail, newest[branch, source], link))
    return found


def counts(hub: Hub) -> dict[str, int]:
    """How many objects are in which state."""
    return dict(Counter(entry["state"] for entry in hub.objects.objects.values()))
