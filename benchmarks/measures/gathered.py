"""One client awaits 1,000 calls by one `asyncio.gather`."""

from __future__ import annotations

from ..bench import Bench, Case
from ..peers import PEERS
from .simple import client_cases

TITLE = "Calls awaited together"
UNIT = "calls/s"
ABOUT = __doc__


def cases(bench: Bench) -> list[Case]:
    return client_cases(bench, "gathered", PEERS)
