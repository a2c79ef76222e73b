"""Memory of large frames, used again when nobody holds it any more.

Memory fresh from the system costs more than the bytes that are written to it: the system
clears it page by page. A camera sends frames of one size, again and again; so the last few
buffers are kept, and one that is free takes the next frame.

Rules:

* A buffer is free when nothing exports it: no memoryview, array or frame is left that could
  show its bytes. Python itself tells: a bytearray that is exported cannot be resized.
* What is kept is bounded in number and bytes; the oldest goes first. A buffer that goes
  while it is held lives as long as its holders.
* For one thread at a time.
"""

from __future__ import annotations

from collections import deque

__all__ = ["Memory"]


class Memory:
    """The last few buffers of large frames.

    >>> memory = Memory()
    >>> memory.keep(bytearray(2 * memory.LEAST))
    >>> len(memory.take(2 * memory.LEAST))
    2097152
    >>> memory.take(2 * memory.LEAST)
    """

    LEAST = 1024 * 1024
    """Smaller buffers are not worth it."""

    COUNT = 4
    BYTES = 64 * 1024 * 1024

    def __init__(self) -> None:
        self._kept: deque[bytearray] = deque()
        self._bytes = 0

    def take(self, size: int) -> bytearray | None:
        """A buffer that nobody holds, with space for so many bytes and little more, or None."""
        for index, buffer in enumerate(self._kept):
            if size <= len(buffer) <= size + size // 4 and _is_free(buffer):
                del self._kept[index]
                self._bytes -= len(buffer)
                return buffer
        return None

    def keep(self, buffer: bytearray) -> None:
        """Use this one again as soon as nobody holds it. The caller forgets it."""
        if not self.LEAST <= len(buffer) <= self.BYTES // 2:
            return
        self._kept.append(buffer)
        self._bytes += len(buffer)
        while len(self._kept) > self.COUNT or self._bytes > self.BYTES:
            self._bytes -= len(self._kept.popleft())

    def copy(self, view: memoryview) -> bytes | memoryview:
        """The same bytes, in memory that nobody else can change."""
        size = view.nbytes
        if size < self.LEAST:
            return bytes(view)
        buffer = self.take(size)
        if buffer is None:
            buffer = bytearray(view)
        else:
            buffer[:size] = view
        copy = memoryview(buffer).toreadonly()[:size]
        self.keep(buffer)
        return copy


def _is_free(buffer: bytearray) -> bool:
    try:
        buffer.append(buffer.pop())
    except BufferError:
        return False
    return True
