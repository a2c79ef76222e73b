"""How many calls the broker has carried, and what it could not carry.

What it tells of publications stands in `traffic`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["Counters"]


@dataclass
class Counters:
    """What `roc.broker.stats()` tells; each a number of messages or calls."""

    requests: int = 0
    replies: int = 0
    expired: int = 0
    withdrawn: int = 0
    servers_lost: int = 0
    calls_lost: int = 0
    refused_unknown_object: int = 0
    refused_queue_full: int = 0
    refused_object_id_taken: int = 0
    dropped_malformed: int = 0
    dropped_reply_not_outstanding: int = 0
    dropped_unknown_worker: int = 0
    dropped_unreachable_peer: int = 0
    dropped_peer_full: int = 0

    def figures(self) -> dict[str, int]:
        """A plain copy, by name."""
        return asdict(self)
