"""ZeroMQ's DEALER and ROUTER on plain sockets, for tcp and ipc.

libzmq moves every message through a thread of its own, so a call through a broker costs
twelve wake-ups; here the thread that sends writes to the socket, and the one that waits
reads from it: four. Measured on two cores, brokered round trips a second: libzmq's own
proxy in C 7,200; the same frames over plain sockets, routed in Python, 16,000 to 20,000.

Rules:

* Sockets never block. What the system does not take at once waits in a queue of the
  connection, whose length is known and bounded.
* A connection that breaks takes its unsent messages with it: nothing is ever sent to a
  later one.
* What a link could not send at once is copied: the array that a method returned may be
  written to again as soon as the next method runs.
* One thread at a time uses a connection; see `calling` and `serving`.
* A forked child closes its copies: otherwise nobody would see its parent's end.
"""

from __future__ import annotations

import contextlib
import select
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from ..endpoints import Endpoints
from ..wire import handshake
from ..wire.mdp import MESSAGE_LIMIT
from ..wire.memory import Memory
from ..wire.zmtp import Frame, Passage, Unsound
from .clock import now as clock
from .dialing import NOT_CONNECTED, Dialer
from .forking import register
from .gates import Signal
from .native import Inbox, Outbox

__all__ = ["Connection", "StreamLink"]

_CHUNK = 64 * 1024
_PONGS = 64 * 1024
_HELD = 16 * 1024
"""Bytes that wait for more to go with them; a frame that somebody may change has more."""

_DRAIN = 16
_AGAIN = (BlockingIOError, InterruptedError)


