"""`roc shell`: a Python prompt with a connected client."""

from __future__ import annotations

import code
import keyword
import sys
from typing import Any

import click

from .. import __version__, errors
from ..client import RocClient
from .flags import broker_flag, timeout_flag

__all__ = ["shell"]


@click.command(
    epilog="""\b
Examples:
  roc shell
  echo 'print(list(c))' | roc shell

`c` is a client; each object whose id is a Python name has a variable, too. The tabulator key
completes ids and members. With IPython (pip install ipython) it is IPython's prompt.
"""
)
@broker_flag
@timeout_flag()
@click.option("--plain", is_flag=True, help="Python's own prompt, even if IPython is there")
def shell(broker: str | None, timeout: float, plain: bool) -> None:
    """Open a Python prompt with a connected client."""
    with RocClient(broker, timeout=timeout) as client:
        names, banner = _names(client)
        if not sys.stdin.isatty():
            exec(compile(sys.stdin.read(), "<stdin>", "exec"), names)
        elif plain or not _ipython(names, banner):
            _plain(names, banner)


def _names(client: RocClient) -> tuple[dict[str, Any], str]:
    """What is there at the prompt, and what is said of it."""
    from .. import RocStatusUpdater, StatusTree, log_records

    names: dict[str, Any] = {
        "__name__": "__main__",
        "c": client,
        "errors": errors,
        "RocStatusUpdater": RocStatusUpdater,
        "StatusTree": StatusTree,
        "log_records": log_records,
    }
    try:
        ids = list(client)
        variables = [one for one in ids if one.isidentifier() and not keyword.iskeyword(one)]
        names.update({one: client[one] for one in variables if one not in names})
        there = ", ".join(ids) or "no objects yet"
    except errors.RocError as error:
        there = str(error)
    return names, f"roc {__version__}, {client.address}: {there}. `c` is the client."


def _ipython(names: dict[str, Any], banner: str) -> bool:
    """IPython's prompt; False where there is none."""
    try:
        from IPython import start_ipython
        from traitlets.config import Config
    except ImportError:
        return False
    config = Config()
    config.TerminalInteractiveShell.banner1 = f"{banner}\n"
    config.TerminalInteractiveShell.confirm_exit = False
    # IPython's older completer evaluates what can be, and so knows remote members.
    config.Completer.use_jedi = False
    start_ipython(argv=[], user_ns=names, config=config)
    return True


def _plain(names: dict[str, Any], banner: str) -> None:
    try:
        import readline
        import rlcompleter
    except ImportError:  # Windows
        pass
    else:
        readline.set_completer(rlcompleter.Completer(names).complete)
        readline.parse_and_bind("tab: complete")
    code.interact(banner, local=names, exitmsg="")
