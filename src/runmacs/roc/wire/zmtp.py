"""ZMTP 3.0 on a byte stream: the greeting, and frames to bytes and back.

What every ZeroMQ library speaks over tcp and ipc, so that a stock peer cannot tell our
sockets from its own::

    greeting   FF 00*8 7F | 03 00 | mechanism, 20 bytes | as-server | 00*31     64 bytes
    frame      flags | size (1 byte, or 8 with LONG) | body
    flags      01 MORE, 02 LONG, 04 COMMAND
    READY      command: name, then properties (Socket-Type, Identity)

Rules:

* `Decoder` is total: any bytes give messages, or `Unsound` once and for all.
* Sizes are checked when they are announced; no more is allocated than has been asked
  for by a frame within the limit, and large frames are received in place, never copied.
* A body of up to 64 KiB is bytes, a larger one a read-only view of its own memory.

Source: ZeroMQ RFC 23/ZMTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

__all__ = [
    "GREETING",
    "Decoder",
    "Frame",
    "Unsound",
    "encode",
    "pong_for",
    "ready",
]

Frame: TypeAlias = bytes | memoryview

_MORE, _LONG, _COMMAND = 1, 2, 4
_GREETING_SIZE = 64
_SIGNATURE_END = 9
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)

_IN_PLACE = 64 * 1024
_FRAME_COST = 64
_COMMAND_LIMIT = 64 * 1024
_SHORT = [bytes((0, size)) for size in range(256)]
_SHORT_MORE = [bytes((_MORE, size)) for size in range(256)]


class Unsound(Exception):
    """The peer does not speak ZMTP 3, or not as it should: its connection must end."""


def ready(socket_type: bytes) -> bytes:
    """The READY command of a socket that has no identity."""
    properties = _property(b"Socket-Type", socket_type) + _property(b"Identity", b"")
    return _command(b"READY", properties)


def _property(name: bytes, value: bytes) -> bytes:
    return bytes((len(name),)) + name + len(value).to_bytes(4, "big") + value


def _command(name: bytes, data: bytes) -> bytes:
    body = bytes((len(name),)) + name + data
    return bytes((_COMMAND, len(body))) + body


def pong_for(ping: bytes) -> bytes:
    """The answer to a PING command's data: its context, without the time to live."""
    return _command(b"PONG", ping[2:18])


def encode(frames: Sequence[Frame]) -> list[Frame]:
    """The bytes of a message, as parts to send in order; large bodies are parts of their own."""
    parts: list[Frame] = []
    small: list[bytes] = []
    last = len(frames) - 1
    for index, frame in enumerate(frames):
        size = len(frame)
        more = index < last
        if size < 256:
            small.append((_SHORT_MORE if more else _SHORT)[size])
        else:
            size = frame.nbytes if isinstance(frame, memoryview) else size
            small.append(bytes((_LONG | more,)) + size.to_bytes(8, "big"))
        if size < _IN_PLACE:
            small.append(frame if isinstance(frame, bytes) else bytes(frame))
        else:
            parts.append(b"".join(small))
            parts.append(frame)
            small.clear()
    if small:
        parts.append(b"".join(small))
    return parts