class Connection:
    """One ZMTP connection over a connected, or connecting, socket.

    ``naming``, given the peer's identity, says what stands in front of its messages.

    Attributes:
        fd: the socket's descriptor.
        rid: what stands in front of its messages: a routing id, for whoever has many
            connections.
        inbox, outbox: what comes, and what waits to be sent.
        busy: for whoever reads to note that it brings much.
        closed: whether `close` was called.
    """

    __slots__ = ("_shut", "_sock", "busy", "closed", "fd", "inbox", "outbox")

    def __init__(
        self,
        sock: socket.socket,
        own_type: bytes,
        peers: Sequence[bytes],
        memory: Memory,
        limit: int = MESSAGE_LIMIT + _CHUNK,
        naming: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._sock = sock
        self.fd = sock.fileno()
        self.inbox = Inbox(limit, peers, memory, naming)
        self.outbox = Outbox(memory)
        self.busy = False
        self.closed = False
        self._shut = False
        self.outbox.put_encoded(handshake.GREETING + handshake.ready(own_type))

    @property
    def up(self) -> bool:
        """Whether messages may be exchanged."""
        return self.inbox.up

    @property
    def rid(self) -> bytes:
        return self.inbox.head or b""

    @property
    def got(self) -> int:
        """Bytes that the last read has brought."""
        return self.inbox.got

    @property
    def more(self) -> bool:
        """Whether the last read may have left something to read."""
        return self.inbox.more

    @property
    def queued(self) -> int:
        """Bytes that wait to be sent."""
        return self.outbox.queued

    # ---- reading

    def read(self, size: int = _CHUNK, passage: Passage | None = None) -> list[list[Frame]]:
        """The messages that are complete after one read; of so many bytes, unless a large frame
        is under way. A new ``passage`` is told where they lie. Answers to PING wait for a `flush`.

        Raises:
            Unsound, OSError: the connection has ended, or must.
        """
        inbox = self.inbox
        messages = inbox.receive(self._sock, size, passage)
        if inbox.pings:
            self._answer_pings(inbox.pings)
        return messages

    def _answer_pings(self, pings: list[bytes]) -> None:
        """Unless much is on its way already, which tells as much."""
        for ping in pings:
            if self.outbox.queued < _PONGS:
                self.outbox.put_encoded(handshake.pong_for(ping))
        pings.clear()

    # ---- sending

    def put(self, frames: Sequence[Any]) -> int:
        """Queue a message; `flush` sends it. Returns of how many new parts it is."""
        return self.outbox.put(frames)

    def put_encoded(self, data: Frame) -> None:
        """Queue bytes of whole messages, or of parts in order."""
        self.outbox.put_encoded(data)

    def own(self, count: int) -> None:
        """Copy what waits of the last parts, so many, out of memory that is somebody's."""
        self.outbox.own(count)

    def flush(self) -> bool:
        """Send what is queued, as far as the system takes it; True when all is sent.

        Raises:
            OSError: the connection has ended.
        """
        return self.outbox.flush(self._sock)

    def connect_error(self) -> int:
        """The error that a connection attempt ended with; 0 for none."""
        return self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    # ---- the end

    def take_leave(self) -> tuple[bool, bool]:
        """Send the rest, say that it was the last, and throw away what comes.

        A socket that is closed with something unread resets the connection, and its peer may
        lose what it has not read yet. Returns whether the connection is over, and whether
        the peer was still sending.
        """
        heard = False
        try:
            if self.flush() and not self._shut:
                self._shut = True
                self._sock.shutdown(socket.SHUT_WR)
            for _ in range(_DRAIN):
                if not self._sock.recv(_CHUNK):
                    return True, heard
                heard = True
        except _AGAIN:
            pass
        except OSError:
            return True, heard
        return False, heard

    def say_goodbye(self, seconds: float) -> None:
        """Send what is queued, and wait until the peer has it all: it closes in turn."""
        end = clock() + seconds
        with contextlib.suppress(OSError):
            while not self.flush():
                _wait_for_room(self._sock, _until(end))
            self._sock.shutdown(socket.SHUT_WR)
            while True:
                self._sock.settimeout(_until(end))
                if not self._sock.recv(_CHUNK):
                    return

    def close(self) -> None:
        """Close; what is queued is lost."""
        if not self.closed:
            # A child that was forked in between has a copy: closing alone would end nothing.
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
        self.give_up()

    def give_up(self) -> None:
        """In a forked child: close this copy; the parent's goes on."""
        self.closed = True
        self.outbox.clear()
        with contextlib.suppress(OSError):
            self._sock.close()


def _wait_for_room(sock: socket.socket, seconds: float) -> None:
    """Wait until the system takes more of what is to be sent."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLOUT)
        poll.poll(seconds * 1000)
    else:
        select.select((), (sock,), (), seconds)


def _until(end: float) -> float:
    left = end - clock()
    if left <= 0:
        raise TimeoutError
    return left


class StreamLink:
    """A connecting socket on a plain one; `sockets.ZmqLink` is the other kind.

    A DEALER at the rocBroker, unless another address, type, and types of peers are given.

    ``fds`` holds one descriptor for the whole life of the link, whichever socket it uses. It
    is readable as long as there is something to do on the socket; what `readable` tells of
    is in the link itself, so that it is to be asked before anybody waits.
    """

    _LOOK_AFTER = 0.001

    def __init__(
        self,
        endpoints: Endpoints,
        address: str | None = None,
        own_type: bytes = b"DEALER",
        peers: Sequence[bytes] = (b"ROUTER", b"DEALER", b"REP"),
    ) -> None:
        self._dialer = Dialer(endpoints, address or endpoints.rocBroker)
        self._own_type = own_type
        self._peers = peers
        self._signal = Signal()
        self.fds: tuple[int, ...] = (self._signal.fd,)
        self._memory = Memory()
        self._connection: Connection | None = None
        self._inbox: deque[list[Frame]] = deque()
        self._changes: list[bool] = []
        self._up = False
        self._more = False
        self._fresh = False
        self._since = 0.0
        self._looked = 0.0
        self.closed = False
        register(self)

    # ---- messages

    def send(self, frames: Sequence[Any], hold: bool = False) -> bool:
        """Send a message; False when there is no connection to take it.

        One that may be held, and is small, goes with the next that may not, or with `flush`.
        """
        connection = self._connection
        if connection is None or not self._up:
            return False
        parts = connection.put(frames)
        if hold and connection.queued < _HELD:
            return True
        if not self._flush(connection):
            return False
        if connection.queued:
            connection.own(parts)
        return True

    def flush(self) -> None:
        """Let go what was held."""
        if self._connection is not None and self._connection.queued:
            self._flush(self._connection)

    def send_all(self, messages: Sequence[Sequence[bytes]]) -> bool:
        """Send messages whose frames do not change; False when there is no connection."""
        connection = self._connection
        if connection is None or not self._up:
            return False
        for frames in messages:
            connection.put(frames)
        return self._flush(connection)

    @property
    def queued(self) -> int:
        """Bytes that wait in the connection."""
        return 0 if self._connection is None else self._connection.queued

    def _flush(self, connection: Connection) -> bool:
        """Send what the system takes; False if that ended the connection."""
        try:
            done = connection.flush()
        except OSError as error:
            if not self._up and error.errno in NOT_CONNECTED:
                return True
            self._lose()
            return False
        self._signal.watch_writing(not done)
        return True

    def readable(self) -> bool:
        """Whether a message is there."""
        if self._more and not self._inbox:
            self._read()
        return bool(self._inbox)

    def receive(self) -> list[Any] | None:
        """One message, None when there is none now."""
        if not self._inbox:
            self._read()
        return self._inbox.popleft() if self._inbox else None

    def _read(self) -> None:
        connection = self._connection
        if connection is None or (connection.queued and not self._flush(connection)):
            return
        try:
            self._inbox.extend(connection.read())
        except (OSError, Unsound) as error:
            if self._up or not isinstance(error, OSError) or error.errno not in NOT_CONNECTED:
                self._lose()
            return
        self._more, self._fresh = connection.more, self._up
        if not self._up and connection.up:
            self._up = True
            self._dialer.succeeded()
            self._changes.append(True)
        if connection.queued:
            self._flush(connection)  # a PONG

    def _lose(self) -> None:
        self._more = False
        if self._connection is not None:
            self._signal.end()
            self._connection.close()
            self._connection = None
        if self._up:
            self._up = False
            self._changes.append(False)

    # ---- the connection's own progress

    def changes(self, now: float) -> Sequence[bool]:
        """Connect, if need be, and return ups (True) and downs (False) since the last time."""
        if self.closed:
            return ()
        if self._up and self._fresh:
            self._fresh, self._looked = False, now
        elif not self._up or now - self._looked > self._LOOK_AFTER:
            # The connection may be gone without anybody having looked.
            self._progress(now)
        if not self._changes:
            return ()
        changes, self._changes = self._changes, []
        return changes

    def _progress(self, now: float) -> None:
        self._looked = now
        if self._connection is not None:
            if not self._up and (now - self._since > Dialer.HANDSHAKE or self._refused()):
                self._lose()
            self._read()
        # A refusal may be known at once; then the next address has its turn.
        while self._connection is None and (sock := self._dialer.dial(now)) is not None:
            self._connection = Connection(sock, self._own_type, self._peers, self._memory)
            self._since = now
            self._signal.begin(self._connection.fd)
            self._read()

    def _refused(self) -> bool:
        return self._connection is not None and self._connection.connect_error() != 0

    def next_deadline(self) -> float | None:
        """When `changes` should be asked, whether or not there was a signal."""
        if self._changes:
            return 0.0
        if self._up or self.closed:
            return None
        if self._connection is None:
            return self._dialer.next_attempt
        return self._since + Dialer.HANDSHAKE

    @property
    def rounds(self) -> int:
        """How many rounds over all addresses have been in vain, or nearly so."""
        return self._dialer.rounds

    def hurry(self) -> None:
        """Connect now, if ever."""
        self._dialer.hurry()

    # ---- the end

    def close(self, linger: float = 0.0) -> None:
        """Close; for up to ``linger`` seconds what was sent may still leave and arrive."""
        self.closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            self._signal.end()
            if linger and self._up:
                connection.say_goodbye(linger)
            elif self._up:
                connection.take_leave()
            connection.close()
        self._signal.close()

    def on_fork(self) -> None:
        """In a child: the connection is the parent's, and must end with that."""
        self.closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.give_up()
        self._signal.close()
