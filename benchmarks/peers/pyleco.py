"""pyleco, the nearest relative: JSON-RPC over ZeroMQ through its Coordinator.

An actor that is a `MessageHandler`, as its fastest part, and a `Director`. Arrays travel as
binary payload, which pyleco does not put into JSON.
"""

from __future__ import annotations

import os
from typing import Any

from ..processes import House, free_port
from .connection import OBJECT, Connection, Shared, size_of

NAME = "pyleco"
NEEDS = ("pyleco", "numpy")


def start(house: House) -> str:
    port = house.play("serve", "pyleco", "coordinator", free_port()).line()
    return house.play("serve", "pyleco", "actor", port).line()


def coordinate(port: str) -> None:
    from pyleco.coordinators.coordinator import Coordinator

    with Coordinator(namespace="N1", host="localhost", port=int(port)) as coordinator:
        print(port, flush=True)
        coordinator.routing()


def act(port: str) -> None:
    from pyleco.utils.message_handler import MessageHandler

    shared = Shared()

    def frame(size: int) -> tuple[None, list[bytes]]:
        return None, [shared.frame(size).tobytes()]

    handler = MessageHandler(OBJECT, port=int(port))
    handler.register_rpc_method(shared.echo)
    handler.register_binary_rpc_method(frame, return_binary_output=True)
    print(port, flush=True)
    handler.listen()


ROLES = {"coordinator": coordinate, "actor": act}


class LecoConnection(Connection):
    CANNOT = {  # noqa: RUF012
        "gathered": "pyleco has no asyncio",
        "batch": "pyleco's clients send no batches",
        "read": "pyleco has no attributes; get_parameters is a call",
    }

    def __init__(self, address: str) -> None:
        from pyleco.directors.director import Director
        from pyleco.utils.communicator import Communicator

        communicator = Communicator(name=f"client{os.getpid()}", port=int(address), timeout=30.0)
        communicator.sign_in()
        self._director: Any = Director(actor=OBJECT, communicator=communicator)

    def echo(self, value: int) -> Any:
        return self._director.ask_rpc("echo", value=value)

    def pipelined(self, count: int) -> None:
        director = self._director
        ids = [director.ask_rpc_async("echo", value=number) for number in range(count)]
        for conversation in ids:
            director.read_rpc_response(conversation)

    def fetch(self, size: int, name: str = OBJECT) -> int:
        _, payload = self._director.ask_rpc("frame", size=size, extract_additional_payload=True)
        return size_of(payload[0])

    def close(self) -> None:
        self._director.close()


connect = LecoConnection
