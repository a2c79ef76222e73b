"""`roc`: one command for what is done from a terminal.

Rules:

* A subcommand is a module beside this one, with a click command of the same name in it,
  and a line in `SUBCOMMANDS`. It is loaded when it is used: ``roc --help`` loads none.
* A subcommand raises what it fails with, ROC's own errors or a `Failure`. One door turns
  them into one sentence on stderr and an exit code: 0 it went well, 2 used wrongly, 3 no
  broker, 1 all else.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from .. import __version__, errors
from .failures import Failure, exit_code_of
from .stderr import printable

__all__ = ["SUBCOMMANDS", "main"]

SUBCOMMANDS: Final = {
    "share": "Share anything that can be imported, with no code written.",
    "web": "Show logs, status and objects in a browser, and serve programs that speak HTTP.",
}
"""The subcommands, and what each does; a test holds these lines to the commands' own."""


class _Roc(click.Group):
    """Finds its subcommands in modules of their names."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            return None
        command: click.Command = getattr(import_module(f".{cmd_name}", __package__), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in SUBCOMMANDS and not args[0].startswith("-"):
            from ..config.options import did_you_mean, shown

            meant = did_you_mean(args[0], SUBCOMMANDS)
            raise errors.ConfigError(f"there is no command {shown(args[0])}: {meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(SUBCOMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """The door."""
        try:
            return super().invoke(ctx)
        except (errors.RocError, Failure) as error:
            name = ctx.invoked_subcommand
            who = f"roc {name}" if name in SUBCOMMANDS else "roc"
            click.echo(f"{who}: {printable(str(error))}", err=True)
            ctx.exit(exit_code_of(error))


@click.command(
    cls=_Roc,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`roc COMMAND --help` tells more, with examples. The broker's command is `rocbroker`.",
)
@click.version_option(__version__, prog_name="roc")
def main() -> None:
    """Remote Object Call: use objects that live in other processes."""


if __name__ == "__main__":
    main()
