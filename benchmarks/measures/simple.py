"""Measures of one client: each peer's client carries the load of the same name."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from ..bench import Bench, Case, Figures, Running

__all__ = ["client_cases"]


def client_cases(
    bench: Bench, load: str, names: Iterable[str], at: str = "", **words: Any
) -> list[Case]:
    """A case for each of the peers that are there."""
    return [
        Case(running.peer.NAME, partial(_run, running, load, at, bench.seconds, words))
        for running in bench.present(names, load)
    ]


def _run(running: Running, load: str, at: str, seconds: float, words: dict[str, Any]) -> Figures:
    return {at: running.client().ask(do=load, seconds=seconds, **words)}
