"""Zenoh, routed: client, router and server are three processes, all of them Rust inside.

The router is a session in mode `router`; client and server connect to it and find one
another by it only (no multicast). As its documentation has it for request and reply: a
declared `Querier`, a queryable with a callback, and `express`, which does not wait for more
to send. Many queries at once are all asked before the first answer is read.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from ..processes import House, free_port, wait_until_open
from .connection import OBJECT, Connection, Shared, size_of

NAME = "Zenoh routed"
NEEDS = ("zenoh", "numpy")


def start(house: House) -> str:
    port = free_port()
    address = f"tcp/127.0.0.1:{port}"
    house.play("serve", "zenoh", "router", address).line()
    wait_until_open(port, "the Zenoh router")
    return house.play("serve", "zenoh", "server", address).line()


def _session(mode: str, end: str, address: str) -> Any:
    import zenoh

    config = zenoh.Config()
    config.insert_json5("mode", json.dumps(mode))
    config.insert_json5(f"{end}/endpoints", json.dumps([address]))
    config.insert_json5("scouting/multicast/enabled", "false")
    return zenoh.open(config)


def route(address: str) -> None:
    with _session("router", "listen", address):
        print(address, flush=True)
        threading.Event().wait()


def serve(address: str) -> None:
    shared = Shared()
    with _session("client", "connect", address) as session:

        def echo(query: Any) -> None:
            number = shared.echo(int(query.payload.to_bytes()))
            query.reply(f"{OBJECT}/echo", b"%d" % number, express=True)

        def frame(query: Any) -> None:
            data = shared.frame(int(query.payload.to_bytes())).tobytes()
            query.reply(f"{OBJECT}/frame", data, express=True)

        session.declare_queryable(f"{OBJECT}/echo", echo)
        session.declare_queryable(f"{OBJECT}/frame", frame)
        print(address, flush=True)
        threading.Event().wait()


ROLES = {"router": route, "server": serve}


class ZenohConnection(Connection):
    CANNOT = {  # noqa: RUF012
        "gathered": "Zenoh's Python has no asyncio",
        "batch": "Zenoh has no batches of queries",
        "read": "Zenoh has no attributes",
    }

    def __init__(self, address: str) -> None:
        self._session = _session("client", "connect", address)
        self._echo = self._session.declare_querier(f"{OBJECT}/echo", express=True, timeout=30.0)
        self._frame = self._session.declare_querier(f"{OBJECT}/frame", express=True, timeout=30.0)

    def echo(self, value: int) -> Any:
        return _answer(self._echo.get(payload=b"%d" % value))

    def pipelined(self, count: int) -> None:
        for number, asked in enumerate(
            [self._echo.get(payload=b"%d" % number) for number in range(count)]
        ):
            if _answer(asked) != number:
                raise AssertionError("another value came back")

    def fetch(self, size: int, name: str = OBJECT) -> int:
        for reply in self._frame.get(payload=b"%d" % size):
            return size_of(reply.ok.payload.to_bytes())
        raise AssertionError("no answer came")

    def close(self) -> None:
        self._session.close()


def _answer(asked: Any) -> int:
    for reply in asked:
        return int(reply.ok.payload.to_bytes())
    raise AssertionError("no answer came")


connect = ZenohConnection
