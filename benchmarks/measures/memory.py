"""What processes use: memory (RSS), the processor for a serial call, and when they are idle.

The broker alone, and with 1,000 objects whose servers beat; the peers with what they are
here: the client, and on the other side the server and whatever stands between.
"""

from __future__ import annotations

import time
from functools import partial

from ..bench import Bench, Case, Figures, Running
from ..peers import PEERS, roc
from ..processes import House
from ..usage import cpu_seconds, rss

TITLE = "Memory and processor"
UNIT = "MB"
ABOUT = __doc__
LESS_IS_BETTER = True
OBJECTS = 1000
ROUNDS = 3


def cases(bench: Bench) -> list[Case]:
    quick = bench.options.quick
    objects = OBJECTS // 10 if quick else OBJECTS
    seconds = bench.seconds if quick else max(3.0, 4 * bench.seconds)
    peers = [
        Case(running.peer.NAME, partial(_processes, running, bench.seconds))
        for running in bench.present(PEERS, "memory")
    ]
    return [
        *peers,
        Case("roc", partial(_idle, seconds)),
        Case("roc", partial(_crowded, objects, seconds)),
    ]


def _processes(running: Running, seconds: float) -> Figures:
    """All that a peer has started for one object; and one client, while it calls."""
    client = running.client()
    sides = {"client": [client.pid], "other side": [server.pid for server in running.servers]}
    before = {side: _cpu_of(pids) for side, pids in sides.items()}
    calls = client.ask(do="serial", seconds=seconds) * seconds
    figures: Figures = {}
    for side, pids in sides.items():
        used = _cpu_of(pids) - before[side]
        figures[side] = sum(rss(pid) for pid in pids)
        figures[f"{side}, CPU µs per call"] = used / calls * 1e6
    return figures


def _cpu_of(pids: list[int]) -> float:
    return sum(cpu_seconds(pid) for pid in pids)


def _idle(seconds: float) -> Figures:
    with House() as house:
        roc.start_broker(house)
        broker = house.processes[-1].pid
        alone = rss(broker)
        nothing = _cpu(broker, seconds)
        return {"broker alone": alone, "broker alone, CPU %": nothing}


def _crowded(objects: int, seconds: float) -> Figures:
    with House() as house:
        address = roc.start_broker(house)
        broker = house.processes[-1].pid
        crowd = house.play("crowd", address)
        crowd.line()
        crowd.ask(objects=objects)
        used = _cpu(broker, seconds)
        return {
            f"broker, {objects:,} objects": rss(broker),
            f"broker, {objects:,} objects, CPU %": used,
        }


def _cpu(pid: int, seconds: float) -> float:
    time.sleep(0.3)
    before, began = cpu_seconds(pid), time.perf_counter()
    time.sleep(seconds)
    return 100 * (cpu_seconds(pid) - before) / (time.perf_counter() - began)
