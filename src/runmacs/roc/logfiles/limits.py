"""When to begin a new file, and which to keep, as people write it.

``100MB``, ``day``; ``30`` (files), ``7d``, ``10GB``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ..errors import ConfigError

__all__ = ["Keep", "Rotation", "parse_keep", "parse_rotation"]

_SIZES: Final = {"": 1, "B": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_AGES: Final = {"m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT])(i?)B?|(\d+)\s*B", re.IGNORECASE)
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(min|m|h|d|w)")


@dataclass(frozen=True)
class Rotation:
    """When a new file is begun: after so many bytes, and with each day (UTC)."""

    size: int | None = None
    daily: bool = False


@dataclass(frozen=True)
class Keep:
    """Which closed files are kept: so many, so young (seconds), of so many bytes in all."""

    count: int | None = None
    age: float | None = None
    size: int | None = None


def parse_rotation(texts: Iterable[str]) -> Rotation:
    """The rotation in texts such as ``100MB`` and ``day``; several may stand in one.

    Raises:
        ConfigError: one of them is neither.
    """
    size, daily = None, False
    for text in _words(texts):
        found = _size(text)
        if text.lower() in ("day", "daily"):
            daily = True
        elif found:
            size = found
        elif text.lower() not in ("never", "none"):
            raise ConfigError(f"--rotate {text!r}: write a size (100MB), day, or never.")
    return Rotation(size, daily)


def parse_keep(texts: Iterable[str]) -> Keep:
    """What to keep, in texts such as ``30``, ``7d`` and ``10GB``.

    Raises:
        ConfigError: one of them is none of these.
    """
    count, age, size = None, None, None
    for text in _words(texts):
        found = _AGE.fullmatch(text)
        if text.isdecimal() and int(text) > 0:
            count = int(text)
        elif found is not None and float(found[1]):
            age = float(found[1]) * _AGES[found[2]]
        elif _size(text):
            size = _size(text)
        else:
            raise ConfigError(f"--keep {text!r}: write a number of files (30), 7d, or 10GB.")
    return Keep(count, age, size)


def _words(texts: Iterable[str]) -> list[str]:
    return [word.strip() for text in texts for word in text.split(",") if word.strip()]


def _size(text: str) -> int | None:
    found = _SIZE.fullmatch(text)
    if found is None:
        return None
    if found[4]:
        return int(found[4])
    unit = _SIZES[found[2].upper()]
    if found[3]:
        unit = 1024 ** ("KMGT".index(found[2].upper()) + 1)
    return int(float(found[1]) * unit)
