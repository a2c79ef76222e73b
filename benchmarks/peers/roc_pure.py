"""ROC without its C extension (`ROC_PURE=1`), where there is one."""

from __future__ import annotations

from ..extension import is_there
from ..processes import House, NotThere
from . import roc
from .connection import OBJECT

NAME = "roc, pure Python"
NEEDS = roc.NEEDS
ENV = {"ROC_PURE": "1"}
ROLES = roc.ROLES
connect = roc.connect


def start(house: House) -> str:
    if not is_there():
        raise NotThere("no C extension was built: `roc` is pure Python already")
    return share(house, roc.start_broker(house, ENV), OBJECT)


def share(house: House, address: str, name: str) -> str:
    return house.play("serve", "roc_pure", "server", address, name, env=ENV).line()
