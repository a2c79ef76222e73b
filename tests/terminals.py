"""A terminal for tests: a command on a pty, and the screen that a person would see."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pexpect  # type: ignore[import-untyped]
import pyte

from processes import child_environment
from waiting import wait_until

__all__ = ["Terminal", "terminal"]


class Terminal:
    """A command on a pty.

    Attributes:
        raw: all that it has written.
        screen: what stands there now; see `text`.
    """

    def __init__(
        self,
        argv: Sequence[str],
        directory: Path,
        env: Mapping[str, str | None],
        rows: int = 24,
        columns: int = 100,
    ) -> None:
        variables = {**child_environment({"TERM": "xterm-256color", "NO_COLOR": None, **env})}
        self.raw = ""
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self.process = pexpect.spawn(
            argv[0],
            list(argv[1:]),
            cwd=str(directory),
            env=variables,
            dimensions=(rows, columns),
            encoding="utf-8",
            codec_errors="replace",
            timeout=30,
        )

    def read(self) -> bool:
        """Read what has come; False at the end."""
        try:
            text = self.process.read_nonblocking(65536, timeout=0.02)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += text
        self._stream.feed(text)
        return True

    @property
    def text(self) -> str:
        """The lines of the screen."""
        self.read()
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def wait_for(self, words: str, timeout: float = 30.0) -> str:
        """Wait until the screen shows this, and return all of it."""

        def shown() -> str:
            text = self.text
            return text if words in text else ""

        try:
            return wait_until(shown, timeout, f"the screen shows {words!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- it shows\n{self.text}") from None

    def wait_until_gone(self, words: str, timeout: float = 30.0) -> str:
        """Wait until the screen shows this no longer."""
        wait_until(lambda: words not in self.text, timeout, f"{words!r} is gone")
        return self.text

    def press(self, keys: str) -> None:
        """Type."""
        self.process.send(keys)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.sendintr()

    def wait(self, timeout: float = 30.0) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        wait_until(lambda: not self.read(), timeout, "it ends")
        self.process.wait()
        if self.process.signalstatus is not None:
            return -int(self.process.signalstatus)
        return int(self.process.exitstatus or 0)

    @property
    def is_clean(self) -> bool:
        """Whether the cursor is shown, and this is the main screen."""
        hidden = self.raw.rfind("\x1b[?25l") > self.raw.rfind("\x1b[?25h")
        alternate = self.raw.rfind("\x1b[?1049h") > self.raw.rfind("\x1b[?1049l")
        return not hidden and not alternate


@contextmanager
def terminal(
    argv: Sequence[str],
    directory: Path,
    env: Mapping[str, str | None],
    rows: int = 24,
    columns: int = 100,
) -> Iterator[Terminal]:
    """A terminal that is gone afterwards, and whatever ran in it."""
    running = Terminal(argv, directory, env, rows, columns)
    try:
        yield running
    finally:
        print(f"--- the screen of {' '.join(argv)}\n{running.text}")
        running.process.close(force=True)
        if running.process.isalive():  # it ignores what close has sent
            os.kill(running.process.pid, signal.SIGKILL)
