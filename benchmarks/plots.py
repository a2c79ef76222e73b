"""The results as pictures: SVG, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from .measures import arrays, budget, clients, growth, latency, objects
from .results import Results, Series

__all__ = ["PLOTS", "draw"]

_OURS, _FLOOR, _OTHER = "#1b6ca8", "#9a9a9a", "#d9a05b"
_FLOORS = {"pyzmq, direct", "zmq_proxy", "C broker", "roc over the C broker"}
_COLORS = {
    "roc, pure Python": "#7fb3d9", "roc over the C broker": "#7fb3d9", "C broker": "#333333",
    "zmq_proxy": "#777777", "pyzmq, direct": "#b0b0b0", "Pyro5 direct": "#d1495b",
    "Pyro5 as it comes": "#e8a0a8", "RPyC direct": "#8d6a9f", "zerorpc direct": "#b08968",
    "pyleco": "#edae49", "NATS": "#2a9d8f", "Zenoh routed": "#6a994e", "gRPC direct": "#e76f51",
}  # fmt: skip
_SETTINGS = {
    "svg.hashsalt": "roc",  # the same figures give the same file
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "figure.facecolor": "white",
}


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw all that there are figures for, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    matplotlib.use("svg")
    with matplotlib.rc_context(_SETTINGS):
        for name, plot in PLOTS.items():
            made = plot(results)
            if made is not None:
                files.append(folder / f"{name}.svg")
                made.savefig(files[-1], metadata={"Date": None}, bbox_inches="tight")
    return files


def _bars(measure: str, title: str) -> Callable[[Results], Figure | None]:
    """One bar for each subject, with the spread over the rounds."""

    def plot(results: Results) -> Figure | None:
        several = sorted((one for one in results.of(measure) if not one.at), key=_median)
        if not several:
            return None
        made = Figure(figsize=(6.4, 0.5 + 0.28 * len(several)))
        axes = made.add_subplot()
        medians = [one.median for one in several]
        spread = [
            [one.median - one.spread[0] for one in several],
            [one.spread[1] - one.median for one in several],
        ]
        names = [one.subject for one in several]
        axes.barh(names, medians, xerr=spread, color=[_color(name) for name in names],
                  error_kw={"ecolor": "#555555", "elinewidth": 0.8})  # fmt: skip
        axes.grid(axis="y", visible=False)
        axes.set_title(title, loc="left")
        _thousands(axes, "x")
        return made

    return plot


def _median(series: Series) -> float:
    return series.median


def _color(subject: str) -> str:
    if subject in _FLOORS:
        return _FLOOR
    return _OURS if subject.startswith("roc") else _OTHER


def _lines(
    measure: str, title: str, across: str, points: Mapping[str, float], logarithmic: bool
) -> Callable[[Results], Figure | None]:
    """A line for each subject over a size or a number; ``points`` has where each `at` stands."""

    def plot(results: Results) -> Figure | None:
        subjects = dict.fromkeys(series.subject for series in results.of(measure))
        if not subjects:
            return None
        made = Figure(figsize=(6.4, 3.6))
        axes = made.add_subplot()
        for subject in subjects:
            found = [(at, results.get(measure, subject, name)) for name, at in points.items()]
            there = [(at, series.median) for at, series in found if series is not None]
            axes.plot(*zip(*there, strict=True), label=subject, **_line(subject))
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(points.values()), list(points))
        axes.minorticks_off()
        if logarithmic:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.set_xlabel(across)
        axes.set_title(title, loc="left")
        axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        _thousands(axes, "y")
        return made

    return plot


def _line(subject: str) -> dict[str, Any]:
    if subject == "roc":
        return {"color": _OURS, "marker": "o", "linewidth": 2.2, "zorder": 3}
    color = _COLORS.get(subject, _OTHER)
    style = "--" if subject in _FLOORS else "-"
    return {"color": color, "marker": ".", "linewidth": 1.1, "linestyle": style}


def _thousands(axes: Axes, which: str) -> None:
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def _latencies(results: Results) -> Figure | None:
    """Percentiles of a call, quiet and in each storm."""
    conditions = ["quiet", *latency.BUSY]
    names = ["p50", "p90", "p99", "p99.9"]
    made = Figure(figsize=(6.4, 3.0))
    axes = made.add_subplot()
    empty = True
    for number, condition in enumerate(conditions):
        found = [results.get("latency", "roc", f"{condition}, {name}") for name in names]
        there = [series.median for series in found if series is not None]
        if len(there) == len(names):
            places = [index + 0.2 * (number - 1.5) for index in range(len(names))]
            axes.bar(places, there, width=0.18, label=condition)
            empty = False
    axes.set_xticks(range(len(names)), names)
    axes.set_yscale("log")
    axes.set_title("time of a call through the broker, µs", loc="left")
    axes.legend(fontsize=7, frameon=False)
    _thousands(axes, "y")
    return None if empty else made


def _budget(results: Results) -> Figure | None:
    """The stages of one call, one after the other."""
    stages = [(stage, results.get("budget", "roc", stage.title)) for stage in budget.STAGES]
    there = [(stage, series.median) for stage, series in stages if series is not None]
    if not there:
        return None
    made = Figure(figsize=(6.4, 4.2))
    axes = made.add_subplot()
    colors = {"client": "#1b6ca8", "broker": "#5aa469", "server": "#b5533c", "send": "#b9b9b9"}
    begun = 0.0
    for row, (stage, took) in enumerate(there):
        who = stage.title.partition(":")[0].partition(",")[0]
        axes.barh(row, took, left=begun, color=colors.get(who, "#b5533c"))
        axes.text(begun + took, row, f" {took:.1f}", va="center", fontsize=7)
        begun += took
    axes.set_yticks(range(len(there)), [stage.title for stage, _ in there], fontsize=7)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_title("one serial call in pure Python, µs", loc="left")
    return made


def _growth(kind: str) -> Callable[[Results], Figure | None]:
    """Memory, and what one more and a use cost, over how many there are."""
    panels = (
        (growth.MEMORY, "memory of the broker, MB"),
        (growth.EACH, "one more, µs of CPU"),
        (growth.USE, "an update of a leaf, µs" if kind == "leaves" else "a call, µs"),
    )

    def plot(results: Results) -> Figure | None:
        made = Figure(figsize=(7.6, 2.2))
        for index, (what, title) in enumerate(panels):
            points = _points(results, kind, what)
            if not points:
                return None
            axes = made.add_subplot(1, len(panels), index + 1)
            axes.plot(*zip(*points, strict=True), **_line("roc"))
            axes.set_ylim(0, 1.15 * max(value for _, value in points) or 1)
            axes.set_xlabel(kind, fontsize=8)
            axes.set_title(title, loc="left", fontsize=9)
            axes.tick_params(labelsize=7)
            axes.locator_params(nbins=4)
            _thousands(axes, "x")
        made.tight_layout()
        return made

    return plot


def _points(results: Results, kind: str, what: str) -> list[tuple[int, float]]:
    found = []
    for series in results.of("growth"):
        count, _, about = series.at.partition(": ")
        if series.subject == kind and about == what:
            found.append((int(count.replace(",", "")), series.median))
    return found


def _numbered(counts: Iterable[int]) -> dict[str, float]:
    return {str(count): float(count) for count in counts}


PLOTS: Mapping[str, Callable[[Results], Figure | None]] = {
    "serial": _bars("serial", "serial calls a second"),
    "pipelined": _bars("pipelined", "pipelined calls a second, one client"),
    "arrays": _lines("arrays", "arrays, MB/s", "size", arrays.SIZES, True),
    "clients": _lines(
        "clients", "calls a second of all clients together", "clients",
        _numbered(clients.COUNTS), False,
    ),
    "objects": _lines(
        "objects", "calls a second of one client, objects in turn", "objects",
        _numbered(objects.COUNTS), False,
    ),
    "latency": _latencies,
    "budget": _budget,
    **{f"growth-{kind}": _growth(kind) for kind in growth.COUNTS},
}  # fmt: skip
