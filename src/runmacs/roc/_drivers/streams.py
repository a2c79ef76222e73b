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
* One thread at a time uses a connection; see `calling` and `serving`.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

from ..endpoints import Endpoints
from ..wire import zmtp
from ..wire.mdp import MESSAGE_LIMIT
from ..wire.zmtp import Decoder, Frame, Unsound
from .gates import Signal

__all__ = ["Connection", "StreamLink", "addresses_of", "tune_stream"]

_CHUNK = 64 * 1024
_LARGE_CHUNK = 1024 * 1024
_PARTS = 64
_AGAIN = (BlockingIOError, InterruptedError)
NOT_CONNECTED = {errno.ENOTCONN, errno.EAGAIN, errno.EWOULDBLOCK, errno.EALREADY}
_UNDER_WAY = {errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", -1)}

Address = tuple[int, Any]


class Connection:
    """One ZMTP connection over a connected, or connecting, socket."""

    __slots__ = ("_out", "_sock", "closed", "decoder", "fd", "more", "queued", "rid")

    def __init__(self, sock: socket.socket, own_type: bytes, peers: Sequence[bytes]) -> None:
        self._sock = sock
        self.fd = sock.fileno()
        self.rid = b""
        self.decoder = Decoder(MESSAGE_LIMIT + _CHUNK, peers)
        self.closed = False
        self.more = False
        self.queued = 0
        self._out: deque[Frame] = deque()
        self._append(zmtp.GREETING + zmtp.ready(own_type))

    @property
    def up(self) -> bool:
        """Whether messages may be exchanged."""
        return self.decoder.up

    def read(self) -> list[list[Frame]]:
        """The messages that are complete after one read; ``more`` says whether more may be there.

        Raises:
            Unsound, OSError: the connection has ended, or must.
        """
        decoder = self.decoder
        space = decoder.space()
        try:
            if space is not None:
                count = self._sock.recv_into(space[:_LARGE_CHUNK])
                if not count:
                    raise ConnectionResetError(errno.ECONNRESET, "closed by the peer")
                self.more = True
                return decoder.received(count)
            data = self._sock.recv(_CHUNK)
        except _AGAIN:
            self.more = False
            return []
        self.more = len(data) == _CHUNK
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "closed by the peer")
        messages = decoder.feed(data)
        if decoder.pings:
            for ping in decoder.pings:
                self._append(zmtp.pong_for(ping))
            decoder.pings.clear()
        return messages

    def put(self, frames: Sequence[Frame]) -> None:
        """Queue a message; `flush` sends it."""
        for part in zmtp.encode(frames):
            self._append(part)

    def _append(self, part: Frame) -> None:
        self._out.append(part)
        self.queued += len(part)

    def flush(self) -> bool:
        """Send what is queued, as far as the system takes it; True when all is sent.

        Raises:
            OSError: the connection has ended.
        """
        out = self._out
        try:
            while out:
                if len(out) == 1:
                    sent = self._sock.send(out[0])
                else:
                    sent = self._sock.sendmsg([out[i] for i in range(min(len(out), _PARTS))])
                self.queued -= sent
                self._forget(sent)
        except _AGAIN:
            return False
        return True

    def _forget(self, sent: int) -> None:
        out = self._out
        while sent:
            first = out[0]
            if sent < len(first):
                out[0] = memoryview(first)[sent:]
                return
            sent -= len(first)
            out.popleft()

    def connect_error(self) -> int:
        """The error that a connection attempt ended with; 0 for none."""
        return self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def say_goodbye(self, seconds: float) -> None:
        """Send what is queued, and wait until the peer has it all: it closes in turn."""
        with contextlib.suppress(OSError, Unsound):
            self._sock.settimeout(seconds)
            while self._out:
                sent = self._sock.send(self._out[0])
                self._forget(sent)
            self._sock.shutdown(socket.SHUT_WR)
            while self._sock.recv(_CHUNK):
                pass

    def close(self) -> None:
        """Close; what is queued is lost."""
        self.closed = True
        self._out.clear()
        with contextlib.suppress(OSError):
            self._sock.close()


def addresses_of(endpoints: Endpoints, address: str) -> list[Address]:
    """Family and address for each place that a ZeroMQ address may mean. May ask the network.

    Raises:
        OSError: the name cannot be resolved.
    """
    place = address.partition("://")[2]
    if endpoints.transport == "ipc":
        path = "\0" + place[1:] if place.startswith("@") else place
        return [(socket.AF_UNIX, path)]
    host, _, port = place.rpartition(":")
    host = host.strip("[]")
    found = socket.getaddrinfo(
        None if host == "*" else host, int(port), type=socket.SOCK_STREAM,
        flags=socket.AI_PASSIVE if host == "*" else 0,
    )  # fmt: skip
    return list(dict.fromkeys((family, place) for family, _, _, _, place in found))


def needs_lookup(endpoints: Endpoints) -> bool:
    """Whether the address is a name, so that resolving it may take long."""
    if endpoints.transport != "tcp":
        return False
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, endpoints.brokerAddress.partition("%")[0])
            return False
    return True


