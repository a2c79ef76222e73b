"""`roc share`: serve anything that can be imported, with no code written.

What is shared is found by `targets`; the rest is what a program of one's own would say.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, suppress

import click

from .. import errors
from ..config import resolve_broker
from ..endpoints import Endpoints
from .failures import WRONG_USAGE, Failure
from .flags import broker_flag, option_flag
from .stderr import PrintableFormatter
from .targets import Target

__all__ = ["share"]

_ANSWERS_WITHIN = 0.5

_EXAMPLES = """\b
Examples:
  roc share collections:deque --as queue
  roc share camera:Camera --as vnir --arg /dev/ttyUSB0 --arg fps=10
  roc share camera:Camera --as vnir --policy standby
  roc share psutil --as host --expose 'cpu_*' --readonly --with-broker

TARGET is MODULE:OBJECT, or a whole MODULE; it may stand in the current directory. Of a class
an instance is made; one that is a context manager (`with`) is entered, and left at the end.
An --arg is JSON, else text; NAME=VALUE is a keyword argument.
"""


@click.command(epilog=_EXAMPLES)
@click.argument("target", metavar="TARGET")
@click.option("--as", "object_id", metavar="ID", required=True, help="the id to share it under")
@click.option("--arg", "arguments", metavar="VALUE", multiple=True, help="an argument of the class")
@option_flag("policy")
@click.option("--expose", metavar="PATTERN", multiple=True, help="share these members, no others")
@click.option("--hide", metavar="PATTERN", multiple=True, help="do not share these members")
@click.option("--readonly", is_flag=True, help="refuse every attempt to set something")
@broker_flag
@click.option(
    "--with-broker", is_flag=True, help="be the broker too, for this computer, if there is none"
)
def share(
    target: str,
    object_id: str,
    arguments: tuple[str, ...],
    policy: str | None,
    expose: tuple[str, ...],
    hide: tuple[str, ...],
    readonly: bool,
    broker: str | None,
    with_broker: bool,
) -> None:
    """Share anything that can be imported, with no code written.

    It serves until Ctrl-C or SIGTERM, and waits for a broker that is not there yet. What the
    object logs goes to the broker, under its id.
    """
    from ..logs import initRocLogging
    from ..server import RocServer

    endpoints = resolve_broker(broker)
    found = Target.found(target)

    def say(state: str) -> None:
        click.echo(f"roc share {state}: {object_id} ({found.name}) at {endpoints.rocBroker}")

    def server_of(instance: object) -> RocServer:
        return RocServer(
            endpoints,
            object_id,
            instance,
            policy=policy,
            expose=expose or None,
            hide=hide or None,
            readonly=readonly,
            on_state=say,
        )

    server_of(None)  # what is wrong here shall not open and close the hardware first
    with ExitStack() as until_the_end, suppress(KeyboardInterrupt):
        if with_broker:
            _be_the_broker(endpoints, until_the_end)
        _log_on_stderr()
        initRocLogging(object_id, endpoints, "INFO")
        server_of(found.instance(arguments, until_the_end)).run()


def _log_on_stderr() -> None:
    """Warnings, as in any program; unless what was imported has set up logging itself."""
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler()
        handler.setLevel(logging.WARNING)
        handler.setFormatter(PrintableFormatter())
        root.addHandler(handler)


def _be_the_broker(endpoints: Endpoints, until_the_end: ExitStack) -> None:
    """Start a broker inside, unless one answers already."""
    from ..broker import Broker
    from ..client import RocClient

    if not endpoints.is_local:
        raise Failure(
            f"--with-broker starts a broker for this computer alone, and {endpoints.rocBroker} is"
            " another address: run `rocbroker` there, or leave --with-broker out.",
            WRONG_USAGE,
        )
    with RocClient(endpoints) as client:
        try:
            client.wait_for("roc.broker", _ANSWERS_WITHIN)
            return
        except errors.BrokerUnreachable:
            pass
    until_the_end.enter_context(Broker(endpoints))
    click.echo(f"roc share: no broker was there, so this is one: {endpoints.rocBroker}", err=True)
