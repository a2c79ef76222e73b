"""`roc top`: a live screen of the whole system."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import click

from ..client import RocClient
from ..config import resolve_broker
from .failures import WRONG_USAGE, Failure
from .flags import broker_flag, timeout_flag
from .terminal import to_install

__all__ = ["top"]


@click.command(
    epilog="""\b
Examples:
  roc top
  roc top -b 192.168.0.10

\b
Keys:
  s        sort the objects by the next column
  r        the other way round
  /        show only what contains a text; Enter keeps it, Escape ends it
  p        stand still, and go on
  l        least level of the log: all, info, warning, error
  z        the panel with the cursor alone, and all again
  Tab      the next panel; the arrows move in it
  q        quit; so does Ctrl-C

Latency is a ping that a busy object answers, too. If the broker is lost, the screen says so, and
goes on when it is back.
"""
)
@broker_flag
@timeout_flag()
def top(broker: str | None, timeout: float) -> None:
    """Show a live screen: objects, rates, latencies, log and status."""
    if find_spec("textual") is None:
        raise Failure(f"the live screen needs textual: {to_install('top')}", WRONG_USAGE)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Failure(
            "the live screen needs a terminal: in a pipe use `roc ls`, `roc status` and `roc log`.",
            WRONG_USAGE,
        )
    endpoints = resolve_broker(broker)
    with RocClient(endpoints, timeout=timeout) as client:
        client.call_object("roc.broker", "rpc.ping")  # is there one?
    from .topscreen import TopScreen

    TopScreen(endpoints).run()
