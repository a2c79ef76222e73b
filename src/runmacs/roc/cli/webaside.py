"""`rocbroker --web`: `roc web` beside the broker, in a process of its own.

In a process of its own, so that nothing a page asks for slows a call. It ends with the broker,
however that ends: then its stdin does.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from types import TracebackType

__all__ = ["WebAside"]

_PATIENCE = 3.0


class WebAside:
    """The process; a context manager, which does nothing where none is wanted."""

    def __init__(self, broker: str | None) -> None:
        self._broker = broker
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> WebAside:
        if self._broker is not None:
            command = [sys.executable, "-m", "runmacs.roc.cli.roc", "web", "--until-eof"]
            self._process = subprocess.Popen(
                [*command, "--broker", self._broker], stdin=subprocess.PIPE
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
