"""So many clients, each a process of its own, call one object; calls a second of all together."""

from __future__ import annotations

from functools import partial

from ..bench import Bench, Case, Figures, Running

TITLE = "Several clients"
UNIT = "calls/s"
ABOUT = __doc__
PEERS = ("roc", "c_broker", "pyro5", "nats", "grpc")
COUNTS = (1, 2, 4, 8, 16)


def cases(bench: Bench) -> list[Case]:
    counts = COUNTS[:2] if bench.options.quick else COUNTS
    present = bench.present(PEERS, "clients")
    return [
        Case(running.peer.NAME, partial(_run, running, count, bench.seconds))
        for count in counts
        for running in present
    ]


def _run(running: Running, count: int, seconds: float) -> Figures:
    several = [running.client(number) for number in range(count)]
    for client in several:
        client.tell(do="serial", seconds=seconds)
    return {f"{count}": sum(client.answer() for client in several)}
