"""One client calls a method that returns its argument, again and again."""

from __future__ import annotations

from ..bench import Bench, Case
from ..peers import PEERS
from .simple import client_cases

TITLE = "Serial calls"
UNIT = "calls/s"
ABOUT = __doc__


def cases(bench: Bench) -> list[Case]:
    return client_cases(bench, "serial", PEERS)
