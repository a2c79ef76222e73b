"""`roc set`: set an attribute."""

from __future__ import annotations

import click

from ..client import RocClient
from .arguments import read_word
from .completing import complete_attributes
from .flags import broker_flag, timeout_flag, traceback_flag
from .names import find
from .progress import waiting

__all__ = ["set"]


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog="""\b
Examples:
  roc set vnir.fps 20
  roc set vnir.lens.focus -1.5
  roc set vnir.title '"007"'
  roc set vnir.mask @mask.npy

VALUE is JSON, else text. @FILE and - (stdin) read it: .npy and .csv are arrays. It prints
nothing; exit code 0 says that it was set.
""",
)
@click.argument("name", metavar="OBJ.ATTR", shell_complete=complete_attributes)
@click.argument("value", metavar="VALUE")
@traceback_flag
@broker_flag
@timeout_flag()
def set(name: str, value: str, broker: str | None, timeout: float) -> None:
    """Set an attribute of an object."""
    with RocClient(broker, timeout=timeout) as client:
        found = find(client, name)
        with waiting(f"setting {found}", timeout):
            client.call_object(
                found.object_id,
                "rpc.set",
                (found.path, read_word(value, "set")),
                member=found.path,
            )
