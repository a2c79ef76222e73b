"""Pyro5, direct: no broker stands between its client and its server.

As its "Tips & Tricks" and "Config" pages have it: the *multiplex* server for few clients,
and the *marshal* serializer, its fastest. Batches are its `BatchProxy`, with *msgpack*, its
next fastest: marshal carries neither batches nor attributes. Arrays travel as `bytes`.
"""

from __future__ import annotations

from typing import Any

from ..processes import House
from .connection import OBJECT, Connection, Shared, size_of

NAME = "Pyro5 direct"
NEEDS = ("Pyro5.api", "msgpack", "numpy")


def start(house: House) -> str:
    return share(house, "", OBJECT)


def share(house: House, _: str, name: str) -> str:
    return house.play("serve", "pyro5", "server", name).line()


def serve(name: str, server_type: str = "multiplex") -> None:
    import Pyro5.api
    import Pyro5.server

    Pyro5.config.SERVERTYPE = server_type

    @Pyro5.api.expose
    class Exposed(Shared):
        @property
        def level(self) -> float:  # type: ignore[override]
            return Shared.level

        def echo(self, value: int) -> int:
            return value

        def frame(self, size: int) -> bytes:
            return bytes(super().frame(size).tobytes())

    daemon = Pyro5.server.Daemon("127.0.0.1")
    print(daemon.register(Exposed(), name), flush=True)
    daemon.requestLoop()


ROLES = {"server": serve}


class PyroConnection(Connection):
    CANNOT = {  # noqa: RUF012
        "gathered": "Pyro5 has no asyncio",
        "serial_at": "each object is at a server of its own, which nothing stands before",
    }

    def __init__(
        self, address: str, serializer: str = "marshal", for_the_rest: str = "msgpack"
    ) -> None:
        import Pyro5.api

        self._proxy: Any = Pyro5.api.Proxy(address)
        self._proxy._pyroSerializer = serializer
        self.echo = self._proxy.echo  # type: ignore[method-assign]
        self._other: Any = Pyro5.api.Proxy(address)
        self._other._pyroSerializer = for_the_rest
        self._batch: Any = Pyro5.api.BatchProxy(self._other)

    def pipelined(self, count: int) -> None:
        """Its way to have many calls under way is the batch."""
        self.batch(count)

    def batch(self, count: int) -> None:
        for number in range(count):
            self._batch.echo(number)
        if sum(1 for _ in self._batch()) != count:
            raise AssertionError("answers are missing")

    def read(self, count: int) -> None:
        proxy = self._other
        for _ in range(count):
            proxy.level  # noqa: B018

    def fetch(self, size: int, name: str = OBJECT) -> int:
        return size_of(self._proxy.frame(size))

    def close(self) -> None:
        self._proxy._pyroRelease()
        self._other._pyroRelease()


connect = PyroConnection
