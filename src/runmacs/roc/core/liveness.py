"""Who is alive, and how old a message is that was just read.

Rules:

* A message may have waited unread while its reader stood still (a suspended
  computer, SIGSTOP, a long garbage collection). `Standstill` measures each stop of
  one's own loop over 50 ms; everything read until the socket is empty again may be
  that much older than it looks.
* A message may have been late on its way. `Transit` compares the sender's clock in
  it with the best that was ever seen from that sender: what exceeds it is delay.
  Clocks drift, so the best seen loses its force by 0.05 % of the time since.
* The clock behind ``now`` runs through suspend.
"""

from __future__ import annotations

from collections import OrderedDict

__all__ = [
    "BEAT",
    "LOST_AFTER",
    "SILENCE",
    "STOCK_BEAT",
    "STOCK_SILENCE",
    "Standstill",
    "Transit",
]

BEAT = 0.5
"""Seconds between heartbeats; half of it towards a peer that holds calls."""

SILENCE = 1.5
"""Seconds of silence after which a greeted peer is stalled, a greeted broker left."""

LOST_AFTER = 10.0
"""Seconds of silence after which a stalled server is lost."""

STOCK_BEAT = 2.5
STOCK_SILENCE = 7.5
"""The same for peers that were not greeted: 7/MDP's customs, three missed beats."""


class Standstill:
    """How long one's own loop stood still, while that matters."""

    THRESHOLD = 0.05

    def __init__(self) -> None:
        self.age = 0.0
        self._since: float | None = None
        self._until = 0.0

    def waiting(self, now: float, timeout: float) -> float:
        """The loop is about to wait for ``timeout``. Returns how long its work overran."""
        stopped = 0.0
        if self._since is not None and now - self._since > self.THRESHOLD:
            stopped = now - self._since
            self.age += stopped
        self._since, self._until = now, now + timeout
        return stopped

    def awake(self, now: float) -> float:
        """The loop has waited. Returns how long it stood still beyond what it asked for."""
        stopped = 0.0
        if self._since is not None and now - self._until > self.THRESHOLD:
            stopped = now - self._since
            self.age += stopped
        self._since = now
        return stopped

    def drained(self) -> None:
        """The socket is empty: what comes now is fresh."""
        self.age = 0.0


class Transit:
    """How late messages are, by the sender's own clock in them."""

    DRIFT = 5e-4
    SENDERS = 1024

    def __init__(self) -> None:
        self._best: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def age(self, sender: str, sent: float, now: float) -> float:
        """Seconds that a message was longer on its way than the quickest one before it."""
        offset = now - sent
        best = self._best.get(sender)
        expected = offset if best is None else best[0] + self.DRIFT * (now - best[1])
        if offset <= expected:
            self._best[sender] = (offset, now)
            if best is None and len(self._best) > self.SENDERS:
                self._best.popitem(last=False)
            return 0.0
        return offset - expected
