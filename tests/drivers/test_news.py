"""Publications turn by turn: peers that are many, slow, rude or gone."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.peers import DrivenNews, PassOn, Peer
from promptness import prompt
from runmacs.roc._drivers import outlet
from runmacs.roc._drivers.clock import now as clock
from runmacs.roc._drivers.outlet import StreamOutlet
from runmacs.roc.wire import handshake, zmtp

KIB, MIB = 1024, 1024 * 1024
PING = b"\x04\x09\x04PING\x00\x64ab"
PONG = b"\x04\x07\x04PONGab"


@pytest.fixture
def driven() -> Iterator[DrivenNews]:
    driven = DrivenNews()
    yield driven
    driven.close()


def encoded(*messages: list[bytes]) -> bytes:
    return b"".join(bytes(part) for message in messages for part in zmtp.encode(message))


def close(*peers: Peer) -> None:
    for peer in peers:
        peer.close()


# ---- topics and subscribers


@pytest.mark.parametrize("kind", [b"SUB", b"XSUB"])
def test_each_gets_what_it_asked_for_in_order(driven: DrivenNews, kind: bytes) -> None:
    status = driven.subscriber(b"status.", kind=kind)
    all_of_it = driven.subscriber(b"", kind=kind)
    twice_fits = driven.subscriber(b"status.v", b"status.", b"log.", kind=kind)
    nothing = driven.subscriber(kind=kind)
    source = driven.publisher()
    sent = [[b"%s.%d" % (topic, n), b"data", b"head"] for n in range(50)
            for topic in (b"status.vnir", b"log.09", b"status", b"beacon")]  # fmt: skip
    source.sock.sendall(encoded(*sent))
    driven.expect(all_of_it, *sent)
    driven.expect(status, *[m for m in sent if m[0].startswith(b"status.")])
    driven.expect(twice_fits, *[m for m in sent if m[0].startswith((b"status.", b"log."))])
    driven.expect(nothing)
    assert driven.traffic.publications_taken == len(sent)
    # 50 of each topic: 4, 1 (status. with a number is not among "status" without a dot), ...
    got = len(sent) + sum(m[0].startswith(b"status.") for m in sent)
    got += sum(m[0].startswith((b"status.", b"log.")) for m in sent)
    assert driven.traffic.publications_passed_on == got
    close(status, all_of_it, twice_fits, nothing, source)


@pytest.mark.parametrize("kind", [b"PUB", b"XPUB"])
def test_messages_of_any_shape_arrive_as_they_were_sent(driven: DrivenNews, kind: bytes) -> None:
    reader, source = driven.subscriber(b""), driven.publisher(kind)
    sent = [
        [b""], [b"", b""], [b"topic"], [b"t", b"", b"x"], [b"t" * 300, b"d" * 300],
        [b"t", b"d" * 70_000, b"h"], [b"t" * 100_000], [b"t", b"d" * (3 * MIB), b"h"], [b"end"],
    ]  # fmt: skip
    feeding = threading.Thread(target=lambda: source.sock.sendall(encoded(*sent * 3)))
    feeding.start()
    driven.expect(reader, *sent * 3)
    feeding.join()
    close(reader, source)


FRAMES = st.lists(st.binary(max_size=300), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def shared() -> Iterator[DrivenNews]:
    driven = DrivenNews()
    yield driven
    driven.close()


@given(
    st.lists(st.tuples(st.sampled_from([b"a", b"ab", b"b", b""]), FRAMES), max_size=40),
    st.lists(st.sampled_from([b"a", b"ab", b"b", b"c", b""]), min_size=1, max_size=3),
    st.lists(st.integers(1, 500), max_size=10),
)
def test_as_a_plain_loop_over_all_would_do_it(
    shared: DrivenNews, sent: list[tuple[bytes, list[bytes]]], prefixes: list[bytes],
    pieces: list[int],
) -> None:  # fmt: skip
    """However the bytes are cut on their way."""
    messages = [[prefix + first, *rest] for prefix, (first, *rest) in sent]
    reader, second = shared.subscriber(*prefixes), shared.subscriber(b"a")
    source = shared.publisher()
    data, position = encoded(*messages), 0
    for piece in [*pieces, len(data)]:
        source.sock.sendall(data[position : position + piece])
        position += piece
        shared.turn()
    shared.expect(reader, *[m for m in messages if m[0].startswith(tuple(prefixes))])
    shared.expect(second, *[m for m in messages if m[0].startswith(b"a")])
    close(reader, second, source)
    shared.until(
        lambda: shared.traffic.subscribers == 0 and shared.traffic.publishers == 0, "all are gone"
    )


def test_a_prefix_that_was_asked_for_twice_needs_two_ends(driven: DrivenNews) -> None:
    reader, source = driven.subscriber(b"a", b"a"), driven.publisher()
    for number, change in enumerate([b"\0a", b"\0a", b"\1a"]):
        reader.send(change)
        driven.until(lambda: driven._subscribed(reader.sock.getsockname()) == (
            set() if number == 1 else {b"a"}), "the change")  # noqa: B023  # fmt: skip
        taken = driven.traffic.publications_taken
        source.send(b"a", b"%d" % number)
        driven.until(lambda: driven.traffic.publications_taken > taken, "taken")  # noqa: B023
    driven.expect(reader, [b"a", b"0"], [b"a", b"2"])
    close(reader, source)


def test_late_joiners_get_what_comes_from_then_on(driven: DrivenNews) -> None:
    source, early = driven.publisher(), driven.subscriber(b"")
    source.send(b"a", b"1")
    driven.expect(early, [b"a", b"1"])
    late = driven.subscriber(b"a")
    source.send(b"a", b"2")
    driven.expect(late, [b"a", b"2"])
    driven.expect(early, [b"a", b"2"])
    second = driven.publisher()
    second.send(b"a", b"3")
    driven.expect(late, [b"a", b"3"])
    close(source, early, late, second)


def test_thousands_of_prefixes(driven: DrivenNews) -> None:
    prefixes = [b"status.part%d." % number for number in range(5000)]
    reader, source = driven.subscriber(*prefixes), driven.publisher()
    sent = [[prefix + b"=", b"1"] for prefix in prefixes]
    feeding = threading.Thread(target=lambda: source.sock.sendall(encoded(*sent, [b"other"])))
    feeding.start()
    driven.expect(reader, *sent)
    feeding.join()
    reader.close()
    driven.until(lambda: not driven.traffic.subscribers, "it is gone")
    assert isinstance(driven.news.outlet, StreamOutlet)
    assert len(driven.news.outlet._matching) == 0
    source.close()


def test_what_is_remembered_of_topics_is_bounded(
    driven: DrivenNews, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlet, "_TOPICS", 10)
    reader, source = driven.subscriber(b""), driven.publisher()
    sent = [[b"topic%d" % (number % 37), b"%d" % number] for number in range(200)]
    sent += [[b"long" * 500 + b"%d" % number] for number in range(50)]
    source.sock.sendall(encoded(*sent))
    driven.expect(reader, *sent)
    assert isinstance(driven.news.outlet, StreamOutlet)
    assert len(driven.news.outlet._routes) <= 10
    close(reader, source)


# ---- the core between them


class Editor(PassOn):
    """Drops, changes, adds; and writes down what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Any] = []
        self.due: float | None = None

    def on_publication(self, frames: list[bytes], now: float, out: list[list[bytes]]) -> None:
        assert all(type(frame) is bytes for frame in frames)
        if frames[0] == b"drop":
            return
        if frames[0] == b"change":
            frames = [*frames, b"changed"]
        out.append(frames)
        if frames[0] == b"double":
            out.append([b"added", frames[1]])
            out.append(frames)

    def on_subscribed(self, topic: bytes, now: float, out: list[list[bytes]]) -> None:
        self.heard.append(("+", topic))
        if topic.startswith(b"snapshot."):
            out.append([topic, b"all of it"])

    def on_unsubscribed(self, topic: bytes, now: float) -> None:
        self.heard.append(("-", topic))

    def next_deadline(self) -> float | None:
        return self.due

    def tick(self, now: float, out: list[list[bytes]]) -> None:
        self.due = None
        out.append([b"beat", b"1"])


