"""The other end of a connection, in a test's hand; and links, fronts and news driven as their
owners do it."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any

from runmacs.roc import Endpoints
from runmacs.roc._drivers.clock import now as clock
from runmacs.roc._drivers.fronts import StreamFront
from runmacs.roc._drivers.gates import Gate, Poller
from runmacs.roc._drivers.hosting import see_off
from runmacs.roc._drivers.intake import StreamIntake
from runmacs.roc._drivers.news import News
from runmacs.roc._drivers.outlet import StreamOutlet
from runmacs.roc._drivers.streams import StreamLink
from runmacs.roc.core.news import NewsCore
from runmacs.roc.core.traffic import Traffic
from runmacs.roc.wire import handshake, zmtp

__all__ = ["DrivenFront", "DrivenLink", "DrivenNews", "Peer", "loopback_listener"]


def loopback_listener(backlog: int = 10) -> tuple[socket.socket, Endpoints]:
    """A socket that listens, and what to connect a link to for it."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(backlog)
    listener.settimeout(30)
    return listener, Endpoints("127.0.0.1", listener.getsockname()[1])


class Peer:
    """A ZeroMQ socket with one connection, which blocks for at most 30 s."""

    def __init__(self, sock: socket.socket, kind: bytes = b"DEALER", identity: bytes = b"") -> None:
        self.sock = sock
        sock.settimeout(30)
        self.decoder = handshake.Decoder(1 << 30, (b"DEALER", b"ROUTER", b"XSUB", b"XPUB"))
        self.messages: list[list[bytes]] = []
        self.hello = handshake.GREETING + _ready(kind, identity)

    @classmethod
    def to(cls, place: Any, kind: bytes = b"DEALER", identity: bytes = b"") -> Peer:
        """Connect."""
        family = socket.AF_INET if isinstance(place, tuple) else socket.AF_UNIX
        sock = socket.socket(family)
        sock.settimeout(30)
        sock.connect(place)
        return cls(sock, kind, identity)

    def greet(self) -> Peer:
        """Shake hands."""
        self.sock.sendall(self.hello)
        while not self.decoder.up:
            self.read()
        return self

    def send(self, *frames: Any) -> None:
        for part in zmtp.encode(frames):
            self.sock.sendall(part)

    def read(self) -> None:
        """Read once. Raises ConnectionResetError at the end."""
        space = self.decoder.space()
        if space is None:
            data = self.sock.recv(65_536)
            if not data:
                raise ConnectionResetError("closed by the peer")
            messages = self.decoder.feed(data)
        else:
            with space:
                count = self.sock.recv_into(space)
            if not count:
                raise ConnectionResetError("closed by the peer")
            messages = self.decoder.received(count)
        self.messages += [[bytes(frame) for frame in message] for message in messages]

    def receive(self) -> list[bytes]:
        while not self.messages:
            self.read()
        return self.messages.pop(0)

    def collect(self, count: int) -> None:
        """Read until so many messages are there."""
        while len(self.messages) < count:
            self.read()

    def is_over(self) -> bool:
        """Whether the other end has closed; what was sent before is kept in `messages`."""
        self.sock.settimeout(0.001)
        try:
            while True:
                self.read()
        except TimeoutError:
            return False
        except OSError:
            return True
        finally:
            self.sock.settimeout(30)

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Close with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def _ready(kind: bytes, identity: bytes) -> bytes:
    data = b"".join(
        bytes((len(name),)) + name + len(value).to_bytes(4, "big") + value
        for name, value in ((b"Socket-Type", kind), (b"Identity", identity))
    )
    body = b"\x05READY" + data
    return bytes((6,)) + len(body).to_bytes(8, "big") + body


