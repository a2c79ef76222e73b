"""The most memory that the process in the middle holds while an array of 64 MiB passes.

Beyond what it held before the first one, in multiples of the array: a copy more would be one
more.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from .. import peers
from ..bench import Bench, Case, Figures
from ..processes import House, NotThere

TITLE = "Memory while 64 MiB pass"
UNIT = "arrays"
ABOUT = __doc__
LESS_IS_BETTER = True
PEERS = ("roc", "roc_over_c", "c_broker", "zmq_proxy", "nats", "zenoh")
ROUNDS = 3
SIZE = 64 << 20


def cases(bench: Bench) -> list[Case]:
    size = (8 << 20) if bench.options.quick else SIZE
    if not sys.platform.startswith("linux"):
        bench.miss("copies", "all", "the peak of a process's memory is read on Linux only")
        return []
    return [
        Case(running.peer.NAME, partial(_run, running.name, size))
        for running in bench.present(PEERS, "copies")
    ]


def _run(name: str, size: int) -> Figures:
    peer = peers.load(name)
    with House() as house:
        address = peer.start(house)
        middle = house.processes[0].pid
        client = house.play("drive", name, address)
        client.line()
        client.ask(do="serial", seconds=0.05)
        before = _memory(middle, "VmRSS")
        client.ask(do="arrays", seconds=0.5, size=size)
        return {"": (_memory(middle, "VmHWM") - before) / size}


def _memory(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise NotThere(f"there is no {field} in /proc/{pid}/status")
