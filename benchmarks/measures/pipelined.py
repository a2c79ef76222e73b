"""One client has 1,000 calls under way at once, by the fastest way that its library offers."""

from __future__ import annotations

from ..bench import Bench, Case
from ..peers import PEERS
from .simple import client_cases

TITLE = "Pipelined calls"
UNIT = "calls/s"
ABOUT = __doc__


def cases(bench: Bench) -> list[Case]:
    return client_cases(bench, "pipelined", PEERS)
