"""The libraries that are measured, each as its documentation recommends for speed.

A peer starts its servers as processes and gives a `Connection` from this process. Its
`echo` returns the argument of a remote method, its `frame` fetches 8 MiB of uint16 and
returns how many bytes arrived.
"""

from __future__ import annotations

import contextlib
import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

BOTH = ("serial call", "8 MiB array")


@dataclass
class Connection:
    """A connected client of a peer."""

    echo: Callable[[int], Any]
    frame: Callable[[], int]
    close: Callable[[], Any]
    measures: tuple[str, ...] = BOTH


@dataclass
class Peer:
    """A library: the module that must be there, its server processes, and its client."""

    name: str
    module: str
    connect: Callable[[str], Connection]
    processes: tuple[str, ...] = field(default=())

    @contextlib.contextmanager
    def servers(self) -> Iterator[str]:
        """Its server processes; each is told the address that the one before printed."""
        importlib.import_module(self.module)
        address = ""
        with contextlib.ExitStack() as stack:
            for role in self.processes:
                command = [sys.executable, "-m", "benchmarks.serve", role, address]
                process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
                stack.callback(_end, process)
                assert process.stdout is not None
                address = process.stdout.readline().strip()
                if not address:
                    raise RuntimeError(f"{role} did not start")
            yield address


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _roc(address: str) -> Connection:
    from runmacs.roc import RocClient

    client = RocClient(address, timeout=10)
    target = client["bench"]
    return Connection(target.echo, lambda: target.frame().nbytes, client.close)


def _pyro(address: str) -> Connection:
    import Pyro5.api

    Pyro5.config.SERIALIZER = "marshal"
    proxy = Pyro5.api.Proxy(address)
    return Connection(proxy.echo, lambda: len(proxy.frame()), proxy._pyroRelease)


def _leco(address: str) -> Connection:
    from pyleco.directors.director import Director

    director = Director(actor="bench", name="client", port=int(address))
    ask = director.ask_rpc
    return Connection(
        lambda value: ask("echo", value=value), lambda: 0, director.close, ("serial call",)
    )


def _floor(address: str) -> Connection:
    import zmq

    from .serve import FLOOR_CALL, FLOOR_FRAME

    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.linger = 0
    socket.connect(address)

    def echo(value: int) -> int:
        socket.send_multipart([b"", b"MDPC01", b"bench", FLOOR_CALL])
        socket.recv_multipart()
        return value

    def frame() -> int:
        socket.send_multipart([b"", b"MDPC01", b"bench", FLOOR_FRAME])
        return len(socket.recv_multipart(copy=False)[-1])

    def close() -> None:
        socket.close()
        context.term()

    return Connection(echo, frame, close)


PEERS = (
    Peer("roc", "runmacs.roc", _roc, ("roc-broker", "roc-server")),
    Peer("Pyro5 direct", "Pyro5.api", _pyro, ("pyro",)),
    Peer("pyleco", "pyleco", _leco, ("leco-coordinator", "leco-actor")),
    Peer("floor", "zmq", _floor, ("floor-proxy", "floor-worker")),
)
"""The floor: the same frames through libzmq's own proxy in C, and no Python but to echo."""
