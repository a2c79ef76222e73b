"""Which implementation of the hot paths runs: the C extension, or Python.

Rules:

* ``runmacs.roc._native`` is optional. Without it, or with ``ROC_PURE=1`` in the environment, or
  when it was built for another version, `pure` does the same, slower.
* Decided once, at import; `RUNS`, `WHY_NOT` and `BROKEN` tell.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

from ..wire.handshake import Handshake
from . import pure

__all__ = [
    *("BROKEN", "RUNS", "WHY_NOT", "Inbox", "Outbox"),
    *("load", "restore_slice", "send_all", "shorten_slice", "wait"),
]

_INTERFACE = 3
"""What this version expects of the extension; counted up together with its own number."""

_NAME = "runmacs.roc._native"
_UNWANTED = "ROC_PURE is set"
_NOT_BUILT = "it was not built"


def load() -> tuple[ModuleType | None, str]:
    """The extension, or None and why not."""
    if os.environ.get("ROC_PURE", "0") not in ("", "0"):
        return None, _UNWANTED
    try:
        module = importlib.import_module(_NAME)
    except ModuleNotFoundError:
        return None, _NOT_BUILT
    except Exception as error:  # whatever is wrong with it, we can do without
        return None, f"it cannot be loaded: {error}"
    if getattr(module, "INTERFACE", None) != _INTERFACE:
        return None, "it was built for another version of ROC; install ROC again"
    return module, ""


_extension, WHY_NOT = load()

BROKEN = WHY_NOT not in ("", _UNWANTED, _NOT_BUILT)
"""Whether it is there, and should run, but does not."""

RUNS = "Python" if _extension is None else "C"
"""What the broker's `stats` call its implementation."""

if TYPE_CHECKING or _extension is None:
    Inbox, Outbox, send_all = pure.Inbox, pure.Outbox, pure.send_all
    shorten_slice, restore_slice = pure.shorten_slice, pure.restore_slice
    wait: Callable[[tuple[int, ...] | int, float, float, bool], list[int] | None] | None = None
else:
    shorten_slice, restore_slice = _extension.shorten_slice, _extension.restore_slice
    Outbox, send_all, wait = _extension.Outbox, _extension.send_all, _extension.wait
    Inbox = type("Inbox", (Handshake, _extension.Frames), {"__doc__": pure.Inbox.__doc__})
