"""`MemoryNetwork`: order, delays, outages, cuts and losses, below all that ROC does."""

from __future__ import annotations

from typing import Any

import pytest

from runmacs.roc.testing import MemoryNetwork
from runmacs.roc.testing.network import Arrival, Connection


class End:
    """A router or dealer that only takes note."""

    def __init__(self, network: MemoryNetwork, label: str) -> None:
        self.network = network
        self.label = label
        self.accepts = True
        self.connection: Connection | None = None
        self.got: list[tuple[float, Any]] = []

    def accept(self, connection: Connection) -> bytes:
        """A connection stands; returns its routing id."""
        return b"\0peer"

    def connected(self, connection: Connection) -> None:
        """The connection that was asked for stands."""
        self.connection = connection

    def deliver(self, arrival: Arrival) -> None:
        """Something has come; without frames, the end of its connection."""
        what = None if arrival.frames is None else arrival.frames[3]
        self.got.append((self.network.clock.now, what))

    @property
    def read(self) -> list[Any]:
        """What has come, in order; None for the end of a connection."""
        return [what for _, what in self.got]


class Pair:
    """A dealer and a router, connected."""

    def __init__(self, seed: int = 0) -> None:
        self.network = MemoryNetwork(seed=seed)
        self.clock = self.network.clock
        self.line = self.network.line("peer")
        self.router, self.dealer = End(self.network, "broker"), End(self.network, "peer/1")
        self.network.router = self.router
        self.network.connect("peer", self.dealer)
        self.clock.run(1.0)
        assert self.dealer.connection is not None
        self.connection = self.dealer.connection

    def send(self, count: int, up: bool = True) -> None:
        """Send numbered messages, a moment apart."""
        way = self.connection.send_up if up else self.connection.send_down
        for number in range(count):
            assert way([b"", b"MDPC01", b"x", number])
            self.clock.run(0.001)


@pytest.fixture(params=range(5))
def pair(request: pytest.FixtureRequest) -> Pair:
    return Pair(request.param)


def test_messages_keep_their_order_however_long_each_takes(pair: Pair) -> None:
    pair.line.delay = (0.0, 1.0)
    pair.send(50)
    pair.send(50, up=False)
    pair.clock.run(2.0)
    assert pair.router.read == list(range(50))
    assert pair.dealer.read == list(range(50))


def test_an_outage_delays_and_loses_nothing(pair: Pair) -> None:
    pair.network.outage("peer", 3.0)
    until = pair.clock.now + 3.0
    pair.send(5)
    pair.clock.run(2.9)
    assert pair.router.got == []
    pair.clock.run(1.0)
    assert pair.router.read == list(range(5))
    assert {when for when, _ in pair.router.got} == {until}


def test_an_outage_may_be_of_one_direction(pair: Pair) -> None:
    pair.network.outage("peer", 3.0, down=False)
    pair.send(1)
    pair.send(1, up=False)
    pair.clock.run(1.0)
    assert (pair.router.read, pair.dealer.read) == ([], [0])


def test_healing_ends_an_outage_without_end(pair: Pair) -> None:
    pair.network.outage("peer", float("inf"))
    pair.send(3)
    pair.clock.run(100.0)
    assert pair.router.read == []
    pair.network.heal()
    pair.clock.run(0.1)
    assert pair.router.read == [0, 1, 2]


def test_a_cut_loses_what_is_under_way_and_both_notice(pair: Pair) -> None:
    pair.line.delay = (0.5, 0.5)
    pair.send(3)
    pair.send(3, up=False)
    pair.network.cut("peer")
    pair.clock.run(2.0)
    assert (pair.router.read, pair.dealer.read) == ([None], [None])


def test_a_lost_message_takes_its_connection_with_it(pair: Pair) -> None:
    pair.send(2)
    pair.line.loss = 1.0
    pair.send(1)
    pair.clock.run(1.0)
    assert pair.router.read == [0, 1, None]
    assert pair.dealer.read == [None]


def test_who_leaves_is_heard_to_the_end(pair: Pair) -> None:
    pair.send(3)
    pair.connection.close()
    assert not pair.connection.send_up([b"", b"MDPC01", b"x", 9])
    pair.clock.run(1.0)
    assert pair.router.read == [0, 1, 2, None]


def test_connecting_goes_on_until_somebody_accepts() -> None:
    network = MemoryNetwork()
    dealer = End(network, "peer/1")
    network.connect("peer", dealer)
    network.clock.run(5.0)
    assert dealer.connection is None
    network.router = End(network, "broker")
    network.clock.run(1.0)
    assert dealer.connection is not None


def test_the_same_seed_gives_the_same_delays() -> None:
    histories = []
    for seed in (1, 1, 2):
        pair = Pair(seed)
        pair.send(20)
        histories.append(pair.router.got)
    assert histories[0] == histories[1] != histories[2]
