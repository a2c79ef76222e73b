"""`roc demo`: the whole of ROC in one minute."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import click

from .failures import Failure
from .terminal import to_install

__all__ = ["demo"]


@click.command(
    epilog="""\b
Examples:
  roc demo

It starts a broker and a simulated camera in processes of their own, on free ports, tells what it
does, and ends them again. Nothing that runs already is touched.
"""
)
def demo() -> None:
    """Drive a simulated camera in another process, with a commentary."""
    if find_spec("numpy") is None:
        raise Failure(f"the simulated camera needs numpy: {to_install('numpy')}")
    program = _program()
    if program is None:
        raise Failure(
            "the demonstration was not installed with ROC: run `make demo` in a checkout."
        )
    try:
        sys.exit(subprocess.call([sys.executable, str(program)]))
    except KeyboardInterrupt:  # it has had it, too, and tidies up
        sys.exit(130)


def _program() -> Path | None:
    """In a checkout, or where the wheel has put it."""
    checkout = Path(__file__).parents[4] / "examples"
    installed = Path(sysconfig.get_path("data")) / "share" / "runmacs-roc" / "examples"
    found = (folder / "vnir" / "demo.py" for folder in (checkout, installed))
    return next((path for path in found if path.is_file()), None)
