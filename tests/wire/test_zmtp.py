"""ZMTP: any bytes give messages, or end the connection; however they are cut into pieces."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from implementations import IMPLEMENTATIONS, implementation
from runmacs.roc.wire import zmtp
from runmacs.roc.wire.handshake import GREETING, pong_for, ready
from runmacs.roc.wire.zmtp import Frame, Passage, Unsound, encode

KIB, MIB = 1024, 1024 * 1024
READY = ready(b"ROUTER")
HELLO = GREETING + READY
PING = b"\x04\x09\x04PING\x00\x64ab"


@pytest.fixture(params=IMPLEMENTATIONS, scope="module", autouse=True)
def kinds(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test runs on the decoder in Python, and on the one in C."""
    Kinds.choose(request.param)
    yield
    Kinds.choose("Python")


class Kinds:
    """The decoder that is tested: an ordinary one, and `small`, for which frames are large from
    33 bytes on (if their size is written long), and grow from 64 bytes on: large ones, in small.
    """

    ordinary: Any
    small: Any
    in_python = True

    @classmethod
    def choose(cls, name: str) -> None:
        cls.in_python = name == "Python"
        cls.ordinary = implementation(name).Inbox
        cls.small = type("Small", (cls.ordinary,), {"IN_PLACE": 32, "FIRST": 64})


def decoder(limit: int = 10 * MIB, kind: Any = None, up: bool = True) -> Any:
    made = (kind or Kinds.ordinary)(limit, (b"ROUTER", b"DEALER"))
    if up:
        assert made.feed(HELLO) == []
        assert made.up
    return made


def receive(into: Any, data: bytes, pieces: Iterable[int] = ()) -> list[list[bytes]]:
    """Feed the bytes as a connection does: pieces of these sizes, then the rest."""
    messages: list[list[Frame]] = []
    position = 0
    for piece in [*pieces, len(data)]:
        end = min(position + piece, len(data))
        while position < end:
            space = into.space()
            if space is None:
                messages += into.feed(data[position:end])
                position = end
            else:
                count = min(len(space), end - position)
                with space:
                    space[:count] = data[position : position + count]
                messages += into.received(count)
                position += count
    return [[bytes(frame) for frame in message] for message in messages]


def frame(body: bytes, flags: int = 0) -> bytes:
    if len(body) < 256:
        return bytes((flags, len(body))) + body
    return bytes((flags | 2,)) + len(body).to_bytes(8, "big") + body


# ---- the handshake


def greeting(
    first: int = 0xFF,
    tenth: int = 0x7F,
    major: int = 3,
    minor: int = 0,
    mechanism: bytes = b"NULL",
    as_server: int = 0,
) -> bytes:
    head = bytes((first,)) + bytes(8) + bytes((tenth, major, minor))
    return head + mechanism.ljust(20, b"\0") + bytes((as_server,)) + bytes(31)


@pytest.mark.parametrize(
    "sound",
    [
        greeting(),
        greeting(minor=1),
        greeting(major=4),
        greeting(as_server=1),
        b"\xff" + b"\0" * 7 + b"\1" + greeting()[9:],  # libzmq: a length that old peers believe
    ],
    ids=["3.0", "3.1", "4.0", "as-server", "libzmq"],
)
def test_greetings_of_peers_that_speak_with_us(sound: bytes) -> None:
    assert len(sound) == 64
    made = decoder(up=False)
    assert made.feed(sound) == []
    assert made.socket_type == b""
    assert made.feed(READY) == []
    assert made.up
    assert made.socket_type == b"ROUTER"


@pytest.mark.parametrize(
    ("unsound", "why"),
    [
        (greeting(major=1), "a version of ZMTP before 3.0"),  # 2.0
        (greeting(major=0), "a version of ZMTP before 3.0"),
        (b"\x01\x00", "no ZMTP greeting"),  # 1.0, no identity
        (b"\xff\0\0\0\0\0\0\1\2\0", "no ZMTP greeting"),  # 1.0, a long identity
        (b"GET / HTTP/1.1\r\n\r\n", "no ZMTP greeting"),
        (b"\x16\x03\x01\x02\x00", "no ZMTP greeting"),  # TLS
        (greeting(mechanism=b"PLAIN"), "'PLAIN'; only NULL"),
        (greeting(mechanism=b"CURVE"), "'CURVE'; only NULL"),
        (greeting(mechanism=b"NULLX"), "'NULLX'; only NULL"),
        (greeting(mechanism=b"\xff" * 20), "only NULL"),
        (greeting(mechanism=b""), "''; only NULL"),
    ],
)
def test_greetings_that_end_the_connection(unsound: bytes, why: str) -> None:
    made = decoder(up=False)
    with pytest.raises(Unsound, match=why):
        made.feed(unsound)
    piecewise = decoder(up=False)
    with pytest.raises(Unsound, match=why):
        receive(piecewise, unsound, [1] * len(unsound))