class Decoder:
    """Bytes in, messages out; the greeting and READY first.

    Attributes:
        up: whether the handshake is done.
        socket_type, identity: what the peer's READY said.
        pings: the data of PING commands to be answered; taken out by the owner.
    """

    def __init__(self, limit: int, peers: Iterable[bytes]) -> None:
        self.limit = limit
        self.up = False
        self.socket_type = b""
        self.identity = b""
        self.pings: list[bytes] = []
        self._peers = frozenset(peers)
        self._greeted = False
        self._rest = b""
        self._frames: list[Frame] = []
        self._size = 0
        self._large: bytearray | None = None
        self._filled = 0
        self._more = False

    # ---- where bytes go

    def space(self) -> memoryview | None:
        """Where the next bytes should be received, when a large frame is under way."""
        if self._large is None:
            return None
        return memoryview(self._large)[self._filled :]

    def received(self, count: int) -> list[list[Frame]]:
        """So many bytes were received into `space`."""
        large = self._large
        self._filled += count
        if large is None or self._filled < len(large):
            return []
        self._large = None
        messages: list[list[Frame]] = []
        self._take(memoryview(large).toreadonly(), self._more, messages)
        return messages

    def feed(self, data: bytes) -> list[list[Frame]]:
        """These bytes were received; returns the messages that are complete now.

        Raises:
            Unsound: the connection must end.
        """
        if self._rest:
            data = self._rest + data
            self._rest = b""
        if not self._greeted:
            if len(data) < _GREETING_SIZE:
                _check_signature(data)
                self._rest = data
                return []
            _check_greeting(data)
            self._greeted = True
            data = data[_GREETING_SIZE:]
        return self._parse(data)

    # ---- frames

    def _parse(self, data: bytes) -> list[list[Frame]]:
        messages: list[list[Frame]] = []
        position, end = 0, len(data)
        while position + 2 <= end:
            flags = data[position]
            if flags & _LONG:
                begin = position + 9
                if begin > end:
                    break
                size = int.from_bytes(data[position + 1 : begin], "big")
            else:
                begin = position + 2
                size = data[position + 1]
            stop = begin + size
            if stop > end:
                self._check(flags, size)
                if size > _IN_PLACE and not flags & _COMMAND:
                    self._begin_large(data[begin:], size, bool(flags & _MORE))
                    return messages
                break
            body = data[begin:stop]
            position = stop
            if flags > 3:
                self._check(flags, size)
                self._on_command(body)
            elif not self.up:
                raise Unsound("a message before READY")
            else:
                self._take(body, flags & _MORE, messages)
        self._rest = data[position:]
        return messages

    def _check(self, flags: int, size: int) -> None:
        """A frame that is announced must be sound, and fit into what is left."""
        if flags & ~(_MORE | _LONG | _COMMAND) or (flags & _COMMAND and flags & _MORE):
            raise Unsound(f"flags {flags:#04x}")
        if flags & _COMMAND and size > _COMMAND_LIMIT:
            raise Unsound(f"a command of {size} bytes")
        if not flags & _COMMAND and not self.up:
            raise Unsound("a message before READY")
        if self._size + size > self.limit:
            raise Unsound(f"a message over the limit of {self.limit} bytes")

    def _begin_large(self, beginning: bytes, size: int, more: bool) -> None:
        self._large = bytearray(size)
        self._large[: len(beginning)] = beginning
        self._filled = len(beginning)
        self._more = more

    def _take(self, body: Frame, more: int, messages: list[list[Frame]]) -> None:
        if more:
            self._frames.append(body)
            self._size += len(body) + _FRAME_COST
            if self._size > self.limit:
                raise Unsound(f"a message over the limit of {self.limit} bytes")
        elif self._frames:
            self._frames.append(body)
            messages.append(self._frames)
            self._frames = []
            self._size = 0
        else:
            messages.append([body])

    # ---- commands

    def _on_command(self, body: bytes) -> None:
        name = body[1 : 1 + body[0]] if body else b""
        data = body[1 + len(name) :]
        if name == b"READY" and not self.up:
            self._on_ready(data)
        elif name == b"PING" and self.up:
            self.pings.append(data)
        elif name == b"ERROR" and not self.up:
            raise Unsound(f"the peer refuses: {data[1:101].decode(errors='backslashreplace')}")
        elif not self.up:
            raise Unsound("no READY")

    def _on_ready(self, data: bytes) -> None:
        properties = _parse_properties(data)
        self.socket_type = properties.get(b"socket-type", b"")
        self.identity = properties.get(b"identity", b"")
        if self.socket_type not in self._peers:
            raise Unsound(f"a {self.socket_type.decode(errors='backslashreplace')} socket")
        if len(self.identity) > 255:
            raise Unsound("an identity of over 255 bytes")
        self.up = True


def _check_signature(data: bytes) -> None:
    """As early as possible: a peer that never completes a greeting is no peer."""
    if data[:1] not in (b"", b"\xff"):
        raise Unsound("no ZMTP greeting")
    if len(data) > _SIGNATURE_END and not data[_SIGNATURE_END] & 1:
        raise Unsound("no ZMTP greeting")
    if len(data) > _SIGNATURE_END + 1 and data[_SIGNATURE_END + 1] < 3:
        raise Unsound("a version of ZMTP before 3.0")


def _check_greeting(data: bytes) -> None:
    _check_signature(data)
    if data[12:32].rstrip(b"\0") != b"NULL":
        raise Unsound("a security mechanism other than NULL")


def _parse_properties(data: bytes) -> dict[bytes, bytes]:
    """Names (in lower case) and values of a READY command's metadata."""
    properties: dict[bytes, bytes] = {}
    position = 0
    while position < len(data):
        name_end = position + 1 + data[position]
        value_begin = name_end + 4
        size = int.from_bytes(data[name_end:value_begin], "big")
        if value_begin > len(data) or value_begin + size > len(data):
            raise Unsound("properties that end too early")
        name = data[position + 1 : name_end].lower()
        properties[name] = data[value_begin : value_begin + size]
        position = value_begin + size
    return properties
