"""The screen of `roc top`, made with textual.

Rules:

* It shows what `observing` has seen, twice a second, and asks nobody anything itself.
* What came from outside is shown as plain text, never as markup or control characters.
"""

from __future__ import annotations

import signal
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import DataTable, Footer, Input, RichLog, Static

from ..endpoints import Endpoints
from ..wire.logmsg import Record
from ..wire.logtext import as_text
from .observing import ObjectFigures, Observer
from .statusview import branches
from .stderr import printable
from .words import ago

__all__ = ["TopScreen"]

_EVERY = 0.5
_LINES = 500
_LEVELS = {"all": 0, "info": 9, "warning": 13, "error": 17}

_Cell = Callable[[ObjectFigures], Any]
_COLUMNS: dict[str, tuple[_Cell, Callable[[Any], str]]] = {
    "ID": (lambda figures: figures.object_id, str),
    "STATE": (lambda figures: figures.state, str),
    "HOST": (lambda figures: figures.host, str),
    "PID": (lambda figures: figures.pid or 0, lambda pid: str(pid or "")),
    "CALLS/S": (lambda figures: figures.calls_per_second, lambda rate: f"{rate:.1f}"),
    "LATENCY": (
        lambda figures: -1.0 if figures.latency is None else figures.latency,
        lambda seconds: "" if seconds < 0 else f"{seconds * 1000:.2f} ms",
    ),
    "QUEUED": (lambda figures: figures.queued, lambda queued: str(queued or "")),
    "CALLS": (lambda figures: figures.calls, str),
    "ERRORS": (lambda figures: figures.errors or 0, lambda count: str(count or "")),
    "LAST ERROR": (lambda figures: figures.last_error, str),
}
"""Of each column what it is sorted by, and how that is shown."""


