"""One source of log records, as an automaton: what waits to be sent, and how it is numbered.

Rules:

* Records are numbered for each severity when they are made, sent or not: what is dropped
  leaves a hole that every reader sees, and a record says how many they were.
* The queue has a limit; what does not fit any more is dropped. Nobody waits for room.
* A beacon goes out with the first message of a connection, soon after each record, and else
  once a second. It names the last number of each severity that has been passed on or given
  up, so that a loss at the end is seen too; nothing is empty before it has.
* The first record after a silence goes at once. Those that follow within 10 ms are gathered:
  in a storm many go together, and whoever logs wakes the publisher once for all of them.
* `put` may be called by any thread, by a signal handler and by a finaliser that interrupt
  it: the lock is the caller's to choose, and must be re-entrant.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

from ..wire.logentry import Entry, RecordWriter
from ..wire.logmsg import OWN_LOGGER, Beacon, Source, encode_beacon, severity_of

__all__ = ["BYTES", "RECORDS", "LogSource"]

RECORDS: Final = 20_000
"""How many records may wait."""
BYTES: Final = 16 * 1024 * 1024
"""How many bytes they may take, roughly."""
BEACON: Final = 1.0
_SOON: Final = 0.05
_GATHER: Final = 0.01
_MUCH: Final = 32 * 1024
_OVERHEAD: Final = 400
_WARNING: Final = 30


class LogSource:
    """The records of one handler on their way to the broker.

    Args:
        resource: who writes them; its ``source`` names this one run.
        lock: guards the queue, re-entrant.
        wall: tells the time of records that are written here, in seconds since 1970.
    """

    def __init__(
        self,
        resource: Source,
        lock: AbstractContextManager[Any],
        wall: Callable[[], float],
        records: int = RECORDS,
        most: int = BYTES,
    ) -> None:
        self._records = records
        self._most = most
        self._wall = wall
        self.begin(resource, lock)

    def begin(self, resource: Source, lock: AbstractContextManager[Any]) -> None:
        """Be a new source: at first, and in a forked child."""
        self.resource = resource
        self.linked = False
        self.dropped = 0
        """How many records were dropped here, in all."""
        self.was_linked = False
        self._lock = lock
        self._queue: deque[tuple[Entry, int, int, int]] = deque()
        self._bytes = 0
        self._last = [0] * 25
        self._sent = [0] * 25
        self._told_dropped = 0
        self._writer = RecordWriter(resource)
        self._began: float | None = None
        self._due = 0.0
        self._told = self._sent
        self._told_at = 0.0
        self._taken_at = float("-inf")
        self._awake = False
        """Whether the publisher knows that something waits."""

    # ---- the program's side

    def put(self, entry: Entry, more: int = 0) -> bool:
        """Take a record; ``more`` is what it takes beside its message, in bytes.

        Returns whether the publisher is to be woken.
        """
        severity = severity_of(entry.levelno)
        size = len(entry.message) + more + _OVERHEAD
        with self._lock:
            n = self._last[severity] = self._last[severity] + 1
            if len(self._queue) >= self._records or self._bytes + size > self._most:
                self.dropped += 1
                return False
            before = self._bytes
            self._bytes = before + size
            self._queue.append((entry, severity, n, size))
            if self._awake and not before < _MUCH <= self._bytes:
                return False
            self._awake = True
            return True

    @property
    def waiting(self) -> int:
        """How many records wait to be taken."""
        return len(self._queue)

    def give_up(self, severity: int) -> None:
        """A record could not be taken: it is counted like one that was dropped."""
        with self._lock:
            self._last[severity] += 1
            self.dropped += 1

    # ---- the publisher's side

    def link_up(self, now: float) -> None:
        """The broker takes messages from now on."""
        self.linked = self.was_linked = True
        self._due = now

    def link_down(self, now: float) -> None:
        """The broker takes none any more."""
        self.linked = False

    def take(self, now: float, room: int) -> list[list[bytes]]:
        """Messages to be sent now, of ``room`` bytes or little more."""
        if not self.linked:
            return []
        if self._began is None:
            self._began = now
        out: list[list[bytes]] = []
        if self._due <= now:
            # Before the records: whoever reads them shall know whose they are.
            out.append(self._beacon(now))
        if self._bytes < _MUCH and now < self._taken_at + _GATHER:
            return out
        taken = self._pop(room)
        if taken:
            self._taken_at = now
        write = self._writer.write
        sent = self._sent
        for entry, severity, n, _ in taken:
            sent[severity] = n
            try:
                out.append(write(entry, n))
            except Exception as error:
                out.append(write(_unwritten(entry, error), n))
        if not self._queue:
            self._report()
            if not self._queue and self._sent != self._told and now >= self._told_at + _SOON:
                out.append(self._beacon(now))
        return out

    def _pop(self, room: int) -> list[tuple[Entry, int, int, int]]:
        taken = []
        queue = self._queue
        with self._lock:
            while queue and room > 0:
                item = queue.popleft()
                room -= item[3]
                self._bytes -= item[3]
                taken.append(item)
            if not queue:
                self._awake = False
                for severity, n in enumerate(self._last):
                    if n > self._sent[severity]:
                        self._sent[severity] = n  # with what was dropped
        return taken

    def _report(self) -> None:
        """Say in the log itself how many records were dropped here."""
        count = self.dropped - self._told_dropped
        if not count:
            return
        self._told_dropped += count
        what = "record was" if count == 1 else "records were"
        message = f"{count} {what} dropped here, as too many waited to be sent"
        about = ("roc.dropped", b"%d" % count)
        entry = Entry(self._wall(), message, None, OWN_LOGGER, _WARNING, "WARNING")
        self.put(entry._replace(extra=(about,)))

    def _beacon(self, now: float) -> list[bytes]:
        self._due = now + BEACON
        self._told_at = now
        self._told = [*self._sent]
        resource = self.resource
        return encode_beacon(
            Beacon(
                *(resource.source, resource.node, resource.host, resource.pid, "log"),
                sent={f"{at:02d}": n for at, n in enumerate(self._told) if n},
                age=round(now - (self._began or now), 3),
            )
        )

    def empty(self) -> bool:
        """Whether nothing waits to be sent, the beacon that tells of all of it included."""
        return not self._queue and self._told == self._last

    def next_deadline(self) -> float | None:
        """When `take` should be asked, though nothing was put."""
        if not self.linked:
            return None
        due = self._due if self._told == self._sent else min(self._due, self._told_at + _SOON)
        return min(due, self._taken_at + _GATHER) if self._queue else due

    # ---- looking inside

    def snapshot(self) -> dict[str, Any]:
        """Plain copies for monitoring."""
        return {
            "source": self.resource.source,
            "node": self.resource.node,
            "waiting": len(self._queue),
            "bytes": self._bytes,
            "dropped": self.dropped,
            "written": sum(self._last),
        }

    def check(self) -> None:
        """Every invariant."""
        with self._lock:
            assert self._bytes == sum(item[3] for item in self._queue)
            assert len(self._queue) <= self._records
            assert self._bytes <= self._most
            assert all(a <= b for a, b in zip(self._sent, self._last, strict=True))


def _unwritten(entry: Entry, error: Exception) -> Entry:
    """What stands for an entry that cannot be written, of the same severity."""
    message = f"(this record could not be written: {type(error).__name__})"
    return Entry(0.0, message, None, OWN_LOGGER, entry.levelno, "")
