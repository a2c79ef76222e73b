"""RPyC, direct: no broker.

A `ThreadedServer` as in its tutorial; the remote function is fetched once, since each
attribute access is a round trip; many calls at once are `rpyc.async_`. Arrays travel as
`bytes`, by value: a netref would make a round trip for each access.
"""

from __future__ import annotations

from typing import Any

from ..processes import House
from .connection import OBJECT, Connection, Shared, size_of

NAME = "RPyC direct"
NEEDS = ("rpyc", "numpy")


def start(house: House) -> str:
    return house.play("serve", "rpyc", "server").line()


def serve() -> None:
    import rpyc
    from rpyc.utils.server import ThreadedServer

    shared = Shared()

    class Service(rpyc.Service):  # type: ignore[misc]
        exposed_level = shared.level

        def exposed_echo(self, value: int) -> int:
            return value

        def exposed_frame(self, size: int) -> bytes:
            return bytes(shared.frame(size).tobytes())

    server = ThreadedServer(Service(), hostname="127.0.0.1", port=0)
    print(server.port, flush=True)
    server.start()


ROLES = {"server": serve}


class RpycConnection(Connection):
    CANNOT = {  # noqa: RUF012
        "gathered": "RPyC has no asyncio",
        "batch": "RPyC has no batches",
    }

    def __init__(self, address: str) -> None:
        import rpyc

        self._rpyc: Any = rpyc
        self._connection: Any = rpyc.connect("127.0.0.1", int(address))
        self._root = self._connection.root
        self.echo = self._root.echo  # type: ignore[method-assign]

    def pipelined(self, count: int) -> None:
        echo = self._rpyc.async_(self._root.echo)
        for result in [echo(number) for number in range(count)]:
            result.wait()

    def read(self, count: int) -> None:
        root = self._root
        for _ in range(count):
            root.level  # noqa: B018

    def fetch(self, size: int, name: str = OBJECT) -> int:
        return size_of(self._root.frame(size))

    def close(self) -> None:
        self._connection.close()


connect = RpycConnection
