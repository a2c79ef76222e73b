"""`roc describe`: what an object, or a member of it, is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from .. import errors
from ..client import RocClient
from ..core.described import Description
from ..core.nearest import nearest, quoted
from .completing import complete_members
from .failures import NOT_THERE, Failure
from .flags import broker_flag, format_flags, timeout_flag
from .names import BROKER, Name, find
from .output import Column, print_document, print_rows
from .progress import waiting
from .stderr import printable

__all__ = ["describe"]

COLUMNS = [
    Column("name"),
    Column("kind"),
    Column("signature"),
    Column("type"),
    Column("unit"),
    Column("writable"),
    Column("summary"),
]
_HEADINGS = {"method": "Methods", "attribute": "Attributes", "object": "Objects"}


@click.command(
    epilog="""\b
Examples:
  roc describe vnir
  roc describe vnir.expose
  roc describe vnir -o csv

It is answered while the object is busy, and reads no attribute. Units are those that its program
tells in the status tree, under the object's id. JSON of an object is its OpenRPC document, of a
member its entry there; ndjson and csv have a row for each member.
"""
)
@click.argument("name", metavar="OBJ[.MEMBER]", shell_complete=complete_members)
@format_flags
@broker_flag
@timeout_flag()
def describe(name: str, form: str, broker: str | None, timeout: float) -> None:
    """Show an object's members: signatures, types, units, docstrings."""
    with waiting("asking the broker", timeout), RocClient(broker, timeout=timeout) as client:
        found = find(client, name, member=False)
        units = _units(client, found.object_id)
        parent, _, member = found.path.rpartition(".")
        document = _document(client, found.object_id, parent)
        row = _row_of(document, member)
        if row["kind"] == "object":
            parent, document = found.path, _document(client, found.object_id, found.path)
            row = _row_of(document, "")
    rows = list(
        _rows(document, f"{found.object_id}.{parent}" if parent else found.object_id, units)
    )
    if form in ("ndjson", "csv"):
        print_rows([one for one in rows if row["name"] in ("", one["name"])], COLUMNS, form)
    elif row["name"]:
        entry = row["entry"]
        print_document(entry) if form == "json" else _print_member(found, entry, rows)
    elif form == "json":
        print_document(document)
    else:
        _print_object(found, document, rows)


def _document(client: RocClient, object_id: str, path: str) -> dict[str, Any]:
    said = client.describe(object_id, path)
    return said if isinstance(said, dict) else {}


def _units(client: RocClient, object_id: str) -> dict[str, str]:
    """What the status tree tells of the units of what the object's program publishes."""
    try:
        about = client[BROKER].status(object_id)["about"]
    except errors.RocError:
        return {}
    return {path: str(facts["unit"]) for path, facts in about.items() if facts.get("unit")}


def _entries(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    groups = {"method": "methods", "attribute": "x-attributes", "object": "x-objects"}
    for kind, group in groups.items():
        entries = document.get(group)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                yield kind, entry


def _row_of(document: dict[str, Any], member: str) -> dict[str, Any]:
    """Kind and entry of a member; without a name, of the object that is described."""
    if not member:
        return {"name": "", "kind": "", "entry": document}
    names = []
    for kind, entry in _entries(document):
        names.append(entry["name"])
        if entry["name"] == member:
            return {"name": member, "kind": kind, "entry": entry}
    title = document.get("info", {}).get("title", "the object")
    near = nearest(member, names)
    meant = f"did you mean {quoted(near)}?" if near else f"`roc describe {title}` shows all."
    raise Failure(f"{title} has no public member {member!r}: {meant}", NOT_THERE)


def _rows(document: dict[str, Any], title: str, units: dict[str, str]) -> Iterator[dict[str, Any]]:
    for kind, entry in _entries(document):
        yield {
            "name": entry["name"],
            "kind": kind,
            "signature": entry.get("x-signature"),
            "type": entry.get("annotation", entry.get("class")),
            "unit": units.get(f"{title}.{entry['name']}"),
            "writable": entry.get("writable"),
            "summary": entry.get("summary"),
        }


# ---- for people


def _print_object(name: Name, document: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    said = Description(document)
    print(f"{printable(str(name))}: {printable(said.class_name)}")
    info = document.get("info")
    _print_text(info.get("description") if isinstance(info, dict) else None)
    for kind, heading in _HEADINGS.items():
        group = [row for row in rows if row["kind"] == kind]
        if group:
            print(f"\n{heading}:")
        for row in group:
            summary = f"  -  {row['summary']}" if row["summary"] else ""
            print(printable(f"    {_shown(row)}{summary}"))


def _shown(row: Mapping[str, Any]) -> str:
    kind = f": {row['type']}" if row["type"] else ""
    unit = f" [{row['unit']}]" if row["unit"] else ""
    fixed = " (read-only)" if row["writable"] is False else ""
    return f"{row['name']}{row['signature'] or ''}{kind}{unit}{fixed}"


def _print_member(name: Name, entry: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    (row,) = [row for row in rows if row["name"] == entry["name"]]
    parent = str(name).removesuffix(f".{entry['name']}")
    print(printable(f"{parent}.{_shown(row)}"))
    _print_text(entry.get("description"))


def _print_text(text: object) -> None:
    if isinstance(text, str) and text:
        print()
        print("\n".join(printable(line) for line in text.splitlines()))
