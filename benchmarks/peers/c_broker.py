"""The floor with a Majordomo broker in C (`floor/broker.c`) between pyzmq's ends.

Compiled here by gcc against the system's libzmq, with `-O2`.
"""

from __future__ import annotations

from ..floor import compiled
from ..processes import House
from . import plain
from .connection import OBJECT

NAME = "C broker"
NEEDS = ("zmq", "numpy")
ROLES = {"worker": plain.worker}
connect = plain.Client


def start(house: House) -> str:
    return share(house, start_broker(house), OBJECT)


def start_broker(house: House) -> str:
    """The broker; returns its address."""
    return house.start(compiled("broker")).line()


def share(house: House, address: str, name: str) -> str:
    return house.play("serve", "c_broker", "worker", address, name).line()
