"""A mirror of the broker's status tree, or of some subtrees: what a subscriber knows.

Rules:

* For each mask the subscriber asks for a snapshot, which comes in the stream of updates:
  what came before it is forgotten, what comes after it is applied.
* The broker tells once a second how many updates of a mask it has passed on. Who received
  fewer has missed some (it read too slowly), and asks for a snapshot again. Meanwhile it
  goes on with what comes.
* A snapshot that comes later is compared with what is there: only what differs is news.
* A broker that sends no snapshots (a plain forwarder) is believed as it is: its updates
  are news, and nothing is known of what was before.

A reader core: events in, subscriptions out, news in `take`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ..errors import RemoteProtocolError
from ..wire import statusmsg
from ..wire.statusmsg import (
    Beat,
    Head,
    Snapshot,
    SourceState,
    is_within,
    leaves_of,
    parse_data,
    parse_head,
    parse_message,
    path_of,
    snapshot_topic,
    subscriptions,
    topic_under,
)
from .effects import Reopen
from .statustree import LeafTree

__all__ = ["Known", "Mirror", "News"]

PLAIN_AFTER = 1.25
"""Seconds after which a broker that has sent no snapshot is taken for a plain forwarder."""

SILENCE = 5.0
"""Seconds without a beat after which the connection is made anew."""

_SUBSCRIBE, _UNSUBSCRIBE = b"\1", b"\0"
_ROUTES = 20_000
_SOURCES = 10_000
_DOUBT = 0.5
_NO_HEAD = Head()


class Known:
    """A leaf as the mirror knows it. ``at`` is on the reader's own clock."""

    __slots__ = ("at", "form", "source")

    def __init__(self, form: Any, source: str, at: float) -> None:
        self.form = form
        self.source = source
        self.at = at


@dataclass
class News:
    """What changed: the leaves that were set, in order, and the paths that went.

    ``missed`` tells that changes before these were not seen one by one. ``sources`` and
    ``described`` name the sources whose state, and the paths whose description changed.
    """

    leaves: list[tuple[str, Any]]
    removed: list[str] = field(default_factory=list)
    source: str = ""
    missed: bool = False
    sources: list[str] = field(default_factory=list)
    described: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.leaves or self.removed or self.sources or self.described)


class _Mask:
    """One subtree, and how far it is known."""

    __slots__ = ("asked", "base", "known", "seen", "synced", "text", "token")

    def __init__(self, text: str) -> None:
        self.text = text
        self.token = ""
        self.asked = 0.0
        self.base = 0
        self.seen = 0
        self.synced = False
        self.known = False


