"""What a subcommand prints on stdout, in each of the formats.

Rules:

* ``table`` is for people: columns, or a line for each change. The others are for programs,
  and their keys are stable: ``json`` is one document (of a stream, one a line), ``ndjson``
  an object a line, ``csv`` begins with a header.
* Each line of a stream is flushed. Who reads no more ends it, and nobody complains.
* Colours and live screens only on a terminal, and with rich. All else is plain.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .stderr import printable
from .words import as_json, as_word, line_of_json

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["FORMATS", "Column", "Stream", "print_document", "print_rows", "rich_console"]

FORMATS: Final = ("table", "json", "ndjson", "csv")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A field of a row: its key, and how people see it (not at all, without a heading)."""

    name: str
    heading: str = ""
    show: Callable[[Any], str] = as_word
    style: Callable[[Any], str] | str = ""


def rich_console() -> Console | None:
    """A terminal with colours; None where stdout is none, or rich is not installed."""
    if not sys.stdout.isatty():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(highlight=False, markup=False, emoji=False)


def print_rows(rows: Iterable[Row], columns: list[Column], form: str) -> None:
    """Print rows that are all there."""
    if form == "json":
        print_document([dict(row) for row in rows])
    elif form == "table":
        _print_table(list(rows), [column for column in columns if column.heading])
    else:
        stream = Stream([column.name for column in columns], form)
        for row in rows:
            stream.put(row)


def print_document(value: Any) -> None:
    """Print a value as one JSON document."""
    for part in _pretty(as_json(value), ""):
        sys.stdout.write(part)
    print()


def _pretty(value: Any, indent: str) -> Iterator[str]:
    """Indented JSON, but for lists of plain values, which stand on one line."""
    items: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        begin, end = "{", "}"
        items = [(f"{json.dumps(key, ensure_ascii=False)}: ", item) for key, item in value.items()]
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        begin, end = "[", "]"
        items = [("", item) for item in value]
    if not items:
        yield json.dumps(value, ensure_ascii=False)
        return
    deeper = f"{indent}  "
    yield begin
    for number, (key, item) in enumerate(items):
        yield f"{',' if number else ''}\n{deeper}{key}"
        yield from _pretty(item, deeper)
    yield f"\n{indent}{end}"


class Stream:
    """Prints rows one by one, each at once."""

    def __init__(
        self, names: list[str], form: str, plain: Callable[[Row], str] | None = None
    ) -> None:
        self._names = names
        self._form = form
        self._plain = plain
        if form == "csv":
            self._write(names)

    def put(self, row: Row) -> None:
        """Print a row."""
        if self._form == "csv":
            self._write([_cell(row.get(name)) for name in self._names])
        elif self._form == "table" and self._plain is not None:
            print(self._plain(row), flush=True)
        else:
            print(line_of_json(row), flush=True)

    def _write(self, cells: list[str]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(cells)
        print(line.getvalue(), flush=True)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return printable(value) if isinstance(value, str) else printable(line_of_json(value))


def _print_table(rows: list[Row], columns: list[Column]) -> None:
    console = rich_console()
    columns = [column for column in columns if not rows or any(_seen(row, column) for row in rows)]
    cells = [[column.show(row.get(column.name)) for column in columns] for row in rows]
    if console is None:
        _print_plain([[column.heading.upper() for column in columns], *cells])
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column.heading.upper())
    for row, shown in zip(rows, cells, strict=True):
        styles = [
            column.style if isinstance(column.style, str) else column.style(row.get(column.name))
            for column in columns
        ]
        table.add_row(*map(Text, shown, styles))
    console.print(table)


def _seen(row: Row, column: Column) -> bool:
    """Whether there is anything to see: a column that is empty in all rows is left out."""
    return bool(column.show(row.get(column.name)))


def _print_plain(lines: list[list[str]]) -> None:
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for cells in lines:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        print("  ".join(padded).rstrip())
