"""Who is alive, and how old a message is that was just read.

Rules:

* A message may have waited unread while its reader stood still (a suspended
  computer, SIGSTOP, a long garbage collection). `Standstill` measures each stop of
  one's own loop over 50 ms; everything read until the socket is empty again may be
  that much older than it looks.
* A message may have been late on its way. `Transit` compares the sender's clock in
  it with the best that was ever seen from that sender: what exceeds it is delay.
  Clocks drift, so the best seen loses its force by 0.05 % of the time since. A sender
  whose clock stood still, as some do while a computer sleeps, would look late for ever:
  when it hears so, but sees that its messages are answered in time, it gives its clock
  another number, and is compared with itself anew.
* The clock behind ``now`` runs through suspend.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

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
    """How long one's own loop stood still, while that matters.

    The thread that reads from the network stood still as well, and need not be done when
    the loop is: after a standstill an empty socket is believed `SETTLE` seconds later at
    the earliest. Short ones in a row do not put that off, or ages would grow without end
    where a process gets its computing time in slices.
    """

    THRESHOLD = 0.05
    SETTLE = 0.05
    LONG = 0.25

    def __init__(self) -> None:
        self.age = 0.0
        self._since: float | None = None
        self._until = 0.0
        self._settled = 0.0

    def waiting(self, now: float, timeout: float) -> float:
        """The loop is about to wait for ``timeout``. Returns how long its work overran."""
        since = self._since
        overran = since is not None and now - since > self.THRESHOLD
        stopped = self._stopped(now) if overran else 0.0
        self._since, self._until = now, now + timeout
        return stopped

    def awake(self, now: float) -> float:
        """The loop has waited. Returns how long it stood still, if beyond what it asked for."""
        overran = self._since is not None and now - self._until > self.THRESHOLD
        stopped = self._stopped(now) if overran else 0.0
        self._since = now
        return stopped

    def _stopped(self, now: float) -> float:
        assert self._since is not None
        stopped = now - self._since
        if not self.age or stopped > self.LONG:
            self._settled = now + self.SETTLE
        self.age += stopped
        return stopped

    def drained(self, now: float) -> bool:
        """The socket is empty. True if what comes from now on is fresh."""
        if self.age and now >= self._settled:
            self.age = 0.0
        return not self.age


class Transit:
    """How late messages are, by the sender's own clock in them."""

    DRIFT = 5e-4
    SENDERS = 1024

    def __init__(self) -> None:
        self._best: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def age(self, sender: Hashable, sent: float, now: float) -> float:
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
