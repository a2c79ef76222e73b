"""One client calls so many objects in turn, each at a server process of its own."""

from __future__ import annotations

from functools import partial

from ..bench import Bench, Case, Figures, Running

TITLE = "Several objects"
UNIT = "calls/s"
ABOUT = __doc__
PEERS = ("roc", "c_broker")
COUNTS = (1, 2, 4, 8, 16)


class Shop:
    """A peer, with as many more objects as are asked for."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.names: list[str] = []

    def first(self, count: int) -> list[str]:
        while len(self.names) < count:
            name = f"more{len(self.names)}"
            self.running.peer.share(self.running.house, self.running.address, name)
            self.names.append(name)
        return self.names[:count]


def cases(bench: Bench) -> list[Case]:
    counts = COUNTS[:2] if bench.options.quick else COUNTS
    shops = [Shop(running) for running in bench.present(PEERS, "objects")]
    return [
        Case(shop.running.peer.NAME, partial(_run, shop, count, bench.seconds))
        for count in counts
        for shop in shops
    ]


def _run(shop: Shop, count: int, seconds: float) -> Figures:
    names = shop.first(count)
    return {f"{count}": shop.running.client().ask(do="objects", seconds=seconds, names=names)}
