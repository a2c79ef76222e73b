"""Pyro5, direct, as it comes: the *thread* server and the *serpent* serializer."""

from __future__ import annotations

from ..processes import House
from . import pyro5
from .connection import OBJECT, size_of

NAME = "Pyro5 as it comes"
NEEDS = pyro5.NEEDS


def start(house: House) -> str:
    return house.play("serve", "pyro5_default", "server", OBJECT, "thread").line()


ROLES = pyro5.ROLES


class PyroDefaultConnection(pyro5.PyroConnection):
    def __init__(self, address: str) -> None:
        super().__init__(address, "serpent", "serpent")

    def fetch(self, size: int, name: str = OBJECT) -> int:
        """Serpent puts bytes into base64, and has a function to have them back."""
        import serpent

        return size_of(serpent.tobytes(self._proxy.frame(size)))


connect = PyroDefaultConnection
