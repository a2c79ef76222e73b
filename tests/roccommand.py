"""`roc` as tests run it: the command, and what running it to its end looks like."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Protocol

from processes import POSIX

__all__ = ["Run", "roc_command"]


def roc_command() -> list[str]:
    """The installed ``roc``; in a tree that is not installed, the module behind it."""
    script = Path(sysconfig.get_path("scripts")) / ("roc" if POSIX else "roc.exe")
    return [str(script)] if script.exists() else [sys.executable, "-m", "runmacs.roc.cli.roc"]


class Run(Protocol):
    def __call__(
        self, *arguments: object, status: int = 0, stdin: str | bytes = ...
    ) -> subprocess.CompletedProcess[str]: ...
