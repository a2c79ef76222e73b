"""What grows with the number of objects, of clients, and of status leaves.

A broker of its own each time, and more and more of them: the memory of the broker, the time
of its processor that one more takes, and how long a call (or an update of one leaf) takes
among so many. The servers beat as the specification asks; the crowd is one process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from ..bench import Bench, Case, Figures
from ..loads import percentiles
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
    "clients": (100, 300, 1000, 3000),
    "leaves": (1000, 10_000, 30_000, 100_000),
}
QUICK = {"objects": (20, 50), "clients": (20, 50), "leaves": (100, 200)}
MEMORY, MORE = "broker, MB", "one more, KB"
EACH, IDLE = "one more, CPU µs", "idle, CPU %"
USE, TAIL = "a call or update, µs", "a call or update, p99, µs"


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
            step.grown_to(count, crowd.ask(**{kind: count}))
            times = client.ask(do="latency", seconds=seconds, pause=0.001)
            figures |= step.settled(times, seconds)
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
            step.grown_to(count, tree.ask(leaves=count))
            times = percentiles(tree.ask(updates=300))
            figures |= step.settled(times, seconds)
    return figures


class Step:
    """From one number of things to the next, as the broker's process feels it."""

    def __init__(self, broker: Process) -> None:
        self._broker = broker.pid
        self._count, self._memory = 0, rss(broker.pid)
        self._cpu, self._idle = cpu_seconds(broker.pid), 0.0
        self._grown: tuple[int, float, float] = (0, 0.0, 0.0)

    def grown_to(self, count: int, took: float) -> None:
        """There are so many now; it has taken so many seconds."""
        more, self._count = count - self._count, count
        self._grown = more, took, cpu_seconds(self._broker) - self._cpu

    def settled(self, times: dict[str, float], seconds: float) -> Figures:
        """What came of it. Beats of those that are there already are no cost of one more."""
        memory, idle = rss(self._broker), self._idle_share(seconds)
        more, took, cpu = self._grown
        beats = took * (self._idle + idle) / 2
        figures = {
            MEMORY: memory, MORE: (memory - self._memory) / more * 1e3,
            EACH: max(0.0, cpu - beats) / more * 1e6,
            USE: times["p50"], TAIL: times["p99"], IDLE: 100 * idle,
        }  # fmt: skip
        self._memory, self._idle = memory, idle
        self._cpu = cpu_seconds(self._broker)
        return {f"{self._count:,}: {what}": figure for what, figure in figures.items()}

    def _idle_share(self, seconds: float) -> float:
        before, began = cpu_seconds(self._broker), time.perf_counter()
        time.sleep(seconds)
        return (cpu_seconds(self._broker) - before) / (time.perf_counter() - began)
