"""`roc web`: the page for logs, status and objects, and the HTTP door."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import click

from .. import errors
from ..config import resolve_broker
from .failures import WRONG_USAGE, Failure
from .flags import broker_flag

__all__ = ["web"]

_EXAMPLES = """\b
Examples:
  roc web                             for a browser on this computer
  roc web --broker 192.168.0.10       for the broker of another computer
  roc web --bind 0.0.0.0 --token-file ~/.roc-token
  roc web --readonly                  to show, and nothing else

Beyond this computer everybody needs the token, which is printed with the address, and made
anew each time unless a file keeps it.
"""


@click.command(epilog=_EXAMPLES)
@broker_flag
@click.option(
    "--bind",
    "host",
    metavar="ADDRESS",
    default="127.0.0.1",
    help="the address to listen on  [127.0.0.1]",
)
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    default=8555,
    help="the port; 0 takes a free one  [8555]",
)
@click.option("--token-file", metavar="FILE", help="keep the token there; it is made if need be")
@click.option(
    "--allow-host",
    "hosts",
    metavar="NAME",
    multiple=True,
    help="another name that browsers may call it by",
)
@click.option("--readonly", is_flag=True, help="set nothing, and call no method")
@click.option("--until-eof", is_flag=True, hidden=True, help="end at the end of stdin")
def web(
    broker: str | None,
    host: str,
    port: int,
    token_file: str | None,
    hosts: tuple[str, ...],
    readonly: bool,
    until_eof: bool,
) -> None:
    """Show logs, status and objects in a browser, and serve programs that speak HTTP.

    It prints its address, and waits for a broker that is not there yet.
    """
    try:
        from ..web.serving import address_of, bound, serve
        from ..web.settings import Settings
    except ImportError as error:
        raise Failure(
            f'{error.name} is missing: pip install "runmacs-roc[web]".', WRONG_USAGE
        ) from None
    token = _token(token_file)
    settings = Settings(resolve_broker(broker), host, port, token, hosts, readonly)
    listener, settings = bound(settings)
    fragment = "" if settings.loopback and not token_file else f"#token={token}"
    click.echo(f"roc web ready {address_of(settings)}{fragment}")
    sys.stdout.flush()
    if not settings.loopback:
        click.echo(
            "roc web: warning: bound beyond this computer without encryption: who can listen to"
            " this network can read the token. Put a TLS proxy or an SSH tunnel in front.",
            err=True,
        )
    serve(listener, settings, sys.stdin.buffer.read if until_eof else None)


def _token(file: str | None) -> str:
    """The token from the file, or a new one."""
    if file is None:
        return secrets.token_urlsafe(24)
    path = Path(file).expanduser()
    try:
        if not path.exists():
            path.touch(0o600)
            path.write_text(secrets.token_urlsafe(24) + "\n", "utf-8")
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.ConfigError(f"--token-file {file}: {error}") from None
    if len(token) < 16 or not token.isascii() or not token.isprintable():
        raise errors.ConfigError(
            f"--token-file {file}: a token has 16 printable ASCII characters or more; delete the"
            " file, and one is made."
        )
    return token
