"""How two ZMTP 3.0 peers begin, and what their commands say.

Each sends a greeting and its READY at once, and then messages when it has the other's::

    greeting   FF 00*8 7F | 03 00 | mechanism, 20 bytes | as-server | 00*31     64 bytes
    READY      command: name, then properties (Socket-Type, Identity)

Rules:

* Only the mechanism NULL is spoken, and only with sockets of the kinds that are expected.
* A greeting is refused as soon as it can be: who never completes one is no peer.
* A PING is answered by whoever owns the connection. Other commands after the handshake change
  nothing.

Source: ZeroMQ RFC 23/ZMTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .memory import Memory
from .zmtp import Frames, Unsound, encode_command

__all__ = ["GREETING", "Decoder", "Handshake", "pong_for", "ready"]

_GREETING_SIZE = 64
_SIGNATURE_END = 9
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)


def ready(socket_type: bytes) -> bytes:
    """The READY command of a socket that has no identity."""
    properties = _property(b"Socket-Type", socket_type) + _property(b"Identity", b"")
    return encode_command(b"READY", properties)


def _property(name: bytes, value: bytes) -> bytes:
    return bytes((len(name),)) + name + len(value).to_bytes(4, "big") + value


def pong_for(ping: bytes) -> bytes:
    """The answer to a PING command's data: its context, without the time to live."""
    return encode_command(b"PONG", ping[2:18])


class Handshake:
    """Adds the greeting and the commands to `Frames`, whichever they are.

    ``peers`` are the socket types that may be at the other end. ``naming``, given the peer's
    identity, says what shall stand in front of its messages; it may find the peer `Unsound`.

    Attributes:
        socket_type, identity: what the peer's READY said.
        pings: the data of PING commands to be answered; taken out by the owner.
    """

    up: bool
    head: bytes | None

    def __init__(
        self,
        limit: int,
        peers: Iterable[bytes],
        memory: Memory | None = None,
        naming: Callable[[bytes], bytes] | None = None,
    ) -> None:
        frames: Any = super().__init__
        frames(limit, memory or Memory())
        self.socket_type = b""
        self.identity = b""
        self.pings: list[bytes] = []
        self._peers = frozenset(peers)
        self._naming = naming

    def _greet(self, data: bytes) -> int:
        _check_signature(data)
        if len(data) < _GREETING_SIZE:
            return 0
        _check_mechanism(data[12:32])
        return _GREETING_SIZE

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
        if self._naming is not None:
            self.head = self._naming(self.identity)
        self.up = True


class Decoder(Handshake, Frames):
    """Bytes in, messages out; the greeting and READY first."""


def _check_signature(data: bytes) -> None:
    """As early as possible: a peer that never completes a greeting is no peer."""
    if data[:1] not in (b"", b"\xff"):
        raise Unsound("no ZMTP greeting")
    if len(data) > _SIGNATURE_END and not data[_SIGNATURE_END] & 1:
        raise Unsound("no ZMTP greeting")
    if len(data) > _SIGNATURE_END + 1 and data[_SIGNATURE_END + 1] < 3:
        raise Unsound("a version of ZMTP before 3.0")


def _check_mechanism(field: bytes) -> None:
    name = field.rstrip(b"\0")
    if name != b"NULL":
        shown = name.decode(errors="backslashreplace")
        raise Unsound(f"the security mechanism {shown!r}; only NULL is spoken here")


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
