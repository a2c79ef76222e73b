"""Log records on the wire: topics, records, beacons, and how a loss is told.

``spec/logs.md`` is the clause for all of it. Rules:

* Parsing is total: any bytes give a record or beacon, or RemoteProtocolError.
* A record stays the bytes that its source wrote; nobody on the way writes it anew.
* A node is one component of a topic, whatever characters it has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from ..errors import ConfigError, RemoteProtocolError

__all__ = [
    "LEVELS",
    "OWN_LOGGER",
    "Beacon",
    "Lost",
    "Record",
    "Source",
    "encode_beacon",
    "encode_own",
    "escape_component",
    "lost_in",
    "parse_beacon",
    "parse_level",
    "parse_record",
    "prefixes",
    "severity_of",
    "severity_text",
    "timestamp",
    "topic_of",
]

LEVELS: Final = {
    "TRACE": 1,
    "DEBUG": 5,
    "INFO": 9,
    "WARN": 13,
    "WARNING": 13,
    "ERROR": 17,
    "CRITICAL": 21,
    "FATAL": 21,
}
"""Names of levels, and the least SeverityNumber that each stands for."""

OWN_LOGGER: Final = "runmacs.roc.logs"
"""The logger of what ROC itself reports: losses, mostly."""

_MOST = 24
_PLAIN = re.compile(rb"[A-Za-z0-9_-]*")
_TOPIC = re.compile(rb"log\.([0-9]{2})\.([^.]*)\.=")
_KNOWN_TOPICS = 10_000


class Source(msgspec.Struct, rename={"process": "process.name"}):
    """The member ``Resource``: who wrote a record."""

    node: str = ""
    host: str = ""
    pid: int = 0
    process: str = ""
    source: str = ""
    """One run of one publisher; what ``n`` counts belongs to it."""

    def __str__(self) -> str:
        return f"{self.node}@{self.host}" if self.host else self.node


class _Scope(msgspec.Struct):
    name: str = msgspec.field(default="", name="Name")


class Record(msgspec.Struct):
    """One log record; ``raw`` is its JSON text as the source wrote it."""

    severity: int = msgspec.field(name="SeverityNumber")
    resource: Source = msgspec.field(name="Resource")
    timestamp: str = msgspec.field(default="", name="Timestamp")
    level: str = msgspec.field(default="", name="SeverityText")
    n: int = 0
    scope: _Scope = msgspec.field(default_factory=_Scope, name="InstrumentationScope")
    body: msgspec.Raw = msgspec.field(default=msgspec.Raw(b'""'), name="Body")
    attributes_json: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"{}"), name="Attributes")
    raw: bytes = msgspec.field(default=b"", name=" raw")

    @property
    def node(self) -> str:
        """Who wrote it, as its users call it."""
        return self.resource.node

    @property
    def host(self) -> str:
        """On which computer."""
        return self.resource.host

    @property
    def logger(self) -> str:
        """The name of the logger."""
        return self.scope.name

    @property
    def message(self) -> str:
        """The message: the body, which other languages may write as any JSON."""
        body = _loosely(self.body)
        return body if isinstance(body, str) else bytes(self.body).decode()

    @property
    def attributes(self) -> dict[str, Any]:
        """Where it was logged, its exception, and what the program added."""
        found = _loosely(self.attributes_json)
        return found if isinstance(found, dict) else {}

    @property
    def lost(self) -> int:
        """How many records this one reports as lost; 0 for all others."""
        if self.scope.name != OWN_LOGGER or b'"roc.lost"' not in self.raw:
            return 0
        count = self.attributes.get("roc.lost")
        return count if type(count) is int else 0

    def as_dict(self) -> dict[str, Any]:
        """All of it, as the JSON has it."""
        found: dict[str, Any] = json.loads(self.raw)
        return found


def _loosely(text: msgspec.Raw) -> Any:
    """What a JSON text says; None where it is right, and beyond our numbers (1e999)."""
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return None


_record = msgspec.json.Decoder(Record)
_DIFFICULT = (msgspec.MsgspecError, ValueError, RecursionError)


def parse_record(text: bytes, topic: bytes | None = None) -> Record:
    """The record in a JSON text, which must be that of the topic it came under.

    Raises:
        RemoteProtocolError: it is none.
    """
    try:
        record = _record.decode(text)
        if not text.isascii():
            text.decode()  # where nobody looked, there may be what is no UTF-8
    except _DIFFICULT as error:
        raise RemoteProtocolError(f"this is no log record: {error}") from None
    if not 1 <= record.severity <= _MOST or record.n < 0:
        raise RemoteProtocolError("a log record's numbers are out of range")
    if topic is not None and topic != topic_of(record.severity, record.resource.node):
        raise RemoteProtocolError("a log record came under another one's topic")
    record.raw = text if b"\n" not in text and b"\r" not in text else _on_one_line(text)
    return record


def _on_one_line(text: bytes) -> bytes:
    return msgspec.json.format(text, indent=-1)


# ---- topics


def escape_component(text: str) -> bytes:
    """A text as one component of a topic: all but letters, digits, _ and - as %XX.

    >>> escape_component("a.b=c")
    b'a%2Eb%3Dc'
    """
    raw = text.encode("utf-8", "surrogatepass")
    if _PLAIN.fullmatch(raw):
        return raw
    return b"".join(
        char if _PLAIN.fullmatch(char) else b"%%%02X" % char[0]
        for char in (raw[at : at + 1] for at in range(len(raw)))
    )


_topics: dict[tuple[int, str], bytes] = {}


def topic_of(severity: int, node: str) -> bytes:
    """``log.09.vnir.=``: the topic of a node's records of one severity."""
    key = (severity, node)
    topic = _topics.get(key)
    if topic is None:
        if len(_topics) >= _KNOWN_TOPICS:
            _topics.clear()
        topic = _topics[key] = b"log.%02d.%b.=" % (severity, escape_component(node))
    return topic


