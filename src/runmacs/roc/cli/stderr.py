"""The log of a command, on stderr: one line for each record, and never in the way.

Rules:

* A thread of its own writes. Where stderr takes nothing more (a pipe that nobody reads),
  up to `QUEUED` records wait, newer ones are dropped, and the program goes on.
* What came from outside is data: control characters are shown, not sent to the terminal.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sys

from .._drivers.interrupts import OwnThread

__all__ = ["QUEUED", "PrintableFormatter", "StderrLog", "printable"]

QUEUED = 1000
_PATIENCE = 0.5


class StderrLog(logging.Handler):
    """Writes records to stderr, from a thread of its own.

    ::

        with StderrLog("info"):
            ...                         # records of every logger appear
    """

    def __init__(self, level: str) -> None:
        super().__init__(level.upper())
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self._lines: queue.Queue[str | None] = queue.Queue(QUEUED)
        self._writer = OwnThread(self._write, "log")

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record; drop it when the queue is full."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(printable(self.format(record)))

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            with contextlib.suppress(OSError, ValueError):
                print(line, file=sys.stderr, flush=True)

    def __enter__(self) -> StderrLog:
        root = logging.getLogger()
        root.addHandler(self)
        root.setLevel(self.level)
        self._writer.start()
        return self

    def __exit__(self, *exc: object) -> None:
        logging.getLogger().removeHandler(self)
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
        self._writer.join(_PATIENCE)


class PrintableFormatter(logging.Formatter):
    """The message, and a traceback beneath it, with nothing that a terminal would obey."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(printable, super().format(record).splitlines()))


def printable(text: str) -> str:
    """The text with everything escaped that is not for a terminal's eyes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
