"""Flags that several subcommands of `roc` have, each declared once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..config import OPTIONS

__all__ = ["broker_flag", "option_flag"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def option_flag(name: str) -> Callable[[_Command], _Command]:
    """The flag of an option of the configuration; None where it is not given."""
    option = OPTIONS[name]

    def checked(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Any:
        return option.parse(text, option.flag) if text and text.strip() else None

    choices = f": {', '.join(option.choices)}" if option.choices else ""
    text = f"{option.help}{choices}  [{option.environment}, or {option.default}]"
    return click.option(option.flag, metavar=option.metavar, help=text, callback=checked)


def broker_flag(command: _Command) -> _Command:
    """``-b, --broker ADDRESS``; None where it is not given, as all of ROC takes it."""
    option = OPTIONS["broker"]
    text = f"{option.help}  [{option.environment}, or {option.default}]"
    return click.option("-b", option.flag, metavar=option.metavar, help=text)(command)
