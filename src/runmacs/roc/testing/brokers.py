"""A broker in a simulated network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ..core.broker import BrokerCore
from ..core.effects import Asked, Effect
from ..core.events import Drained, StoodStill, Stop, Tick, Unreachable
from ..core.liveness import Standstill
from ..wire import mdp
from ..wire.jsonrpc import METHOD_NOT_FOUND, Request, encode_error, encode_result, parse_body
from .history import call_in
from .network import Arrival, Connection, MemoryNetwork
from .process import SimulatedProcess

__all__ = ["SimulatedBroker"]


class SimulatedBroker(SimulatedProcess):
    """The loop of the real broker around a `BrokerCore`; ``core`` makes one for each life.

    Over plain sockets it notices at once when a peer's connection has ended; over libzmq
    (``notices`` is false) when it next sends to it.
    """

    core: BrokerCore

    def __init__(
        self,
        network: MemoryNetwork,
        name: str = "broker",
        core: Callable[[str], BrokerCore] = BrokerCore,
        notices: bool = True,
        **clock: float,
    ) -> None:
        super().__init__(network, name, **clock)
        self._make = core
        self._notices = notices
        self._gone: list[bytes] = []
        self._connections: dict[bytes, Connection] = {}
        network.router = self
        self.start()

    # ---- connections

    @property
    def accepts(self) -> bool:
        """Whether a connection can be made now."""
        return self.alive and not self.frozen

    def accept(self, connection: Connection) -> bytes:
        """A connection stands; returns its routing id."""
        self._accepted += 1
        rid = b"\0" + self._accepted.to_bytes(4, "big")
        self._connections[rid] = connection
        return rid

    def deliver(self, arrival: Arrival) -> None:
        """Something has come. What was meant for an earlier life is lost."""
        connection = arrival.connection
        if self._connections.get(connection.rid) is connection:
            super().deliver(arrival)

    def _on_closed(self, arrival: Arrival) -> None:
        arrival.connection.up_at_router = False
        self._connections.pop(arrival.connection.rid, None)
        self._gone.append(arrival.connection.rid)

    # ---- life and death

    def _begin(self) -> None:
        self._accepted = 0
        self._gone = []
        self.core = self._make(self.label)

    def stop(self) -> None:
        """End in good order (SIGTERM)."""
        if self.alive and not self.frozen:
            self.note("stops")
            self._handle(Stop(), self.local())
            self._die()

    def _die(self) -> None:
        super()._die()
        for connection in self._connections.values():
            connection.close_at_router()
        self._connections = {}

    # ---- the loop

    def _turn(self, now: float, stale: float | None) -> None:
        still = self._still
        if stale is None:
            self._stood_still(still.awake(now), now)
        elif now - stale > Standstill.THRESHOLD:
            self._stood_still(still.waiting(now, 0.0), now)
        self._read(now)
        if still.age and still.drained(now):
            self._handle(Drained(), now)
        gone, self._gone = self._gone, []
        for peer in gone:
            if self._notices and peer in self.core.registry.workers:
                self._handle(Unreachable([peer]), now)
        due = self.core.next_deadline()
        if due is not None and now >= due:
            self._handle(Tick(), now)
        self._stood_still(self._wait(now, self.core.next_deadline()), now)

    def _read(self, now: float) -> None:
        core, inbox = self.core, self._inbox
        out: list[Effect] = []
        while inbox:
            arrival = self._next()
            frames = arrival.frames or []
            rid = arrival.connection.rid
            if frames[1] == mdp.CLIENT and frames[2][-1:] != b"!":
                self.note("reads", call_in(frames[3]), arrival)
            core.on_frames([rid, *frames], now, out)
            core.check()
        self._carry_out(out, now)

    def _next(self) -> Arrival:
        """One of the messages, in order for each connection, connections as they come."""
        inbox = self._inbox
        if len(inbox) > 1:
            first = self.network.random.randrange(len(inbox))
            connection = inbox[first].connection
            for index, arrival in enumerate(inbox):
                if arrival.connection is connection:
                    del inbox[index]
                    return arrival
        return inbox.popleft()

    def _stood_still(self, seconds: float, now: float) -> None:
        if seconds:
            self._handle(StoodStill(seconds), now)

    def _handle(self, event: Any, now: float) -> None:
        out = self.core.handle(event, now)
        self.core.check()
        self._carry_out(out, now)

    def _carry_out(self, out: list[Effect], now: float) -> None:
        while out:
            effects, out[:] = out[:], []
            for effect in effects:
                if isinstance(effect, Asked):
                    effect = [effect.client, b"", mdp.CLIENT, effect.name, self._answer(effect)]
                if not isinstance(effect, list):
                    continue
                connection = self._connections.get(bytes(effect[0]))
                if connection is None or not connection.send_down(effect[1:]):
                    out += self.core.handle(Unreachable(effect), now)
                    self.core.check()
                elif effect[3] == mdp.REQUEST:
                    self.note("hands over", call_in(bytes(effect[6])))

    def _answer(self, asked: Asked) -> bytes:
        """What ``roc.broker`` says to a ping, which is all that is asked here."""
        request = parse_body(asked.frames[0]).items[0]
        reply_id = request.reply_id or b"null"
        if isinstance(request, Request) and request.method == "rpc.ping":
            about = {"broker": self.core.broker_id, "version": mdp.VERSION}
            return encode_result(reply_id, msgspec.json.encode(about))
        return encode_error(reply_id, METHOD_NOT_FOUND, "The simulated broker answers pings only.")
