"""Where publications go out: an XPUB on plain sockets, and one of libzmq for inproc.

Rules:

* A message goes to a connection once, if its topic begins with any of that one's prefixes.
* What came as bytes goes out as bytes: messages that lie back to back and have the same
  takers are one piece, and nothing is encoded that was not changed.
* A subscriber that does not read: so many bytes wait for it; what comes then is dropped for
  it alone, and counted, until its queue has drained below half.
* What is no subscription is dropped and counted. One with prefixes of over 4 MiB, each counted with
  256 bytes more, is cut off: going through them would delay others.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from typing import Any, Protocol

import zmq

from ..core.matching import Matching
from ..core.traffic import Traffic
from ..endpoints import Endpoints
from ..wire import zmtp
from ..wire.memory import Memory
from .gates import Poller
from .hosting import Leaving, StreamHost
from .intake import Batch
from .sockets import descriptor, has_message, receive, send, tune
from .streams import Connection

__all__ = ["Change", "Outlet", "StreamOutlet", "ZmqOutlet"]

_PREFIX_BYTES = 4 * 1024 * 1024
_PREFIX_COST = 256
"""What a prefix counts beside its bytes."""

_SUBSCRIPTION = 64 * 1024
_READ = 4 * 1024
_JOINED = 64 * 1024
_TOPICS = 16 * 1024
_TOPIC_BYTES = 512
"""Longer topics are matched anew each time; so what is remembered is bounded."""

_DRAIN = 64

Change = tuple[bytes, bool]
"""A prefix that nobody had before (True), or that nobody has any more (False)."""


class Outlet(Protocol):
    """What the broker's loop needs of the subscribers' side."""

    descriptors: set[int]
    """Of its sockets: when none of them is ready, nothing has come."""

    def bind(self, endpoints: Endpoints) -> None:
        """Listen at the generalXPUB address. Raises OSError or zmq.ZMQError."""

    def unbind(self, endpoints: Endpoints) -> None:
        """Listen no longer, if it did."""

    def collect(self, ready: Iterable[int]) -> None:
        """Take subscriptions, and note who can be written to."""

    def changes(self) -> list[Change]:
        """What was subscribed first, and what nobody wants any more, since the last time."""

    def publish(self, messages: list[list[bytes]], batch: Batch | None = None) -> None:
        """Publish messages in order; those that came in ``batch`` are known as bytes."""

    def subscribers(self) -> int | None:
        """How many are connected, if that is known."""

    def flush(self) -> bool:
        """The turn ends: let everything go. True if there may be subscriptions to collect."""

    def look_after(self, now: float) -> None:
        """Time has passed."""

    def part(self) -> Leaving:
        """Close, except those who have not read all."""


class Subscriber(Connection):
    """A connection that publications go to."""

    __slots__ = ("full", "pieces", "prefix_bytes")

    def __init__(self, sock: socket.socket, memory: Memory) -> None:
        super().__init__(sock, StreamOutlet.OWN_TYPE, StreamOutlet.PEERS, memory, _SUBSCRIPTION)
        self.pieces: list[bytes] = []
        self.prefix_bytes = 0
        self.full = False

    def settle(self) -> None:
        """Queue the pieces, joined, so that they are few."""
        pieces = self.pieces
        if pieces:
            self.put_encoded(pieces[0] if len(pieces) == 1 else b"".join(pieces))
            pieces.clear()


class Route:
    """Who gets certain topics: those that can take something, and how many that cannot."""

    __slots__ = ("full", "takers")

    def __init__(self, subscribers: tuple[Subscriber, ...]) -> None:
        self.takers = tuple(each for each in subscribers if not each.full)
        self.full = len(subscribers) - len(self.takers)


class StreamOutlet(StreamHost):
    """An XPUB on plain sockets. ``limit`` is how many bytes may wait for a subscriber."""

    OWN_TYPE = b"XPUB"
    PEERS = (b"SUB", b"XSUB")

    def __init__(self, poller: Poller, traffic: Traffic, limit: int) -> None:
        super().__init__(poller)
        self._traffic = traffic
        self._limit = limit
        self._matching: Matching[Subscriber] = Matching()
        self._routes: dict[bytes, Route] = {}
        self._same: dict[tuple[Subscriber, ...], Route] = {}
        self._changes: list[Change] = []

    def bind(self, endpoints: Endpoints) -> None:
        self.listen(endpoints, endpoints.generalXPUB)

    def _connect(self, sock: socket.socket) -> Connection:
        return Subscriber(sock, self._memory)

    # ---- subscriptions

    def collect(self, ready: Iterable[int]) -> None:
        for fd in ready:
            subscriber = self._connections.get(fd)
            if subscriber is not None:
                if subscriber.queued:
                    self._to_flush[fd] = subscriber
                for message in self._read_once(subscriber, _READ) or ():
                    self._on_message(subscriber, message)
            elif fd in self._listeners:
                self._accept(self._listeners[fd])

    def _on_message(self, subscriber: Subscriber, message: list[Any]) -> None:
        kind, prefix = message[0][:1], bytes(message[0][1:])
        if subscriber.closed:
            return
        if len(message) == 1 and kind == b"\1":
            self._subscribe(subscriber, prefix)
        elif len(message) == 1 and kind == b"\0" and self._matching.has(subscriber, prefix):
            self._unsubscribe(subscriber, prefix)
        else:
            self._traffic.dropped_malformed_subscription += 1

    def _subscribe(self, subscriber: Subscriber, prefix: bytes) -> None:
        if not self._matching.has(subscriber, prefix):
            subscriber.prefix_bytes += len(prefix) + _PREFIX_COST
            if subscriber.prefix_bytes > _PREFIX_BYTES:
                self._drop(subscriber)
                return
            self._forget_routes()
        if self._matching.add(subscriber, prefix):
            self._changes.append((prefix, True))

    def _unsubscribe(self, subscriber: Subscriber, prefix: bytes) -> None:
        if self._matching.remove(subscriber, prefix):
            self._changes.append((prefix, False))
        if not self._matching.has(subscriber, prefix):
            subscriber.prefix_bytes -= len(prefix) + _PREFIX_COST
            self._forget_routes()

    def changes(self) -> list[Change]:
        if not self._changes:
            return []
        changes, self._changes = self._changes, []
        return changes

    def _bid_farewell(self, subscriber: Subscriber) -> None:
        self._changes += [(prefix, False) for prefix in self._matching.drop(subscriber)]
        subscriber.pieces.clear()
        self._forget_routes()

    def subscribers(self) -> int | None:
        return len(self._connections) - len(self._young)

    # ---- publications

    def _forget_routes(self) -> None:
        self._routes.clear()
        self._same.clear()

    def _route(self, topic: bytes) -> Route:
        subscribers = self._matching.match(topic)
        route = self._same.get(subscribers)
        if route is None:
            route = self._same[subscribers] = Route(subscribers)
        if len(topic) <= _TOPIC_BYTES:
            if len(self._routes) >= _TOPICS:
                self._forget_routes()
            self._routes[topic] = route
        return route

    def publish(self, messages: list[list[bytes]], batch: Batch | None = None) -> None:
        if batch is None:
            for message in messages:
                self._encode(message)
        elif messages == batch.messages:
            self._pass_on(batch)
        else:
            self._pick(messages, batch)

    def _pass_on(self, batch: Batch) -> None:
        """All messages as they came: neighbours with the same takers are one piece."""
        messages, passage = batch.messages, batch.passage
        data, ends = passage.data, passage.ends
        first = len(messages) - len(ends)
        for message in messages[:first]:
            self._encode(message)
        begin = position = passage.start
        known = self._routes.get
        current: Route | None = None
        count = 0
        for index, end in enumerate(ends, first):
            topic = messages[index][0]
            route = known(topic) or self._route(topic)
            if route is not current:
                if current is not None:
                    self._put(current, data[begin:position], count)
                current, begin, count = route, position, 0
            count += 1
            position = end
        if current is not None:
            self._put(current, data[begin:position], count)

    def _pick(self, messages: list[list[bytes]], batch: Batch) -> None:
        """Some were changed, dropped or added: those that came are still known as bytes."""
        passage = batch.passage
        whole = batch.messages[len(batch.messages) - len(passage.ends) :]
        places: dict[int, tuple[int, int]] = {}
        begin = passage.start
        for message, end in zip(whole, passage.ends, strict=True):
            places[id(message)] = (begin, end)
            begin = end
        for message in messages:
            place = places.get(id(message))
            if place is None:
                self._encode(message)
            else:
                route = self._routes.get(message[0]) or self._route(message[0])
                self._put(route, passage.data[place[0] : place[1]], 1)

    def _encode(self, message: list[bytes]) -> None:
        route = self._routes.get(message[0]) or self._route(message[0])
        if route.takers:
            parts = zmtp.encode(message)
            for part in parts[:-1]:
                self._put(route, part, 0)
            self._put(route, parts[-1], 1)
        else:
            self._traffic.dropped_subscriber_full += route.full

    def _put(self, route: Route, piece: Any, count: int) -> None:
        traffic = self._traffic
        traffic.dropped_subscriber_full += count * route.full
        traffic.publications_passed_on += count * len(route.takers)
        for subscriber in route.takers:
            if len(piece) < _JOINED:
                subscriber.pieces.append(piece)
            else:
                subscriber.settle()
                subscriber.put_encoded(piece)
            self._to_flush[subscriber.fd] = subscriber

    def _flush_one(self, subscriber: Subscriber) -> None:
        subscriber.settle()
        super()._flush_one(subscriber)
        limit = self._limit // 2 if subscriber.full else self._limit
        if subscriber.full != (subscriber.queued > limit):
            subscriber.full = not subscriber.full
            self._forget_routes()

    def on_fork(self) -> None:
        super().on_fork()
        self._matching = Matching()
        self._forget_routes()


class ZmqOutlet:
    """An XPUB of libzmq: inproc needs the context that the peers share.

    It drops by itself, and tells nobody, what a subscriber that does not read has no room for.
    """

    def __init__(
        self, poller: Poller, ctx: zmq.Context[Any], endpoints: Endpoints, traffic: Traffic
    ) -> None:
        self._socket: zmq.Socket[Any] = ctx.socket(zmq.XPUB)
        tune(self._socket, endpoints)
        self._fd = descriptor(self._socket)
        self.descriptors = {self._fd}
        poller.add(self._fd)
        self._poller = poller
        self._traffic = traffic
        self._changes: list[Change] = []
        self._unread = True

    def bind(self, endpoints: Endpoints) -> None:
        self._socket.bind(endpoints.generalXPUB)

    def unbind(self, endpoints: Endpoints) -> None:
        with contextlib.suppress(zmq.ZMQError):
            self._socket.unbind(endpoints.generalXPUB)

    def collect(self, ready: Iterable[int]) -> None:
        if not self._unread and self._fd not in ready:
            return
        for _ in range(_DRAIN):
            message = receive(self._socket)
            if message is None:
                return
            if len(message) != 1 or message[0][:1] not in (b"\0", b"\1"):
                self._traffic.dropped_malformed_subscription += 1
            else:
                self._changes.append((bytes(message[0][1:]), message[0][:1] == b"\1"))

    def changes(self) -> list[Change]:
        changes, self._changes = self._changes, []
        return changes

    def publish(self, messages: list[list[bytes]], batch: Batch | None = None) -> None:
        for message in messages:
            try:
                send(self._socket, message)
            except zmq.ZMQError:
                self._traffic.dropped_subscriber_full += 1
            else:
                self._traffic.publications_passed_on += 1

    def subscribers(self) -> int | None:
        return None

    def flush(self) -> bool:
        # A send may have swallowed the descriptor's edge.
        self._unread = has_message(self._socket)
        return self._unread

    def look_after(self, now: float) -> None:
        pass

    def part(self) -> Leaving:
        self._poller.remove(self._fd)
        self._socket.close(linger=500)
        return {}