@pytest.fixture
def editor() -> Editor:
    return Editor()


@pytest.fixture
def edited(editor: Editor) -> Iterator[DrivenNews]:
    driven = DrivenNews(editor)
    yield driven
    driven.close()


def test_the_core_may_drop_change_and_add(edited: DrivenNews) -> None:
    reader, source = edited.subscriber(b""), edited.publisher()
    topics = [b"plain", b"drop", b"change", b"plain", b"double", b"plain"]
    sent = [[topic, b"%d" % number] for number, topic in enumerate(topics * 100)]
    sent.append([b"large", bytes(MIB)])
    source.sock.sendall(encoded(*sent))
    expected: list[list[bytes]] = []
    for message in sent:
        if message[0] == b"change":
            expected.append([*message, b"changed"])
        elif message[0] != b"drop":
            expected.append(message)
        if message[0] == b"double":
            expected += [[b"added", message[1]], message]
    edited.expect(reader, *expected)
    close(reader, source)


def test_the_core_hears_of_the_first_and_the_last(edited: DrivenNews, editor: Editor) -> None:
    first, second = edited.subscriber(b"a", b"a", b"b"), edited.subscriber(b"a")
    assert editor.heard == [("+", b"a"), ("+", b"b")]
    first.send(b"\0a")
    first.send(b"\0a")
    first.send(b"\0b")
    edited.until(lambda: ("-", b"b") in editor.heard, "b has ended")
    assert ("-", b"a") not in editor.heard
    second.close()
    edited.until(lambda: ("-", b"a") in editor.heard, "a has ended")
    first.close()
    edited.until(lambda: edited.traffic.subscribers == 0, "gone")
    assert len(editor.heard) == 4


