"""What the C extension does, in Python: the reference, and what runs where there is none.

`Inbox` reads messages from a socket, `Outbox` sends them, `send_all` serves many outboxes.
What Python cannot ask the system for, `shorten_slice`, is left undone.
`native` takes these, or those of ``runmacs.roc._native``; the same tests run on both.

Rules:

* Sockets never block. What the system does not take at once waits in the outbox.
* Messages are queued whole or not at all, and leave in order.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any

from ..wire import zmtp
from ..wire.handshake import Decoder
from ..wire.memory import Memory
from ..wire.zmtp import Frame, Passage

__all__ = ["Inbox", "Outbox", "restore_slice", "send_all", "shorten_slice"]

_LARGE_CHUNK = 1024 * 1024
_PARTS = 64
_SMALL = 4 * 1024
_AGAIN = (BlockingIOError, InterruptedError)
_SENDS_PARTS = hasattr(socket.socket, "sendmsg")


class Inbox(Decoder):
    """The messages that come over one connection.

    Attributes:
        got: bytes that the last read has brought.
        more: whether the last read may have left something to read.
    """

    got = 0
    more = False

    def receive(
        self, sock: socket.socket, size: int, passage: Passage | None = None
    ) -> list[list[Frame]]:
        """The messages that are complete after one read of so many bytes, or of what a large
        frame needs. A new ``passage`` is told where they lie.

        Raises:
            Unsound, OSError: the connection has ended, or must.
        """
        space = self.space()
        try:
            if space is not None:
                return self.received(self._receive_into(sock, space))
            data = sock.recv(size)
        except _AGAIN:
            self.more = False
            self.got = 0
            return []
        if not data:
            raise _closed_by_peer()
        self.got = len(data)
        self.more = self.got == size
        return self.feed(data, passage)

    def _receive_into(self, sock: socket.socket, space: memoryview) -> int:
        with space, space[:_LARGE_CHUNK] as chunk:
            count = sock.recv_into(chunk)
        if not count:
            raise _closed_by_peer()
        self.got = count
        self.more = True
        return count


def _closed_by_peer() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, "closed by the peer")


class Outbox:
    """What waits to be sent over one connection.

    Attributes:
        queued: bytes that wait.
    """

    __slots__ = ("_memory", "_out", "queued")

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._out: deque[Frame] = deque()
        self.queued = 0

    @property
    def parts(self) -> int:
        """In how many pieces they are."""
        return len(self._out)

    def put(self, frames: Sequence[Any]) -> int:
        """Queue a message; `flush` sends it. Returns of how many new parts it is."""
        parts = zmtp.encode(frames)
        self._out += parts
        for part in parts:
            self.queued += len(part)
        return len(parts)

    def put_encoded(self, data: Frame) -> None:
        """Queue bytes of whole messages, or of parts in order. Small ones are joined: what
        waits for somebody slow is not counted in messages.
        """
        out = self._out
        self.queued += len(data)
        if out and len(data) < _SMALL:
            before = out[-1]
            if len(before) < _SMALL and type(before) is bytes:
                out[-1] = b"".join((before, data))
                return
        out.append(data)

    def own(self, count: int) -> None:
        """Copy what waits of the last parts, so many, out of memory that is somebody's."""
        out = self._out
        for index in range(len(out) - min(count, len(out)), len(out)):
            part = out[index]
            if isinstance(part, memoryview):
                out[index] = self._memory.copy(part)

    def flush(self, sock: socket.socket) -> bool:
        """Send what is queued, as far as the system takes it; True when all is sent.

        Raises:
            OSError: the connection has ended.
        """
        out = self._out
        try:
            while out:
                if len(out) == 1 or not _SENDS_PARTS:
                    sent = sock.send(out[0])
                else:
                    sent = sock.sendmsg([out[i] for i in range(min(len(out), _PARTS))])
                self._forget(sent)
        except _AGAIN:
            return False
        return True

    def _forget(self, sent: int) -> None:
        self.queued -= sent
        out = self._out
        while out:
            first = out[0]
            if sent < len(first):
                if sent:
                    out[0] = memoryview(first)[sent:]
                return
            sent -= len(first)
            out.popleft()

    def clear(self) -> None:
        """Forget what waits."""
        self._out.clear()
        self.queued = 0


def send_all(
    peers: dict[bytes, Any], messages: list[Any], begin: int, limit: int, touched: list[Any]
) -> int:
    """Queue messages, from the one with the number ``begin`` on, to the peers that their first
    frames name: each peer has an `Outbox` as its ``outbox``.

    Ends at the first that is no message, or whose peer is not there, or has more than ``limit``
    bytes waiting; returns its number, or how many there are. Peers for whom nothing waited
    before are appended to ``touched``.
    """
    for index in range(begin, len(messages)):
        frames = messages[index]
        if type(frames) is not list or len(frames) < 2 or type(frames[0]) is not bytes:
            return index
        peer = peers.get(frames[0])
        if peer is None:
            return index
        outbox = peer.outbox
        if outbox.queued > limit:
            return index
        if not outbox.queued:
            touched.append(peer)
        outbox.put(frames[1:])
    return max(begin, len(messages))


def shorten_slice() -> int:
    """Ask for a short slice of the processor for this thread; what it had, in nanoseconds, or
    0 if that stays.
    """
    return 0


def restore_slice(before: int) -> None:
    """Give back what `shorten_slice` has found."""
