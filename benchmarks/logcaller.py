"""A program that logs, and times itself: `python -m benchmarks.logcaller`.

It answers `{"handler": "RocLogger", "count": 200}` with the microseconds of one record.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
import sys
from typing import Any

from runmacs.roc import RocLogger

from .logs import timed


def main() -> None:
    roc = RocLogger("bench", None)
    lines: queue.Queue[Any] = queue.Queue()
    handlers: dict[str, logging.Handler] = {
        "RocLogger": roc,
        "QueueHandler": logging.handlers.QueueHandler(lines),
        "no handler": logging.NullHandler(),
    }
    print("ready", flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        several = max(1, 2000 // question["count"])
        times = []
        for _ in range(several):
            times.append(timed(handlers[question["handler"]], question["count"]))
            lines.queue.clear()
            roc.flush()
        print(json.dumps({"answer": sorted(times)[several // 2]}), flush=True)


if __name__ == "__main__":
    main()
