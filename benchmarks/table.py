"""The results for people, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import measures
from .results import Results, Series

__all__ = ["figure", "report", "told"]

_SIGNS = {"ratio": "×", "difference": "more than", "value": ""}


def report(results: Results, bars: list[dict[str, Any]]) -> Iterator[str]:
    """All of it, line by line."""
    for name in results.measures():
        yield from _measure(name, list(results.of(name)))
    yield from _missing(results.missing)
    yield from _bars(bars)


def figure(value: float) -> str:
    """A number with as many digits as mean something."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def _measure(name: str, several: list[Series]) -> Iterator[str]:
    measure = measures.load(name)
    unit = f" ({measure.UNIT})" if measure.UNIT else ""
    yield ""
    yield f"{measure.TITLE}{unit}, median [least .. most], and as a multiple of roc"
    for at in dict.fromkeys(series.at for series in several):
        if at:
            yield f"  {at}"
        there = [series for series in several if series.at == at]
        roc = next((series.median for series in there if series.subject == "roc"), None)
        for series in there:
            least, most = map(figure, series.spread)
            ratio = f"{series.median / roc:6.2f}" if roc and len(there) > 1 else ""
            spread = f"[{least} .. {most}]" if len(series.figures) > 1 else ""
            line = f"    {series.subject:25} {figure(series.median):>10} {spread:24} {ratio}"
            yield line.rstrip()


def _missing(missing: list[dict[str, str]]) -> Iterator[str]:
    if missing:
        yield ""
        yield "Not measured"
    for one in missing:
        where = f", {one['measure']}" if one["measure"] else ""
        yield f"    {one['subject']}{where}: {one['reason']}"


def _bars(bars: list[dict[str, Any]]) -> Iterator[str]:
    yield ""
    yield "Bars"
    for bar in bars:
        yield f"    {bar['verdict']:13} {told(bar)}"


def told(bar: dict[str, Any]) -> str:
    """A bar in words: what came of it, and the goal."""
    goal = f"goal {'at most' if bar['at_most'] else 'at least'} {bar['goal']:,g}"
    than = f" {_SIGNS[bar['how']]} {bar['than']}" if bar["than"] else ""
    value = "?" if bar["value"] is None else figure(bar["value"])
    return f"{bar['what']}: {value}{than}, {goal}"
