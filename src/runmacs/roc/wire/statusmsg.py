"""Messages of the status tree: topics, paths, updates, and what the broker says of them.

    update     status.system.foo.=   | data | head?
    beacon     beacon.<source>.=     | who publishes, once a second
    source     source.<source>.=     | it went silent, or is back
    beat       beat.<mask>.=         | how many updates of this mask were passed on so far
    snapshot   snapshot.<token>.<mask>.=  | the subtree, to whoever subscribed to just this

Rules:

* A *path* is text of 1 to 64 components with dots between; ``''`` is the root. In a topic
  each component ends with a dot, and ``=`` ends the topic: so a prefix of a topic is a
  path's subtree, and a whole topic is that path alone.
* *Data* is one JSON text. A dictionary is a branch, its keys are paths; all else is the
  value of a *leaf*: a list too, and a tagged value. Buffers stand in it as base64.
* What begins with ``roc.`` is the broker's own, path and topic alike. Nobody else
  publishes it, and the mask of the root does not contain it.
* Parsing is total: whatever has come gives a value, or RemoteProtocolError.

``spec/status.md`` says the same for every language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec

from ..errors import ConfigError, RemoteProtocolError, TooLarge
from .forms import DEPTH, TAG, Buffer
from .values import encode_inline

__all__ = [
    "BEACON",
    "BEAT",
    "DATA_LIMIT",
    "OWN",
    "SNAPSHOT",
    "SOURCE",
    "UPDATE",
    "Beacon",
    "Beat",
    "Head",
    "Snapshot",
    "SourceState",
    "encode_data",
    "encode_json",
    "fresh",
    "is_within",
    "leaves_of",
    "mask_of",
    "parse_data",
    "parse_head",
    "parse_message",
    "path_of",
    "path_problem",
    "reserved",
    "snapshot_topic",
    "subscriptions",
    "topic_of",
    "topic_under",
]

UPDATE: Final = b"status."
OWN: Final = b"roc."
BEACON: Final = b"beacon."
SOURCE: Final = b"source."
BEAT: Final = b"beat."
SNAPSHOT: Final = b"snapshot."
_END: Final = b"="

DATA_LIMIT: Final = 1024 * 1024
"""Bytes that the data of one update may have."""

_PATH_BYTES: Final = 256
_COMPONENTS: Final = 64
_COMPONENT: Final = r"[^.*?\x00-\x1f\x7f-\x9f\ud800-\udfff]+"
_PATH: Final = re.compile(rf"{_COMPONENT}(\.{_COMPONENT})*")

_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder().decode
_UNSOUND: Final = (msgspec.MsgspecError, RecursionError, ValueError)

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class Head(msgspec.Struct, omit_defaults=True):
    """What ROC's publishers say of an update; a plain publisher leaves it out.

    ``n`` numbers the updates of one source. ``age`` is how many seconds ago it was emitted,
    when it is sent ``again`` after a reconnection. ``removed`` is the end of the path and
    of all beneath it. ``about`` describes the path.
    """

    source: str = ""
    n: int = 0
    age: float = 0.0
    again: bool = False
    removed: bool = False
    about: dict[str, Any] | None = None


class Beacon(msgspec.Struct, omit_defaults=True):
    """A publisher's sign of life; ``n`` is the last number that it has used."""

    source: str
    kind: str = "status"
    node: str = ""
    host: str = ""
    pid: int = 0
    n: int = 0
    end: bool = False


class SourceState(msgspec.Struct, omit_defaults=True):
    """What the broker knows of a source; ``stale`` when it was not heard for a while."""

    node: str = ""
    host: str = ""
    pid: int = 0
    stale: bool = False

    @property
    def shown(self) -> str:
        """Who it is, for people: ``vnir@daq2``."""
        return f"{self.node}@{self.host}" if self.host else self.node


class Beat(msgspec.Struct):
    """Once a second: ``count`` updates of this mask, ``events`` of sources, so far."""

    broker: str
    count: int
    events: int


class Snapshot(msgspec.Struct):
    """A subtree at one point of the stream of updates.

    ``leaves`` are ``[path, form of the value, source, seconds since it was set]``.
    """

    broker: str
    count: int
    events: int
    leaves: list[tuple[str, Any, str, float]] = []
    about: dict[str, dict[str, Any]] = {}
    sources: dict[str, SourceState] = {}


