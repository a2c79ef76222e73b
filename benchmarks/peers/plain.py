"""The ends of the floor: pyzmq's client and worker, which exchange ROC's bytes as they are.

Nothing is encoded or decoded, and arrays are neither copied when they are sent nor when
they arrive. Python does no more than hand frames to libzmq.
"""

from __future__ import annotations

from typing import Any

from .connection import OBJECT, Connection, Shared, size_of

__all__ = ["Client", "work", "worker"]

CALL = (
    b'{"jsonrpc":"2.0","id":12345,"method":"echo","params":[1],'
    b'"roc":{"call":"0123456789ab.12345","ttl":1.999990,"at":123456.123456}}'
)
ANSWER = b'{"jsonrpc":"2.0","id":12345,"result":1}'
FRAME = b"frame "
REQUEST, REPLY, READY = b"\x02", b"\x03", b"\x01"
PROPERTIES = b'{"version":1,"instance":"plain%s","prefetch":1000}'


def worker(address: str, name: str) -> None:
    """A Majordomo worker for one object; it answers all that it is asked."""
    import zmq

    socket = zmq.Context().socket(zmq.DEALER)
    socket.connect(address)
    properties = PROPERTIES % name.encode()
    socket.send_multipart([b"", b"MDPW01", READY, name.encode(), properties])
    socket.recv_multipart()  # the broker greets
    print(address, flush=True)
    work(socket)


def work(socket: Any) -> None:
    """Answer for ever: envelopes go back as they came, but for the command."""
    shared = Shared()
    while True:
        frames = socket.recv_multipart()
        asked = frames.pop()
        if REQUEST in frames:
            frames[frames.index(REQUEST)] = REPLY
        elif frames[1] == b"MDPW01":
            continue  # a heartbeat
        if asked.startswith(FRAME):
            array = shared.frame(int(asked[len(FRAME) :]))
            socket.send_multipart([*frames, ANSWER, array], copy=False)
        else:
            socket.send_multipart([*frames, ANSWER])


class Client(Connection):
    """A DEALER that sends the same call again and again."""

    CANNOT = {  # noqa: RUF012
        "batch": "the floor has no batches: what is pipelined is as fast as can be",
        "read": "as `serial`: the bytes are nearly the same",
        "gathered": "the floor has no asyncio",
    }

    def __init__(self, address: str) -> None:
        import zmq

        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.set_hwm(0)
        self._socket.linger = 0
        self._socket.connect(address)

    def _ask(self, body: bytes, name: bytes = OBJECT.encode()) -> None:
        self._socket.send_multipart([b"", b"MDPC01", name, body])

    def echo(self, value: int) -> int:
        self._ask(CALL)
        if self._socket.recv_multipart()[-1] != ANSWER:
            raise AssertionError("another answer came")
        return value

    def pipelined(self, count: int) -> None:
        for _ in range(count):
            self._ask(CALL)
        for _ in range(count):
            self._socket.recv_multipart()

    def fetch(self, size: int, name: str = OBJECT) -> int:
        self._ask(FRAME + str(size).encode(), name.encode())
        return size_of(self._socket.recv_multipart(copy=False)[-1])

    def serial_at(self, names: list[str], count: int) -> None:
        encoded = [name.encode() for name in names]
        for number in range(count):
            self._ask(CALL, encoded[number % len(encoded)])
            self._socket.recv_multipart()

    def close(self) -> None:
        self._socket.close()
        self._context.term()
