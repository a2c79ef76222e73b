"""`LogDump`: what everybody logs, on disk and on screen. ``python -m runmacs.roc.logdump``.

Rules:

* It begins with what the broker has kept, and with what an earlier run has not written yet;
  nothing is written twice.
* What is missing is said, in the files and to the user.
* Nobody waits for it, so it keeps out of the way of those who are waited for: it lets records
  gather, and works in short bursts with pauses in between; without them when there is much.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .core.logreader import LogReaderCore
from .endpoints import Endpoints
from .errors import Closed
from .logfiles.limits import Keep, Rotation
from .logfiles.query import is_below
from .logfiles.writer import LogWriter
from .logstream import LogStream
from .wire.logmsg import Record, parse_level, timestamp

if TYPE_CHECKING:
    import zmq

__all__ = ["LogDump"]

_TURN: Final = 0.25
_GATHER: Final = 0.02
"""Seconds for which records may gather: a few large portions cost less than many small ones."""
_BURST: Final = 0.0003
"""Seconds for which it reads at a time; writing that takes about as long."""
_PAUSE: Final = 0.00005
_MUCH: Final = 0.1
"""Seconds after which records that still come are so many that it must hurry."""
_NEVER: Final = Rotation()
_ALL: Final = Keep()


class LogDump:
    """Reads the log, and writes it into a directory.

    Args:
        source: where the broker is; see `log_records`.
        directory: where the files are; None writes none.
        level, node: what is read at all.
        logger: the loggers whose records are written, with their children; empty for all.
        rotation: when a new file is begun.
        keep: which closed files are kept.
        compress: whether closed files are compressed.
        show: gets each record that is written.
        tell: says one line to the user.
        ctx: a ZeroMQ context to use for inproc.

    Raises:
        ConfigError: an address or a level that makes no sense, a directory that cannot be
            used or that another one writes to.
    """

    def __init__(
        self,
        source: Endpoints | str | None = None,
        directory: str | Path | None = None,
        *,
        level: str | int | None = None,
        node: Sequence[str] = (),
        logger: Sequence[str] = (),
        rotation: Rotation = _NEVER,
        keep: Keep = _ALL,
        compress: bool = False,
        show: Callable[[Record], None] | None = None,
        tell: Callable[[str], None] = print,
        ctx: zmq.Context[Any] | None = None,
    ) -> None:
        now = time.time()
        least, nodes = parse_level(level), tuple(node)
        self._loggers = tuple(logger)
        self._show = show
        self._tell = tell
        self._stopping = False
        self._writer: LogWriter | None = None
        core = LogReaderCore(least, nodes, since=timestamp(now))
        if directory is not None:
            self._writer = LogWriter(
                *(Path(directory), rotation, keep, compress, core.resume, tell, least, nodes)
            )
            self._writer.numbers = core.numbers
            self._go_on(core, least, nodes, now)
        try:
            self._stream = LogStream(source, ctx=ctx, core=core, portion=_BURST)
        except BaseException:
            if self._writer is not None:
                self._writer.close()
            raise

    def _go_on(self, core: LogReaderCore, least: int, nodes: tuple[str, ...], now: float) -> None:
        """Read on where an earlier run was, if there was one."""
        assert self._writer is not None
        before = self._writer.resumed
        if not before.since:
            return
        core.continue_from(before.since, _seconds(before.since, now))
        for resource, severity, n in before.numbers:
            core.resume_numbers(resource, severity, n)
        more_nodes = before.nodes and (not nodes or set(nodes) - set(before.nodes))
        if least < before.least or more_nodes:
            core.widen()

    def run(self) -> None:
        """Write until `stop`."""
        try:
            while not self._stopping:
                if records := self._stream.read(_TURN):
                    self._write_burst(records)
                    time.sleep(_GATHER)
                else:
                    self._write([])
        except Closed:
            pass
        finally:
            self._write(self._stream.rest())
            self._stream.close()
            if self._writer is not None:
                self._writer.close()

    def _write_burst(self, records: list[Record]) -> None:
        """Write records, and what has come meanwhile, until there are no more."""
        begun = time.monotonic()
        while records:
            self._write(records)
            if time.monotonic() < begun + _MUCH:
                time.sleep(_PAUSE)
            records = self._stream.read(0.0)

    def _write(self, records: list[Record]) -> None:
        if self._loggers:
            records = [record for record in records if self._is_wanted(record)]
        for record in records:
            if record.lost:
                self._tell(f"{record.message}.")
        if self._writer is not None:
            if records:
                self._writer.write(records)
            else:
                self._writer.tick()
        if self._show is not None:
            for record in records:
                self._show(record)

    def _is_wanted(self, record: Record) -> bool:
        return bool(record.lost) or any(is_below(record.logger, one) for one in self._loggers)

    def stop(self) -> None:
        """Stop, from any thread or a signal handler."""
        self._stopping = True
        self._stream.interrupt()


def _seconds(since: str, now: float) -> float:
    try:
        return max(0.0, now - datetime.fromisoformat(since).timestamp())
    except ValueError:
        return 0.0


if __name__ == "__main__":
    import runpy

    runpy.run_module("runmacs.roc.cli.logdump", run_name="__main__")