class TopScreen(App[None]):
    """The live screen."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #head { height: 1; background: $primary; color: $text; padding: 0 1; }
    #head.problem { background: $error; }
    #objects { height: 2fr; border: round $primary; }
    #below { height: 3fr; }
    #log { width: 3fr; height: 100%; border: round $primary; scrollbar-size-horizontal: 0; }
    #status { width: 2fr; height: 100%; border: round $primary; }
    #objects:focus, #log:focus, #status:focus { border: round $accent; }
    #filter { display: none; height: 3; }
    #filter.shown { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", show=False, priority=True),
        Binding("s", "sort", "sort"),
        Binding("r", "reverse", "reverse"),
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("escape", "clear", show=False),
        Binding("p", "pause", "pause"),
        Binding("l", "level", "log level"),
        Binding("z", "zoom", "zoom"),
        Binding("tab", "app.focus_next", "next panel", show=False),
    ]

    def __init__(self, broker: Endpoints) -> None:
        super().__init__()
        self._observer = Observer(broker)
        self._sorted_by = "ID"
        self._reversed = False
        self._words = ""
        self._level = "all"
        self._paused = False
        self._lines: deque[Record] = deque(maxlen=_LINES)

    def compose(self) -> ComposeResult:
        """The panels."""
        yield Static(id="head")
        objects: DataTable[Text] = DataTable(id="objects", cursor_type="row", zebra_stripes=True)
        yield objects
        with Horizontal(id="below"):
            yield RichLog(id="log", max_lines=_LINES, wrap=False, min_width=0)
            status: DataTable[Text] = DataTable(id="status", cursor_type="row", show_header=False)
            yield status
        yield Input(placeholder="show only what contains ...", id="filter")
        yield Footer()

    def on_mount(self) -> None:
        """Begin to show."""
        self.query_one("#log").border_title = "log"
        self.query_one("#status").border_title = "status"
        self.query_one("#status", DataTable).add_columns("name", "value", "unit", "age", "source")
        self.query_one("#objects").focus()
        if sys.platform != "win32":
            import asyncio

            for number in (signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, self.exit)
        self.set_interval(_EVERY, self._show)
        self._show()

    def on_unmount(self) -> None:
        """Look no more."""
        self._observer.close()

    # ---- what is shown

    def _show(self) -> None:
        if self._paused:
            return
        self._show_head()
        self._show_objects()
        self._show_status()
        self._show_log()

    def _show_head(self) -> None:
        seen = self._observer
        serving = sum(figures.state == "serving" for figures in seen.objects)
        rate = sum(figures.calls_per_second for figures in seen.objects)
        parts = [
            seen.broker.rocBroker,
            f"up {ago(seen.stats.get('uptime'))}",
            f"{serving} of {len(seen.objects)} objects serving",
            f"{rate:.1f} calls/s",
        ]
        head = self.query_one("#head", Static)
        head.set_class(bool(seen.problem), "problem")
        paused = "standing still; p goes on" if self._paused else ""
        text = seen.problem or "   ".join(parts)
        head.update(Text(printable("   ".join(filter(None, (text, paused))))))

    def _show_objects(self) -> None:
        table: DataTable[Text] = self.query_one("#objects", DataTable)
        key, _ = _COLUMNS[self._sorted_by]
        rows = sorted(self._observer.objects, key=lambda figures: figures.object_id)
        rows = sorted(rows, key=key, reverse=self._reversed)
        shown = []
        for figures in rows:
            cells = [printable(show(take(figures))) for take, show in _COLUMNS.values()]
            if self._takes(" ".join(cells)):
                style = "" if figures.state == "serving" else "red"
                shown.append([Text(cell, style) for cell in cells])
        titles = [
            f"{name} {'▼' if self._reversed else '▲'}" if name == self._sorted_by else name
            for name in _COLUMNS
        ]
        _fill(table, shown, titles)
        words = f", with {self._words!r}" if self._words else ""
        table.border_title = Text(printable(f"objects, by {self._sorted_by.lower()}{words}"))

    def _show_status(self) -> None:
        table: DataTable[Text] = self.query_one("#status", DataTable)
        leaves = self._observer.tree.leaves()
        if self._words:
            leaves = {path: leaf for path, leaf in leaves.items() if self._takes(path)}
        rows = []
        for line in branches(leaves):
            style = "yellow" if line.leaf is not None and line.leaf.stale else ""
            rows.append([Text(cell, style) for cell in line.cells])
        _fill(table, rows, None)

    def _show_log(self) -> None:
        log = self.query_one("#log", RichLog)
        while self._observer.records:
            record = self._observer.records.popleft()
            self._lines.append(record)
            self._write(log, record)

    def _write(self, log: RichLog, record: Record) -> None:
        text = as_text(record, trace=False)
        if record.severity >= _LEVELS[self._level] and self._takes(text):
            style = (
                "bold red" if record.severity >= 17 else "yellow" if record.severity >= 13 else ""
            )
            log.write(Text(text[11:], style))

    def _write_again(self) -> None:
        """Another filter: all that is remembered is judged anew."""
        log = self.query_one("#log", RichLog)
        log.clear()
        log.border_title = "log" if self._level == "all" else f"log, {self._level} and above"
        for record in self._lines:
            self._write(log, record)

    def _takes(self, text: str) -> bool:
        return self._words.lower() in text.lower()

    # ---- keys

    def action_sort(self) -> None:
        """By the next column; figures the largest first."""
        names = list(_COLUMNS)
        self._sorted_by = names[(names.index(self._sorted_by) + 1) % len(names)]
        self._reversed = self._sorted_by in ("CALLS/S", "LATENCY", "QUEUED", "CALLS", "ERRORS")
        self._show_objects()

    def action_reverse(self) -> None:
        """The other way round."""
        self._reversed = not self._reversed
        self._show_objects()

    def action_pause(self) -> None:
        """Stand still, or go on."""
        self._paused = not self._paused
        self._show_head()

    def action_level(self) -> None:
        """The next least level of the log."""
        names = list(_LEVELS)
        self._level = names[(names.index(self._level) + 1) % len(names)]
        self._write_again()

    def action_zoom(self) -> None:
        """The panel with the cursor alone, or all again."""
        if self.screen.maximized is not None:
            self.screen.minimize()
        elif self.focused is not None:
            self.screen.maximize(self.focused)

    def action_filter(self) -> None:
        """Ask for a text."""
        box = self.query_one("#filter", Input)
        box.add_class("shown")
        self.set_focus(box)

    def action_clear(self) -> None:
        """Filter no longer."""
        box = self.query_one("#filter", Input)
        box.value = ""
        self._close_filter("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """While it is typed."""
        self._set_words(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep it."""
        self._close_filter(event.value)

    def _close_filter(self, words: str) -> None:
        self._set_words(words)
        self.query_one("#filter").remove_class("shown")
        self.query_one("#objects").focus()

    def _set_words(self, words: str) -> None:
        if words != self._words:
            self._words = words
            self._write_again()
            self._show_objects()
            self._show_status()


def _fill(table: DataTable[Text], rows: list[list[Text]], titles: list[str] | None) -> None:
    """Put rows into a table, and leave cursor and scrolling where they were."""
    row, (x, y) = table.cursor_row, table.scroll_offset
    table.clear(columns=titles is not None)
    if titles is not None:
        table.add_columns(*titles)
    table.add_rows(rows)
    table.move_cursor(row=min(row, max(0, len(rows) - 1)), animate=False, scroll=False)
    table.scroll_to(x, y, animate=False)
