"""Memory that is used again is never that of somebody who still looks at it."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from runmacs.roc.wire.handshake import GREETING, Decoder, ready
from runmacs.roc.wire.memory import Memory

SIZE = 2 * Memory.LEAST


def kept(memory: Memory, size: int = SIZE) -> bytearray:
    buffer = bytearray(size)
    memory.keep(buffer)
    return buffer


@pytest.mark.parametrize(
    "hold",
    [
        memoryview,
        lambda buffer: memoryview(buffer)[5:6],
        lambda buffer: memoryview(buffer).toreadonly().cast("B")[:0],
        lambda buffer: np.frombuffer(buffer, "<u2"),
        lambda buffer: np.frombuffer(memoryview(buffer).toreadonly(), "<u2").reshape(2, -1)[1, 3:4],
        lambda buffer: [{"deep": np.frombuffer(memoryview(buffer)[8:], "u1").T}],
    ],
    ids=["view", "slice", "empty", "array", "slice of an array", "deep"],
)
def test_what_is_held_is_not_used_again(hold: Any) -> None:
    memory = Memory()
    first = kept(memory)
    held = hold(first)
    assert memory.take(SIZE) is None
    del held
    assert memory.take(SIZE) is first
    assert memory.take(SIZE) is None, "it is taken"


def test_looking_whether_a_buffer_is_free_leaves_its_bytes() -> None:
    memory = Memory()
    buffer = kept(memory)
    buffer[:] = pattern = random.Random(1).randbytes(SIZE)
    taken = memory.take(SIZE)
    assert taken is buffer
    assert taken == pattern


def test_a_buffer_is_for_frames_of_about_its_size() -> None:
    memory = Memory()
    buffer = kept(memory)
    assert memory.take(SIZE + 1) is None
    assert memory.take(SIZE // 2) is None
    assert memory.take(SIZE - SIZE // 8) is buffer


def test_what_is_kept_is_bounded() -> None:
    memory = Memory()
    kept(memory, Memory.LEAST - 1)
    assert memory.take(Memory.LEAST - 1) is None, "too small to be worth it"
    kept(memory, Memory.BYTES // 2 + 1)
    assert memory.take(Memory.BYTES // 2 + 1) is None, "too large"
    for _ in range(Memory.COUNT + 1):
        kept(memory)
    assert [memory.take(SIZE) is not None for _ in range(Memory.COUNT + 1)].count(True) == 4
    for _ in range(4):
        kept(memory, Memory.BYTES // 2)
    assert memory.take(Memory.BYTES // 2) is not None
    assert memory.take(Memory.BYTES // 2) is not None
    assert memory.take(Memory.BYTES // 2) is None


@pytest.mark.parametrize("size", [0, 10, Memory.LEAST, SIZE])
def test_a_copy_changes_no_more(size: int) -> None:
    memory = Memory()
    for _ in range(3):
        theirs = bytearray(random.Random(size).randbytes(size))
        before = bytes(theirs)
        copy = memory.copy(memoryview(theirs))
        theirs[:] = bytes(size)
        assert copy == before
        assert len(copy) == size
        assert memoryview(copy).readonly


def test_frames_that_are_kept_stay_as_they_came() -> None:
    """A camera's frames, some kept and some dropped, over one connection."""
    lot = random.Random(7)
    memory = Memory()
    decoder = Decoder(64 * SIZE, (b"ROUTER",), memory)
    decoder.feed(GREETING + ready(b"ROUTER"))
    held: list[tuple[int, Any]] = []
    used = set()
    for number in range(60):
        body = bytes((number,)) * (SIZE - lot.choice((0, 0, 0, 4096)))
        decoder.feed(b"\x02" + len(body).to_bytes(8, "big") + body[:1000])
        done, messages = 1000, []
        while (space := decoder.space()) is not None:
            with space:
                count = len(space)
                space[:] = body[done : done + count]
            messages = decoder.received(count)
            done += count
        array = np.frombuffer(messages[0][0], "u1")
        assert len(array) == len(body)
        used.add(array.ctypes.data)
        held.append((number, array))
        del array, messages, space
        while len(held) > 6 or (held and lot.random() < 0.5):
            held.pop(lot.randrange(len(held)))
        for expected, kept_one in held:
            assert kept_one[0] == kept_one[-1] == expected
            assert (kept_one == expected).all()
    assert len(used) < 30, "memory is used again"
