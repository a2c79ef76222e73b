"""What numeric leaves were since the page's server began: the points of a plot.

Rules:

* Memory has a limit: so many leaves, and so many points of each. A leaf that has more forgets
  detail, not time: of four older points those two stay that were lowest and highest, so that
  a spike is still seen.
* Times are seconds since 1970.
"""

from __future__ import annotations

from array import array
from typing import Final

__all__ = ["History", "Series"]

LEAVES: Final = 5_000
POINTS: Final = 8_000


class Series:
    """Times and values of one leaf, oldest first."""

    __slots__ = ("times", "values")

    def __init__(self) -> None:
        self.times = array("d")
        self.values = array("d")

    def add(self, at: float, value: float) -> None:
        """Take a point; one that is not later than the last replaces it."""
        times = self.times
        if times and at <= times[-1]:
            self.values[-1] = value
            return
        times.append(at)
        self.values.append(value)
        if len(times) >= POINTS:
            self._thin()

    def _thin(self) -> None:
        """Keep the newest quarter as it is, and half of what is older."""
        old = POINTS * 3 // 4
        times, values = array("d"), array("d")
        for first in range(0, old, 4):
            four = range(first, min(first + 4, old))
            low = min(four, key=self.values.__getitem__)
            high = max(four, key=self.values.__getitem__)
            for at in sorted({low, high}):
                times.append(self.times[at])
                values.append(self.values[at])
        self.times = times + self.times[old:]
        self.values = values + self.values[old:]

    def __len__(self) -> int:
        return len(self.times)


class History:
    """The series of all numeric leaves."""

    def __init__(self) -> None:
        self._series: dict[str, Series] = {}
        self.left_out = 0
        """How many leaves had no room."""

    def add(self, path: str, at: float, value: object) -> None:
        """Take a leaf's value, if it is a number."""
        number = _number(value)
        if number is None:
            return
        series = self._series.get(path)
        if series is None:
            if len(self._series) >= LEAVES:
                self.left_out += 1
                return
            series = self._series[path] = Series()
        series.add(at, number)

    def get(self, path: str) -> Series:
        """A leaf's series; empty where nothing is known."""
        return self._series.get(path) or Series()

    def paths(self, within: str) -> list[str]:
        """The leaves within a path that have a series."""
        return [path for path in self._series if not within or _within(path, within)]


def _within(path: str, mask: str) -> bool:
    return path == mask or path.startswith(f"{mask}.")


def _number(value: object) -> float | None:
    """A number or a truth value as float; numpy's scalars too."""
    if isinstance(value, bool | int | float):
        try:
            return float(value)
        except OverflowError:
            return None
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return _number(value.item())
    return None
