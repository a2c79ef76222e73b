"""The side that listens, on plain sockets: who connects, shakes hands, stays and goes.

What the broker's three sockets have in common; `fronts`, `intake` and `outlet` add what
each does with messages.

Rules:

* One that says nothing sound within 2 s of its connection, or later what is no ZMTP, is
  cut off, and nobody else notices.
* When there are no descriptors left, who is connected is served on; others wait until
  there are.
* At the end those who have not read all, and those who still send, have half a second,
  all together.
* A forked child closes its copies: the peers are the parent's, and must see its end.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Sequence
from typing import Any, TypeAlias

from ..endpoints import Endpoints
from ..wire.memory import Memory
from ..wire.zmtp import Frame, Passage, Unsound
from .clock import now as clock
from .dialing import addresses_of, tune_stream
from .forking import register
from .gates import Poller
from .sockets import is_listened_at
from .streams import Connection

__all__ = ["Leaving", "StreamHost", "see_off"]

_BACKLOG = 1000
_HANDSHAKE = 2.0
_ACCEPT_PAUSE = 1.0
_LINGER = 0.5


class StreamHost:
    """Listens, and has connections of one kind. Each subclass says which, and for what.

    ``descriptors`` are those of all its sockets.
    """

    OWN_TYPE = b""
    PEERS: Sequence[bytes] = ()

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._memory = Memory()
        self._listeners: dict[int, socket.socket] = {}
        self._files: list[str] = []
        self._connections: dict[int, Any] = {}
        self.descriptors: set[int] = set()
        self._young: dict[int, float] = {}
        self._to_flush: dict[int, Any] = {}
        self._accept_again: float | None = None
        self._now = clock()
        register(self)

    # ---- what a subclass adds

    def _connect(self, sock: socket.socket) -> Connection:
        return Connection(sock, self.OWN_TYPE, self.PEERS, self._memory)

    def _welcome(self, connection: Any) -> bool:
        """The handshake is done. False if it is not wanted: it was dropped."""
        return True

    def _bid_farewell(self, connection: Any) -> None:
        """It has gone, after it was welcomed or before."""

    # ---- listening

    def listen(self, endpoints: Endpoints, address: str) -> None:
        """Listen at all places that the address means. Raises OSError."""
        failure: OSError | None = None
        for family, place in addresses_of(endpoints, address):
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
        self.descriptors.add(listener.fileno())
        self._poller.add(listener.fileno())

    def unbind(self, endpoints: Endpoints) -> None:
        """Listen no longer, if it did."""
        self._stop_listening()

    def _stop_listening(self) -> None:
        for path in self._files:
            # First, while it is ours for certain.
            with contextlib.suppress(OSError):
                os.unlink(path)
        self._files.clear()
        self.descriptors.difference_update(self._listeners)
        for fd, listener in self._listeners.items():
            self._poller.remove(fd)
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._listeners.clear()

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
        connection = self._connect(sock)
        self._connections[connection.fd] = connection
        self.descriptors.add(connection.fd)
        self._young[connection.fd] = self._now + _HANDSHAKE
        self._poller.add(connection.fd)
        self._to_flush[connection.fd] = connection

    def _pause_accepting(self) -> None:
        self._accept_again = self._now + _ACCEPT_PAUSE
        for fd in self._listeners:
            self._poller.remove(fd)

    # ---- bytes in and out

    def _read_once(
        self, connection: Any, size: int, passage: Passage | None = None
    ) -> list[list[Frame]] | None:
        """The messages of one read; None when it had to be dropped."""
        try:
            messages = connection.read(size, passage)
        except (OSError, Unsound):
            self._drop(connection)
            return None
        if connection.outbox.queued:
            self._to_flush[connection.fd] = connection  # a PONG, or what the system took not
        if self._young and connection.fd in self._young and connection.up:
            del self._young[connection.fd]
            if not self._welcome(connection):
                return None
        return messages  # type: ignore[no-any-return]

    def flush(self) -> bool:
        """The turn ends: let everything go. True if something has come meanwhile."""
        for connection in self._to_flush.values():
            if not connection.closed:
                self._flush_one(connection)
        self._to_flush.clear()
        return False

    def _flush_one(self, connection: Any) -> None:
        try:
            done = connection.flush()
        except OSError:
            self._drop(connection)
        else:
            self._poller.watch_writing(connection.fd, not done)

    # ---- comings and goings

    def _drop(self, connection: Any) -> None:
        self._poller.remove(connection.fd)
        self._connections.pop(connection.fd, None)
        self.descriptors.discard(connection.fd)
        self._young.pop(connection.fd, None)
        connection.close()
        self._bid_farewell(connection)

    def look_after(self, now: float) -> None:
        """Time has passed."""
        self._now = now
        if self._young:
            for fd in [fd for fd, deadline in self._young.items() if now > deadline]:
                self._drop(self._connections[fd])
        if self._accept_again is not None and now > self._accept_again:
            self._accept_again = None
            for fd in self._listeners:
                self._poller.add(fd)

    def part(self) -> Leaving:
        """Close, except those who need time for it: `see_off` gives it to them."""
        self._stop_listening()
        self.flush()
        leaving: Leaving = {}
        for connection in list(self._connections.values()):
            over, heard = connection.take_leave()
            if not over and (connection.queued or heard):
                leaving[connection.fd] = (self, connection)
            else:
                self._drop(connection)
        return leaving

    def close(self) -> None:
        """Close, after what was sent had half a second to leave."""
        see_off(self._poller, self.part())

    def on_fork(self) -> None:
        """In a child: the peers are the parent's, and must see its end."""
        for listener in self._listeners.values():
            listener.close()
        for connection in self._connections.values():
            connection.give_up()
        self._listeners.clear()
        self._files.clear()
        self._connections.clear()
        self.descriptors.clear()
        self._young.clear()
        self._to_flush.clear()


Leaving: TypeAlias = "dict[int, tuple[StreamHost, Any]]"
"""Connections that are about to go, by their descriptors."""


def see_off(poller: Poller, leaving: Leaving) -> None:
    """Wait until they have read all and closed in turn, at most half a second; then drop them."""
    end = clock() + _LINGER
    while leaving and (left := end - clock()) > 0:
        for fd, (_, connection) in leaving.items():
            poller.watch_writing(fd, bool(connection.queued))
        for fd in poller.wait(left):
            if fd not in leaving:
                poller.remove(fd)  # somebody else's, and of no interest any more
            elif leaving[fd][1].take_leave()[0]:
                host, connection = leaving.pop(fd)
                host._drop(connection)
    for host, connection in leaving.values():
        host._drop(connection)


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
