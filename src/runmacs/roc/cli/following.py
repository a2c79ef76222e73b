"""Following the status tree: each change, and what becomes of the broker meanwhile.

Rules:

* The first changes are what is there. Nothing is lost as long as they are taken in time; who
  is too slow gets the current values.
* A value that turns stale, or is heard of again, is a change as well.
* The broker may go and come back: that is said, and the following goes on.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..status import StatusLeaf, StatusTree, Update
from .terminal import is_read, note

__all__ = ["BrokerWatch", "Change", "changes"]

_WAITING = 10_000
_TURN = 0.25


@dataclass(frozen=True)
class Change:
    """What became of a path; ``leaf`` is None when it was removed."""

    path: str
    value: Any
    leaf: StatusLeaf | None


def changes(tree: StatusTree, masks: tuple[str, ...] = ("",)) -> Iterator[Change | None]:
    """All changes within masks of a tree, for ever; None where there was none for a moment."""
    news: queue.Queue[Update] = queue.Queue(_WAITING)
    cancel = tree.on_change(masks, news.put)
    try:
        stale: dict[str, bool] = {}
        for mask in masks:
            for path, leaf in sorted(tree.leaves(mask).items()):
                stale[path] = leaf.stale
                yield Change(path, leaf.value, leaf)
        turn = time.monotonic() + _TURN
        while True:
            with suppress(queue.Empty):
                yield from _changes_of(
                    news.get(timeout=max(0.0, turn - time.monotonic())), tree, stale
                )
            if time.monotonic() >= turn:
                yield from _turned(tree, masks, stale)
                yield None
                turn = time.monotonic() + _TURN
    finally:
        cancel()


def _changes_of(update: Update, tree: StatusTree, stale: dict[str, bool]) -> Iterator[Change]:
    for path in update.removed:
        stale.pop(path, None)
        yield Change(path, None, None)
    for path, value in _leaves(update, ""):
        try:
            leaf = tree.leaf(path)
        except KeyError:  # removed since
            continue
        stale[path] = leaf.stale
        yield Change(path, value, leaf)


def _leaves(branch: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name, item in branch.items():
        here = f"{path}.{name}" if path else name
        if type(item) is dict:
            yield from _leaves(item, here)
        else:
            yield here, item


def _turned(tree: StatusTree, masks: tuple[str, ...], stale: dict[str, bool]) -> Iterator[Change]:
    """Those whose source fell silent, or is back."""
    for mask in masks:
        for path, leaf in tree.leaves(mask).items():
            if stale.get(path, leaf.stale) != leaf.stale:
                stale[path] = leaf.stale
                yield Change(path, leaf.value, leaf)


class BrokerWatch:
    """Says it once when the broker is gone, and once when it is back."""

    def __init__(self, who: str, tree: StatusTree) -> None:
        self._who = who
        self._tree = tree
        self._said = True

    def look(self) -> None:
        """Look whether it is there, and whether anybody still reads what we print."""
        if not is_read():
            raise BrokenPipeError
        connected = self._tree.connected
        if connected != self._said:
            self._said = connected
            note(f"{self._who}: {self._tree.endpoints.rocBroker}: {self.state}")

    @property
    def state(self) -> str:
        """How it is, in words."""
        if self._tree.connected:
            return "the broker is there again."
        return "waiting for the broker; is `rocbroker` running there?"