def test_an_answer_to_a_subscription_stands_in_the_stream(
    edited: DrivenNews, editor: Editor
) -> None:
    reader, source = edited.subscriber(b"status."), edited.publisher()
    source.send(b"status.a", b"before")
    edited.expect(reader, [b"status.a", b"before"])
    reader.send(b"\1snapshot.1.=")
    edited.until(lambda: ("+", b"snapshot.1.=") in editor.heard, "asked")
    source.send(b"status.a", b"after")
    edited.expect(reader, [b"snapshot.1.=", b"all of it"], [b"status.a", b"after"])
    close(reader, source)


def test_the_core_has_its_deadlines(edited: DrivenNews, editor: Editor) -> None:
    reader = edited.subscriber(b"beat")
    editor.due = clock() + 0.02
    assert edited.news.next_deadline(clock() + 1) == editor.due
    edited.turn()
    assert editor.due is not None
    edited.expect(reader, [b"beat", b"1"])
    assert edited.news.next_deadline(clock() + 1) == math.inf
    reader.close()


def test_a_turn_is_due_when_something_has_come_or_it_is_time(
    edited: DrivenNews, editor: Editor
) -> None:
    reader = edited.subscriber(b"beat")
    news = edited.news
    edited.turn()
    now = clock()
    assert not news.concerned([], now)
    assert not news.concerned([10_000], now), "somebody else's"
    assert all(news.concerned([fd], now) for fd in news.outlet.descriptors)
    assert len(news.outlet.descriptors) == 2
    assert news.concerned([], now + 1.0), "somebody's time may be over"
    editor.due = now + 0.01
    assert news.concerned([], now + 0.02)
    reader.close()


# ---- slow ones


def flood(size: int = 1000) -> bytes:
    return encoded(*[[b"t", b"%06d" % number + bytes(size)] for number in range(1000)])


def test_a_subscriber_that_does_not_read_costs_its_limit_and_nobody_else() -> None:
    limit = MIB
    driven = DrivenNews(limit=limit)
    deaf, good, source = driven.subscriber(b""), driven.subscriber(b""), driven.publisher()
    assert isinstance(driven.news.outlet, StreamOutlet)
    connections = driven.news.outlet._connections
    (waiting,) = [
        each for each in connections.values()
        if each._sock.getpeername() == deaf.sock.getsockname()
    ]  # fmt: skip
    got, rounds = 0, 0
    over = threading.Event()
    poured: list[int] = []
    pouring = threading.Thread(target=pour, args=(source, flood(), over, poured))
    pouring.start()
    end = clock() + 60
    while driven.traffic.dropped_subscriber_full < 3000 or got < 10_000:
        assert clock() < end
        driven.turn(0.02)
        assert waiting.queued <= limit + 400 * KIB
        good.is_over()
        got += len(good.messages)
        good.messages.clear()
        rounds += 1
    over.set()
    driven.until(lambda: not pouring.is_alive(), "the end of the flood")
    driven.until(lambda: driven.traffic.publications_taken == sum(poured), "all is taken")
    before = driven.traffic.dropped_subscriber_full
    assert waiting.full
    # It reads on: what waited, then what is new, and a hole between them.
    driven.until(lambda: driven._has(deaf, 1) and not waiting.queued, "it has read")
    assert not waiting.full
    source.send(b"t", b"new")
    driven.until(lambda: driven._has(deaf, 1) and deaf.messages[-1] == [b"t", b"new"], "new")
    assert driven.traffic.dropped_subscriber_full == before
    numbers = [int(message[1][:6]) for message in deaf.messages[:-1]]
    assert all((later - number) % 1000 == 1 for number, later in itertools.pairwise(numbers))
    taken = driven.traffic.publications_taken
    assert len(deaf.messages) + before == taken
    close(deaf, good, source)
    driven.close()


