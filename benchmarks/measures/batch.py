"""One client sends 1,000 calls in one message, again and again."""

from __future__ import annotations

from ..bench import Bench, Case
from ..peers import PEERS
from .simple import client_cases

TITLE = "Batches"
UNIT = "calls/s"
ABOUT = __doc__


def cases(bench: Bench) -> list[Case]:
    return client_cases(bench, "batch", PEERS)
