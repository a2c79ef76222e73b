"""A feed and a reader as simple as they can be, and a stock broker's sockets.

Child processes import it too: ``spawn(..., env=CHILD)``.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from runmacs.roc import Endpoints
from runmacs.roc._drivers.publishers import open_publisher
from runmacs.roc._drivers.publishing import Publisher
from runmacs.roc._drivers.subscribing import Subscription

__all__ = ["CHILD", "Desk", "SimpleFeed", "SimpleReader", "StockXPub", "StockXSub"]

CHILD: dict[str, str | None] = {
    "PYTHONPATH": os.pathsep.join(
        [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
}


class SimpleFeed:
    """Sends what was put, once."""

    def __init__(self) -> None:
        self.waiting: deque[list[bytes]] = deque()
        self.events: list[str] = []
        self.taken = 0
        self.asked = 0
        self.due: float | None = None

    def put(self, *frames: bytes) -> None:
        self.waiting.append(list(frames))

    def link_up(self, now: float) -> None:
        self.events.append("up")

    def link_down(self, now: float) -> None:
        self.events.append("down")

    def take(self, now: float, room: int) -> list[list[bytes]]:
        self.asked += 1
        if self.due is not None and now >= self.due:
            self.due = None
        messages = []
        while self.waiting and room > 0:
            message = self.waiting.popleft()
            room -= sum(map(len, message))
            messages.append(message)
        self.taken += len(messages)
        return messages

    def next_deadline(self) -> float | None:
        return self.due

    def empty(self) -> bool:
        return not self.waiting

    def on_fork(self) -> None:
        self.events = ["fork"]
        self.waiting.clear()


class SimpleReader:
    """Keeps all that comes; subscribes to the topics named."""

    def __init__(self, *topics: bytes, keep: bool = True) -> None:
        self.topics = topics or (b"",)
        self.messages: list[list[bytes]] = []
        self.count = 0
        self.events: list[str] = []
        self.due: float | None = None
        self.ticks = 0
        self.to_send: list[list[bytes]] = []
        self._keep = keep

    def link_up(self, now: float, out: list[list[bytes]]) -> None:
        self.events.append("up")
        out += [[b"\1" + topic] for topic in self.topics]

    def link_down(self, now: float) -> None:
        self.events.append("down")

    def on_frames(self, frames: list[Any], now: float, out: list[list[bytes]]) -> None:
        self.count += 1
        if self._keep:
            self.messages.append([bytes(frame) for frame in frames])
        out += self.to_send
        self.to_send = []

    def tick(self, now: float, out: list[list[bytes]]) -> None:
        self.ticks += 1
        self.due = None
        out += self.to_send
        self.to_send = []

    def next_deadline(self) -> float | None:
        return self.due


class StockXSub:
    """A generalXSUB of libzmq's that hears everything, unless it ``listens`` not."""

    def __init__(self, endpoints: Endpoints, listens: bool = True) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.XSUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.bind(endpoints.generalXSUB)
        if listens:
            self.socket.send(b"\1")

    def receive(self, timeout: float = 30.0) -> list[bytes]:
        assert self.socket.poll(int(timeout * 1000)), f"nothing came within {timeout} s"
        return self.socket.recv_multipart()

    def close(self) -> None:
        self.socket.close()
        self.context.term()

    def __enter__(self) -> StockXSub:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class StockXPub:
    """A generalXPUB of libzmq's."""

    def __init__(self, endpoints: Endpoints, linger: int = 0) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.XPUB)
        self.socket.setsockopt(zmq.LINGER, linger)
        self.socket.setsockopt(zmq.SNDHWM, 0)
        self.socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self.socket.bind(endpoints.generalXPUB)

    def subscription(self, timeout: float = 30.0) -> bytes:
        """What is subscribed to next, or no longer."""
        assert self.socket.poll(int(timeout * 1000)), f"no subscription within {timeout} s"
        return self.socket.recv()

    def send(self, *frames: bytes) -> None:
        self.socket.send_multipart(frames)

    def close(self) -> None:
        self.socket.close()
        self.context.term()

    def __enter__(self) -> StockXPub:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Desk:
    """A publisher with a feed and a subscription, at the same broker."""

    def __init__(
        self, endpoints: Endpoints, ctx: Any = None, reader: SimpleReader | None = None
    ) -> None:
        self.feed = SimpleFeed()
        self.publisher: Publisher = open_publisher(ctx, endpoints)
        self.publisher.attach(self.feed)
        self.reader = reader or SimpleReader()
        self.subscription = Subscription(ctx, endpoints, self.reader)

    def emit(self, *frames: bytes) -> None:
        self.feed.put(*frames)
        self.publisher.wake()

    def pump_until(self, condition: Callable[[], object], what: str, timeout: float = 30.0) -> None:
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f"not within {timeout} s: {what}"
            self.subscription.pump(0.02)

    def connect(self) -> None:
        """Until what is published comes back."""

        def arrives() -> bool:
            self.emit(b"probe")
            return [b"probe"] in self.reader.messages

        self.pump_until(arrives, "a publication arrives")
        self.emit(b"last probe")
        self.pump_until(lambda: [b"last probe"] in self.reader.messages, "the last one arrives")
        self.reader.messages.clear()
        self.reader.count = 0

    def close(self) -> None:
        self.subscription.close()
        self.publisher.detach(self.feed, 1.0)

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def publisher_threads() -> list[threading.Thread]:
    """The threads that publish now."""
    return [thread for thread in threading.enumerate() if thread.name == "roc-publisher"]
