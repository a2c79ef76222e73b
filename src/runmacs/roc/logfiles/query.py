"""Reads records back from a directory, while it is being written, too.

Rules:

* Records come in the order in which they were written. What is no record is left out.
* Who follows gets a line when it is complete, across the beginning of new files.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import ConfigError, RocError
from ..wire.logmsg import Record, parse_record
from .names import LogFile, log_files
from .recovery import is_header, open_lines

__all__ = ["Wanted", "find", "follow"]

_PAUSE: Final = 0.2
_PORTION: Final = 1 << 20


@dataclass(frozen=True)
class Wanted:
    """What is looked for; what is not given, or empty, is all."""

    since: str = ""
    until: str = ""
    least: int = 1
    nodes: Sequence[str] = ()
    loggers: Sequence[str] = ()
    grep: re.Pattern[str] | None = None

    def has(self, record: Record) -> bool:
        """Whether a record is wanted. Reports of losses are, where their node is."""
        if record.severity < self.least:
            return False
        if (self.since and record.timestamp < self.since) or (
            self.until and record.timestamp >= self.until
        ):
            return False
        if is_header(record):
            return False
        if self.nodes and _node(record) not in self.nodes:
            return False
        if self.loggers and not any(is_below(record.logger, name) for name in self.loggers):
            return False
        if self.grep is None:
            return True
        trace = str(record.attributes.get("exception.stacktrace", ""))
        return bool(self.grep.search(record.message) or self.grep.search(trace))


def _node(record: Record) -> str:
    return str(record.attributes.get("roc.lost.node", "")) if record.lost else record.node


def is_below(logger: str, name: str) -> bool:
    """Whether a logger is the named one, or one of its children."""
    return logger == name or logger.startswith(f"{name}.")


def find(directory: Path, wanted: Wanted) -> Iterator[Record]:
    """The wanted records that are there.

    Raises:
        ConfigError: there is no such directory.
    """
    for file in _files(directory):
        if not _is_older(file, wanted.since):
            yield from _wanted_in(file, wanted)


def _files(directory: Path) -> list[LogFile]:
    try:
        return log_files(directory)
    except OSError as error:
        raise ConfigError(f"{directory}: {error.strerror or error}.") from error


def _is_older(file: LogFile, since: str) -> bool:
    """Whether a file was complete before that moment."""
    if not since:
        return False
    from ..wire.logmsg import timestamp

    return timestamp(file.path.stat().st_mtime) < since


def _wanted_in(file: LogFile, wanted: Wanted) -> Iterator[Record]:
    try:
        for line in open_lines(file):
            record = _parsed(line)
            if record is not None and wanted.has(record):
                yield record
    except FileNotFoundError:
        return  # removed, or compressed, meanwhile
    except (OSError, EOFError) as error:
        raise ConfigError(f"{file.path}: cannot be read: {error}.") from error


def _parsed(line: bytes) -> Record | None:
    if not line.endswith(b"\n"):
        return None
    try:
        return parse_record(line.rstrip(b"\r\n"))
    except RocError:
        return None


def follow(
    directory: Path,
    wanted: Wanted,
    old: bool = True,
    going_on: Callable[[], bool] = lambda: True,
) -> Iterator[Record | None]:
    """The wanted records that are there (if ``old``), and those to come.

    None whenever it has waited for a moment.
    """
    read: dict[int, int] = {}
    for file in _files(directory):
        if file.compressed:
            if old and not _is_older(file, wanted.since):
                yield from _wanted_in(file, wanted)
            read[file.number] = -1
        elif not old:
            read[file.number] = file.path.stat().st_size
    while going_on():
        found = False
        for file in _files(directory):
            at = read.get(file.number, 0)
            if at < 0:
                continue
            for record, end in _lines_from(file, at):
                read[file.number] = end
                found = True
                if record is not None and wanted.has(record):
                    yield record
            if file.compressed:
                read[file.number] = -1
        if not found:
            yield None
            time.sleep(_PAUSE)


def _lines_from(file: LogFile, at: int) -> Iterator[tuple[Record | None, int]]:
    """Records from a place in a file on, each with where it ends."""
    try:
        if file.compressed:  # since we looked last: its text is the same
            for line in open_lines(file):
                at -= len(line)
                if at < 0:
                    yield _parsed(line), 0
            return
        with file.path.open("rb") as lines:
            lines.seek(at)
            for line in lines:
                if not line.endswith(b"\n"):
                    return
                at += len(line)
                yield _parsed(line), at
    except OSError:
        return
