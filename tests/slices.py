"""The slices of the processor that the system gives the threads of this process."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from runmacs.roc._drivers import native

__all__ = ["OWN", "SHORT", "slice_of"]


def slice_of(thread: threading.Thread) -> int | None:
    """In nanoseconds; None where the system does not tell."""
    try:
        text = Path(f"/proc/self/task/{thread.native_id}/sched").read_text()
    except OSError:
        return None
    found = re.search(r"^se\.slice\s*:\s*(\d+)", text, re.MULTILINE)
    return int(found[1]) if found else None


def _probe(shorten: bool) -> int | None:
    found: list[int | None] = []

    def look() -> None:
        if shorten:
            native.shorten_slice()
        found.append(slice_of(threading.current_thread()))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return found[0]


OWN = _probe(shorten=False)
SHORT = _probe(shorten=True)
"""What a thread has that has asked for a short one: `OWN` where that cannot be."""
