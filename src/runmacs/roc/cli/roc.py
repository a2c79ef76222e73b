"""`roc`: one command for what is done from a terminal.

Rules:

* A subcommand is a click command in a module of its (first) word, named like it, with
  ``_`` between two words; and a line in `SUBCOMMANDS`. It is loaded when it is used:
  ``roc --help`` loads none.
* A subcommand raises what it fails with, ROC's own errors or a `Failure`. One door turns
  them into one sentence on stderr and an exit code, which `failures` has.
* Ctrl-C ends at once, with 130; who follows something takes it for the end, with 0. Who
  reads no more of our output ends it quietly.
"""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final, NoReturn

import click

from .. import __version__, errors
from .failures import INTERRUPTED, WRONG_USAGE, Failure, advice_on, exit_code_of
from .stderr import printable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["SUBCOMMANDS", "main", "subcommand"]

SUBCOMMANDS: Final = {
    "ls": "List the objects: state, host, calls, last error.",
    "describe": "Show an object's members: signatures, types, units, docstrings.",
    "get": "Read attributes of objects.",
    "set": "Set an attribute of an object.",
    "call": "Call a method of an object.",
    "watch": "Show attributes and status values live.",
    "top": "Show a live screen: objects, rates, latencies, log and status.",
    "status": "Show the status tree, once or live.",
    "status set": "Set a value of the status tree by hand.",
    "status rm": "Remove a path of the status tree, and all beneath it.",
    "log": "Show what all programs log, as journalctl would.",
    "log level": "Show or set the level of a logger in a server.",
    "share": "Share anything that can be imported, with no code written.",
    "web": "Show logs, status and objects in a browser, and serve programs that speak HTTP.",
    "shell": "Open a Python prompt with a connected client.",
    "ping": "Measure round trips to an object, or to the broker.",
    "bench": "Measure how many calls a second an object answers.",
    "doctor": "Find out what is wrong, and what to do about it.",
    "broker run": "Run a broker: the same as the command rocbroker.",
    "broker info": "Show what the broker is and what it has counted.",
    "demo": "Drive a simulated camera in another process, with a commentary.",
    "completion": "Print what makes bash, zsh or fish complete roc.",
}
"""The subcommands, and what each does; a test holds these lines to the commands' own."""


def _first_words() -> dict[str, str]:
    words: dict[str, str] = {}
    for name, line in SUBCOMMANDS.items():
        words.setdefault(name.partition(" ")[0], line)
    return words


def second_words(first: str) -> dict[str, str]:
    """The second words that may follow a first one."""
    return {
        name.partition(" ")[2]: line
        for name, line in SUBCOMMANDS.items()
        if name.startswith(f"{first} ")
    }


def subcommand(name: str) -> click.Command:
    """Load a subcommand."""
    module = import_module(f".{name.partition(' ')[0]}", __package__)
    command: click.Command = getattr(module, name.replace(" ", "_"))
    return command


class _Roc(click.Group):
    """Finds its subcommands in modules of their names."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return subcommand(cmd_name) if cmd_name in SUBCOMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        two = " ".join(args[:2])
        if len(args) > 1 and two in SUBCOMMANDS:
            return two, subcommand(two), args[2:]
        if args and args[0] not in SUBCOMMANDS and not args[0].startswith("-"):
            if ctx.resilient_parsing:
                return None, None, args
            _refuse(args)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The first words; after one that is not all, the second ones."""
        from click.shell_completion import CompletionItem

        before = [*getattr(ctx, "_protected_args", ()), *ctx.args]
        words = second_words(before[0]) if before else _first_words()
        found = [CompletionItem(word, help=line) for word, line in words.items()]
        flags = super(click.Group, self).shell_complete(ctx, incomplete)
        return [item for item in found if item.value.startswith(incomplete)] + flags

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            click.echo(f"roc: {_usage_sentence(error)}", err=True)
            ctx.exit(WRONG_USAGE)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(SUBCOMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """The door."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except (errors.RocError, Failure) as error:
            _tell(ctx, _sentence(error))
            _show_traceback(ctx, error)
            ctx.exit(exit_code_of(error))
        except click.UsageError as error:
            _tell(ctx, _usage_sentence(error))
            ctx.exit(WRONG_USAGE)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            # What is still in the buffer shall not complain at the end of the program.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)


def _refuse(args: list[str]) -> NoReturn:
    from ..config.options import did_you_mean, shown

    words = [name for name in SUBCOMMANDS if name.startswith(f"{args[0]} ")]
    if words:
        raise Failure(f"{args[0]} is not all: write {' or '.join(f'`roc {w}`' for w in words)}.", 2)
    meant = did_you_mean(args[0], [name for name in SUBCOMMANDS if " " not in name])
    raise errors.ConfigError(f"there is no command {shown(args[0])}: {meant}")


def _sentence(error: errors.RocError | Failure) -> str:
    message = " ".join(str(error).split())
    advice = advice_on(error) if isinstance(error, errors.RocError) else ""
    return f"{message.rstrip('.')}; {advice}" if advice else message


def _usage_sentence(error: click.UsageError) -> str:
    name = error.ctx.info_name if error.ctx is not None else None
    tells = f"`roc {name} --help`" if name in SUBCOMMANDS else "`roc --help`"
    return printable(f"{error.format_message().rstrip('.')}; {tells} tells more.")


def _tell(ctx: click.Context, message: str) -> None:
    name = ctx.invoked_subcommand
    who = f"roc {name}" if name in SUBCOMMANDS else "roc"
    click.echo(f"{who}: {printable(message)}", err=True)


def _show_traceback(ctx: click.Context, error: Exception) -> None:
    from .flags import TRACEBACK

    remote = getattr(error, "remote_traceback", "")
    if remote and ctx.meta.get(TRACEBACK):
        click.echo("\n".join(map(printable, remote.rstrip().splitlines())), err=True)


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
