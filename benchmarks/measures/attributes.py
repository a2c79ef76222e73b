"""One client reads a number that is an attribute of the object."""

from __future__ import annotations

from ..bench import Bench, Case
from ..peers import PEERS
from .simple import client_cases

TITLE = "Attribute reads"
UNIT = "reads/s"
ABOUT = __doc__


def cases(bench: Bench) -> list[Case]:
    return client_cases(bench, "attributes", PEERS)
