"""Who publishes status updates, and is still heard: the sources of the broker's tree.

Rules:

* A source that has not been heard for `SILENCE` seconds is stale, or that has said goodbye;
  when it is heard again it is not.
* Each change of that is told to all subscribers, and counted, so that they can see whether
  they heard all of them.
* A source that is stale and has no leaves is forgotten.
* After a restart the sources of before are awaited, at most for `SETTLE` seconds, until each
  has told again what it has: that is when it beats for the second time.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from ..wire import statusmsg
from ..wire.statusmsg import Beacon, SourceState, encode_json, path_problem, topic_under

__all__ = ["SETTLE", "SILENCE", "Message", "Source", "Sources", "is_source"]

SILENCE = 2.5
"""Seconds after which a source that does not beat is stale."""

SETTLE = 1.0
"""Seconds that a broker with a past waits for its sources before it sends snapshots."""

_LOOK = 0.5
_MOST = 10_000

Message: TypeAlias = list[Any]


def is_source(name: str) -> bool:
    """Whether this can be the name of a source: it can stand in a topic."""
    return bool(name) and "." not in name and path_problem(name) is None


class Source:
    """Somebody who publishes updates with a head, and beats.

    Attributes:
        n: the number of its last update.
        leaves: how many leaves of the tree are its own.
        state: what subscribers are told of it.
    """

    __slots__ = ("beacons", "heard", "id", "leaves", "n", "state")

    def __init__(self, name: str, now: float) -> None:
        self.id = name
        self.heard = now
        self.n = 0
        self.beacons = 0
        self.leaves = 0
        self.state = SourceState()


class Sources:
    """All sources of one broker. ``out`` gets what is to be published.

    Attributes:
        events: changes of their states that were told, so far.
    """

    def __init__(self) -> None:
        self.events = 0
        self._known: dict[str, Source] = {}
        self._next_look = 0.0
        self._awaited: set[str] = set()
        self._settled_at: float | None = None

    def get(self, name: str) -> Source | None:
        """The source of this name, if it is known."""
        return self._known.get(name)

    def hear(self, name: str, now: float, out: list[Message]) -> Source | None:
        """A source has spoken; None for one that cannot be: too many, or no name."""
        source = self._known.get(name) or self._meet(name, now)
        if source is not None:
            source.heard = now
            if source.state.stale:
                self._mark(source, False, out)
        return source

    def on_beacon(self, beacon: Beacon, now: float, out: list[Message]) -> None:
        """A source says that it is there, and who it is."""
        source = self._known.get(beacon.source) or self._meet(beacon.source, now)
        if source is None:
            return
        source.heard = now
        source.beacons += 1
        if source.beacons > 1:
            self._awaited.discard(source.id)
        state = SourceState(beacon.node, beacon.host, beacon.pid)
        if beacon.end or state != source.state:
            source.state = state
            self._mark(source, beacon.end, out)

    def _meet(self, name: str, now: float) -> Source | None:
        if len(self._known) >= _MOST or not is_source(name):
            return None
        source = self._known[name] = Source(name, now)
        return source

    def _mark(self, source: Source, stale: bool, out: list[Message]) -> None:
        """Tell everybody what a source is now."""
        source.state.stale = stale
        self.events += 1
        out.append([topic_under(statusmsg.SOURCE, source.id), encode_json(source.state)])
        self._forget_if_empty(source)

    def _forget_if_empty(self, source: Source) -> None:
        if source.state.stale and not source.leaves:
            del self._known[source.id]

    # ---- time

    def next_deadline(self) -> float | None:
        """When `tick` should come at the latest."""
        return self._next_look if self._known else None

    def tick(self, now: float, out: list[Message]) -> None:
        """See who is silent."""
        if now < self._next_look:
            return
        self._next_look = now + _LOOK
        for source in list(self._known.values()):
            if source.state.stale:
                self._forget_if_empty(source)
            elif now - source.heard > SILENCE:
                self._mark(source, True, out)

    def stood_still(self, seconds: float) -> None:
        """The silence of others during the broker's own standstill was not theirs."""
        for source in self._known.values():
            source.heard += seconds

    # ---- over a restart

    def states(self) -> dict[str, SourceState]:
        """What is known of those that have leaves."""
        return {name: source.state for name, source in self._known.items() if source.leaves}

    def restore(self, states: dict[str, SourceState], now: float) -> None:
        """Begin with those of an earlier broker."""
        for name, state in states.items():
            source = self._meet(name, now)
            if source is not None:
                source.state = state
                if not state.stale:
                    self._awaited.add(name)
        if self._awaited:
            self._settled_at = now + SETTLE

    def settles_at(self) -> float | None:
        """Until when those of before are awaited at the latest; None if they are not."""
        if self._settled_at is None:
            return None
        return self._settled_at if self._awaited else 0.0

    def settled(self) -> None:
        """They are not awaited any more."""
        self._settled_at = None
        self._awaited.clear()

    def check(self, owned: dict[str, int]) -> None:
        """Every invariant; ``owned`` is how many leaves each has."""
        for name, source in self._known.items():
            assert source.id == name
            assert source.leaves == owned.pop(name, 0), name
        assert not owned, f"leaves of forgotten sources: {owned}"
