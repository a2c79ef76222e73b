"""Lines that wait for room on the disk: the newest ones, and how many are lost before them.

Rules:

* Bounded by number and by bytes; the oldest go, and are counted by source and severity.
* A report of a loss that goes itself is counted with what it reported.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from ..wire.logmsg import Lost, Record, lost_in

__all__ = ["BYTES", "LINES", "Ring"]

LINES: Final = 50_000
BYTES: Final = 32 * 1024 * 1024


class Ring:
    """What is to be written, when it can be."""

    def __init__(self, lines: int = LINES, most: int = BYTES) -> None:
        self._most_lines = lines
        self._most = most
        self._waiting: deque[tuple[bytes, Record]] = deque()
        self._bytes = 0
        self._losses: dict[tuple[str, int], Lost] = {}
        self._unnumbered = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, lines: Iterable[tuple[bytes, Record]]) -> None:
        """Add newer lines."""
        for line, record in lines:
            self._waiting.append((line, record))
            self._bytes += len(line)
        while len(self._waiting) > self._most_lines or self._bytes > self._most:
            line, record = self._waiting.popleft()
            self._bytes -= len(line)
            self._lose(record)

    def _lose(self, record: Record) -> None:
        lost = lost_in(record)
        if lost is None and record.n:
            lost = Lost(record.resource, record.severity, record.n, record.n)
        if lost is None:
            self._unnumbered += 1
            return
        key = (lost.resource.source, lost.severity)
        before = self._losses.get(key)
        if before is not None:
            lost = Lost(before.resource, lost.severity, before.first, max(before.last, lost.last))
        self._losses[key] = lost

    def take_losses(self) -> tuple[list[Lost], int]:
        """What has been lost so far, and how many without a number; they are told now."""
        losses, unnumbered = [*self._losses.values()], self._unnumbered
        self._losses, self._unnumbered = {}, 0
        return losses, unnumbered

    def take_lines(self) -> list[tuple[bytes, Record]]:
        """All that waits, oldest first."""
        waiting, self._waiting = [*self._waiting], deque()
        self._bytes = 0
        return waiting
