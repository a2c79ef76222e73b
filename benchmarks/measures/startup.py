"""How long things take to begin: imports, commands, and the first call.

An import is timed inside a fresh interpreter, which has done nothing else; a command from
its start to its end, or to the line that says that it is ready.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

from ..bench import Bench, Case, Figures
from ..peers import roc
from ..processes import House, NotThere

TITLE = "Start-up"
UNIT = "ms"
ABOUT = __doc__
LESS_IS_BETTER = True
IMPORTS = {
    "roc": "import runmacs.roc",
    "roc, with RocClient": "from runmacs.roc import RocClient",
    "Pyro5 direct": "import Pyro5.api",
    "RPyC direct": "import rpyc",
    "zerorpc direct": "import zerorpc",
    "pyleco": "from pyleco.directors.director import Director",
    "NATS": "import nats",
    "Zenoh routed": "import zenoh",
    "gRPC direct": "import grpc",
    "pyzmq, direct": "import zmq",
}
_TIMED = "import time; t=time.perf_counter(); {}; print((time.perf_counter()-t)*1e3)"


def cases(bench: Bench) -> list[Case]:
    found = [Case(who, partial(_imported, what)) for who, what in IMPORTS.items()]
    steps: dict[str, Callable[[], float]] = {
        "roc --help": _help,
        "rocbroker is ready": _broker,
        "a server is found": _server,
        "a client's first call": partial(_first_call, bench),
    }
    found += [Case("roc", partial(_step, at, step)) for at, step in steps.items()]
    return found


def _imported(statement: str) -> Figures:
    command = [sys.executable, "-c", _TIMED.format(statement)]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        raise NotThere(made.stderr.strip().splitlines()[-1])
    return {"import": float(made.stdout)}


def _step(at: str, step: Callable[[], float]) -> Figures:
    return {at: step() * 1e3}


def _help() -> float:
    began = time.perf_counter()
    command = [sys.executable, "-m", "runmacs.roc.cli.roc", "--help"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _broker() -> float:
    with House() as house:
        began = time.perf_counter()
        roc.start_broker(house)
        return time.perf_counter() - began


def _server() -> float:
    with House() as house:
        address = roc.start_broker(house)
        began = time.perf_counter()
        roc.share(house, address, "late")
        return time.perf_counter() - began


_CALL = (
    "import time; t=time.perf_counter(); from runmacs.roc import RocClient;"
    " c=RocClient({!r}); c['bench'].echo(1); print(time.perf_counter()-t); c.close()"
)


def _first_call(bench: Bench) -> float:
    address = bench.running("roc").address
    command = [sys.executable, "-c", _CALL.format(address)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
