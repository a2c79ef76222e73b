"""The tree of status variables that anyone may update: `RocStatusUpdater` emits,
`statusUpdateIterator` follows, `StatusTree` mirrors.

Names are resolved when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "AsyncStatusUpdates": "updates",
    "RocStatusUpdater": "updater",
    "StatusLeaf": "tree",
    "StatusTree": "tree",
    "StatusUpdates": "updates",
    "Update": "updates",
    "statusUpdateIterator": "updates",
}

if TYPE_CHECKING:
    from .tree import StatusLeaf as StatusLeaf
    from .tree import StatusTree as StatusTree
    from .updater import RocStatusUpdater as RocStatusUpdater
    from .updates import AsyncStatusUpdates as AsyncStatusUpdates
    from .updates import StatusUpdates as StatusUpdates
    from .updates import Update as Update
    from .updates import statusUpdateIterator as statusUpdateIterator

__all__ = [
    "AsyncStatusUpdates",
    "RocStatusUpdater",
    "StatusLeaf",
    "StatusTree",
    "StatusUpdates",
    "Update",
    "statusUpdateIterator",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
