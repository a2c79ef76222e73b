"""Broker, server and client of single calls, which note when they do what.

`python -m benchmarks.traced ROLE FILE [ADDRESS]`. The clock is the computer's, the same in
all processes. Noted is where ROC's own functions begin (`>`) and end (`<`), as `POINTS`
names them; a process writes its notes to FILE when it is told to end.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .peers.connection import OBJECT, Shared
from .processes import NotThere

__all__ = ["POINTS", "Note"]

Note = tuple[str, int]

POINTS = {
    "read": ("runmacs.roc._drivers.streams", "Connection", "read"),
    "decode": ("runmacs.roc.wire.handshake", "Decoder", "feed"),
    "route": ("runmacs.roc.core.broker", "BrokerCore", "on_frames"),
    "flush": ("runmacs.roc._drivers.streams", "Connection", "flush"),
}
"""Functions of ROC between which time is told: module, class, method."""

notes: list[Note] = []


def trace() -> None:
    """Let each of the points note its begin and end.

    Raises:
        NotThere: this version of ROC has another one.
    """
    for word, (module, name, method) in POINTS.items():
        try:
            owner = getattr(importlib.import_module(module), name)
            setattr(owner, method, _noting(word, getattr(owner, method)))
        except (ImportError, AttributeError, TypeError) as error:
            raise NotThere(f"{module}.{name}.{method} cannot be traced: {error}") from None


def _noting(word: str, function: Callable[..., Any]) -> Callable[..., Any]:
    clock, note = time.perf_counter_ns, notes.append
    begin, end = f"{word}>", f"{word}<"

    def noting(*args: Any, **kwargs: Any) -> Any:
        note((begin, clock()))
        try:
            return function(*args, **kwargs)
        finally:
            note((end, clock()))

    return noting


def write(path: str) -> None:
    Path(path).write_text(json.dumps(notes))


# ---- the three of them


def broker(path: str) -> None:
    from runmacs.roc import Endpoints
    from runmacs.roc.broker import Broker

    made = Broker(Endpoints("127.0.0.1", 0))
    signal.signal(signal.SIGTERM, lambda *_: made.stop())
    print(made.endpoints.rocBroker, flush=True)
    made.run()
    write(path)


class Noting(Shared):
    def echo(self, value: int) -> int:
        notes.append(("method>", time.perf_counter_ns()))
        notes.append(("method<", time.perf_counter_ns()))
        return value


def server(path: str, address: str) -> None:
    from runmacs.roc import RocServer

    def announce() -> None:
        from runmacs.roc import RocClient

        with RocClient(address) as client:
            client.wait_for(OBJECT)
        notes.clear()
        print(address, flush=True)

    threading.Thread(target=announce, daemon=True).start()
    try:
        RocServer(address, OBJECT, Noting()).run()
    except (KeyboardInterrupt, SystemExit):
        pass
    finally:
        write(path)


def client(path: str, address: str, count: str) -> None:
    from runmacs.roc import RocClient

    clock = time.perf_counter_ns
    with RocClient(address, timeout=10) as made:
        echo = made.wait_for(OBJECT).echo
        for _ in range(500):
            echo(1)
        notes.clear()
        for number in range(int(count)):
            notes.append(("call>", clock()))
            echo(number)
            notes.append(("call<", clock()))
    write(path)
    print("done", flush=True)


ROLES: dict[str, Callable[..., None]] = {"broker": broker, "server": server, "client": client}

if __name__ == "__main__":
    os.environ["ROC_PURE"] = "1"  # what is compiled cannot be traced
    trace()
    ROLES[sys.argv[1]](*sys.argv[2:])
