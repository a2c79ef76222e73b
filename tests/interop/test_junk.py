"""Junk on the broker's port: random messages, broken ones, and bytes that are no messages.

Whatever arrives, the broker serves on: a worker and a client that have done nothing wrong
are answered, and the broker's memory does not grow with what was thrown at it. The seed is
fixed; ``ROC_SEED`` sets another one.
"""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import psutil
import pytest

from interop.known import ask_the_broker, until_known
from interop.stock import (
    CLIENT,
    DISCONNECT,
    HEARTBEAT,
    READY,
    REPLY,
    REQUEST,
    WORKER,
    Peer,
    ask,
)
from processes import BrokerProcess, Child
from promptness import prompt
from runmacs.roc import Endpoints
from waiting import wait_until

SEED = int(os.environ.get("ROC_SEED", "20261122"))
MESSAGES = 10_000
FLOOD = 300_000
MEGABYTE = 1024 * 1024

PARTS = [
    b"",
    CLIENT,
    WORKER,
    READY,
    REQUEST,
    REPLY,
    HEARTBEAT,
    DISCONNECT,
    b"\x10",
    b"\x1f",
    b"echo",
    b"echo!",
    b"roc.broker",
    b"roc.broker!",
    b"mmi.service",
    b"nobody",
    b"{}",
    b"[]",
    b'{"jsonrpc":"2.0","id":1,"method":"objects"}',
    b'{"jsonrpc":"2.0","id":1,"method":"rpc.get","params":["x"],"roc":{"call":"a.1","ttl":1e308}}',
    b'{"jsonrpc":"2.0","method":"rpc.cancel","params":{"call":"a.1"},"roc":{"ttl":-1,"wait":true}}',
    b'{"version":1,"prefetch":1000000,"policy":"pool","interval":0.001}',
    b'{"version":1,"instance":"x","prefetch":16,"interval":0.5,"policy":"standby"}',
    b"[" * 10_000,
    b'{"jsonrpc":"2.0","id":1e999,"method":"\\ud800"}',
]


def random_frame(rng: random.Random) -> bytes:
    if rng.random() < 0.7:
        frame = rng.choice(PARTS)
        if frame and rng.random() < 0.1:  # one byte is wrong
            place = rng.randrange(len(frame))
            frame = frame[:place] + rng.randbytes(1) + frame[place + 1 :]
        return frame
    return rng.randbytes(rng.choice([0, 1, 5, 30, 250, 2000]))


def random_message(rng: random.Random) -> list[bytes]:
    """Anything from pure noise to what is almost a command."""
    frames = [random_frame(rng) for _ in range(rng.choice([1, 2, 3, 4, 5, 6, 7, 40]))]
    envelope = rng.choice([[], [b""], [b"", CLIENT], [b"", WORKER], [b"", WORKER, READY]])
    return [*envelope, *frames]


@pytest.fixture
def steady(
    broker_process: BrokerProcess, stock_worker: Callable[[str, str, str], Child]
) -> Iterator[BrokerProcess]:
    """A broker with a stock worker under ``steady``, which must all be unharmed in the end."""
    address = broker_process.endpoints.rocBroker
    # Not the name that junk registers under: that would be a worker of the same pool.
    stock_worker(address, "steady", "echo")
    until_known(address, b"steady")
    yield broker_process
    assert_serves_on(broker_process)


def assert_serves_on(broker: BrokerProcess) -> None:
    assert broker.child.returncode is None, "the broker is gone"
    for number in range(20):
        body = b"%d" % number
        assert ask(broker.endpoints.rocBroker, b"steady", body) == [body]


def memory(broker: BrokerProcess) -> int:
    return int(psutil.Process(broker.child.pid).memory_info().rss)


def throw(address: str, messages: int, rng: random.Random, *, listening: bool) -> None:
    """Send random messages over a few connections, and wait until the broker has read them."""
    peers = [Peer(address) for _ in range(5)]
    try:
        for number in range(messages):
            peer = peers[number % len(peers)]
            peer.send(*random_message(rng))
            while listening and peer.socket.poll(0):
                peer.socket.recv_multipart()
        for peer in peers:
            # Chance may have made a worker of this peer: it says goodbye first.
            peer.send(b"", WORKER, DISCONNECT)
            wait_until_all_is_read(peer)
    finally:
        for peer in peers:
            peer.close()


