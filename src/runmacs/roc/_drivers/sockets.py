"""ZeroMQ sockets as ROC needs them, and waiting for them.

Rules:

* One thread at a time uses a socket; who shares one guards it with a lock.
* Waiting happens on file descriptors, without the lock. ZeroMQ's descriptor signals
  edges: after every use of a socket its events are read again, and what is there is
  taken, before anybody waits.
* Frames of the envelope and small ones become bytes; larger ones stay the received
  message's memory and are never copied.
* Connecting sockets have ``IMMEDIATE`` set and never block: what cannot be sent now
  is refused, so nothing waits unseen.
"""

from __future__ import annotations

import contextlib
import socket as system_socket
import struct
import threading
from collections.abc import Sequence
from typing import Any

import zmq

from ..endpoints import Endpoints
from ..wire.mdp import MESSAGE_LIMIT
from .forking import keep, run_in_child
from .gates import Gate

__all__ = [
    "ZmqLink",
    "context",
    "descriptor",
    "has_message",
    "is_listened_at",
    "receive",
    "send",
    "tune",
]

SMALL = 32 * 1024
# As plain numbers: combining pyzmq's enumerations costs more than the call they go to.
_NOW = int(zmq.NOBLOCK)
_MORE_NOW = int(zmq.NOBLOCK | zmq.SNDMORE)
_EVENTS = int(zmq.EVENTS)
_POLLIN = int(zmq.POLLIN)
_POLLOUT = int(zmq.POLLOUT)
_UP = zmq.EVENT_HANDSHAKE_SUCCEEDED
_DOWN = zmq.EVENT_DISCONNECTED

_own: zmq.Context[Any] | None = None
_own_lock = threading.Lock()


def _forget_own() -> None:
    """In a forked child: it belongs to the parent, and so does whoever holds the lock."""
    global _own, _own_lock
    keep(_own)
    _own, _own_lock = None, threading.Lock()


run_in_child(_forget_own)


def context(given: zmq.Context[Any] | None) -> zmq.Context[Any]:
    """The context that was passed in, else one for this process, shared by all."""
    global _own
    if given is not None:
        return given
    with _own_lock:
        if _own is None or _own.closed:
            _own = zmq.Context()
            _own.set(zmq.MAX_SOCKETS, min(65_000, int(_own.get(zmq.SOCKET_LIMIT))))
        return _own


def tune(socket: zmq.Socket[Any], endpoints: Endpoints) -> None:
    """Options that all our sockets have."""
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.HANDSHAKE_IVL, 2000)
    socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_LIMIT + 65_536)
    if endpoints.transport == "tcp":
        socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 30)
        socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, 10)
        if endpoints.is_ipv6 or not _is_ipv4(endpoints.brokerAddress):
            socket.setsockopt(zmq.IPV6, 1)


def _is_ipv4(address: str) -> bool:
    try:
        system_socket.inet_pton(system_socket.AF_INET, address)
    except (OSError, ValueError):
        return False
    return True


