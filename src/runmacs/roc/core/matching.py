"""Who wants a topic: subscriptions by prefix.

Rules:

* A prefix that one subscriber asked for twice needs two ends.
* A subscriber gets a topic once, however many of its prefixes fit.

A lookup costs one look into a dictionary for each *length* that a prefix has, whatever the
number of prefixes; and topics are alike, so that who asks remembers the answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Matching"]

T = TypeVar("T", bound=Hashable)


class Matching(Generic[T]):
    """Subscribers by the prefixes of the topics that they want.

    >>> matching = Matching()
    >>> matching.add("display", b"status.")
    True
    >>> matching.match(b"status.vnir.=")
    ('display',)
    >>> matching.match(b"log.09.vnir.=")
    ()
    """

    def __init__(self) -> None:
        self._subscribers: dict[bytes, dict[T, int]] = {}
        self._prefixes: dict[T, set[bytes]] = {}
        self._lengths: Counter[int] = Counter()
        self._sorted: list[int] = []

    def __len__(self) -> int:
        """How many different prefixes there are."""
        return len(self._subscribers)

    def add(self, subscriber: T, prefix: bytes) -> bool:
        """Whether nobody had this prefix before."""
        subscribers = self._subscribers.get(prefix)
        first = subscribers is None
        if subscribers is None:
            subscribers = self._subscribers[prefix] = {}
            self._lengths[len(prefix)] += 1
            if self._lengths[len(prefix)] == 1:
                self._sorted = sorted(self._lengths)
        subscribers[subscriber] = subscribers.get(subscriber, 0) + 1
        self._prefixes.setdefault(subscriber, set()).add(prefix)
        return first

    def remove(self, subscriber: T, prefix: bytes) -> bool | None:
        """Whether nobody has this prefix any more; None if the subscriber had not."""
        subscribers = self._subscribers.get(prefix)
        if subscribers is None or subscriber not in subscribers:
            return None
        subscribers[subscriber] -= 1
        return not subscribers[subscriber] and self._forget(subscriber, prefix)

    def drop(self, subscriber: T) -> list[bytes]:
        """It is gone. The prefixes that nobody has any more."""
        prefixes = sorted(self._prefixes.get(subscriber, ()))
        return [prefix for prefix in prefixes if self._forget(subscriber, prefix)]

    def _forget(self, subscriber: T, prefix: bytes) -> bool:
        subscribers = self._subscribers[prefix]
        del subscribers[subscriber]
        prefixes = self._prefixes[subscriber]
        prefixes.discard(prefix)
        if not prefixes:
            del self._prefixes[subscriber]
        if subscribers:
            return False
        del self._subscribers[prefix]
        self._lengths[len(prefix)] -= 1
        if not self._lengths[len(prefix)]:
            del self._lengths[len(prefix)]
            self._sorted = sorted(self._lengths)
        return True

    def match(self, topic: bytes) -> tuple[T, ...]:
        """Who gets a message with this topic."""
        found: dict[T, int] = {}
        size = len(topic)
        table = self._subscribers
        for length in self._sorted:
            if length > size:
                break
            subscribers = table.get(topic[:length])
            if subscribers is not None:
                found.update(subscribers)
        return tuple(found)
