"""A relayed TCP connection: what `lossylink` is made of.

Rules:

* Each direction keeps its order, its end included, and holds `HOLDS` bytes at most.
* A connection closed in good order on one side is closed so on the other, one direction
  after the other; one that was reset is reset, after what was sent before.
"""

from __future__ import annotations

import os
import selectors
import socket
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from .._drivers.dialing import Address, tune_stream

__all__ = ["HOLDS", "Pair", "connect", "reset"]

HOLDS = 16 * 1024 * 1024
"""Bytes that one direction of a connection may hold."""

_CHUNK = 64 * 1024
_CONNECTS_WITHIN = 1.0
_RESET = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)  # SO_LINGER: on, for 0 s


class Pair:
    """One connection: the peer's side of it (near), and ours to the broker (far)."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.sockets = (near, far)
        self.broken = False
        self._ways = (_Way(near, far), _Way(far, near))

    def on_ready(self, fd: int, events: int, due: float) -> None:
        """One of the sockets is readable, or takes more; what is read arrives when ``due``."""
        out, back = self._ways if fd == self.sockets[0].fileno() else self._ways[::-1]
        if events & selectors.EVENT_WRITE:
            back.blocked = False
        if events & selectors.EVENT_READ and out.wants:
            out.read(due)

    def pass_on(self, now: float) -> bool:
        """Send what is due; False when the connection is over."""
        for way in self._ways:
            way.pass_on(now)
        self.broken = any(way.over and way.broken for way in self._ways)
        return not self.broken and not all(way.over for way in self._ways)

    @property
    def next_due(self) -> float:
        """When there is something to send."""
        return min(way.next_due for way in self._ways)

    def interests(self) -> Iterator[tuple[socket.socket, int]]:
        """What is to be waited for, of each socket."""
        for sock, out, back in zip(self.sockets, self._ways, self._ways[::-1], strict=True):
            reading = selectors.EVENT_READ if out.wants else 0
            yield sock, reading | (selectors.EVENT_WRITE if back.blocked else 0)

    def close(self) -> None:
        """Close both sides; with a reset, if the connection is broken."""
        for sock in self.sockets:
            if self.broken:
                reset(sock)
            else:
                sock.close()


class _Way:
    """One direction of a connection: what was read on one side and not yet sent on the other.

    Attributes:
        blocked: the target takes no more at the moment.
        broken: the source was reset, rather than closed in good order.
        over: the end was passed on, or nobody is there to whom it could be.
    """

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self._source = source
        self._target = target
        self._held: deque[tuple[float, memoryview]] = deque()
        self._bytes = 0
        self._ended = False
        self.blocked = False
        self.broken = False
        self.over = False

    @property
    def wants(self) -> bool:
        """Whether more is to be read."""
        return not self._ended and not self.over and self._bytes < HOLDS

    @property
    def next_due(self) -> float:
        """When there is something to send."""
        return self._held[0][0] if self._held and not self.blocked else float("inf")

    def read(self, due: float) -> None:
        """Take what has come; nothing at all stands for the end."""
        try:
            data = self._source.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
            self.broken = True
        self._ended = not data
        self._bytes += len(data)
        self._held.append((due, memoryview(data)))

    def pass_on(self, now: float) -> None:
        """Send what is due, as far as the target takes it."""
        try:
            while self._held and self._held[0][0] <= now and not self.blocked:
                self._send(*self._held[0])
        except (BlockingIOError, InterruptedError):
            self.blocked = True
        except OSError:
            # Nobody is there. What the other direction still holds may arrive all the same.
            self._held.clear()
            self.blocked = False
            self.over = True

    def _send(self, due: float, data: memoryview) -> None:
        if not data:
            self._held.clear()
            self.over = True
            if not self.broken:
                self._target.shutdown(socket.SHUT_WR)
            return
        sent = self._target.send(data)
        self._bytes -= sent
        if sent < len(data):
            self._held[0] = due, data[sent:]
            self.blocked = True
        else:
            self._held.popleft()


def connect(addresses: list[Address]) -> socket.socket | None:
    """A connection to the first of these that takes one."""
    for family, place in addresses:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(_CONNECTS_WITHIN)
        try:
            sock.connect(place)
        except OSError:
            sock.close()
        else:
            tune_stream(sock)
            sock.setblocking(False)
            return sock
    return None


def reset(sock: socket.socket) -> None:
    """Close it so that the other side gets an error, and nothing that was under way."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()