def pour(peer: Peer, data: bytes, over: threading.Event, poured: list[int] | None = None) -> None:
    """Write without end, 1,000 messages each time."""
    poured = [] if poured is None else poured
    while not over.is_set():
        peer.sock.sendall(data)
        poured.append(1000)


def test_a_full_one_goes_on_when_half_of_it_is_read() -> None:
    driven = DrivenNews(limit=40 * MIB)
    reader, source = driven.subscriber(b""), driven.publisher()
    assert isinstance(driven.news.outlet, StreamOutlet)
    (connection,) = driven.news.outlet._connections.values()
    body = bytes(4 * MIB)
    fed = 0
    while not connection.full:
        feeding = threading.Thread(target=source.send, args=(b"t", b"%d" % fed, body))
        feeding.start()
        fed += 1
        driven.until(lambda: driven.traffic.publications_taken == fed, "taken")  # noqa: B023
        feeding.join()
    while connection.full:
        assert connection.queued > 20 * MIB
        reader.read()
        driven.turn()
    assert connection.queued > 15 * MIB
    assert driven.traffic.dropped_subscriber_full == 0
    close(reader, source)
    driven.close()


def test_small_messages_that_wait_are_few_parts(driven: DrivenNews) -> None:
    reader, source = driven.subscriber(b""), driven.publisher()
    assert isinstance(driven.news.outlet, StreamOutlet)
    (connection,) = driven.news.outlet._connections.values()
    filling = [b"t", bytes(7 * MIB)]
    feeding = threading.Thread(target=source.send, args=filling)
    feeding.start()
    driven.until(lambda: driven.traffic.publications_taken, "it waits")
    feeding.join()
    for number in range(2000):
        source.send(b"t", b"%d" % number)
        driven.turn(0.5)
    driven.until(lambda: driven.traffic.publications_taken == 2001, "all wait")
    assert connection.outbox.parts < 30
    driven.expect(reader, filling, *[[b"t", b"%d" % number] for number in range(2000)])
    close(reader, source)


# ---- floods


class Listening(PassOn):
    """Notes what was taken of the quiet one."""

    def __init__(self) -> None:
        super().__init__()
        self.quiet: list[bytes] = []

    def on_publication(self, frames: list[Any], now: float, out: list[Any]) -> None:
        if frames[0] == b"quiet":
            self.quiet.append(bytes(frames[1]))
        super().on_publication(frames, now, out)


def test_a_flood_is_taken_in_portions_and_others_have_their_turn() -> None:
    heard = Listening()
    driven = DrivenNews(heard)
    reader, loud, quiet = driven.subscriber(b""), driven.publisher(), driven.publisher()
    driven.calls_flow = True
    over = threading.Event()
    pouring = threading.Thread(target=pour, args=(loud, flood(10), over))
    pouring.start()
    sizes: list[int] = []
    try:
        driven.until(lambda: driven.busy, "more than a turn may take")
        for number in range(50):
            quiet.send(b"quiet", b"%d" % number)
            driven.wait_for_arrival(quiet)  # on a busy machine the system takes its time
            for _ in range(3):
                before = driven.traffic.publications_taken
                driven.turn(0.01)
                sizes.append(driven.traffic.publications_taken - before)
                if len(heard.quiet) > number:
                    break
            else:
                pytest.fail("3 turns without the quiet one")
        assert max(sizes) < 20_000  # 256 KiB and a read, of messages of 22 bytes
    finally:
        over.set()
        driven.until(lambda: driven._has(reader, 0) and not pouring.is_alive(), "the end of it")
        close(reader, loud, quiet)
        driven.close()


def test_a_call_ends_a_turn_and_what_was_taken_leaves_with_the_next(driven: DrivenNews) -> None:
    reader, source = driven.subscriber(b""), driven.publisher()
    driven.calls_flow = True
    driven.is_called = lambda: True
    sent = [[b"t", b"%04d" % number, bytes(500)] for number in range(40)]
    source.sock.sendall(encoded(*sent))
    driven.until(lambda: driven.traffic.publications_taken, "the first read")
    assert driven.traffic.publications_taken < 10
    assert driven.busy
    driven.turn()
    assert driven.traffic.publications_taken < 20
    driven.expect(reader, *sent)
    close(reader, source)


