"""Sources, a broker and mirrors in one process: the cores in a network that loses things."""

from __future__ import annotations

import itertools
import random
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

from runmacs.roc.core.effects import Reopen
from runmacs.roc.core.mirror import Mirror
from runmacs.roc.core.news import NewsCore
from runmacs.roc.core.statuskeeper import Saved, StatusLimits
from runmacs.roc.core.updates import UpdateSource
from runmacs.roc.wire.statusmsg import Beacon, encode_data
from runmacs.roc.wire.values import value_of

Tree = dict[str, Any]


class Publisher:
    """A source and its line to the broker."""

    def __init__(self, net: StatusNet, name: str, emits: int = 10_000) -> None:
        self.net = net
        self.core = UpdateSource(Beacon(source=name, node=name), emits)
        self.line: deque[list[bytes]] = deque()
        self.up = False
        self.alive = True

    def emit(self, path: str, data: object) -> None:
        leaves, text = encode_data(path, data)
        self.core.emit(path, leaves, text, self.net.now)

    def remove(self, path: str) -> None:
        self.core.remove(path, self.net.now)

    def connect(self) -> None:
        if not self.up and self.alive:
            self.up = True
            self.core.link_up(self.net.now)

    def cut(self) -> None:
        """The connection breaks; what is on its way is lost."""
        if self.up:
            self.up = False
            self.line.clear()
            self.core.link_down(self.net.now)

    def kill(self) -> None:
        self.cut()
        self.alive = False

    def pump(self, room: int = 10_000) -> None:
        self.line += self.core.take(self.net.now, room)
        self.core.check()

    def arrive(self, count: int) -> None:
        for _ in range(min(count, len(self.line))):
            self.net.to_broker(self.line.popleft())


class Reader:
    """A mirror and its line from the broker."""

    def __init__(self, net: StatusNet, masks: Iterable[str] = ("",)) -> None:
        self.net = net
        self.core = Mirror(masks, net.token)
        self.line: deque[list[bytes]] = deque()
        self.prefixes: Counter[bytes] = Counter()
        self.up = False
        self.full = False
        self.told: Tree = {}
        self.items: list[Any] = []

    def connect(self) -> None:
        if not self.up:
            self.up = True
            out: list[Any] = []
            self.core.link_up(self.net.now, out)
            self._carry_out(out)

    def cut(self) -> None:
        if self.up:
            self.up = False
            self.line.clear()
            for prefix in list(self.prefixes):
                del self.prefixes[prefix]
                self.net.unsubscribed(prefix)
            self.core.link_down(self.net.now)

    def _carry_out(self, out: list[Any]) -> None:
        for effect in out:
            if isinstance(effect, Reopen):
                self.cut()
                return
            prefix = effect[0][1:]
            if effect[0][:1] == b"\1":
                self.prefixes[prefix] += 1
                if self.prefixes[prefix] == 1:
                    self.net.subscribed(prefix)
            else:
                self.prefixes[prefix] -= 1
                if not self.prefixes[prefix]:
                    del self.prefixes[prefix]
                    self.net.unsubscribed(prefix)

    def deliver(self, frames: list[bytes]) -> None:
        if self.up and not self.full and any(frames[0].startswith(p) for p in self.prefixes):
            self.line.append(frames)

    def arrive(self, count: int) -> None:
        out: list[Any] = []
        for _ in range(min(count, len(self.line))):
            self.core.on_frames(self.line.popleft(), self.net.now, out)
            self.core.check()
        self._carry_out(out)
        self.read()

    def tick(self) -> None:
        out: list[Any] = []
        due = self.core.next_deadline()
        if due is not None and self.net.now >= due:
            self.core.tick(self.net.now, out)
        self._carry_out(out)

    def read(self) -> None:
        """Apply the news to what a naive reader would have."""
        while (news := self.core.take()) is not None:
            self.items.append(news)
            for path in news.removed:
                self.told.pop(path, None)
            for path, form in news.leaves:
                naive_set(self.told, path, form)


