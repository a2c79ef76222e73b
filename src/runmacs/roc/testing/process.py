"""A simulated process: a loop around a core, which can be killed, frozen and restarted.

The loop is that of the real drivers: wait for a message or for what is due, take note of
one's own standstill, read until nothing is left, see what is due.

* A *frozen* process does not run, and its connections stay. What comes meanwhile is in
  the kernel's buffers; after the thaw libzmq's thread needs a moment to bring it in, so
  that the loop may find its socket empty first.
* A process that is frozen *at work*, not while it waits, has looked at the clock already.
* A *killed* process is gone with all that it knew; its connections end.
* A *peer* of the broker has one connection, and makes another when that is gone.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from ..core.liveness import Standstill
from .clock import LocalClock, Timer
from .network import Arrival, Connection, MemoryNetwork

__all__ = ["TURN", "SimulatedPeer", "SimulatedProcess"]

TURN = 0.25
"""Seconds that a loop waits at most, as in the drivers."""

_CATCH_UP = 0.003


class SimulatedProcess:
    """What broker, server and client have in common.

    Args:
        network: where it lives.
        name: what people call it; its line in the network has the same name.
        offset, rate: how its clock differs from the network's.
    """

    def __init__(
        self, network: MemoryNetwork, name: str, offset: float = 0.0, rate: float = 1.0
    ) -> None:
        self.network = network
        self.name = name
        self.local = LocalClock(network.clock, offset, rate)
        self.alive = False
        self.frozen = False
        self.lives = 0
        self._inbox: deque[Arrival] = deque()
        self._kernel: deque[Arrival] = deque()
        self._catching_up = False
        self._still = Standstill()
        self._timer: Timer | None = None
        self._frozen_at = 0.0
        self._at_work = self._clock_stops = False

    @property
    def label(self) -> str:
        """Its name and which of its lives this is: ``vnir/2``."""
        return f"{self.name}/{self.lives}"

    def note(self, what: str, call: str = "", more: Any = None) -> None:
        """Write into the network's history."""
        self.network.history.add(self.network.clock.now, self.label, what, call, more)

    # ---- life and death

    def start(self) -> None:
        """Begin a life, with nothing known from earlier ones."""
        self.lives += 1
        self.alive = True
        self.frozen = self._catching_up = False
        self._inbox.clear()
        self._kernel.clear()
        self._still = Standstill()
        self.note("starts")
        self._begin()
        self.wake()

    def kill(self) -> None:
        """End at once, without a word (SIGKILL)."""
        if self.alive:
            self.note("is killed")
            self._die()

    def restart(self) -> None:
        """Kill it if it lives, and start it again."""
        self.kill()
        self.start()

    def freeze(self, at_work: bool = False, clock_stops: bool = False) -> None:
        """Stop running (SIGSTOP, a suspended computer) until `thaw`.

        ``clock_stops``: its clock stands still as well, as that of a virtual machine may.
        """
        if self.alive and not self.frozen:
            self.frozen = True
            self._at_work = at_work
            self._clock_stops = clock_stops
            self._frozen_at = self.network.clock.now
            self.note("is frozen", more="at work" if at_work else None)

    def thaw(self) -> None:
        """Run again."""
        if self.alive and self.frozen:
            clock = self.network.clock
            self.frozen = False
            self.note("thaws")
            seconds = clock.now - self._frozen_at
            if self._clock_stops:
                self.local.offset -= seconds * self.local.rate
            self._on_thaw(seconds)
            self._catching_up = True
            if self.network.random.random() < 0.5:
                self._catch_up()
            else:
                clock.after(self.network.random.uniform(0.0, _CATCH_UP), self._catch_up)
            self.wake()

    def _die(self) -> None:
        self.alive = self.frozen = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _catch_up(self) -> None:
        if self._catching_up and not self.frozen:
            self._catching_up = False
            while self._kernel:
                self._take_in(self._kernel.popleft())

    # ---- for the kinds of processes

    def _begin(self) -> None:
        """Make the core anew, and connect."""
        raise NotImplementedError

    def _turn(self, now: float, stale: float | None) -> None:
        """One turn of the loop; ends with `_wait`. ``stale``: looked at before a freeze."""
        raise NotImplementedError

    def _on_thaw(self, seconds: float) -> None:
        """It was frozen for so long."""

    def _on_closed(self, arrival: Arrival) -> None:
        """The end of a connection is noticed."""
        raise NotImplementedError

    # ---- the loop

    def deliver(self, arrival: Arrival) -> None:
        """Something has come, or a connection has ended."""
        if not self.alive:
            return
        if self.frozen or self._catching_up:
            self._kernel.append(arrival)
        else:
            self._take_in(arrival)

    def _take_in(self, arrival: Arrival) -> None:
        if arrival.frames is None:
            gone = arrival.connection
            if gone.broken and self.network.random.random() < 0.5:
                kept = [known for known in self._inbox if known.connection is not gone]
                self._inbox = deque(kept)
            self._on_closed(arrival)
        else:
            self._inbox.append(arrival)
        self.wake()

    def wake(self) -> None:
        """End the wait."""
        self._plan(self.network.clock.now)

    def _wait(self, now: float, due: float | None) -> float:
        """Wait for a message, or until ``due`` (own clock); returns how long work overran."""
        turn = Standstill.SETTLE if self._still.age else TURN
        timeout = turn if due is None else max(0.0, min(turn, due - now))
        overran = self._still.waiting(now, timeout)
        self._plan(self.local.true(now + timeout) + 1e-9)
        return overran

    def _plan(self, when: float) -> None:
        timer = self._timer
        if timer is not None:
            if timer.when <= when:
                return
            timer.cancel()
        self._timer = self.network.clock.at(when, self._run)

    def _run(self) -> None:
        self._timer = None
        if not self.alive or self.frozen:
            return
        stale = None
        if self._at_work:
            self._at_work = False
            stood = 0.0 if self._clock_stops else self.network.clock.now - self._frozen_at
            stale = self.local() - stood * self.local.rate
        self._turn(self.local(), stale)


class SimulatedPeer(SimulatedProcess):
    """What server and client have in common: a connection, and what became of it meanwhile."""

    _connection: Connection
    _changes: list[bool]

    def _connect(self) -> None:
        """Connect anew; what came before and was not read is gone."""
        self._inbox.clear()
        self._kernel.clear()
        self._connection = self.network.connect(self.name, self)

    def connected(self, connection: Connection) -> None:
        """The connection stands."""
        if self.alive:
            self._changes.append(True)
            self.wake()

    def _on_closed(self, arrival: Arrival) -> None:
        if arrival.connection is self._connection:
            self._changes.append(False)
            self._connection.closed = True
            self._connection.up_at_dealer = False
            self._connection = self.network.connect(self.name, self)

    def _die(self) -> None:
        super()._die()
        self._connection.close()
