"""Writes records into the files of a directory, and survives a bad day.

Rules:

* What `write` was given is with the system when it returns, in whole lines, or waits in the
  ring for room. So a killed process loses nothing that it had accepted but what waited.
* A line that was written in part is taken back, or set aside at the next start.
* Each file begins with a record that says where the numbers stood: the next run goes on there.
* A power cut costs the last second.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from .._drivers.locking import LockFile
from ..errors import ConfigError
from ..wire.logmsg import Lost, Record, Source, encode_own, parse_record, timestamp
from ..wire.logtext import escape_json
from .housekeeping import Housekeeping
from .limits import Keep, Rotation
from .names import log_files, new_name
from .recovery import Resumed, mend, resume
from .ring import Ring

__all__ = ["LOCK", "LogWriter"]

LOCK: Final = ".logdump.lock"
_SYNC_EVERY: Final = 1.0
_RETRY: Final = 1.0
_CHUNK: Final = 1 << 20
_SOURCES_IN_HEADER: Final = 1000
_DEBUG, _WARNING = 5, 13

Line = tuple[bytes, Record]


class LogWriter:
    """The one writer of a directory.

    Args:
        directory: where; it is made if need be.
        note: gets the records that earlier runs have written since their last numbers.
        tell: says one line to the user.
        least, nodes: what is asked for, for the next run to compare.

    Attributes:
        resumed: what earlier runs left.

    Raises:
        ConfigError: the directory cannot be used, or another process writes there.
    """

    def __init__(
        self,
        directory: Path,
        rotation: Rotation,
        keep: Keep,
        compress: bool,
        note: Callable[[Record], None],
        tell: Callable[[str], None],
        least: int = 1,
        nodes: Sequence[str] = (),
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.directory = directory
        self.numbers: Callable[[], list[tuple[Source, dict[int, int]]]] = lambda: []
        """Where the numbers stand, for the next file."""
        self._rotation = rotation
        self._tell = tell
        self._wall = wall
        self._about = {"roc.level": least, "roc.nodes": [*nodes]}
        self._reporter = Source("logdump", socket.gethostname(), os.getpid(), "", "")
        self._fd = -1
        self._size = 0
        self._day = ""
        self._number = 0
        self._full = False
        self._ring = Ring()
        self._dirty = False
        self._synced_at = self._tried_at = time.monotonic()
        self._lock = _lock(directory)
        try:
            self.resumed = self._resume(note)
            self._since = self.resumed.since or timestamp(wall())
            self._keeping = Housekeeping(directory, keep, compress, tell, wall)
            self._keeping.tidy()
        except OSError as error:
            self._lock.release()
            raise ConfigError(f"{directory}: {error.strerror or error}.") from error

    def _resume(self, note: Callable[[Record], None]) -> Resumed:
        last = mend(self.directory, self._tell)
        found = resume(self.directory, note)
        files = log_files(self.directory)
        self._number = files[-1].number if files else 0
        if last is not None:
            self._fd = os.open(last.path, os.O_WRONLY | os.O_APPEND)
            self._size = last.path.stat().st_size
            self._day = last.day
        return found

    # ---- writing

    def write(self, records: Sequence[Record]) -> None:
        """Write records, each as one line, or keep them while there is no room."""
        lines = [(escape_json(record.raw) + b"\n", record) for record in records]
        if self._full:
            self._ring.push(lines)
        else:
            self._write(lines)
        self.tick()

    def report(self, text: str, attributes: dict[str, Any], severity: int = _WARNING) -> Record:
        """A record of our own."""
        return parse_record(encode_own(self._wall(), severity, text, self._reporter, attributes))

    def tick(self) -> None:
        """Do what is due; to be called about once a second."""
        now = time.monotonic()
        if self._full and now >= self._tried_at + _RETRY:
            self._tried_at = now
            self._try_again()
        if self._dirty and now >= self._synced_at + _SYNC_EVERY and self._fd >= 0:
            self._synced_at = now
            self._dirty = False
            self._keeping.sync(self._fd)

    def close(self) -> None:
        """Write what waits, if there is room, and let others have the directory."""
        if self._full:
            self._try_again()
        self._keeping.close()
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1
        self._lock.release()

    def _write(self, lines: list[Line]) -> bool:
        """Write lines, into a new file where it is time; False if some are in the ring now."""
        at = 0
        while at < len(lines):
            if self._fd < 0 or self._is_time(len(lines[at][0])):
                try:
                    self._begin_file()
                except OSError as error:
                    self._on_full(error, lines[at:])
                    return False
            end, size = at, 0
            room = self._room()
            while end < len(lines) and (end == at or size + len(lines[end][0]) <= room):
                size += len(lines[end][0])
                end += 1
            try:
                self._put(b"".join(line for line, _ in lines[at:end]))
            except _Short as short:
                written = 0
                while at < end and written + len(lines[at][0]) <= short.kept:
                    written += len(lines[at][0])
                    at += 1
                self._on_full(short.error, lines[at:])
                return False
            at = end
        return True

    def _room(self) -> int:
        most = self._rotation.size
        return _CHUNK if most is None else max(0, min(_CHUNK, most - self._size))

    def _is_time(self, size: int) -> bool:
        most = self._rotation.size
        if most is not None and self._size + size > most and self._size > self._head:
            return True
        return self._rotation.daily and timestamp(self._wall())[:10] != self._day

    _head = 0
    """How many bytes the current file began with."""

    def _put(self, data: bytes) -> None:
        """All of it, or the whole lines that have room; raises _Short then."""
        view = memoryview(data)
        done = 0
        try:
            while done < len(data):
                done += os.write(self._fd, view[done:])
        except OSError as error:
            kept = data.rfind(b"\n", 0, done) + 1
            self._take_back(self._size + kept)
            raise _Short(kept, error) from error
        self._size += len(data)
        self._dirty = True

    def _take_back(self, size: int) -> None:
        """What is torn must not stand before the next line."""
        try:
            os.ftruncate(self._fd, size)
            self._size = size
        except OSError:
            # Then the next line begins another file, and the torn one is mended at a start.
            os.close(self._fd)
            self._fd = -1

    # ---- files

    def _begin_file(self) -> None:
        """Begin a new file, with where the numbers stand. Raises OSError."""
        wall = self._wall()
        name = new_name(self._number + 1, wall)
        header = escape_json(self._header(self._number + 1).raw) + b"\n"
        path = self.directory / name
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            if os.write(fd, header) < len(header):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.close(fd)
            path.unlink()
            raise
        self._number += 1
        before, self._fd = self._fd, fd
        self._size = self._head = len(header)
        self._day = timestamp(wall)[:10]
        if before >= 0:
            self._keeping.finish(before)

    def _header(self, number: int) -> Record:
        numbers = {
            source.source: {
                "node": source.node,
                "host": source.host,
                "sent": {f"{severity:02d}": n for severity, n in sent.items()},
            }
            for source, sent in self.numbers()[-_SOURCES_IN_HEADER:]
            if sent
        }
        facts = {"roc.file": number, "roc.since": self._since, **self._about}
        return self.report("this file begins", {**facts, "roc.numbers": numbers}, severity=_DEBUG)

    # ---- a full disk

    def _on_full(self, error: OSError, lines: list[Line]) -> None:
        if not self._full:
            self._full = True
            self._tried_at = time.monotonic()
            self._tell(
                f"{self.directory} takes no more ({error.strerror}); the newest records wait for"
                " room, and the oldest of them are lost when they are too many."
            )
        self._ring.push(lines)

    def _try_again(self) -> None:
        """Write what waits, and what was lost before it."""
        losses, unnumbered = self._ring.take_losses()
        reports = [self._told(lost) for lost in losses]
        if unnumbered:
            text = f"{unnumbered} records without a number lost, as the disk was full"
            reports.append(self.report(text, {"roc.lost": unnumbered}))
        lines = [(record.raw + b"\n", record) for record in reports]
        lines += self._ring.take_lines()
        was_lost = sum(one.lost for _, one in lines if one.node == self._reporter.node)
        if not self._write(lines):
            return
        self._full = False
        lost = f"{was_lost} records were lost" if was_lost else "nothing was lost"
        self._tell(f"{self.directory} takes records again; {lost}.")

    def _told(self, lost: Lost) -> Record:
        return self.report(f"{lost}, as the disk was full", lost.attributes())


class _Short(Exception):
    """Not all could be written: ``kept`` bytes were, in whole lines."""

    def __init__(self, kept: int, error: OSError) -> None:
        super().__init__(str(error))
        self.kept = kept
        self.error = error


def _lock(directory: Path) -> LockFile:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return LockFile(directory / LOCK, f"pid {os.getpid()} on {socket.gethostname()}\n")
    except BlockingIOError as holder:
        raise ConfigError(
            f"{directory}: another logdump writes there ({holder}); choose another directory."
        ) from None
    except OSError as error:
        raise ConfigError(f"{directory}: {error.strerror or error}.") from error
