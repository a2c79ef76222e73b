"""Clients in other processes: what stands in the pickle of one, and of its proxies."""

from __future__ import annotations

import os
import weakref
from typing import Any, TypeVar

from . import errors
from .endpoints import Endpoints

__all__ = ["client_of", "origin", "shared_client"]

_shared: weakref.WeakValueDictionary[tuple[Any, ...], Any] = weakref.WeakValueDictionary()
_latest: Any = None


def shared_client(*reference: Any) -> Any:
    """The client of all unpickled proxies of one origin: many proxies, one connection.

    The latest outlives its proxies, so that a worker process which gets them one by one
    need not connect for each.
    """
    global _latest
    client = _shared.get(reference)
    if client is None:
        client = _shared[reference] = client_of(*reference)
    _latest = client
    return client


_Kind = TypeVar("_Kind")


def client_of(kind: type[_Kind], endpoints: Endpoints, home: int, timeout: float) -> _Kind:
    """The client that a pickle stands for.

    Raises:
        Closed: its broker can be reached in another process only.
    """
    if home and home != os.getpid():
        raise errors.Closed(
            f"{endpoints.rocBroker} was left behind in the process that pickled this; inproc"
            " reaches no further. Use tcp or ipc."
        )
    return kind(endpoints, timeout=timeout)  # type: ignore[call-arg]


def origin(endpoints: Endpoints) -> tuple[Endpoints, int]:
    """Where a client can be had again: its broker, and the one process if there is but one."""
    return endpoints, os.getpid() if endpoints.transport == "inproc" else 0
