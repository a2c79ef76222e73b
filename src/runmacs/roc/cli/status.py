"""`roc status`: the status tree, once or live, and set by hand."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ..client import RocClient
from ..core.nearest import nearest, quoted
from ..status import StatusLeaf, StatusTree
from ..wire.statusmsg import mask_of
from .completing import complete_paths
from .failures import NOT_THERE, Failure
from .flags import broker_flag, format_flags, timeout_flag
from .following import BrokerWatch, Change, changes
from .output import Column, Stream, print_rows, rich_console
from .progress import waiting
from .statusview import branches, drawn, plain_lines
from .stderr import printable
from .terminal import ending_cleanly, note, to_install
from .words import ago, as_word, parse_word

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["status", "status_rm", "status_set"]

COLUMNS = [
    Column("path", "path", printable),
    Column("value", "value"),
    Column("unit", "unit", lambda unit: printable(unit or "")),
    Column("age", "age", ago),
    Column("stale", "stale", lambda stale: "stale" if stale else ""),
    Column("source", "source", printable),
    Column("description"),
    Column("limits"),
]
_FRAME = 0.25


def _complete_mask(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    words = [word for word in ("set", "rm") if word.startswith(incomplete)]
    return words + complete_paths(ctx, parameter, incomplete)


@click.command(
    epilog="""\b
Examples:
  roc status                        all that there is
  roc status vnir --follow          a part of it, live
  roc status vnir -f -o ndjson      each change, for a program

MASK is a path, and means all beneath it. The broker's own branch is `roc`. In a pipe, and
without rich, --follow prints one line for each change, `path = value`.
"""
)
@click.argument("mask", required=False, default="", metavar="[MASK]", shell_complete=_complete_mask)
@click.option("-f", "--follow", is_flag=True, help="go on, until Ctrl-C")
@format_flags
@broker_flag
@timeout_flag()
def status(mask: str, follow: bool, form: str, broker: str | None, timeout: float) -> None:
    """Show the status tree, once or live."""
    mask_of(mask)
    if follow:
        with ending_cleanly():
            _follow(mask, form, broker)
        return
    with waiting("asking the broker", timeout), RocClient(broker, timeout=timeout) as client:
        leaves = _leaves_now(client, mask)
        if not leaves and mask:
            _say_what_there_is(client, mask)
        elif not leaves:
            note("roc status: nobody has published anything yet.")
    console = rich_console() if form == "table" else None
    if console is not None:
        lines = branches(leaves)
        console.print(drawn(lines, len(lines) + 2))
    elif form == "table" and sys.stdout.isatty():
        print(*plain_lines(branches(leaves)), sep="\n")
    else:
        print_rows((_row(path, leaf.value, leaf) for path, leaf in leaves.items()), COLUMNS, form)


def _leaves_now(client: RocClient, mask: str) -> dict[str, StatusLeaf]:
    now = client["roc.broker"].status(mask)
    return {
        path: _leaf(known, now["about"].get(path, {}))
        for path, known in sorted(now["leaves"].items())
    }


def _leaf(known: Mapping[str, Any], about: Mapping[str, Any]) -> StatusLeaf:
    return StatusLeaf(
        known["value"],
        known["age"],
        time.time() - known["age"],
        known["source"],
        known["stale"],
        about.get("unit"),
        about.get("description"),
        about.get("limits"),
    )


def _say_what_there_is(client: RocClient, mask: str) -> None:
    paths = {""}
    for path in client["roc.broker"].status("")["leaves"]:
        names = path.split(".")
        paths |= {".".join(names[:depth]) for depth in range(1, len(names) + 1)}
    near = nearest(mask, paths - {""})
    meant = f"did you mean {quoted(near)}?" if near else "`roc status` shows what there is."
    raise Failure(f"nothing is published under {mask!r}: {meant}", NOT_THERE)


def _row(path: str, value: Any, leaf: StatusLeaf) -> dict[str, Any]:
    return {
        "path": path,
        "value": value,
        "unit": leaf.unit,
        "age": round(leaf.age, 3),
        "stale": leaf.stale,
        "source": leaf.source,
        "description": leaf.description,
        "limits": leaf.limits,
    }


# ---- live


def _follow(mask: str, form: str, broker: str | None) -> None:
    with StatusTree(broker, mask) as tree:
        console = rich_console() if form == "table" else None
        if console is not None:
            _draw_live(tree, mask, console)
            return
        if form == "table" and sys.stdout.isatty():
            note(f"roc status: a tree that is redrawn in place needs rich: {to_install('cli')}")
        watch = BrokerWatch("roc status", tree)
        watch.look()
        names = [*(column.name for column in COLUMNS), "removed"]
        stream = Stream(names, form, _line)
        if tree.connected and not tree.leaves(mask):
            note(f"roc status: nothing is published under {mask!r} yet; waiting for it.")
        for change in changes(tree, (mask,)):
            watch.look() if change is None else stream.put(_event(change))


def _event(change: Change) -> dict[str, Any]:
    if change.leaf is None:
        return {"path": change.path, "removed": True}
    return {**_row(change.path, change.value, change.leaf), "removed": False}


def _line(event: Mapping[str, Any]) -> str:
    if event["removed"]:
        return f"{printable(event['path'])} removed"
    stale = " (stale)" if event["stale"] else ""
    return f"{printable(event['path'])} = {as_word(event['value'])}{stale}"


def _draw_live(tree: StatusTree, mask: str, console: Console) -> None:
    from rich.live import Live

    watch = BrokerWatch("roc status", tree)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            lines = branches(tree.leaves(mask))
            state = "" if tree.connected else f"{tree.endpoints.rocBroker}: {watch.state}"
            live.update(drawn(lines, console.height, state), refresh=True)
            time.sleep(_FRAME)


# ---- by hand


@click.command(
    epilog="""\b
Examples:
  roc status set flight.phase ascent
  roc status set flight '{"leg": 3, "crew": ["A", "B"]}'

VALUE is JSON, else text; an object is a branch, and is merged into what is there. A value
that was set by hand has an age, and never turns stale.
"""
)
@click.argument("path", shell_complete=complete_paths)
@click.argument("value")
@broker_flag
@timeout_flag()
def status_set(path: str, value: str, broker: str | None, timeout: float) -> None:
    """Set a value of the status tree by hand."""
    from ..status.once import set_once

    data = parse_word(value)
    for one in set_once(broker, path, data, timeout):
        print(f"set {printable(one)}")


@click.command(
    epilog="""\b
Examples:
  roc status rm flight.phase

Whoever publishes it still will bring it back with the next value.
"""
)
@click.argument("path", shell_complete=complete_paths)
@broker_flag
@timeout_flag()
def status_rm(path: str, broker: str | None, timeout: float) -> None:
    """Remove a path of the status tree, and all beneath it."""
    from ..status.once import remove_once

    if not path:
        raise Failure("the whole tree is not removed at once: name a path.", 2)
    gone = remove_once(broker, path, timeout)
    if not gone:
        with RocClient(broker, timeout=timeout) as client:
            _say_what_there_is(client, path)
    for one in gone:
        print(f"removed {printable(one)}")
