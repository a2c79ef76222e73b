"""What tests of the log share: a logger of their own, and reading what it said."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from runmacs.roc import Endpoints, RocLogger
from runmacs.roc.logstream import LogStream, Record
from waiting import wait_until

__all__ = ["logger_at", "records_until", "said"]


@contextmanager
def logger_at(
    endpoints: Endpoints | str, node: str = "vnir", ctx: Any = None
) -> Iterator[tuple[logging.Logger, RocLogger]]:
    """A logger of every level that only a `RocLogger` hears."""
    handler = RocLogger(node, endpoints, ctx)
    logger = logging.Logger(f"test.{node}", logging.DEBUG)
    logger.addHandler(handler)
    try:
        yield logger, handler
    finally:
        handler.close()


def records_until(
    stream: LogStream, enough: Callable[[list[Record]], Any], timeout: float = 30.0
) -> list[Record]:
    """Read until there is enough, and return all."""
    found: list[Record] = []

    def read() -> Any:
        found.extend(stream.read(0.1))
        return enough(found)

    wait_until(read, timeout, "the records have come")
    return found


def said(endpoints: Endpoints | str, count: int, **options: Any) -> list[Record]:
    """The first ``count`` records of the log."""
    with LogStream(endpoints, **options) as stream:
        return records_until(stream, lambda found: len(found) >= count)
