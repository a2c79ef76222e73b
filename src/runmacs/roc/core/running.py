"""The remote call that runs here: its id, and what was logged in it.

It is found wherever Python's context leads: in the method itself, and in the asyncio tasks
that it starts. A thread of its own has no part in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Final

from ..wire.logentry import Entry, RecordWriter
from ..wire.logmsg import Source

__all__ = ["MOST_LINES", "RUNNING", "RunningCall", "texts_of"]

MOST_LINES: Final = 50
"""How many of its newest log records a failing call's error carries."""
_MOST_BYTES: Final = 64 * 1024


class RunningCall:
    """One call while it is executed.

    Attributes:
        id: the call id; empty if its client gave it none.
        log: the newest records that were logged in it, each with its source; None if there
            were none.
    """

    __slots__ = ("id", "log")

    def __init__(self, call_id: str) -> None:
        self.id = call_id
        self.log: deque[tuple[Source, Entry]] | None = None

    def note(self, source: Source, entry: Entry) -> None:
        """Remember what was logged."""
        if self.log is None:
            self.log = deque(maxlen=MOST_LINES)
        self.log.append((source, entry))


def texts_of(log: Iterable[tuple[Source, Entry]]) -> list[str]:
    """The records as JSON texts, for an error: the newest, as many as have room in it."""
    found: list[str] = []
    room = _MOST_BYTES
    for source, entry in reversed([*log]):
        text = RecordWriter(source).write(entry, 0)[1].decode()
        room -= len(text)
        if room < 0:
            break
        found.append(text)
    return found[::-1]


RUNNING: Final[ContextVar[RunningCall | None]] = ContextVar("roc_running_call", default=None)
