"""A method returns an array of uint16; MB/s until it stands in the client as an array."""

from __future__ import annotations

from ..bench import Bench, Case
from ..peers import PEERS
from .simple import client_cases

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


def cases(bench: Bench) -> list[Case]:
    sizes = {"1 KiB": 1 << 10, "1 MiB": 1 << 20} if bench.options.quick else SIZES
    return [
        case
        for at, size in sizes.items()
        for case in client_cases(bench, "arrays", PEERS, at, size=size)
    ]
