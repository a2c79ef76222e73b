"""`Broker`: the daemon as a library, for any program that wants one inside."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import __version__
from ._drivers import native
from ._drivers.clock import now as clock
from ._drivers.interrupts import OwnThread
from ._drivers.routing import Routing
from ._drivers.statefile import StateFile
from .config import resolve_broker
from .core.broker import BrokerCore
from .core.dispatch import Dispatcher
from .core.limits import Limits
from .core.logkeeper import LogKeeper
from .core.news import NewsCore
from .core.sharing import SharedObject
from .core.statuskeeper import StatusLimits
from .core.traffic import Traffic
from .endpoints import Endpoints
from .errors import Closed
from .monitor import BrokerMonitor
from .wire import mdp
from .wire.jsonrpc import parse_body
from .wire.values import Buffer

if TYPE_CHECKING:
    import zmq

__all__ = ["Broker", "Limits", "StatusLimits"]

_logger = logging.getLogger(__name__)
_logger.addHandler(logging.NullHandler())  # a program that sets up no log gets none

_NOTICES = {
    "serving": (logging.INFO, "{object}: {server} shares it"),
    "standby": (logging.INFO, "{object}: {server} stands by"),
    "held": (logging.INFO, "{object}: {server} wants it as well, and waits for a decision"),
    "left": (logging.INFO, "{object}: {server} has left"),
    "heard": (logging.INFO, "{object}: {server} is back"),
    "refused": (logging.WARNING, "{object}: {server} is refused, as {holder} shares it"),
    "silent": (logging.WARNING, "{object}: {server} is silent, and gets no more calls for now"),
    "lost": (logging.WARNING, "{object}: {server} is lost, with {calls} open calls"),
    "unsound": (logging.WARNING, "A server was turned away: {problem}"),
    "stood still": (logging.DEBUG, "This broker stood still for {seconds:.3f} s"),
    "unknown": (logging.DEBUG, "{object}: somebody calls it, and nobody shares it"),
}
"""What the core observes, for people: how severe it is, and the words."""


class Broker:
    """A broker, bound when this returns; it routes once it runs.

    Args:
        endpoints: where to bind. Base port 0 picks three consecutive free ports;
            ``self.endpoints`` then tells which.
        ctx: the ZeroMQ context that the peers use, for inproc, which is the only transport that
            needs one; it is never terminated here.
        limits, status_limits: how much it keeps.
        state_file: where it keeps the status tree over its own restart; None keeps none.

    Raises:
        ConfigError: a port in use, or an address that cannot be bound.

    Servers that come, go, are refused or lost are records of the logger
    ``runmacs.roc.broker``.

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
        status_limits: StatusLimits | None = None,
        state_file: str | None = None,
    ) -> None:
        self.broker_id = uuid.uuid4().hex
        self._core = BrokerCore(self.broker_id, limits, self._observe)
        about = {"broker": self.broker_id, "version": mdp.VERSION, "software": __version__}
        traffic = Traffic()
        self._state = None if state_file is None else StateFile(state_file, _logger.warning)
        self._news = NewsCore(
            self.broker_id,
            status_limits,
            presence=self._core.registry.presence,
            figures=lambda: monitor.figures(),
            save=self._state.save if self._state else None,
            logs=LogKeeper(self._core.limits.log_records, self._core.limits.log_bytes),
        )
        monitor = BrokerMonitor(self._core, self._news, clock, traffic, native.RUNS)
        shared = SharedObject(monitor, mdp.BROKER_ID.decode())
        self._dispatcher = Dispatcher(shared, about)
        where = endpoints if isinstance(endpoints, Endpoints) else resolve_broker(endpoints)
        self._routing = Routing(ctx, where, self._core, self._answer, self._news, traffic)
        self.endpoints = self._routing.endpoints
        self._thread: threading.Thread | None = None
        self._stopped = False

    def _observe(self, what: str, facts: dict[str, Any]) -> None:
        _log(what, facts)
        if "server" in facts and "object" in facts:
            self._news.on_object(facts["object"])

    def _restore(self) -> None:
        saved = self._state.load() if self._state else None
        if saved is not None:
            self._news.restore(*saved, clock())

    def _answer(self, frames: Sequence[Buffer]) -> list[Buffer]:
        return self._dispatcher.serve(parse_body(frames[0]), frames)

    def run(self) -> None:
        """Route in this thread until `stop`; then tell the workers, and close.

        A broker runs once: to route again, make a new one.
        """
        level = logging.WARNING if native.BROKEN else logging.INFO
        _logger.log(level, "The broker's hot paths run in %s%s", native.RUNS, _why_not())
        self._restore()
        try:
            self._routing.run()
        finally:
            if self._state is not None:
                self._news.save(clock())
                self._state.close()

    def start(self) -> Broker:
        """Route in a thread of its own.

        Raises:
            Closed: it was stopped already, or left behind by a fork.
        """
        if self._stopped:
            raise Closed("this broker was stopped; make a new one.")
        self._routing.check_owner()
        if self._thread is None:
            self._thread = OwnThread(self.run, "roc-broker")
            self._thread.start()
        return self

    def stop(self) -> None:
        """Stop, from any thread or a signal handler; waits for the thread of `start`."""
        self._stopped = True
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


def _why_not() -> str:
    return f", and not in C: {native.WHY_NOT}" if native.WHY_NOT else ""


def _log(what: str, facts: dict[str, Any]) -> None:
    level, words = _NOTICES[what]
    if _logger.isEnabledFor(level):
        _logger.log(level, "%s", words.format_map(facts))
