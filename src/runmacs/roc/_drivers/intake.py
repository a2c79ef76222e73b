"""Where publications come in: an XSUB on plain sockets, and one of libzmq for inproc.

Rules:

* Each publisher is asked for everything, right after the handshake: no emit is lost because
  a subscription is still on its way.
* Publishers have their turns one after the other, one read each. What is not read waits at
  the publisher, whose queue is its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any, Protocol

import zmq

from ..endpoints import Endpoints
from ..wire.zmtp import Frames, Passage
from .gates import Poller
from .hosting import Leaving, StreamHost
from .sockets import descriptor, receive, send, tune
from .streams import Connection

__all__ = ["Batch", "Intake", "StreamIntake", "ZmqIntake"]

_EVERYTHING = b"\x01"
_DRAIN = 64


class Batch:
    """What one publisher had: messages in a row, and the bytes that they came in.

    ``size`` is about how many bytes were read for it.
    """

    __slots__ = ("messages", "passage", "size")

    def __init__(self, messages: list[list[bytes]], passage: Passage, size: int) -> None:
        self.messages = messages
        self.passage = passage
        self.size = size


class Intake(Protocol):
    """What the broker's loop needs of the publishers' side."""

    descriptors: set[int]
    """Of its sockets: when none of them is ready, nothing has come."""

    def bind(self, endpoints: Endpoints) -> None:
        """Listen at the generalXSUB address. Raises OSError or zmq.ZMQError."""

    def unbind(self, endpoints: Endpoints) -> None:
        """Listen no longer, if it did."""

    def look(self, ready: Iterable[int]) -> bool:
        """Note who has something; True if `take` is worth while."""

    def take(self, size: int) -> Batch | None:
        """What one publisher has, about so many bytes; None when nobody has anything."""

    def publishers(self) -> int | None:
        """How many are connected, if that is known."""

    def flush(self) -> bool:
        """The turn ends. True if there may be more to take."""

    def look_after(self, now: float) -> None:
        """Time has passed."""

    def part(self) -> Leaving:
        """Close."""


class StreamIntake(StreamHost):
    """An XSUB on plain sockets."""

    OWN_TYPE = b"XSUB"
    PEERS = (b"PUB", b"XPUB")

    def __init__(self, poller: Poller) -> None:
        super().__init__(poller)
        self._unread: dict[int, Connection] = {}

    def bind(self, endpoints: Endpoints) -> None:
        self.listen(endpoints, endpoints.generalXSUB)

    def look(self, ready: Iterable[int]) -> bool:
        for fd in ready:
            connection = self._connections.get(fd)
            if connection is not None:
                self._unread[fd] = connection
            elif fd in self._listeners:
                self._accept(self._listeners[fd])
        return bool(self._unread)

    def take(self, size: int) -> Batch | None:
        while self._unread:
            fd = next(iter(self._unread))
            connection = self._unread.pop(fd)
            passage = Passage()
            messages = self._read_once(connection, size, passage)
            if messages is None:
                continue
            if connection.more:
                self._unread[fd] = connection
            large = len(passage.data) > Frames.IN_PLACE
            for message in messages if large else messages[: len(messages) - len(passage.ends)]:
                _own(message)
            return Batch(messages, passage, connection.got)  # type: ignore[arg-type]
        return None

    def _welcome(self, connection: Connection) -> bool:
        connection.put([_EVERYTHING])
        self._to_flush[connection.fd] = connection
        return True

    def _bid_farewell(self, connection: Connection) -> None:
        self._unread.pop(connection.fd, None)

    def publishers(self) -> int | None:
        return len(self._connections) - len(self._young)

    def flush(self) -> bool:
        super().flush()
        return bool(self._unread)

    def part(self) -> Leaving:
        """Nobody needs time: a publisher is owed nothing."""
        self._stop_listening()
        for connection in list(self._connections.values()):
            self._drop(connection)
        return {}

    def on_fork(self) -> None:
        super().on_fork()
        self._unread.clear()


def _own(message: list[Any]) -> None:
    """Make bytes of large frames: whoever looks at publications need not know of others."""
    for index, frame in enumerate(message):
        if type(frame) is not bytes:
            message[index] = bytes(frame)


class ZmqIntake:
    """An XSUB of libzmq: inproc needs the context that the peers share."""

    def __init__(self, poller: Poller, ctx: zmq.Context[Any], endpoints: Endpoints) -> None:
        self._socket: zmq.Socket[Any] = ctx.socket(zmq.XSUB)
        tune(self._socket, endpoints)
        self._fd = descriptor(self._socket)
        self.descriptors = {self._fd}
        poller.add(self._fd)
        self._poller = poller
        self._unread = True
        send(self._socket, [_EVERYTHING])

    def bind(self, endpoints: Endpoints) -> None:
        self._socket.bind(endpoints.generalXSUB)

    def unbind(self, endpoints: Endpoints) -> None:
        with contextlib.suppress(zmq.ZMQError):
            self._socket.unbind(endpoints.generalXSUB)

    def look(self, ready: Iterable[int]) -> bool:
        self._unread = self._unread or self._fd in ready
        return self._unread

    def take(self, size: int) -> Batch | None:
        if not self._unread:
            return None
        messages: list[list[bytes]] = []
        read = 0
        while len(messages) < _DRAIN and read < size:
            message = receive(self._socket)
            if message is None:
                self._unread = False
                break
            _own(message)
            messages.append(message)
            read += sum(map(len, message))
        return Batch(messages, Passage(), read)

    def publishers(self) -> int | None:
        return None

    def flush(self) -> bool:
        return self._unread

    def look_after(self, now: float) -> None:
        pass

    def part(self) -> Leaving:
        self._poller.remove(self._fd)
        self._socket.close(linger=0)
        return {}
