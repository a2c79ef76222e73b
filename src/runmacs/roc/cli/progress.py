"""Progress: what a command waits for, and how long already, on a terminal's stderr.

Rules:

* Nothing within the first second, and nothing where stderr is no terminal.
* The line is gone when the wait is over, however it ends.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .stderr import printable

__all__ = ["waiting"]

_AFTER = 1.0
_TURN = 0.2
_CLEAR = "\r\x1b[K"


@contextmanager
def waiting(what: str, timeout: float | None = None) -> Iterator[None]:
    """Show that something is waited for, for at most ``timeout`` seconds."""
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    shower = threading.Thread(target=_show, args=(printable(what), timeout, over), daemon=True)
    shower.start()
    try:
        yield
    finally:
        over.set()
        shower.join()


def _show(what: str, timeout: float | None, over: threading.Event) -> None:
    began = time.monotonic()
    limit = f" of {timeout:g}" if timeout else ""
    shown = False
    while not over.wait(_TURN if shown else _AFTER):
        shown = True
        seconds = time.monotonic() - began
        bar = "▏▎▍▌▋▊▉█"[int(seconds / _TURN) % 8]
        print(f"{_CLEAR}{bar} {what}: {seconds:.0f}{limit} s", end="", file=sys.stderr, flush=True)
    if shown:
        print(_CLEAR, end="", file=sys.stderr, flush=True)
