"""The public kit for tests of programs that use ROC, and of ROC itself.

**A real broker** on free ports, for the tests of an instrument's server::

    with run_broker() as endpoints, RocServer(endpoints, "vnir", VNIRCamera()):
        with RocClient(endpoints) as client:
            assert client["vnir"].fps == 10.0

In pytest the fixtures ``roc_broker`` and ``roc_client`` do the same; see `plugin`.

**A cable that can be pulled** (`LossyLink`), between a broker and any peer of it, whatever
its language::

    with LossyLink(endpoints) as link, RocClient(link.endpoints) as client:
        client.wait_for("vnir")
        link.cut()

**A whole laboratory in one process**, without sockets, threads or waiting: the automata that
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

Names are resolved when they are first used: pytest loads the plugin in every run of
everybody who has installed ROC.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Entry": "history",
    "Execution": "servers",
    "FakeClock": "clock",
    "History": "history",
    "Line": "network",
    "LocalClock": "clock",
    "LossyLink": "lossylink",
    "Made": "clients",
    "MemoryNetwork": "network",
    "Message": "history",
    "SimulatedBroker": "brokers",
    "SimulatedClient": "clients",
    "SimulatedProcess": "process",
    "SimulatedServer": "servers",
    "Timer": "clock",
    "run_broker": "daemon",
}

if TYPE_CHECKING:
    from .brokers import SimulatedBroker as SimulatedBroker
    from .clients import Made as Made
    from .clients import SimulatedClient as SimulatedClient
    from .clock import FakeClock as FakeClock
    from .clock import LocalClock as LocalClock
    from .clock import Timer as Timer
    from .daemon import run_broker as run_broker
    from .history import Entry as Entry
    from .history import History as History
    from .history import Message as Message
    from .lossylink import LossyLink as LossyLink
    from .network import Line as Line
    from .network import MemoryNetwork as MemoryNetwork
    from .process import SimulatedProcess as SimulatedProcess
    from .servers import Execution as Execution
    from .servers import SimulatedServer as SimulatedServer

__all__ = [
    "Entry",
    "Execution",
    "FakeClock",
    "History",
    "Line",
    "LocalClock",
    "LossyLink",
    "Made",
    "MemoryNetwork",
    "Message",
    "SimulatedBroker",
    "SimulatedClient",
    "SimulatedProcess",
    "SimulatedServer",
    "Timer",
    "run_broker",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
