"""The status tree, as the pages see it.

Rules:

* `StatusTree` follows the broker in its own thread, which only notes what changed. Ten times
  a second the event loop reads what was noted: a leaf that changes faster is read less often.
* What changes without a value, such as turning stale, is found by a walk over all leaves, so
  many each turn.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from ..endpoints import Endpoints
from ..errors import RocError
from ..status import StatusTree, Update
from .history import History
from .presented import as_json

__all__ = ["TURN", "Leaf", "StatusFeed", "is_within", "leaf_paths", "out_of_limits"]

TURN: Final = 0.1
"""Seconds between two looks."""

_MOST: Final = 5_000
_WALKED: Final = 500


class Leaf(NamedTuple):
    """A leaf, and its value's JSON with tags."""

    value: Any
    json: bytes
    time: float
    source: str
    stale: bool
    unit: str | None
    description: str | None
    limits: tuple[float | None, float | None] | None


class StatusFeed:
    """Follows the tree.

    Attributes:
        leaves: by path.
        out: those out of limits, and since when.

    Args:
        endpoints: of the broker.
        history: gets every number.
        on_change: called with the paths that changed, or went.
    """

    def __init__(
        self, endpoints: Endpoints, history: History, on_change: Callable[[list[str]], None]
    ) -> None:
        self.leaves: dict[str, Leaf] = {}
        self.out: dict[str, float] = {}
        self.connected = False
        self._endpoints = endpoints
        self._history = history
        self._on_change = on_change
        self._lock = threading.Lock()
        self._noted: dict[str, None] = {}
        self._gone: list[str] = []
        self._walk: Iterator[str] = iter(())

    async def run(self) -> None:
        """Follow, until cancelled."""
        tree = await asyncio.to_thread(StatusTree, self._endpoints, ["", "roc"])
        try:
            tree.on_change(["", "roc"], self._note)
            self._note_paths(tree)
            while True:
                self.connected = tree.connected
                if changed := self._turn(tree):
                    self._on_change(changed)
                await asyncio.sleep(TURN)
        finally:
            tree.close()

    def _note(self, update: Update) -> None:
        """In the tree's thread."""
        with self._lock:
            self._noted.update(dict.fromkeys(leaf_paths(update)))
            self._gone += update.removed

    def _note_paths(self, tree: StatusTree) -> None:
        paths = [*tree]
        with self._lock:
            self._noted.update(dict.fromkeys(paths))

    def _turn(self, tree: StatusTree) -> list[str]:
        """Read what was noted; the paths that changed."""
        with self._lock:
            noted, self._noted = self._noted, {}
            gone, self._gone = self._gone, []
        for mask in gone:
            noted.update((path, None) for path in self.leaves if is_within(path, mask))
        if len(noted) > _MOST:  # the rest in the next turn: pages shall not wait for all
            with self._lock:
                late = dict.fromkeys([*noted][_MOST:])
                self._noted = {**late, **self._noted}
            noted = dict.fromkeys([*noted][:_MOST])
        changed = [path for path in noted if self._read(tree, path)]
        return changed + [path for path in self._walked() if self._read(tree, path)]

    def _walked(self) -> list[str]:
        """The next leaves to look at."""
        paths = [path for _, path in zip(range(_WALKED), self._walk, strict=False)]
        if len(paths) < _WALKED:
            self._walk = iter([*self.leaves])
        return paths

    def _read(self, tree: StatusTree, path: str) -> bool:
        """Take a leaf as it is now; whether it changed."""
        known = self.leaves.get(path)
        try:
            leaf = tree.leaf(path)
            json = as_json(leaf.value, "base64")
        except (KeyError, RocError):
            self.out.pop(path, None)
            return self.leaves.pop(path, None) is not None
        said = (leaf.source, leaf.stale, leaf.unit, leaf.description, leaf.limits)
        if (
            known is not None
            and known.json == json
            and known[3:] == said
            and abs(known.time - leaf.time) < TURN / 4
        ):
            return False
        now = self.leaves[path] = Leaf(leaf.value, json, leaf.time, *said)
        if out_of_limits(now):
            self.out.setdefault(path, leaf.time)
        else:
            self.out.pop(path, None)
        self._history.add(path, leaf.time, leaf.value)
        return True


def leaf_paths(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The paths of the leaves in a partial tree."""
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if type(value) is dict:
            yield from leaf_paths(value, f"{path}.")
        else:
            yield path


def is_within(path: str, mask: str) -> bool:
    """Whether a path is a mask's, or beneath it; the empty mask has all."""
    return not mask or path == mask or path.startswith(f"{mask}.")


def out_of_limits(leaf: Leaf) -> bool:
    """Whether a number is beyond what its source called its limits."""
    value = leaf.value
    if leaf.limits is None or isinstance(value, bool):
        return False
    try:
        number = float(value)
    except (TypeError, ValueError):
        return False
    low, high = (*leaf.limits, None, None)[:2]
    return (low is not None and number < low) or (high is not None and number > high)
