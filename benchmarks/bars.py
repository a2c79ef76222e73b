"""What ROC holds itself to. Ratios are what counts: both sides are measured in one run.

A ratio is the median of the rounds' ratios, so that a drift of the machine cancels out.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from .measures import growth, memory
from .results import Results, Series

__all__ = ["BARS", "Bar", "judged"]

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Bar:
    """One goal: ``ours`` is compared with ``than``, or with the goal itself."""

    what: str
    ours: tuple[Key, ...]
    """The first of them that was measured counts."""
    goal: float
    than: Key | None = None
    how: str = "ratio"
    """``ratio``, ``difference`` or ``value``."""
    at_most: bool = False


def _times(what: str, measure: str, at: str, goal: float, than: str) -> Bar:
    return Bar(what, ((measure, "roc", at),), goal, (measure, than, at))


def _limit(what: str, key: Key, goal: float, at_most: bool = True) -> Bar:
    return Bar(what, (key,), goal, None, "value", at_most)


def _grows(kind: str, what: str, few: str, many: str, goal: float) -> Bar:
    """What one more costs, or a use, among many and among few."""
    title = f"{many} {kind} against {few}: {what.partition(',')[0]}"
    if what == growth.MORE:
        title += ", memory"
    at_many, at_few = (("growth", kind, f"{count}: {what}") for count in (many, few))
    return Bar(title, (at_many,), goal, at_few, at_most=True)


def _fair(beside: str, at: str) -> Bar:
    """A call to another object beside somebody's many, and alone."""
    alone = ("fair", "roc", "another object, alone, p50")
    title = f"a call to another object, beside {beside}"
    return Bar(title, (("fair", "roc", at),), 2.0, alone, at_most=True)


_PLAIN = "plain, 1 subscriber"
BARS = (
    _times("serial calls", "serial", "", 1.0, "Pyro5 direct"),
    _times("serial calls", "serial", "", 2.5, "pyleco"),
    _times("serial calls", "serial", "", 2.0, "NATS"),
    _times("serial calls", "serial", "", 2.0, "Zenoh routed"),
    Bar(
        "serial calls in pure Python",
        (("serial", "roc, pure Python", ""), ("serial", "roc", "")),
        0.6,
        ("serial", "Pyro5 direct", ""),
    ),
    _times("many calls in a batch, against its batch", "batch", "", 1.2, "Pyro5 as it comes"),
    _times("many calls in a batch, against its batch", "batch", "", 1.2, "Pyro5 direct"),
    _times("many calls as futures, against its batch", "pipelined", "", 1.2, "Pyro5 as it comes"),
    _times("many calls as futures, against its batch", "pipelined", "", 1.2, "Pyro5 direct"),
    _times("the broker alone", "alone", "", 0.55, "C broker"),
    _fair("9,000 of 1 ms that wait", "another object, beside 9,000 of 1 ms, p50"),
    _fair("9,000 that wait, and no idle processor", "another object, beside 9,000, p50"),
    _times("8 MiB arrays", "arrays", "8 MiB", 0.95, "C broker"),
    _times("8 MiB arrays", "arrays", "8 MiB", 0.8, "Zenoh routed"),
    Bar(
        "copies of 64 MiB in the broker",
        (("copies", "roc", ""),),
        0.5,
        ("copies", "C broker", ""),
        "difference",
        True,
    ),
    _limit("status updates/s to one subscriber", ("status", "roc", _PLAIN), 150_000, False),
    _times("status updates to one subscriber", "status", _PLAIN, 0.3, "zmq_proxy"),
    Bar(
        "a log record in its caller",
        (("logs", "RocLogger", "a burst of 200"),),
        1.5,
        ("logs", "QueueHandler", "a burst of 200"),
        at_most=True,
    ),
    _limit("import runmacs.roc, ms", ("startup", "roc", "import"), 120),
    _limit("roc --help, ms", ("startup", "roc", "roc --help"), 200),
    _limit("the idle broker, CPU %", ("memory", "roc", "broker alone, CPU %"), 1.0),
    _limit(
        "the broker with 1,000 objects, MB",
        ("memory", "roc", f"broker, {memory.OBJECTS:,} objects"),
        60,
    ),
    _grows("objects", growth.MORE, "1,000", "10,000", 1.5),
    _grows("objects", growth.EACH, "1,000", "10,000", 1.5),
    _grows("objects", growth.USE, "100", "10,000", 1.5),
    _grows("clients", growth.EACH, "1,000", "3,000", 1.5),
    _grows("clients", growth.MORE, "1,000", "3,000", 1.5),
    _grows("clients", growth.USE, "100", "3,000", 1.5),
    _grows("leaves", growth.MORE, "10,000", "100,000", 1.5),
    _grows("leaves", growth.EACH, "10,000", "100,000", 1.5),
    _grows("leaves", growth.USE, "1,000", "100,000", 1.5),
)


def judged(results: Results) -> list[dict[str, Any]]:
    """Each bar with what came of it: ``held``, ``missed`` or ``not measured``."""
    return [_judged(bar, results) for bar in BARS]


def _judged(bar: Bar, results: Results) -> dict[str, Any]:
    ours = next((found for key in bar.ours if (found := results.get(*key))), None)
    than = results.get(*bar.than) if bar.than else None
    told: dict[str, Any] = {
        "what": bar.what,
        "than": _named(bar),
        "how": bar.how,
        "goal": bar.goal,
        "at_most": bar.at_most,
    }
    if ours is None or (bar.than and than is None):
        return {**told, "value": None, "verdict": "not measured"}
    value = _value(bar, ours, than)
    held = value <= bar.goal if bar.at_most else value >= bar.goal
    return {**told, "value": value, "verdict": "held" if held else "missed"}


def _named(bar: Bar) -> str:
    if bar.than is None:
        return ""
    measure, subject, at = bar.than
    if measure == "fair":
        return "alone"
    return at.partition(":")[0] if measure == "growth" else subject


def _value(bar: Bar, ours: Series, than: Series | None) -> float:
    if than is None:
        return ours.median
    if bar.how == "difference":
        return ours.median - than.median
    if len(ours.figures) != len(than.figures):
        return ours.median / than.median
    pairs = zip(ours.figures, than.figures, strict=True)
    return statistics.median(one / other if other else float("inf") for one, other in pairs)
