"""Whether the C extension loses memory: many messages through it, and what is left of them.

    python tests/native_leaks.py [MESSAGES]

Small and large messages, junk that ends a connection, and sends that fail.
"""

from __future__ import annotations

import contextlib
import gc
import socket
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from implementations import implementation
from runmacs.roc.wire.handshake import GREETING, ready
from runmacs.roc.wire.memory import Memory
from runmacs.roc.wire.zmtp import Unsound

HELLO = GREETING + ready(b"DEALER")
TOGETHER = 100
RID = b"\0rid1"
SHARED = b"shared by all messages" * 20
ALLOWED = 4 * 1024 * 1024


class Lane:
    """Messages through an outbox, a socket, and an inbox."""

    def __init__(self) -> None:
        kinds = implementation("C")
        self.send_all = kinds.send_all
        self.outbox = kinds.Outbox(Memory())
        self.inbox = kinds.Inbox(1 << 28, (b"DEALER",), Memory(), lambda identity: RID)
        self.ours, self.theirs = socket.socketpair()
        for end in (self.ours, self.theirs):
            end.setblocking(False)
        self.theirs.send(HELLO)
        self.inbox.receive(self.ours, 1000)

    def round(self, number: int, body: Any) -> None:
        messages = [[RID, b"", b"%d" % (number + n), SHARED, body] for n in range(TOGETHER)]
        self.send_all({RID: self}, messages, 0, 1 << 40, [])
        came = 0
        while came < TOGETHER:
            self.outbox.flush(self.theirs)
            came += len(self.inbox.receive(self.ours, 65_536))

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


def unhappy_ends() -> None:
    """Connections that end badly, and messages that cannot be sent."""
    lane = Lane()
    lane.theirs.send(b"\x01\x05begun\x40\x00")
    with contextlib.suppress(Unsound):
        lane.inbox.receive(lane.ours, 1000)
    for nonsense in ([b"1", None], [bytearray(100_000), 7], 8):
        with contextlib.suppress(TypeError):
            lane.outbox.put(nonsense)
    lane.outbox.put([b"never sent", bytearray(100_000)])
    lane.close()
    with contextlib.suppress(OSError):
        lane.outbox.flush(lane.theirs)
    other = Lane()
    other.theirs.send(b"\x02" + (10_000_000).to_bytes(8, "big") + bytes(50_000))
    other.inbox.receive(other.ours, 65_536)
    other.close()


def memory() -> int:
    """Bytes of this process that are in memory."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


def main() -> int:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    lane = Lane()
    large = bytearray(300_000)

    def some(number: int) -> None:
        lane.round(number, b"small")
        if number % (100 * TOGETHER) == 0:
            lane.round(number, large)
            unhappy_ends()

    for number in range(0, 200 * TOGETHER, TOGETHER):
        some(number)
    gc.collect()
    before = (memory(), sys.getallocatedblocks(), sys.getrefcount(SHARED), sys.getrefcount(large))
    began = time.monotonic()
    for number in range(0, wanted, TOGETHER):
        some(number)
    seconds = time.monotonic() - began
    gc.collect()
    after = (memory(), sys.getallocatedblocks(), sys.getrefcount(SHARED), sys.getrefcount(large))
    print(f"{wanted} messages in {seconds:.0f} s, {wanted / seconds:.0f}/s")
    for what, was, now in zip(
        ("bytes", "blocks", "references", "large"), before, after, strict=True
    ):
        print(f"{what}: {was} before, {now} after")
    grown = after[0] - before[0] > ALLOWED or after[1] - before[1] > 1000
    return int(grown or after[2:] != before[2:])


if __name__ == "__main__":
    raise SystemExit(main())