def test_a_greeting_is_refused_as_soon_as_it_can_be() -> None:
    with pytest.raises(Unsound):
        decoder(up=False).feed(b"G")
    with pytest.raises(Unsound):
        decoder(up=False).feed(greeting(major=1)[:11])


def properties(*pairs: tuple[bytes, bytes]) -> bytes:
    return b"".join(
        bytes((len(name),)) + name + len(value).to_bytes(4, "big") + value for name, value in pairs
    )


def command(name: bytes, data: bytes = b"") -> bytes:
    return frame(bytes((len(name),)) + name + data, 4)


ROUTER = (b"Socket-Type", b"ROUTER")


@pytest.mark.parametrize(
    ("said", "identity"),
    [
        (properties(ROUTER), b""),
        (properties(ROUTER, (b"Identity", b"me")), b"me"),
        (properties((b"sOCKET-tYPE", b"ROUTER"), (b"IDENTITY", b"x" * 255)), b"x" * 255),
        (properties((b"X-More", b"y" * 300), ROUTER), b""),
    ],
)
def test_ready(said: bytes, identity: bytes) -> None:
    made = decoder(up=False)
    assert made.feed(GREETING + command(b"READY", said)) == []
    assert (made.up, made.socket_type, made.identity) == (True, b"ROUTER", identity)


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (command(b"READY"), "a  socket"),
        (command(b"READY", properties((b"Socket-Type", b"PUB"))), "a PUB socket"),
        (command(b"READY", properties(ROUTER)[:-1]), "too early"),
        (command(b"READY", b"\x0bSocket"), "too early"),
        (command(b"READY", b"\x01X\xff\xff\xff\xff"), "too early"),
        (command(b"READY", properties(ROUTER, (b"Identity", b"x" * 256))), "identity"),
        (command(b"ERROR", b"\x05no\x1b[m"), "the peer refuses"),
        (command(b"HELLO", b"\0\0"), "no READY"),
        (command(b"PING", b"\0\1"), "no READY"),
        (frame(b"", 4), "no READY"),
        (frame(b"too early"), "before READY"),
        (frame(b"", 1), "before READY"),
        (b"\x02" + (1 << 40).to_bytes(8, "big"), "before READY"),
        (b"\x06" + (64 * KIB + 1).to_bytes(8, "big"), "a command of 65537 bytes"),
    ],
)
def test_what_comes_instead_of_ready(first: bytes, why: str) -> None:
    with pytest.raises(Unsound, match=why):
        decoder(up=False).feed(GREETING + first)


# ---- frames

SIZES = [0, 1, 255, 256, 65_535, 65_536, 65_537, MIB - 1, MIB, MIB + 1, 3 * MIB + 7]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("more", [0, 1])
def test_a_frame_of_each_size(size: int, more: int) -> None:
    body = random.Random(size).randbytes(size)
    data = frame(body, more) + (frame(b"end") if more else b"")
    expected = [[body, b"end"]] if more else [[body]]
    for pieces in ([], [64 * KIB] * 60, [1, 1, 1, 7, 64 * KIB, MIB]):
        made = decoder()
        messages = receive(made, data, pieces)
        assert messages == expected
        assert receive(made, frame(b"next")) == [[b"next"]]


@pytest.mark.parametrize("size", [1, 32 * KIB, 64 * KIB, 64 * KIB + 1, 2 * MIB])
def test_small_bodies_are_bytes_and_large_ones_are_views(size: int) -> None:
    made = decoder(up=False)
    data = HELLO + frame(bytes(size))
    messages = made.feed(data[:100])
    whole = made.feed(data[100:]) if size < MIB else None
    if whole is None:
        made.feed(data[100:5000])
        while (space := made.space()) is not None:
            count = len(space)
            space.release()
            messages += made.received(count)
        whole = messages
    body = whole[0][0]
    assert type(body) is (bytes if size <= 64 * KIB else memoryview)
    assert memoryview(body).readonly


def test_a_short_size_written_long_is_a_frame_too() -> None:
    assert receive(decoder(), b"\x02" + (3).to_bytes(8, "big") + b"abc") == [[b"abc"]]


@pytest.mark.parametrize("flags", [8, 16, 32, 64, 128, 5, 7, 0x0C, 0xFF])
def test_flags_that_do_not_exist(flags: int) -> None:
    with pytest.raises(Unsound, match="flags"):
        decoder().feed(bytes((flags, 0)) + bytes(9))
    with pytest.raises(Unsound, match="flags"):
        decoder().feed(bytes((flags, 200)) + (200).to_bytes(7, "big"))


