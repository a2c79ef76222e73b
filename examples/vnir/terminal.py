"""How the demo speaks: numbered sentences, code with its answer, a small plot.

Rules:

* Colour only on a terminal, and never where NO_COLOR is set.
* Block characters only where the output's encoding has them, ASCII elsewhere.
* Every line is flushed, so that a pipe shows the story as it happens.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from collections.abc import Sequence
from typing import TextIO

import numpy as np
import numpy.typing as npt

__all__ = ["Story", "has_blocks", "has_colour", "plot"]

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII = " .:|"  # empty, less than half, more than half, full
BOLD, DIM, GREEN, RED, CYAN = "1", "2", "32", "31", "36"


def has_colour(out: TextIO) -> bool:
    """True on a terminal that shows colour, unless the user asked for none."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    if sys.platform == "win32" and not os.environ.get("WT_SESSION"):
        return False  # the old console prints the escape sequences instead
    return out.isatty()


def has_blocks(out: TextIO) -> bool:
    """True where block characters can be written."""
    try:
        BLOCKS.encode(out.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


class Story:
    """Tells what is done and what came back, to one output."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._colour = has_colour(out)
        self._blocks = has_blocks(out)
        self._width = min(100, max(60, shutil.get_terminal_size((80, 24)).columns))
        self._steps = 0

    def title(self, text: str) -> None:
        self._line(self._paint(text, BOLD))

    def step(self, sentence: str) -> None:
        """The next numbered sentence."""
        self._steps += 1
        self._line("")
        self._line(self._paint(f"{self._steps:2}. {sentence}", BOLD))

    def command(self, text: str) -> None:
        """A command that is run in another process."""
        self._line("      " + self._paint("$ " + text, CYAN))

    def code(self, text: str, answer: object = None) -> None:
        """Python that the client has run, and what it gave; None gives nothing."""
        self._line("      " + self._paint(">>> " + text, CYAN))
        if answer is not None:
            self.said(repr(answer))

    def said(self, text: str) -> None:
        """Output, as it came, line by line."""
        for line in text.splitlines():
            self._line("      " + line)

    def note(self, text: str) -> None:
        """A remark of one sentence on what is seen."""
        self._line("    " + self._paint(text, DIM))

    def error(self, error: BaseException) -> None:
        """An exception that was provoked, as Python names it."""
        self._line("      " + self._paint(f"{type(error).__name__}: {error}", RED))

    def plot(self, wavelengths: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> None:
        """A spectrum, seven lines high, as wide as the terminal allows."""
        width = self._width - 8
        for line in plot(values, width, 6, BLOCKS if self._blocks else ASCII):
            self._line("      " + self._paint(line.rstrip(), GREEN))
        self._line("      " + axis(wavelengths, width))

    def end(self, text: str, *, good: bool = True) -> None:
        self._line("")
        self._line(self._paint(text, GREEN if good else RED))

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colour else text

    def _line(self, text: str) -> None:
        if not self._blocks:
            text = text.encode(self._out.encoding or "ascii", "replace").decode("ascii", "replace")
        print(text, file=self._out, flush=True)


def plot(values: npt.NDArray[np.float64], width: int, height: int, ramp: str = BLOCKS) -> list[str]:
    """Bars of ``values`` in ``height`` lines of ``width`` characters.

    A column shows the highest of its values, so that no narrow line is lost;
    the highest of all reaches the top.

    >>> plot(np.array([0.0, 1.0, 2.0]), 3, 2, " #")
    ['  #', ' ##']
    """
    edges = np.linspace(0, len(values), width + 1).astype(int)
    columns = [float(values[a : max(b, a + 1)].max()) for a, b in itertools.pairwise(edges)]
    top = max(columns)
    steps = len(ramp) - 1
    levels = [round(max(0.0, value) / top * height * steps) if top > 0 else 0 for value in columns]
    lines = []
    for row in range(height - 1, -1, -1):
        filled = (min(steps, max(0, level - row * steps)) for level in levels)
        lines.append("".join(ramp[level] for level in filled))
    return lines


def axis(wavelengths: Sequence[float] | npt.NDArray[np.float64], width: int) -> str:
    """Labels every 100 nm, each beginning beneath its place."""
    first, last = float(wavelengths[0]), float(wavelengths[-1])
    line = [" "] * (width + 3)
    for label in range(int(np.ceil(first / 100.0)) * 100, int(last) + 1, 100):
        text = str(label) if label < last else f"{label} nm"
        place = round((label - first) / (last - first) * width)
        place = max(0, min(place - len(str(label)) // 2, len(line) - len(text)))
        line[place : place + len(text)] = text
    return "".join(line).rstrip()
