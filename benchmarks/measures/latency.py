"""The time of single calls, 1 ms apart, while nothing else happens and while much does.

* *log storm*: 4 processes log 10,000 records a second together, and `logdump` writes them.
* *frame stream*: another client fetches 20 arrays of 8 MiB a second from another server.
* *storm and stream*: both.

All of it goes through the same broker. Percentiles over one measurement, median over rounds.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

from ..bench import Bench, Case, Figures, Running
from ..logs import wait_for
from ..processes import House, NotThere

Burden: TypeAlias = contextlib.AbstractContextManager[None]
TITLE = "Latency of a call"
UNIT = "µs"
ABOUT = __doc__
LESS_IS_BETTER = True
QUIET_PEERS = ("roc", "c_broker", "pyro5", "zenoh", "nats")
BUSY_PEERS = ("roc",)
PAUSE = 0.001
RECORDS, LOGGING = 10_000, 4
FRAME, FRAMES = 8 << 20, 20
_SETTLE = 0.5
_LONGER = 4.0
"""Seconds that a storm lasts beyond the measurement: it must blow before, and still after it."""


def cases(bench: Bench) -> list[Case]:
    seconds = bench.seconds if bench.options.quick else max(2.0, 4 * bench.seconds)
    quiet = bench.present(QUIET_PEERS, "latency")
    found = [
        Case(running.peer.NAME, partial(_run, running, "quiet", seconds, [])) for running in quiet
    ]
    for running in bench.present(BUSY_PEERS, "latency"):
        for at, about in BUSY.items():
            found.append(Case(running.peer.NAME, partial(_run, running, at, seconds, about)))
    return found


def _run(
    running: Running, at: str, seconds: float, burdens: Sequence[Callable[..., Burden]]
) -> Figures:
    client = running.client()
    with contextlib.ExitStack() as stack:
        for burden in burdens:
            stack.enter_context(burden(running, seconds + _LONGER))
        if burdens:
            time.sleep(_SETTLE)
        times = client.ask(do="latency", seconds=seconds, pause=PAUSE)
    return {f"{at}, {name}": figure for name, figure in times.items()}


@contextlib.contextmanager
def log_storm(running: Running, seconds: float) -> Iterator[None]:
    env = {"ROC_BROKER": running.address.removeprefix("tcp://")}
    with House() as house:
        target = house.folder / "log"
        dump = (sys.executable, "-m", "runmacs.roc.logdump", "--directory", target)
        house.start(*dump, name="logdump", env=env)
        words = ("--rate", RECORDS / LOGGING, "--seconds", seconds)
        for _ in range(LOGGING):
            house.play("logs", "--emit", "roc", *words, env=env)
        wait_for(lambda: any(file.stat().st_size for file in target.glob("*.jsonl")), 20.0)
        yield


@contextlib.contextmanager
def frame_stream(running: Running, seconds: float) -> Iterator[None]:
    """Another object at the same broker, and a client of its own that fetches from it."""
    with House() as house:
        running.peer.share(house, running.address, "camera")
        display = house.play("drive", running.name, running.address)
        display.line()
        display.tell(
            do="frames",
            seconds=seconds - _LONGER + 2 * _SETTLE,
            size=FRAME,
            rate=FRAMES,
            name="camera",
        )
        yield
        if display.answer() <= 0:
            raise NotThere("no frames came")


BUSY = {
    "log storm": [log_storm],
    "frame stream": [frame_stream],
    "storm and stream": [log_storm, frame_stream],
}
