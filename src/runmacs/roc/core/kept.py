"""Results that are objects: kept by their server, so that the caller can use them there.

A method that returns an object with no form on the wire (a status to wait for, a session, an
axis) has returned something useful all the same. It stays where it lives, and the caller
gets its *path*: ``set()#1-9f3c0a``. What is behind the number sign is the key; before it
stands, for people, which member gave it.

Rules:

* What is kept are nested objects as `kinds` knows them: no class, module or function, no
  iterator, and nothing that is to be awaited.
* The `MOST` that were used last are kept, and an object only once.
* A key is good for one run of one server: behind it never stands another object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from .kinds import MISSING, find, kind_of

__all__ = ["MOST", "SIGN", "Kept"]

MOST: Final = 100
"""Objects that are kept for the callers of one shared object."""

SIGN: Final = "#"

_OTHERWISE: Final = ("__await__", "__anext__", "__next__")
"""Who has one of these is better served by the sentence that says what to send instead."""


@dataclass(slots=True)
class _Entry:
    value: Any
    used: int


class Kept:
    """The objects that one shared object has returned; ``run`` tells this run from others."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._uses = 0
        self._given = 0
        self._entries: dict[str, _Entry] = {}

    def keep(self, value: object, origin: str) -> str | None:
        """The path under which a result can be used; None if it is nothing to be kept."""
        if kind_of(value) != "object":
            return None
        if any(find(type(value), name) is not MISSING for name in _OTHERWISE):
            return None
        for path, entry in self._entries.items():
            if entry.value is value:
                self._use(entry)
                return path
        if len(self._entries) >= MOST:
            del self._entries[min(self._entries, key=lambda path: self._entries[path].used)]
        self._given += 1
        path = f"{origin}{SIGN}{self._given}-{self._run}"
        self._use(self._entries.setdefault(path, _Entry(value, 0)))
        return path

    def find(self, path: str) -> Any:
        """The object at a path, which counts as used; `MISSING` if it is not kept.

        May be asked in any thread: nothing is moved.
        """
        entry = self._entries.get(path)
        if entry is None:
            return MISSING
        self._use(entry)
        return entry.value

    def _use(self, entry: _Entry) -> None:
        self._uses += 1
        entry.used = self._uses
