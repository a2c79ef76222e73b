"""Publications on their way through the broker: what comes in, what goes out.

Rules:

* What is passed on untouched is the very list that came: it need not be encoded again.
* What is appended to ``out`` is published in this order, after all that was before.
"""

from __future__ import annotations

from typing import Any

from .logkeeper import LogKeeper

__all__ = ["NewsCore"]


class NewsCore:
    """Passes on whatever comes."""

    def __init__(self, logs: LogKeeper | None = None) -> None:
        self.logs = logs or LogKeeper()

    def on_publication(self, frames: list[bytes], now: float, out: list[list[bytes]]) -> None:
        """A message from a publisher, its topic first."""
        if frames[0].startswith(b"log."):
            self.logs.keep(frames, now)
        elif frames[0].startswith(b"beacon."):
            self.logs.hear(frames, now)
        out.append(frames)

    def on_subscribed(self, topic: bytes, now: float, out: list[list[bytes]]) -> None:
        """Somebody wants topics that begin so, and nobody did before."""

    def on_unsubscribed(self, topic: bytes, now: float) -> None:
        """Nobody wants topics that begin so any more."""

    def next_deadline(self) -> float | None:
        """When `tick` is due, if it is."""
        return None

    def tick(self, now: float, out: list[list[bytes]]) -> None:
        """Time has passed."""

    def snapshot(self) -> dict[str, Any]:
        """What it knows, as plain data."""
        return {}

    def check(self) -> None:
        """Assert every invariant."""
