"""What an earlier run left in a directory: its last numbers, and perhaps a torn line.

Rules:

* A last line that is no record is set aside into a file that does not end in ``.jsonl``; one
  that is whole, and lacks only its end, gets that.
* Each file begins with a record that has the numbers at that time, so that the last file
  tells everything. Where it is missing, the files before are read as well.
* What was under way when the process was killed (a file half compressed) is tidied up.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..errors import RocError
from ..wire.logmsg import OWN_LOGGER, Record, Source, lost_in, parse_record
from .names import COMPRESSED, LogFile, log_files

__all__ = ["Resumed", "is_header", "mend", "open_lines", "resume"]

PART: Final = ".part"
_TAIL: Final = 64 * 1024


@dataclass
class Resumed:
    """What is known of earlier runs."""

    since: str = ""
    """When the first of them began."""
    least: int = 1
    nodes: tuple[str, ...] = ()
    numbers: list[tuple[Source, int, int]] = field(default_factory=list)
    """Sources, severities and their last numbers, at the beginning of the last file."""


def mend(directory: Path, tell: Callable[[str], None]) -> LogFile | None:
    """Tidy up after whatever happened; returns the file to go on with, if there is one."""
    for path in directory.glob(f"*{PART}"):
        path.unlink()
    for file in log_files(directory):
        plain = file.path.with_name(file.path.name.removesuffix(COMPRESSED))
        if file.compressed and plain.exists():
            plain.unlink()  # the compressed one is complete, else it would have another name
    files = log_files(directory)
    if not files or files[-1].compressed:
        return None
    last = files[-1]
    _mend_tail(last.path, tell)
    if last.path.stat().st_size == 0:
        last.path.unlink()
        return mend(directory, tell)
    return last


def _mend_tail(path: Path, tell: Callable[[str], None]) -> None:
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        start, tail = _last_line(file, end)
        if not tail:
            return
        try:
            parse_record(tail)
        except RocError:
            aside = _unused(path.with_suffix(".torn"))
            aside.write_bytes(tail)
            file.truncate(start)
            tell(f"{path.name} ended in the midst of a record; that is in {aside.name} now.")
        else:
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
        file.flush()
        os.fsync(file.fileno())


def _last_line(file: Any, end: int) -> tuple[int, bytes]:
    """Where the last line begins that has no end, and what it has."""
    tail = b""
    start = end
    while start > 0:
        size = min(_TAIL, start)
        start -= size
        file.seek(start)
        tail = file.read(size) + tail
        newline = tail.rfind(b"\n")
        if newline >= 0:
            return start + newline + 1, tail[newline + 1 :]
    return 0, tail


def _unused(path: Path) -> Path:
    found, count = path, 1
    while found.exists():
        count += 1
        found = path.with_suffix(f".torn{count}")
    return found


def open_lines(file: LogFile) -> Iterator[bytes]:
    """The lines of a file, compressed or not."""
    path = file.path
    with gzip.open(path) if file.compressed else path.open("rb") as lines:
        yield from lines


def is_header(record: Record) -> bool:
    """Whether this is the record that a file begins with."""
    return record.logger == OWN_LOGGER and b'"roc.file"' in record.raw


def resume(directory: Path, note: Callable[[Record], None]) -> Resumed:
    """Read what earlier runs have written; ``note`` gets each record since the numbers."""
    files = log_files(directory)
    first = len(files)
    found = Resumed()
    while first > 0:
        first -= 1
        header = _header(files[first])
        if header is not None:
            found = header
            break
    for file in files[first:]:
        for record in _records(file):
            if is_header(record):
                continue
            lost = lost_in(record)
            if lost is not None:
                found.numbers.append((lost.resource, lost.severity, lost.last))
            else:
                note(record)
    return found


def _records(file: LogFile) -> Iterator[Record]:
    try:
        for line in open_lines(file):
            try:
                yield parse_record(line.rstrip())
            except RocError:
                continue
    except (OSError, EOFError):
        return  # a file that cannot be read tells nothing


def _header(file: LogFile) -> Resumed | None:
    record = next(_records(file), None)
    if record is None or not is_header(record):
        return None
    said = record.attributes
    try:
        numbers = [
            (Source(about["node"], about["host"], 0, "", source), int(severity), int(n))
            for source, about in said["roc.numbers"].items()
            for severity, n in about["sent"].items()
        ]
        nodes = tuple(map(str, said["roc.nodes"]))
        return Resumed(str(said["roc.since"]), int(said["roc.level"]), nodes, numbers)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
