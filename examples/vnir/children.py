"""The demo's other processes: started, listened to, and stopped whatever happens.

Rules:

* A child's output is read by a thread all the time, so that it never blocks.
* A child has its own process group: Ctrl-C reaches the demo alone, which then stops
  its children in order.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence

__all__ = ["Child", "ChildFailed"]


class ChildFailed(Exception):
    """A child ended early, or did not say or do in time what it should."""


class Child:
    """A process and all that it has said so far (stdout and stderr together)."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=sys.platform != "win32",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self._reader = threading.Thread(target=self._read, name=f"{name} output", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for_line(self, pattern: str, timeout: float) -> re.Match[str]:
        """The first match of ``pattern`` in a line of output; ChildFailed when it stays out."""
        deadline = time.monotonic() + timeout
        seen = 0
        with self._news:
            while True:
                for line in self.lines[seen:]:
                    if match := re.search(pattern, line):
                        return match
                seen = len(self.lines)
                left = deadline - time.monotonic()
                if left <= 0.0:
                    raise ChildFailed(f"{self.name} was not ready within {timeout:g} s")
                if not self._reader.is_alive():
                    self._process.wait()  # its output has ended, and so will it
                    raise ChildFailed(f"{self.name} ended unexpectedly")
                self._news.wait(min(left, 0.1))

    def state(self) -> str:
        """In words: running, or how it ended."""
        code = self._process.poll()
        return "which is running" if code is None else f"which ended with exit code {code}"

    def stop(self, timeout: float = 8.0) -> int:
        """Ask it to stop (SIGTERM), wait, and return its exit code.

        ChildFailed when it had to be killed.
        """
        if self._process.poll() is None:
            self._process.terminate()
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ChildFailed(f"{self.name} did not stop within {timeout:g} s") from None
        self._close()
        return code

    def kill(self) -> None:
        """End it at once; nothing happens if it has ended."""
        self._process.kill()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        self._reader.join(2.0)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self.lines.append(line.rstrip())
                self._news.notify_all()
