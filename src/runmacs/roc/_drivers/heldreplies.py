"""Replies that wait for the next ones, so that several leave together: to send costs as much as
a quick method.

Rules:

* A reply waits while its caller waits for more, and what is called next is a method that was
  quick the last time.
* It waits for a millisecond, or for a third of what the broker hands out at a time.
"""

from __future__ import annotations

from ..core.worker import Task
from ..wire.jsonrpc import Request

__all__ = ["HeldReplies"]

_QUICK = 0.0002
_LONGEST = 0.001
_METHODS_KEPT = 1000


class HeldReplies:
    """Says which replies may wait. ``prefetch`` is how many calls are handed out at a time."""

    def __init__(self, prefetch: int) -> None:
        self._most = -(-prefetch // 3)
        self._quick: dict[str, bool] = {}
        self._count = 0
        self._since = 0.0

    def note(self, task: Task, seconds: float) -> None:
        """A method has taken so long."""
        first = task.body.items[0]
        if isinstance(first, Request):
            if len(self._quick) >= _METHODS_KEPT:
                self._quick.clear()
            self._quick[first.method] = seconds < _QUICK

    def hold(self, following: str, now: float) -> bool:
        """Whether a reply waits for that of the method ``following``; "" if there is none.

        If it does not, those that were held leave with it.
        """
        if not self._quick.get(following, False):
            self._count = 0
            return False
        if not self._count:
            self._since = now
        self._count += 1
        if self._count >= self._most or now - self._since > _LONGEST:
            self._count = 0
            return False
        return True

    def clear(self) -> bool:
        """All that was held leaves; False if there was nothing."""
        held, self._count = self._count, 0
        return held > 0
