"""`roc watch`: attributes of objects and values of the status tree, live."""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from ..client import RocClient
from ..core.nearest import quoted
from ..status import StatusTree
from ..wire.statusmsg import mask_of, path_problem
from ..wire.values import Member
from .completing import complete_watched
from .failures import NOT_THERE, Failure
from .flags import broker_flag, format_flags, timeout_flag
from .following import BrokerWatch, Change, changes
from .names import BROKER, Name, nearest_to, objects_of, split
from .output import Stream, rich_console
from .sampling import Sampler
from .stderr import printable
from .terminal import ending_cleanly, is_read, note
from .words import ago, as_word

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["sparkline", "watch"]

COLUMNS = ["time", "name", "value", "unit", "age", "source", "stale", "problem"]
_FRAME = 0.25
_HISTORY = 30
_BARS = "▁▂▃▄▅▆▇█"


@click.command(
    epilog="""\b
Examples:
  roc watch vnir.temperature vnir.fps
  roc watch system.cpu -i 0.1
  roc watch vnir.temperature --csv > temperature.csv

A name is an attribute of an object, which is read every INTERVAL seconds; or a path of the status
tree, of which each change is shown. On a terminal there is a line for each, redrawn in place.
A pipe gets `name = value` when it changes; csv and ndjson get all that was read. If the object or
the broker is lost, it says so, waits, and goes on.
"""
)
@click.argument(
    "names", nargs=-1, required=True, metavar="OBJ.ATTR|PATH...", shell_complete=complete_watched
)
@click.option(
    *("-i", "--interval"),
    type=click.FloatRange(min=0.001),
    default=0.5,
    metavar="SECONDS",
    help="how often to read attributes  [0.5]",
)
@click.option("--csv", "as_csv", is_flag=True, help="the same as -o csv")
@format_flags
@broker_flag
@timeout_flag()
def watch(
    names: tuple[str, ...],
    interval: float,
    as_csv: bool,
    form: str,
    broker: str | None,
    timeout: float,
) -> None:
    """Show attributes and status values live."""
    form = "csv" if as_csv else form
    with ExitStack() as until_the_end:
        client = until_the_end.enter_context(RocClient(broker, timeout=timeout))
        attributes, paths = _sorted_out(client, names)
        until_the_end.enter_context(ending_cleanly())
        sampler = Sampler(client, attributes, interval) if attributes else None
        tree = until_the_end.enter_context(StatusTree(broker, paths or "roc.objects"))
        lines = _Lines(sampler, tree, tuple(paths), client)
        console = rich_console() if form == "table" else None
        if console is not None:
            _draw_live(lines, console)
        else:
            _print(lines, form)


def _sorted_out(client: RocClient, names: tuple[str, ...]) -> tuple[list[Name], list[str]]:
    """Which are attributes of objects, and which paths of the status tree."""
    ids = [entry["id"] for entry in objects_of(client) if entry["state"] != "absent"]
    monitor = client[BROKER]
    attributes: list[Name] = []
    paths: list[str] = []
    for text in names:
        name = split(text, [*ids, BROKER])
        if name is not None and name.path and _is_attribute(client, name):
            attributes.append(name)
        elif path_problem(text) is None and monitor.status(text)["leaves"]:
            paths.append(text)
        else:
            _unknown(text, name, ids, list(monitor.status("")["leaves"]))
    return attributes, list(mask_of(paths)) if paths else []


def _is_attribute(client: RocClient, name: Name) -> bool:
    """From the description: no property runs for it."""
    parent, _, member = name.path.rpartition(".")
    if name.object_id == BROKER:
        return False
    said = client.describe(name.object_id, parent)
    entries = said.get("x-attributes") if isinstance(said, dict) else None
    if isinstance(entries, list) and any(entry.get("name") == member for entry in entries):
        return True
    value = client.call_object(name.object_id, "rpc.get", (name.path,), member=name.path)
    if isinstance(value, Member):
        raise Failure(f"{name} is a {value.kind}, and only values can be watched.", NOT_THERE)
    return True


def _unknown(text: str, name: Name | None, ids: list[str], paths: list[str]) -> None:
    near = nearest_to(text, [*ids, *paths])
    meant = f"did you mean {quoted(near)}?" if near else "`roc ls` and `roc status` show what is."
    if name is not None and not name.path:
        meant = f"`roc describe {text}` shows what it has."
    raise Failure(f"{text!r} is no attribute and no path of the status: {meant}", NOT_THERE)


# ---- what is known of each name


@dataclass
class _Line:
    """A name with its last value; ``numbers`` are those that were there before."""

    name: str
    source: str
    value: Any = None
    time: float = 0.0
    unit: str | None = None
    stale: bool = False
    problem: str = ""
    known: bool = False
    numbers: deque[float] = field(default_factory=lambda: deque(maxlen=_HISTORY))

    @property
    def age(self) -> float:
        return max(0.0, time.time() - self.time)

    def row(self) -> dict[str, Any]:
        return {
            "time": round(self.time, 3),
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "age": round(self.age, 3),
            "source": self.source,
            "stale": self.stale,
            "problem": self.problem,
        }


