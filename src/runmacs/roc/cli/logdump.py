"""`logdump`: the log on disk and on screen, and read back."""

from __future__ import annotations

import contextlib
import queue
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import click

from .. import __version__
from .._drivers.interrupts import OwnThread
from .._drivers.standing import stand_back
from ..errors import ConfigError
from ..logdump import LogDump
from ..logfiles.limits import parse_keep, parse_rotation
from ..logfiles.query import Wanted, find, follow
from ..logfiles.times import parse_moment
from ..wire.logmsg import Record, parse_level
from ..wire.logtext import as_text, escape_json, safe_text

__all__ = ["main"]

_EXAMPLE = """\b
Examples:
  logdump --print                           on screen only
  logdump --directory log --print           on disk as well
  logdump --directory log --keep 30d --compress
  logdump query --directory log --level warning --since yesterday
  logdump query --directory log --node vnir --follow

The files are JSON Lines, one record on each line. All times are UTC.
"""

_QUEUED = 10_000


class _Screen:
    """Prints lines from a thread of its own: a terminal that stands still holds nobody up.

    Up to `_QUEUED` lines wait; what has no room is counted, and said.
    """

    def __init__(self) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue(_QUEUED)
        self._left_out = 0
        self._thread = OwnThread(self._print, "screen")
        self._thread.start()

    def show(self, record: Record) -> None:
        """Print a record, if there is room."""
        if self._left_out and self._lines.empty():
            text = f"(logdump: {self._left_out} records were not printed)"
            self._left_out = 0
            self._lines.put_nowait(text)
        try:
            self._lines.put_nowait(as_text(record))
        except queue.Full:
            self._left_out += 1

    def _print(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody reads any more
            while (line := self._lines.get()) is not None:
                print(line, flush=self._lines.empty())

    def close(self) -> None:
        """Print what waits, for a moment."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
        self._thread.join(1.0)


def _tell(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(f"logdump: {safe_text(text)}", file=sys.stderr, flush=True)


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--logger", multiple=True, metavar="NAME", help="this logger and below"),
        click.option("--node", multiple=True, metavar="NAME", help="this node only; repeatable"),
        click.option("--level", metavar="LEVEL", help="this severe, or more"),
    ):
        command = option(command)
    return command


@click.group(
    invoke_without_command=True,
    epilog=_EXAMPLE,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--broker", metavar="ADDRESS", help="the broker; by default ROC_BROKER")
@click.option("--directory", metavar="PATH", help="write files there; none without it")
@_filters
@click.option(
    "--rotate",
    multiple=True,
    metavar="WHEN",
    default=("day", "100MB"),
    show_default=True,
    help="begin a new file: a size, day, or never; repeatable",
)
@click.option(
    "--keep",
    multiple=True,
    metavar="WHAT",
    help="remove older files than so many (30), so old (7d), or so large in all (10GB)",
)
@click.option("--compress", is_flag=True, help="compress files that are complete (gzip)")
@click.option("--print", "show", is_flag=True, help="print the records, too")
@click.version_option(__version__, prog_name="logdump")
@click.pass_context
def main(
    context: click.Context,
    broker: str | None,
    directory: str | None,
    level: str | None,
    node: tuple[str, ...],
    logger: tuple[str, ...],
    rotate: tuple[str, ...],
    keep: tuple[str, ...],
    compress: bool,
    show: bool,
) -> None:
    """Write what all programs log into files, until SIGINT or SIGTERM.

    It begins with what the broker has kept, and goes on where it was when it was stopped.
    What is lost on the way is said, in the files and on stderr.
    """
    if context.invoked_subcommand is not None:
        return
    if directory is None and not show:
        _end("say where to write (--directory PATH), or --print to see the records.")
    screen = _Screen() if show else None
    try:
        dump = LogDump(
            broker,
            directory,
            level=level,
            node=node,
            logger=logger,
            rotation=parse_rotation(rotate),
            keep=parse_keep(keep),
            compress=compress,
            show=screen.show if screen else None,
            tell=_tell,
        )
    except ConfigError as error:
        _end(str(error))
    _stop_on_signals(dump.stop)
    stand_back()
    if directory is not None:
        _tell(f"writing to {directory}")
    dump.run()
    if screen:
        screen.close()


def _end(problem: str) -> Any:
    _tell(problem)
    sys.exit(2)


def _stop_on_signals(stop: Callable[[], None]) -> None:
    def on_signal(number: int, frame: FrameType | None) -> None:
        stop()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)


@main.command()
@click.option("--directory", metavar="PATH", default=".", help="where logdump writes")
@click.option("--since", metavar="TIME", help="from then on: 2026-11-22 10:00, today, 2h ago")
@click.option("--until", metavar="TIME", help="before then")
@_filters
@click.option("--grep", metavar="PATTERN", help="message or traceback match (a regular expression)")
@click.option("--follow", "-f", "following", is_flag=True, help="go on with what comes")
@click.option("--json", "as_json", is_flag=True, help="print the records as they are: JSON Lines")
def query(
    directory: str,
    since: str | None,
    until: str | None,
    level: str | None,
    node: tuple[str, ...],
    logger: tuple[str, ...],
    grep: str | None,
    following: bool,
    as_json: bool,
) -> None:
    """Print records that logdump has written, also while it writes."""
    try:
        now = time.time()
        wanted = Wanted(
            parse_moment(since, now) if since else "",
            parse_moment(until, now) if until else "",
            parse_level(level),
            node,
            logger,
            re.compile(grep) if grep else None,
        )
        path = Path(directory)
        for record in follow(path, wanted) if following else find(path, wanted):
            if record is None:
                sys.stdout.flush()
            else:
                print(escape_json(record.raw).decode() if as_json else as_text(record))
        sys.stdout.flush()
    except ConfigError as error:
        _end(str(error))
    except re.error as error:
        _end(f"--grep {grep!r} is no regular expression: {error}.")
    except (BrokenPipeError, KeyboardInterrupt):
        with contextlib.suppress(OSError):
            sys.stdout.close()


if __name__ == "__main__":
    main()
