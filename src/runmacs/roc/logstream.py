"""Read the log of all programs: `log_records`, and `LogStream` behind it.

Rules:

* First what the broker has kept, then what comes, nothing twice. What is lost is told by a
  record of its own in the place where it is missing.
* Level and node are filtered at the sources: what nobody reads does not travel.
* No thread: what comes is read while somebody waits for it.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import errors
from ._drivers.clock import now as clock
from ._drivers.subscribing import PORTION, Subscription
from .client import RocClient
from .config import resolve_subscribe
from .core.logreader import LogReaderCore
from .endpoints import Endpoints
from .wire import mdp
from .wire.logmsg import Lost, Record, Source, encode_own, parse_level, parse_record, timestamp

if TYPE_CHECKING:
    import zmq

    from .asyncclient import AsyncRocClient

__all__ = ["AsyncLogStream", "LogStream", "Record", "log_records"]

_BROKER = mdp.BROKER_ID.decode()
_WARNING = 13
_ANSWER = 2.0


def log_records(
    source: Endpoints | str | None = None,
    level: str | int | None = None,
    node: str | Sequence[str] | None = None,
    ctx: zmq.Context[Any] | None = None,
    timeout: float | None = None,
    *,
    history: int | None = None,
) -> Iterator[Record]:
    """The records of all programs, one after the other, as they are logged.

    Args:
        source: where the broker is: `Endpoints`, ``host``, ``host:baseport``, its generalXPUB
            address, or None for ``ROC_BROKER``, the configuration file, or ``127.0.0.1:5555``.
        level: the least severe ones, by name or SeverityNumber.
        node: one node, or several; by default all.
        ctx: a ZeroMQ context to use for inproc.
        timeout: ends when nothing has come for so many seconds; by default never.
        history: how many of the records that the broker has kept come first; by default all.

    A record with ``lost`` above 0 reports that so many are missing in this place.

    Raises:
        ConfigError: an address or level that makes no sense.

    Example::

        for record in log_records(level="WARNING"):
            print(record.timestamp, record.node, record.message)
    """
    with LogStream(source, level, node, ctx, history=history) as stream:
        while records := stream.read(timeout):
            yield from records


class _Stream:
    """What both faces share."""

    def __init__(
        self,
        source: Endpoints | str | None = None,
        level: str | int | None = None,
        node: str | Sequence[str] | None = None,
        ctx: zmq.Context[Any] | None = None,
        *,
        history: int | None = None,
        core: LogReaderCore | None = None,
        portion: float = PORTION,
    ) -> None:
        self.endpoints = resolve_subscribe(source)
        if core is None:
            nodes = [node] if isinstance(node, str) else [*(node or ())]
            core = LogReaderCore(parse_level(level), nodes, history, timestamp(time.time()))
        self.core = core
        self._ctx = ctx
        self._reporter = Source("roc-log", socket.gethostname(), os.getpid(), "", "")
        self._subscription = Subscription(ctx, self.endpoints, core, portion)

    def _found(self) -> list[Record]:
        found, self.core.found = self.core.found, []
        return [self._report(item) if isinstance(item, Lost) else item for item in found]

    def _report(self, lost: Lost) -> Record:
        facts = lost.attributes()
        return parse_record(encode_own(time.time(), _WARNING, str(lost), self._reporter, facts))

    @staticmethod
    def _left(deadline: float | None) -> float | None:
        return None if deadline is None else max(0.0, deadline - clock())


class LogStream(_Stream):
    """A subscription to the log; see `log_records` for what it takes.

    Example::

        with LogStream(node="vnir") as stream:
            for record in stream:
                print(record.message)
    """

    _client: RocClient | None = None

    def read(self, timeout: float | None = None) -> list[Record]:
        """Wait until records have come, and return them all; [] after the timeout.

        Raises:
            Closed: this stream was closed.
        """
        deadline = None if timeout is None else clock() + timeout
        while True:
            while not self.core.found and self._ask():
                pass
            if found := self._found():
                return found
            left = self._left(deadline)
            self._subscription.pump(left)
            if self._subscription.closed or (left == 0.0 and self.core.wanted() is None):
                return self._found()

    def _ask(self) -> bool:
        """Read what the broker has kept, a page at a time; False if none is wanted."""
        wanted = self.core.wanted()
        if wanted is None:
            return False
        if self._client is None:
            self._client = RocClient(self.endpoints, self._ctx, _ANSWER)
        method, arguments = wanted
        try:
            answer = self._client.call_object(_BROKER, method, (), arguments)
        except errors.RocError:
            self.core.on_no_answer(clock())
        else:
            self.core.on_answer(answer, clock())
        return True

    def __iter__(self) -> Iterator[Record]:
        while records := self.read():
            yield from records

    def interrupt(self) -> None:
        """Have whoever reads get what there is, and then an end; for signal handlers."""
        self._subscription.close()

    def rest(self) -> list[Record]:
        """What has come and was not read yet, for whoever was interrupted."""
        return self._found()

    def close(self) -> None:
        """Stop; a thread that reads gets an end."""
        self._subscription.close()
        if self._client is not None:
            self._client.close()

    def __enter__(self) -> LogStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncLogStream(_Stream):
    """The same for asyncio.

    Example::

        async with AsyncLogStream(level="ERROR") as stream:
            async for record in stream:
                print(record.message)
    """

    _client: AsyncRocClient | None = None

    async def read(self, timeout: float | None = None) -> list[Record]:
        """Wait until records have come, and return them all; [] after the timeout."""
        deadline = None if timeout is None else clock() + timeout
        while True:
            while not self.core.found and await self._ask():
                pass
            if found := self._found():
                return found
            left = self._left(deadline)
            await self._subscription.pump_soon(left)
            if self._subscription.closed or (left == 0.0 and self.core.wanted() is None):
                return self._found()

    async def _ask(self) -> bool:
        wanted = self.core.wanted()
        if wanted is None:
            return False
        if self._client is None:
            from .asyncclient import AsyncRocClient

            self._client = AsyncRocClient(self.endpoints, self._ctx, _ANSWER)
        method, arguments = wanted
        try:
            answer = await self._client.call_object(_BROKER, method, (), arguments)
        except errors.RocError:
            self.core.on_no_answer(clock())
        else:
            self.core.on_answer(answer, clock())
        return True

    async def __aiter__(self) -> AsyncIterator[Record]:
        while records := await self.read():
            for record in records:
                yield record

    def close(self) -> None:
        """Stop. Nothing to be awaited."""
        self._subscription.close()
        if self._client is not None:
            self._client.close()

    async def __aenter__(self) -> AsyncLogStream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