class DrivenLink:
    """A link, its messages, and its ups and downs; it waits for nothing but its descriptor."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.link = StreamLink(endpoints)
        self.messages: list[list[bytes]] = []
        self.changes: list[bool] = []

    def turn(self, timeout: float) -> None:
        link = self.link
        ready = bool(Gate(*link.fds).wait(0.0 if link.readable() else timeout))
        while ready or link.readable():
            ready = False
            message = link.receive()
            if message is None:
                break
            self.messages.append([bytes(frame) for frame in message])
        self.changes += link.changes(clock())

    def until(self, condition: Callable[[], object], what: str, timeout: float = 30.0) -> None:
        """Drive it until the condition holds; connecting is looked at every 50 ms."""
        end = clock() + timeout
        while not condition():
            if clock() > end:
                raise AssertionError(f"not within {timeout} s: {what}")
            up = bool(self.changes) and self.changes[-1]
            self.turn(1.0 if up else 0.05)

    def reach(self, listener: socket.socket) -> None:
        """Drive it until somebody may be accepted there."""
        self.until(lambda: select.select([listener], (), (), 0)[0], "an attempt")

    def connect(self, listener: socket.socket) -> Peer:
        """Connect it to a peer."""
        self.reach(listener)
        peer = Peer(listener.accept()[0], b"ROUTER")
        peer.sock.sendall(peer.hello)
        ups = len(self.changes)
        self.until(lambda: len(self.changes) > ups, "up")
        assert self.changes[-1]
        while not peer.decoder.up:
            peer.read()
        return peer


class DrivenFront:
    """A front with its poller; what has come is in ``inbox``."""

    def __init__(self, endpoints: Endpoints) -> None:
        self.poller = Poller()
        self.front = StreamFront(self.poller)
        self.inbox: list[list[Any]] = []
        self.gone: list[bytes] = []
        self.endpoints = endpoints
        self.front.bind(endpoints)

    @classmethod
    def on_loopback(cls) -> DrivenFront:
        probe, endpoints = loopback_listener()
        probe.close()
        return cls(endpoints)

    @property
    def place(self) -> tuple[str, int]:
        return self.endpoints.brokerAddress, self.endpoints.brokerBasePort

    def turn(self, timeout: float = 0.0, now: float | None = None) -> Sequence[int]:
        ready = self.poller.wait(timeout)
        for portion in self.front.collect(ready):
            self.inbox += portion
            self.front.flush()
        self.gone += self.front.tick(clock() if now is None else now)
        return ready

    def until(self, condition: Callable[[], object], what: str, timeout: float = 30.0) -> None:
        end = clock() + timeout
        while not condition():
            if clock() > end:
                raise AssertionError(f"not within {timeout} s: {what}")
            self.turn(0.05)

    def connect(self, kind: bytes = b"DEALER", identity: bytes = b"") -> Peer:
        """A peer that has shaken hands."""
        peer = Peer.to(self.place, kind, identity)
        known = len(self.front._peers)
        peer.sock.sendall(peer.hello)
        self.until(lambda: len(self.front._peers) > known, "the handshake")
        while not peer.decoder.up:
            peer.read()
        return peer

    def close(self) -> None:
        self.front.close()
        self.poller.close()


class PassOn(NewsCore):
    """Passes on whatever comes: drivers do not care for topics."""

    def __init__(self) -> None:
        super().__init__("b1")

    def on_publication(self, frames: list[Any], now: float, out: list[Any]) -> None:
        out.append(frames)

    def on_subscribed(self, topic: bytes, now: float, out: list[Any]) -> None:
        pass


class DrivenNews:
    """The broker's publications with their poller."""

    def __init__(self, core: NewsCore | None = None, limit: int = 8 * 1024 * 1024) -> None:
        self.poller = Poller()
        self.traffic = Traffic()
        self.endpoints = Endpoints("127.0.0.1", 0)
        core = core or PassOn()
        self.news = News(self.poller, None, self.endpoints, core, self.traffic, limit)
        while not self._bind():
            pass
        self.calls_flow = False
        self.is_called: Callable[[], bool] = lambda: False
        self.busy = False

    def _bind(self) -> bool:
        """Whether the ports after one that is free were free as well."""
        probe, self.endpoints = loopback_listener()
        probe.close()
        try:
            self.news.intake.bind(self.endpoints)
            self.news.outlet.bind(self.endpoints)
        except OSError:
            self.news.intake.unbind(self.endpoints)
            return False
        return True

    def turn(self, timeout: float = 0.0, now: float | None = None) -> None:
        """One turn. With ``now``, the time that its sides are told after it."""
        ready = self.poller.wait(0.0 if self.busy else timeout)
        self.busy = self.news.turn(ready, self.calls_flow, self.is_called)
        if now is not None:
            self.news.intake.look_after(now)
            self.news.outlet.look_after(now)

    def until(self, condition: Callable[[], object], what: str, timeout: float = 30.0) -> None:
        end = clock() + timeout
        while not condition():
            if clock() > end:
                raise AssertionError(f"not within {timeout} s: {what}")
            self.turn(0.02)

    def _connect(self, offset: int, kind: bytes) -> Peer:
        place = (self.endpoints.brokerAddress, self.endpoints.brokerBasePort + offset)
        return Peer.to(place, kind)

    def publisher(self, kind: bytes = b"PUB") -> Peer:
        """One that has shaken hands, and has been asked for everything."""
        peer = self._connect(1, kind)
        known = self.traffic.publishers or 0
        peer.sock.sendall(peer.hello)
        self.until(lambda: (self.traffic.publishers or 0) > known, "the handshake")
        assert peer.receive() == [b"\x01"]
        return peer

    def wait_for_arrival(self, publisher: Peer) -> None:
        """Until what this publisher has sent can be read here, without reading it."""
        intake = self.news.intake
        assert isinstance(intake, StreamIntake)
        own = publisher.sock.getsockname()
        (sock,) = (
            connection._sock
            for connection in intake._connections.values()
            if connection._sock.getpeername() == own
        )
        assert select.select([sock], [], [], 30.0)[0], "nothing has come within 30 s"

    def subscriber(self, *prefixes: bytes, kind: bytes = b"SUB") -> Peer:
        """One that has shaken hands, and gets what begins so."""
        peer = self._connect(2, kind)
        known = self.traffic.subscribers or 0
        peer.sock.sendall(peer.hello)
        self.until(lambda: (self.traffic.subscribers or 0) > known, "the handshake")
        while not peer.decoder.up:
            peer.read()
        for prefix in prefixes:
            peer.send(b"\x01" + prefix)
        if prefixes:
            subscribed = set(prefixes)
            own = peer.sock.getsockname()
            self.until(lambda: subscribed <= self._subscribed(own), "the subscriptions")
        return peer

    def _subscribed(self, place: Any) -> set[bytes]:
        """What the peer at this place has subscribed to."""
        outlet = self.news.outlet
        assert isinstance(outlet, StreamOutlet)
        for connection in outlet._connections.values():
            if connection._sock.getpeername() == place:
                return set(outlet._matching._prefixes.get(connection, ()))
        return set()

    def expect(self, peer: Peer, *messages: list[bytes]) -> None:
        """It gets these, in this order, and nothing else yet."""
        self.until(lambda: self._has(peer, len(messages)), f"{len(messages)} messages")
        got, peer.messages = peer.messages, []
        assert got == list(messages)

    def _has(self, peer: Peer, count: int) -> bool:
        peer.is_over()
        return len(peer.messages) >= count

    def close(self) -> None:
        see_off(self.poller, self.news.part())
        self.poller.close()
