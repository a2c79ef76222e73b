"""`roc ls`: which objects there are, and how they fare."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from typing import Any

import click

from .. import errors
from ..client import RocClient
from .completing import complete_objects
from .failures import NOT_THERE, Failure
from .flags import broker_flag, format_flags, timeout_flag
from .names import objects_of
from .output import Column, print_rows
from .progress import waiting
from .stderr import printable
from .terminal import note
from .words import ago

__all__ = ["ls"]

_PING_WITHIN = 0.5
_STYLES = {"serving": "green", "stalled": "bold red", "absent": "dim"}


def _text(value: object) -> str:
    return "" if value is None else printable(str(value))


def _since(moment: float | None) -> str:
    return "" if moment is None else f"{ago(max(0.0, time.time() - moment))} ago"


COLUMNS = [
    Column("id", "id", _text, "bold"),
    Column("state", "state", _text, lambda state: _STYLES.get(state, "")),
    Column("policy"),
    Column("host", "host", _text),
    Column("pid", "pid", _text),
    Column("language"),
    Column("since", "since", _since),
    Column("calls", "calls", _text),
    Column("queued", "queued", lambda queued: str(queued or "")),
    Column("servers"),
    Column("errors"),
    Column("last_error", "last error", _text, "red"),
]


@click.command(
    epilog="""\b
Examples:
  roc ls
  roc ls 'cam*'
  roc ls --json | jq -r '.[].id'

PATTERN has * and ? for any text and any character. JSON has also policy, language, the number
of servers, how many calls failed, and `since` as seconds since 1970.
"""
)
@click.argument(
    "pattern", required=False, default="*", metavar="[PATTERN]", shell_complete=complete_objects
)
@format_flags
@broker_flag
@timeout_flag()
def ls(pattern: str, form: str, broker: str | None, timeout: float) -> None:
    """List the objects: state, host, calls, last error."""
    with waiting("asking the broker", timeout), RocClient(broker, timeout=timeout) as client:
        entries = [entry for entry in objects_of(client) if fnmatchcase(entry["id"], pattern)]
        rows = list(_with_errors(client, entries))
    if not rows and pattern != "*":
        raise Failure(f"no object's id is like {pattern!r}: `roc ls` shows all.", NOT_THERE)
    if not rows:
        note("roc ls: nobody shares anything yet; `roc share` does.")
    print_rows(rows, COLUMNS, form)


def _with_errors(client: RocClient, entries: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """What each server says of its last error; one that says nothing in time is let be."""

    def facts(entry: dict[str, Any]) -> dict[str, Any]:
        if entry["state"] != "serving" or entry["pid"] is None:
            return {}
        try:
            said = client.call_object(f"{entry['id']}!", "rpc.ping", timeout=_PING_WITHIN)
        except errors.RocError:
            return {}
        return said if isinstance(said, dict) else {}

    with ThreadPoolExecutor(8) as threads:
        for entry, said in zip(entries, threads.map(facts, entries), strict=True):
            yield {
                **{name: entry[name] for name in ("id", "state", "policy", "host", "pid")},
                **{name: entry[name] for name in ("language", "since", "calls", "queued")},
                "servers": len(entry["servers"]),
                "errors": said.get("errors"),
                "last_error": said.get("last_error"),
            }
