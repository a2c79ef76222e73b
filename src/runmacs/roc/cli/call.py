"""`roc call`: call a method."""

from __future__ import annotations

from typing import Any

import click

from ..client import RocClient
from .arguments import parse_arguments
from .completing import complete_methods
from .flags import broker_flag, timeout_flag, traceback_flag
from .names import Name, find
from .progress import waiting
from .results import check_target, print_result, target_flags

__all__ = ["call"]


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog="""\b
Examples:
  roc call stage.move 12.5
  roc call vnir.expose seconds=2.5 -t 10
  roc call vnir.frame -o frame.npy
  roc call vnir.setDark @dark.npy
  echo '[1, 2]' | roc call stage.plan -

Values are JSON, else text: 3, true, '[1, 2]', open. KEY=VALUE is a keyword argument. @FILE and -
(stdin) read a value: .npy and .csv are arrays. In quotes, '"3"' or '"@x"', a value is text.
A result of None prints nothing. JSON has plain types: an array is its lists, bytes are base64.
""",
)
@click.argument("name", metavar="OBJ.METHOD", shell_complete=complete_methods)
@click.argument("arguments", nargs=-1, metavar="[ARG...] [KEY=VALUE...]")
@target_flags
@traceback_flag
@broker_flag
@timeout_flag()
def call(
    name: str, arguments: tuple[str, ...], target: str, broker: str | None, timeout: float
) -> None:
    """Call a method of an object."""
    check_target(target)
    args, kwargs = parse_arguments(arguments, "call")
    with RocClient(broker, timeout=timeout) as client:
        found = find(client, name, member=False)
        with waiting(f"calling {found}", timeout):
            result = _called(client, found, args, kwargs)
        print_result(result, target)


def _called(client: RocClient, name: Name, args: list[Any], kwargs: dict[str, Any]) -> Any:
    if name.path:
        return client.call_object(name.object_id, name.path, tuple(args), kwargs)
    special = ("", "call", *args)
    return client.call_object(name.object_id, "rpc.special", special, kwargs, member="__call__")