class _Lines:
    """All names; `news` yields each line when something came for it."""

    def __init__(
        self, sampler: Sampler | None, tree: StatusTree, paths: tuple[str, ...], client: RocClient
    ) -> None:
        self.lines: dict[str, _Line] = {}
        self.tree = tree
        self._sampler = sampler
        self._changes = changes(tree, paths) if paths else None
        self._hosts = {entry["id"]: entry["host"] for entry in objects_of(client)}

    def news(self, seconds: float) -> Iterator[tuple[_Line, bool]]:
        """Each line that was heard of, for about so long; and whether it is another value."""
        until = time.monotonic() + seconds
        if self._changes is not None:
            for change in self._changes:
                if change is None:
                    break
                yield self._on_change(change)
                if self._sampler is not None and time.monotonic() >= until:
                    break
        while self._sampler is not None:
            try:
                left = 0.0 if self._changes is not None else max(0.0, until - time.monotonic())
                sample = (
                    self._sampler.samples.get(timeout=left)
                    if left
                    else (self._sampler.samples.get_nowait())
                )
            except queue.Empty:
                return
            host = self._hosts.get(sample.name.object_id) or ""
            source = f"{sample.name.object_id}@{host}" if host else sample.name.object_id
            line = self.lines.setdefault(str(sample.name), _Line(str(sample.name), source))
            if sample.problem:
                other = line.problem != sample.problem
                line.problem = sample.problem
            else:
                other = self._set(line, sample.value, sample.time)
            yield line, other

    def _on_change(self, change: Change) -> tuple[_Line, bool]:
        line = self.lines.setdefault(change.path, _Line(change.path, ""))
        if change.leaf is None:
            line.problem = "it was removed"
            return line, True
        leaf = change.leaf
        line.source, line.unit = leaf.source, leaf.unit
        stale, line.stale = line.stale, leaf.stale
        other = self._set(line, change.value, leaf.time)
        return line, other or stale != line.stale

    def _set(self, line: _Line, value: Any, moment: float) -> bool:
        other = not line.known or bool(line.problem) or as_word(line.value) != as_word(value)
        line.value, line.time, line.problem, line.known = value, moment, "", True
        if isinstance(value, int | float):
            line.numbers.append(float(value))
        return other


# ---- in a pipe


def _print(lines: _Lines, form: str) -> None:
    stream = Stream(COLUMNS, form, _plain)
    watch = BrokerWatch("roc watch", lines.tree)
    said: dict[str, str] = {}
    while True:
        for line, other in lines.news(_FRAME):
            if said.get(line.name, "") != line.problem:
                said[line.name] = line.problem
                what = f"{line.problem}; waiting for it" if line.problem else "it is there again"
                note(f"roc watch: {printable(line.name)}: {printable(what)}.")
            if not line.problem and (other or form != "table"):
                stream.put(line.row())
        watch.look()


def _plain(row: Any) -> str:
    stale = " (stale)" if row["stale"] else ""
    unit = f" {printable(row['unit'])}" if row["unit"] else ""
    return f"{printable(row['name'])} = {as_word(row['value'])}{unit}{stale}"


# ---- on a terminal


def sparkline(numbers: list[float]) -> str:
    """``▁▃▇█▂``; a level line for what does not change."""
    finite = [number for number in numbers if abs(number) < float("inf")]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((number - low) * scale)] for number in finite)


def _draw_live(lines: _Lines, console: Console) -> None:
    from rich.live import Live

    watch = BrokerWatch("roc watch", lines.tree)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            for _ in lines.news(_FRAME):
                pass
            if not is_read():
                raise BrokenPipeError
            state = (
                "" if lines.tree.connected else f"{lines.tree.endpoints.rocBroker}: {watch.state}"
            )
            live.update(_picture(list(lines.lines.values()), console.height, state), refresh=True)


def _picture(lines: list[_Line], height: int, state: str) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    for style in ("bold", "", "dim", "", "dim", "cyan"):
        table.add_column(style=style, no_wrap=True)
    for line in lines[: max(1, height - 2)]:
        what = line.problem or as_word(line.value)
        old = f"{ago(line.age)}, stale" if line.stale else ago(line.age)
        cells = (line.name, what[:60], line.unit or "", old, line.source)
        style = "red" if line.problem else "yellow" if line.stale else ""
        spark = Text(sparkline(list(line.numbers)))
        table.add_row(*(Text(printable(cell)) for cell in cells), spark, style=style)
    return Group(table, Text(state, style="bold red"))
