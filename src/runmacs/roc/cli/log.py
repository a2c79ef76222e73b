"""`roc log`: what all programs say, with the habits of journalctl."""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from ..client import RocClient
from ..logfiles.times import parse_moment
from ..logstream import LogStream
from ..wire.logmsg import Record, parse_level, parse_record, severity_text
from ..wire.logtext import as_text, escape_json, safe_text
from .completing import complete_nodes, complete_objects
from .failures import WRONG_USAGE, Failure
from .flags import broker_flag, format_flags, timeout_flag
from .names import BROKER, find
from .output import Stream, print_document, rich_console
from .progress import waiting
from .terminal import ending_cleanly, is_read, note

__all__ = ["log", "log_level"]

_PAGE = 2000
_SHOWN = 100
_SHOWN_FIRST = 10
_TURN = 0.25
_BACKLOG = 2.0
COLUMNS = ["time", "level", "node", "host", "logger", "message"]


@dataclass(frozen=True)
class _Wanted:
    """What a record must be to be shown."""

    level: str | None
    nodes: tuple[str, ...]
    since: str
    pattern: re.Pattern[str] | None

    @property
    def takes_some(self) -> bool:
        """Whether more is asked for than the broker itself filters."""
        return bool(self.since or self.pattern)

    def takes(self, record: Record) -> bool:
        if record.timestamp < self.since:
            return False
        if self.pattern is None:
            return True
        trace = record.attributes.get("exception.stacktrace")
        return any(
            self.pattern.search(text) for text in (record.message, trace) if isinstance(text, str)
        )


class _Log(click.Command):
    """Completes its second word, too."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        words = [CompletionItem("level")] if "level".startswith(incomplete) else []
        return words + super().shell_complete(ctx, incomplete)


@click.command(
    cls=_Log,
    epilog="""\b
Examples:
  roc log                           the newest 100 records
  roc log -f                        go on with what comes
  roc log -p warning --since 2h     at least warnings, of the last two hours
  roc log -u vnir --grep shutter
  roc log -o ndjson -n 1000 | jq .Body

