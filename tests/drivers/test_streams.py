"""Links on plain sockets: whatever the other end and the network do."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.peers import DrivenLink, Peer, loopback_listener
from promptness import prompt
from runmacs.roc import Endpoints
from runmacs.roc._drivers import dialing
from runmacs.roc._drivers.clock import now as clock
from runmacs.roc._drivers.dialing import Dialer, addresses_of, check_transport
from runmacs.roc._drivers.links import open_link
from runmacs.roc._drivers.sockets import context
from runmacs.roc._drivers.streams import Connection, StreamLink
from runmacs.roc.broker import Broker
from runmacs.roc.errors import ConfigError
from runmacs.roc.wire.memory import Memory
from waiting import wait_until

MIB = 1024 * 1024
PING = b"\x04\x09\x04PING\x00\x64ab"
PONG = b"\x04\x07\x04PONGab"

pytestmark = pytest.mark.skipif(
    not hasattr(select, "epoll") and not hasattr(select, "kqueue"),
    reason="streams need epoll or kqueue; run it on Linux or macOS",
)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    listener, _ = loopback_listener()
    with listener:
        yield listener


@pytest.fixture
def driven(listener: socket.socket) -> Iterator[DrivenLink]:
    driven = DrivenLink(Endpoints("127.0.0.1", listener.getsockname()[1]))
    yield driven
    driven.link.close()


@pytest.fixture
def peer(driven: DrivenLink, listener: socket.socket) -> Iterator[Peer]:
    peer = driven.connect(listener)
    yield peer
    peer.close()


# ---- messages


def test_messages_both_ways(driven: DrivenLink, peer: Peer) -> None:
    assert driven.link.send([b"", b"a", b"b" * 300])
    assert peer.receive() == [b"", b"a", b"b" * 300]
    peer.send(b"", b"answer", bytes(3 * MIB))
    driven.until(lambda: driven.messages, "the answer")
    assert driven.messages == [[b"", b"answer", bytes(3 * MIB)]]
    assert driven.changes == [True]


def test_what_is_held_goes_with_the_next_or_when_it_is_let_go(
    driven: DrivenLink, peer: Peer
) -> None:
    link = driven.link

    def has_come() -> bool:
        return bool(select.select([peer.sock], (), (), 0.05)[0])

    assert link.send([b"1"], hold=True)
    assert link.send([b"2"], hold=True)
    assert not has_come()
    assert link.send([b"3"])
    assert [peer.receive() for _ in range(3)] == [[b"1"], [b"2"], [b"3"]]
    assert link.send([b"4"], hold=True)
    link.flush()
    assert peer.receive() == [b"4"]
    link.flush()
    assert not has_come()
    assert link.send([bytearray(100_000)], hold=True)
    assert peer.receive() == [bytes(100_000)], "what somebody may change is not held"


def test_partial_writes() -> None:
    """Buffers of the system of a few KiB: every message is cut, both ways at a time."""
    lot = random.Random(3)
    ends = socket.socketpair()
    for sock in ends:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
    left = Connection(ends[0], b"DEALER", (b"ROUTER",), Memory())
    right = Connection(ends[1], b"ROUTER", (b"DEALER",), Memory())
    sizes = (0, 1, 300, 5000, 70_000, MIB + 3)
    sent: dict[Connection, list[list[bytes]]] = {left: [], right: []}
    came: dict[Connection, list[list[bytes]]] = {left: [], right: []}
    for _ in range(8):
        for end in (left, right):
            message = [lot.randbytes(lot.choice(sizes)) for _ in range(lot.randrange(1, 5))]
            end.put(message)
            sent[end].append(message)
    whole = []
    deadline = clock() + 20
    while len(came[left]) < 8 or len(came[right]) < 8:
        assert clock() < deadline
        for end in (left, right):
            whole.append(end.flush())
            came[end] += [[bytes(frame) for frame in message] for message in end.read()]
    assert came[left] == sent[right]
    assert came[right] == sent[left]
    assert left.queued == right.queued == 0
    assert whole.count(False) > 50, "the system took too much at once for this test"
    left.close()
    right.close()


def test_what_waits_does_not_change_with_the_senders_array(driven: DrivenLink, peer: Peer) -> None:
    frame = np.zeros(16 * MIB, "u1")
    for number in range(3):
        frame[:] = number + 1
        assert driven.link.send([b"", frame.data, b"end"])
        assert driven.link._connection is not None
        assert driven.link._connection.queued
        frame[:] = 99
    reader = threading.Thread(target=peer.collect, args=(3,))
    reader.start()
    driven.until(lambda: not reader.is_alive(), "all was read")
    for number, (empty, body, end) in enumerate(peer.messages):
        assert (empty, end) == (b"", b"end")
        assert body == bytes((number + 1,)) * (16 * MIB)


def test_a_slow_reader_gets_all_in_order(driven: DrivenLink, peer: Peer) -> None:
    for number in range(300):
        assert driven.link.send([b"%d" % number, bytes(100_000)])
    connection = driven.link._connection
    assert connection is not None
    assert connection.queued > MIB
    driven.turn(0.0)
    assert not is_signalled(driven), "nothing to do while the peer does not read"
    reader = threading.Thread(target=peer.collect, args=(300,))
    reader.start()
    driven.until(lambda: not reader.is_alive(), "all was read")
    assert [message[0] for message in peer.messages] == [b"%d" % n for n in range(300)]
    assert connection.queued == 0
    assert not is_signalled(driven), "and nothing after all has been sent"


def is_signalled(driven: DrivenLink) -> bool:
    return bool(select.select(driven.link.fds, (), (), 0)[0])


def test_what_changes_reads_is_told_by_readable(driven: DrivenLink, peer: Peer) -> None:
    """Else its owner would wait on a descriptor that has nothing more to signal."""
    peer.send(b"1")
    wait_until(lambda: is_signalled(driven), what="it has come")
    assert driven.link.changes(clock() + 1.0) == ()
    assert not is_signalled(driven)
    assert driven.link.readable()
    assert driven.link.receive() == [b"1"]


def test_each_message_of_a_burst_is_told(driven: DrivenLink, peer: Peer) -> None:
    for number in range(5000):
        peer.send(b"%d" % number, b"x" * (number % 700))
    driven.until(lambda: len(driven.messages) == 5000, "all messages")
    assert [message[0] for message in driven.messages] == [b"%d" % n for n in range(5000)]


# ---- PING


def test_a_ping_is_answered_at_once(driven: DrivenLink, peer: Peer) -> None:
    peer.sock.sendall(PING)
    driven.turn(1.0)
    assert peer.sock.recv(100) == PONG


def test_pings_of_a_peer_that_does_not_read_are_not_answered_for_ever() -> None:
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.setblocking(False)
    connection = Connection(ours, b"ROUTER", (b"DEALER",), Memory())
    peer = Peer(theirs)
    theirs.sendall(peer.hello)
    theirs.setblocking(False)
    longest = 0
    for _ in range(300):
        with contextlib.suppress(BlockingIOError):
            theirs.send(PING * 500)
        assert connection.read() == []
        connection.flush()
        longest = max(longest, connection.queued)
    assert 0 < longest < 70_000
    peer.close()
    connection.close()


# ---- a connection that ends


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("size", [1000, 3 * MIB])
def test_a_peer_that_goes_in_the_middle_of_a_frame(
    driven: DrivenLink, peer: Peer, listener: socket.socket, end: str, size: int
) -> None:
    peer.send(b"whole")
    driven.until(lambda: driven.messages, "the whole message")
    peer.sock.sendall(b"\x02" + size.to_bytes(8, "big") + bytes(size // 2))
    getattr(peer, end)()
    driven.until(lambda: False in driven.changes, "its end is noticed")
    assert driven.messages == [[b"whole"]]
    again = driven.connect(listener)
    again.send(b"new")
    driven.until(lambda: len(driven.messages) == 2, "a new message")
    assert driven.messages[1] == [b"new"]
    assert driven.changes == [True, False, True]
    again.close()


def test_what_came_before_the_end_is_received(driven: DrivenLink, peer: Peer) -> None:
    for number in range(100):
        peer.send(b"%d" % number)
    peer.close()
    driven.until(lambda: False in driven.changes, "its end is noticed")
    assert len(driven.messages) == 100


def test_send_says_when_nobody_takes_it(driven: DrivenLink, peer: Peer) -> None:
    peer.reset()
    wait_until(lambda: not driven.link.send([b"x"]), what="the connection's end")
    assert driven.link.changes(clock()) == [False]
    assert not driven.link.send([b"x"])


def test_bytes_that_are_no_zmtp_end_it(driven: DrivenLink, peer: Peer) -> None:
    peer.sock.sendall(b"\xff\xff\xff")
    driven.until(lambda: False in driven.changes, "its end")
    assert peer.is_over()


def test_after_a_connection_that_lasted_the_next_is_tried_in_the_same_turn(
    driven: DrivenLink, peer: Peer, listener: socket.socket
) -> None:
    driven.link._dialer._begun -= 10
    peer.close()
    wait_until(lambda: is_signalled(driven), what="its end can be seen")
    driven.turn(0.0)
    assert driven.changes == [True, False]
    assert driven.link._connection is not None
    listener.accept()[0].close()


def test_who_is_thrown_out_again_and_again_slows_down(
    driven: DrivenLink, listener: socket.socket
) -> None:
    count = 0
    end = clock() + 2.0
    while clock() < end:
        driven.connect(listener).close()
        count += 1
        driven.until(lambda: not driven.changes[-1], "out")
        listener.setblocking(False)
        while clock() < end:
            driven.turn(0.01)
            if select.select([listener], (), (), 0)[0]:
                break
        listener.settimeout(30)
    with prompt():
        assert 3 <= count <= 10


# ---- connecting


def test_refused_then_accepted() -> None:
    listener, endpoints = loopback_listener()
    listener.close()
    driven = DrivenLink(endpoints)
    for _ in range(20):
        driven.turn(0.01)
    assert driven.changes == []
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", endpoints.brokerBasePort))
        listener.listen(5)
        began = clock()
        driven.reach(listener)
        with prompt():
            assert clock() - began < 0.9
        peer = driven.connect(listener)
        assert driven.changes == [True]
        peer.close()
    driven.link.close()


def test_pauses_between_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[float] = []
    now = 0.0
    monkeypatch.setattr(dialing, "_attempt", lambda address: attempts.append(now))
    dialer = Dialer(Endpoints("127.0.0.1", 9), "tcp://127.0.0.1:9")
    while now < 10.0:
        assert dialer.dial(now) is None
        now += 0.001
    pauses = [later - before for before, later in itertools.pairwise(attempts)]
    assert pauses[:5] == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.5], abs=0.003)
    assert pauses[5:] == pytest.approx([0.5] * len(pauses[5:]), abs=0.003)


def test_all_addresses_of_a_name_are_tried_one_after_the_other(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = listener.getsockname()[1]
    places = [("127.0.0.3", port), ("127.0.0.2", port), ("127.0.0.1", port)]
    monkeypatch.setattr(
        dialing, "addresses_of", lambda *_: [(socket.AF_INET, place) for place in places]
    )
    tried: list[Any] = []
    real = dialing._attempt

    def attempt(address: dialing.Address) -> socket.socket | None:
        tried.append(address[1])
        return real(address)

    monkeypatch.setattr(dialing, "_attempt", attempt)
    driven = DrivenLink(Endpoints("camera-computer", port))
    driven.turn(0.0)
    began = clock()
    peer = driven.connect(listener)
    assert tried == places
    with prompt():
        assert clock() - began < Dialer.FIRST, "no pause in between"
    peer.close()
    driven.link.close()


def test_localhost_by_name(listener: socket.socket) -> None:
    """It may mean ::1 first, where nobody listens."""
    port = listener.getsockname()[1]
    found = addresses_of(Endpoints("localhost", port), f"tcp://localhost:{port}")
    assert (socket.AF_INET, ("127.0.0.1", port)) in found
    driven = DrivenLink(Endpoints("localhost", port))
    peer = driven.connect(listener)
    peer.close()
    driven.link.close()


def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def unknown(*args: Any, **options: Any) -> Any:
        asked.append(args)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    driven = DrivenLink(Endpoints("no-such-computer", 5555))
    for _ in range(50):
        driven.turn(0.01)
    assert driven.changes == []
    with prompt():
        assert 2 <= len(asked) <= 8, "asked again, and not in every turn"
    driven.link.close()


def test_a_label_that_no_name_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    def unspeakable(*args: Any, **options: Any) -> Any:
        raise UnicodeError("label too long")

    monkeypatch.setattr(socket, "getaddrinfo", unspeakable)
    with pytest.raises(OSError, match="label too long"):
        addresses_of(Endpoints("lab", 5555), "tcp://lab:5555")


def test_a_slow_lookup_stops_nobody(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    real = socket.getaddrinfo

    def slow(host: Any, *args: Any, **options: Any) -> Any:
        if host == "far-away":
            answered.wait(60)
            host = "127.0.0.1"
        return real(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    driven = DrivenLink(Endpoints("far-away", listener.getsockname()[1]))
    began = time.monotonic()
    for _ in range(20):
        driven.turn(0.0)
    with prompt():
        assert time.monotonic() - began < 0.5
    assert sum(thread.name == "roc-resolver" for thread in threading.enumerate()) == 1
    answered.set()
    driven.connect(listener).close()
    driven.link.close()


def test_a_name_that_has_moved(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    port = listener.getsockname()[1]
    tried: list[str] = []
    host = "127.0.0.9"
    monkeypatch.setattr(dialing, "addresses_of", lambda *_: [(socket.AF_INET, (host, port))])
    dialer = Dialer(Endpoints("roaming", port), f"tcp://roaming:{port}")
    monkeypatch.setattr(dialing, "_attempt", lambda address: tried.append(address[1][0]))
    dialer.dial(0.0)
    host = "127.0.0.1"
    now = 0.0
    while host not in tried:
        now += 0.1
        assert now < 7.0
        dialer.dial(now)
        wait_until(lambda: not dialer._resolving, what="the lookup")
    assert now > 4.0
    assert tried[:5] == ["127.0.0.9"] * 5


def test_a_handshake_that_never_ends(driven: DrivenLink, listener: socket.socket) -> None:
    driven.turn(0.0)
    silent = listener.accept()[0]
    began = clock()
    driven.until(lambda: select.select([listener], (), (), 0)[0], "the next attempt")
    with prompt():
        assert 1.9 < clock() - began < 3.5
    assert driven.changes == []
    silent.close()
    driven.connect(listener).close()


def test_a_handshake_byte_by_byte(driven: DrivenLink, listener: socket.socket) -> None:
    driven.turn(0.0)
    peer = Peer(listener.accept()[0], b"ROUTER")
    for byte in peer.hello:
        peer.sock.sendall(bytes((byte,)))
        driven.turn(0.5)
    driven.until(lambda: driven.changes == [True], "up")
    peer.close()


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.0 400 Bad Request\r\n\r\n", b"\xff" * 200, b"", b"SSH-2.0-x\r\n"]
)
def test_something_else_listens_there(
    driven: DrivenLink, listener: socket.socket, answer: bytes
) -> None:
    count = 0
    listener.setblocking(False)
    end = clock() + 1.0
    while clock() < end:
        driven.turn(0.02)
        if select.select([listener], (), (), 0)[0]:
            other = listener.accept()[0]
            other.sendall(answer)
            other.close()
            count += 1
    assert driven.changes == []
    with prompt():
        assert 2 <= count <= 6, "tried again, and not as fast as it can"


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no ipc here; run it on Linux or macOS")
def test_a_local_socket_whose_queue_is_full(tmp_path: Path) -> None:
    """Nothing is under way then: waiting for such a socket would return at once, for ever."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "lab.5555"))
        listener.listen(0)
        waiting = []
        for _ in range(5):
            sock = socket.socket(socket.AF_UNIX)
            sock.setblocking(False)
            waiting.append(sock)
            if sock.connect_ex(str(tmp_path / "lab.5555")):
                break
        driven = DrivenLink(Endpoints(str(tmp_path / "lab"), 5555, "ipc"))
        for _ in range(5):
            driven.turn(0.01)
            assert not is_signalled(driven)
        driven.link.close()
        for sock in waiting:
            sock.close()


