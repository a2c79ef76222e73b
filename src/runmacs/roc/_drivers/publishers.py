"""The publishers of this process: one for each broker, whoever publishes; and its end.

Rules:

* At the end of the process there are three seconds for what was published to arrive, and none
  is spent on a broker that is not there. So it is in a child of multiprocessing, too.
* A publisher that nobody has any more is forgotten.
"""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
import weakref
from typing import Any

import zmq

from ..endpoints import Endpoints
from .clock import now as clock
from .dialing import check_transport
from .forking import run_in_child
from .links import is_of_libzmq
from .publishing import AT_EXIT, Publisher

__all__ = ["open_publisher"]

_known: weakref.WeakValueDictionary[tuple[Endpoints, int], Publisher] = (
    weakref.WeakValueDictionary()
)
_known_lock = threading.Lock()


def open_publisher(ctx: zmq.Context[Any] | None, endpoints: Endpoints) -> Publisher:
    """The publisher of this process for these endpoints (and context, in inproc).

    It connects as soon as it has a feed, and rests when it has none.

    Raises:
        ConfigError: this system has no ipc.
    """
    check_transport(endpoints)
    given = ctx if is_of_libzmq(endpoints) else None
    key = (endpoints, id(given))
    with _known_lock:
        publisher = _known.get(key)
        if publisher is None:
            publisher = _known[key] = Publisher(given, endpoints)
        return publisher


def _renew_lock() -> None:
    global _known_lock
    _known_lock = threading.Lock()


def _flush_all() -> None:
    """The process ends: what was published has a moment to arrive."""
    deadline = clock() + AT_EXIT
    farewells = [publisher.begin_farewell(deadline) for publisher in list(_known.values())]
    for farewell in farewells:
        if farewell is not None:
            farewell.done.wait(max(0.0, deadline - clock()) + 0.1)


def _flush_child() -> None:
    """The same in a child of multiprocessing, which ends without `atexit`."""
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        _flush_all()


run_in_child(_renew_lock)
atexit.register(_flush_all)
with contextlib.suppress(AttributeError):
    # What concurrent.futures uses to this end; it is called in children of multiprocessing.
    threading._register_atexit(_flush_child)  # type: ignore[attr-defined]