def test_nobody_wants_it(driven: DrivenNews) -> None:
    """A publisher is read on though nobody listens: it shall not wait for anybody."""
    source = driven.publisher()
    over = threading.Event()
    pouring = threading.Thread(target=pour, args=(source, flood(), over))
    pouring.start()
    try:
        driven.until(lambda: driven.traffic.publications_taken > 20_000, "taken")
    finally:
        over.set()
    driven.until(lambda: not pouring.is_alive(), "the end of it")
    assert driven.traffic.publications_passed_on == 0
    assert driven.traffic.dropped_subscriber_full == 0
    source.close()


# ---- rude ones


@pytest.mark.parametrize("offset", [1, 2], ids=["publisher", "subscriber"])
@pytest.mark.parametrize(
    "junk",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff" * 64,
        handshake.GREETING + b"\x00\x05early",
        handshake.GREETING + handshake.ready(b"DEALER"),
        handshake.GREETING + handshake.ready(b"REQ") + b"\x00\x01\x01",
    ],
)
def test_junk_ends_only_its_own_connection(driven: DrivenNews, junk: bytes, offset: int) -> None:
    reader, source = driven.subscriber(b""), driven.publisher()
    bad = driven._connect(offset, b"")
    bad.sock.sendall(junk)
    driven.until(bad.is_over, "it is cut off")
    source.send(b"t", b"1")
    driven.expect(reader, [b"t", b"1"])
    assert (driven.traffic.publishers, driven.traffic.subscribers) == (1, 1)
    close(reader, source, bad)


@pytest.mark.parametrize("offset", [1, 2], ids=["publisher", "subscriber"])
@pytest.mark.parametrize("said", [b"", b"\xff", handshake.GREETING])
def test_half_a_handshake(driven: DrivenNews, said: bytes, offset: int) -> None:
    began = clock()
    slow = driven._connect(offset, b"")
    slow.sock.sendall(said)
    host: Any = (driven.news.intake, driven.news.outlet)[offset - 1]
    driven.until(lambda: host._connections, "accepted")
    assert (driven.traffic.publishers, driven.traffic.subscribers) == (0, 0)
    driven.turn(now=began + 1.5)
    assert not slow.is_over()
    driven.turn(now=clock() + 2.5)
    assert slow.is_over()
    slow.close()


@pytest.mark.parametrize(
    "unsound",
    [[b""], [b"\2a"], [b"status."], [b"\1a", b"b"], [b"\1", b""], [b"\0never asked for"]],
)
def test_what_is_no_subscription_is_dropped_and_counted(
    driven: DrivenNews, unsound: list[bytes]
) -> None:
    reader, source = driven.subscriber(b"t"), driven.publisher()
    reader.send(*unsound)
    driven.until(lambda: driven.traffic.dropped_malformed_subscription == 1, "counted")
    source.sock.sendall(encoded([b"a"], [b"b"], [b"t"]))
    driven.expect(reader, [b"t"])
    close(reader, source)


def test_a_subscription_of_over_64_kib_ends_the_connection(driven: DrivenNews) -> None:
    good, bad = driven.subscriber(b""), driven.subscriber(b"x" * (63 * KIB))
    bad.send(b"\1" + b"x" * (65 * KIB))
    driven.until(bad.is_over, "cut off")
    assert driven.traffic.subscribers == 1
    close(good, bad)


def test_prefixes_without_end_end_the_connection(driven: DrivenNews) -> None:
    good, bad, source = driven.subscriber(b""), driven.subscriber(), driven.publisher()
    repeated = encoded([b"\1again"]) * 20_000
    asking = threading.Thread(target=bad.sock.sendall, args=(repeated,))
    asking.start()
    driven.until(lambda: not asking.is_alive(), "one and the same costs nothing")
    data = b"".join(encoded([b"\1%d" % number]) for number in range(20_000))
    over = threading.Event()

    def ask() -> None:
        try:
            bad.sock.sendall(data)
        except OSError:
            over.set()

    asking = threading.Thread(target=ask)
    asking.start()
    driven.until(lambda: driven.traffic.subscribers == 1, "cut off")
    asking.join()
    assert isinstance(driven.news.outlet, StreamOutlet)
    assert len(driven.news.outlet._matching) == 1
    source.send(b"t")
    driven.expect(good, [b"t"])
    close(good, bad, source)