It shows what the broker has kept (50,000 records); `logdump query` looks into files. All times are
UTC. JSON is the record as spec/logs.md has it. Records that were lost are told in their place.
""",
)
@click.option("-f", "--follow", is_flag=True, help="go on with what comes, until Ctrl-C")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"at most the newest N of those before now  [{_SHOWN}; {_SHOWN_FIRST} with -f]",
)
@click.option("-p", "--priority", "level", metavar="LEVEL", help="this severe, or more")
@click.option(
    "-u",
    "--node",
    "nodes",
    multiple=True,
    metavar="NODE",
    help="this node; repeatable",
    shell_complete=complete_nodes,
)
@click.option("--since", metavar="TIME", help="from then on: 2026-11-22 10:00, today, 2h")
@click.option("--grep", metavar="PATTERN", help="message or traceback match (a regular expression)")
@format_flags
@broker_flag
@timeout_flag()
def log(
    follow: bool,
    lines: int | None,
    level: str | None,
    nodes: tuple[str, ...],
    since: str | None,
    grep: str | None,
    form: str,
    broker: str | None,
    timeout: float,
) -> None:
    """Show what all programs log, as journalctl would."""
    wanted = _wanted(level, nodes, since, grep)
    show = _Printer(form)
    if follow:
        with ending_cleanly():
            _follow(broker, wanted, _SHOWN_FIRST if lines is None else lines, show)
        return
    with waiting("asking the broker", timeout), RocClient(broker, timeout=timeout) as client:
        kept = list(_kept(client, wanted, _SHOWN if lines is None else lines))
    show.all(kept)


def _wanted(
    level: str | None, nodes: tuple[str, ...], since: str | None, grep: str | None
) -> _Wanted:
    parse_level(level)
    now = time.time()
    if since is not None and re.fullmatch(r"\s*\d+(\.\d+)?\s*[a-z]+\s*", since):
        since = f"{since} ago"
    try:
        pattern = re.compile(grep) if grep else None
    except re.error as error:
        raise Failure(f"--grep {grep!r} is no regular expression: {error}.", WRONG_USAGE) from None
    return _Wanted(level, nodes, parse_moment(since, now) if since else "", pattern)


def _kept(client: RocClient, wanted: _Wanted, count: int) -> Iterable[Record]:
    """The newest records that the broker has kept, oldest first."""
    if not wanted.takes_some and count <= _PAGE:
        page = _page(client, wanted, None, count)
        if len(page.records) >= min(count, page.kept):
            return page.records
        # They have no room in one answer, or are rare among the others.
    newest: deque[Record] = deque(maxlen=count)
    after: int | None = 0
    while after is not None:
        page = _page(client, wanted, after, _PAGE)
        newest.extend(filter(wanted.takes, page.records))
        after = page.after
    return newest


class _Page(NamedTuple):
    """Some records, how many are kept in all, and with what to ask for those that follow."""

    records: list[Record]
    kept: int
    after: int | None


def _page(client: RocClient, wanted: _Wanted, after: int | None, count: int) -> _Page:
    arguments = {
        "after": after,
        "n": count,
        "level": wanted.level,
        "node": list(wanted.nodes),
        "text": True,
    }
    page = client.call_object(BROKER, "log", (), arguments)
    records = [parse_record(text.encode()) for text in page["records"]]
    kept = page["last"] - page["first"] + 1
    return _Page(records, kept, page["after"] if page["more"] else None)


def _follow(broker: str | None, wanted: _Wanted, count: int, show: _Printer) -> None:
    history = None if wanted.takes_some else count
    with LogStream(broker, wanted.level, wanted.nodes or None, history=history) as stream:
        where = stream.endpoints.rocBroker
        newest: deque[Record] = deque(maxlen=count)
        began: float | None = time.monotonic()
        up, said_up = True, True
        for records in _batches(stream):
            if began is not None and stream.core.state != "down":
                newest.extend(filter(wanted.takes, records))
                if stream.core.state == "live" or time.monotonic() > began + _BACKLOG:
                    show.all(newest, flush=True)
                    began = None
            else:
                show.all(filter(wanted.takes, records), flush=True)
            up = stream.core.state != "down"
            if up != said_up and (up or began is None or time.monotonic() > began + 1.0):
                said_up = up
                what = "is there again" if up else "is away; waiting for it"
                note(f"roc log: {where}: the broker {what}.")
            if not is_read():
                raise BrokenPipeError


def _batches(stream: LogStream) -> Iterator[list[Record]]:
    while True:
        yield stream.read(_TURN)


class _Printer:
    """Prints records in one of the formats."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._console = rich_console() if form == "table" else None
        self._stream = Stream(COLUMNS, form) if form == "csv" else None

    def all(self, records: Iterable[Record], flush: bool = False) -> None:
        """Print them; a stream's are flushed, and stand one on a line in JSON, too."""
        if self._form == "json" and not flush:
            print_document([json.loads(record.raw) for record in records])
            return
        for record in records:
            self._one(record, flush)

    def _one(self, record: Record, flush: bool) -> None:
        if self._stream is not None:
            self._stream.put(_row(record))
        elif self._form != "table":
            print(escape_json(record.raw).decode(), flush=flush)
        elif self._console is not None:
            from rich.text import Text

            self._console.print(Text(as_text(record), _style(record.severity)), soft_wrap=True)
        else:
            print(as_text(record), flush=flush)


def _row(record: Record) -> dict[str, Any]:
    return {
        "time": record.timestamp,
        "level": record.level or severity_text(record.severity),
        "node": record.node,
        "host": record.host,
        "logger": record.logger,
        "message": record.message,
    }


def _style(severity: int) -> str:
    if severity >= 17:
        return "bold red"
    if severity >= 13:
        return "yellow"
    return "dim" if severity < 9 else ""


@click.command(
    epilog="""\b
Examples:
  roc log level vnir                          of the root logger
  roc log level vnir camera.driver DEBUG
  roc log level vnir camera.driver NOTSET     let it follow its parents again

NODE is any object that the process shares. It is answered while the object is busy.
"""
)
@click.argument("node", shell_complete=complete_objects)
@click.argument("logger", required=False, default="")
@click.argument("level", required=False)
@broker_flag
@timeout_flag()
def log_level(
    node: str, logger: str, level: str | None, broker: str | None, timeout: float
) -> None:
    """Show or set the level of a logger in a server."""
    with RocClient(broker, timeout=timeout) as client:
        name = find(client, node, member=False)
        found = client.log_level(name.object_id, logger, level)
    own = (
        found["level"] if found["level"] != "NOTSET" else f"{found['effective']}, from its parents"
    )
    print(safe_text(f"{node}: {found['logger']}: {own}"))
