"""The broker's status tree: updates in, the last value of each leaf kept, updates out.

Rules:

* What is kept and what is passed on are the same: an update that is not taken (malformed,
  doubled, older than what is there, over the limit of leaves) reaches nobody.
* An update that a source sends again, after a reconnection, sets only those leaves that
  nobody has set since.
* Who publishes without a head has no source; see `statussources`.
* Whoever subscribes to a snapshot gets it in the stream of updates, so that it contains
  all that came before it and nothing that comes after.
* A broker with a past keeps snapshots back until its sources have told again what they
  have, so that nobody gets older values than he had.
* What is passed on is counted for those who watch; see `statuswatches`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from ..errors import RemoteProtocolError
from ..wire import statusmsg
from ..wire.statusmsg import (
    Beacon,
    Head,
    Snapshot,
    SourceState,
    encode_json,
    is_within,
    leaves_of,
    parse_data,
    parse_head,
    parse_message,
    path_problem,
    reserved,
    topic_of,
)
from .statussources import Message, Source, Sources, is_source
from .statustree import LeafTree
from .statuswatches import Route, Watches, mask_in

__all__ = ["Leaf", "Message", "Saved", "StatusCounters", "StatusKeeper", "StatusLimits"]

_ABOUT_BYTES = 4096


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


class Leaf:
    """A value with the time when it was set, and by which update of whom."""

    __slots__ = ("at", "form", "n", "source")

    def __init__(self, form: Any, source: Source | None, n: int, at: float) -> None:
        self.form = form
        self.source = source
        self.n = n
        self.at = at


class Saved(msgspec.Struct):
    """The tree as it survives the broker.

    ``leaves`` are ``(path, form, source, n, seconds since it was set)``.
    """

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
        self.sources = Sources()
        self._watches = Watches()
        self._taken = 0
        self._snapshots: dict[bytes, str] = {}

    @property
    def changes(self) -> int:
        """Grows with each change of what should survive the broker."""
        return self._taken + self.sources.events

    # ---- updates

    def on_update(self, frames: Message, now: float, out: list[Message]) -> None:
        """A message on a topic that begins with ``status.``."""
        topic = frames[0]
        route = self._watches.route(topic)
        if route is None or len(frames) < 2:
            self._drop_unsound(topic)
            return
        path = route[0]
        try:
            head = parse_head(frames[2]) if len(frames) > 2 else _NO_HEAD
            leaves = leaves_of(path, parse_data(frames[1])) if not head.removed else []
        except RemoteProtocolError:
            self.counters.dropped_updates_malformed += 1
            return
        source = self.sources.hear(head.source, now, out) if head.source else None
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
                self._pass_on(frames, route, out)

    def _pass_on(self, frames: Message, route: Route, out: list[Message]) -> None:
        self.counters.updates += 1
        self._taken += 1
        for watch in route[1]:
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
        message = [topic, encode_json(form)]
        if head is not None:
            message.append(encode_json(head))
        self._pass_on(message, self._watches.route(topic) or (path, []), out)

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
        taken, updates = self._taken, self.counters.updates
        self._publish(path, form, head, out)
        self._taken, self.counters.updates = taken, updates  # nothing that must be saved

    def on_beacon(self, frames: Message, now: float, out: list[Message]) -> None:
        """A message on a topic that begins with ``beacon.``."""
        try:
            beacon = parse_message(frames[1], Beacon) if len(frames) > 1 else None
        except RemoteProtocolError:
            beacon = None
        if beacon is None or not is_source(beacon.source):
            self.counters.dropped_updates_malformed += 1
        elif beacon.kind == "status":
            self.sources.on_beacon(beacon, now, out)

    # ---- subscribers

    def on_subscribed(self, topic: bytes, now: float, out: list[Message]) -> bool:
        """Somebody subscribed to a topic that nobody was subscribed to.

        Returns whether a mask is watched that was not.
        """
        if topic.startswith(statusmsg.SNAPSHOT):
            mask = mask_in(topic[len(statusmsg.SNAPSHOT) :].partition(b".")[2])
            if mask is not None and self.sources.settles_at() is not None:
                self._snapshots[topic] = mask
            elif mask is not None:
                out.append([topic, encode_json(self.snapshot_of(mask, now))])
        elif topic.startswith(statusmsg.BEAT):
            mask = mask_in(topic[len(statusmsg.BEAT) :])
            if mask is not None:
                self._watches.begin(mask, now)
                return True
        return False

    def on_unsubscribed(self, topic: bytes, now: float) -> None:
        """The last one who was subscribed to a topic is gone."""
        self._snapshots.pop(topic, None)
        if topic.startswith(statusmsg.BEAT):
            mask = mask_in(topic[len(statusmsg.BEAT) :])
            if mask is not None:
                self._watches.end(mask)

    def is_watched(self, mask: str) -> bool:
        """Whether somebody watches something within a mask, or all of it."""
        return self._watches.is_watched(mask)

    def snapshot_of(self, mask: str, now: float) -> Snapshot:
        """The subtree of a mask, as a subscriber gets it."""
        tree = self.own if reserved(mask) else self.tree
        sources: dict[str, SourceState] = {}
        leaves: list[tuple[str, Any, str, float]] = []
        for path, leaf in tree.items(mask):
            name = ""
            if leaf.source is not None:
                name = leaf.source.id
                sources[name] = leaf.source.state
            leaves.append((path, leaf.form, name, round(now - leaf.at, 3)))
        about = {path: about for path, about in self.about.items() if is_within(path, mask)}
        count = self._watches.count_of(mask)
        return Snapshot(self.broker_id, count, self.sources.events, leaves, about, sources)

    # ---- time

    def next_deadline(self) -> float | None:
        """When `tick` should come at the latest."""
        dues = (self._settles_at(), self._watches.next_deadline(), self.sources.next_deadline())
        return min((due for due in dues if due is not None), default=None)

    def _settles_at(self) -> float | None:
        return self.sources.settles_at() if self._snapshots else None

    def tick(self, now: float, out: list[Message]) -> None:
        """Time has passed: send what waits, tell the counts, see which sources are silent."""
        settles_at = self.sources.settles_at()
        if settles_at is not None and now >= settles_at:
            self.sources.settled()
            for topic, mask in self._snapshots.items():
                out.append([topic, encode_json(self.snapshot_of(mask, now))])
            self._snapshots.clear()
        self._watches.tick(self.broker_id, self.sources.events, now, out)
        self.sources.tick(now, out)

    def stood_still(self, seconds: float) -> None:
        """The silence of others during the broker's own standstill was not theirs."""
        self.sources.stood_still(seconds)

    # ---- over a restart

    def saved(self, now: float) -> Saved:
        """What should survive the broker."""
        leaves = [
            (path, leaf.form, leaf.source.id if leaf.source else "", leaf.n, now - leaf.at)
            for path, leaf in self.tree.items()
        ]
        return Saved(leaves, self.about, self.sources.states())

    def restore(self, saved: Saved, elapsed: float, now: float) -> None:
        """Begin with what an earlier broker has saved ``elapsed`` seconds ago."""
        self.sources.restore(saved.sources, now)
        for path, form, name, n, age in saved.leaves:
            if path_problem(path) is None and not reserved(path) and not self._full([(path, 0)]):
                self._put(path, Leaf(form, self.sources.get(name), n, now - age - elapsed))
        self.about.update(saved.about)

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
        self.sources.check(owned)


_NO_HEAD = Head()


def _is_newer(source: Source | None, n: int, at: float, leaf: Leaf) -> bool:
    if source is not None and leaf.source is source:
        return n > leaf.n
    return at > leaf.at
