"""A server that answers calls which were handed to others, under their own tokens."""

from __future__ import annotations

from runmacs.roc.testing import MemoryNetwork, SimulatedBroker
from runmacs.roc.testing.network import Arrival, Connection
from runmacs.roc.wire import mdp

__all__ = ["Rogue"]

_EVERY = 0.17


class Rogue:
    """Registers an object of its own, so that it is a worker like any other, and forges."""

    label = "rogue"

    def __init__(self, network: MemoryNetwork, broker: SimulatedBroker) -> None:
        self._network = network
        self._broker = broker
        self._connection = network.connect("rogue", self)
        self.forging = True
        network.clock.after(_EVERY, self._forge)

    def connected(self, connection: Connection) -> None:
        """Register, without a greeting: as a stock worker."""
        connection.send_up([b"", mdp.WORKER, mdp.READY, b"rogue"])

    def deliver(self, arrival: Arrival) -> None:
        """Begin again when sent away or cut off."""
        frames = arrival.frames
        if frames is None:
            self._connection.closed = True
            self._connection = self._network.connect("rogue", self)
        elif frames[2] == mdp.DISCONNECT:
            self._connection.send_up([b"", mdp.WORKER, mdp.READY, b"rogue"])

    def _forge(self) -> None:
        self._network.clock.after(_EVERY, self._forge)
        for worker in list(self._broker.core.registry.workers.values()):
            for token, text in list(worker.held_calls.items()):
                number = bytes(text).partition(b'"id":')[2].partition(b",")[0]
                forged = b'{"jsonrpc":"2.0","id":%b,"result":"forged"}' % number
                frames = [b"", mdp.WORKER, mdp.REPLY, token, b"", forged]
                self._connection.send_up(frames)
        self._connection.send_up([b"", mdp.WORKER, mdp.HEARTBEAT])
