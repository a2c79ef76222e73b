"""How many publications the broker has carried: what `roc.broker.stats()` tells of them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Traffic"]


@dataclass
class Traffic:
    """Numbers of messages; and who is connected now, which over inproc nobody knows (None).

    A publication that three subscribers get is taken once and passed on three times; over
    inproc it is passed on once.
    """

    publications_taken: int = 0
    publications_passed_on: int = 0
    dropped_malformed_subscription: int = 0
    dropped_subscriber_full: int = 0
    publishers: int | None = None
    subscribers: int | None = None
