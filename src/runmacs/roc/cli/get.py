"""`roc get`: read attributes."""

from __future__ import annotations

from typing import Any

import click

from ..client import RocClient
from ..wire.values import Member
from .completing import complete_attributes
from .failures import WRONG_USAGE, Failure
from .flags import broker_flag, timeout_flag, traceback_flag
from .names import Name, find
from .output import FORMATS, Stream, print_document
from .progress import waiting
from .results import check_target, print_result, target_flags
from .stderr import printable
from .words import as_word

__all__ = ["get"]


@click.command(
    epilog="""\b
Examples:
  roc get vnir.fps
  roc get vnir.fps vnir.lens.focus --json
  roc get vnir.frame -o frame.png

One value is printed as it is, several as `name = value`. JSON of one is the value, of several an
object; ndjson and csv have `name` and `value`.
"""
)
@click.argument(
    "names", nargs=-1, required=True, metavar="OBJ.ATTR...", shell_complete=complete_attributes
)
@target_flags
@traceback_flag
@broker_flag
@timeout_flag()
def get(names: tuple[str, ...], target: str, broker: str | None, timeout: float) -> None:
    """Read attributes of objects."""
    check_target(target)
    with RocClient(broker, timeout=timeout) as client:
        values = {text: _value(client, find(client, text), timeout) for text in names}
    if len(values) == 1:
        (value,) = values.values()
        print_result("null" if value is None and target == "table" else value, target)
    elif target == "json":
        print_document(values)
    elif target not in FORMATS:
        raise Failure("a file takes one value: name one attribute.", WRONG_USAGE)
    else:
        stream = Stream(["name", "value"], target, _line)
        for text, value in values.items():
            stream.put({"name": text, "value": value})


def _line(row: Any) -> str:
    return f"{printable(row['name'])} = {as_word(row['value'])}"


def _value(client: RocClient, name: Name, timeout: float) -> Any:
    with waiting(f"reading {name}", timeout):
        value = client.call_object(name.object_id, "rpc.get", (name.path,), member=name.path)
    if isinstance(value, Member):
        verb = "call" if value.kind == "method" else "describe"
        raise Failure(
            f"{name} is no value, it is a {value.kind}: `roc {verb} {name}`.", WRONG_USAGE
        )
    return value
