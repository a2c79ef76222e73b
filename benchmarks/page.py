"""`docs/explanation/performance.md`: its figures are this module's, its words are people's.

Between `<!-- measured: NAME -->` and `<!-- end -->` stands what was measured; a run renews
those of which it has figures, and the pictures beside the page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import measures
from .plots import draw
from .results import Results
from .table import figure, told

__all__ = ["write"]

PAGE = "performance.md"
PICTURES = "performance"
_BLOCK = re.compile(r"(<!-- measured: (?P<name>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def write(results: Results, bars: list[dict[str, Any]], folder: Path) -> None:
    """Renew the page in this folder, its pictures, and the document beside them."""
    page, pictures = folder / PAGE, folder / PICTURES
    draw(results, pictures)
    document = json.dumps(results.document(bars), indent=1)
    (pictures / "results.json").write_text(f"{document}\n", "utf-8")

    def renewed(block: re.Match[str]) -> str:
        text = _text(block["name"], results, bars)
        return f"{block[1]}{text}{block[3]}" if text else block[0]

    page.write_text(_BLOCK.sub(renewed, page.read_text("utf-8")), "utf-8")


def _text(name: str, results: Results, bars: list[dict[str, Any]]) -> str:
    special: dict[str, Callable[[], str]] = {
        "machine": lambda: _machine(results.about),
        "bars": lambda: _bars(bars),
        "missing": lambda: _missing(results.missing),
    }
    if name in special:
        return special[name]()
    several = list(results.of(name))
    if not several:
        return ""
    return _by_subject(name, results) if _is_flat(name, results) else _by_at(name, results)


def _is_flat(name: str, results: Results) -> bool:
    return {series.at for series in results.of(name)} == {""}


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def _by_subject(name: str, results: Results) -> str:
    """Subjects one under the other, with spread and ratio."""
    unit = measures.load(name).UNIT
    text = _row("", unit, "least to most", "× roc") + "|---|---:|---:|---:|\n"
    roc = results.get(name, "roc")
    for series in results.of(name):
        ratio = f"{series.median / roc.median:.2f}" if roc else ""
        spread = " to ".join(map(figure, series.spread))
        text += _row(series.subject, figure(series.median), spread, ratio)
    return text


def _by_at(name: str, results: Results) -> str:
    """Subjects beside one another, and one row for each thing that was measured of them."""
    subjects = list(dict.fromkeys(series.subject for series in results.of(name)))
    text = _row(measures.load(name).UNIT, *subjects) + f"|---|{'---:|' * len(subjects)}\n"
    for at in dict.fromkeys(series.at for series in results.of(name)):
        found = [results.get(name, subject, at) for subject in subjects]
        text += _row(at, *[figure(series.median) if series else "" for series in found])
    return text


def _machine(about: dict[str, Any]) -> str:
    machine, run = about["machine"], about["run"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    return (
        f"{run['date']}, {machine['processor']}, {machine['cores']} cores, {machine['system']},"
        f" Python {machine['python']}; {run['rounds']} interleaved rounds of {run['seconds']} s.\n"
        f"{versions}.\n"
    )


def _bars(bars: list[dict[str, Any]]) -> str:
    text = _row("bar", "verdict") + "|---|---|\n"
    for bar in bars:
        text += _row(told(bar), bar["verdict"])
    return text


def _missing(missing: list[dict[str, str]]) -> str:
    if not missing:
        return "Nothing was left out.\n"
    text = _row("what", "measure", "why not") + "|---|---|---|\n"
    for one in missing:
        text += _row(one["subject"], one["measure"] or "all", one["reason"].replace("|", "/"))
    return text
