"""The connection of a process to its broker, whatever carries it: for calls, and for news.

News are the publications of everybody, status updates and log records: who publishes sends
them to the generalXSUB, who subscribes gets them from the generalXPUB. To stock peers our
links look like a DEALER, an XPUB and a SUB.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import zmq

from ..endpoints import Endpoints
from .dialing import check_transport
from .gates import Signal
from .sockets import ZmqLink
from .streams import StreamLink

__all__ = ["Link", "PublishingLink", "is_of_libzmq", "open_link", "open_publishing",
           "open_subscribing"]  # fmt: skip

_RECEIVE_LIMIT = 10_000
"""Messages that libzmq may hold for a subscriber that does not read."""


class Link(Protocol):
    """A connecting socket. One thread at a time uses it; waiting on ``fds`` needs no lock."""

    fds: tuple[int, ...]
    """The descriptors to wait on, the same for the whole life; messages come by the first."""

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""

    @property
    def queued(self) -> int:
        """Bytes that wait to be sent, as far as known."""

    @property
    def rounds(self) -> int:
        """How many attempts to reach the broker were in vain, or nearly so; it only grows."""

    def send(self, frames: Sequence[Any], hold: bool = False) -> bool:
        """Send a message; False when there is no connection to take it.

        One that may be held goes with the next that may not, or with `flush`.
        """

    def flush(self) -> None:
        """Let go what was held."""

    def send_all(self, messages: Sequence[Sequence[bytes]]) -> bool:
        """Send messages whose frames do not change; False when there is no connection."""

    def receive(self) -> list[Any] | None:
        """One message, None when there is none now."""

    def readable(self) -> bool:
        """Whether a message is there; to be asked after each use, before waiting."""

    def changes(self, now: float) -> Sequence[bool]:
        """Connect, if need be, and return ups (True) and downs (False) since the last time."""

    def next_deadline(self) -> float | None:
        """When `changes` should be asked, whether or not there was a signal."""

    def hurry(self) -> None:
        """Connect now, if ever."""

    def close(self, linger: float = 0.0) -> None:
        """Close; for up to ``linger`` seconds what was sent may still leave and arrive."""


def is_of_libzmq(endpoints: Endpoints) -> bool:
    """Whether links to there are sockets of libzmq.

    inproc lives in it; and so does a system without epoll and kqueue.
    """
    return endpoints.transport == "inproc" or not Signal.AVAILABLE


def open_link(ctx: zmq.Context[Any], endpoints: Endpoints) -> Link:
    """A link for calls to this broker; it connects, and connects again, by itself.

    Raises:
        ConfigError: this system has no ipc.
    """
    check_transport(endpoints)
    if is_of_libzmq(endpoints):
        return ZmqLink(ctx, endpoints)
    return StreamLink(endpoints)


def open_subscribing(ctx: zmq.Context[Any], endpoints: Endpoints) -> Link:
    """A link that subscribes. What begins with 1 subscribes to the rest, 0 ends that.

    A new connection knows nothing of the subscriptions of the one before.
    """
    check_transport(endpoints)
    address = endpoints.generalXPUB
    if is_of_libzmq(endpoints):
        return ZmqLink(ctx, endpoints, address, zmq.XSUB, _RECEIVE_LIMIT)
    return StreamLink(endpoints, address, b"SUB", (b"XPUB", b"PUB"))


def open_publishing(ctx: zmq.Context[Any], endpoints: Endpoints) -> PublishingLink:
    """A link that publishes."""
    check_transport(endpoints)
    address = endpoints.generalXSUB
    if is_of_libzmq(endpoints):
        patient = endpoints.transport == "inproc"
        return PublishingLink(ZmqLink(ctx, endpoints, address, zmq.XPUB), patient)
    return PublishingLink(StreamLink(endpoints, address, b"XPUB", (b"XSUB", b"SUB")))


class PublishingLink:
    """A link that is up when somebody listens at its other end.

    That is when the first subscription has come: what is sent to a SUB or XSUB before may be
    dropped. A stock XSUB that nobody listens at sends none; so after a second it is up as
    well, unless it is ``patient``: in inproc there is a connection before anybody binds.
    """

    PATIENCE = 1.0
    HURRY = 0.25
    """Seconds that it waits for a subscription, after the handshake, when time is short."""

    def __init__(self, link: Link, patient: bool = False) -> None:
        self._link = link
        self.fds = link.fds
        self._patience = None if patient else self.PATIENCE
        self._since: float | None = None
        self._listened = False
        self.up = False

    @property
    def queued(self) -> int:
        """Bytes that wait to be sent, as far as known."""
        return self._link.queued

    @property
    def rounds(self) -> int:
        """How many attempts to reach the broker were in vain, or nearly so; it only grows."""
        return self._link.rounds

    def send_all(self, messages: Sequence[Sequence[bytes]]) -> bool:
        """Send messages; False when there is nobody to take them."""
        return self.up and self._link.send_all(messages)

    def changes(self, now: float) -> Sequence[bool]:
        """Read what has come, and connect; returns ups and downs since the last time."""
        changes: list[bool] = []
        while True:
            # Whatever a look reads is looked at before anybody waits: there is no other signal.
            self._listened |= self._read()
            looked = self._link.changes(now)
            for up in looked:
                if self.up:
                    self.up = False
                    changes.append(False)
                self._since = now if up else None
                self._listened &= up
            if not looked and not self._link.readable():
                break
        if self._since is not None and not self.up and (self._listened or self._has_waited(now)):
            self.up = True
            changes.append(True)
        return changes

    def _has_waited(self, now: float) -> bool:
        return (
            self._since is not None
            and self._patience is not None
            and now >= self._since + self._patience
        )

    def _read(self) -> bool:
        """Whether there was a subscription in what has come. Which one matters not.

        In inproc an XSUB that had subscribed before we came says just the topic: nothing.
        """
        listened = False
        while (frames := self._link.receive()) is not None:
            listened |= bytes(frames[0][:1]) != b"\0"
        return listened

    def next_deadline(self) -> float | None:
        """When `changes` should be asked, whether or not there was a signal."""
        due = self._link.next_deadline()
        if self._since is None or self.up or self._patience is None:
            return due
        listening = self._since + self._patience
        return listening if due is None else min(due, listening)

    def hurry(self) -> None:
        """Connect now, if ever."""
        if self._patience is not None:
            self._patience = self.HURRY
        self._link.hurry()

    def close(self, linger: float = 0.0) -> None:
        """Close; for up to ``linger`` seconds what was sent may still leave and arrive."""
        self.up = False
        self._link.close(linger)