def test_a_message_over_the_limit_ends_the_connection(
    driven: DrivenNews, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, good, bad = driven.subscriber(b""), driven.publisher(), driven.publisher()
    bad.sock.sendall(b"\x02" + (257 * MIB).to_bytes(8, "big"))
    driven.until(bad.is_over, "cut off")
    good.send(b"t")
    driven.expect(reader, [b"t"])
    assert driven.traffic.publishers == 1
    close(reader, good, bad)


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("size", [1000, 3 * MIB])
def test_a_publisher_that_goes_in_the_middle_of_a_message(
    driven: DrivenNews, end: str, size: int
) -> None:
    reader, source = driven.subscriber(b""), driven.publisher()
    half = b"\x01\x01t\x02" + size.to_bytes(8, "big") + bytes(size // 2)
    feeding = threading.Thread(target=source.sock.sendall, args=(encoded([b"whole"]) + half,))
    feeding.start()
    driven.expect(reader, [b"whole"])
    driven.until(lambda: not feeding.is_alive(), "written")
    getattr(source, end)()
    driven.until(lambda: driven.traffic.publishers == 0, "its end is seen")
    driven.expect(reader)
    reader.close()


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_subscriber_that_goes_while_much_waits_for_it(driven: DrivenNews, end: str) -> None:
    good, bad, source = driven.subscriber(b"u"), driven.subscriber(b""), driven.publisher()
    feeding = threading.Thread(target=source.send, args=(b"t", bytes(7 * MIB)))
    feeding.start()
    driven.until(lambda: driven.traffic.publications_taken, "it waits")
    feeding.join()
    getattr(bad, end)()
    driven.until(lambda: driven.traffic.subscribers == 1, "its end is seen")
    source.send(b"u", b"1")
    driven.expect(good, [b"u", b"1"])
    close(good, source)


def test_a_ping_is_answered_and_does_not_go_with_the_messages(driven: DrivenNews) -> None:
    reader, source = driven.subscriber(b""), driven.publisher()
    message = encoded([b"t", b"1"])
    source.sock.sendall(message * 3 + PING + message * 2)
    driven.expect(reader, *[[b"t", b"1"]] * 5)
    assert source.sock.recv(100) == PONG
    reader.sock.sendall(PING)
    driven.until(lambda: driven.poller.wait(0.0), "it has come")
    driven.turn()
    assert reader.sock.recv(100) == PONG
    close(reader, source)


# ---- the end


def test_the_last_publications_leave_though_it_closes(driven: DrivenNews) -> None:
    reader, source = driven.subscriber(b""), driven.publisher()
    feeding = threading.Thread(target=source.send, args=(b"t", bytes(5 * MIB)))
    feeding.start()
    driven.until(lambda: driven.traffic.publications_taken, "taken")
    feeding.join()
    closing = threading.Thread(target=driven.close)
    closing.start()
    assert len(reader.receive()[1]) == 5 * MIB
    assert reader.is_over()
    assert source.is_over()
    closing.join()
    close(reader, source)


def test_closing_takes_half_a_second_however_full_it_is(driven: DrivenNews) -> None:
    deaf = [driven.subscriber(b"") for _ in range(5)]
    source, flooding = driven.publisher(), driven.publisher()
    feeding = threading.Thread(target=source.send, args=(b"t", bytes(7 * MIB)))
    feeding.start()
    driven.until(lambda: driven.traffic.publications_taken, "it waits")
    feeding.join()
    stopped = threading.Event()

    def pour_until_cut_off() -> None:
        with contextlib.suppress(OSError):
            pour(flooding, flood(), stopped)

    pouring = threading.Thread(target=pour_until_cut_off)
    pouring.start()
    began = time.monotonic()
    driven.close()
    with prompt():
        assert 0.4 < time.monotonic() - began < 3.0
    pouring.join()
    close(*deaf, source, flooding)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork; run it on Linux or macOS")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_keeps_no_connection(driven: DrivenNews) -> None:
    reader, source = driven.subscriber(b""), driven.publisher()
    stay, leave = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            driven.close()
            os.close(leave)
            os.read(stay, 1)  # lives on
        finally:
            os._exit(0)
    try:
        os.close(stay)
        for number in range(20):
            source.send(b"t", b"%d" % number)
            driven.expect(reader, [b"t", b"%d" % number])
        driven.close()
        assert reader.is_over()
        assert source.is_over()
    finally:
        os.close(leave)
        os.waitpid(child, 0)
        close(reader, source)
