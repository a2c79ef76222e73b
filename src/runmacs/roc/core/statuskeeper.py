"""The broker's status tree: updates in, the last value of each leaf kept, updates out.

Rules:

* What is kept and what is passed on are the same: an update that is not taken (malformed,
  doubled, older than what is there, over the limit of leaves) reaches nobody.
* An update that a source sends again, after a reconnection, sets only those leaves that
  nobody has set since.
* A source that has not been heard for `SILENCE` seconds is stale, and so are its leaves;
  they keep their values. Who publishes without a head has no source, and is never stale.
* Whoever subscribes to a snapshot gets it in the stream of updates, so that it contains
  all that came before it and nothing that comes after.
* After a restart sources tell again what they have; until then, at most for `SETTLE`
  seconds, snapshots wait, so that nobody gets older values than he had.
* For each mask that somebody watches the updates are counted, and the count is told once
  a second: whoever received fewer has missed some.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from ..errors import RemoteProtocolError
from ..wire import statusmsg
from ..wire.statusmsg import (
    Beacon,
    Beat,
    Head,
    Snapshot,
    SourceState,
    encode_json,
    is_within,
    leaves_of,
    parse_data,
    parse_head,
    parse_message,
    path_of,
    path_problem,
    reserved,
    topic_of,
    topic_under,
)
from .statustree import LeafTree

__all__ = ["SETTLE", "SILENCE", "Leaf", "Saved", "Source", "StatusKeeper", "StatusLimits"]

SILENCE = 2.5
"""Seconds after which a source that does not beat is stale."""

SETTLE = 1.0
"""Seconds that a broker with a past waits for its sources before it sends snapshots."""

BEAT = 1.0
"""Seconds between two beats of a mask."""

_LOOK = 0.5
_ROUTES = 100_000
_SOURCES = 10_000
_ABOUT_BYTES = 4096

Message: TypeAlias = list[Any]


@dataclass(frozen=True)
class StatusLimits:
    """How much the broker keeps."""

    leaves: int = 100_000
    """Over it an update that would make new leaves is not taken; those that are there go on."""


@dataclass
class StatusCounters:
    """What `roc.broker.stats()` tells of the status tree; each a number of updates."""

    updates: int = 0
    dropped_updates_malformed: int = 0
    dropped_updates_reserved: int = 0
    dropped_updates_doubled: int = 0
    dropped_updates_older: int = 0
    dropped_updates_leaves_full: int = 0


class Source:
    """Somebody who publishes updates with a head, and beats."""

    __slots__ = ("beacons", "heard", "id", "leaves", "n", "stale", "state")

    def __init__(self, name: str, now: float) -> None:
        self.id = name
        self.heard = now
        self.n = 0
        self.beacons = 0
        self.leaves = 0
        self.stale = False
        self.state = SourceState()


class Leaf:
    """A value with the time when it was set, and by which update of whom."""

    __slots__ = ("at", "form", "n", "source")

    def __init__(self, form: Any, source: Source | None, n: int, at: float) -> None:
        self.form = form
        self.source = source
        self.n = n
        self.at = at


class _Watch:
    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Saved(msgspec.Struct):
    """The tree as it survives the broker: ages in seconds, to be counted on."""

    leaves: list[tuple[str, Any, str, int, float]] = []
    about: dict[str, dict[str, Any]] = {}
    sources: dict[str, SourceState] = {}


class StatusKeeper:
    """The status tree of one broker. ``out`` gets the messages to be published, in order."""

    def __init__(self, broker_id: str, limits: StatusLimits | None = None) -> None:
        self.broker_id = broker_id
        self.limits = limits or StatusLimits()
        self.counters = StatusCounters()
        self.tree: LeafTree[Leaf] = LeafTree()
        self.own: LeafTree[Leaf] = LeafTree()
        self.about: dict[str, dict[str, Any]] = {}
        self.sources: dict[str, Source] = {}
        self.changes = 0
        self._events = 0
        self._watches: dict[str, _Watch] = {}
        self._routes: dict[bytes, tuple[str, list[_Watch]] | None] = {}
        self._next_beat = 0.0
        self._next_look = 0.0
        self._settled_at: float | None = None
        self._awaited: set[str] = set()
        self._snapshots: dict[bytes, str] = {}

    # ---- updates

    def on_update(self, frames: Message, now: float, out: list[Message]) -> None:
        """A message on a topic that begins with ``status.``."""
        topic = frames[0]
        try:
            route = self._routes[topic]
        except KeyError:
            route = self._route(topic)
        if route is None or len(frames) < 2:
            self._drop_unsound(topic)
            return
        path, watches = route
        try:
            head = parse_head(frames[2]) if len(frames) > 2 else _NO_HEAD
            leaves = leaves_of(path, parse_data(frames[1])) if not head.removed else []
        except RemoteProtocolError:
            self.counters.dropped_updates_malformed += 1
            return
        source = self._hear(head, now, out) if head.source else None
        if head.again:
            self._on_again(path, leaves, head, source, now, out)
        elif source is not None and head.n <= source.n:
            self.counters.dropped_updates_doubled += 1
        else:
            if source is not None:
                source.n = head.n
            if head.removed:
                taken = self._remove(path)
            elif head.about is not None:
                taken = self._describe(path, head.about)
            else:
                taken = self._set(path, leaves, source, head.n, now)
            if taken:
                self._pass_on(frames, watches, out)

    def _pass_on(self, frames: Message, watches: list[_Watch], out: list[Message]) -> None:
        self.counters.updates += 1
        self.changes += 1
        for watch in watches:
            watch.count += 1
        out.append(frames)

    def _set(
        self, path: str, leaves: list[tuple[str, Any]], source: Source | None, n: int, at: float
    ) -> bool:
        if not leaves or (not path and self._touches_own(leaves)) or self._full(leaves):
            return False
        kept = self.tree.leaves
        for name, form in leaves:
            leaf = kept.get(name)
            if leaf is not None and leaf.source is source:
                leaf.form, leaf.n, leaf.at = form, n, at
            else:
                self._put(name, Leaf(form, source, n, at))
        return True

    def _put(self, name: str, leaf: Leaf) -> None:
        """A new leaf, or one that another source had."""
        old = self.tree.get(name)
        gone = self.tree.set(name, leaf)
        if leaf.source is not None:
            leaf.source.leaves += 1
        self._disown(gone)
        if old is not None:
            self._disown([(name, old)])

    def _disown(self, gone: Iterable[tuple[str, Leaf]]) -> None:
        for _, leaf in gone:
            if leaf.source is not None:
                leaf.source.leaves -= 1

    def _touches_own(self, leaves: list[tuple[str, Any]]) -> bool:
        own = any(reserved(name) for name, _ in leaves)
        self.counters.dropped_updates_reserved += own
        return own

    def _full(self, leaves: list[tuple[str, Any]]) -> bool:
        kept = self.tree.leaves
        if len(kept) + len(leaves) <= self.limits.leaves:
            return False
        full = len(kept) + sum(name not in kept for name, _ in leaves) > self.limits.leaves
        self.counters.dropped_updates_leaves_full += full
        return full

    def _remove(self, path: str) -> bool:
        gone = self.tree.remove(path)
        self._disown(gone)
        described = [name for name in self.about if is_within(name, path)]
        for name in described:
            del self.about[name]
        return bool(gone or described)

    def _describe(self, path: str, about: dict[str, Any]) -> bool:
        if self.about.get(path) == about:
            return False
        full = len(self.about) >= self.limits.leaves and path not in self.about
        if full or len(encode_json(about)) > _ABOUT_BYTES:
            self.counters.dropped_updates_leaves_full += 1
            return False
        self.about[path] = about
        return True

    def _drop_unsound(self, topic: bytes) -> None:
        if topic.startswith((statusmsg.UPDATE + b"roc.", statusmsg.OWN)):
            self.counters.dropped_updates_reserved += 1
        else:
            self.counters.dropped_updates_malformed += 1

    def on_reserved(self) -> None:
        """Somebody else published on one of the broker's own topics."""
        self.counters.dropped_updates_reserved += 1

    # ---- updates that come again

    def _on_again(
        self,
        path: str,
        leaves: list[tuple[str, Any]],
        head: Head,
        source: Source | None,
        now: float,
        out: list[Message],
    ) -> None:
        """Take what is newer than what is there, and pass on just that."""
        at = now - max(0.0, head.age)
        if head.about is not None:
            if self._describe(path, head.about):
                self._publish(path, {}, head, out)
        elif head.removed:
            for name, leaf in list(self.tree.items(path)):
                if _is_newer(source, head.n, at, leaf) and self._remove(name):
                    self._publish(name, None, head, out)
        else:
            newer = [leaf for leaf in leaves if self._is_news(leaf[0], source, head.n, at)]
            if not newer:
                self.counters.dropped_updates_older += bool(leaves)
            for name, form in newer:
                if self._set(name, [(name, form)], source, head.n, at):
                    self._publish(name, form, head, out)

    def _is_news(self, path: str, source: Source | None, n: int, at: float) -> bool:
        """Whether nothing was set since at the path, above it or beneath it."""
        above = path
        while above:
            leaf = self.tree.get(above)
            if leaf is not None:
                return _is_newer(source, n, at, leaf)
            above = above.rpartition(".")[0]
        return all(_is_newer(source, n, at, leaf) for _, leaf in self.tree.items(path))

    def _publish(self, path: str, form: Any, head: Head | None, out: list[Message]) -> None:
        """Publish an update of our own making."""
        topic = topic_of(path)
        route = self._routes.get(topic) or self._route(topic)
        message = [topic, encode_json(form)]
        if head is not None:
            message.append(encode_json(head))
        self._pass_on(message, route[1] if route else [], out)

    # ---- the broker's own leaves

    def set_own(self, path: str, data: dict[str, Any], now: float, out: list[Message]) -> None:
        """Publish leaves under ``roc.``, as far as they have changed."""
        changed: dict[str, Any] = {}
        for name, form in data.items():
            full = f"{path}.{name}"
            leaf = self.own.get(full)
            if leaf is None or leaf.form != form or type(leaf.form) is not type(form):
                self.own.set(full, Leaf(form, None, 0, now))
                changed[name] = form
        if changed:
            self._publish_own(path, changed, None, out)

    def remove_own(self, path: str, out: list[Message]) -> None:
        """Remove leaves under ``roc.``."""
        if self.own.remove(path):
            self._publish_own(path, None, Head(removed=True), out)

    def _publish_own(self, path: str, form: Any, head: Head | None, out: list[Message]) -> None:
        changes, updates = self.changes, self.counters.updates
        self._publish(path, form, head, out)
        self.changes, self.counters.updates = changes, updates  # nothing that must be saved

    # ---- sources

    def _hear(self, head: Head, now: float, out: list[Message]) -> Source | None:
        source = self.sources.get(head.source)
        if source is None:
            source = self._meet(head.source, now)
        if source is not None:
            source.heard = now
            if source.stale:
                self._mark(source, False, out)
        return source

    def _meet(self, name: str, now: float) -> Source | None:
        if len(self.sources) >= _SOURCES or not _is_name(name):
            return None
        source = self.sources[name] = Source(name, now)
        return source

    def on_beacon(self, frames: Message, now: float, out: list[Message]) -> None:
        """A message on a topic that begins with ``beacon.``."""
        try:
            beacon = parse_message(frames[1], Beacon) if len(frames) > 1 else None
        except RemoteProtocolError:
            beacon = None
        if beacon is None or not _is_name(beacon.source):
            self.counters.dropped_updates_malformed += 1
            return
        if beacon.kind != "status":
            return
        source = self.sources.get(beacon.source) or self._meet(beacon.source, now)
        if source is None:
            return
        source.heard = now
        source.beacons += 1
        if source.beacons > 1:
            self._awaited.discard(source.id)  # it has told again what it has
        state = SourceState(beacon.node, beacon.host, beacon.pid, source.stale)
        if beacon.end or source.stale or state != source.state:
            source.state = state
            self._mark(source, beacon.end, out)

    def _mark(self, source: Source, stale: bool, out: list[Message]) -> None:
        """Tell everybody what a source is now."""
        source.stale = source.state.stale = stale
        self._events += 1
        self.changes += 1
        out.append([topic_under(statusmsg.SOURCE, source.id), encode_json(source.state)])
        if stale and not source.leaves:
            del self.sources[source.id]

    # ---- subscribers

    def on_subscribed(self, topic: bytes, now: float, out: list[Message]) -> bool:
        """Somebody subscribed to a topic that nobody was subscribed to.

        Returns whether a mask is watched that was not.
        """
        if topic.startswith(statusmsg.SNAPSHOT):
            name = topic[len(statusmsg.SNAPSHOT) :].partition(b".")[2]
            mask = _mask_in(name)
            if mask is not None and self._settled_at is not None:
                self._snapshots[topic] = mask
            elif mask is not None:
                out.append([topic, encode_json(self.snapshot_of(mask, now))])
        elif topic.startswith(statusmsg.BEAT):
            mask = _mask_in(topic[len(statusmsg.BEAT) :])
            if mask is not None:
                if not self._watches:
                    self._next_beat = now + BEAT
                self._watches[mask] = _Watch()
                self._routes.clear()
                return True
        return False

    def on_unsubscribed(self, topic: bytes, now: float) -> None:
        """The last one who was subscribed to a topic is gone."""
        self._snapshots.pop(topic, None)
        if topic.startswith(statusmsg.BEAT):
            mask = _mask_in(topic[len(statusmsg.BEAT) :])
            if mask is not None and self._watches.pop(mask, None) is not None:
                self._routes.clear()

    def _route(self, topic: bytes) -> tuple[str, list[_Watch]] | None:
        """The path of a topic, and who counts its updates."""
        path = path_of(topic)
        route = None
        if path is not None:
            watches = [
                watch
                for mask, watch in self._watches.items()
                if is_within(path, mask) or is_within(mask, path)
            ]
            route = path, watches
        if len(self._routes) >= _ROUTES:
            self._routes.clear()
        self._routes[topic] = route
        return route

    def is_watched(self, mask: str) -> bool:
        """Whether somebody watches something within a mask, or all of it."""
        return any(is_within(one, mask) or is_within(mask, one) for one in self._watches)

    def snapshot_of(self, mask: str, now: float) -> Snapshot:
        """The subtree of a mask, as a subscriber gets it."""
        tree = self.own if reserved(mask) else self.tree
        watch = self._watches.get(mask)
        sources: dict[str, SourceState] = {}
        leaves: list[tuple[str, Any, str, float]] = []
        for path, leaf in tree.items(mask):
            name = ""
            if leaf.source is not None:
                name = leaf.source.id
                sources[name] = leaf.source.state
            leaves.append((path, leaf.form, name, round(now - leaf.at, 3)))
        about = {path: about for path, about in self.about.items() if is_within(path, mask)}
        count = watch.count if watch else 0
        return Snapshot(self.broker_id, count, self._events, leaves, about, sources)

    # ---- time

    def next_deadline(self) -> float | None:
        """When `tick` should come at the latest."""
        if self._settled_at is not None and self._snapshots:
            return self._settled_at if self._awaited else 0.0
        if self._watches:
            return min(self._next_beat, self._next_look)
        return self._next_look if self.sources else None

    def tick(self, now: float, out: list[Message]) -> None:
        """Time has passed: tell the counts, and see which sources are silent."""
        if self._settled_at is not None and (not self._awaited or now >= self._settled_at):
            self._settled_at = None
            for topic, mask in self._snapshots.items():
                out.append([topic, encode_json(self.snapshot_of(mask, now))])
            self._snapshots.clear()
        if self._watches and now >= self._next_beat:
            self._next_beat = now + BEAT
            for mask, watch in self._watches.items():
                beat = Beat(self.broker_id, watch.count, self._events)
                out.append([topic_under(statusmsg.BEAT, mask), encode_json(beat)])
        if now >= self._next_look:
            self._next_look = now + _LOOK
            for source in list(self.sources.values()):
                if source.stale:
                    if not source.leaves:
                        del self.sources[source.id]
                elif now - source.heard > SILENCE:
                    self._mark(source, True, out)

    def stood_still(self, seconds: float) -> None:
        """The silence of others during the broker's own standstill was not theirs."""
        for source in self.sources.values():
            source.heard += seconds

    # ---- over a restart

    def saved(self, now: float) -> Saved:
        """What should survive the broker."""
        leaves = [
            (path, leaf.form, leaf.source.id if leaf.source else "", leaf.n, now - leaf.at)
            for path, leaf in self.tree.items()
        ]
        states = {source.id: source.state for source in self.sources.values() if source.leaves}
        return Saved(leaves, self.about, states)

    def restore(self, saved: Saved, elapsed: float, now: float) -> None:
        """Begin with what an earlier broker has saved ``elapsed`` seconds ago.

        Its sources have `SILENCE` seconds to be heard again.
        """
        for name, state in saved.sources.items():
            source = self._meet(name, now)
            if source is not None:
                source.state = state
                source.stale = state.stale
                if not state.stale:
                    self._awaited.add(name)
        for path, form, name, n, age in saved.leaves:
            if path_problem(path) is None and not reserved(path) and not self._full([(path, 0)]):
                self._put(path, Leaf(form, self.sources.get(name), n, now - age - elapsed))
        self.about.update(saved.about)
        if self._awaited:
            self._settled_at = now + SETTLE

    def check(self) -> None:
        """Every invariant."""
        self.tree.check()
        self.own.check()
        owned: dict[str, int] = {}
        for path, leaf in self.tree.items():
            assert path_problem(path) is None
            assert not reserved(path), path
            if leaf.source is not None:
                owned[leaf.source.id] = owned.get(leaf.source.id, 0) + 1
        assert all(reserved(path) for path, _ in self.own.items())
        assert len(self.tree) <= self.limits.leaves
        for name, source in self.sources.items():
            assert source.id == name
            assert source.leaves == owned.pop(name, 0), name
            assert source.stale == source.state.stale
        assert not owned, f"leaves of forgotten sources: {owned}"


_NO_HEAD = Head()


def _is_newer(source: Source | None, n: int, at: float, leaf: Leaf) -> bool:
    if source is not None and leaf.source is source:
        return n > leaf.n
    return at > leaf.at


def _is_name(name: str) -> bool:
    """Whether a source's name can stand in a topic."""
    return bool(name) and "." not in name and path_problem(name) is None


def _mask_in(name: bytes) -> str | None:
    """The mask that stands in a topic, with the topic's end; None for what is none."""
    if name == b"=":
        return ""
    if name[-2:] != b".=":
        return None
    try:
        mask = name[:-2].decode()
    except UnicodeDecodeError:
        return None
    return mask if path_problem(mask) is None else None
