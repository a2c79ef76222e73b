"""Status updates of 55 bytes in three frames; how many a second came to each subscriber.

* *plain*: source and subscribers write and count bytes, and leave a core to what stands
  between them.
* *pyzmq*: a PUB and SUBs, each in a process of its own; there the ends are what is slow.
* *iterator*: `statusUpdateIterator`, from a plain source.

ROC's broker keeps the last value of each leaf; libzmq's own XSUB/XPUB proxy, in C, keeps
nothing. CPU is what the process in the middle used for a million updates that came to a
subscriber.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

from ..bench import Bench, Case, Figures
from ..peers import roc
from ..processes import House, NotThere, Process
from ..publications import SETTLE
from ..usage import cpu_seconds

TITLE = "Status updates"
UNIT = "updates/s"
ABOUT = __doc__
LOADS = (("plain", 1), ("plain", 10), ("pyzmq", 1), ("pyzmq", 10), ("iterator", 1))
QUICK = (("plain", 1),)


@dataclass
class Middle:
    """What stands between the ends: where publications go in, and come out."""

    subject: str
    into: str
    out: str
    process: Process


def cases(bench: Bench) -> list[Case]:
    middles = []
    for start in (_roc, _proxy):
        try:
            middles.append(start(bench.house))
        except NotThere as reason:
            bench.miss("status", start.__name__.strip("_"), str(reason))
    seconds = bench.seconds if bench.options.quick else max(1.0, 2 * bench.seconds)
    return [
        Case(middle.subject, partial(_run, middle, load, sinks, seconds))
        for load, sinks in (QUICK if bench.options.quick else LOADS)
        for middle in middles
        if load != "iterator" or middle.subject == "roc"
    ]


def _roc(house: House) -> Middle:
    host, _, port = roc.start_broker(house).rpartition(":")
    into, out = (f"{host}:{int(port) + offset}" for offset in (1, 2))
    return Middle("roc", into, out, house.processes[-1])


def _proxy(house: House) -> Middle:
    process = house.play("serve", "zmq_proxy", "proxy", "XSUB", "XPUB")
    into, out = process.line().split()
    return Middle("zmq_proxy", into, out, process)


def _run(middle: Middle, load: str, sinks: int, seconds: float) -> Figures:
    with House() as house:
        source = "plain" if load == "iterator" else load
        begin = partial(house.play, "publications", f"{source}-source", middle.into)
        if load == "iterator":
            begin()  # the iterator waits for the first one
        if load == "plain":
            ends = [house.play("publications", "plain-sinks", middle.out, sinks, seconds)]
        else:
            ends = [
                house.play("publications", f"{load}-sink", middle.out, seconds)
                for _ in range(sinks)
            ]
        for end in ends:
            end.line()
        if load != "iterator":
            time.sleep(0.2)  # the subscriptions arrive
            begin()
        for end in ends:
            end.tell()
        time.sleep(SETTLE)
        before, begun = cpu_seconds(middle.process.pid), time.perf_counter()
        time.sleep(seconds * 0.9)
        used = (cpu_seconds(middle.process.pid) - before) / (time.perf_counter() - begun)
        rate = sum(float(end.line()) for end in ends) / len(ends)
    at = f"{load}, {sinks} subscriber{'s' if sinks > 1 else ''}"
    return {at: rate, f"{at}, CPU s per million": used / (rate / 1e6)}
