"""The broker's side of calls: a ROUTER on plain sockets, and one of libzmq for inproc.

Both are a *front*: `collect` takes what has come, `send` answers, `flush` ends a turn.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterable
from typing import Any, Protocol

import zmq

from ..endpoints import Endpoints
from ..wire.mdp import MESSAGE_LIMIT
from ..wire.memory import Memory
from ..wire.zmtp import Unsound
from .clock import now as clock
from .dialing import addresses_of, tune_stream
from .forking import register
from .gates import Poller
from .sockets import descriptor, has_message, is_listened_at, receive, send, tune
from .streams import Connection

__all__ = ["Front", "StreamFront", "ZmqFront"]

_READS = 4
_DRAIN = 64
_PEER_BYTES = 2 * MESSAGE_LIMIT
"""Bytes that may wait for a peer that does not read; what comes then is refused."""

_PEER_HWM = 100_000
_BACKLOG = 1000
_HANDSHAKE = 2.0
_ACCEPT_PAUSE = 1.0
_LINGER = 0.5
_PEERS = (b"DEALER", b"REQ", b"ROUTER")


class Front(Protocol):
    """What the broker's loop needs of its peers' side."""

    def bind(self, endpoints: Endpoints) -> None:
        """Listen at the rocBroker address. Raises OSError or zmq.ZMQError."""

    def unbind(self, endpoints: Endpoints) -> None:
        """Listen no longer, if it did."""

    def collect(self, ready: Iterable[int], inbox: list[list[Any]]) -> bool:
        """Append what has come, routing ids in front; True if there may be more."""

    def send(self, frames: list[Any]) -> int:
        """Send a message to the peer named by its first frame; 0, or the error number."""

    def flush(self) -> bool:
        """The turn ends: let everything go. True if something has come meanwhile."""

    def tick(self, now: float) -> list[bytes]:
        """Time has passed. Returns the routing ids of peers that went away since."""

    def close(self) -> None:
        """Close, after what was sent had half a second to leave."""


class StreamFront:
    """A ROUTER on plain sockets. It knows at once when a peer has gone.

    A peer that does not read: `send` refuses with EAGAIN what comes after the first 512 MiB
    that wait for it. One that says nothing sound within 2 s of its connection, or later what
    is no ZMTP, is cut off. When there are no descriptors left, who is connected is served
    on; others wait until there are.
    """

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._memory = Memory()
        self._listeners: dict[int, socket.socket] = {}
        self._files: list[str] = []
        self._connections: dict[int, Connection] = {}
        self._peers: dict[bytes, Connection] = {}
        self._young: dict[int, float] = {}
        self._to_flush: dict[int, Connection] = {}
        self._gone: list[bytes] = []
        self._accept_again: float | None = None
        self._now = clock()
        self._number = 0
        register(self)

    def bind(self, endpoints: Endpoints) -> None:
        failure: OSError | None = None
        for family, place in addresses_of(endpoints, endpoints.rocBroker):
            try:
                self._listen(family, place)
            except OSError as error:
                failure = error
                if error.errno == errno.EADDRINUSE:
                    break
        if failure is not None and (not self._listeners or failure.errno == errno.EADDRINUSE):
            self._stop_listening()
            raise failure

    def _listen(self, family: int, place: Any) -> None:
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            if family == getattr(socket, "AF_UNIX", None):
                _clear_the_way(place)
            elif os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(place)
            if isinstance(place, str) and not place.startswith("\0"):
                self._files.append(os.path.abspath(place))
            listener.listen(_BACKLOG)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
        self._listeners[listener.fileno()] = listener
        self._poller.add(listener.fileno())

    # ---- messages

    def collect(self, ready: Iterable[int], inbox: list[list[Any]]) -> bool:
        for fd in ready:
            connection = self._connections.get(fd)
            if connection is not None:
                self._read(connection, inbox)
            elif fd in self._listeners:
                self._accept(self._listeners[fd])
        return False

    def _read(self, connection: Connection, inbox: list[list[Any]]) -> None:
        if connection.queued:
            self._to_flush[connection.fd] = connection
        try:
            for _ in range(_READS):
                for message in connection.read():
                    if not connection.rid and not self._introduce(connection):
                        return
                    inbox.append([connection.rid, *message])
                if connection.decoder.space() is None:
                    break
        except (OSError, Unsound):
            self._drop(connection)
            return
        if connection.queued:
            self._to_flush[connection.fd] = connection  # a PONG
        if connection.up and not connection.rid:
            self._introduce(connection)

    def _introduce(self, connection: Connection) -> bool:
        """The handshake is done: give it a routing id. False if its own one is taken."""
        self._young.pop(connection.fd, None)
        rid = connection.decoder.identity
        if not rid or rid[0] == 0:
            self._number += 1
            rid = b"\0" + (self._number & 0xFFFFFFFF).to_bytes(4, "big")
        if rid in self._peers:
            self._drop(connection)
            return False
        connection.rid = rid
        self._peers[rid] = connection
        return True

    def _accept(self, listener: socket.socket) -> None:
        if self._poller.full:
            self._pause_accepting()
            return
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:
            self._pause_accepting()
            return
        try:
            sock.setblocking(False)
            tune_stream(sock)
        except OSError:  # it has gone already
            sock.close()
            return
        connection = Connection(sock, b"ROUTER", _PEERS, self._memory)
        self._connections[connection.fd] = connection
        self._young[connection.fd] = self._now + _HANDSHAKE
        self._poller.add(connection.fd)
        self._to_flush[connection.fd] = connection

    def _pause_accepting(self) -> None:
        """No descriptors are left: those who are connected are served on, the others wait."""
        self._accept_again = self._now + _ACCEPT_PAUSE
        for fd in self._listeners:
            self._poller.remove(fd)

    def send(self, frames: list[Any]) -> int:
        connection = self._peers.get(frames[0])
        if connection is None:
            return errno.EHOSTUNREACH
        if connection.queued > _PEER_BYTES:
            return errno.EAGAIN
        connection.put(frames[1:])
        self._to_flush[connection.fd] = connection
        return 0

    def flush(self) -> bool:
        for connection in self._to_flush.values():
            if connection.closed:
                continue
            try:
                done = connection.flush()
            except OSError:
                self._drop(connection)
            else:
                self._poller.watch_writing(connection.fd, not done)
        self._to_flush.clear()
        return False

    # ---- comings and goings

    def _drop(self, connection: Connection) -> None:
        self._poller.remove(connection.fd)
        self._connections.pop(connection.fd, None)
        self._young.pop(connection.fd, None)
        connection.close()
        if self._peers.get(connection.rid) is connection:
            del self._peers[connection.rid]
            self._gone.append(connection.rid)

    def tick(self, now: float) -> list[bytes]:
        self._now = now
        for fd in [fd for fd, deadline in self._young.items() if now > deadline]:
            self._drop(self._connections[fd])
        if self._accept_again is not None and now > self._accept_again:
            self._accept_again = None
            for fd in self._listeners:
                self._poller.add(fd)
        gone, self._gone = self._gone, []
        return gone

    def close(self) -> None:
        self._stop_listening()
        self.flush()
        leaving: dict[int, Connection] = {}
        for connection in list(self._connections.values()):
            over, heard = connection.take_leave()
            if not over and (connection.queued or heard):
                leaving[connection.fd] = connection
            else:
                self._drop(connection)
        self._see_off(leaving)

    def _see_off(self, leaving: dict[int, Connection]) -> None:
        """Those who have not read all, and those who still send, have half a second."""
        end = clock() + _LINGER
        while leaving and (left := end - clock()) > 0:
            for fd, connection in leaving.items():
                self._poller.watch_writing(fd, bool(connection.queued))
            for fd in self._poller.wait(left):
                if fd not in leaving:
                    self._poller.remove(fd)  # somebody else's, and of no interest any more
                elif leaving[fd].take_leave()[0]:
                    self._drop(leaving.pop(fd))
        for connection in leaving.values():
            self._drop(connection)

    def unbind(self, endpoints: Endpoints) -> None:
        self._stop_listening()

    def _stop_listening(self) -> None:
        for path in self._files:
            # First, while it is ours for certain.
            with contextlib.suppress(OSError):
                os.unlink(path)
        self._files.clear()
        for fd, listener in self._listeners.items():
            self._poller.remove(fd)
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._listeners.clear()

    def on_fork(self) -> None:
        """In a child: the peers are the parent's, and must see its end."""
        for listener in self._listeners.values():
            listener.close()
        for connection in self._connections.values():
            connection.give_up()
        self._listeners.clear()
        self._files.clear()
        self._connections.clear()
        self._peers.clear()


def _clear_the_way(path: str) -> None:
    """Remove the file that a local socket left behind when its broker was killed.

    Raises:
        OSError: EADDRINUSE, as somebody listens there, or it is no socket.
    """
    if path.startswith("\0"):
        return
    try:
        is_socket = stat.S_ISSOCK(os.lstat(path).st_mode)
    except FileNotFoundError:
        return
    if not is_socket or is_listened_at(f"ipc://{path}"):
        raise OSError(errno.EADDRINUSE, "in use")
    os.unlink(path)


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

    def collect(self, ready: Iterable[int], inbox: list[list[Any]]) -> bool:
        for _ in range(_DRAIN):
            frames = receive(self._router)
            if frames is None:
                return False
            inbox.append(frames)
        return True

    def send(self, frames: list[Any]) -> int:
        try:
            send(self._router, frames)
        except zmq.ZMQError as error:
            return error.errno or errno.EIO
        return 0

    def flush(self) -> bool:
        # A send may have swallowed the descriptor's edge.
        return has_message(self._router)

    def tick(self, now: float) -> list[bytes]:
        return []

    def close(self) -> None:
        self._poller.remove(self._fd)
        self._router.close(linger=500)
