"""The reference page of `roc`, made from the commands themselves.

``python -m runmacs.roc.cli`` prints it; a test compares it with ``docs/reference/roc.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Final

import click

from . import failures
from .flags import broker_flag, timeout_flag
from .roc import SUBCOMMANDS, subcommand

__all__ = ["reference"]

_HEAD: Final = """\
# `roc`

One command for what is done from a terminal. `roc --help` lists the subcommands, `roc ls --help`
tells of one. This page is made from the commands: `python -m runmacs.roc.cli` prints it.

| command | what it does |
| --- | --- |
"""

_COMMON: Final = """\

## What all have in common

`OBJ.MEMBER` is split at the longest object id that the broker knows: ids may have dots. A value
that is typed is JSON, else text: `3`, `true`, `'[1, 2]'`, `open`; in quotes, `'"3"'`, it is text.
On stdout is what was asked for, on stderr all else. Nothing that came from outside can control your
terminal: control characters are shown as escapes.

"""

_OUTPUT: Final = """\

### Output

| `-o` | |
| --- | --- |
| `table` | for people; colours and live screens on a terminal with rich (extra `cli`); may change |
| `json`, `--json` | one document; of what goes on (`-f`, `watch`), an object on each line |
| `ndjson` | an object, or an item, on each line |
| `csv` | a header, then a row for each; what is no text or number is JSON |

Each line of what goes on is flushed. The keys are stable: more may come, none goes. JSON has plain
types only: an array is its lists, bytes are base64, a time is ISO 8601, a complex number a pair,
and what is not finite is null. `time` and `since` are seconds since 1970 (`log` has ISO 8601),
ages and durations are seconds, `ms` and the percentiles milliseconds.

| command | keys of a row |
| --- | --- |
"""

_CODES: Final = """\

### Exit codes

| code | |
| --- | --- |
| 0 | it went well; a live screen was ended with Ctrl-C |
| {remote} | the other side: the method raised, its arguments do not fit, its server was lost |
| {usage} | `roc` was used wrongly: options, names, addresses, files |
| {broker} | no broker answers |
| {there} | no such object, member or path; the message names the nearest |
| {timeout} | no answer in time; `-t` grants more |
| {interrupted} | Ctrl-C in the middle of something |

An error is one sentence on stderr. `--traceback` adds the remote traceback. Who reads no more of
the output (`roc log -f \\| head`) ends the command quietly, with 0.

### The broker

"""

_ROWS: Final = {
    "ls": "ls",
    "describe": "describe",
    "watch": "watch",
    "status": "status",
    "log": "log",
    "bench": "bench",
    "doctor": "doctor",
}


def reference() -> str:
    """The page."""
    parts = [_HEAD]
    parts += [
        f"| [`roc {name}`](#{_anchor(name)}) | {line} |\n" for name, line in SUBCOMMANDS.items()
    ]
    parts += [_COMMON, _OUTPUT.lstrip("\n")]
    parts += [f"| `{name}` | {', '.join(f'`{key}`' for key in _keys(name))} |\n" for name in _ROWS]
    parts.append("| `get` of several | `name`, `value` |\n")
    parts.append("| `ping` | `object`, `n`, `ms` |\n")
    parts.append("| `broker info` | `name`, `value`; as JSON an object |\n")
    parts.append(
        "\nAs JSON, `describe` gives the OpenRPC document, and `log` the records of\n"
        "[spec/logs.md](../../spec/logs.md). `status --follow` has `removed` as well. `ping` as\n"
        "one JSON document has `sent`, `received` and the percentiles.\n"
    )
    parts.append(
        _CODES.format(
            remote=failures.REMOTE,
            usage=failures.WRONG_USAGE,
            broker=failures.NO_BROKER,
            there=failures.NOT_THERE,
            timeout=failures.TIMEOUT,
            interrupted=failures.INTERRUPTED,
        )
    )
    parts += _common_flags()
    for name in SUBCOMMANDS:
        parts += _section(name, subcommand(name))
    return "".join(parts)


def _anchor(name: str) -> str:
    return f"roc-{name.replace(' ', '-')}"


def _keys(name: str) -> list[str]:
    columns = import_module(f".{_ROWS[name]}", __package__).COLUMNS
    return [column if isinstance(column, str) else column.name for column in columns]


def _common_flags() -> Iterator[str]:
    @click.command()
    @broker_flag
    @timeout_flag()
    def anything(**flags: object) -> None: ...

    yield "`-b` and `-t` are the same everywhere:\n\n"
    yield from _options(anything)


def _section(name: str, command: click.Command) -> Iterator[str]:
    with click.Context(command, info_name=f"roc {name}") as ctx:
        usage = " ".join(command.collect_usage_pieces(ctx))
    yield f"\n## roc {name}\n\n```text\nroc {name} {usage}\n```\n\n"
    yield f"{_prose(command.help or '')}\n"
    options = "".join(_options(command))
    if options:
        yield f"\n{options}"
    yield f"\n```text\n{_plain(command.epilog or '')}\n```\n"


def _options(command: click.Command) -> Iterator[str]:
    rows = []
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            names = ", ".join(f"`{name}`" for name in parameter.opts)
            metavar = "" if parameter.is_flag else f" {parameter.metavar or 'TEXT'}"
            rows.append(f"| {names}{metavar} | {(parameter.help or '').strip()} |\n")
    if rows:
        yield "| option | |\n| --- | --- |\n"
        yield from rows


def _prose(text: str) -> str:
    return re.sub(r"(?m)^ {4}", "", _plain(text))


def _plain(text: str) -> str:
    return text.replace("\b\n", "").strip("\n")
