"""Who wants a topic: subscriptions by prefix.

Rules:

* A prefix that one subscriber asked for twice needs two ends.
* A subscriber gets a topic once, however many of its prefixes fit.

A lookup costs one look into a dictionary for each *length* that a prefix has, whatever the
number of prefixes; and topics are alike, so that who asks remembers the answers.
"""

from __future__ import annotations

from bisect import insort
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
        self._subscribers: dict[bytes, dict[T, None]] = {}
        self._prefixes: dict[T, dict[bytes, int]] = {}
        self._lengths: list[int] = []
        """Of all prefixes, each once, ascending."""
        self._count_by_length: Counter[int] = Counter()

    def __len__(self) -> int:
        """How many different prefixes there are."""
        return len(self._subscribers)

    def has(self, subscriber: T, prefix: bytes) -> bool:
        """Whether it asked for this very prefix."""
        return prefix in self._prefixes.get(subscriber, ())

    def add(self, subscriber: T, prefix: bytes) -> bool:
        """Whether nobody had this prefix before."""
        prefixes = self._prefixes.setdefault(subscriber, {})
        prefixes[prefix] = prefixes.get(prefix, 0) + 1
        first = prefix not in self._subscribers
        if first:
            self._subscribers[prefix] = {}
            if not self._count_by_length[len(prefix)]:
                insort(self._lengths, len(prefix))
            self._count_by_length[len(prefix)] += 1
        self._subscribers[prefix][subscriber] = None
        return first

    def remove(self, subscriber: T, prefix: bytes) -> bool:
        """Whether nobody has this prefix any more. It must be one that the subscriber has."""
        prefixes = self._prefixes[subscriber]
        prefixes[prefix] -= 1
        if prefixes[prefix]:
            return False
        del prefixes[prefix]
        if not prefixes:
            del self._prefixes[subscriber]
        return self._forget(subscriber, prefix)

    def drop(self, subscriber: T) -> list[bytes]:
        """It is gone. The prefixes that nobody has any more."""
        prefixes = self._prefixes.pop(subscriber, {})
        return [prefix for prefix in prefixes if self._forget(subscriber, prefix)]

    def _forget(self, subscriber: T, prefix: bytes) -> bool:
        subscribers = self._subscribers[prefix]
        del subscribers[subscriber]
        if subscribers:
            return False
        del self._subscribers[prefix]
        self._count_by_length[len(prefix)] -= 1
        if not self._count_by_length[len(prefix)]:
            del self._count_by_length[len(prefix)]
            self._lengths.remove(len(prefix))
        return True

    def match(self, topic: bytes) -> tuple[T, ...]:
        """Who gets a message with this topic."""
        found: dict[T, None] = {}
        size = len(topic)
        table = self._subscribers
        for length in self._lengths:
            if length > size:
                break
            subscribers = table.get(topic[:length])
            if subscribers is not None:
                found.update(subscribers)
        return tuple(found)
