"""How requests came to their servers, and how late they may have been without anybody's fault.

A server computes how late a request is from the sender's clock in it, against the quickest
request that ever came from that sender. So what the quickest one was late remains unseen: a
link that has been slow from the first message on looks like a clock that is set differently.
Of a sender's first request remains unseen what was spent on the links, and freezes that are too
short to be told from a wait.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from runmacs.roc.core.liveness import SILENCE
from runmacs.roc.testing import Entry, History
from runmacs.roc.testing.network import Arrival

__all__ = ["Ways"]

UNSEEN = 0.31
"""A loop cannot tell a freeze of its process from its own wait, which lasts up to 0.25 s, and
takes 0.05 s more for granted: so long may a message have waited unread in each of the two
processes on its way without their knowing."""

DRIFT = 1e-3
"""What two clocks that differ by 2e-4, and the allowance of 5e-4 that a receiver makes for
that, add up to, for each second since the first call of a client at a server; rounded up."""


class _Way(NamedTuple):
    """Seconds that a request spent on its way, by where, without what the broker counted."""

    up: float
    unread_at_broker: float
    down: float
    unread_at_server: float
    server_frozen: float

    @property
    def unseen(self) -> float:
        """What neither broker nor server can know of by themselves.

        Down is bounded: a server leaves a broker that it does not hear, which does not count
        while it is frozen itself.
        """
        down = min(self.down, SILENCE + self.server_frozen)
        unread = min(self.unread_at_broker, UNSEEN) + min(self.unread_at_server, UNSEEN)
        return self.up + down + unread


class Ways:
    """The ways of all requests in a history."""

    def __init__(self, history: History, broker: str) -> None:
        self._broker = broker
        self._frozen: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._at_broker: dict[str, tuple[Arrival, float]] = {}
        self._unseen: dict[str, float] = {}
        self._quickest: dict[tuple[str, str, bytes], float] = {}
        self._read_freezes(history)
        for entry in history.of("reads"):
            if entry.who.startswith(broker):
                self._at_broker[entry.call] = entry.more, entry.when
            elif entry.call in self._at_broker:
                self._read_way(entry)

    def excuse(self, call: str, begun: Entry) -> float:
        """How much too late this call may begin, because nobody could know any better."""
        unseen = self._unseen.get(call)
        return 0.0 if unseen is None else unseen + DRIFT * (begun.when + 1.0)

    def _read_freezes(self, history: History) -> None:
        since: dict[str, float] = {}
        for entry in history.entries:
            if entry.what == "is frozen":
                since[entry.who] = entry.when
            elif entry.what == "thaws":
                self._frozen[entry.who].append((since[entry.who], entry.when))

    def _read_way(self, entry: Entry) -> None:
        first, read = self._at_broker[entry.call]
        second: Arrival = entry.more
        frozen = sum(
            max(0.0, min(end, second.arrived) - max(start, second.sent))
            for start, end in self._frozen[entry.who]
        )
        way = _Way(
            first.arrived - first.sent,
            read - first.arrived,
            second.arrived - second.sent,
            entry.when - second.arrived,
            frozen,
        )
        total = sum(way[:4])
        # A sender that renumbers its clock is compared with itself anew.
        clock = bytes((first.frames or [b""])[-1]).partition(b'"clock":')[2][:3]
        pair = entry.call.partition(".")[0], entry.who, clock
        self._quickest[pair] = min(self._quickest.get(pair, total), total)
        self._unseen[entry.call] = min(self._quickest[pair], way.unseen)
