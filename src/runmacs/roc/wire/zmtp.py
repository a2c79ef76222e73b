"""ZMTP 3.0 on a byte stream: frames to bytes, and back to messages.

What every ZeroMQ library speaks over tcp and ipc, so that a stock peer cannot tell our
sockets from its own::

    frame      flags | size (1 byte, or 8 with LONG) | body
    flags      01 MORE, 02 LONG, 04 COMMAND
    command    name's size (1 byte) | name | data

Rules:

* `Frames` is total: any bytes give messages, or `Unsound` once and for all. What comes before
  the first message, and what a command means, is for `handshake` to say.
* Sizes are checked when they are announced. Memory grows with what arrives, not with what
  is announced: to at most the double of it, and a MiB.
* A body of up to 64 KiB is bytes; a larger one is received in place, and is a read-only
  view of memory that is its own as long as anybody holds the view.

Source: ZeroMQ RFC 23/ZMTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from .memory import Memory

__all__ = ["Frame", "Frames", "Passage", "Unsound", "encode", "encode_command"]

Frame: TypeAlias = bytes | memoryview

_MORE, _LONG, _COMMAND = 1, 2, 4

_IN_PLACE = 64 * 1024
_FRAME_COST = 64
_COMMAND_LIMIT = 64 * 1024
_SHORT = [bytes((0, size)) for size in range(256)]
_SHORT_MORE = [bytes((_MORE, size)) for size in range(256)]


class Unsound(Exception):
    """The peer does not speak ZMTP 3, or not as it should: its connection must end."""


def encode(frames: Sequence[Frame | bytearray]) -> list[Frame]:
    """The bytes of a message, as parts to send in order; large bodies are parts of their own.

    >>> encode([b"", b"MDPC01"])
    [b'\\x01\\x00\\x00\\x06MDPC01']
    """
    parts: list[Frame] = []
    small: list[bytes] = []
    shorts = _SHORT_MORE
    last = len(frames) - 1
    for index, frame in enumerate(frames):
        if index == last:
            shorts = _SHORT
        if type(frame) is bytes and len(frame) < 256:
            small += (shorts[len(frame)], frame)
            continue
        size = frame.nbytes if isinstance(frame, memoryview) else len(frame)
        if size < 256:
            small.append(shorts[size])
        else:
            small.append(bytes((_LONG | (index < last),)) + size.to_bytes(8, "big"))
        if size < _IN_PLACE:
            small.append(frame if isinstance(frame, bytes) else bytes(frame))
        else:
            parts.append(b"".join(small))
            parts.append(frame if isinstance(frame, bytes) else memoryview(frame).cast("B"))
            small.clear()
    if small:
        parts.append(b"".join(small))
    return parts


def encode_command(name: bytes, data: bytes) -> bytes:
    """The bytes of a command, which is short."""
    body = bytes((len(name),)) + name + data
    return bytes((_COMMAND, len(body))) + body


class Passage:
    """Messages as they came, in bytes: who passes them on need not encode them again.

    Attributes:
        data, start, ends: the last ``len(ends)`` messages that `Frames.feed` returned lie in
            ``data`` from ``start`` on, back to back; the ``ends`` are where each of them ends.
    """

    __slots__ = ("data", "ends", "start")

    def __init__(self) -> None:
        self.data = b""
        self.start = 0
        self.ends: list[int] = []


class Frames:
    """Bytes in, messages out; whoever inherits it obeys commands. `_native` has it in C.

    Attributes:
        limit: bytes that a message may have, each of its frames but the last counted with 64
            more.
        head: what stands in front of each message that is returned; None for nothing.
        up: whether the handshake is done.
    """

    IN_PLACE = 64 * 1024
    """Frames over this many bytes are received in place."""

    FIRST = 1024 * 1024
    """Bytes that are allocated for a large frame before it has come any further."""

    def __init__(self, limit: int, memory: Memory) -> None:
        self.limit = limit
        self.head: bytes | None = None
        self.up = False
        self._memory = memory
        self._verdict = ""
        self._greeted = False
        self._rest = b""
        self._frames: list[Frame] | None = None
        self._size = 0
        self._large: bytearray | None = None
        self._announced = 0
        self._filled = 0
        self._more = 0

    # ---- what whoever inherits it adds

    def _greet(self, data: bytes) -> int:
        """How many bytes of the data the greeting is; 0 while it is not whole."""
        raise NotImplementedError

    def _on_command(self, body: bytes) -> None:
        """Obey a command."""
        raise NotImplementedError

    # ---- where bytes go

    def space(self) -> memoryview | None:
        """Where the next bytes go when a large frame is under way; to be released after use."""
        if self._large is None:
            return None
        with memoryview(self._large) as whole:
            return whole[self._filled : self._announced]

    def received(self, count: int) -> list[list[Frame]]:
        """So many bytes were received into `space`.

        Raises:
            Unsound: there is no memory for the rest; the connection must end.
        """
        large = self._large
        if large is None:
            return []
        self._filled += count
        if self._filled < self._announced:
            if self._filled == len(large):
                try:
                    large *= 2
                except MemoryError:
                    raise self._no_memory() from None
            return []
        self._large = None
        messages: list[list[Frame]] = []
        self._take(memoryview(large).toreadonly()[: self._announced], self._more, messages)
        self._memory.keep(large)
        return messages

    def feed(self, data: bytes, passage: Passage | None = None) -> list[list[Frame]]:
        """These bytes were received; returns the messages that are complete now.

        A new ``passage`` is told where they are.

        Raises:
            Unsound: the connection must end.
        """
        if self._verdict:
            raise Unsound(self._verdict)
        passage = passage or Passage()
        try:
            if self._rest:
                data = self._rest + data
                self._rest = b""
            if not self._greeted:
                size = self._greet(data)
                if not size:
                    self._rest = data
                    return []
                self._greeted = True
                data = data[size:]
            return self._parse(data, passage)
        except Unsound as unsound:
            self._verdict = str(unsound)
            raise

    # ---- frames

    def _parse(self, data: bytes, passage: Passage) -> list[list[Frame]]:
        messages: list[list[Frame]] = []
        passage.data = data
        ends = passage.ends
        frames, total = self._frames, self._size
        begun_before = frames is not None
        head = self._front()
        limit = self.limit if self.up else -1
        position, end = 0, len(data)
        last = end - 2
        while position <= last:
            flags, size = data[position], data[position + 1]
            if flags <= _MORE and total + size <= limit:
                stop = position + 2 + size
                if stop > end:
                    break
                body: Frame | None = data[position + 2 : stop]
            else:
                self._frames, self._size = frames, total
                stop, body = self._parse_other(data, position)
                if stop == position or self._large is not None:
                    position = stop
                    break
                limit = self.limit if self.up else -1
                head = self._front()
            position = stop
            if body is None:
                # A command: what comes now is not back to back with what came before.
                passage.start, begun_before = stop, frames is not None
                ends.clear()
                continue
            if frames is None:
                frames = [*head, body]
            else:
                frames.append(body)
            if flags & _MORE:
                total += len(body) + _FRAME_COST
                if total > limit:
                    raise self._too_large()
            else:
                messages.append(frames)
                ends.append(stop)
                frames, total = None, 0
        self._frames, self._size = frames, total
        self._rest = data[position:]
        if begun_before and ends:
            passage.start = ends.pop(0)
        return messages

    def _front(self) -> tuple[bytes, ...]:
        return () if self.head is None else (self.head,)

    def _parse_other(self, data: bytes, position: int) -> tuple[int, Frame | None]:
        """A frame that is no short one of a message: where it ends, and its body.

        A command has no body, it is obeyed. Of a frame that is not there yet the end is its
        beginning; unless it is large, then the rest of the data is its own.
        """
        end = len(data)
        flags = data[position]
        if flags > 3 and flags not in (_COMMAND, _COMMAND | _LONG):
            raise Unsound(f"flags {flags:#04x}")
        if flags & _LONG:
            begin = position + 9
            if begin > end:
                return position, None
            size = int.from_bytes(data[position + 1 : begin], "big")
        else:
            begin = position + 2
            size = data[position + 1]
        self._check(flags, size)
        stop = begin + size
        if flags & _COMMAND:
            if stop > end:
                return position, None
            self._on_command(data[begin:stop])
            return stop, None
        if size <= self.IN_PLACE:
            return (stop, data[begin:stop]) if stop <= end else (position, None)
        if stop <= end:
            return stop, memoryview(data[begin:stop])
        self._begin_large(data[begin:], size, flags & _MORE)
        return end, None

    def _check(self, flags: int, size: int) -> None:
        """A frame that is announced must be due, and fit into what is left."""
        if flags & _COMMAND:
            if size > _COMMAND_LIMIT:
                raise Unsound(f"a command of {size} bytes")
        elif not self.up:
            raise Unsound("a message before READY")
        elif self._size + size > self.limit:
            raise self._too_large()

    def _begin_large(self, beginning: bytes, size: int, more: int) -> None:
        self._announced, self._filled, self._more = size, len(beginning), more
        self._large = self._memory.take(size)
        if self._large is None:
            # So many that doubling them leads to the size, and hardly beyond.
            first, least = size, max(self.FIRST, len(beginning) + 1)
            while (half := -(-first // 2)) >= least:
                first = half
            try:
                self._large = bytearray(first)
            except MemoryError:
                raise self._no_memory() from None
        self._large[: len(beginning)] = beginning

    def _take(self, body: Frame, more: int, messages: list[list[Frame]]) -> None:
        if self._frames is None:
            self._frames = [*self._front()]
        self._frames.append(body)
        if more:
            self._size += len(body) + _FRAME_COST
            if self._size > self.limit:
                raise self._too_large()
        else:
            messages.append(self._frames)
            self._frames, self._size = None, 0

    def _too_large(self) -> Unsound:
        return Unsound(f"a message over the limit of {self.limit} bytes")

    def _no_memory(self) -> Unsound:
        self._large = None
        self._verdict = f"no memory for a frame of {self._announced} bytes"
        return Unsound(self._verdict)
