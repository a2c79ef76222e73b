"""The broker's side: many peers, rude ones, and the end."""

from __future__ import annotations

import errno
import itertools
import json
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from desk import Desk
from drivers.peers import DrivenFront, Peer
from processes import Spawner
from promptness import prompt
from runmacs.roc import Endpoints, RocServer
from runmacs.roc._drivers import fronts
from runmacs.roc._drivers.clock import now as clock
from waiting import wait_until

KIB, MIB = 1024, 1024 * 1024
PING = b"\x04\x09\x04PING\x00\x64ab"
PONG = b"\x04\x07\x04PONGab"

needs_ipc = pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX"), reason="there is no ipc here; run it on Linux or macOS"
)


@pytest.fixture
def driven() -> Iterator[DrivenFront]:
    driven = DrivenFront.on_loopback()
    yield driven
    driven.close()


def echo(driven: DrivenFront, peer: Peer, body: bytes = b"x") -> None:
    """One message in, one back."""
    peer.send(b"", body)
    driven.until(lambda: driven.inbox, "the message")
    rid, *frames = driven.inbox.pop(0)
    assert frames == [b"", body]
    assert driven.front.send([rid, b"", body]) == 0
    driven.front.flush()
    assert peer.receive() == [b"", body]


# ---- peers


def test_each_peer_gets_its_own_answers(driven: DrivenFront) -> None:
    peers = [driven.connect(kind) for kind in (b"DEALER", b"REQ", b"ROUTER")]
    for number in range(5):
        for peer in peers:
            peer.send(b"", b"%d" % number)
    driven.until(lambda: len(driven.inbox) == 15, "all messages")
    for message in driven.inbox:
        assert driven.front.send(message) == 0
    driven.front.flush()
    for peer in peers:
        assert [peer.receive()[1] for _ in range(5)] == [b"%d" % n for n in range(5)]
        peer.close()
    driven.until(lambda: len(driven.gone) == 3, "they are gone")
    assert driven.front.send([driven.gone[0], b"", b"late"]) == errno.EHOSTUNREACH


def test_an_identity_is_the_routing_id_and_taken_once(driven: DrivenFront) -> None:
    first = driven.connect(identity=b"camera")
    second = Peer.to(driven.place, identity=b"camera")
    second.sock.sendall(second.hello)
    driven.until(second.is_over, "the second one is cut off")
    first.send(b"", b"1")
    driven.until(lambda: driven.inbox, "the first one's message")
    assert driven.inbox == [[b"camera", b"", b"1"]]
    assert driven.gone == []
    first.close()
    driven.until(lambda: driven.gone == [b"camera"], "it is gone")
    third = driven.connect(identity=b"camera")
    driven.inbox.clear()
    echo(driven, third)
    for peer in (second, third):
        peer.close()


def test_an_identity_that_looks_like_one_of_ours_is_not_believed(driven: DrivenFront) -> None:
    victim = driven.connect()
    thief = driven.connect(identity=b"\0\0\0\0\1")
    assert len(driven.front._peers) == 2
    victim.send(b"", b"1")
    thief.send(b"", b"2")
    driven.until(lambda: len(driven.inbox) == 2, "both")
    assert driven.inbox[0][0] != driven.inbox[1][0]
    victim.close()
    thief.close()


