"""What one `log.info` costs the thread that logs.

In bursts of 200 that find the queue empty, and 3,000 one after the other.
"""

from __future__ import annotations

from functools import partial

from ..bench import Bench, Case, Figures
from ..peers import roc
from ..processes import NotThere, Process

TITLE = "A log record in its caller"
UNIT = "µs"
ABOUT = __doc__
LESS_IS_BETTER = True
HANDLERS = ("RocLogger", "QueueHandler", "no handler")
BURSTS = {"a burst of 200": 200, "3,000 without a pause": 3000}


def cases(bench: Bench) -> list[Case]:
    try:
        address = roc.start_broker(bench.house).removeprefix("tcp://")
        caller = bench.house.play("logcaller", env={"ROC_BROKER": address})
        caller.line()
    except NotThere as reason:
        bench.miss("logs", "RocLogger", str(reason))
        return []
    return [
        Case(handler, partial(_run, caller, handler, at, count))
        for at, count in BURSTS.items()
        for handler in HANDLERS
    ]


def _run(caller: Process, handler: str, at: str, count: int) -> Figures:
    return {at: caller.ask(handler=handler, count=count)}
