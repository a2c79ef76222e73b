"""Flags that several subcommands of `roc` have, each declared once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from ..config import OPTIONS
from .output import FORMATS

__all__ = [
    "TRACEBACK",
    "broker_flag",
    "format_flags",
    "json_flag",
    "json_is_given",
    "option_flag",
    "timeout_flag",
    "traceback_flag",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_JSON: Final = f"{__name__}.json"
TRACEBACK: Final = f"{__name__}.traceback"
"""Where the context says whether to print the remote traceback."""


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


def timeout_flag(default: float = 2.0) -> Callable[[_Command], _Command]:
    """``-t, --timeout SECONDS``."""
    text = f"how long an answer may take  [{default:g}]"
    return click.option(
        "-t", "--timeout", type=float, default=default, metavar="SECONDS", help=text
    )


def format_flags(command: _Command) -> _Command:
    """``-o, --output FORMAT`` and ``--json``, as ``form``."""

    def chosen(ctx: click.Context, parameter: click.Parameter, form: str) -> str:
        return "json" if json_is_given(ctx) else form

    text = f"{', '.join(FORMATS)}  [table]"
    choice = click.Choice(FORMATS)
    return json_flag(
        click.option(
            "-o",
            "--output",
            "form",
            type=choice,
            default="table",
            metavar="FORMAT",
            callback=chosen,
            help=text,
        )(command)
    )


def json_flag(command: _Command) -> _Command:
    """``--json``, a short for ``-o json``."""

    def note(ctx: click.Context, parameter: click.Parameter, given: bool) -> None:
        ctx.meta[_JSON] = given

    return click.option(
        "--json",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=note,
        help="the same as -o json",
    )(command)


def json_is_given(ctx: click.Context) -> bool:
    """Whether ``--json`` is among the flags."""
    return bool(ctx.meta.get(_JSON))


def traceback_flag(command: _Command) -> _Command:
    """``--traceback``; the door of `roc` knows it."""

    def note(ctx: click.Context, parameter: click.Parameter, given: bool) -> None:
        ctx.meta[TRACEBACK] = given

    text = "print the remote traceback of an error as well"
    return click.option("--traceback", is_flag=True, expose_value=False, callback=note, help=text)(
        command
    )
