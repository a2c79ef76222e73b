"""What a broker keeps for others, and how much of it at the most."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Over one of them, a call is refused, a publication or the oldest record dropped."""

    calls_per_object: int = 10_000
    bytes_waiting: int = 512 * 1024 * 1024
    absent_objects: int = 1_000
    unstated_patience: float = 10.0
    """Seconds that a call without a time to live may wait."""
    longest_wait: float = 3600.0
    """Seconds that any call may wait, whatever its time to live."""
    log_records: int = 50_000
    log_bytes: int = 64 * 1024 * 1024
    subscriber_bytes: int = 8 * 1024 * 1024
    """Bytes of publications that may wait for a subscriber; what comes then it does not get."""
