"""`roc bench`: how many calls a second?"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import click

from ..asyncclient import AsyncRocClient
from ..client import RocClient
from .completing import complete_objects
from .flags import broker_flag, format_flags, timeout_flag
from .names import BROKER, find
from .output import Column, print_rows
from .percentiles import FIGURES, figures_of
from .progress import waiting
from .stderr import printable

__all__ = ["bench"]

_AT_ONCE = 100

COLUMNS = [
    Column("object", "object", printable),
    Column("how", "how", printable),
    Column("seconds"),
    Column("calls", "calls", str),
    Column("calls_per_second", "calls/s", lambda rate: f"{rate:,.0f}"),
    *(Column(name, f"{name} ms", lambda ms: f"{ms:.3g}") for name in FIGURES),
]


@click.command(
    epilog="""\b
Examples:
  roc bench
  roc bench vnir --seconds 5
  roc bench vnir --json

It calls rpc.ping, which costs the object nothing, in its ordinary turn: first one call after
the other, then 100 at once. Without OBJ the broker is asked. All times are round trips.
"""
)
@click.argument("name", required=False, metavar="[OBJ]", shell_complete=complete_objects)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.01),
    default=1.0,
    metavar="SECONDS",
    help="how long to measure each  [1]",
)
@format_flags
@broker_flag
@timeout_flag(10.0)
def bench(name: str | None, seconds: float, form: str, broker: str | None, timeout: float) -> None:
    """Measure how many calls a second an object answers."""
    with RocClient(broker, timeout=timeout) as client:
        object_id = find(client, name, member=False).object_id if name else BROKER
        with waiting("one call after the other", seconds):
            serial = _serial(client, object_id, seconds)
    with waiting(f"{_AT_ONCE} at once", seconds):
        many = asyncio.run(_many(broker, timeout, object_id, seconds))
    rows = [
        _row(object_id, "one after the other", *serial),
        _row(object_id, f"{_AT_ONCE} at once", *many),
    ]
    print_rows(rows, COLUMNS, form)


def _serial(client: RocClient, object_id: str, seconds: float) -> tuple[list[float], float]:
    times: list[float] = []
    client.call_object(object_id, "rpc.ping")
    began = at = time.perf_counter()
    while at - began < seconds:
        client.call_object(object_id, "rpc.ping")
        before, at = at, time.perf_counter()
        times.append(at - before)
    return times, at - began


async def _many(
    broker: str | None, timeout: float, object_id: str, seconds: float
) -> tuple[list[float], float]:
    times: list[float] = []
    async with AsyncRocClient(broker, timeout=timeout) as client:
        await client.call_object(object_id, "rpc.ping")
        began = time.perf_counter()

        async def one_after_the_other() -> None:
            at = time.perf_counter()
            while at - began < seconds:
                await client.call_object(object_id, "rpc.ping")
                before, at = at, time.perf_counter()
                times.append(at - before)

        await asyncio.gather(*(one_after_the_other() for _ in range(_AT_ONCE)))
        return times, time.perf_counter() - began


def _row(object_id: str, how: str, times: list[float], seconds: float) -> dict[str, Any]:
    return {
        "object": object_id,
        "how": how,
        "seconds": round(seconds, 3),
        "calls": len(times),
        "calls_per_second": round(len(times) / seconds, 1),
        **figures_of(times),
    }
