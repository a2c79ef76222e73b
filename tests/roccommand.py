"""`roc` as tests run it: the command, and what running it to its end looks like."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from processes import POSIX

if TYPE_CHECKING:
    from terminals import Terminal

__all__ = ["OnTerminal", "Run", "roc_command"]

OnTerminal = Callable[..., "Terminal"]
"""Start ``roc`` on a terminal: a fixture of the tests of `roc`."""


def roc_command() -> list[str]:
    """The installed ``roc``; in a tree that is not installed, the module behind it."""
    script = Path(sysconfig.get_path("scripts")) / ("roc" if POSIX else "roc.exe")
    return [str(script)] if script.exists() else [sys.executable, "-m", "runmacs.roc.cli.roc"]


class Run(Protocol):
    def __call__(
        self, *arguments: object, status: int = 0, stdin: str | bytes = ...
    ) -> subprocess.CompletedProcess[str]: ...
