"""The ends of a stream of publications, each a process: `python -m benchmarks.publications ROLE`.

* *plain*: a source that writes encoded messages to a plain socket, and sinks that count
  bytes. They cost next to nothing, so that what is measured is what stands between them.
* *pyzmq*: a PUB and SUBs, as programs have them.
* *iterator*: `statusUpdateIterator`, which decodes each update.

A sink says ``ready``, waits for a line, and then prints how many publications a second
came to each of its subscribers.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import sys
import time
from typing import Any

TOPICS = [b"status.system.part%d.temperature.=" % number for number in range(8)]
DATA = b"21.734375"
HEAD = b'{"n":1234567}'  # without a source: numbers of one must rise
SETTLE = 0.5


def messages() -> list[list[bytes]]:
    """One of each topic, as an updater sends them."""
    return [[topic, DATA, HEAD] for topic in TOPICS]


def _say(line: object) -> None:
    print(line, flush=True)


def plain_source(address: str) -> None:
    from runmacs.roc.wire import zmtp

    chunk = b"".join(bytes(part) for each in messages() for part in zmtp.encode(each)) * 100
    sock, decoder = _connected(address, b"PUB", b"XSUB")
    while not decoder.feed(sock.recv(4096)):
        pass  # the broker does not want anything yet
    while True:
        sock.sendall(chunk)


def plain_sinks(address: str, count: int, seconds: float) -> None:
    from runmacs.roc.wire import zmtp

    size = sum(len(part) for each in messages() for part in zmtp.encode(each)) / len(TOPICS)
    selector = selectors.DefaultSelector()
    for _ in range(count):
        sock, _ = _connected(address, b"SUB", b"XPUB")
        sock.sendall(b"".join(bytes(part) for part in zmtp.encode([b"\x01status."])))
        selector.register(sock, selectors.EVENT_READ)
    total = 0
    buffer = bytearray(1 << 18)

    def read_until(end: float) -> int:
        nonlocal total
        while time.perf_counter() < end:
            for key, _ in selector.select(0.1):
                total += key.fileobj.recv_into(buffer)  # type: ignore[union-attr]
        return total

    _say("ready")
    sys.stdin.readline()
    before, begun = read_until(time.perf_counter() + SETTLE), time.perf_counter()
    after = read_until(begun + seconds)
    _say((after - before) / size / count / (time.perf_counter() - begun))


def _connected(address: str, kind: bytes, other: bytes) -> tuple[socket.socket, Any]:
    """A socket that has shaken hands: libzmq takes nothing before."""
    from runmacs.roc.wire import handshake

    host, _, port = address.removeprefix("tcp://").rpartition(":")
    sock = socket.create_connection((host, int(port)))
    sock.sendall(handshake.GREETING + handshake.ready(kind))
    decoder = handshake.Decoder(1 << 20, (other,))
    while not decoder.up:
        decoder.feed(sock.recv(1))
    return sock, decoder


def pyzmq_source(address: str) -> None:
    import zmq

    publisher = zmq.Context().socket(zmq.PUB)
    publisher.setsockopt(zmq.XPUB_NODROP, 1)  # it waits, instead of dropping
    publisher.connect(address)
    several = messages()
    while True:
        for message in several:
            publisher.send_multipart(message)


def pyzmq_sink(address: str, seconds: float) -> None:
    import zmq

    subscriber = zmq.Context().socket(zmq.SUB)
    subscriber.connect(address)
    subscriber.subscribe(b"status.")
    _say("ready")
    sys.stdin.readline()
    end = time.perf_counter() + SETTLE
    while time.perf_counter() < end:
        if subscriber.poll(100):
            subscriber.recv_multipart()
    count, begun = 0, time.perf_counter()
    while time.perf_counter() < begun + seconds:
        for _ in range(100):
            subscriber.recv_multipart()
        count += 100
    _say(count / (time.perf_counter() - begun))


def iterator_sink(address: str, seconds: float) -> None:
    from runmacs.roc import statusUpdateIterator

    updates = statusUpdateIterator(address)
    next(updates)
    _say("ready")
    sys.stdin.readline()
    end = time.perf_counter() + SETTLE
    while time.perf_counter() < end:
        next(updates)
    count, begun = 0, time.perf_counter()
    while time.perf_counter() < begun + seconds:
        for _ in range(100):
            next(updates)
        count += 100
    _say(count / (time.perf_counter() - begun))


def main() -> None:
    role, address, *numbers = sys.argv[1:]
    roles: dict[str, Any] = {
        "plain-source": plain_source,
        "plain-sinks": lambda out, count, seconds: plain_sinks(out, int(count), float(seconds)),
        "pyzmq-source": pyzmq_source,
        "pyzmq-sink": lambda out, seconds: pyzmq_sink(out, float(seconds)),
        "iterator-sink": lambda out, seconds: iterator_sink(out, float(seconds)),
    }
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        roles[role](address, *numbers)


if __name__ == "__main__":
    main()