class StatusNet:
    """One broker and its peers, under a clock that is told when to go on."""

    def __init__(self, seed: int = 0, limits: StatusLimits | None = None) -> None:
        self.random = random.Random(seed)
        self.now = 1000.0
        self.limits = limits
        self._tokens = itertools.count(1)
        self._brokers = itertools.count(1)
        self.publishers: list[Publisher] = []
        self.readers: list[Reader] = []
        self._subscribers: Counter[bytes] = Counter()
        self.alive = True
        self.core = self._core()

    def _core(self) -> NewsCore:
        return NewsCore(f"broker{next(self._brokers)}", self.limits)

    def token(self) -> str:
        return f"t{next(self._tokens)}"

    def publisher(self, name: str, emits: int = 10_000) -> Publisher:
        self.publishers.append(Publisher(self, name, emits))
        return self.publishers[-1]

    def reader(self, *masks: str) -> Reader:
        self.readers.append(Reader(self, masks or ("",)))
        return self.readers[-1]

    def peers(self) -> list[Publisher | Reader]:
        return [*self.publishers, *self.readers]

    # ---- the broker

    def to_broker(self, frames: list[bytes]) -> None:
        out: list[Any] = []
        self.core.on_publication(frames, self.now, out)
        self._publish(out)

    def subscribed(self, prefix: bytes) -> None:
        self._subscribers[prefix] += 1
        if self._subscribers[prefix] == 1:
            out: list[Any] = []
            self.core.on_subscribed(prefix, self.now, out)
            self._publish(out)

    def unsubscribed(self, prefix: bytes) -> None:
        self._subscribers[prefix] -= 1
        if not self._subscribers[prefix]:
            del self._subscribers[prefix]
            self.core.on_unsubscribed(prefix, self.now)

    def _publish(self, out: list[Any]) -> None:
        self.core.check()
        for frames in out:
            for reader in self.readers:
                reader.deliver(frames)

    def restart(self, keep: bool = True) -> None:
        """kill -9 and a new start, with or without the state of a moment ago."""
        saved: Saved = self.core.status.saved(self.now)
        for peer in self.peers():
            peer.cut()
        self._subscribers.clear()
        self.core = self._core()
        if keep:
            self.core.status.restore(saved, 0.0, self.now)
            self.core.check()

    # ---- time

    def step(self, seconds: float = 0.1) -> None:
        """Time passes; what is on its way arrives."""
        self.now += seconds
        due = self.core.next_deadline()
        if due is not None and self.now >= due:
            out: list[Any] = []
            self.core.tick(self.now, out)
            self._publish(out)
        for publisher in self.publishers:
            publisher.pump()
            publisher.arrive(10_000)
        for reader in self.readers:
            reader.arrive(10_000)
            reader.tick()

    def settle(self, seconds: float = 5.0) -> None:
        """All connections stand, and nothing new happens, for so long."""
        for _ in range(int(seconds / 0.1)):
            for peer in self.peers():
                peer.connect()
            for reader in self.readers:
                reader.full = False
            self.step()

    # ---- what should be

    def tree(self, mask: str = "") -> Tree:
        """The broker's leaves within a mask."""
        kept = self.core.status.own if mask[:3] == "roc" else self.core.status.tree
        return {path: leaf.form for path, leaf in kept.items(mask)}


def mirrored(reader: Reader) -> Tree:
    return {path: known.form for path, known in reader.core.tree.items()}


def naive_set(tree: Tree, path: str, form: Any) -> None:
    """What setting a leaf means, without any cleverness."""
    for other in list(tree):
        if other != path and (other.startswith(f"{path}.") or path.startswith(f"{other}.")):
            del tree[other]
    tree[path] = form


def naive_emit(tree: Tree, path: str, data: Any) -> None:
    if isinstance(data, dict):
        for key, item in data.items():
            naive_emit(tree, f"{path}.{key}" if path else key, item)
    else:
        naive_set(tree, path, data)


def naive_remove(tree: Tree, path: str) -> None:
    for other in list(tree):
        if other == path or other.startswith(f"{path}.") or not path:
            del tree[other]


__all__ = ["StatusNet", "mirrored", "naive_emit", "naive_remove", "naive_set", "value_of"]
