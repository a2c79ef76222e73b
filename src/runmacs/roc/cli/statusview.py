"""The status tree as people see it: drawn as a tree, with unit, age, source and staleness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..status import StatusLeaf
from .stderr import printable
from .words import ago, as_word

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["Branch", "branches", "drawn", "plain_lines"]

_VALUE = 60


@dataclass(frozen=True)
class Branch:
    """A line of the tree: the name with its guides, and the leaf if it is one."""

    name: str
    leaf: StatusLeaf | None

    @property
    def cells(self) -> list[str]:
        """Name, value, unit, age and source."""
        leaf = self.leaf
        if leaf is None:
            return [self.name, "", "", "", ""]
        value = as_word(leaf.value)
        if len(value) > _VALUE:
            value = f"{value[: _VALUE - 3]}..."
        age = f"{ago(leaf.age)}, stale" if leaf.stale else ago(leaf.age)
        return [self.name, value, printable(leaf.unit or ""), age, printable(leaf.source)]


def branches(leaves: Mapping[str, StatusLeaf]) -> list[Branch]:
    """The lines of the tree of these leaves, by path."""
    tree: dict[str, object] = {}
    for path in sorted(leaves):
        *above, name = path.split(".")
        at = tree
        for part in above:
            inner = at.setdefault(part, {})
            at = inner if isinstance(inner, dict) else {}
        at[name] = leaves[path]
    return list(_lines(tree, "", top=True))


def _lines(tree: dict[str, object], guide: str, top: bool = False) -> list[Branch]:
    lines: list[Branch] = []
    for number, (name, item) in enumerate(tree.items(), 1):
        last = number == len(tree)
        turn, below = ("", "") if top else ("└─ ", "   ") if last else ("├─ ", "│  ")
        leaf = item if isinstance(item, StatusLeaf) else None
        lines.append(Branch(f"{guide}{turn}{printable(name)}", leaf))
        if isinstance(item, dict):
            lines += _lines(item, guide + below)
    return lines


def plain_lines(lines: list[Branch]) -> list[str]:
    """The tree as text, in columns."""
    cells = [line.cells for line in lines]
    widths = [max(map(len, column), default=0) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def drawn(lines: list[Branch], height: int, state: str = "") -> RenderableType:
    """The tree for a terminal of so many lines; ``state`` stands beneath it."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    room = max(1, height - 2)
    shown = lines if len(lines) <= room else lines[: room - 1]
    table = Table.grid(padding=(0, 2, 0, 0))
    for style in ("bold", "", "dim", "", "dim"):
        table.add_column(style=style, no_wrap=True)
    for line in shown:
        stale = "yellow" if line.leaf is not None and line.leaf.stale else ""
        table.add_row(*(Text(cell) for cell in line.cells), style=stale)
    foot = [f"and {len(lines) - len(shown)} more: name a MASK"] if len(shown) < len(lines) else []
    foot += [state] if state else []
    return Group(table, Text("; ".join(foot), style="bold red" if state else "dim"))
