"""`rocbroker`: the broker's command."""

from __future__ import annotations

import logging
import signal
import sys
from types import FrameType

import click

from .. import __version__
from ..broker import Broker
from ..config import OPTIONS, resolve_bind
from ..errors import ConfigError

__all__ = ["main"]

_EXAMPLE = """\b
Examples:
  rocbroker                           for programs on this computer
  rocbroker --bind 0.0.0.0            for the whole network
  rocbroker --base-port 0             on three free ports; the ready line says which
"""


@click.command(epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--bind", metavar="ADDRESS", help=OPTIONS["bind"].help)
@click.option("--base-port", metavar="N", type=int, help=OPTIONS["base_port"].help)
@click.option("--transport", metavar="NAME", help=OPTIONS["transport"].help)
@click.option("--log-level", metavar="LEVEL", help=OPTIONS["log_level"].help)
@click.version_option(__version__, prog_name="rocbroker")
def main(
    bind: str | None, base_port: int | None, transport: str | None, log_level: str | None
) -> None:
    """Route calls between clients and the objects that servers share.

    When all three sockets are bound it prints one line on stdout, which names them.
    SIGINT and SIGTERM stop it: the servers are told, and it ends with exit code 0.
    """
    try:
        endpoints = resolve_bind(bind, base_port, transport)
        _set_up_log(log_level)
        broker = Broker(endpoints)
    except ConfigError as error:
        click.echo(f"rocbroker: {error}", err=True)
        sys.exit(2)
    _stop_on_signals(broker)
    if not endpoints.is_local:
        click.echo(
            "rocbroker: warning: bound beyond this computer without keys: everybody who reaches"
            f" {endpoints.brokerAddress} can call every shared object.",
            err=True,
        )
    where = broker.endpoints
    click.echo(
        f"rocbroker ready rocBroker={where.rocBroker}"
        f" generalXSUB={where.generalXSUB} generalXPUB={where.generalXPUB}"
    )
    sys.stdout.flush()
    broker.run()


def _stop_on_signals(broker: Broker) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        broker.stop()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def _set_up_log(level: str | None) -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    del level


if __name__ == "__main__":
    main()
