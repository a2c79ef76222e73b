"""The processes of a measurement: real ones, each with a certain end.

Rules:

* A process says where it can be reached, or that it is ready, by its first line.
* A `House` ends all its processes, in the reverse order of their start.
* What a process complains of goes to a file, and stands in the error if it does not start.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["FLOOR", "House", "NotThere", "Process", "free_port"]

FLOOR = Path(__file__).parent / "floor"
PATIENCE = 20.0
_ENDS_WITHIN = 3.0
_ROOT = Path(__file__).parent.parent


class NotThere(Exception):
    """Something that would be measured cannot be; the text says why."""


class Process:
    """One running process."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], name: str) -> None:
        self.name = name
        self.lost = False
        """Whether an answer did not come: another one cannot be told from it any more."""
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            cwd=_ROOT,
            env={**os.environ, **env},
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def line(self, patience: float = PATIENCE) -> str:
        """The next line that it prints."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            line = self._process.stdout.readline() if selector.select(patience) else ""
        if not line:
            self.lost = True
            raise NotThere(f"{self.name} said nothing: {self._last_complaint()}")
        return line.strip()

    def ask(self, patience: float = 120.0, **question: Any) -> Any:
        """Put a question, as JSON in one line, and return the answer."""
        self.tell(**question)
        return self.answer(patience)

    def tell(self, **question: Any) -> None:
        """Put a question; `answer` waits for what comes of it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise NotThere(f"{self.name} has ended: {self._last_complaint()}") from None

    def answer(self, patience: float = 120.0) -> Any:
        answer = json.loads(self.line(patience))
        if "error" in answer:
            raise NotThere(f"{self.name}: {answer['error']}")
        return answer["answer"]

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._complaints):
            if stream is not None:
                with contextlib.suppress(OSError):  # what was not read any more
                    stream.close()

    def _last_complaint(self) -> str:
        self._complaints.seek(0)
        lines = [line.strip() for line in self._complaints if line.strip()]
        return lines[-1] if lines else "no complaint either"


class House:
    """Where processes live together."""

    def __init__(self) -> None:
        self.processes: list[Process] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def folder(self) -> Path:
        """A place for files that goes with the house."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="roc-bench-")
        return Path(self._folder.name)

    def start(
        self, *command: str | Path, name: str = "", env: Mapping[str, str] | None = None
    ) -> Process:
        """Start any program."""
        words = [str(word) for word in command]
        if not shutil.which(words[0]):
            raise NotThere(f"{words[0]} is not installed")
        process = Process(words, env or {}, name or Path(words[0]).name)
        self.processes.append(process)
        return process

    def play(self, role: str, *words: object, env: Mapping[str, str] | None = None) -> Process:
        """Start `python -m benchmarks.ROLE ...`: a module of these benchmarks."""
        command = (sys.executable, "-m", f"benchmarks.{role}", *map(str, words))
        return self.start(*command, name=" ".join([role, *map(str, words)]), env=env)

    def end(self, process: Process) -> None:
        """End one of them before the others."""
        self.processes.remove(process)
        process.end()

    def __enter__(self) -> House:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self.processes:
            self.processes.pop().end()
        if self._folder is not None:
            self._folder.cleanup()


def free_port() -> int:
    """A port of this computer that is free at the moment."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_open(port: int, what: str, patience: float = PATIENCE) -> None:
    """Wait until somebody listens on a port of this computer."""
    import socket

    end = time.monotonic() + patience
    while time.monotonic() < end:
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.05)
    raise NotThere(f"{what} does not listen")
