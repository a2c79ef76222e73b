"""gRPC for Python, direct: no broker.

As its performance page has it: one channel for all, asyncio on the server, and no streams
for single calls. Serial calls are made by the synchronous stub, many at once by asyncio.
Numbers and arrays travel in protobuf's own wrappers; messages may have any size.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ..processes import House
from .connection import OBJECT, Connection, Shared, size_of

NAME = "gRPC direct"
NEEDS = ("grpc", "google.protobuf.wrappers_pb2", "numpy")
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def start(house: House) -> str:
    return house.play("serve", "grpc", "server").line()


def serve() -> None:
    asyncio.run(_serve())


async def _serve() -> None:
    import grpc
    from google.protobuf.wrappers_pb2 import BytesValue, Int64Value

    shared = Shared()

    async def echo(request: Any, _: Any) -> Any:
        return Int64Value(value=shared.echo(request.value))

    async def frame(request: Any, _: Any) -> Any:
        return BytesValue(value=shared.frame(request.value).tobytes())

    methods = {
        "echo": _method(echo, Int64Value, Int64Value),
        "frame": _method(frame, Int64Value, BytesValue),
    }
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(OBJECT, methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


def _method(function: Any, request: Any, reply: Any) -> Any:
    import grpc

    return grpc.unary_unary_rpc_method_handler(
        function, request.FromString, reply.SerializeToString
    )


ROLES = {"server": serve}


class GrpcConnection(Connection):
    CANNOT = {  # noqa: RUF012
        "batch": "gRPC has no batches",
        "read": "gRPC has no attributes",
    }

    def __init__(self, address: str) -> None:
        import grpc
        from google.protobuf.wrappers_pb2 import BytesValue, Int64Value

        self._number: Any = Int64Value
        self._address = address
        self._channel: Any = grpc.insecure_channel(address, _OPTIONS)
        self._echo = self._stub(self._channel, "echo", Int64Value)
        self._frame = self._stub(self._channel, "frame", BytesValue)
        self._loop: asyncio.AbstractEventLoop | None = None

    def _stub(self, channel: Any, name: str, reply: Any) -> Any:
        return channel.unary_unary(
            f"/{OBJECT}/{name}", self._number.SerializeToString, reply.FromString
        )

    def echo(self, value: int) -> Any:
        return self._echo(self._number(value=value)).value

    def pipelined(self, count: int) -> None:
        self.gathered(count)

    def gathered(self, count: int) -> None:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._loop.run_until_complete(self._open())
        self._loop.run_until_complete(self._gather(count))

    async def _open(self) -> None:
        import grpc

        self._asynchronous: Any = grpc.aio.insecure_channel(self._address, _OPTIONS)

    async def _gather(self, count: int) -> None:
        echo, number = self._stub(self._asynchronous, "echo", self._number), self._number
        await asyncio.gather(*[echo(number(value=each)) for each in range(count)])

    def fetch(self, size: int, name: str = OBJECT) -> int:
        return size_of(self._frame(self._number(value=size)).value)

    def close(self) -> None:
        if self._loop is not None:
            self._loop.run_until_complete(self._asynchronous.close())
            self._loop.close()
        self._channel.close()


connect = GrpcConnection
