"""What processes use: memory (RSS), and the processor while nothing happens.

The broker alone, with one server and one client, and with 1,000 objects whose servers beat;
the peers with what they are here: client, server, and whatever stands between.
"""

from __future__ import annotations

import time
from functools import partial

from ..bench import Bench, Case, Figures, Running
from ..peers import PEERS, roc
from ..processes import House
from ..usage import cpu_seconds, rss

TITLE = "Memory, and the processor when idle"
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
        Case(running.peer.NAME, partial(_processes, running))
        for running in bench.present(PEERS, "memory")
    ]
    return [
        *peers,
        Case("roc", partial(_idle, seconds)),
        Case("roc", partial(_crowded, objects, seconds)),
    ]


def _processes(running: Running) -> Figures:
    """All that a peer has started for one object; and one client."""
    client = running.client()
    client.ask(do="serial", seconds=0.05)
    others = sum(rss(server.pid) for server in running.servers)
    return {"client": rss(client.pid), "server and what stands between": others}


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
