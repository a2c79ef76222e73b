"""What a forked child does with the connections that it inherited.

A child has its parent's memory and descriptors, but none of its threads: a ZeroMQ socket is
dead there, its lock may be held by nobody, and a descriptor that the child reads from takes
its parent's signals away.

Rules:

* Whoever owns sockets registers. In the child, before anything else runs there, each owner
  is told, and becomes of another class: one that connects anew, or says that it cannot. So
  neither parent nor child looks anything up when it makes a call.
* The child uses nothing of what it inherited, closes no ZeroMQ socket of it, and keeps it
  until its end, so that nobody else tidies it up either. Of plain sockets it closes its
  copies at once: else nobody would see a connection end when the parent does.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Owner", "keep", "register", "run_in_child"]


class Owner(Protocol):
    """Owns sockets, and hears of a fork."""

    def on_fork(self) -> None:
        """This is the child now. Only this thread is left; take no lock."""


_owners: weakref.WeakSet[Owner] = weakref.WeakSet()
_kept: list[Any] = []


def register(owner: Owner) -> None:
    """Have this owner told in each child that is forked from now on, as long as it lives."""
    _owners.add(owner)


def run_in_child(function: Callable[[], None]) -> None:
    """Have a function run in each child that is forked from now on; for modules."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)


def keep(*inherited: Any) -> None:
    """Keep what belongs to the parent until the end of this process."""
    _kept.extend(inherited)


def _tell_owners() -> None:
    for owner in list(_owners):
        owner.on_fork()


run_in_child(_tell_owners)