@pytest.mark.slow
def test_a_thousand_idle_connections(driven: DrivenFront) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2500:
        pytest.skip("no 2,500 descriptors; raise `ulimit -n`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2500), hard))
    try:
        idle = [driven.connect() for _ in range(1000)]
        active = driven.connect()
        began = time.monotonic()
        for number in range(500):
            echo(driven, active, b"%d" % number)
        with prompt():
            assert time.monotonic() - began < 2.0
        echo(driven, idle[0])
        echo(driven, idle[-1])
        for peer in (*idle, active):
            peer.close()
        driven.until(lambda: len(driven.gone) == 1001, "all are gone")
        assert not driven.front._connections
        assert not driven.front._young
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no RLIMIT_NOFILE; run it on POSIX")
def test_no_descriptors_left(spawn: Spawner) -> None:
    """In a process of its own: those who are connected are served, later ones later."""
    child = spawn(
        """
        import resource, socket, sys
        from runmacs.roc import Endpoints
        from runmacs.roc._drivers.clock import now
        from runmacs.roc._drivers.fronts import StreamFront
        from runmacs.roc._drivers.gates import Poller

        probe = socket.socket()
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        poller = Poller()
        front = StreamFront(poller)
        front.bind(Endpoints("127.0.0.1", port))
        used = socket.socket().detach()
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 5, used + 5))
        print("port", port, flush=True)
        turns = 0
        while True:
            turns += 1
            for inbox in front.collect(poller.wait(0.1)):
                for rid, _, body in inbox:
                    front.send([rid, b"", body if body != b"turns" else b"%d" % turns])
                front.flush()
            front.tick(now())
        """,
    )
    place = ("127.0.0.1", int(child.wait_for(r"^port (\d+)")[1]))

    def ask(peer: Peer, body: bytes) -> bytes:
        peer.send(b"", body)
        return peer.receive()[1]

    first = Peer.to(place).greet()
    assert ask(first, b"1") == b"1"
    others = [Peer.to(place) for _ in range(20)]
    for peer in others:
        peer.sock.sendall(peer.hello)
    for number in range(100):
        assert ask(first, b"%d" % number) == b"%d" % number
    before = int(ask(first, b"turns"))
    began = time.monotonic()
    time.sleep(0.5)  # how often it turns in that time is what is measured
    assert int(ask(first, b"turns")) - before < 20 + 10 * (time.monotonic() - began)
    assert child.returncode is None
    for peer in others:
        peer.close()
    late = Peer.to(place)
    late.sock.sendall(late.hello)
    while not late.decoder.up:
        late.read()
    assert ask(late, b"late") == b"late"
    for peer in (first, late):
        peer.close()


# ---- rude peers


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, bytes(64), b"\x01\x00"])
def test_junk_ends_only_its_own_connection(driven: DrivenFront, junk: bytes) -> None:
    good = driven.connect()
    with socket.create_connection(driven.place, 5) as bad:
        bad.sendall(junk)
        other = Peer(bad)
        driven.until(other.is_over, "it is cut off")
    echo(driven, good)
    good.close()


@pytest.mark.parametrize("said", [b"", b"\xff", b"hello without READY"])
def test_a_handshake_that_never_ends(driven: DrivenFront, said: bytes) -> None:
    good = driven.connect()
    began = clock()
    slow = Peer.to(driven.place)
    slow.sock.sendall(slow.hello[:64] if b" " in said else said)
    driven.until(lambda: len(driven.front._connections) == 2, "accepted")
    driven.turn(now=began + 1.5)
    assert not slow.is_over()
    driven.turn(now=clock() + 2.5)
    assert slow.is_over()
    echo(driven, good)
    assert not driven.front._young
    slow.close()
    good.close()