def test_the_limit_is_for_one_frame_and_for_the_message() -> None:
    limit = 1000
    for pieces in ([], [5], [1] * 3000):
        assert receive(decoder(limit), frame(bytes(limit)), pieces) == [[bytes(limit)]]
        fitting = frame(bytes(300), 1) + frame(bytes(300), 1) + frame(bytes(400 - 2 * 64))
        made = decoder(limit)
        assert len(receive(made, fitting * 3, pieces)) == 3
        for unsound in (
            frame(bytes(limit + 1)),
            frame(bytes(300), 1) + frame(bytes(300), 1) + frame(bytes(401 - 2 * 64)),
            frame(b"", 1) * 16,  # 64 bytes each for nothing at all
        ):
            with pytest.raises(Unsound, match="over the limit of 1000 bytes"):
                receive(decoder(limit), unsound, pieces)


@pytest.mark.parametrize("size", [10 * MIB + 1, 1 << 40, (1 << 64) - 1])
def test_a_frame_over_the_limit_is_refused_when_it_is_announced(size: int) -> None:
    with pytest.raises(Unsound, match="over the limit"):
        decoder().feed(b"\x02" + size.to_bytes(8, "big"))


def test_what_is_announced_takes_no_memory_before_it_comes() -> None:
    limit = 256 * MIB
    made = decoder(limit)
    tracemalloc.start()
    try:
        made.feed(b"\x02" + limit.to_bytes(8, "big"))
        assert tracemalloc.get_traced_memory()[0] < 3 * MIB
        arrived = 0
        while arrived < 20 * MIB:
            space = made.space()
            assert space is not None
            count = min(len(space), MIB)
            space.release()
            assert made.received(count) == []
            arrived += count
            assert tracemalloc.get_traced_memory()[0] < 2 * arrived + 3 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("first", [True, False], ids=["at once", "later"])
