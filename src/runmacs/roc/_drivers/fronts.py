"""The broker's side of calls: a ROUTER on plain sockets, and one of libzmq for inproc.

Both are a *front*: `collect` takes what has come, `send` answers, `flush` lets it go.

Rules:

* Who sends little comes before who sends much: what one client pipelines, and its server's
  answers, are taken in small portions, and what others sent leaves before each of them.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import zmq

from ..endpoints import Endpoints
from ..wire.mdp import MESSAGE_LIMIT
from ..wire.zmtp import Unsound
from .gates import Poller
from .hosting import Leaving, StreamHost
from .native import send_all
from .sockets import descriptor, has_message, receive, send, tune
from .streams import Connection

__all__ = ["Front", "StreamFront", "ZmqFront"]

_CHUNK = 64 * 1024
_READS = 8
_READ = 2 * 1024
_ENOUGH = 8
"""Messages of one peer after which others have their turn: some ten short calls are one read."""

_MANY = 4
"""Messages in one go that make a peer a busy one, until it has fewer."""

_DRAIN = 64
_PEER_BYTES = 2 * MESSAGE_LIMIT
"""Bytes that may wait for a peer that does not read; what comes then is refused."""

_PEER_HWM = 100_000


class Front(Protocol):
    """What the broker's loop needs of its peers' side."""

    def bind(self, endpoints: Endpoints) -> None:
        """Listen at the rocBroker address. Raises OSError or zmq.ZMQError."""

    def unbind(self, endpoints: Endpoints) -> None:
        """Listen no longer, if it did."""

    def is_called(self, ready: Iterable[int]) -> bool:
        """Whether anything may have come, on one of these descriptors."""

    def collect(self, ready: Iterable[int]) -> Iterator[list[list[Any]]]:
        """What has come, routing ids in front, in portions: `flush` after each. One at least."""

    def send(self, frames: list[Any]) -> int:
        """Send a message to the peer named by its first frame; 0, or the error number."""

    def send_all(self, messages: list[Any], begin: int) -> int:
        """Send messages from one on, as far as that is simple; returns the next one's number."""

    def flush(self) -> bool:
        """Let everything go. True if something has come meanwhile."""

    def tick(self, now: float) -> list[bytes]:
        """Time has passed. Returns the routing ids of peers that went away since."""

    def part(self) -> Leaving:
        """Close, except those who need time for it."""


class StreamFront(StreamHost):
    """A ROUTER on plain sockets. It knows at once when a peer has gone.

    A peer that does not read: `send` refuses with EAGAIN what comes after the first 512 MiB
    that wait for it.
    """

    OWN_TYPE = b"ROUTER"
    PEERS = (b"DEALER", b"REQ", b"ROUTER")

    def __init__(self, poller: Poller) -> None:
        super().__init__(poller)
        self._peers: dict[bytes, Connection] = {}
        self._touched: list[Connection] = []
        self._gone: list[bytes] = []
        self._number = 0

    def bind(self, endpoints: Endpoints) -> None:
        self.listen(endpoints, endpoints.rocBroker)

    # ---- messages

    def is_called(self, ready: Iterable[int]) -> bool:
        connections = self._connections
        return any(fd in connections for fd in ready)

    def collect(self, ready: Iterable[int]) -> Iterator[list[list[Any]]]:
        inbox: list[list[Any]] = []
        busy: list[Connection] = []
        for fd in ready:
            connection = self._connections.get(fd)
            if connection is not None:
                if connection.busy:
                    busy.append(connection)
                else:
                    self._read(connection, inbox)
            elif fd in self._listeners:
                self._accept(self._listeners[fd])
        yield inbox
        if busy:
            inbox = []
            for connection in busy:
                if not connection.closed:
                    self._read(connection, inbox)
            yield inbox

    def _read(self, connection: Connection, inbox: list[list[Any]]) -> None:
        count = 0
        for _ in range(_READS):
            messages = self._read_once(connection, _READ)
            if messages is None:
                return
            inbox += messages
            count += len(messages)
            if count >= _ENOUGH or not connection.inbox.more:
                break
        connection.busy = count >= _MANY

    def _connect(self, sock: socket.socket) -> Connection:
        return Connection(
            sock, self.OWN_TYPE, self.PEERS, self._memory, MESSAGE_LIMIT + _CHUNK, self._name
        )

    def _name(self, identity: bytes) -> bytes:
        """The routing id of a peer: its own, or the next number."""
        if identity and identity[0]:
            if identity in self._peers:
                raise Unsound("another peer has this identity")
            return identity
        self._number += 1
        return b"\0" + (self._number & 0xFFFFFFFF).to_bytes(4, "big")

    def _welcome(self, connection: Connection) -> bool:
        self._peers[connection.rid] = connection
        return True

    def send(self, frames: list[Any]) -> int:
        connection = self._peers.get(frames[0])
        if connection is None:
            return errno.EHOSTUNREACH
        if connection.queued > _PEER_BYTES:
            return errno.EAGAIN
        connection.put(frames[1:])
        self._to_flush[connection.fd] = connection
        return 0

    def send_all(self, messages: list[Any], begin: int) -> int:
        return send_all(self._peers, messages, begin, _PEER_BYTES, self._touched)

    def flush(self) -> bool:
        for connection in self._touched:
            self._to_flush[connection.fd] = connection
        self._touched.clear()
        return super().flush()

    # ---- comings and goings

    def _bid_farewell(self, connection: Connection) -> None:
        if self._peers.get(connection.rid) is connection:
            del self._peers[connection.rid]
            self._gone.append(connection.rid)

    def tick(self, now: float) -> list[bytes]:
        self.look_after(now)
        if not self._gone:
            return []
        gone, self._gone = self._gone, []
        return gone

    def on_fork(self) -> None:
        super().on_fork()
        self._peers.clear()
        self._touched.clear()


class ZmqFront:
    """A ROUTER of libzmq: inproc needs the context that the peers share."""

    def __init__(self, poller: Poller, ctx: zmq.Context[Any], endpoints: Endpoints) -> None:
        self._router: zmq.Socket[Any] = ctx.socket(zmq.ROUTER)
        tune(self._router, endpoints)
        self._router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._router.setsockopt(zmq.SNDHWM, _PEER_HWM)
        self._router.setsockopt(zmq.RCVHWM, _PEER_HWM)
        self._fd = descriptor(self._router)
        poller.add(self._fd)
        self._poller = poller

    def bind(self, endpoints: Endpoints) -> None:
        self._router.bind(endpoints.rocBroker)

    def unbind(self, endpoints: Endpoints) -> None:
        with contextlib.suppress(zmq.ZMQError):
            self._router.unbind(endpoints.rocBroker)

    def is_called(self, ready: Iterable[int]) -> bool:
        return has_message(self._router)

    def collect(self, ready: Iterable[int]) -> Iterator[list[list[Any]]]:
        inbox: list[list[Any]] = []
        while len(inbox) < _DRAIN and (frames := receive(self._router)) is not None:
            inbox.append(frames)
        yield inbox

    def send(self, frames: list[Any]) -> int:
        try:
            send(self._router, frames)
        except zmq.ZMQError as error:
            return error.errno or errno.EIO
        return 0

    def send_all(self, messages: list[Any], begin: int) -> int:
        return begin

    def flush(self) -> bool:
        # A send may have swallowed the descriptor's edge.
        return has_message(self._router)

    def tick(self, now: float) -> list[bytes]:
        return []

    def part(self) -> Leaving:
        self._poller.remove(self._fd)
        self._router.close(linger=500)
        return {}