class Mirror:
    """The subtrees of ``masks``; ``token`` makes names that are used once.

    Attributes:
        tree: the leaves.
        about: the descriptions of paths.
        sources: the state of each source that was heard of.
        resyncs: how often changes may have been missed, and a later snapshot made up for it.
        up: whether the connection stands.
    """

    def __init__(
        self, masks: Iterable[str], token: Callable[[], str], snapshots: bool = True
    ) -> None:
        self.tree: LeafTree[Known] = LeafTree()
        self.about: dict[str, dict[str, Any]] = {}
        self.sources: dict[str, SourceState] = {}
        self.resyncs = 0
        self.up = False
        self._token = token
        self._first = snapshots
        self._masks = [_Mask(mask) for mask in masks]
        self._broker = ""
        self._events: int | None = None
        self._plain = False
        self._heard = 0.0
        self._doubted: float | None = None
        self._news: deque[News] = deque()
        self._routes: dict[bytes, tuple[str, list[_Mask]] | None] = {}

    @property
    def synced(self) -> bool:
        """Whether all subtrees are known, or as much of them as a plain forwarder tells."""
        return self.up and (self._plain or all(mask.synced for mask in self._masks))

    def take(self) -> News | None:
        """The next news; None when there is none."""
        return self._news.popleft() if self._news else None

    # ---- the connection

    def link_up(self, now: float, out: list[Any]) -> None:
        """The connection stands: subscribe, and ask for everything."""
        self.up = True
        self._plain = False
        self._events = None
        self._on_sign(now)
        topics = dict.fromkeys(topic for mask in self._masks for topic in subscriptions(mask.text))
        out += ([_SUBSCRIBE + topic] for topic in (*topics, statusmsg.SOURCE))
        for mask in self._masks:
            out.append([_SUBSCRIBE + topic_under(statusmsg.BEAT, mask.text)])
            mask.token = ""
            mask.synced = False
            self._ask(mask, now, out)

    def link_down(self, now: float) -> None:
        """The connection is gone."""
        self.up = False
        for mask in self._masks:
            mask.synced = False

    def _ask(self, mask: _Mask, now: float, out: list[Any]) -> None:
        if mask.token:
            out.append([_UNSUBSCRIBE + snapshot_topic(mask.token, mask.text)])
        mask.token = self._token()
        mask.asked = now
        out.append([_SUBSCRIBE + snapshot_topic(mask.token, mask.text)])

    # ---- what comes

    def on_frames(self, frames: list[Any], now: float, out: list[Any]) -> None:
        """A message of the broker's. What is unsound is ignored."""
        topic = frames[0]
        try:
            if topic.startswith((statusmsg.UPDATE, statusmsg.OWN)):
                self._on_update(frames, now)
            elif len(frames) < 2:
                pass
            elif topic.startswith(statusmsg.BEAT):
                self._on_beat(topic, parse_message(frames[1], Beat), now, out)
            elif topic.startswith(statusmsg.SNAPSHOT):
                self._on_snapshot(topic, frames[1], now, out)
            elif topic.startswith(statusmsg.SOURCE):
                self._on_source(topic, parse_message(frames[1], SourceState))
        except RemoteProtocolError:
            return

    def _on_update(self, frames: list[Any], now: float) -> None:
        topic = frames[0]
        route = self._routes[topic] if topic in self._routes else self._route(topic)
        if route is None or len(frames) < 2:
            return
        path, masks = route
        parts = []
        for mask in masks:
            mask.seen += 1
            if mask.synced or self._plain:
                parts.append(mask.text)
        if not parts:
            return
        head = parse_head(frames[2]) if len(frames) > 2 else _NO_HEAD
        if head.removed:
            self._on_removed(path, parts)
        elif head.about is not None:
            self.about[path] = head.about
            self._news.append(News([], source=head.source, described=[path]))
        else:
            news = News(leaves_of(path, parse_data(frames[1])), source=head.source)
            if not is_within(path, parts[0]):
                self._restrict(news, parts)
            at = now - max(0.0, head.age)
            self._set(news.leaves, head.source, at)
            if news:
                self._news.append(news)

    def _restrict(self, news: News, masks: list[str]) -> None:
        """Leave of an update above the masks what is theirs; a leaf above one ends it."""
        leaves, news.leaves = news.leaves, []
        for path, form in leaves:
            if any(is_within(path, mask) for mask in masks):
                news.leaves.append((path, form))
            else:
                for mask in masks:
                    if is_within(mask, path):
                        news.removed += self._remove(mask)

    def _set(self, leaves: list[tuple[str, Any]], source: str, at: float) -> None:
        tree = self.tree
        for path, form in leaves:
            known = tree.leaves.get(path)
            if known is not None:
                known.form, known.source, known.at = form, source, at
            else:
                tree.set(path, Known(form, source, at))

    def _on_removed(self, path: str, masks: list[str]) -> None:
        gone: list[str] = []
        for mask in masks:
            gone += self._remove(mask if is_within(mask, path) else path)
        if gone:
            self._news.append(News([], gone))

    def _remove(self, path: str) -> list[str]:
        for name in [name for name in self.about if is_within(name, path)]:
            del self.about[name]
        return [name for name, _ in self.tree.remove(path)]

    def _route(self, topic: bytes) -> tuple[str, list[_Mask]] | None:
        path = path_of(topic)
        route = None
        if path is not None:
            masks = [
                mask
                for mask in self._masks
                if is_within(path, mask.text) or is_within(mask.text, path)
            ]
            route = path, masks
        if len(self._routes) >= _ROUTES:
            self._routes.clear()
        self._routes[topic] = route
        return route

    # ---- what the broker says of it

    def _on_sign(self, now: float) -> None:
        self._heard, self._doubted = now, None

    def _on_beat(self, topic: bytes, beat: Beat, now: float, out: list[Any]) -> None:
        self._on_sign(now)
        for mask in self._masks:
            if mask.synced and topic == topic_under(statusmsg.BEAT, mask.text):
                missing = beat.count - mask.base - mask.seen
                lost = missing or beat.broker != self._broker or beat.events != self._events
                if lost and not mask.token:
                    self._ask(mask, now, out)

    def _on_snapshot(self, topic: bytes, raw: Any, now: float, out: list[Any]) -> None:
        mask = next(
            (m for m in self._masks if m.token and topic == snapshot_topic(m.token, m.text)), None
        )
        if mask is None:
            return
        snapshot = parse_message(raw, Snapshot)
        out.append([_UNSUBSCRIBE + topic])
        again, mask.known = mask.known, True
        mask.token = ""
        mask.synced = True
        mask.base, mask.seen = snapshot.count, 0
        self._plain = False
        self._on_sign(now)
        self._broker, self._events = snapshot.broker, snapshot.events
        news = self._compare(mask.text, snapshot, now)
        news.missed = again
        self.resyncs += again
        if (again or self._first) and (
            news.leaves or news.removed or news.sources or news.described
        ):
            self._news.append(news)

    def _compare(self, mask: str, snapshot: Snapshot, now: float) -> News:
        """Make the subtree what the snapshot says; returns what differed."""
        news = News([])
        there = {path for path, *_ in snapshot.leaves}
        for path, _ in list(self.tree.items(mask)):
            if path not in there:
                self.tree.remove(path)
                news.removed.append(path)
        for path, form, source, age in snapshot.leaves:
            known = self.tree.get(path)
            if known is None or not _same(known.form, form):
                news.leaves.append((path, form))
            self.tree.set(path, Known(form, source, now - age))
        for path in [path for path in self.about if is_within(path, mask)]:
            if path not in snapshot.about:
                del self.about[path]
        for path, about in snapshot.about.items():
            if self.about.get(path) != about:
                self.about[path] = about
                news.described.append(path)
        for name, state in snapshot.sources.items():
            if self.sources.get(name) != state:
                self.sources[name] = state
                news.sources.append(name)
        return news

    def _on_source(self, topic: bytes, state: SourceState) -> None:
        name = topic[len(statusmsg.SOURCE) : -2].decode(errors="replace")
        if self._events is not None:
            self._events += 1
        if len(self.sources) >= _SOURCES:
            self._forget_sources()
        self.sources[name] = state
        self._news.append(News([], sources=[name]))

    def _forget_sources(self) -> None:
        """Forget those of which there is no leaf."""
        used = {known.source for _, known in self.tree.items()}
        self.sources = {name: state for name, state in self.sources.items() if name in used}

    # ---- time

    def next_deadline(self) -> float | None:
        """When `tick` should come at the latest."""
        if not self.up:
            return None
        waiting = [mask.asked + PLAIN_AFTER for mask in self._masks if mask.token]
        silence = self._heard + SILENCE if self._doubted is None else self._doubted + _DOUBT
        return min([silence, *waiting])

    def tick(self, now: float, out: list[Any]) -> None:
        """Time has passed."""
        if not self.up:
            return
        for mask in self._masks:
            if mask.token and now >= mask.asked + PLAIN_AFTER:
                if not self._broker:
                    self._plain = True
                self._ask(mask, now, out)
        if now >= self._heard + SILENCE and not self._plain:
            if self._doubted is None:
                # It may be this program that stood still: read on first.
                self._doubted = now
            elif now >= self._doubted + _DOUBT:
                self._heard, self._doubted = now, None
                out.append(Reopen("the broker is silent"))

    def check(self) -> None:
        """Every invariant."""
        self.tree.check()
        for path, _ in self.tree.items():
            assert any(is_within(path, mask.text) for mask in self._masks), path
        assert all(not mask.synced or self.up for mask in self._masks)


def _same(one: Any, other: Any) -> bool:
    """Equal, and of one type: 1 is not 1.0 here, nor True."""
    if type(one) is not type(other):
        return False
    if type(one) is list:
        return len(one) == len(other) and all(map(_same, one, other))
    if type(one) is dict:
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return bool(one == other)