def test_no_memory_ends_the_connection(first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Kinds.in_python:
        no_memory_in_c(first)
        return

    class Short(bytearray):
        def __init__(self, size: int) -> None:
            if first:
                raise MemoryError
            super().__init__(size)

        def __imul__(self, times: object) -> Short:
            raise MemoryError

    monkeypatch.setattr(zmtp, "bytearray", Short, raising=False)
    made = decoder()
    with pytest.raises(Unsound, match=f"no memory for a frame of {5 * MIB} bytes"):
        receive(made, frame(bytes(5 * MIB)), [1000])
    with pytest.raises(Unsound, match="no memory"):
        made.feed(b"")


def no_memory_in_c(first: bool) -> None:
    """Of so large a frame nobody has the half; what is resized fails on the same path."""
    size = (1 << 46) if first else (1 << 47)
    made = decoder(2 * size, type("Huge", (Kinds.ordinary,), {"FIRST": size // 2}))
    with pytest.raises(Unsound, match=f"no memory for a frame of {size} bytes"):
        made.feed(b"\x02" + size.to_bytes(8, "big") + b"x")
    with pytest.raises(Unsound, match="no memory"):
        made.feed(b"")


def test_after_unsound_bytes_nothing_more_is_decoded() -> None:
    made = decoder()
    with pytest.raises(Unsound, match="flags 0x40"):
        made.feed(b"\x40\x00")
    with pytest.raises(Unsound, match="flags 0x40"):
        made.feed(frame(b"sound"))


# ---- commands


def test_commands_between_messages_and_within_one() -> None:
    other = command(b"SUBSCRIBE", b"x") + command(b"x" * 255, bytes(60 * KIB))
    data = other + frame(b"1", 1) + PING + other + frame(b"2") + PING + frame(b"3")
    for pieces in ([], [1] * 200, [70 * KIB] * 3):
        made = decoder()
        assert receive(made, data, pieces) == [[b"1", b"2"], [b"3"]]
        assert made.pings == [b"\x00\x64ab"] * 2


def test_ready_and_error_after_the_handshake_change_nothing() -> None:
    made = decoder()
    assert receive(made, command(b"READY", properties((b"Identity", b"other")))) == []
    assert receive(made, command(b"ERROR", b"\x02no") + frame(b"1")) == [[b"1"]]
    assert made.identity == b""


@pytest.mark.parametrize(
    ("data", "context"),
    [
        (b"\0\1", b""),
        (b"\0\1abc", b"abc"),
        (b"", b""),
        (b"\0", b""),
        (b"\0\1" + b"x" * 40, b"x" * 16),
    ],
)
def test_pong(data: bytes, context: bytes) -> None:
    assert pong_for(data) == command(b"PONG", context)


# ---- any bytes, in any pieces

BODIES = st.binary(max_size=400)
MESSAGES = st.lists(st.lists(BODIES, min_size=1, max_size=6), max_size=6)
PIECES = st.lists(st.integers(1, 300), max_size=60)


@given(MESSAGES, PIECES)
def test_messages_come_as_they_were_sent_however_they_are_cut(
    messages: list[list[bytes]], pieces: list[int]
) -> None:
    data = HELLO + b"".join(bytes(part) for message in messages for part in encode(message))
    for kind in (Kinds.ordinary, Kinds.small):
        made = decoder(kind=kind, up=False)
        assert receive(made, data, pieces) == messages


@given(MESSAGES, PIECES, st.lists(st.integers(0, 40), max_size=3))
def test_a_passage_tells_where_messages_lie(
    messages: list[list[bytes]], pieces: list[int], pings: list[int]
) -> None:
    """What it says is whole lies there as it came; what it does not is what was cut."""
    parts = [b"".join(bytes(part) for part in encode(message)) for message in messages]
    for place in pings:
        parts.insert(place, PING)
    data = b"".join(parts)
    made = decoder()
    received, whole = 0, 0
    position = 0
    for piece in [*pieces, len(data)]:
        if position >= len(data):
            break
        passage = Passage()
        told = made.feed(data[position : position + piece], passage)
        position += piece
        assert len(passage.ends) <= len(told)
        begin = passage.start
        for message, end in zip(told[len(told) - len(passage.ends) :], passage.ends, strict=True):
            assert receive(decoder(), passage.data[begin:end]) == [message]
            begin = end
        received += len(told)
        whole += len(passage.ends)
    assert received == len(messages)
    if not pieces and not pings:
        assert whole == received


def test_a_passage_leaves_out_what_began_before() -> None:
    made = decoder()
    assert receive(made, frame(b"topic", 1)) == []
    passage = Passage()
    data = frame(b"data") + frame(b"2") + frame(b"3") + frame(b"not", 1)
    assert made.feed(data, passage) == [[b"topic", b"data"], [b"2"], [b"3"]]
    assert (passage.start, passage.ends) == (6, [9, 12])
    passage = Passage()
    assert made.feed(frame(b"whole") + PING + frame(b"5"), passage)[-1] == [b"5"]
    assert len(passage.ends) == 1, "the command does not go with the messages"


SCRAPS = st.one_of(
    st.binary(max_size=80),
    st.sampled_from([HELLO, GREETING, READY, PING, frame(b"x" * 300), frame(b"", 1), frame(b"")]),
    st.integers(0, 1 << 64).map(lambda n: b"\x02" + (n % (1 << 64)).to_bytes(8, "big")),
)


@given(st.booleans(), st.lists(SCRAPS, max_size=12).map(b"".join), PIECES)
def test_any_bytes_give_messages_or_unsound_and_always_the_same(
    up: bool, data: bytes, pieces: list[int]
) -> None:
    limit = 2000
    results: list[tuple[list[list[bytes]], bool]] = []
    for cuts in ([], pieces, [1] * len(data)):
        made = decoder(limit, Kinds.small, up=up)
        messages: list[list[bytes]] = []
        ended = False
        position = 0
        try:
            for piece in [*cuts, len(data)]:
                messages += receive(made, data[position : position + piece])
                position += piece
                if made._large is not None:
                    assert len(made._large) <= max(2 * made.FIRST, 2 * made._filled)
        except Unsound:
            ended = True
        assert all(sum(map(len, message)) <= limit for message in messages)
        results.append((messages, ended))
    whole, *others = results
    for messages, ended in others:
        assert ended == whole[1]
        # Of the piece in which it ends nothing is delivered.
        assert messages == whole[0] or (ended and messages[: len(whole[0])] == whole[0])


@given(st.lists(st.one_of(BODIES, st.sampled_from([bytes(64 * KIB), bytes(MIB)])), min_size=1))
def test_what_is_encoded_may_be_any_memory(frames: list[bytes]) -> None:
    plain = b"".join(map(bytes, encode(frames)))
    for kind in (bytearray, memoryview):
        assert b"".join(map(bytes, encode([kind(body) for body in frames]))) == plain
    wide = [memoryview(body).cast("I") if not len(body) % 4 else body for body in frames]
    assert b"".join(map(bytes, encode(wide))) == plain
    assert all(memoryview(part).itemsize == 1 for part in encode(wide))


def test_large_bodies_are_not_copied() -> None:
    body = bytes(MIB)
    parts = encode([b"", b"head", body, b"tail"])
    assert parts[1] is body
    assert len(parts) == 3
    memory = bytearray(MIB)
    view = encode([memory])[1]
    memory[7] = 9
    assert view[7] == 9
