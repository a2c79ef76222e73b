"""What is done with files beside writing them: synchronise, compress, remove the oldest.

Rules:

* A thread of its own does it, one thing after the other: nobody who writes waits for a disk.
* The file that is being written is never touched.
* A file is replaced by its compressed one under another name first, so that a crash leaves
  one of the two whole.
* What cannot be done is said once, and the rest goes on.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import queue
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from .._drivers.interrupts import OwnThread
from .limits import Keep
from .names import COMPRESSED, LogFile, log_files
from .recovery import PART

__all__ = ["Housekeeping"]

_PATIENCE: Final = 10.0


class Housekeeping:
    """The thread that looks after the files of one directory."""

    def __init__(
        self,
        directory: Path,
        keep: Keep,
        compress: bool,
        tell: Callable[[str], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._keep = keep
        self._compress = compress
        self._tell = tell
        self._wall = wall
        self._said: set[str] = set()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._syncing = False
        self._thread = OwnThread(self._work, "roc-log-files")
        self._thread.start()

    # ---- for whoever writes

    def sync(self, fd: int) -> None:
        """Have what was written reach the disk; the file stays open until `finish`."""
        if not self._syncing:
            self._syncing = True
            self._jobs.put(lambda: self._sync(fd))

    def finish(self, fd: int) -> None:
        """A file is complete: close it, and put the directory in order."""
        self._jobs.put(lambda: self._finish(fd))

    def tidy(self) -> None:
        """Put the directory in order."""
        self._jobs.put(self._tidy)

    def close(self) -> None:
        """Do what is to be done, for some seconds at most, and end."""
        self._jobs.put(None)
        self._thread.join(_PATIENCE)

    # ---- the thread

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception as error:
                self._complain(error)

    def _complain(self, error: Exception) -> None:
        what = f"{type(error).__name__}: {error}"
        if what not in self._said:
            self._said.add(what)
            self._tell(f"the files in {self._directory} cannot be looked after ({what}).")

    def _sync(self, fd: int) -> None:
        try:
            os.fsync(fd)
        finally:
            self._syncing = False

    def _finish(self, fd: int) -> None:
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        self._tidy()

    def _tidy(self) -> None:
        closed = log_files(self._directory)[:-1]
        if self._compress:
            for file in closed:
                if not file.compressed:
                    _compress(file)
        self._remove(log_files(self._directory)[:-1])

    def _remove(self, closed: list[LogFile]) -> None:
        """Remove what is too much, oldest first. The one being written counts, and stays."""
        keep = self._keep
        sizes = {file.number: file.path.stat().st_size for file in closed}
        total = sum(file.path.stat().st_size for file in log_files(self._directory))
        now = self._wall()
        for at, file in enumerate(closed):
            too_many = keep.count is not None and len(closed) - at + 1 > keep.count
            too_large = keep.size is not None and total > keep.size
            too_old = keep.age is not None and now - file.path.stat().st_mtime > keep.age
            if not (too_many or too_large or too_old):
                return
            file.path.unlink()
            total -= sizes[file.number]


def _compress(file: LogFile) -> None:
    target = file.path.with_name(file.path.name + COMPRESSED)
    part = target.with_name(target.name + PART)
    changed = file.path.stat()
    try:
        with file.path.open("rb") as plain, part.open("wb") as raw:
            with gzip.GzipFile(file.path.name, "wb", 6, raw) as packed:
                shutil.copyfileobj(plain, packed, 1 << 20)
            raw.flush()
            os.fsync(raw.fileno())
        os.utime(part, (changed.st_atime, changed.st_mtime))
        part.replace(target)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    file.path.unlink()
