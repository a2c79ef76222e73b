"""Many peers of a broker in one process: `python -m benchmarks.crowd ADDRESS`.

Plain sockets that speak ZMTP, so that thousands cost little. It answers, one JSON a line:

* `{"objects": 100}`: until there are so many servers, each shares an object, `thing0` ...,
  and beats as the specification asks; the answer is the seconds that it took.
* `{"clients": 100}`: until there are so many clients, each of which has been served once.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from typing import Any

from runmacs.roc.wire import handshake, zmtp

BEAT = 0.5
_AT_ONCE = 50
"""Peers that may connect at the same time."""
PROPERTIES = (
    b'{"version":1,"instance":"crowd%d","interval":0.5,"prefetch":16,"host":"crowd","pid":1}'
)
ASKED = b'{"jsonrpc":"2.0","id":1,"method":"rpc.ping"}'
_HEARTBEAT = b"".join(zmtp.encode([b"", b"MDPW01", b"\x04"]))


class Peer:
    """One connection."""

    def __init__(self, address: str, first: list[bytes]) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(handshake.GREETING + handshake.ready(b"DEALER"))
        self.decoder = handshake.Decoder(1 << 20, (b"ROUTER",))
        self._first = first
        self._asked = False
        self._began = time.monotonic()
        self.greeted = False

    def on_readable(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            age = time.monotonic() - self._began
            state = "in use" if self.greeted else "not greeted yet"
            raise ConnectionError(f"the broker closed a connection, {state} after {age:.1f} s")
        if self.greeted:
            return  # what it says now does not matter, but that it is read
        messages = self.decoder.feed(data)
        if self.decoder.up and not self._asked:
            self._asked = True
            self.socket.sendall(b"".join(zmtp.encode(self._first)))
        if messages:
            self.greeted = True


class Crowd:
    def __init__(self, address: str) -> None:
        self.address = address
        self.selector = selectors.DefaultSelector()
        self.servers: list[Peer] = []
        self.clients: list[Peer] = []
        self._turn = 0
        self._beaten = time.monotonic()

    def add(self, kind: str, count: int) -> float:
        """Grow to so many, and return the seconds until the broker has answered all."""
        several = self.servers if kind == "objects" else self.clients
        began = time.perf_counter()
        fresh: list[Peer] = []
        while len(several) < count or fresh:
            fresh = [peer for peer in fresh if not peer.greeted]
            while len(several) < count and len(fresh) < _AT_ONCE:
                peer = Peer(self.address, self._first(kind, len(several)))
                self.selector.register(peer.socket, selectors.EVENT_READ, peer)
                several.append(peer)
                fresh.append(peer)
            self.turn(0.01)
        return time.perf_counter() - began

    def _first(self, kind: str, number: int) -> list[bytes]:
        if kind == "objects":
            properties = PROPERTIES % number
            return [b"", b"MDPW01", b"\x01", b"thing%d" % number, properties]
        return [b"", b"MDPC01", b"roc.broker", ASKED]

    def turn(self, patience: float) -> None:
        for key, _ in self.selector.select(patience):
            if isinstance(key.data, Peer):
                key.data.on_readable()
        self.beat()

    def beat(self) -> None:
        """The servers beat one after the other, and each twice a second."""
        now = time.monotonic()
        count = len(self.servers)
        due = min(count, int((now - self._beaten) * count / BEAT))
        if not due:
            return
        self._beaten = now
        for _ in range(due):
            self._turn = (self._turn + 1) % count
            server = self.servers[self._turn]
            if server.greeted:
                server.socket.send(_HEARTBEAT)


def main() -> None:
    crowd = Crowd(sys.argv[1])
    print("ready", flush=True)
    crowd.selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        keys: list[Any] = crowd.selector.select(0.002)
        for key, _ in keys:
            if isinstance(key.data, Peer):
                key.data.on_readable()
            elif not _answer(crowd, sys.stdin.readline()):
                return
        crowd.beat()


def _answer(crowd: Crowd, line: str) -> bool:
    if not line:
        return False
    ((kind, count),) = json.loads(line).items()
    crowd.selector.unregister(sys.stdin)
    try:
        answer: dict[str, Any] = {"answer": crowd.add(kind, count)}
    except OSError as error:
        answer = {"error": str(error)}
    crowd.selector.register(sys.stdin, selectors.EVENT_READ)
    print(json.dumps(answer), flush=True)
    return True


if __name__ == "__main__":
    main()
