"""The terminal, or the pipe, that a subcommand lives in.

Rules:

* A live screen is left as it was found, however its command ends.
* Who has stopped to read is noticed at once, also while there is nothing to print.
"""

from __future__ import annotations

import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["ending_cleanly", "is_read", "note", "to_install"]


def note(text: str) -> None:
    """Say something on stderr, beside what is printed."""
    print(text, file=sys.stderr, flush=True)


def to_install(extra: str) -> str:
    """How to install what is missing."""
    return f"pip install 'runmacs-roc[{extra}]'"


def is_read() -> bool:
    """Whether anybody still reads our stdout; False when a pipe's other end is gone."""
    if not hasattr(select, "poll") or sys.stdout.isatty():
        return True
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return not any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError):  # no descriptor behind it
        return True


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """Within it Ctrl-C, and a polite kill, are the end that was meant."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
