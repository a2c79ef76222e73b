"""``/metrics`` for Prometheus: the broker's figures, each object's, and numeric leaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from .hub import Hub
from .objectfeed import ABSENT

__all__ = ["CONTENT_TYPE", "metrics"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_LEAVES: Final = 10_000
_GAUGES: Final = frozenset({"uptime", "publishers", "subscribers", "leaves"})


def metrics(hub: Hub) -> str:
    """All figures as text."""
    return "".join(f"{line}\n" for line in _lines(hub))


def _lines(hub: Hub) -> Iterator[str]:
    feed = hub.objects
    yield from _family(
        "roc_broker_up", "gauge", "whether the broker answers", [("", not feed.waiting)]
    )
    yield from _family("roc_web_readers", "gauge", "pages and event streams", [("", hub.readers)])
    for name, value in feed.stats.items():
        if isinstance(value, int | float):
            kind = "gauge" if name in _GAUGES else "counter"
            suffix = "" if kind == "gauge" else "_total"
            told = f"{name} of roc.broker.stats()"
            yield from _family(f"roc_broker_{name}{suffix}", kind, told, [("", value)])
    entries = feed.objects.items()
    for name, kind, told in (
        ("up", "gauge", "whether the object is served"),
        ("calls_total", "counter", "calls that were served"),
        ("queued", "gauge", "calls that wait"),
        ("running", "gauge", "calls being executed"),
    ):
        rows = [(_label("id", key), _of(entry, name)) for key, entry in entries]
        yield from _family(f"roc_object_{name}", kind, told, rows)
    yield from _family("roc_log_records_total", "counter", "records seen", [("", hub.logs.taken)])
    yield from _family("roc_log_lost_total", "counter", "records lost", [("", hub.logs.lost)])
    numbers: list[tuple[str, float]] = []
    stale: list[tuple[str, float]] = []
    for path, leaf in [*hub.status.leaves.items()][:_LEAVES]:
        if isinstance(leaf.value, int | float) and not path.startswith("roc."):
            numbers.append((_label("path", path), leaf.value))
            stale.append((_label("path", path), leaf.stale))
    yield from _family("roc_status", "gauge", "numbers of the status tree", numbers)
    yield from _family("roc_status_stale", "gauge", "whether the source is silent", stale)


def _of(entry: dict[str, Any], name: str) -> float:
    if name == "up":
        return float(entry["state"] != ABSENT)
    return float(entry.get(name.removesuffix("_total")) or 0)


def _family(name: str, kind: str, told: str, rows: list[tuple[str, float]]) -> Iterator[str]:
    if rows:
        yield f"# HELP {name} {told}"
        yield f"# TYPE {name} {kind}"
        for labels, value in rows:
            yield f"{name}{labels} {_number(value)}"


def _number(value: float) -> str:
    text = repr(float(value))
    return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}.get(text, text)


def _label(name: str, text: str) -> str:
    """A label, with everything escaped that would end it or its line."""
    escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{{{name}="{escaped}"}}'
