"""ROC, Remote Object Call: share Python objects across processes, computers and languages.

Names are resolved when they are first used, so that ``import runmacs.roc`` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

_HOMES = {
    "AsyncRocClient": "asyncclient",
    "Endpoints": "endpoints",
    "RocClient": "client",
    "RocLogger": "logs",
    "RocServer": "server",
    "RocStatusUpdater": "status.updater",
    "StatusTree": "status.tree",
    "AsyncStatusUpdates": "status.updates",
    "statusUpdateIterator": "status.updates",
    "initRocLogging": "logs",
    "log_records": "logstream",
}

if TYPE_CHECKING:
    from .asyncclient import AsyncRocClient as AsyncRocClient
    from .client import RocClient as RocClient
    from .endpoints import Endpoints as Endpoints
    from .logs import RocLogger as RocLogger
    from .logs import initRocLogging as initRocLogging
    from .logstream import log_records as log_records
    from .server import RocServer as RocServer
    from .status.tree import StatusTree as StatusTree
    from .status.updater import RocStatusUpdater as RocStatusUpdater
    from .status.updates import AsyncStatusUpdates as AsyncStatusUpdates
    from .status.updates import statusUpdateIterator as statusUpdateIterator

__all__ = [
    "AsyncRocClient",
    "AsyncStatusUpdates",
    "Endpoints",
    "RocClient",
    "RocLogger",
    "RocServer",
    "RocStatusUpdater",
    "StatusTree",
    "__version__",
    "initRocLogging",
    "log_records",
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