def split_topic(topic: bytes) -> tuple[int, bytes] | None:
    """Severity and escaped node of a record's topic; None if it is none."""
    found = _TOPIC.fullmatch(topic)
    if found is None or not 1 <= int(found[1]) <= _MOST:
        return None
    return int(found[1]), found[2]


def prefixes(least: int = 1, nodes: Sequence[str] = ()) -> list[bytes]:
    """What to subscribe to for the records of a severity and above, of some nodes or all."""
    if not nodes:
        return [b"log."] if least <= 1 else [b"log.%02d." % at for at in range(least, _MOST + 1)]
    return [topic_of(at, node) for at in range(max(1, least), _MOST + 1) for node in nodes]


# ---- levels


def severity_of(levelno: int) -> int:
    """The SeverityNumber of a level of Python's: 20 (INFO) is 9, 25 is 11, 30 (WARNING) 13."""
    if levelno >= 50:
        return min(24, 21 + (levelno - 50) * 4 // 10)
    if levelno < 10:
        return max(1, 1 + levelno * 4 // 10)
    return 1 + levelno * 4 // 10


def severity_text(severity: int) -> str:
    """What a severity is called where its source did not say.

    >>> severity_text(10)
    'INFO'
    """
    names = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    return names[min(max(severity - 1, 0) // 4, 5)]


def parse_level(level: str | int | None) -> int:
    """The least SeverityNumber that a level means: its name, or the number; None is all.

    Raises:
        ConfigError: there is no such level.
    """
    if level is None:
        return 1
    number = LEVELS.get(str(level).upper())
    if number is None and str(level).isdecimal() and 1 <= int(level) <= _MOST:
        number = int(level)
    if number is None:
        names = ", ".join(LEVELS)
        raise ConfigError(f"{level!r} is no level: write one of {names}, or 1 to {_MOST}.")
    return number


# ---- time


def timestamp(seconds: float) -> str:
    """Seconds since 1970 as ``2026-11-22T10:00:00.123456Z``."""
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        moment = datetime.fromtimestamp(0, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# ---- beacons


class Beacon(msgspec.Struct):
    """A source's sign of life, and how many records of each severity it has passed."""

    source: str
    node: str = ""
    host: str = ""
    pid: int = 0
    kind: str = "log"
    sent: dict[str, int] = msgspec.field(default_factory=dict)
    age: float = 0.0
    """Seconds that the source has existed."""


_beacon = msgspec.json.Decoder(Beacon)
_encode = msgspec.json.Encoder().encode


def encode_beacon(beacon: Beacon) -> list[bytes]:
    """The two frames of a beacon."""
    return [b"beacon.%b.=" % escape_component(beacon.source), _encode(beacon)]


def parse_beacon(text: bytes) -> Beacon:
    """The beacon in a JSON text.

    Raises:
        RemoteProtocolError: it is none.
    """
    try:
        return _beacon.decode(text)
    except _DIFFICULT as error:
        raise RemoteProtocolError(f"this is no beacon: {error}") from None


# ---- what ROC itself reports


class Lost(msgspec.Struct, frozen=True):
    """Records of one source and severity that were not received: ``first`` to ``last``."""

    resource: Source
    severity: int
    first: int
    last: int

    @property
    def count(self) -> int:
        """How many they are."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        what = "record" if self.count == 1 else "records"
        return f"{self.count} {what} lost from {self.resource}"

    def attributes(self) -> dict[str, Any]:
        """What the record that reports it says, for programs."""
        return {
            "roc.lost": self.count,
            "roc.lost.node": self.resource.node,
            "roc.lost.host": self.resource.host,
            "roc.lost.source": self.resource.source,
            "roc.lost.severity": self.severity,
            "roc.lost.first": self.first,
            "roc.lost.last": self.last,
        }


def lost_in(record: Record) -> Lost | None:
    """The loss that a record reports, if it does."""
    if not record.lost:
        return None
    said = record.attributes
    try:
        resource = Source(said["roc.lost.node"], said["roc.lost.host"], 0, "")
        resource.source = said["roc.lost.source"]
        first, last = said["roc.lost.first"], said["roc.lost.last"]
        return Lost(resource, int(said["roc.lost.severity"]), int(first), int(last))
    except (KeyError, TypeError, ValueError):
        return None


def encode_own(
    seconds: float, severity: int, text: str, resource: Source, attributes: dict[str, Any]
) -> bytes:
    """A record that ROC itself writes, such as the report of a loss."""
    return _encode(
        {
            "Timestamp": timestamp(seconds),
            "SeverityNumber": severity,
            "SeverityText": severity_text(severity),
            "Body": text,
            "InstrumentationScope": {"Name": OWN_LOGGER},
            "Resource": resource,
            "Attributes": attributes,
        }
    )
