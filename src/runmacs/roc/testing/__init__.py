"""The public kit for tests of programs that use ROC, and of ROC itself.

A whole laboratory in one process, without sockets, threads or waiting: the automata that
the real broker, servers and clients are made of, in a network that can be slow, interrupted
and cut, under a clock that is told when to go on::

    network = MemoryNetwork(seed=7)
    broker = SimulatedBroker(network)
    server = SimulatedServer(network, "vnir", "vnir")
    client = SimulatedClient(network, "anna")
    network.clock.run(1.0)

    made = client.call("vnir", "expose", 0.02)
    server.kill()
    network.clock.run(0.75)
    made.error                      # ServerLost, executed None
    print(network.history.story(made.id))

The same seed gives the same history, each time.
"""

from __future__ import annotations

from .brokers import SimulatedBroker
from .clients import Made, SimulatedClient
from .clock import FakeClock, LocalClock, Timer
from .history import Entry, History, Message
from .network import Line, MemoryNetwork
from .process import SimulatedProcess
from .servers import Execution, SimulatedServer

__all__ = [
    "Entry",
    "Execution",
    "FakeClock",
    "History",
    "Line",
    "LocalClock",
    "Made",
    "MemoryNetwork",
    "Message",
    "SimulatedBroker",
    "SimulatedClient",
    "SimulatedProcess",
    "SimulatedServer",
    "Timer",
]
