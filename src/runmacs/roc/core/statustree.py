"""A tree of leaves by path: what the broker, a source and a mirror each keep of the status.

Rules:

* A leaf has a value; a branch has leaves beneath it, and exists as long as it does. What
  is set replaces what stood in its way: a leaf above it, or a branch in its place.
* A leaf that is set again keeps its place: the order is that in which leaves appeared.
* Setting a leaf that is there costs one look-up, whatever the size of the tree; a subtree
  costs as much as it has leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["LeafTree"]

_Leaf = TypeVar("_Leaf")


class LeafTree(Generic[_Leaf]):
    """Leaves by path, ``''`` being the root.

    >>> tree = LeafTree()
    >>> tree.set("system.foo.cpu", 0.3), tree.set("system.foo", 1)
    ([], [('system.foo.cpu', 0.3)])
    >>> list(tree.items("system"))
    [('system.foo', 1)]
    """

    def __init__(self) -> None:
        self.leaves: dict[str, _Leaf] = {}
        self._children: dict[str, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self.leaves)

    def get(self, path: str) -> _Leaf | None:
        """The leaf of just this path."""
        return self.leaves.get(path)

    def set(self, path: str, leaf: _Leaf) -> list[tuple[str, _Leaf]]:
        """Set a leaf; returns the leaves of other paths that had to go for it."""
        leaves = self.leaves
        if path in leaves:
            leaves[path] = leaf
            return []
        gone: list[tuple[str, _Leaf]] = []
        if path in self._children:
            gone = self.remove(path)
        self._branch_to(path, gone)
        leaves[path] = leaf
        return gone

    def _branch_to(self, path: str, gone: list[tuple[str, _Leaf]]) -> None:
        """Make the branches above a new leaf."""
        child = path
        while True:
            parent = child.rpartition(".")[0]
            siblings = self._children.get(parent)
            if siblings is not None:
                siblings[child] = None
                return
            if parent in self.leaves:
                gone.append((parent, self.leaves.pop(parent)))
            self._children[parent] = {child: None}
            if not parent:
                return
            child = parent

    def remove(self, path: str) -> list[tuple[str, _Leaf]]:
        """Remove a leaf, or a branch with all beneath it; returns the leaves that went."""
        gone = list(self.items(path))
        for name, _ in gone:
            del self.leaves[name]
        self._prune(path)
        return gone

    def _prune(self, path: str) -> None:
        """Forget the branches of what is gone, and those above it that are empty now."""
        beneath = [path]
        while beneath:
            beneath += self._children.pop(beneath.pop(), ())
        child = path
        while child:
            parent = child.rpartition(".")[0]
            siblings = self._children.get(parent)
            if siblings is None:
                return
            siblings.pop(child, None)
            if siblings:
                return
            del self._children[parent]
            child = parent

    def items(self, path: str = "") -> Iterator[tuple[str, _Leaf]]:
        """The leaves at a path and beneath it. The tree must not change meanwhile."""
        leaves = self.leaves
        if not path:
            yield from leaves.items()
            return
        if path in leaves:
            yield path, leaves[path]
            return
        todo = list(reversed(self._children.get(path, ())))
        while todo:
            name = todo.pop()
            if name in leaves:
                yield name, leaves[name]
            else:
                todo.extend(reversed(self._children[name]))

    def children(self, path: str = "") -> list[str]:
        """The paths one below a branch; none for a leaf, and for what is not there."""
        return list(self._children.get(path, ()))

    def __contains__(self, path: object) -> bool:
        """Whether there is a leaf or a branch of this path."""
        return path in self.leaves or path in self._children

    def check(self) -> None:
        """Every invariant of the tree."""
        listed: set[str] = set()
        for parent, names in self._children.items():
            assert names, f"{parent!r} is an empty branch"
            assert parent not in self.leaves, f"{parent!r} is branch and leaf"
            for name in names:
                assert name.rpartition(".")[0] == parent
                assert (name in self.leaves) != (name in self._children), name
                listed.add(name)
        assert set(self.leaves) <= listed
        assert listed == set(self.leaves) | (set(self._children) - {""})
