"""The broker alone: load in C, of 4 clients and 4 workers that announce a prefetch of 100.

Each client has 100 calls under way, to an object of its own. Beside the calls a second stands
the processor time that the broker used for a million of them: with two cores the load
has its share of both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..bench import Bench, Case, Figures
from ..extension import is_there
from ..floor import compiled
from ..peers import c_broker, roc
from ..processes import House, NotThere, Process
from ..usage import cpu_seconds

TITLE = "The broker alone"
UNIT = "calls/s"
ABOUT = __doc__
PAIRS, PREFETCH = 4, 100


def cases(bench: Bench) -> list[Case]:
    starts: dict[str, Callable[[House], str]] = {
        "roc": roc.start_broker,
        "C broker": c_broker.start_broker,
    }
    if is_there():
        starts["roc, pure Python"] = lambda house: roc.start_broker(house, {"ROC_PURE": "1"})
    found = []
    for subject, start in starts.items():
        try:
            load = compiled("load")
            address = start(bench.house)
        except NotThere as reason:
            bench.miss("alone", subject, str(reason))
            continue
        broker = bench.house.processes[-1]
        run = partial(_run, bench.house, str(load), address, broker, bench.seconds)
        found.append(Case(subject, run))
    return found


def _run(house: House, load: str, address: str, broker: Process, seconds: float) -> Figures:
    before = cpu_seconds(broker.pid)
    words = [str(word) for word in (2 * seconds, PAIRS, PREFETCH, PREFETCH)]
    process = house.start(load, address, *words, name="load")
    try:
        rate = float(process.line())
    finally:
        house.end(process)
    used = cpu_seconds(broker.pid) - before
    calls = rate * (2 * seconds + 0.3)
    return {"": rate, "CPU s per million": used / calls * 1e6}
