"""The floor in C, compiled when it is needed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from ..processes import NotThere

__all__ = ["compiled"]

_HERE = Path(__file__).parent
_HOW = "on Debian and Ubuntu: apt install gcc libzmq3-dev"


@cache
def compiled(name: str) -> Path:
    """The program that is made of `NAME.c`.

    Raises:
        NotThere: there is no compiler, or no libzmq for it.
    """
    if not shutil.which("gcc"):
        raise NotThere(f"gcc is not installed; {_HOW}")
    program = _folder() / name
    command = ["gcc", "-O2", "-o", str(program), str(_HERE / f"{name}.c"), "-lzmq"]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        complaints = [line for line in made.stderr.splitlines() if "error" in line]
        raise NotThere(f"{name}.c: {(complaints or ['gcc failed'])[0]}; {_HOW}")
    return program


_made: list[tempfile.TemporaryDirectory[str]] = []


def _folder() -> Path:
    if not _made:
        _made.append(tempfile.TemporaryDirectory(prefix="roc-floor-"))
    return Path(_made[0].name)
