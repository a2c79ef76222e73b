"""What a process uses of the computer."""

from __future__ import annotations

from pathlib import Path

import psutil

__all__ = ["cpu_seconds", "rss"]


def cpu_seconds(pid: int) -> float:
    """Processor time so far, of all the threads that it has now."""
    nanoseconds = [
        int(file.read_text().split()[0]) for file in Path(f"/proc/{pid}/task").glob("*/schedstat")
    ]
    if nanoseconds:
        return sum(nanoseconds) / 1e9
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def rss(pid: int) -> float:
    """Memory that it holds, in MB."""
    return float(psutil.Process(pid).memory_info().rss) / 1e6