def open_socket(address: Address) -> socket.socket:
    """A non-blocking socket with the options that all our streams have."""
    family, _ = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    tune_stream(sock)
    return sock


def tune_stream(sock: socket.socket) -> None:
    """No waiting for more to send; and a peer that vanished without a word is noticed."""
    if sock.family == getattr(socket, "AF_UNIX", None):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)


class Dialer:
    """Keeps one outgoing connection: resolves, connects, and tries again with backoff."""

    FIRST, LONGEST = 0.05, 0.5
    HANDSHAKE = 2.0

    def __init__(self, endpoints: Endpoints, address: str) -> None:
        self._endpoints = endpoints
        self._address = address
        self._lookup = needs_lookup(endpoints)
        self._resolved: list[Address] | None = None
        self._resolving = False
        self._untried: list[Address] = []
        self._pause = self.FIRST
        self.next_attempt = 0.0

    def dial(self, now: float) -> Connection | None:
        """Begin an attempt, if it is time for one."""
        if now < self.next_attempt:
            return None
        if not self._untried:
            if self._resolved is None:
                self._resolve()
            if self._resolved is None:
                self.next_attempt = now + (0.01 if self._resolving else self._back_off())
                return None
            self._untried = list(self._resolved)
        address = self._untried.pop(0)
        if not self._untried:
            self.next_attempt = now + self._back_off()
        return self._attempt(address)

    def _attempt(self, address: Address) -> Connection | None:
        try:
            sock = open_socket(address)
        except OSError:
            return None
        code = sock.connect_ex(address[1])
        if code and code not in _UNDER_WAY:
            sock.close()
            return None
        return Connection(sock, b"DEALER", (b"ROUTER", b"DEALER", b"REP"))

    def _back_off(self) -> float:
        pause, self._pause = self._pause, min(self._pause * 2, self.LONGEST)
        return pause

    def succeeded(self) -> None:
        """The connection stands: after its end the next attempt is made at once."""
        self._pause = self.FIRST
        self._untried = []
        self.next_attempt = 0.0

    def _resolve(self) -> None:
        if self._lookup:
            if not self._resolving:
                self._resolving = True
                threading.Thread(target=self._look_up, name="roc-resolver", daemon=True).start()
        else:
            with contextlib.suppress(OSError):
                self._resolved = addresses_of(self._endpoints, self._address)

    def _look_up(self) -> None:
        try:
            self._resolved = addresses_of(self._endpoints, self._address) or None
        except OSError:
            self._resolved = None
        finally:
            self._resolving = False


class StreamLink:
    """A DEALER on a plain socket, connected to a broker; see `sockets.Link` for the other kind.

    ``fds`` holds one descriptor for the whole life of the link, whichever socket it uses.
    """

    _LOOK_AFTER = 0.001
    _LINGER = 1.0

    def __init__(self, endpoints: Endpoints) -> None:
        self._dialer = Dialer(endpoints, endpoints.rocBroker)
        self._signal = Signal()
        self.fds: tuple[int, ...] = (self._signal.fd,)
        self._connection: Connection | None = None
        self._inbox: deque[list[Frame]] = deque()
        self._changes: list[bool] = []
        self._up = False
        self._more = False
        self._fresh = False
        self._since = 0.0
        self._looked = 0.0
        self.closed = False

    # ---- messages

    def send(self, frames: Sequence[Any]) -> bool:
        """Send a message; False when there is no connection to take it."""
        connection = self._connection
        if connection is None or not self._up:
            return False
        connection.put(frames)
        return self._flush(connection)

    def _flush(self, connection: Connection) -> bool:
        try:
            done = connection.flush()
        except OSError as error:
            if error.errno in NOT_CONNECTED:
                return False
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
        if connection is None:
            return
        try:
            if connection.queued:
                self._flush(connection)
            self._inbox.extend(connection.read())
        except (OSError, Unsound) as error:
            if not isinstance(error, OSError) or error.errno not in NOT_CONNECTED:
                self._lose()
            return
        self._more, self._fresh = connection.more, self._up
        if not self._up and connection.up:
            self._up = True
            self._dialer.succeeded()
            self._changes.append(True)

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
        if self._fresh:
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
        if self._connection is None:
            self._connection = self._dialer.dial(now)
            if self._connection is not None:
                self._since = now
                self._signal.begin(self._connection.fd)
        elif not self._up and (now - self._since > Dialer.HANDSHAKE or self._refused()):
            self._lose()
        if self._connection is not None:
            self._read()

    def _refused(self) -> bool:
        return self._connection is not None and self._connection.connect_error() != 0

    def close(self, linger: bool = False) -> None:
        """Close; with ``linger``, what was sent may still leave for up to a second."""
        self.closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            self._signal.end()
            if linger and self._up:
                connection.say_goodbye(self._LINGER)
            connection.close()
        self._signal.close()
