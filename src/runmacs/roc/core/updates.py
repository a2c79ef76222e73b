"""A source of status updates: what a program emits, on its way to the broker.

Rules:

* Emits wait here until the connection takes them. When too many wait, those leaves go whose
  value a later emit has superseded, and nothing else: what arrives in the end is the same.
* The last value of each leaf is remembered. When the connection stands again they are sent
  again, with their number and age: the broker takes what it does not have. So what was lost
  on a broken connection, or with a broker, comes back by itself.
* Updates are numbered. A beacon tells once a second that the source is alive; one comes
  first on each connection, and one when all was sent again.

It is a feed: a publisher's thread asks it for messages. Whoever uses it from several
threads holds a lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from ..wire import statusmsg
from ..wire.statusmsg import Beacon, Head, encode_json, is_within, topic_of, topic_under
from .statustree import LeafTree

__all__ = ["BEACON", "UpdateSource"]

BEACON = 1.0
"""Seconds between two beacons."""

_EMITS = 10_000
_BYTES = 16 * 1024 * 1024
_OVERHEAD = 200
_REMOVALS = 1_000


class _Emit:
    """One emit that waits, or the rest of it that still counts."""

    __slots__ = ("about", "at", "data", "leaves", "path")

    def __init__(
        self, path: str, data: bytes, leaves: list[tuple[str, Any]] | None, at: float
    ) -> None:
        self.path = path
        self.data = data
        self.leaves = leaves
        self.at = at
        self.about: dict[str, Any] | None = None

    @property
    def size(self) -> int:
        return len(self.data) + _OVERHEAD


class _Mine:
    """The last value of a leaf of ours, as it was sent."""

    __slots__ = ("at", "form", "n")

    def __init__(self, form: Any, n: int, at: float) -> None:
        self.form = form
        self.n = n
        self.at = at


class UpdateSource:
    """The updates of one source; ``beacon`` says who it is.

    Attributes:
        superseded: values that were never sent, as later ones had replaced them.
    """

    def __init__(self, beacon: Beacon, emits: int = _EMITS, size: int = _BYTES) -> None:
        self.beacon = beacon
        self.superseded = 0
        self._head = f'{{"source":"{beacon.source}","n":'.encode()
        self._most = emits
        self._most_bytes = size
        self._queue: deque[_Emit] = deque()
        self._bytes = 0
        self._again: deque[list[bytes]] = deque()
        self._mine: LeafTree[_Mine] = LeafTree()
        self._removed: dict[str, _Mine] = {}
        self._about: dict[str, dict[str, Any]] = {}
        self._n = 0
        self._up = False
        self._next_beacon: float | None = None
        self._telling = False
        self._ending = False

    # ---- what the program says

    def emit(self, path: str, leaves: list[tuple[str, Any]], data: bytes, now: float) -> None:
        """Queue an update, as `statusmsg.encode_data` made it."""
        self._append(_Emit(path, data, leaves, now))

    def remove(self, path: str, now: float) -> None:
        """Queue the end of a path and of all beneath it."""
        self._append(_Emit(path, b"null", None, now))

    def describe(self, path: str, about: dict[str, Any], now: float) -> None:
        """Queue a description of a path."""
        emit = _Emit(path, b"{}", [], now)
        emit.about = about
        self._append(emit)

    def _append(self, emit: _Emit) -> None:
        self._queue.append(emit)
        self._bytes += emit.size
        if len(self._queue) > self._most or self._bytes > self._most_bytes:
            self._compact()

    def _compact(self) -> None:
        """Drop each waiting value that a later emit has superseded."""
        later = _Later()
        kept: deque[_Emit] = deque()
        for emit in reversed(self._queue):
            if self._prune(emit, later):
                kept.appendleft(emit)
        self._queue = kept
        self._bytes = sum(emit.size for emit in kept)
        # What is left counts, however much it is: look again when it has doubled.
        self._most = max(self._most, 2 * len(kept))
        self._most_bytes = max(self._most_bytes, 2 * self._bytes)

    def _prune(self, emit: _Emit, later: _Later) -> bool:
        """Leave of an emit what no later one replaces; False if that is nothing."""
        if emit.about is not None:
            return later.describe(emit.path)
        if emit.leaves is None:
            return later.remove(emit.path)
        live = [leaf for leaf in reversed(emit.leaves) if later.set(leaf[0])]
        if live and len(live) != len(emit.leaves):
            self.superseded += len(emit.leaves) - len(live)
            emit.leaves = live[::-1]
            emit.data = encode_json(_beneath(emit.path, emit.leaves))
        elif not live:
            self.superseded += len(emit.leaves)
        return bool(live)

    # ---- the feed

    def link_up(self, now: float) -> None:
        """The broker takes messages from now on; it may be another one, or know nothing."""
        self._up = True
        self._next_beacon = now
        self._again = deque(self._all_again(now))
        self._telling = True

    def _all_again(self, now: float) -> Iterator[list[bytes]]:
        for path, gone in self._removed.items():
            head = self._encoded_head(gone.n, age=now - gone.at, again=True, removed=True)
            yield [topic_of(path), b"null", head]
        for path, about in self._about.items():
            yield [topic_of(path), b"{}", self._encoded_head(self._n, again=True, about=about)]
        for path, mine in self._mine.items():
            head = self._encoded_head(mine.n, age=now - mine.at, again=True)
            yield [topic_of(path), encode_json(mine.form), head]

    def link_down(self, now: float) -> None:
        """The connection is gone, and what it held."""
        self._up = self._telling = False
        self._again.clear()

    def next_deadline(self) -> float | None:
        """When `take` should be asked, though nothing was emitted."""
        return self._next_beacon if self._up else None

    def empty(self) -> bool:
        """Whether nothing waits to be sent."""
        return not (self._queue or self._again or self._ending)

    def end(self) -> None:
        """Nothing more comes: say so in a last beacon, after all that waits."""
        self._ending = True

    def take(self, now: float, room: int) -> list[list[bytes]]:
        """Messages to be sent now, of about ``room`` bytes."""
        messages: list[list[bytes]] = []
        if not self._up:
            return messages
        if self._next_beacon is not None and now >= self._next_beacon:
            self._next_beacon = now + BEACON
            messages.append(self._sign())
        while room > 0 and (self._again or self._queue or self._telling):
            if self._again:
                message = self._again.popleft()
            elif self._telling:
                self._telling = False
                message = self._sign()
            else:
                message = self._send()
            room -= sum(map(len, message)) + _OVERHEAD
            messages.append(message)
        if self._ending and not (self._again or self._queue):
            self._ending = False
            self._next_beacon = None
            self.beacon.end = True
            messages.append(self._sign())
        return messages

    def _sign(self) -> list[bytes]:
        self.beacon.n = self._n
        topic = topic_under(statusmsg.BEACON, self.beacon.source)
        return [topic, encode_json(self.beacon)]

    def _send(self) -> list[bytes]:
        emit = self._queue.popleft()
        self._bytes -= emit.size
        self._n += 1
        if emit.about is not None:
            self._about[emit.path] = emit.about
            head = self._encoded_head(self._n, about=emit.about)
        elif emit.leaves is None:
            self._forget(emit)
            head = self._encoded_head(self._n, removed=True)
        else:
            for path, form in emit.leaves:
                gone = self._mine.set(path, _Mine(form, self._n, emit.at))
                for other, _ in gone:
                    self._note_end(other, emit.at)
            head = self._head + b"%d}" % self._n
        return [topic_of(emit.path), emit.data, head]

    def _forget(self, emit: _Emit) -> None:
        self._mine.remove(emit.path)
        for path in [path for path in self._about if is_within(path, emit.path)]:
            del self._about[path]
        self._note_end(emit.path, emit.at)

    def _note_end(self, path: str, at: float) -> None:
        """The end of a path is remembered, for it may be lost on its way like a value."""
        self._removed.pop(path, None)
        self._removed[path] = _Mine(None, self._n, at)
        if len(self._removed) > _REMOVALS:
            del self._removed[next(iter(self._removed))]

    def _encoded_head(self, n: int, **more: Any) -> bytes:
        return encode_json(Head(self.beacon.source, n, **more))

    # ---- for tests

    def check(self) -> None:
        """Every invariant."""
        self._mine.check()
        assert self._bytes == sum(emit.size for emit in self._queue)
        assert self._up or not self._again


class _Later:
    """What later emits do, seen from the last one backwards.

    Each method says whether an earlier emit still counts, and enters it if so. A value
    counts though leaves beneath it are set later: it ended those that were there before. It
    also ended a leaf above it, which its own removal does not: so only a later value makes
    up for it.
    """

    def __init__(self) -> None:
        self._set: set[str] = set()
        self._removed: set[str] = set()
        self._described: set[str] = set()

    def set(self, path: str) -> bool:
        if not self._set.isdisjoint(_upward(path)):
            return False
        self._set.add(path)
        return True

    def remove(self, path: str) -> bool:
        if not self._set.isdisjoint(_upward(path)) or not self._removed.isdisjoint(_upward(path)):
            return False
        self._removed.add(path)
        return True

    def describe(self, path: str) -> bool:
        if path in self._described:
            return False
        self._described.add(path)
        return True


def _upward(path: str) -> Iterator[str]:
    """The path, and each one above it."""
    while path:
        yield path
        path = path.rpartition(".")[0]
    yield ""


def _beneath(path: str, leaves: list[tuple[str, Any]]) -> Any:
    """The data that sets these leaves, emitted on a path."""
    if path and len(leaves) == 1 and leaves[0][0] == path:
        return leaves[0][1]
    skip = len(path) + 1 if path else 0
    return {name[skip:]: form for name, form in leaves}
