"""ROC: client and server through `rocbroker`, all with their defaults, over TCP.

Many calls at once are futures, where the client has them, else one `asyncio.gather`.
"""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from ..processes import House
from .connection import OBJECT, Connection, Shared

if TYPE_CHECKING:
    from runmacs.roc import AsyncRocClient

NAME = "roc"
NEEDS = ("runmacs.roc", "numpy")


def start(house: House) -> str:
    return share(house, start_broker(house), OBJECT)


def start_broker(house: House, env: dict[str, str] | None = None, *options: str) -> str:
    """A `rocbroker` on free ports; returns its rocBroker address."""
    command = (sys.executable, "-m", "runmacs.roc.cli.rocbroker", "--base-port", "0", *options)
    broker = house.start(*command, name="rocbroker", env=env)
    found = re.search(r"rocBroker=(\S+)", broker.line())
    assert found is not None
    return found[1]


def share(house: House, address: str, name: str) -> str:
    return house.play("serve", "roc", "server", address, name).line()


def serve(address: str, name: str) -> None:
    from runmacs.roc import RocServer

    threading.Thread(target=_announce, args=(address, name), daemon=True).start()
    RocServer(address, name, Shared()).run()


def _announce(address: str, name: str) -> None:
    from runmacs.roc import RocClient

    with RocClient(address) as client:
        client.wait_for(name)
    print(address, flush=True)


ROLES = {"server": serve}


class RocConnection(Connection):
    """A client, and one for asyncio beside it."""

    CANNOT = {"batch": "this version of ROC has no batches"}  # noqa: RUF012

    def __init__(self, address: str) -> None:
        from runmacs.roc import RocClient

        self._address = address
        self._client = RocClient(address, timeout=30)
        self._object: Any = self._client.wait_for(OBJECT)
        self.echo = self._object.echo  # type: ignore[method-assign]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._echoes: dict[str, Any] = {}
        self._frames: dict[str, Any] = {}

    def pipelined(self, count: int) -> None:
        """As futures, where the client has them."""
        submit = getattr(self._client, "submit", None)
        if submit is None:
            self.gathered(count)
            return
        for future in [submit(self.echo, number) for number in range(count)]:
            future.result()

    def flow(self, count: int, step: int, method: str) -> Generator[None]:
        submit, called = self._client.submit, getattr(self._object, method)
        waiting = deque(submit(called, number) for number in range(count))
        try:
            while True:
                for _ in range(step):
                    waiting.popleft().result()
                    waiting.append(submit(called, 1))
                yield
        finally:
            for future in waiting:
                future.cancel()

    def batch(self, count: int) -> None:
        begin = getattr(self._client, "batch", None)
        if begin is None:
            raise self._cannot("batch")
        with begin() as batch:
            futures = [batch.submit(self.echo, number) for number in range(count)]
        for number, future in enumerate(futures):
            if future.result() != number:
                raise AssertionError("another value came back")

    def gathered(self, count: int) -> None:
        if self._loop is None:
            from runmacs.roc import AsyncRocClient

            self._loop = asyncio.new_event_loop()
            self._asynchronous: AsyncRocClient = AsyncRocClient(self._address, timeout=30)
        self._loop.run_until_complete(self._gather(count))

    async def _gather(self, count: int) -> None:
        echo = self._asynchronous[OBJECT].echo
        await asyncio.gather(*[echo(number) for number in range(count)])

    def read(self, count: int) -> None:
        shared = self._object
        for _ in range(count):
            shared.level  # noqa: B018

    def fetch(self, size: int, name: str = OBJECT) -> int:
        if name not in self._frames:
            self._frames[name] = self._client.wait_for(name).frame
        return int(self._frames[name](size).nbytes)

    def serial_at(self, names: list[str], count: int) -> None:
        for name in names:
            if name not in self._echoes:
                self._echoes[name] = self._client.wait_for(name).echo
        echoes = [self._echoes[name] for name in names]
        for number in range(count):
            echoes[number % len(echoes)](number)

    def close(self) -> None:
        if self._loop is not None:
            self._asynchronous.close()
            self._loop.close()
        self._client.close()


connect = RocConnection