def test_byte_by_byte(driven: DrivenFront) -> None:
    """Slow, but sound: it is served, and delays nobody."""
    good, slow = driven.connect(), Peer.to(driven.place)
    for byte in slow.hello + b"\x01\x00\x00\x04slow":
        slow.sock.sendall(bytes((byte,)))
        driven.turn(0.5)
    driven.until(lambda: driven.inbox, "the slow one's message")
    assert driven.inbox.pop()[1:] == [b"", b"slow"]
    slow.sock.sendall(b"\x02" + (100 * MIB).to_bytes(8, "big") + bytes(100_000))
    echo(driven, good)
    slow.close()
    good.close()


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("size", [1000, 3 * MIB])
def test_a_peer_that_goes_in_the_middle_of_a_frame(
    driven: DrivenFront, end: str, size: int
) -> None:
    good, other = driven.connect(), driven.connect()
    other.send(b"", b"whole")
    driven.until(lambda: driven.inbox, "the whole message")
    rid = driven.inbox.pop()[0]
    other.sock.sendall(b"\x02" + size.to_bytes(8, "big") + bytes(size // 2))
    getattr(other, end)()
    driven.until(lambda: driven.gone == [rid], "its end is told")
    assert driven.front.send([rid, b"x"]) == errno.EHOSTUNREACH
    echo(driven, good)
    good.close()


def test_a_peer_that_sends_and_never_reads(
    driven: DrivenFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 20 * MIB
    monkeypatch.setattr(fronts, "_PEER_BYTES", limit)
    good, deaf = driven.connect(), driven.connect()
    sent = 0
    longest = 0
    for number in itertools.count():
        deaf.send(b"", b"%d" % number)
        driven.until(lambda: driven.inbox, "its message")
        rid = driven.inbox.pop(0)[0]
        code = driven.front.send([rid, b"", b"%d" % number, bytes(MIB)])
        driven.front.flush()
        longest = max(longest, driven.front._peers[rid].queued)
        if code:
            break
        sent += 1
    assert code == errno.EAGAIN
    assert longest <= limit + MIB + KIB
    assert sent >= 20
    echo(driven, good)
    reader = threading.Thread(target=lambda: [deaf.receive() for _ in range(sent)])
    reader.start()
    driven.until(lambda: not reader.is_alive(), "it reads after all")
    echo(driven, deaf)
    deaf.close()
    good.close()


def test_a_flood_delays_others_by_no_more_than_a_turn(driven: DrivenFront) -> None:
    flooding, good = driven.connect(), driven.connect()
    flood = (b"\x01\x00\x00\x7f" + b"f" * 127) * 2000
    over = threading.Event()

    def pour() -> None:
        while not over.is_set():
            try:
                flooding.sock.sendall(flood)
            except OSError:
                return

    pouring = threading.Thread(target=pour)
    pouring.start()
    try:
        driven.until(lambda: len(driven.inbox) > 10_000, "the flood")
        for number in range(50):
            good.send(b"", b"%d" % number)
            good_fd = driven.front._peers[rid_of(driven, good)].fd
            assert select.select([good_fd], (), (), 5)[0], "it has come"
            driven.inbox.clear()
            assert good_fd in driven.turn(0.0)
            bodies = [message[2] for message in driven.inbox]
            assert b"%d" % number in bodies
            assert len(bodies) < 100, "what one peer may have in a turn is bounded"
    finally:
        over.set()
        flooding.sock.shutdown(socket.SHUT_RDWR)  # closing alone would not wake who sends
        pouring.join()
        flooding.sock.close()
    good.close()


def test_who_sends_little_comes_before_who_sends_much(driven: DrivenFront) -> None:
    """In a portion of its own, which has left before the other one is looked at."""
    busy, good = driven.connect(), driven.connect()
    busy.sock.sendall(b"\x01\x00\x00\x04many" * 10_000)
    connection = driven.front._peers[rid_of(driven, busy)]
    driven.until(lambda: connection.busy, "the first of many")
    good.send(b"", b"one")
    wait_until(lambda: len(driven.poller.look()) == 2, what="both have something")
    portions = list(driven.front.collect(driven.poller.look()))
    assert [message[2] for message in portions[0]] == [b"one"]
    assert {message[2] for message in portions[1]} == {b"many"}
    assert len(portions) == 2
    for peer in (busy, good):
        peer.close()


def rid_of(driven: DrivenFront, peer: Peer) -> bytes:
    port = peer.sock.getsockname()[1]
    for rid, connection in driven.front._peers.items():
        if connection._sock.getpeername()[1] == port:
            return rid
    raise AssertionError("it is not connected")


def test_large_frames_leave_room_for_others(driven: DrivenFront) -> None:
    large, good = driven.connect(), driven.connect()
    body = bytes(50 * MIB)
    sending = threading.Thread(target=large.send, args=(b"", body))
    sending.start()
    for number in range(20):
        good.send(b"", b"%d" % number)
        with prompt():
            driven.until(lambda: any(len(m[2]) < 9 for m in driven.inbox), "a small one", 1.0)
        driven.inbox[:] = [message for message in driven.inbox if len(message[2]) > 9]
    driven.until(lambda: driven.inbox, "the large one")
    sending.join()
    assert driven.inbox[0][2] == body
    large.close()
    good.close()


def test_a_ping_is_answered_in_the_same_turn(driven: DrivenFront) -> None:
    peer = driven.connect()
    peer.sock.sendall(PING)
    wait_until(lambda: driven.turn(0.0), what="the turn that reads it")
    assert select.select([peer.sock], (), (), 30.0)[0]
    assert peer.sock.recv(100) == PONG
    peer.close()


def test_where_only_select_can_be_had_the_rest_waits(
    driven: DrivenFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = driven.connect()
    monkeypatch.setattr("runmacs.roc._drivers.gates.Poller.full", True)
    late = Peer.to(driven.place)
    late.sock.sendall(late.hello)
    driven.until(lambda: driven.front._accept_again, "it is full")
    echo(driven, good)
    assert driven.turn(0.05) == [], "nobody turns in circles"
    monkeypatch.setattr("runmacs.roc._drivers.gates.Poller.full", False)
    driven.turn(now=clock() + 1.5)
    driven.until(lambda: len(driven.front._peers) == 2, "the late one")
    late.close()
    good.close()


# ---- addresses


@needs_ipc
def test_a_file_that_was_left_behind_is_replaced_and_removed_at_the_end(tmp_path: Path) -> None:
    endpoints = Endpoints(str(tmp_path / "lab"), 5555, "ipc")
    path = tmp_path / "lab.5555"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    driven = DrivenFront(endpoints)
    peer = Peer.to(str(path))
    peer.sock.sendall(peer.hello)
    driven.until(lambda: driven.front._peers, "connected")
    echo(driven, peer)
    driven.close()
    assert not path.exists()
    peer.close()


@needs_ipc
def test_a_living_one_is_refused(tmp_path: Path) -> None:
    endpoints = Endpoints(str(tmp_path / "lab"), 5555, "ipc")
    first = DrivenFront(endpoints)
    with pytest.raises(OSError, match="in use") as caught:
        DrivenFront(endpoints)
    assert caught.value.errno == errno.EADDRINUSE
    Peer.to(str(tmp_path / "lab.5555")).close()
    first.close()


@needs_ipc
def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "lab.5555"
    precious.write_text("a night's measurements")
    with pytest.raises(OSError, match="in use"):
        DrivenFront(Endpoints(str(tmp_path / "lab"), 5555, "ipc"))
    assert precious.read_text() == "a night's measurements"


@needs_ipc
def test_the_file_is_removed_from_where_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    driven = DrivenFront(Endpoints("./lab", 5555, "ipc"))
    assert (tmp_path / "lab.5555").exists()
    monkeypatch.chdir("/")
    driven.close()
    assert not (tmp_path / "lab.5555").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's; run it there")
def test_an_abstract_name() -> None:
    name = f"@roc-test-{os.getpid()}"
    driven = DrivenFront(Endpoints(name, 5555, "ipc"))
    peer = Peer.to(f"\0{name[1:]}.5555")
    peer.sock.sendall(peer.hello)
    driven.until(lambda: driven.front._peers, "connected")
    echo(driven, peer)
    peer.close()
    driven.close()


def test_a_port_that_is_taken_and_a_name_that_is_not_ours() -> None:
    first = DrivenFront.on_loopback()
    with pytest.raises(OSError, match="in use") as caught:
        DrivenFront(first.endpoints)
    assert caught.value.errno == errno.EADDRINUSE
    first.close()
    with pytest.raises(OSError, match="assign") as caught:
        DrivenFront(Endpoints("203.0.113.1", first.endpoints.brokerBasePort))
    assert caught.value.errno == errno.EADDRNOTAVAIL
    again = DrivenFront(first.endpoints)
    again.close()


def test_all_interfaces() -> None:
    probe = DrivenFront.on_loopback()
    port = probe.endpoints.brokerBasePort
    probe.close()
    driven = DrivenFront(Endpoints("*", port))
    peer = Peer.to(("127.0.0.1", port))
    peer.sock.sendall(peer.hello)
    driven.until(lambda: driven.front._peers, "connected")
    peer.close()
    driven.close()


# ---- the end


def test_the_last_answers_arrive_though_something_is_unread(driven: DrivenFront) -> None:
    peers = [driven.connect() for _ in range(5)]
    rids = list(driven.front._peers)
    for rid in rids:
        for number in range(100):
            driven.front.send([rid, b"", b"%d" % number, bytes(1000)])
    for peer in peers:
        for _ in range(200):
            peer.send(b"", bytes(1000))
    closing = threading.Thread(target=driven.front.close)
    closing.start()
    for peer in peers:
        wait_until(peer.is_over, what="closed")
        peer.close()
        assert [message[1] for message in peer.messages] == [b"%d" % n for n in range(100)]
    closing.join()


def test_a_large_last_answer_has_time_to_leave(driven: DrivenFront) -> None:
    peer = driven.connect()
    (rid,) = driven.front._peers
    driven.front.send([rid, b"", bytes(30 * MIB)])
    closing = threading.Thread(target=driven.front.close)
    closing.start()
    assert len(peer.receive()[1]) == 30 * MIB
    peer.close()
    closing.join()


def test_closing_takes_half_a_second_however_many_do_not_read(driven: DrivenFront) -> None:
    deaf = [driven.connect() for _ in range(20)]
    for rid in driven.front._peers:
        driven.front.send([rid, b"", bytes(8 * MIB)])
    began = time.monotonic()
    driven.front.close()
    with prompt():
        assert 0.4 < time.monotonic() - began < 1.0
    for peer in deaf:
        peer.close()


def test_closing_waits_for_nobody_who_is_quiet(driven: DrivenFront) -> None:
    idle = [driven.connect() for _ in range(20)]
    began = time.monotonic()
    driven.front.close()
    with prompt():
        assert time.monotonic() - began < 0.2
    assert all(peer.is_over() for peer in idle)
    for peer in idle:
        peer.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork; run it on Linux or macOS")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_keeps_neither_the_port_nor_a_connection(driven: DrivenFront) -> None:
    peer = driven.connect()
    stay, leave = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            driven.front.close()
            os.close(leave)
            os.read(stay, 1)  # lives on
        finally:
            os._exit(0)
    try:
        os.close(stay)
        for number in range(20):
            echo(driven, peer, b"%d" % number)
        driven.front.close()
        assert peer.is_over()
        again = DrivenFront(driven.endpoints)
        again.close()
    finally:
        os.close(leave)
        os.waitpid(child, 0)
        peer.close()


class Camera:
    def __init__(self) -> None:
        self.begun: list[int] = []

    def has_begun(self) -> bool:
        return bool(self.begun)

    def expose(self, number: int) -> int:
        self.begun.append(number)
        time.sleep(0.002)
        return number


def test_a_server_that_stops_with_calls_queued_leaves_none_unanswered() -> None:
    """100 times: each is answered once, and the answer is true."""
    with Desk() as desk:
        caller = Peer.to(("127.0.0.1", desk.endpoints.brokerBasePort)).greet()
        for turn in range(100):
            camera = Camera()
            server = RocServer(desk.endpoints, "vnir", camera)
            server.start()
            for number in range(16):
                request = {"jsonrpc": "2.0", "id": number, "method": "expose", "params": [number]}
                caller.send(b"", b"MDPC01", b"vnir", json.dumps(request).encode())
            if turn % 2:
                wait_until(camera.has_begun, what="the first has begun")
            server.stop()
            answers: dict[int, Any] = {}
            while len(answers) < 16:
                answer = json.loads(caller.receive()[3])
                assert answer["id"] not in answers
                answers[answer["id"]] = answer
            for number, answer in answers.items():
                if "result" in answer:
                    assert answer["result"] == number
                    assert number in camera.begun
                elif answer["error"]["data"]["executed"] is False:
                    assert number not in camera.begun
                else:
                    # It was on its way to the server when that left.
                    assert answer["error"]["data"]["executed"] is None
            assert caller.messages == []
        caller.close()
