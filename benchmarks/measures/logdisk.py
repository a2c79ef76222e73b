"""Four processes log at a rate, `logdump` writes: records a second that stand on the disk.

Beside it, in the same way, the standard library's `QueueHandler` and a listener with a
`FileHandler`, each process into a file of its own. Records that were lost are told.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial

from ..bench import Bench, Case, Figures
from ..logs import counted, settled, wait_for
from ..peers import roc
from ..processes import House, Process

TITLE = "Log records to the disk"
UNIT = "records/s"
ABOUT = __doc__
RATE, PROCESSES = 40_000, 4
ROUNDS = 3


def cases(bench: Bench) -> list[Case]:
    seconds = bench.seconds if bench.options.quick else max(3.0, 4 * bench.seconds)
    rate = RATE // 20 if bench.options.quick else RATE
    return [
        Case("roc, logdump", partial(_roc, rate, seconds)),
        Case("QueueHandler, FileHandler", partial(_queue, rate, seconds)),
    ]


def _roc(rate: int, seconds: float) -> Figures:
    with House() as house:
        address = roc.start_broker(house).removeprefix("tcp://")
        env = {"ROC_BROKER": address}
        target = house.folder / "log"
        dump = (sys.executable, "-m", "runmacs.roc.logdump", "--directory", target)
        house.start(*dump, name="logdump", env=env)
        wait_for(lambda: (target / ".logdump.lock").exists())
        time.sleep(0.5)
        sources = _sources(house, "roc", rate, seconds, env)
        made = sum(_made(source) for source in sources)
        wait_for(lambda: settled(target), 20.0)
        written, lost = counted(target)
    return {
        "written": written / seconds, "made": made / seconds,
        "told as lost": lost / seconds, "missing": (made - written - lost) / seconds,
    }  # fmt: skip


def _queue(rate: int, seconds: float) -> Figures:
    with House() as house:
        sources = _sources(house, "queue", rate, seconds, {})
        made = sum(_made(source) for source in sources)
        lines = 0
        for file in house.folder.glob("*.log"):
            lines += file.read_bytes().count(b"\n")
    return {"written": lines / seconds, "made": made / seconds}


def _sources(
    house: House, how: str, rate: int, seconds: float, env: dict[str, str]
) -> list[Process]:
    words = ("--emit", how, "--rate", rate / PROCESSES, "--seconds", seconds, "--path")
    return [
        house.play("logs", *words, house.folder / f"{number}.log", env=env)
        for number in range(PROCESSES)
    ]


def _made(source: Process) -> int:
    return int(json.loads(source.line(60.0))["made"])
