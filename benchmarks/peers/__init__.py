"""The libraries that are measured, each as its documentation recommends for speed.

A peer is a module here, with

* `NAME`, as it stands in tables, and `NEEDS`, the modules that must be installed;
* `start(house)`, which starts its processes and returns an address;
* `connect(address)`, which returns a `Connection`, in a process of its own (`drive`);
* `ROLES`, what its processes do (`serve`), if they are Python;
* `ENV`, what its processes find in their environment, and `share(house, address, name)`,
  which starts a server for one more object: both optional.

Its docstring states the choices that were made for it.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from ..processes import NotThere

__all__ = ["FLOORS", "PEERS", "load"]

FLOORS = ("zmq_direct", "zmq_proxy", "c_broker")
"""The same bytes, with as little around them as can be."""

PEERS = (
    "roc", "roc_pure", "roc_over_c", *FLOORS,
    "pyro5", "pyro5_default", "rpyc", "zerorpc", "pyleco", "nats", "zenoh", "grpc",
)  # fmt: skip
"""All of them, by module; what comes first is measured first."""


def load(name: str) -> ModuleType:
    """A peer's module, if all that it needs is installed.

    Raises:
        NotThere: something is missing.
    """
    if name not in PEERS:
        raise NotThere(f"there is no peer {name!r}; known: {', '.join(PEERS)}")
    peer = importlib.import_module(f"{__name__}.{name}")
    for module in peer.NEEDS:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise NotThere(f"cannot be imported: {error}") from None
    return peer
