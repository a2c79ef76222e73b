"""`Broker`: the daemon as a library, for any program that wants one inside."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import __version__
from ._drivers.clock import now as clock
from ._drivers.routing import Routing
from .config import resolve_broker
from .core.broker import BrokerCore, Limits
from .core.dispatch import Dispatcher
from .core.sharing import SharedObject
from .endpoints import Endpoints
from .monitor import BrokerMonitor
from .wire import mdp
from .wire.jsonrpc import parse_body
from .wire.values import Buffer

if TYPE_CHECKING:
    import zmq

__all__ = ["Broker", "Limits"]


class Broker:
    """A broker, bound when this returns; it routes once it runs.

    Args:
        endpoints: where to bind. Base port 0 picks three consecutive free ports;
            ``self.endpoints`` then tells which.
        ctx: a ZeroMQ context to use (inproc needs the one that the peers use); it is never
            terminated here.

    Raises:
        ConfigError: a port in use, or an address that cannot be bound.

    Example::

        with Broker(Endpoints("127.0.0.1", 0)) as broker:
            client = RocClient(broker.endpoints)
    """

    def __init__(
        self,
        endpoints: Endpoints | str | None = None,
        ctx: zmq.Context[Any] | None = None,
        *,
        limits: Limits | None = None,
    ) -> None:
        self.broker_id = uuid.uuid4().hex
        self._core = BrokerCore(self.broker_id, limits)
        about = {"broker": self.broker_id, "version": mdp.VERSION, "software": __version__}
        shared = SharedObject(BrokerMonitor(self._core, clock), mdp.BROKER_ID.decode())
        self._dispatcher = Dispatcher(shared, about)
        where = endpoints if isinstance(endpoints, Endpoints) else resolve_broker(endpoints)
        self._routing = Routing(ctx, where, self._core, self._answer)
        self.endpoints = self._routing.endpoints
        self._thread: threading.Thread | None = None

    def _answer(self, frames: Sequence[Buffer]) -> list[Buffer]:
        return self._dispatcher.serve(parse_body(frames[0]), frames)

    def run(self) -> None:
        """Route in this thread until `stop`; then tell the workers, and close."""
        self._routing.run()

    def start(self) -> Broker:
        """Route in a thread of its own."""
        if self._thread is None:
            self._thread = threading.Thread(target=self.run, name="roc-broker", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """Stop, from any thread or a signal handler; waits for the thread of `start`."""
        self._routing.stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Broker:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Broker at {self.endpoints.rocBroker}>"