# Paths -----------------------------------------------------------------------------------


@lru_cache(maxsize=16_384)
def path_problem(path: str) -> str | None:
    """What is wrong with a path that is not the root; None when nothing is."""
    if not _PATH.fullmatch(path):
        shown = ascii(path if len(path) <= 80 else f"{path[:80]}...")
        return (
            f"{shown} is not a status path: write names with dots between, like 'system.foo',"
            " without empty names, '*', '?' and control characters"
        )
    if len(path) > _PATH_BYTES or len(path.encode()) > _PATH_BYTES:
        return f"a status path has at most {_PATH_BYTES} bytes, and {path[:40]!r}... has more"
    if path.count(".") >= _COMPONENTS:
        return f"a status path has at most {_COMPONENTS} names, and {path[:40]!r}... has more"
    return None


def reserved(path: str) -> bool:
    """Whether a path is the broker's own."""
    return path[:3] == "roc" and path[3:4] in ("", ".")


def is_within(path: str, mask: str) -> bool:
    """Whether a path is in the subtree of a mask."""
    if not mask:
        return not reserved(path)
    return path.startswith(mask) and (len(path) == len(mask) or path[len(mask)] == ".")


def mask_of(mask: str | Iterable[str]) -> tuple[str, ...]:
    """The masks that a user names, without those that others contain, in their order.

    Raises:
        ConfigError: one of them is no path.
    """
    given = [mask] if isinstance(mask, str) else list(mask)
    for one in given:
        if not isinstance(one, str):
            raise ConfigError(f"A mask is text like 'system.foo', not {type(one).__name__}.")
        problem = path_problem(one) if one else None
        if problem is not None:
            raise ConfigError(f"{problem[0].upper()}{problem[1:]}.")
    unique = list(dict.fromkeys(given))
    return tuple(
        one for one in unique if not any(other != one and is_within(one, other) for other in unique)
    )


# Topics ----------------------------------------------------------------------------------


def topic_of(path: str) -> bytes:
    """The topic of updates on just this path.

    >>> topic_of("system.foo"), topic_of(""), topic_of("roc.objects")
    (b'status.system.foo.=', b'status.=', b'roc.objects.=')
    """
    return _beneath(path) + _END


def _beneath(path: str) -> bytes:
    """What the topics of a path and of all beneath it begin with."""
    if not path:
        return UPDATE
    return (b"" if reserved(path) else UPDATE) + path.encode() + b"."


def path_of(topic: bytes) -> str | None:
    """The path of an update's topic; None for what is none."""
    if topic[-1:] != _END:
        return None
    if topic.startswith(UPDATE):
        name = topic[len(UPDATE) : -1]
        if not name:
            return ""
    elif topic.startswith(OWN):
        name = topic[:-1]
    else:
        return None
    try:
        path = name[:-1].decode()
    except UnicodeDecodeError:
        return None
    if name[-1:] != b"." or path_problem(path) is not None:
        return None
    return path if reserved(path) == topic.startswith(OWN) else None


def subscriptions(mask: str) -> list[bytes]:
    """The prefixes to subscribe to for a mask: its subtree, and each of its ancestors alone.

    >>> subscriptions("system.foo")
    [b'status.system.foo.', b'status.=', b'status.system.=']
    """
    names = mask.split(".") if mask else []
    above = [".".join(names[:depth]) for depth in range(len(names))]
    return [_beneath(mask), *(topic_of(path) for path in above)]


def topic_under(kind: bytes, *names: str) -> bytes:
    """A topic of another kind: ``topic_under(BEAT, "system.foo")``; an empty name is left out."""
    return kind + b"".join(name.encode() + b"." for name in names if name) + _END


def snapshot_topic(token: str, mask: str) -> bytes:
    """The topic to subscribe to for a snapshot; the token is used once."""
    return topic_under(SNAPSHOT, token, mask)


# Data ------------------------------------------------------------------------------------


