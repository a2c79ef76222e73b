"""What one page, or one event stream, has still to get.

Rules:

* A slow reader delays nobody, and its memory has a limit: of a leaf it gets the newest value
  only, records that have no room are counted and told, and one that leaves too many answers
  unread is disconnected.
* What is to be sent is put together when it is sent, so that it is as new as can be.
"""

from __future__ import annotations

import asyncio
from collections import deque

from .logfeed import Line
from .settings import Limits

__all__ = ["Outbox", "TooSlow"]


class TooSlow(Exception):
    """This reader leaves its answers unread."""


class Outbox:
    """The box of one reader.

    Attributes:
        topics: what it follows: ``status``, ``logs``.
        paths: leaves that changed, or went, since it was told.
        records: of the log, since it was told; ``lost`` had no room.
        marks: what else changed: ``overview``, ``status`` from the beginning, ``more`` to send.
    """

    def __init__(self, limits: Limits) -> None:
        self.topics: set[str] = set()
        self.paths: dict[str, None] = {}
        self.records: deque[Line] = deque()
        self.lost = 0
        self.marks: set[str] = set()
        self.answers: deque[str | bytes] = deque()
        self._limits = limits
        self._bytes = 0
        self._ready = asyncio.Event()

    def on_status(self, paths: list[str]) -> None:
        """Leaves changed, or went."""
        if "status" in self.topics:
            self.paths.update(dict.fromkeys(paths))
            self._ready.set()

    def on_records(self, lines: list[Line]) -> None:
        """Records came."""
        if "logs" in self.topics:
            self.records.extend(lines)
            over = len(self.records) - self._limits.waiting
            for _ in range(over):
                self.records.popleft()
            self.lost += max(0, over)
            self._ready.set()

    def mark(self, what: str) -> None:
        """Something changed of which only the newest counts."""
        self.marks.add(what)
        self._ready.set()

    def answer(self, message: str | bytes) -> None:
        """An answer to this reader alone.

        Raises:
            TooSlow: too many are unread.
        """
        self._bytes += len(message)
        if self._bytes > self._limits.answers and self.answers:
            raise TooSlow
        self.answers.append(message)
        self._ready.set()

    def take_answers(self) -> list[str | bytes]:
        """All answers; they are the caller's now."""
        taken, self._bytes = [*self.answers], 0
        self.answers.clear()
        return taken

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until there is something; False after the timeout."""
        try:
            await asyncio.wait_for(self._ready.wait(), timeout)
        except TimeoutError:
            return False
        self._ready.clear()
        return True
