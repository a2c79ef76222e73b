"""The C extension and its reference in Python: the same from both, whatever comes."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from implementations import IMPLEMENTATIONS, implementation, needs_extension
from processes import child_environment
from promptness import prompt
from runmacs.roc._drivers import native
from runmacs.roc.wire.handshake import GREETING, ready
from runmacs.roc.wire.memory import Memory
from runmacs.roc.wire.zmtp import Passage, Unsound, encode

KIB, MIB = 1024, 1024 * 1024
HELLO = GREETING + ready(b"ROUTER")
PING = b"\x04\x09\x04PING\x00\x64ab"
NAMES = ("Python", "C")

# ---- what comes


class Reading:
    """One implementation that reads from a socket; what it tells is kept."""

    def __init__(self, name: str, small: bool, limit: int, head: bytes | None) -> None:
        kind = implementation(name).Inbox
        if small:
            kind = type("Small", (kind,), {"IN_PLACE": 32, "FIRST": 64})
        naming = None if head is None else (lambda identity: head)
        self.inbox = kind(limit, (b"ROUTER",), Memory(), naming)
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.story: list[Any] = []
        self.ended = False

    def send(self, data: bytes, size: int, told: bool) -> None:
        self.theirs.sendall(data)
        for _ in range(len(data) + 2):
            if self.ended:
                return
            passage = Passage() if told and self.inbox.space() is None else None
            try:
                messages = self.inbox.receive(self.ours, size, passage)
            except (Unsound, OSError) as error:
                self.story.append((type(error), str(error)))
                self.ended = True
                return
            shown = [[bytes(frame) for frame in message] for message in messages]
            kinds = [[type(frame) for frame in message] for message in messages]
            self.story.append((shown, kinds, self.inbox.got, self.inbox.up, self.inbox.pings[:]))
            if passage is not None:
                self.story.append((passage.data, passage.start, passage.ends[:]))
            if not self.inbox.more:
                return

    def close(self) -> None:
        self.theirs.close()
        if not self.ended:
            with pytest.raises(ConnectionResetError, match="closed by the peer"):
                self.inbox.receive(self.ours, 100)
        self.ours.close()


BODIES = st.one_of(st.binary(max_size=90), st.integers(200, 700).map(bytes))
MESSAGES = st.lists(BODIES, min_size=1, max_size=5).map(
    lambda frames: b"".join(map(bytes, encode(frames)))
)
JUNK = st.one_of(
    st.binary(min_size=1, max_size=30),
    st.integers(0, (1 << 64) - 1).map(lambda n: b"\x02" + n.to_bytes(8, "big")),
    st.integers(0, (1 << 64) - 1).map(lambda n: b"\x07" + n.to_bytes(8, "big")),
    st.sampled_from([HELLO, PING, b"\x06" + (1 << 20).to_bytes(8, "big"), b"\x05", b"\x01\x00"]),
)
STREAMS = st.lists(st.one_of(MESSAGES, MESSAGES, MESSAGES, st.just(PING), JUNK), max_size=8)


@needs_extension
@settings(max_examples=300, deadline=None)
@given(
    st.booleans(),
    STREAMS.map(b"".join),
    st.lists(st.integers(1, 400), max_size=10),
    st.integers(1, 500),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, b"\0rid1"]),
    st.integers(300, 3000),
)
def test_both_read_the_same_from_any_bytes_in_any_pieces(
    greeted: bool,
    data: bytes,
    pieces: list[int],
    size: int,
    told: bool,
    small: bool,
    head: bytes | None,
    limit: int,
) -> None:
    if greeted:
        data = HELLO + data
    readings = [Reading(name, small, limit, head) for name in NAMES]
    for reading in readings:
        position = 0
        for piece in [*pieces, len(data)]:
            if position < len(data):
                reading.send(data[position : position + piece], size, told)
            position += piece
        reading.close()
    assert readings[0].story == readings[1].story


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_a_large_frame_is_received_into_its_own_memory(name: str) -> None:
    memory = Memory()
    inbox = implementation(name).Inbox(10 * MIB, (b"ROUTER",), memory)
    assert inbox.feed(HELLO) == []
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    body = os.urandom(3 * MIB)

    def message() -> Any:
        sending = threading.Thread(target=theirs.sendall, args=(b"".join(encode([b"1", body])),))
        sending.start()
        messages: list[Any] = []
        while not messages:
            messages += inbox.receive(ours, 64 * KIB)
        sending.join()
        return messages[0]

    first, second = message()[1], message()[1]
    assert first == second == body
    assert first.readonly
    where = first.obj
    assert second.obj is not where, "somebody holds it still"
    del first
    third = message()[1]
    assert third.obj is where, "nobody holds it any more"
    ours.close()
    theirs.close()


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_a_name_that_is_refused_ends_it(name: str) -> None:
    def refuse(identity: bytes) -> bytes:
        raise Unsound("taken")

    inbox = implementation(name).Inbox(1000, (b"ROUTER",), Memory(), refuse)
    for _ in range(2):
        with pytest.raises(Unsound, match="taken"):
            inbox.feed(HELLO)


@needs_extension
def test_whoever_comes_back_in_the_middle_is_refused() -> None:
    def again(identity: bytes) -> bytes:
        inbox.feed(b"more")
        return b""

    inbox = implementation("C").Inbox(1000, (b"ROUTER",), Memory(), again)
    with pytest.raises(RuntimeError, match="two at a time"):
        inbox.feed(HELLO)


@needs_extension
@pytest.mark.parametrize(
    "call",
    [
        lambda kind: kind(),
        lambda kind: kind(-1, (), Memory()),
        lambda kind: kind(1 << 70, (), Memory()),
        lambda kind: kind(10, ()).feed("text"),
        lambda kind: kind(10, ()).feed(),
        lambda kind: kind(10, ()).feed(b"", object()),
        lambda kind: kind(10, ()).receive(None, 10),
        lambda kind: kind(10, ()).receive(socket, 0),
        lambda kind: kind(10, ()).receive(socket, -1),
        lambda kind: kind(10, ()).received("1"),
        lambda kind: kind.__new__(kind).feed(b""),
        lambda kind: kind.__new__(kind).receive(object(), 10),
        lambda kind: type("Odd", (kind,), {"IN_PLACE": "x"})(10, ()),
        lambda kind: type("Odd", (kind,), {"FIRST": 0})(10, ()),
        lambda kind: type("Odd", (kind,), {"_greet": lambda *_: 99})(10, ()).feed(b"1"),
        lambda kind: type("Odd", (kind,), {"_greet": lambda *_: "1"})(10, ()).feed(b"1"),
    ],
)
def test_what_makes_no_sense_is_an_exception(call: Callable[[Any], Any]) -> None:
    expected = (TypeError, ValueError, OverflowError, RuntimeError, AttributeError)
    with pytest.raises(expected):
        call(implementation("C").Inbox)


# ---- what goes


class Sending:
    """One implementation that sends to a socket which takes little at a time."""

    def __init__(self, name: str) -> None:
        self.outbox = implementation(name).Outbox(Memory())
        self.ours, self.theirs = socket.socketpair()
        for end in (self.ours, self.theirs):
            end.setblocking(False)
        self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.came = bytearray()

    def read(self) -> None:
        try:
            while True:
                self.came += self.theirs.recv(1 << 20)
        except BlockingIOError:
            pass

    def finish(self) -> None:
        while not self.outbox.flush(self.ours):
            self.read()
        self.read()
        assert self.outbox.queued == self.outbox.parts == 0
        self.ours.close()
        self.theirs.close()


SIZES = st.sampled_from([0, 1, 255, 256, 4095, 4096, 65_535, 65_536, 200_000])
FRAMES = st.tuples(SIZES, st.sampled_from([bytes, bytearray, memoryview, "words", "gaps"]))
STEPS = st.lists(
    st.one_of(
        st.lists(FRAMES, min_size=1, max_size=4),
        SIZES,
        st.sampled_from(["flush", "read", "flush", "read", "put nonsense"]),
    ),
    max_size=12,
)


def frame_of(size: int, kind: Any, fill: int) -> Any:
    body = bytes((fill % 251,)) * size
    if kind == "words":
        return memoryview(body).cast("H") if size % 2 == 0 else body
    if kind == "gaps":
        return memoryview(body)[::-1] if size < 60_000 else body
    return kind(body)


@needs_extension
@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_both_send_the_same(steps: list[Any]) -> None:
    both = [Sending(name) for name in NAMES]
    for number, step in enumerate(steps):
        for sending in both:
            outbox = sending.outbox
            if step == "flush":
                outbox.flush(sending.ours)
            elif step == "read":
                sending.read()
            elif step == "put nonsense":
                queued = outbox.queued
                for nonsense in ([b"1", bytes(100_000), None], 7, [b"1", "text"]):
                    with pytest.raises(TypeError):
                        outbox.put(nonsense)
                assert outbox.queued == queued, "whole or not at all"
            elif isinstance(step, int):
                outbox.put_encoded(frame_of(step, bytes, number))
            else:
                frames = [frame_of(size, kind, number) for size, kind in step]
                parts = outbox.put(frames)
                outbox.flush(sending.ours)
                outbox.own(parts)
                for frame in frames:
                    if isinstance(frame, bytearray):
                        frame[:] = bytes(len(frame))
    for sending in both:
        sending.finish()
    assert both[0].came == both[1].came


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_a_large_frame_leaves_from_where_it_is(name: str) -> None:
    outbox = implementation(name).Outbox(Memory())
    body = bytearray(MIB)
    outbox.put([b"", body])
    body[7] = 9
    with pytest.raises(BufferError):
        body.pop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    came = bytearray()
    while not outbox.flush(ours):
        came += theirs.recv(MIB)
    came += theirs.recv(MIB)
    assert came[-MIB:][7] == 9
    body.pop()  # nobody holds it any more
    outbox.put([bytearray(MIB)])
    outbox.clear()
    assert outbox.queued == outbox.parts == 0
    theirs.close()
    outbox.put([b"1"])
    with pytest.raises(OSError, match="Broken pipe"):
        outbox.flush(ours)
    ours.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        outbox.flush(ours)


@needs_extension
def test_an_outbox_that_is_cleared_in_the_middle_survives() -> None:
    class Meddling(Memory):
        def copy(self, view: memoryview) -> bytes:
            outbox.clear()
            return bytes(view)

    outbox: Any = implementation("C").Outbox(Meddling())
    for _ in range(3):
        parts = outbox.put([b"1", bytearray(100_000), bytearray(100_000), b"2"])
        outbox.own(parts)
        assert outbox.queued == outbox.parts == 0
        assert outbox.put([b"1", b"2"]) == 1
        assert outbox.queued == 6
        outbox.clear()


# ---- to many


class Peer:
    def __init__(self, name: str) -> None:
        self.outbox = implementation(name).Outbox(Memory())


MESSAGE = st.tuples(st.sampled_from([b"a", b"b", b"absent", None, "x"]), st.integers(0, 300))


@needs_extension
@given(st.lists(MESSAGE, max_size=12), st.integers(0, 400), st.integers(0, 3))
def test_both_send_to_many_alike(wanted: list[tuple[Any, int]], limit: int, begin: int) -> None:
    results = []
    for name in NAMES:
        peers = {rid: Peer(name) for rid in (b"a", b"b")}
        messages = [
            7 if size == 13 else [rid] if size == 14 else [rid, b"", bytes(size)]
            for rid, size in wanted
        ]
        touched: list[Any] = []
        send_all = implementation(name).send_all
        stopped = send_all(peers, messages, begin, limit, touched)
        queued = {rid: peer.outbox.queued for rid, peer in peers.items()}
        names = [rid for each in touched for rid, peer in peers.items() if peer is each]
        results.append((stopped, queued, names))
    assert results[0] == results[1]


# ---- waiting


@needs_extension
def test_a_wait_lets_other_threads_run() -> None:
    wait = implementation("C").wait
    ours, theirs = socket.socketpair()
    turns = 0
    over = threading.Event()

    def turn() -> None:
        nonlocal turns
        while not over.is_set():
            turns += 1

    turning = threading.Thread(target=turn)
    turning.start()
    for moment in (0.0, 0.1):
        before = turns
        began = time.monotonic()
        waited = wait((ours.fileno(),), 0.2, moment, True)
        if waited is None:  # the other thread is in a hurry
            waited = wait((ours.fileno(),), 0.2, 0.0, True)
        assert waited == []
        with prompt():
            assert 0.19 < time.monotonic() - began < 5
        with prompt():
            assert turns - before > 100
    over.set()
    turning.join()
    theirs.send(b"1")
    assert wait((ours.fileno(), theirs.fileno()), 5.0, 0.001, False) == [ours.fileno()]
    ours.close()
    theirs.close()
    assert wait((ours.fileno() + 100_000,), 5.0, 0.0, True) == [100_000 - 1], "a bad one is told"


@needs_extension
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX; run it on Linux or macOS")
@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("moment", [0.0, 0.5], ids=["asleep", "looking"])
def test_ctrl_c_ends_a_wait_at_once(moment: float) -> None:
    wait = implementation("C").wait
    ours, theirs = socket.socketpair()
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        timer.start()  # on a busy machine it may strike before the wait begins
        # Where others want to run it looks no longer, and is asked to wait.
        wait((ours.fileno(),), 30.0, moment, True) or wait((ours.fileno(),), 30.0, 0.0, True)
    with prompt():
        assert time.monotonic() - began < 5
    timer.join()
    ours.close()
    theirs.close()


# ---- which one runs


def test_a_program_can_do_without_it() -> None:
    program = "from runmacs.roc._drivers.native import RUNS, WHY_NOT; print(RUNS, WHY_NOT)"
    printed = subprocess.run(
        [sys.executable, "-c", program],
        env=child_environment({"ROC_PURE": "1"}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert printed == "Python ROC_PURE is set\n"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (ModuleNotFoundError("no"), "it was not built"),
        (ImportError("an undefined symbol"), "it cannot be loaded: an undefined symbol"),
        (ModuleType("of another version"), "it was built for another version of ROC; install"),
    ],
)
def test_why_it_does_not_run(
    found: Exception | ModuleType, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def import_module(name: str) -> ModuleType:
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.delenv("ROC_PURE", raising=False)
    monkeypatch.setattr(importlib, "import_module", import_module)
    module, told = native.load()
    assert module is None
    assert told.startswith(why)


IN_A_SUBINTERPRETER = """
import importlib
try:
    interpreters = importlib.import_module("_interpreters")
except ImportError:
    interpreters = importlib.import_module("_xxsubinterpreters")
program = '''
import socket
from runmacs.roc import _native
from runmacs.roc.wire.memory import Memory
from runmacs.roc.wire.handshake import GREETING, Handshake, ready
from runmacs.roc.wire.zmtp import Unsound
kind = type("Inbox", (Handshake, _native.Frames), {})
inbox, outbox = kind(1000, (b"ROUTER",), Memory()), _native.Outbox(Memory())
ours, theirs = socket.socketpair()
outbox.put_encoded(GREETING + ready(b"ROUTER"))
outbox.put([b"1", b"2"])
assert outbox.flush(theirs)
assert inbox.receive(ours, 1000) == [[b"1", b"2"]]
theirs.send(b"@@")
try:
    inbox.receive(ours, 1000)
except Unsound:
    print("as ever", flush=True)
'''
for _ in range(3):
    interpreter = interpreters.create()
    failure = interpreters.run_string(interpreter, program)
    assert failure is None, failure
    interpreters.destroy(interpreter)
    exec(program)
"""


@needs_extension
def test_each_interpreter_of_a_process_may_have_it() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", IN_A_SUBINTERPRETER],
        env=child_environment({}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stdout == "as ever\n" * 6, ended.stderr
