"""Publications a second through the broker, beside libzmq's own proxy (XSUB, XPUB, in C).

`python -m benchmarks.news`. Two kinds of load:

* *plain*: a source that writes encoded messages to a plain socket, and sinks that count
  bytes. They cost next to nothing, so that what is measured is the broker.
* *pyzmq*: a PUB and SUBs, as programs have them, each in a process of its own.

Rounds are interleaved, and each figure is the median over them. CPU is what the process
in the middle used per million messages that it took to its subscribers: libzmq has a thread
more to work with, and on two cores that decides when it is the load that is slow.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TOPICS = [b"status.system.part%d.temperature.=" % number for number in range(8)]
DATA = b"21.734375"
HEAD = b'{"n":1234567}'  # without a source: numbers of one must rise
SETTLE = 0.5


def messages() -> list[list[bytes]]:
    """One of each topic, as an updater sends them."""
    return [[topic, DATA, HEAD] for topic in TOPICS]


# ---- processes of their own


def _say(line: object) -> None:
    print(line, flush=True)


def broker() -> None:
    from runmacs.roc import Endpoints
    from runmacs.roc.broker import Broker

    made = Broker(Endpoints("127.0.0.1", 0))
    _say(f"{made.endpoints.generalXSUB} {made.endpoints.generalXPUB}")
    made.run()


def proxy() -> None:
    import zmq

    context = zmq.Context()
    front, back = context.socket(zmq.XSUB), context.socket(zmq.XPUB)
    ports = [each.bind_to_random_port("tcp://127.0.0.1") for each in (front, back)]
    _say(" ".join(f"tcp://127.0.0.1:{port}" for port in ports))
    zmq.proxy(front, back)


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
    from runmacs.roc.wire import zmtp

    host, _, port = address.removeprefix("tcp://").rpartition(":")
    sock = socket.create_connection((host, int(port)))
    sock.sendall(zmtp.GREETING + zmtp.ready(kind))
    decoder = zmtp.Decoder(1 << 20, (other,))
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


# ---- measuring


@contextlib.contextmanager
def running(role: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.news", "--role", role, *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise RuntimeError(f"{process.args} said nothing")
    return line


def measure(middle: str, load: str, sinks: int, seconds: float) -> tuple[float, float]:
    """Publications a second that each sink got, and CPU seconds per million of them."""
    import psutil

    with contextlib.ExitStack() as stack:
        between = stack.enter_context(running(middle))
        into, out = _line(between).split()
        if load == "plain":
            ends = [stack.enter_context(running("plain-sinks", out, sinks, seconds))]
        else:
            ends = [stack.enter_context(running("pyzmq-sink", out, seconds)) for _ in range(sinks)]
        for end in ends:
            _line(end)
        time.sleep(0.2)  # the subscriptions arrive
        stack.enter_context(running(f"{load}-source", into))
        for end in ends:
            assert end.stdin is not None
            end.stdin.write("go\n")
            end.stdin.flush()
        time.sleep(SETTLE)
        usage = psutil.Process(between.pid)
        before = sum(usage.cpu_times()[:2])
        begun = time.perf_counter()
        time.sleep(seconds * 0.9)
        cpu = sum(usage.cpu_times()[:2]) - before
        lasted = time.perf_counter() - begun
        figure = statistics.mean(float(_line(end)) for end in ends)
    return figure, cpu / lasted / (figure / 1e6)


CASES = [("plain", 1), ("plain", 10), ("pyzmq", 1), ("pyzmq", 10)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.news", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds for each measurement")
    parser.add_argument("--only", nargs="*", help="only these loads: plain, pyzmq")
    parser.add_argument("--json", type=Path, help="write the result to this file as JSON")
    parser.add_argument("--role", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        _play(options.role)
        return
    results: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for number in range(options.rounds):
        for load, sinks in CASES:
            if options.only and load not in options.only:
                continue
            for middle in ("broker", "proxy"):
                case = f"{load}, {sinks} subscriber{'s' if sinks > 1 else ''}"
                print(f"\rround {number + 1}/{options.rounds}: {case}, {middle} ", end="",
                      file=sys.stderr, flush=True)  # fmt: skip
                figure = measure(middle, load, sinks, options.seconds)
                results.setdefault(case, {}).setdefault(middle, []).append(figure)
    print(file=sys.stderr)
    _report(results)
    if options.json:
        document = {"machine": platform.platform(), "python": sys.version, "results": results}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


def _play(role: list[str]) -> None:
    name, *arguments = role
    parts: dict[str, Any] = {
        "broker": broker,
        "proxy": proxy,
        "plain-source": plain_source,
        "plain-sinks": lambda out, count, seconds: plain_sinks(out, int(count), float(seconds)),
        "pyzmq-source": pyzmq_source,
        "pyzmq-sink": lambda out, seconds: pyzmq_sink(out, float(seconds)),
    }
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        parts[name](*arguments)


def _report(results: dict[str, dict[str, list[tuple[float, float]]]]) -> None:
    print("publications/s to each subscriber: median [least .. most]; CPU s per million of them")
    for case, by_middle in results.items():
        print(f"\n{case}")
        floor = statistics.median(each[0] for each in by_middle["proxy"])
        for middle, figures in by_middle.items():
            rates = [each[0] for each in figures]
            median = statistics.median(rates)
            spread = f"[{min(rates):,.0f} .. {max(rates):,.0f}]"
            cpu = statistics.median(each[1] for each in figures)
            name = "roc" if middle == "broker" else "libzmq's proxy"
            print(f"  {name:15} {median:10,.0f} {spread:22} {cpu:6.2f} s {median / floor:6.2f} x")


if __name__ == "__main__":
    main()
