"""A method returns an array of uint16; MB/s until it stands in the client as an array.

A peer that would need more than some seconds for an array is spared it.
"""

from __future__ import annotations

from ..bench import Bench, Case, Figures, Running
from ..peers import PEERS

TITLE = "Arrays"
UNIT = "MB/s"
ABOUT = __doc__
SIZES = {
    "1 KiB": 1 << 10,
    "32 KiB": 1 << 15,
    "1 MiB": 1 << 20,
    "8 MiB": 8 << 20,
    "64 MiB": 64 << 20,
}
_LONGEST = 3.0
"""Seconds that one array may take."""


class Fetching:
    """A peer, and how fast its arrays have come so far."""

    def __init__(self, running: Running, bench: Bench) -> None:
        self.subject = running.peer.NAME
        self._running, self._bench = running, bench
        self._rate = float("inf")

    def case(self, at: str, size: int) -> Case:
        return Case(self.subject, lambda: self._run(at, size))

    def _run(self, at: str, size: int) -> Figures:
        expected = size / 1e6 / self._rate
        if expected > _LONGEST:
            reason = f"an array would take some {expected:.0f} s"
            self._bench.miss("arrays", f"{self.subject}, {at}", reason)
            return {}
        client = self._running.client()
        self._rate = client.ask(do="arrays", seconds=self._bench.seconds, size=size)
        return {at: self._rate}


def cases(bench: Bench) -> list[Case]:
    sizes = {"1 KiB": 1 << 10, "1 MiB": 1 << 20} if bench.options.quick else SIZES
    several = [Fetching(running, bench) for running in bench.present(PEERS, "arrays")]
    return [fetching.case(at, size) for at, size in sizes.items() for fetching in several]
