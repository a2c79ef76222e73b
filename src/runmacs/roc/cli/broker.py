"""`roc broker`: run one, or see how one fares."""

from __future__ import annotations

from copy import copy
from typing import Any

import click

from ..client import RocClient
from .flags import broker_flag, format_flags, timeout_flag
from .names import BROKER
from .output import Column, print_document, print_rows
from .progress import waiting
from .rocbroker import main as rocbroker
from .stderr import printable
from .words import ago, as_word

__all__ = ["broker_info", "broker_run"]

broker_run = copy(rocbroker)
broker_run.name = "broker run"
broker_run.help = "Run a broker: the same as the command rocbroker.\n\n" + str(rocbroker.help)
broker_run.epilog = """\b
Examples:
  roc broker run                           for programs on this computer
  roc broker run --bind 0.0.0.0            for the whole network
  roc broker run --base-port 0             on three free ports; the ready line says which

Each option is also a variable of the environment and a key of the configuration file.
"""


@click.command(
    epilog="""\b
Examples:
  roc broker info
  roc broker info -b 192.168.0.10 --json

The counters are those of `roc.broker.stats()`. What begins with dropped, refused or expired and
is not 0 is worth a look.
"""
)
@format_flags
@broker_flag
@timeout_flag()
def broker_info(form: str, broker: str | None, timeout: float) -> None:
    """Show what the broker is and what it has counted."""
    with waiting("asking the broker", timeout), RocClient(broker, timeout=timeout) as client:
        facts = client.call_object(BROKER, "rpc.ping")
        stats: dict[str, Any] = client.call_object(BROKER, "stats")
        about = {
            "address": client.endpoints.rocBroker,
            "generalXSUB": client.endpoints.generalXSUB,
            "generalXPUB": client.endpoints.generalXPUB,
            **facts,
            **stats,
        }
    if form == "json":
        print_document(about)
        return
    rows = [{"name": name, "value": value} for name, value in about.items()]
    if form == "table":
        _print_for_people(rows)
    else:
        print_rows(rows, [Column("name"), Column("value")], form)


def _print_for_people(rows: list[dict[str, Any]]) -> None:
    """Counters that are 0 tell nothing, and are left out."""
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        if row["value"] != 0:
            value = ago(row["value"]) if row["name"] == "uptime" else as_word(row["value"])
            print(f"{printable(row['name']).ljust(width)}  {value}")
