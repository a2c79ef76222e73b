"""What somebody may have meant: the names nearest to one that does not exist."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterable, Sequence
from typing import Final

__all__ = ["nearest", "quoted"]

_CANDIDATES: Final = 100
_LENGTH: Final = 200


def nearest(word: str, names: Iterable[str], limit: int = 3) -> list[str]:
    """At most ``limit`` of ``names`` that look like ``word``, the likeliest first.

    Case and underscores do not count: ``open_shutter`` finds ``openShutter``. Among
    thousands of names the answer still takes some ten milliseconds only.
    """
    folded: dict[str, str] = {}
    for name in names:
        if len(name) <= _LENGTH:
            folded.setdefault(_fold(name), name)
    wanted = _fold(word[:_LENGTH])
    candidates: Iterable[str] = folded
    if len(folded) > _CANDIDATES:
        pairs = _pairs(wanted)
        candidates = heapq.nlargest(
            _CANDIDATES, folded, key=lambda name: (len(pairs & _pairs(name)), -len(name))
        )
    found = difflib.get_close_matches(wanted, candidates, n=limit, cutoff=0.6)
    return [folded[name] for name in found]


def quoted(names: Sequence[str]) -> str:
    """``'a', 'b' or 'c'``."""
    *others, last = map(repr, names)
    return f"{', '.join(others)} or {last}" if others else last


def _fold(name: str) -> str:
    return name.replace("_", "").lower()


def _pairs(text: str) -> set[str]:
    return {text[i : i + 2] for i in range(len(text) - 1)}
