"""`rocbroker`: the broker's command."""

from __future__ import annotations

import gc
import re
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from io import TextIOWrapper
from types import FrameType

import click

from .. import __version__
from ..broker import Broker, Limits, StatusLimits
from ..config import (
    CONFIG_FLAG,
    OPTIONS,
    Setting,
    configuration,
    describe_file,
    resolve_bind,
    settings_as_toml,
    unread_variables,
)
from ..endpoints import Endpoints
from ..errors import ConfigError
from .stderr import StderrLog
from .webaside import WebAside

__all__ = ["main"]

_EXAMPLE = """\b
Examples:
  rocbroker                           for programs on this computer
  rocbroker --bind 0.0.0.0            for the whole network
  rocbroker --base-port 0             on three free ports; the ready line says which

What has a default in brackets is also a key of the configuration file (base_port = 6000)
and a variable of the environment (ROC_BASE_PORT=6000). A flag comes before the environment,
and that before the file.
"""


def _flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags of all options that rocbroker reads, each as plain text."""
    for option in reversed(OPTIONS.values()):
        if option.reader == "rocbroker":
            choices = f": {', '.join(option.choices)}" if option.choices else ""
            text = f"{option.help}{choices}  [{option.default}]"
            command = click.option(option.flag, metavar=option.metavar, help=text)(command)
    return command


@click.command(epilog=_EXAMPLE, context_settings={"help_option_names": ["-h", "--help"]})
@_flags
@click.option(CONFIG_FLAG, metavar="FILE", help="the configuration file to read")
@click.option("--check", is_flag=True, help="say what it would do, and whether it can, and end")
@click.option("--show-config", is_flag=True, help="print all values as a file of that kind")
@click.option("--web", is_flag=True, help="show it in a browser too: `roc web`, with its defaults")
@click.version_option(__version__, prog_name="rocbroker")
def main(
    config: str | None, check: bool, show_config: bool, web: bool, **flags: str | None
) -> None:
    """Route calls between clients and the objects that servers share.

    When all three sockets are bound it prints one line on stdout, which names them.
    SIGINT and SIGTERM stop it: the servers are told, and it ends with exit code 0.
    """
    try:
        settings = configuration(flags, config)
        endpoints = resolve_bind(settings)
        if check or show_config:
            _show(settings, describe_file(config))
        if show_config and not check:
            return
        broker = Broker(
            endpoints,
            limits=_limits(settings),
            status_limits=StatusLimits(leaves=settings["status_leaves"].value),
            state_file=None if check else state_file(settings["state_file"].value, endpoints),
        )
    except ConfigError as error:
        click.echo(f"rocbroker: {error}", err=True)
        sys.exit(2)
    if not endpoints.is_local:
        click.echo(
            "rocbroker: warning: bound beyond this computer without keys: everybody who reaches"
            f" {endpoints.brokerAddress} can call every shared object.",
            err=True,
        )
    if check:
        _end_check(broker, endpoints)
        return
    _stop_on_signals(broker)
    click.echo(f"rocbroker ready {_addresses(broker.endpoints)}")
    sys.stdout.flush()
    shown = _reached(broker.endpoints) if web else None
    gc.freeze()  # what is here stays: to look for garbage in it would only cost pauses
    with WebAside(shown), StderrLog(settings["log_level"].value):
        broker.run()


def _reached(where: Endpoints) -> str:
    """The broker's address for who is on the same computer."""
    return re.sub(r"//(0\.0\.0\.0|\*|\[::\]):", "//127.0.0.1:", where.rocBroker)


def _addresses(where: Endpoints) -> str:
    return (
        f"rocBroker={where.rocBroker} generalXSUB={where.generalXSUB}"
        f" generalXPUB={where.generalXPUB}"
    )


def _limits(settings: Mapping[str, Setting]) -> Limits:
    return Limits(**{field.name: settings[field.name].value for field in fields(Limits)})


def state_file(value: str, endpoints: Endpoints) -> str | None:
    """Where the status is kept: with ``auto`` a file for each address; none for picked ports."""
    if value == "none" or (value == "auto" and endpoints.brokerBasePort == 0):
        return None
    if value != "auto":
        return value
    from platformdirs import user_state_path

    name = re.sub(r"[^0-9A-Za-z.-]+", "-", endpoints.rocBroker.replace("://", "-"))
    return str(user_state_path("roc", appauthor=False) / f"status-{name}.json")


def _show(settings: Mapping[str, Setting], file: str) -> None:
    """Print what is in effect; all that is printed is itself a configuration file."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # whatever this system writes otherwise
    click.echo(f"# rocbroker {__version__}, {file}")
    click.echo(settings_as_toml(settings), nl=False)
    for variable, meant in unread_variables().items():
        click.echo(f"# {variable!r} is not read: did you mean {meant!r}?")


def _end_check(broker: Broker, endpoints: Endpoints) -> None:
    """Close a broker that has not run: its sockets were bound, and that is all we asked."""
    broker.stop()
    broker.run()
    free = "three free ports, such as " if endpoints.brokerBasePort == 0 else ""
    click.echo(f"# rocbroker can bind {free}{_addresses(broker.endpoints)}")


def _stop_on_signals(broker: Broker) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        broker.stop()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


if __name__ == "__main__":
    main()
