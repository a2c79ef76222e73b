"""`roc ping`: is it there, and how far away?"""

from __future__ import annotations

import time
from typing import Any

import click

from .. import errors
from ..client import RocClient
from .completing import complete_objects
from .failures import TIMEOUT, Failure
from .flags import broker_flag, format_flags, timeout_flag
from .names import BROKER, Name, find
from .output import Stream, print_document
from .percentiles import figures_of, shown
from .stderr import printable
from .terminal import ending_cleanly

__all__ = ["ping"]


@click.command(
    epilog="""\b
Examples:
  roc ping
  roc ping vnir -n 100
  roc ping vnir --json

Without OBJ the broker is asked. A busy object answers too; it is not disturbed. JSON is one
document with the percentiles; ndjson and csv have a line for each round trip.
"""
)
@click.argument("name", required=False, metavar="[OBJ]", shell_complete=complete_objects)
@click.option(
    "-n", "--count", type=click.IntRange(min=1), default=5, metavar="N", help="how many  [5]"
)
@click.option(
    *("-i", "--interval"),
    type=click.FloatRange(min=0),
    default=0.2,
    metavar="SECONDS",
    help="how long to wait between two  [0.2]",
)
@format_flags
@broker_flag
@timeout_flag()
def ping(
    name: str | None, count: int, interval: float, form: str, broker: str | None, timeout: float
) -> None:
    """Measure round trips to an object, or to the broker."""
    with RocClient(broker, timeout=timeout) as client:
        target = find(client, name, member=False) if name else Name(BROKER, "")
        facts = _ask(client, target)
        where = printable(_where(target, facts))
        plain = f"{printable(target.object_id)}: {{n}}: {{ms:.3f}} ms"
        stream = Stream(["object", "n", "ms"], form, lambda row: plain.format(**row))
        times: list[float] = []
        sent = 0
        if form == "table":
            print(f"{where}", flush=True)
        with ending_cleanly():
            for number in range(1, count + 1):
                began = time.perf_counter()
                sent += 1
                try:
                    _ask(client, target)
                except errors.CallTimeout:
                    continue
                times.append(time.perf_counter() - began)
                if form != "json":
                    ms = round(times[-1] * 1000, 4)
                    stream.put({"object": target.object_id, "n": number, "ms": ms})
                if number < count:
                    time.sleep(interval)
    _tell(target, facts, sent, times, form)


def _ask(client: RocClient, target: Name) -> dict[str, Any]:
    """On the control lane, where a busy object answers as well."""
    said = client.call_object(f"{target.object_id}!", "rpc.ping")
    return said if isinstance(said, dict) else {}


def _where(target: Name, facts: dict[str, Any]) -> str:
    if target.object_id == BROKER:
        return f"the broker, software {facts.get('software')}, protocol {facts.get('version')}"
    return f"{target.object_id} on {facts.get('host')}, pid {facts.get('pid')}"


def _tell(target: Name, facts: dict[str, Any], sent: int, times: list[float], form: str) -> None:
    figures = figures_of(times) if times else None
    if form == "json":
        document = {"object": target.object_id, **facts, "sent": sent, "received": len(times)}
        print_document({**document, "ms": figures})
    elif form == "table" and figures is not None:
        print(f"{len(times)} of {sent} came back: {shown(figures)}")
    if not times:
        raise Failure(f"{target.object_id}: none of {sent} came back in time; try -t 10.", TIMEOUT)