def encode_data(path: str, data: object) -> tuple[list[tuple[str, Any]], bytes]:
    """The leaves that an update sets, each with the form of its value, and its data.

    Raises:
        ConfigError: the path, or one that a key makes, is none, or the broker's own.
        Unsendable: a value that cannot travel, a key that is no text.
        TooLarge: over 1 MiB.
    """
    if not isinstance(path, str):
        raise ConfigError(f"A status path is text like 'system.foo', not {type(path).__name__}.")
    problem = path_problem(path) if path else None
    if problem is not None:
        raise ConfigError(f"{problem[0].upper()}{problem[1:]}; nothing was sent.")
    shape, text = encode_inline(data, path or "data")
    if len(text) > DATA_LIMIT:
        raise TooLarge(
            f"{path or 'the update'}: its data has {len(text) / 1e6:.1f} MB, and a status update"
            " may have 1 MB; nothing was sent. Emit less, or share large values as an object."
        )
    try:
        leaves = leaves_of(path, shape)
    except RemoteProtocolError as error:
        raise ConfigError(f"{error.message}; nothing was sent.") from None
    for one in (path, *(leaf for leaf, _ in leaves)):
        if reserved(one):
            raise ConfigError(
                f"{one!r}: what begins with 'roc' is the broker's own; nothing was sent."
                " Choose another name."
            )
    return leaves, text


def parse_data(raw: Buffer) -> Any:
    """The form of an update's data. Raises RemoteProtocolError."""
    try:
        shape = _from_json(raw)
    except _UNSOUND:
        raise RemoteProtocolError("the peer sent what is not JSON") from None
    if len(raw) > 2 * DEPTH and _is_deep(shape, 0):
        raise RemoteProtocolError(f"status data nested deeper than {DEPTH} levels")
    return shape


def _is_deep(shape: Any, level: int) -> bool:
    if type(shape) is dict:
        shape = shape.values()
    elif type(shape) is not list:
        return False
    return level >= DEPTH or any(
        _is_deep(item, level + 1) for item in shape if type(item) is dict or type(item) is list
    )


def fresh(form: Any) -> Any:
    """The form of a leaf that is kept, to be made a value of: a copy of its containers."""
    if type(form) is list:
        return [fresh(item) for item in form]
    if type(form) is dict:
        return {name: fresh(item) for name, item in form.items()}
    return form


def leaves_of(path: str, shape: Any) -> list[tuple[str, Any]]:
    """The leaves that data on a path sets, in order, each with the form of its value.

    >>> leaves_of("system", {"foo": {"cpu": 0.3}, "bar.x": [1, 2]})
    [('system.foo.cpu', 0.3), ('system.bar.x', [1, 2])]

    Raises:
        RemoteProtocolError: a key that makes no path, a value for the root itself, more
            than 64 levels.
    """
    leaves: list[tuple[str, Any]] = []
    if type(shape) is dict and TAG not in shape:
        _collect(path, shape, leaves, 0)
    elif path:
        leaves.append((path, shape))
    else:
        raise RemoteProtocolError("the root of the status tree takes a dictionary only")
    return leaves


def _collect(path: str, shape: dict[str, Any], leaves: list[tuple[str, Any]], level: int) -> None:
    if level > _COMPONENTS:
        raise RemoteProtocolError(f"status data nested deeper than {_COMPONENTS} levels")
    for key, item in shape.items():
        name = f"{path}.{key}" if path else key
        if type(item) is dict and TAG not in item:
            if not key:
                raise RemoteProtocolError(str(path_problem(name)))
            _collect(name, item, leaves, level + 1)
            continue
        problem = path_problem(name)
        if problem is not None:
            raise RemoteProtocolError(problem)
        leaves.append((name, item))


# The other messages ----------------------------------------------------------------------


def encode_json(value: Any) -> bytes:
    """JSON of what was made of plain values."""
    return _to_json(value)


_head = msgspec.json.Decoder(Head).decode


def parse_head(raw: Buffer) -> Head:
    """The head of an update. Raises RemoteProtocolError."""
    try:
        return _head(raw)
    except _UNSOUND:
        raise RemoteProtocolError("the peer sent a bad head of an update") from None


def parse_message(raw: Buffer, kind: type[_Struct]) -> _Struct:
    """A Beacon, Beat, Snapshot or SourceState. Raises RemoteProtocolError."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except _UNSOUND:
        raise RemoteProtocolError(f"the peer sent a bad {kind.__name__.lower()}") from None
