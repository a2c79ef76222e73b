"""Whether ROC's optional C extension was built."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import runmacs.roc

__all__ = ["is_there"]


def is_there() -> bool:
    """Whether a compiled module lies in the package."""
    (folder,) = map(Path, runmacs.roc.__path__)
    return any(True for suffix in EXTENSION_SUFFIXES for _ in folder.rglob(f"*{suffix}"))
