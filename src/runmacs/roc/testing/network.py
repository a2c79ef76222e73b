"""A network in memory, which can be slow, interrupted and cut on purpose.

As TCP and libzmq do it:

* Each direction of a connection keeps its order. What is delayed arrives later, in
  order; nothing vanishes from the middle.
* An *outage* holds everything, the end of a connection too, and delivers it afterwards.
* A *cut* loses the connection and what was under way; both sides notice, each in its
  own time. Losing a single message (`Line.loss`) is such a cut, at that message.
* Who connects tries again until there is a broker that accepts, and each connection has
  a routing id of its own at the broker. (The ids of a restarted broker are those of its
  predecessor again: the worst case.)
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any, Protocol

from .clock import FakeClock, Timer
from .history import History, Message

__all__ = ["Arrival", "Connection", "Dealer", "Line", "MemoryNetwork", "Router"]

_RETRY = 0.05
_RETRY_MAX = 0.5
_NOTICE = 0.02
_NEVER = float("inf")


class Arrival:
    """Frames at the end of their way; ``sent`` and ``arrived`` are true times."""

    __slots__ = ("arrived", "connection", "frames", "sent")

    def __init__(self, connection: Connection, frames: list[Any] | None, sent: float) -> None:
        self.connection = connection
        self.frames = frames
        self.sent = sent
        self.arrived = sent

    def __str__(self) -> str:
        return f"what was sent at {self.sent:.4f} and came at {self.arrived:.4f}"


class Router(Protocol):
    """The side that accepts connections."""

    @property
    def label(self) -> str:
        """Who it is, for the history."""

    @property
    def accepts(self) -> bool:
        """Whether a connection can be made now."""

    def accept(self, connection: Connection) -> bytes:
        """A connection stands; returns its routing id."""

    def deliver(self, arrival: Arrival) -> None:
        """Something has come; without frames, the end of its connection."""


class Dealer(Protocol):
    """The side that connects."""

    @property
    def label(self) -> str:
        """Who it is, for the history."""

    def connected(self, connection: Connection) -> None:
        """The connection that was asked for stands."""

    def deliver(self, arrival: Arrival) -> None:
        """Something has come; without frames, the end of its connection."""


class Line:
    """What lies between one process and the broker, for all of its connections."""

    def __init__(self) -> None:
        self.delay = (0.0002, 0.001)
        """Seconds that a message takes, at least and at most."""
        self.loss = 0.0
        """The probability that a message is lost, and its connection with it."""
        self.held_up = 0.0
        self.held_down = 0.0


class Connection:
    """One connection of a dealer with a router."""

    def __init__(self, network: MemoryNetwork, line: Line, dealer: Dealer) -> None:
        self.network = network
        self.line = line
        self.dealer = dealer
        self.router: Router | None = None
        self.rid = b""
        self.up_at_dealer = self.up_at_router = False
        self.closed = False
        self.broken = False
        self._up = _Way(self, upward=True)
        self._down = _Way(self, upward=False)
        self._attempts = 0

    # ---- its beginning

    def attempt(self) -> None:
        """Try to reach the broker; again later if there is none."""
        if self.closed:
            return
        clock, router, line = self.network.clock, self.network.router, self.line
        held = max(line.held_up, line.held_down) > clock.now
        if router is None or not router.accepts or held:
            wait = min(_RETRY_MAX, _RETRY * 2.0**self._attempts)
            self._attempts = min(self._attempts + 1, 10)
            clock.after(wait * self.network.random.uniform(0.5, 1.5), self.attempt)
            return
        self.router = router
        self.up_at_dealer = self.up_at_router = True
        self.rid = router.accept(self)
        self.dealer.connected(self)

    # ---- messages

    def send_up(self, frames: list[Any]) -> bool:
        """From the dealer to the router; False when there is no connection."""
        if not self.up_at_dealer:
            return False
        self._up.put(frames)
        return True

    def send_down(self, frames: list[Any]) -> bool:
        """From the router to the dealer; False when there is no connection."""
        if not self.up_at_router:
            return False
        self._down.put(frames)
        return True

    # ---- its end

    def close(self) -> None:
        """The dealer leaves: what it sent still arrives, what is under way to it does not."""
        self.closed = True
        if self.up_at_dealer:
            self.up_at_dealer = False
            self._down.lose("nobody reads it")
            self._up.put(None)

    def close_at_router(self) -> None:
        """The router is gone: what it sent still arrives."""
        if self.up_at_router:
            self.up_at_router = False
            self._up.lose("nobody reads it")
            self._down.put(None)

    def cut(self) -> None:
        """The connection breaks, with all that is under way."""
        if self.router is None:
            return
        self.broken = True
        for way in (self._up, self._down):
            way.lose("cut")
            way.put(None, notice=_NOTICE)

    @property
    def matters(self) -> bool:
        """Whether it stands, is tried, or still has something under way."""
        return not self.closed or self._up.busy or self._down.busy

    def resume(self) -> None:
        """An outage is over."""
        self._up.resume()
        self._down.resume()


class _Way:
    """One direction of a connection."""

    __slots__ = ("_connection", "_last", "_timer", "_under_way", "_upward")

    def __init__(self, connection: Connection, upward: bool) -> None:
        self._connection = connection
        self._upward = upward
        self._under_way: deque[Arrival] = deque()
        self._timer: Timer | None = None
        self._last = 0.0

    @property
    def busy(self) -> bool:
        """Whether something is under way."""
        return bool(self._under_way)

    def put(self, frames: list[Any] | None, notice: float = 0.0) -> None:
        """Send frames, or None for the end of the connection."""
        connection = self._connection
        network, line = connection.network, connection.line
        now = network.clock.now
        if frames is not None:
            if line.loss and network.random.random() < line.loss:
                self._note("lost: with its connection", frames)
                connection.cut()
                return
            self._note("sent", frames)
        arrival = Arrival(connection, frames, now)
        delay = network.random.uniform(*line.delay) + network.random.uniform(0.0, notice)
        arrival.arrived = self._last = max(self._last, now + delay)
        self._under_way.append(arrival)
        if self._timer is None:
            self._timer = network.clock.at(arrival.arrived, self._arrive)

    def lose(self, why: str) -> None:
        """Drop all that is under way."""
        for arrival in self._under_way:
            if arrival.frames is not None:
                self._note(f"lost: {why}", arrival.frames)
        self._under_way.clear()

    def _arrive(self) -> None:
        clock, line = self._connection.network.clock, self._connection.line
        now = clock.now
        held = line.held_up if self._upward else line.held_down
        self._timer = None
        if held > now:
            if held < _NEVER:
                self._timer = clock.at(held, self._arrive)
            return
        while self._under_way and self._under_way[0].arrived <= now:
            arrival = self._under_way.popleft()
            arrival.arrived = now
            self._deliver(arrival)
        if self._under_way:
            self._timer = clock.at(self._under_way[0].arrived, self._arrive)

    def resume(self) -> None:
        """An outage may be over: look again."""
        if self._under_way:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._connection.network.clock.after(0.0, self._arrive)

    def _deliver(self, arrival: Arrival) -> None:
        connection = self._connection
        if not self._upward:
            if not connection.closed:
                connection.dealer.deliver(arrival)
        elif connection.router is not None:
            connection.router.deliver(arrival)

    def _note(self, what: str, frames: list[Any]) -> None:
        connection = self._connection
        names = connection.dealer.label, connection.router.label if connection.router else "?"
        sender, receiver = names if self._upward else names[::-1]
        network = connection.network
        network.history.messages.append(Message(network.clock.now, sender, receiver, what, frames))


class MemoryNetwork:
    """Lines between a broker and its peers.

    The same ``seed`` gives the same delays and losses.

    Example:
        >>> network = MemoryNetwork(seed=7)
        >>> network.line("vnir").delay = (0.1, 0.2)
        >>> network.outage("vnir", seconds=3.0)
    """

    def __init__(self, clock: FakeClock | None = None, seed: int = 0) -> None:
        self.clock = clock or FakeClock()
        self.random = random.Random(seed)
        self.history = History()
        self.router: Router | None = None
        self.connections: list[Connection] = []
        self._lines: dict[str, Line] = {}

    def line(self, name: str) -> Line:
        """The line of the process of this name."""
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = Line()
        return line

    def connect(self, name: str, dealer: Dealer) -> Connection:
        """Connect a process with the broker, now or as soon as there is one."""
        self.connections = [known for known in self.connections if known.matters]
        connection = Connection(self, self.line(name), dealer)
        self.connections.append(connection)
        self.clock.after(self.line(name).delay[1] * 3, connection.attempt)
        return connection

    def outage(self, name: str, seconds: float, up: bool = True, down: bool = True) -> None:
        """For so long nothing gets through, towards the broker (up) or from it (down)."""
        line, until = self.line(name), self.clock.now + seconds
        if up:
            line.held_up = max(line.held_up, until)
        if down:
            line.held_down = max(line.held_down, until)

    def heal(self) -> None:
        """End all outages, losses and delays."""
        for line in self._lines.values():
            line.held_up = line.held_down = line.loss = 0.0
            line.delay = (0.0002, 0.001)
        for connection in self.connections:
            connection.resume()

    def cut(self, name: str) -> None:
        """Break the connection of this process."""
        line = self.line(name)
        for connection in self.connections:
            if connection.line is line and not connection.closed:
                connection.cut()
