"""The envelope: 7/MDP frames, and the few that ROC adds after a greeting.

As a DEALER or REQ peer sends and receives them (a ROUTER sees the routing id
of the peer in front)::

    client REQUEST, REPLY    ""|MDPC01|object id|body+
    worker READY             ""|MDPW01|01|object id        (+ one JSON frame of properties)
    worker REQUEST, REPLY    ""|MDPW01|02, 03|token|""|body+
    worker HEARTBEAT         ""|MDPW01|04                  (+ one JSON frame: the greeting)
    worker DISCONNECT        ""|MDPW01|05                  (+ one JSON frame: the reason)
    worker CONTROL           ""|MDPW01|10|token|""|body+   (greeted workers only)

Rules:

* An object id is 1 to 200 bytes of printable UTF-8 without spaces and without
  any of ``! @ * ?``; ``roc.`` and ``mmi.`` begin the names that are the broker's.
* ``id!`` is the control lane of the object ``id``.
* Parsers are total: any frame gives what it says, or None. Texts that others will read
  are short and printable, as they may end on a terminal.

Sources: ZeroMQ RFC 7/MDP (envelope and commands), RFC 8/MMI (``mmi.`` names).
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from ..errors import ConfigError
from .values import Buffer

__all__ = [
    "BROKER_ID",
    "CLIENT",
    "CONTROL",
    "DISCONNECT",
    "EMPTY",
    "HEARTBEAT",
    "MESSAGE_LIMIT",
    "POLICIES",
    "READY",
    "REPLY",
    "REQUEST",
    "VERSION",
    "WORKER",
    "Greeting",
    "Properties",
    "Reason",
    "check_object_id",
    "object_id_problem",
    "parse_greeting",
    "parse_properties",
    "parse_reason",
]

EMPTY = b""
CLIENT = b"MDPC01"
WORKER = b"MDPW01"

READY = b"\x01"
REQUEST = b"\x02"
REPLY = b"\x03"
HEARTBEAT = b"\x04"
DISCONNECT = b"\x05"
CONTROL = b"\x10"

BROKER_ID = b"roc.broker"
RESERVED = ("roc.", "mmi.")
RESERVED_BYTES = (b"roc.", b"mmi.")
VERSION = 1

POLICIES = ("exclusive", "standby", "pool")
"""What a server may be beside others of its id; see ``spec/wire.md``."""

MESSAGE_LIMIT = 256 * 1024 * 1024
"""Bytes of one message over all its frames; checked by the sender."""

_ID_LIMIT = 200
_FORBIDDEN = "!@*?"
_TEXT_LIMIT = 255
_STATES = ("serving", "standby", "held")


class Properties(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a server says of itself in the JSON frame of its READY."""

    version: int = VERSION
    instance: str = ""
    prefetch: int = 1
    interval: float = 0.5
    policy: str = "exclusive"
    host: str = ""
    pid: int = 0
    language: str = ""


class Greeting(msgspec.Struct, frozen=True):
    """What the broker answers to such a READY, in the JSON frame of a HEARTBEAT.

    ``state`` is ``serving``, ``standby`` (waits to take over) or ``held`` (another
    server holds the id, and its next sign of life decides).
    """

    version: int = VERSION
    broker: str = ""
    state: str = "serving"
    interval: float = 0.5
    limit: int = MESSAGE_LIMIT


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why the broker ends the conversation, in the JSON frame of a DISCONNECT."""

    code: int = 0
    message: str = ""
    host: str = ""
    pid: int = 0
    since: float = 0.0


_properties = msgspec.json.Decoder(Properties)
_greeting = msgspec.json.Decoder(Greeting)
_reason = msgspec.json.Decoder(Reason)


def parse_properties(frame: Buffer) -> Properties | None:
    """The properties in a READY's JSON frame, or None when they are not sound."""
    said = _parse(_properties, frame)
    if said is None or said.policy not in POLICIES:
        return None
    if not (1 <= said.prefetch <= 10_000 and 0.05 <= said.interval <= 60.0):
        return None
    texts = (said.instance, said.host, said.language)
    return said if all(len(t) <= _TEXT_LIMIT and t.isprintable() for t in texts) else None


def parse_greeting(frame: Buffer) -> Greeting | None:
    """The greeting in a HEARTBEAT's JSON frame, or None when it is not sound."""
    said = _parse(_greeting, frame)
    if said is None or said.state not in _STATES or said.limit < 1:
        return None
    return said if 0.05 <= said.interval <= 60.0 else None


def parse_reason(frame: Buffer) -> Reason | None:
    """The reason in a DISCONNECT's JSON frame, or None when it is not sound."""
    return _parse(_reason, frame)


T = TypeVar("T")


def _parse(decoder: msgspec.json.Decoder[T], frame: Buffer) -> T | None:
    try:
        return decoder.decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def check_object_id(object_id: str) -> None:
    """Raise ConfigError for an id that no object can have; the broker's own is fine."""
    problem = object_id_problem(object_id)
    if problem is not None and object_id != BROKER_ID.decode():
        raise ConfigError(f"The object id {object_id!r} {problem}.")


def object_id_problem(object_id: Buffer | str) -> str | None:
    """What is wrong with an object id, as a sentence's end; None when nothing is.

    >>> object_id_problem("vnir")
    >>> object_id_problem("v nir")
    "may not contain ' '"
    """
    try:
        text = object_id if isinstance(object_id, str) else bytes(object_id).decode()
        size = len(text.encode())
    except UnicodeError:
        return "must be UTF-8"
    if not 1 <= size <= _ID_LIMIT:
        return f"must have 1 to {_ID_LIMIT} bytes, not {size}"
    for character in text:
        if character in _FORBIDDEN or character.isspace() or not character.isprintable():
            return f"may not contain {character!r}"
    if text.startswith(RESERVED):
        return "may not begin with 'roc.' or 'mmi.', which are the broker's own names"
    return None