# ---- closing


def test_goodbye_waits_until_the_peer_has_it_all(driven: DrivenLink, peer: Peer) -> None:
    body = bytes(20 * MIB)
    driven.link.send([b"last", body])

    def read() -> None:
        peer.collect(1)
        peer.close()

    reader = threading.Thread(target=read)
    reader.start()
    driven.link.close(linger=30.0)
    reader.join(30)
    assert peer.messages == [[b"last", body]]


@pytest.mark.parametrize("habit", ["never reads", "never closes", "trickles", "floods"])
def test_goodbye_is_bounded(driven: DrivenLink, peer: Peer, habit: str) -> None:
    driven.link.send([bytes(64 * MIB if habit == "never reads" else 10)])
    over = threading.Event()

    def talk() -> None:
        while not over.is_set():
            try:
                peer.sock.send(bytes(100_000 if habit == "floods" else 1))
            except OSError:
                return
            if habit == "trickles":
                time.sleep(0.1)

    talker = threading.Thread(target=talk if habit in ("trickles", "floods") else over.wait)
    talker.start()
    began = time.monotonic()
    driven.link.close(linger=1.0)
    took = time.monotonic() - began
    over.set()
    talker.join()
    with prompt():
        assert 0.9 < took < 1.4


@pytest.mark.parametrize("linger", [1.0, 0.0])
def test_closing_with_something_unread_loses_nothing_that_was_sent(
    driven: DrivenLink, peer: Peer, linger: float
) -> None:
    for _ in range(100):
        peer.send(bytes(1000))
    for number in range(50):
        driven.link.send([b"%d" % number])
    closer = threading.Thread(target=driven.link.close, args=(linger,))
    closer.start()
    wait_until(peer.is_over, what="closed")
    peer.close()
    closer.join()
    assert [message[0] for message in peer.messages] == [b"%d" % n for n in range(50)]


