"""Random bytes and messages for the C extension, for as long as you like.

    python tests/native_fuzz.py [SECONDS [SEED]]

What the C extension makes of them is compared with what Python makes of them. Run it with an
extension that was built with a sanitizer (see CONTRIBUTING.md), or under valgrind.
"""

from __future__ import annotations

import contextlib
import random
import socket
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from implementations import implementation
from runmacs.roc.wire.handshake import GREETING, ready
from runmacs.roc.wire.memory import Memory
from runmacs.roc.wire.zmtp import Passage, Unsound, encode

HELLO = GREETING + ready(b"DEALER")
PING = b"\x04\x09\x04PING\x00\x64ab"
BOTH = ("Python", "C")
SIZES = (0, 1, 5, 255, 256, 700, 5000, 65_535, 65_536, 65_537, 200_000, 3_000_000)


def stream(lot: random.Random) -> bytes:
    """Messages, commands and junk, now and then with bytes changed."""
    parts: list[Any] = [HELLO] if lot.random() < 0.9 else []
    for _ in range(lot.randrange(12)):
        kind = lot.random()
        if kind < 0.75:
            sizes = [lot.choice(SIZES[: lot.choice((3, 6, 11, 12))]) for _ in range(4)]
            parts += encode([lot.randbytes(size) for size in sizes[: lot.randrange(1, 5)]])
        elif kind < 0.9:
            parts.append(PING)
        elif kind < 0.95:
            parts.append(b"\x02" + lot.randbytes(8))
        else:
            parts.append(lot.randbytes(lot.randrange(1, 40)))
    data = bytearray(b"".join(map(bytes, parts)))
    while data and lot.random() < 0.2:
        data[lot.randrange(len(data))] = lot.randrange(256)
    return bytes(data)


def story(name: str, data: bytes, cuts: random.Random) -> list[Any]:
    """What one of them tells of these bytes; the cuts are the same for both."""
    head = b"\0rid" if cuts.random() < 0.5 else None
    naming = None if head is None else (lambda identity: head)
    inbox = implementation(name).Inbox(4_000_000, (b"DEALER",), Memory(), naming)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    told: list[Any] = []
    position = 0
    try:
        while position < len(data):
            piece = data[position : position + cuts.choice((1, 7, 300, 5000, 64 * 1024))]
            theirs.sendall(piece)
            position += len(piece)
            passage = Passage() if cuts.random() < 0.3 else None
            inbox.more = True
            while inbox.more:
                messages = inbox.receive(ours, cuts.choice((1000, 5000, 70_000)), passage)
                told += [[bytes(frame) for frame in message] for message in messages]
                passage = None
    except (Unsound, OSError) as error:
        told.append(str(error))
    told += [inbox.up, inbox.identity, len(inbox.pings)]
    ours.close()
    theirs.close()
    return told


def sent(name: str, lot: random.Random) -> bytes:
    """What goes through an outbox whose socket takes little at a time."""
    outbox = implementation(name).Outbox(Memory())
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    came = bytearray()

    def read() -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                came.extend(theirs.recv(1 << 20))

    for _ in range(lot.randrange(30)):
        frames = [bytearray(lot.choice(SIZES[:11])) for _ in range(lot.randrange(1, 5))]
        step = lot.random()
        if step < 0.5:
            parts = outbox.put(frames)
            if lot.random() < 0.5:
                outbox.flush(ours)
                outbox.own(parts)
        elif step < 0.6:
            with contextlib.suppress(TypeError):
                outbox.put([*frames, object()])
        elif step < 0.8:
            outbox.put_encoded(bytes(frames[0]))
        else:
            outbox.flush(ours)
            read()
    if lot.random() < 0.8:
        while not outbox.flush(ours):
            read()
        read()
    outbox.clear()
    ours.close()
    theirs.close()
    return bytes(came)


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    first = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 1_000_000_000
    end = time.monotonic() + seconds
    seed = first
    while time.monotonic() < end:
        data = stream(random.Random(seed))
        stories = [story(name, data, random.Random(seed)) for name in BOTH]
        went = [sent(name, random.Random(seed)) for name in BOTH]
        if stories[0] != stories[1] or went[0] != went[1]:
            print(f"they differ; seed {seed}")
            return 1
        seed += 1
    print(f"{seed - first} streams from seed {first} on: both alike")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
