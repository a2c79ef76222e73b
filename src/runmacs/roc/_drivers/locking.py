"""A lock file: one process at a time has a directory to itself.

The system releases it when the process ends, however it ends, so that no stale lock remains.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["LockFile"]


class LockFile:
    """Holds a lock until `release`, or the end of the process.

    Raises:
        BlockingIOError: another process has it; the message says what that wrote into it.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, text: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        try:
            _lock(self._fd)
        except OSError:
            holder = os.read(self._fd, 200).decode("utf-8", "replace").strip()
            os.close(self._fd)
            raise BlockingIOError(holder) from None
        os.ftruncate(self._fd, 0)
        os.write(self._fd, text.encode())

    def release(self) -> None:
        """Let others have it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int) -> None:
        # A byte far behind the text, so that others can read that.
        os.lseek(fd, 1 << 20, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        os.lseek(fd, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