@pytest.mark.slow
@pytest.mark.parametrize("listening", [True, False], ids=["reading", "not reading"])
def test_random_messages(steady: BrokerProcess, listening: bool) -> None:
    rng = random.Random(SEED)
    address = steady.endpoints.rocBroker
    throw(address, MESSAGES // 10, rng, listening=listening)  # so that all that is lazy is there
    before = memory(steady)
    throw(address, MESSAGES, rng, listening=listening)
    assert_serves_on(steady)
    grown = (memory(steady) - before) / MEGABYTE
    assert grown < 64, f"{grown:.0f} MB more after {MESSAGES} random messages"


# What a ZeroMQ peer says first: a 3.1 greeting with the NULL mechanism, and READY as a DEALER.
GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x01" + b"NULL".ljust(20, b"\x00") + bytes(32)
READY_COMMAND = b"\x04\x1c" + b"\x05READY" + b"\x0bSocket-Type" + b"\x00\x00\x00\x06" + b"DEALER"


def tcp_attack(endpoints: Endpoints, junk: bytes, *, handshake: bool = False) -> None:
    """Connect, perhaps shake hands as ZeroMQ does, send junk, and leave."""
    with socket.create_connection((endpoints.brokerAddress, endpoints.brokerBasePort)) as raw:
        raw.settimeout(30)
        if handshake:
            shake_hands(raw)
        with suppress(ConnectionError):  # to be thrown out is as good as to be ignored
            raw.sendall(junk)


def shake_hands(raw: socket.socket) -> None:
    raw.sendall(GREETING + READY_COMMAND)
    receive_exactly(raw, len(GREETING))
    receive_exactly(raw, receive_exactly(raw, 2)[1])  # the broker's own READY


def receive_exactly(raw: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        more = raw.recv(size - len(received))
        assert more, "the broker has hung up in mid-handshake"
        received += more
    return received


def test_random_bytes_on_the_socket(steady: BrokerProcess) -> None:
    rng = random.Random(SEED)
    before = memory(steady)
    for _ in range(50):
        tcp_attack(steady.endpoints, rng.randbytes(64 * 1024))
        tcp_attack(steady.endpoints, GREETING + rng.randbytes(4096))
        tcp_attack(steady.endpoints, rng.randbytes(4096), handshake=True)
    assert_serves_on(steady)
    assert memory(steady) - before < 64 * MEGABYTE


@pytest.mark.parametrize(
    ("junk", "handshake"),
    [
        pytest.param(b"", False, id="nothing"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n", False, id="a browser"),
        pytest.param(GREETING[:10], False, id="half a greeting"),
        pytest.param(b"\x02" + b"\xff" * 8, True, id="frame of 2**64 bytes"),
        pytest.param(b"\x02" + (1 << 40).to_bytes(8, "big"), True, id="frame of a terabyte"),
        pytest.param(b"\x01\x00" * 100_000, True, id="endless message of empty frames"),
        pytest.param(b"\x01\x00\x01\x06MDPC01\x01\x06steady", True, id="message cut short"),
        pytest.param(b"\x04\x05\x04PING" * 100, True, id="command cut short"),
    ],
)
def test_broken_connection(steady: BrokerProcess, junk: bytes, handshake: bool) -> None:
    before = memory(steady)
    for _ in range(20):
        tcp_attack(steady.endpoints, junk, handshake=handshake)
    assert_serves_on(steady)
    assert memory(steady) - before < 64 * MEGABYTE


def test_handshake_of_these_tests_is_a_real_one(steady: BrokerProcess) -> None:
    """So that the junk behind it does reach the broker's socket as messages."""
    message = b"\x01\x00\x01\x06MDPC01\x01\x06steady\x00\x05hello"
    endpoints = steady.endpoints
    with socket.create_connection((endpoints.brokerAddress, endpoints.brokerBasePort)) as raw:
        raw.settimeout(30)
        shake_hands(raw)
        raw.sendall(message)
        assert receive_exactly(raw, len(message)) == message


def wait_until_all_is_read(client: Peer) -> None:
    """Whatever this client has sent before was read when its last question is answered."""
    client.request(b"mmi.nothere", b"")
    while client.receive(timeout=30)[-2:] != [b"mmi.nothere", b"501"]:
        pass


@pytest.mark.slow
def test_requests_for_nobody_are_kept_within_limits(steady: BrokerProcess) -> None:
    """A stock broker keeps them for ever: this one some, for a while."""
    address = steady.endpoints.rocBroker
    with Peer(address) as client:
        for number in range(3_000):
            client.request(b"nobody%d" % number, b"plain")
        for _ in range(12_000):
            client.request(b"nobody0", b"plain")
        wait_until_all_is_read(client)
        absent = [entry for entry in ask_the_broker(address, "objects") if entry["id"] != "steady"]
        assert 0 < len(absent) <= 1_000
        assert 0 < max(entry["queued"] for entry in absent) <= 10_000
        wait_until(
            lambda: [entry["id"] for entry in ask_the_broker(address, "objects")] == ["steady"],
            20,
            "what nobody serves is forgotten",
        )
        with pytest.raises(TimeoutError):
            client.reply(timeout=0)


@pytest.mark.slow
def test_heartbeats_go_on_in_a_flood(steady: BrokerProcess) -> None:
    """A server that hears nothing for 1.5 s would leave; a busy broker is not a silent one."""
    address = steady.endpoints.rocBroker
    with Peer(address) as worker, Peer(address) as flood:
        worker.send(b"", WORKER, READY, b"idle", b'{"version":1,"instance":"x","interval":0.5}')
        worker.receive()
        flood.request(b"mmi.service", b"idle")
        flood.reply()
        # Frozen while the flood gathers, the broker then has seconds of work before it.
        steady.child.freeze()
        for _ in range(FLOOD):
            flood.send(b"", b"flood", b"", b"")
        flood.request(b"mmi.nothere", b"")
        steady.child.thaw()
        longest, heard = 0.0, time.monotonic()
        while not flood.socket.poll(0):
            worker.send(b"", WORKER, HEARTBEAT)
            with suppress(TimeoutError):
                worker.receive(timeout=0.1)
                heard = time.monotonic()
            longest = max(longest, time.monotonic() - heard)
    with prompt():
        assert longest < 1.5, f"no heartbeat for {longest:.1f} s"
