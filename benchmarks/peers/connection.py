"""A client's side of a peer, and what every peer shares.

What a method here does not do is not measured, and the result says why: `CANNOT` has the
words, by the name of the method.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from functools import cache
from typing import Any, ClassVar

from ..processes import NotThere

__all__ = ["OBJECT", "Connection", "Shared"]

OBJECT = "bench"
"""The id of the object that is always there."""


class Shared:
    """What each server shares."""

    level = 1.5

    def echo(self, value: int) -> int:
        return value

    def nap(self, value: int) -> int:
        """Takes a millisecond, and no processor."""
        time.sleep(0.001)
        return value

    def frame(self, size: int) -> Any:
        """An array of uint16, of so many bytes; always the same one."""
        return _frame(size)


@cache
def _frame(size: int) -> Any:
    import numpy as np

    return np.arange(size // 2, dtype=np.uint16)


class Connection:
    """A connected client. Counts are of calls of `echo`, unless it says otherwise."""

    CANNOT: ClassVar[Mapping[str, str]] = {}

    def echo(self, value: int) -> Any:
        """One call; returns what came back."""
        raise self._cannot("echo")

    def serial(self, count: int) -> None:
        """Calls one after the other."""
        echo = self.echo
        for number in range(count):
            if echo(number) != number:
                raise AssertionError("another value came back")

    def pipelined(self, count: int) -> None:
        """Calls that are all under way at once."""
        raise self._cannot("pipelined")

    def flow(self, count: int, step: int, method: str) -> Generator[None]:
        """So many calls waiting all the time; takes the results of ``step`` of them at a time."""
        raise self._cannot("flow")

    def gathered(self, count: int) -> None:
        """The same by `asyncio.gather`."""
        raise self._cannot("gathered")

    def batch(self, count: int) -> None:
        """Calls in one message."""
        raise self._cannot("batch")

    def read(self, count: int) -> None:
        """Attribute reads, one after the other."""
        raise self._cannot("read")

    def fetch(self, size: int, name: str = OBJECT) -> int:
        """Fetch an array of so many bytes; returns how many bytes of uint16 are there now."""
        raise self._cannot("fetch")

    def serial_at(self, names: list[str], count: int) -> None:
        """Calls one after the other, of objects in turn."""
        raise self._cannot("serial_at")

    def close(self) -> None:
        """Let go."""

    def _cannot(self, what: str) -> NotThere:
        return NotThere(self.CANNOT.get(what, "it offers none"))


def size_of(data: Any) -> int:
    """How many bytes of uint16 stand in a buffer, seen as an array: nothing is copied."""
    import numpy as np

    return int(np.frombuffer(data, np.uint16).nbytes)
