"""What grows with the number of objects, of clients, and of status leaves.

A broker of its own each time, and more and more of them: the memory of the broker, the time
that one more takes, and how long a call (or an update of one leaf) takes among so many. The
servers beat as the specification asks; all peers of the crowd are one process.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

from ..bench import Bench, Case, Figures
from ..peers import roc
from ..peers.connection import OBJECT
from ..processes import House, Process
from ..usage import cpu_seconds, rss

TITLE = "Costs that grow"
UNIT = ""
ABOUT = __doc__
LESS_IS_BETTER = True
ROUNDS = 1
COUNTS = {
    "objects": (100, 1000, 3000, 10_000),
    "clients": (100, 300, 1000),
    "leaves": (1000, 10_000, 30_000, 100_000),
}
QUICK = {"objects": (20, 50), "clients": (20, 50), "leaves": (100, 200)}
MEMORY, MORE = "broker, MB", "one more, KB"
EACH, USE, IDLE = "one more, µs", "a call or update, µs", "idle, CPU %"


def cases(bench: Bench) -> list[Case]:
    counts = QUICK if bench.options.quick else COUNTS
    seconds = 0.1 if bench.options.quick else 2.0
    runs: dict[str, Callable[[], Figures]] = {
        "objects": partial(_crowd, "objects", counts["objects"], seconds),
        "clients": partial(_crowd, "clients", counts["clients"], seconds),
        "leaves": partial(_leaves, counts["leaves"], seconds),
    }
    return [Case(what, run) for what, run in runs.items()]


def _crowd(kind: str, counts: tuple[int, ...], seconds: float) -> Figures:
    figures: Figures = {}
    with House() as house:
        address = roc.start_broker(house)
        broker = house.processes[-1]
        roc.share(house, address, OBJECT)
        crowd, client = house.play("crowd", address), house.play("drive", "roc", address)
        crowd.line()
        client.line()
        step = Step(broker)
        for count in counts:
            took = crowd.ask(**{kind: count})
            called = client.ask(do="latency", seconds=seconds, pause=0.001)
            figures |= step.to(count, took, called["p50"] / 1e6, seconds)
    return figures


def _leaves(counts: tuple[int, ...], seconds: float) -> Figures:
    figures: Figures = {}
    with House() as house:
        address = roc.start_broker(house, None, "--status-leaves", "200000")
        broker = house.processes[-1]
        tree = house.play("leaves", address.removeprefix("tcp://"))
        tree.line()
        step = Step(broker)
        for count in counts:
            took = tree.ask(leaves=count)
            used = statistics.median(tree.ask(updates=200))
            figures |= step.to(count, took, used, seconds)
    return figures


class Step:
    """From one number of things to the next."""

    def __init__(self, broker: Process) -> None:
        self._broker = broker.pid
        self._count, self._memory = 0, rss(broker.pid)

    def to(self, count: int, took: float, used: float, seconds: float) -> Figures:
        """What came of it, given the seconds that it took, and that a use takes now."""
        more, memory = count - self._count, rss(self._broker)
        grown, self._count, self._memory = memory - self._memory, count, memory
        before = cpu_seconds(self._broker)
        time.sleep(seconds)
        idle = 100 * (cpu_seconds(self._broker) - before) / seconds
        figures = {MEMORY: memory, MORE: grown / more * 1e3, EACH: took / more * 1e6,
                   USE: used * 1e6, IDLE: idle}  # fmt: skip
        return {f"{count:,}: {what}": figure for what, figure in figures.items()}
