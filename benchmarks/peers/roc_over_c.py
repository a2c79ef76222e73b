"""ROC's client and server, with the broker in C between them in place of `rocbroker`.

Against `roc` it shows what the broker alone adds or saves.
"""

from __future__ import annotations

from ..processes import House
from . import c_broker, roc
from .connection import OBJECT

NAME = "roc over the C broker"
NEEDS = roc.NEEDS
ROLES = roc.ROLES
connect = roc.connect


def start(house: House) -> str:
    return share(house, c_broker.start_broker(house), OBJECT)


share = roc.share
