"""Status, against a naive dictionary: whatever is lost on the way, all agree in the end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.statusnet import (
    Publisher,
    StatusNet,
    Tree,
    mirrored,
    naive_emit,
    naive_remove,
    naive_set,
)
from runmacs.roc.core.statustree import LeafTree
from runmacs.roc.core.updates import UpdateSource
from runmacs.roc.wire.statusmsg import Beacon, encode_data, is_within, leaves_of, parse_data

NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(".".join)
VALUES = st.one_of(
    st.integers(0, 9), st.none(), st.booleans(), st.lists(st.integers(0, 3), max_size=2)
)
DATA = st.recursive(
    VALUES, lambda inner: st.dictionaries(st.one_of(NAMES, PATHS), inner, max_size=3), max_leaves=4
)


@given(st.lists(st.tuples(st.sampled_from(["set", "remove"]), PATHS, st.integers())))
def test_a_tree_is_what_a_naive_dictionary_is(steps: list[tuple[str, str, int]]) -> None:
    tree: LeafTree[int] = LeafTree()
    naive: Tree = {}
    for verb, path, value in steps:
        before = dict(naive)
        if verb == "set":
            gone = tree.set(path, value)
            naive_set(naive, path, value)
        else:
            gone = tree.remove(path)
            naive_remove(naive, path)
        tree.check()
        assert tree.leaves == naive
        assert dict(gone) == {p: v for p, v in before.items() if p not in naive}
        for mask in ("a", "a.b", "b.c.a"):
            assert dict(tree.items(mask)) == {p: v for p, v in naive.items() if is_within(p, mask)}


@example([("emit", "a", None), ("emit", "a", 0), ("emit", "a.a", 0), ("remove", "a.a", None)])
@given(st.lists(st.tuples(st.sampled_from(["emit", "emit", "emit", "remove"]), PATHS, DATA)))
def test_only_superseded_values_go_from_a_full_queue(steps: list[tuple[str, str, Any]]) -> None:
    source = UpdateSource(Beacon(source="s"), emits=3)
    naive: Tree = {}
    for verb, path, data in steps:
        if verb == "remove":
            source.remove(path, 0.0)
            naive_remove(naive, path)
        else:
            source.emit(path, *encode_data(path, data), 0.0)
            naive_emit(naive, path, data)
        source.check()
    source.link_up(1.0)
    arrived: LeafTree[Any] = LeafTree()
    for topic, data, head in source.take(1.0, 1_000_000)[2:]:
        path = topic.removeprefix(b"status.")[:-2].decode()
        if b"removed" in head:
            arrived.remove(path)
        else:
            for name, form in leaves_of(path, parse_data(data)):
                arrived.set(name, form)
    assert arrived.leaves == naive


class Actors:
    """A few sources, each with a branch of its own, and readers that come and go."""

    def __init__(self, seed: int, shared: bool) -> None:
        self.net = StatusNet(seed)
        self.shared = shared
        self.model: Tree = {}
        self.sources: list[tuple[Publisher, str]] = []
        for name in ("s1", "s2", "s3"):
            self.sources.append((self.net.publisher(name, emits=20), "" if shared else name))
        for masks in ([""], ["s1", "a.b"], ["s2.a", "a", "s3"]):
            self.net.reader(*masks)

    def act(self) -> None:
        net = self.net
        dice = net.random
        publisher, branch = dice.choice(self.sources)
        reader = dice.choice(net.readers)
        what = dice.choices(
            ["emit", "remove", "connect", "cut", "pump", "arrive", "read", "full", "tick",
             "restart", "late"],
            [30, 3, 10, 4, 15, 15, 15, 4, 8, 1, 1],
        )[0]  # fmt: skip
        match what:
            case "emit":
                path, data = self._path(branch), self._data(2)
                publisher.emit(path, data)
                naive_emit(self.model, path, data)
            case "remove":
                path = self._path(branch)
                publisher.remove(path)
                naive_remove(self.model, path)
            case "connect":
                publisher.connect()
                reader.connect()
            case "cut":
                dice.choice(net.peers()).cut()
            case "pump":
                publisher.pump(dice.randrange(1, 2000))
            case "arrive":
                publisher.arrive(dice.randrange(5))
            case "read":
                reader.arrive(dice.randrange(8))
            case "full":
                reader.full = not reader.full
            case "tick":
                net.step(dice.choice([0.01, 0.3, 1.0]))
            case "restart":
                net.restart(keep=dice.random() < 0.7)
            case "late":
                if len(net.readers) < 8:
                    net.reader(dice.choice(["", "a", "s1.a", "s2"]))

    def _path(self, branch: str) -> str:
        names = [self.net.random.choice("abc") for _ in range(self.net.random.randrange(1, 4))]
        return ".".join([branch, *names] if branch else names)

    def _data(self, level: int) -> Any:
        dice = self.net.random
        if level and dice.random() < 0.5:
            return {dice.choice("abc"): self._data(level - 1) for _ in range(2)}
        return dice.choice([dice.randrange(100), None, [dice.randrange(9)]])


@pytest.mark.parametrize("shared", [False, True])
@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 2**32))
def test_after_quiet_every_mirror_is_the_brokers_tree(shared: bool, seed: int) -> None:
    actors = Actors(seed, shared)
    for _ in range(actors.net.random.randrange(20, 300)):
        actors.act()
    net = actors.net
    net.settle()
    if not shared:
        assert net.tree() == actors.model
    for reader in net.readers:
        masks = [mask.text for mask in reader.core._masks]
        want = {p: f for p, f in net.tree().items() if any(is_within(p, m) for m in masks)}
        assert mirrored(reader) == want, masks
        assert reader.told == want, "what it was told, one by one, leads to the same"
        assert reader.core.synced
        before = len(reader.items)
        net.settle(2.0)
        assert len(reader.items) == before, "nothing is told twice"