def test_a_closed_link_does_nothing(driven: DrivenLink, peer: Peer) -> None:
    driven.link.close()
    driven.link.close()
    assert not driven.link.send([b"x"])
    assert driven.link.receive() is None
    assert not driven.link.readable()
    assert driven.link.changes(clock() + 10) == ()


# ---- fork


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork; run it on Linux or macOS")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_neither_disturbs_the_connection_nor_keeps_it_open(
    driven: DrivenLink, peer: Peer
) -> None:
    stay, leave = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            driven.link.send([b"from the child"])
            driven.link.changes(clock())
            driven.link.close()
            os.close(leave)
            os.read(stay, 1)  # lives on
        finally:
            os._exit(0)
    try:
        os.close(stay)
        for number in range(20):
            peer.send(b"%d" % number)
            driven.turn(30.0)
            assert driven.messages.pop() == [b"%d" % number]
            driven.link.send([b"answer"])
            assert peer.receive() == [b"answer"]
        assert driven.changes == [True]
        driven.link.close()
        wait_until(peer.is_over, what="the peer sees the end, while the child lives")
    finally:
        os.close(leave)
        os.waitpid(child, 0)


# ---- systems without


def test_ipc_where_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(socket, "AF_UNIX", raising=False)
    endpoints = Endpoints(str(tmp_path / "lab"), 5555, "ipc")
    sentence = "no ipc on this system; use tcp"
    with pytest.raises(ConfigError, match=sentence):
        check_transport(endpoints)
    with pytest.raises(ConfigError, match=sentence):
        open_link(context(None), endpoints)
    with pytest.raises(ConfigError, match=sentence):
        Broker(endpoints)


def test_without_sendmsg_parts_go_one_by_one(
    driven: DrivenLink, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runmacs.roc._drivers.pure._SENDS_PARTS", False)
    driven.link.send([b"", bytes(100_000), b"end"])
    assert peer.receive() == [b"", bytes(100_000), b"end"]


def test_fds_stay_the_same() -> None:
    listener, endpoints = loopback_listener()
    driven = DrivenLink(endpoints)
    fds = driven.link.fds
    for _ in range(3):
        driven.connect(listener).close()
        driven.until(lambda: not driven.changes[-1], "down")
    assert driven.link.fds == fds
    assert isinstance(driven.link, StreamLink)
    driven.link.close()
    listener.close()
