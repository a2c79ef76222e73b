"""From what was taken of a program's log call to the two frames of a record.

Rules:

* An `Entry` holds nothing that may still change: texts, numbers, and JSON made already.
* Writing is quick, as it shares the processor with the program: what a call site always
  says is written once.
* Nothing raises: an entry that cannot be written becomes a record that says so.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from .logmsg import Source, severity_of, timestamp, topic_of
from .logvalues import cut, encode_text

__all__ = ["MOST_MESSAGE", "Entry", "RecordWriter"]

MOST_MESSAGE: Final = 1024 * 1024
"""Characters of a message; of a longer one the beginning is sent."""

_SITES: Final = 2000
_RESERVED: Final = frozenset(
    {
        *("code.file.path", "code.line.number", "code.function.name", "code.stacktrace"),
        *("thread.id", "thread.name", "task.name", "roc.call", "log.template"),
        *("exception.type", "exception.message", "exception.stacktrace"),
    }
)


class Entry(NamedTuple):
    """A log call, as it was when it was made."""

    created: float
    message: str
    template: str | None
    logger: str
    levelno: int
    level: str
    path: str = ""
    line: int = 0
    function: str = ""
    thread: int | None = None
    thread_name: str | None = None
    process_name: str | None = None
    call: str = ""
    extra: tuple[tuple[str, bytes], ...] = ()
    exception: tuple[str, str, str] | None = None
    """Type, text and traceback."""
    stack: str = ""
    task: str | None = None


class RecordWriter:
    """Writes the records of one source."""

    def __init__(self, resource: Source) -> None:
        self.resource = resource
        self._resource = b"".join(
            b"%b%b:%b" % (b"," if at else b"", encode_text(name), encode_text(value))
            for at, (name, value) in enumerate(
                (("node", resource.node), ("host", resource.host), ("source", resource.source))
            )
        )
        self._sites: dict[tuple[Any, ...], tuple[bytes, bytes, bytes]] = {}
        self._second = -1
        self._second_text = b""

    def write(self, entry: Entry, n: int) -> list[bytes]:
        """The topic and the record."""
        site = entry[2:12]
        found = self._sites.get(site)
        if found is None:
            if len(self._sites) >= _SITES:
                self._sites.clear()
            found = self._sites[site] = self._of_site(entry)
        topic, front, back = found
        more = b""
        if entry.call or entry.extra or entry.exception or entry.stack or entry.task:
            more = _more(entry)
            if back.endswith(b"{"):
                more = more[1:]
        text = b'{"Timestamp":"%b%b,"Body":%b,"n":%d%b%b}}' % (
            self._time(entry.created),
            front,
            encode_text(entry.message),
            n,
            back,
            more,
        )
        return [topic, text]

    def _time(self, created: float) -> bytes:
        second = int(created)
        if second != self._second:
            self._second = second
            self._second_text = timestamp(second)[:-7].encode()
        return b"%b%06dZ" % (self._second_text, min(999_999, round((created - second) * 1e6)))

    def _of_site(self, entry: Entry) -> tuple[bytes, bytes, bytes]:
        """Topic, and what stands before the body and after the number."""
        severity = severity_of(entry.levelno)
        front = b'","SeverityNumber":%d,"SeverityText":%b' % (severity, encode_text(entry.level))
        facts: list[bytes] = []

        def fact(name: bytes, value: str | int | None) -> None:
            if value is not None:
                said = b"%d" % value if isinstance(value, int) else encode_text(value)
                facts.append(b'"%b":%b' % (name, said))

        if entry.path:
            fact(b"code.file.path", entry.path)
            fact(b"code.line.number", entry.line)
            fact(b"code.function.name", entry.function)
        fact(b"thread.id", entry.thread)
        fact(b"thread.name", entry.thread_name)
        fact(b"log.template", entry.template)
        back = (
            b',"InstrumentationScope":{"Name":%b},"Resource":{%b,"pid":%d,"process.name":%b}'
            b',"Attributes":{%b'
        ) % (
            encode_text(entry.logger),
            self._resource,
            self.resource.pid,
            encode_text(entry.process_name or ""),
            b",".join(facts),
        )
        return topic_of(severity, self.resource.node), front, back


def _more(entry: Entry) -> bytes:
    """The attributes that a record has by itself, not by its place in the program."""
    parts: list[tuple[str, bytes]] = []
    if entry.call:
        parts.append(("roc.call", encode_text(entry.call)))
    if entry.task:
        parts.append(("task.name", encode_text(entry.task)))
    if entry.exception:
        kind, text, trace = entry.exception
        parts.append(("exception.type", encode_text(kind)))
        parts.append(("exception.message", encode_text(text)))
        parts.append(("exception.stacktrace", encode_text(trace)))
    if entry.stack:
        parts.append(("code.stacktrace", encode_text(entry.stack)))
    for name, text_json in entry.extra:
        parts.append((f"extra.{name}" if name in _RESERVED else name, text_json))
    return b"".join(b",%b:%b" % (encode_text(cut(name, 200)), value) for name, value in parts)
