"""A client's single calls, 4 ms apart, alone and beside another client that keeps 9,000 calls of
one object waiting.

They go to another object, in a server process of its own, and to the same one. Those that wait
are of a method that does nothing, so that all processors are at work, or of one that sleeps for
a millisecond, as one of an instrument does, so that none is. All of it goes through one broker;
the one in C takes the calls of an object as they come, so that only the other object counts there.
Percentiles over one measurement, median over rounds.
"""

from __future__ import annotations

from functools import partial

from ..bench import Bench, Case, Figures, Running
from ..peers.connection import OBJECT

TITLE = "A call beside 9,000 that wait"
UNIT = "µs"
ABOUT = __doc__
LESS_IS_BETTER = True
PEERS = ("roc", "roc_over_c")
FIRST_COME = "roc_over_c"
"""Its broker serves an object's calls in the order in which they come: there is no other turn."""

OTHER = "other"
WAITING = 9_000
PAUSE = 0.004
METHODS = {"echo": "", "nap": " of 1 ms"}
PLACES = {"another object": OTHER, "the same object": OBJECT}


class Pair:
    """A peer with a second object, and a second client."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self._shared = False

    def run(self, seconds: float) -> Figures:
        if not self._shared:
            self.running.peer.share(self.running.house, self.running.address, OTHER)
            self._shared = True
        found = self._ask("alone", seconds)
        for method, about in METHODS.items():
            many = self.running.client(1)
            many.tell(do="flow", seconds=2 * seconds + 1.0, count=WAITING, method=method)
            many.line()
            found |= self._ask(f"beside 9,000{about}", seconds)
            found[f"calls/s of those 9,000{about}"] = many.answer()
        return found

    def _ask(self, when: str, seconds: float) -> Figures:
        found: Figures = {}
        for place, name in PLACES.items():
            ask = self.running.client().ask
            if name == OBJECT and self.running.name == FIRST_COME:
                continue
            times = ask(do="latency", seconds=seconds, pause=PAUSE, name=name)
            found |= {f"{place}, {when}, {point}": times[point] for point in ("p50", "p90")}
        return found


def cases(bench: Bench) -> list[Case]:
    seconds = bench.seconds if bench.options.quick else max(1.0, 3 * bench.seconds)
    pairs = [Pair(running) for running in bench.present(PEERS, "fair")]
    return [Case(pair.running.peer.NAME, partial(pair.run, seconds)) for pair in pairs]
