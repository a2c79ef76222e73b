"""Both implementations of the hot paths, whichever of them runs: see `_drivers.native`."""

from __future__ import annotations

import functools
import importlib
from types import SimpleNamespace
from typing import Any

import pytest

from runmacs.roc._drivers import pure
from runmacs.roc.wire.handshake import Handshake

__all__ = ["IMPLEMENTATIONS", "implementation", "needs_extension"]

try:
    _extension: Any = importlib.import_module("runmacs.roc._native")
except ImportError:
    _extension = None

needs_extension = pytest.mark.skipif(
    _extension is None, reason="the C extension is not built; install a compiler, and ROC again"
)

IMPLEMENTATIONS = [
    pytest.param("Python", id="Python"),
    pytest.param("C", id="C", marks=needs_extension),
]


@functools.cache
def implementation(name: str) -> Any:
    """``Inbox``, ``Outbox``, ``Frames`` and ``send_all`` of one of them."""
    if name == "Python":
        return pure
    inbox = type("Inbox", (Handshake, _extension.Frames), {})
    return SimpleNamespace(
        Inbox=inbox, Outbox=_extension.Outbox, send_all=_extension.send_all, wait=_extension.wait
    )