def is_listened_at(address: str) -> bool:
    """Whether somebody listens at an ipc address: ZeroMQ would take it from them unasked."""
    if not address.startswith("ipc://") or not hasattr(system_socket, "AF_UNIX"):
        return False
    path = address.removeprefix("ipc://")
    with system_socket.socket(system_socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(f"\0{path[1:]}" if path.startswith("@") else path)
        except (TimeoutError, BlockingIOError):
            return True  # frozen: it listens, and takes no more connections
        except OSError:
            return False
    return True


def descriptor(socket: zmq.Socket[Any]) -> int:
    """The file descriptor that signals a socket's edges."""
    return int(socket.getsockopt(zmq.FD))


def has_message(socket: zmq.Socket[Any]) -> bool:
    """Whether a message can be received now; looks beyond the descriptor's edge."""
    return bool(socket.getsockopt(_EVENTS) & _POLLIN)  # type: ignore[operator]


def receive(socket: zmq.Socket[Any]) -> list[Any] | None:
    """One whole message, None when there is none. Large frames stay `zmq.Frame`."""
    try:
        frame = socket.recv(_NOW, copy=False)
    except zmq.Again:
        return None
    frames: list[Any] = [frame.bytes]
    while frame.more:
        frame = socket.recv(_NOW, copy=False)
        frames.append(frame.bytes if len(frame) < SMALL else frame)
    return frames


def send(socket: zmq.Socket[Any], frames: Sequence[Any]) -> None:
    """Send one whole message without waiting. Raises zmq.ZMQError if nothing was sent."""
    put = socket.send
    for frame in frames[:-1]:
        put(frame, _MORE_NOW, type(frame) is bytes and len(frame) < SMALL)
    frame = frames[-1]
    put(frame, _NOW, type(frame) is bytes and len(frame) < SMALL)


class ZmqLink:
    """A socket connected to a broker, and what is known of its connection.

    A DEALER at the rocBroker, unless another address and type are given. In inproc it is a
    DEALER whatever its peer: there libzmq does not look at types, and of all of them only
    this one knows whether it has a connection, and hides no message.
    """

    def __init__(
        self,
        ctx: zmq.Context[Any],
        endpoints: Endpoints,
        address: str | None = None,
        own_type: int = zmq.DEALER,
        receive_limit: int = 0,
    ) -> None:
        inproc = endpoints.transport == "inproc"
        self.socket: zmq.Socket[Any] = ctx.socket(zmq.DEALER if inproc else own_type)
        socket = self.socket
        tune(socket, endpoints)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.setsockopt(zmq.RCVHWM, receive_limit)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.RECONNECT_IVL, 50)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
        self.monitor: zmq.Socket[Any] | None = None
        self.fds: tuple[int, ...] = (descriptor(socket),)
        if not inproc:
            self.monitor = socket.get_monitor_socket(_UP | _DOWN)
            self._monitor_gate = Gate(descriptor(self.monitor))
            self.fds = (descriptor(socket), descriptor(self.monitor))
        self._inproc_changes = [True] if self.monitor is None else []
        self._monitor_unread = True
        self._quiet = False
        self._address = address or endpoints.rocBroker
        socket.connect(self._address)

    def send(self, frames: Sequence[Any], hold: bool = False) -> bool:
        """Send a message; False when there is no connection to take it. Nothing is held."""
        self._quiet = False
        try:
            send(self.socket, frames)
        except zmq.Again:
            if self.monitor is None:
                self._connect_again()
            return False
        return True

    def send_all(self, messages: Sequence[Sequence[bytes]]) -> bool:
        """Send messages; False when there is no connection to take them all."""
        return all(self.send(frames) for frames in messages)

    def flush(self) -> None:
        """libzmq sends by itself."""

    queued = 0
    """Bytes that wait to be sent: libzmq does not tell."""

    rounds = 0
    """How many attempts to connect were in vain: nor this."""

    def hurry(self) -> None:
        """libzmq tries again when it will."""

    def next_deadline(self) -> float | None:
        """When `changes` should be asked, whether or not there was a signal."""
        return None

    def _connect_again(self) -> None:
        """inproc does not do so by itself when its address is bound anew."""
        with contextlib.suppress(zmq.ZMQError):
            self.socket.connect(self._address)
        self._inproc_changes = [False, True]

    def receive(self) -> list[Any] | None:
        """One message, or None."""
        frames = receive(self.socket)
        self._quiet = frames is None
        return frames

    def readable(self) -> bool:
        """Whether a message is there; to be asked after each use, before waiting.

        Only after a look that found nothing does the descriptor signal the next message.
        """
        if self._quiet:
            return False
        self._quiet = not has_message(self.socket)
        return not self._quiet

    def changes(self, now: float) -> Sequence[bool]:
        """The connection's ups (True) and downs (False) since the last time."""
        if self.monitor is None:
            self._look_at_inproc()
        if self._inproc_changes:
            changes, self._inproc_changes = self._inproc_changes, []
            return changes
        if self.monitor is None or not (self._monitor_unread or self._monitor_gate.wait(0)):
            return []
        # Until it was read once, the monitor's descriptor says nothing.
        self._monitor_unread = False
        changes = []
        while True:
            message = receive(self.monitor)
            if message is None:
                return changes
            event = struct.unpack("=hi", message[0])[0]
            changes.append(event == _UP)

    def _look_at_inproc(self) -> None:
        """Whether there is a connection still. The look may swallow the descriptor's edge."""
        events: int = self.socket.getsockopt(_EVENTS)  # type: ignore[assignment]
        if events & _POLLIN:
            self._quiet = False
        if not events & _POLLOUT:
            self._connect_again()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return bool(self.socket.closed)

    def close(self, linger: float = 0.0) -> None:
        """Close; for up to ``linger`` seconds what was sent may still leave."""
        if self.monitor is not None:
            self.socket.disable_monitor()
            self.monitor.close(linger=0)
        self.socket.close(linger=int(linger * 1000))
