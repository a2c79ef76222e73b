"""The connection of a client or a server to its broker, whatever carries it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import zmq

from ..endpoints import Endpoints
from .dialing import check_transport
from .gates import Signal
from .sockets import ZmqLink
from .streams import StreamLink

__all__ = ["Link", "open_link"]


class Link(Protocol):
    """A DEALER. One thread at a time uses it; waiting on ``fds`` needs no lock."""

    fds: tuple[int, ...]
    """The descriptors to wait on, the same for the whole life; messages come by the first."""

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""

    def send(self, frames: Sequence[Any]) -> bool:
        """Send a message; False when there is no connection to take it."""

    def receive(self) -> list[Any] | None:
        """One message, None when there is none now."""

    def readable(self) -> bool:
        """Whether a message is there; to be asked after each use, before waiting."""

    def changes(self, now: float) -> Sequence[bool]:
        """Connect, if need be, and return ups (True) and downs (False) since the last time."""

    def close(self, linger: bool = False) -> None:
        """Close; with ``linger``, what was sent may still leave for up to a second."""


def open_link(ctx: zmq.Context[Any], endpoints: Endpoints) -> Link:
    """A link to this broker; it connects, and connects again, by itself.

    inproc lives in libzmq; so does a system without epoll and kqueue.

    Raises:
        ConfigError: this system has no ipc.
    """
    check_transport(endpoints)
    if endpoints.transport == "inproc" or not Signal.AVAILABLE:
        return ZmqLink(ctx, endpoints)
    return StreamLink(endpoints)
