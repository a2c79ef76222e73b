"""Addresses of the system's sockets, and outgoing connections: resolve, connect, try again.

* Nothing here blocks for long. A name is looked up by a thread, as that may take seconds.
* All addresses of a name are tried in turn; those that refuse at once cost no time.
* A name is looked up again while nobody answers: a broker may have moved.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import socket
from typing import Any

from ..endpoints import Endpoints
from ..errors import ConfigError
from .interrupts import OwnThread

__all__ = ["NOT_CONNECTED", "Dialer", "addresses_of", "check_transport", "tune_stream"]

NOT_CONNECTED = {errno.ENOTCONN, errno.EAGAIN, errno.EWOULDBLOCK, errno.EALREADY}
"""What a socket says whose connection attempt is under way."""

_UNDER_WAY = {errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", -1)}

# Looking up an address imports this when it is first done, mostly in a thread of ours. A child
# that is forked in the midst of that could never look up any.
codecs.lookup("idna")

Address = tuple[int, Any]


def check_transport(endpoints: Endpoints) -> None:
    """Raise ConfigError for ipc where the system has no sockets for it."""
    if endpoints.transport == "ipc" and not hasattr(socket, "AF_UNIX"):
        raise ConfigError(
            f"{endpoints.rocBroker}: there is no ipc on this system; use tcp, with a loopback"
            " address like '127.0.0.1'."
        )


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
    try:
        found = socket.getaddrinfo(
            None if host == "*" else host, int(port), type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE if host == "*" else 0,
        )  # fmt: skip
    except UnicodeError as error:  # no name that could be asked for
        raise OSError(errno.EINVAL, str(error)) from None
    return list(dict.fromkeys((family, place) for family, _, _, _, place in found))


def _needs_lookup(endpoints: Endpoints) -> bool:
    """Whether the address is a name, so that resolving it may take long."""
    if endpoints.transport != "tcp":
        return False
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, endpoints.brokerAddress.partition("%")[0])
            return False
    return True


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
    """Begins the attempts to reach one address.

    Between rounds over all that the address stands for are pauses of 0.05 s to 0.5 s. After
    a connection that lasted the next attempt is made at once.
    """

    FIRST, LONGEST = 0.05, 0.5
    HANDSHAKE = 2.0
    """Seconds that an attempt may take until messages can be exchanged."""

    _LOOK_UP_AGAIN = 5.0
    _AT_ONCE = 0.02

    def __init__(self, endpoints: Endpoints, address: str) -> None:
        self._endpoints = endpoints
        self._address = address
        self._lookup = _needs_lookup(endpoints)
        self._resolved: list[Address] | None = None
        self._resolving = False
        self._resolved_at = 0.0
        self._untried: list[Address] = []
        self._pause = self.FIRST
        self._stood = False
        self._begun = 0.0
        self._next = 0.0
        self.rounds = 0
        """How many rounds over all addresses have been ended, or were in vain."""

    @property
    def next_attempt(self) -> float:
        """When `dial` should be called again."""
        return 0.0 if self._stood else self._next

    def hurry(self) -> None:
        """Try again at once: there is not much time left."""
        self._pause, self._next = self.FIRST, 0.0

    def dial(self, now: float) -> socket.socket | None:
        """Begin an attempt, if it is time for one: a socket that is or will be connected."""
        if self._stood:
            self._after_a_connection(now)
        while now >= self._next:
            if not self._untried and not self._begin_round(now):
                return None
            address = self._untried.pop(0)
            if not self._untried:
                self._next = now + self._back_off()
            sock = _attempt(address)
            if sock is not None:
                self._begun = now
                return sock
        return None

    def succeeded(self) -> None:
        """The connection that was begun last stands."""
        self._stood = True

    def _after_a_connection(self, now: float) -> None:
        self._stood = False
        self._untried = []
        if now - self._begun > self.LONGEST:
            self._pause, self._next = self.FIRST, 0.0
        else:
            # It is thrown out again and again: not as fast as the two computers can.
            self._next = now + self._back_off()

    def _begin_round(self, now: float) -> bool:
        """Whether there is anything to be tried now."""
        if not self._lookup:
            with contextlib.suppress(OSError):
                self._resolved = addresses_of(self._endpoints, self._address)
        elif not self._resolving and (
            self._resolved is None or now - self._resolved_at > self._LOOK_UP_AGAIN
        ):
            self._look_up_aside(now)
        if self._resolved is None:
            self._next = now + (0.01 if self._resolving else self._back_off())
            return False
        self._untried = list(self._resolved)
        return True

    def _back_off(self) -> float:
        self.rounds += 1
        pause, self._pause = self._pause, min(self._pause * 2, self.LONGEST)
        return pause

    def _look_up_aside(self, now: float) -> None:
        self._resolving = True
        self._resolved_at = now
        thread = OwnThread(self._look_up, "roc-resolver")
        thread.start()
        if self._resolved is None:
            thread.join(self._AT_ONCE)  # most names are known to this computer

    def _look_up(self) -> None:
        try:
            # Where the name is not known any more, its last address may still be right.
            found = addresses_of(self._endpoints, self._address)
            self._resolved = found or self._resolved
        except OSError:
            pass
        finally:
            self._resolving = False


def _attempt(address: Address) -> socket.socket | None:
    """A socket with the options that all our streams have, on its way to this address."""
    family, place = address
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        return None
    try:
        sock.setblocking(False)
        tune_stream(sock)
        code = sock.connect_ex(place)
    except OSError as error:
        code = error.errno or errno.EIO
    # For a local socket EAGAIN means that too many wait there already: nothing is under way.
    local = family == getattr(socket, "AF_UNIX", None)
    if code and (local or code not in _UNDER_WAY):
        sock.close()
        return None
    return sock
