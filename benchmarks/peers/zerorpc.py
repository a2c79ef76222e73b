"""zerorpc, direct: ZeroMQ and msgpack, with gevent.

As in its README; many calls at once are its `async=True`. Arrays travel as `bytes`.
"""

from __future__ import annotations

from typing import Any

from ..processes import House, free_port, wait_until_open
from .connection import OBJECT, Connection, Shared, size_of

NAME = "zerorpc direct"
NEEDS = ("zerorpc", "numpy")


def start(house: House) -> str:
    port = free_port()
    address = house.play("serve", "zerorpc", "server", port).line()
    wait_until_open(port, "zerorpc")
    return address


class Bytes(Shared):
    def frame(self, size: int) -> bytes:
        return bytes(super().frame(size).tobytes())


def serve(port: str) -> None:
    import zerorpc

    server: Any = zerorpc.Server(Bytes())
    address = f"tcp://127.0.0.1:{port}"
    server.bind(address)
    print(address, flush=True)
    server.run()


ROLES = {"server": serve}


class ZerorpcConnection(Connection):
    CANNOT = {  # noqa: RUF012
        "gathered": "zerorpc has no asyncio",
        "batch": "zerorpc has no batches",
        "read": "zerorpc has no attributes",
    }

    def __init__(self, address: str) -> None:
        import zerorpc

        self._client: Any = zerorpc.Client(address, timeout=60)
        self.echo = self._client.echo  # type: ignore[method-assign]

    def pipelined(self, count: int) -> None:
        options = {"async": True}  # a word of Python's by now
        for result in [self._client.echo(number, **options) for number in range(count)]:
            result.get()

    def fetch(self, size: int, name: str = OBJECT) -> int:
        return size_of(self._client.frame(size))

    def close(self) -> None:
        self._client.close()


connect = ZerorpcConnection
