"""A cable that can be pulled: a relay between peers and their broker that fails when told to.

Rules:

* It keeps TCP's promises: each direction of a connection keeps its order, and nothing
  vanishes from the middle. What is stalled or delayed arrives later, the end of a
  connection too; what is cut is lost together with its connection.
* One thread with plain sockets does it all, also what it is told to: when `cut` returns,
  it is cut.
* Each direction of a connection holds 16 MiB at most. When it is full its sender waits, as
  for any other slow link. Of more than 500 connections the newest are reset.
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Literal

from .._drivers.dialing import Address, addresses_of, tune_stream
from .._drivers.forking import register
from .._drivers.gates import Waker
from .._drivers.interrupts import OwnThread
from ..endpoints import MAX_BASE_PORT, Endpoints, parse_endpoints
from ..errors import Closed, ConfigError
from .relay import Pair, connect, reset

__all__ = ["LossyLink"]

CONNECTIONS = 500
"""Connections at a time."""

_HOST = "127.0.0.1"
_BACKLOG = 100
_ATTEMPTS = 100
_OBEYS_WITHIN = 10.0

State = Literal["open", "stalled", "cut", "closed"]


class LossyLink:
    """A way to a broker that can be cut, stalled and slowed down.

    It listens on three free ports of this computer and passes on to the broker's three
    whatever comes, so that a peer need not know: it is merely given these `endpoints`.
    Give each peer that shall be cut off by itself a link of its own.

    Args:
        endpoints: the broker, in any spelling; tcp or ipc.

    Raises:
        ConfigError: an address that makes no sense here.

    Example:
        >>> from runmacs.roc import RocClient, RocServer, errors
        >>> from runmacs.roc.testing import LossyLink, run_broker
        >>> with (
        ...     run_broker() as endpoints,
        ...     RocServer(endpoints, "gains", [1, 2, 4]),
        ...     LossyLink(endpoints) as link,
        ...     RocClient(link.endpoints, timeout=0.5) as client,
        ... ):
        ...     client["gains"].index(4)
        ...     link.cut()
        ...     try:
        ...         client["gains"].clear()
        ...     except errors.BrokerUnreachable as error:
        ...         print("executed:", error.executed)
        ...     link.heal()
        ...     client.wait_for("gains").index(4)
        2
        executed: False
        2
    """

    def __init__(self, endpoints: Endpoints | str) -> None:
        broker = parse_endpoints(endpoints)
        if broker.transport == "inproc":
            raise ConfigError("inproc has no cable that could be pulled: use 'tcp' or 'ipc'.")
        self.broker = broker
        self._targets = [_resolved(broker, address) for address in _addresses(broker)]
        self._listeners = _free_ports()
        self.endpoints = Endpoints(_HOST, self._listeners[0].getsockname()[1])
        self._state: State = "open"
        self._delay = 0.0
        self._pairs: list[Pair] = []
        self._orders: SimpleQueue[tuple[Callable[[], None], Future[None]]] = SimpleQueue()
        self._selector = selectors.DefaultSelector()
        self._waker = Waker()
        self._selector.register(self._waker.fd, selectors.EVENT_READ)
        self._listen()
        register(self)
        self._thread = OwnThread(self._run, "roc-lossy-link")
        self._thread.start()

    # ---- what it is told

    def cut(self) -> None:
        """Pull the cable: every connection is reset, and new ones are refused."""
        self._order(self._cut)

    def stall(self) -> None:
        """Let nothing pass, without a word to anybody: connections stay, and are silent.

        As on a bad radio link, or with a switch that hangs. What is sent meanwhile arrives
        after `heal`, however late that is.
        """
        self._order(lambda: self._open("stalled"))

    def heal(self) -> None:
        """End a cut or a stall. A delay stays: ``delay(0)`` ends that."""
        self._order(lambda: self._open("open"))

    def delay(self, seconds: float) -> None:
        """From now on, let all that is sent arrive so many seconds later, each way."""
        if not 0 <= seconds < float("inf"):
            raise ConfigError(f"A delay is a number of seconds, 0 or more, not {seconds!r}.")
        self._check_open()
        self._delay = seconds

    def close(self) -> None:
        """End it: every connection is reset. May be called twice."""
        if self._state != "closed":
            self._order(self._end)
            self._thread.join()

    @property
    def state(self) -> State:
        """``open``, ``stalled``, ``cut`` or ``closed``."""
        return self._state

    @property
    def connections(self) -> int:
        """How many connections are held now."""
        return len(self._pairs)

    def __enter__(self) -> LossyLink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        places = f"{self.endpoints.rocBroker} to {self.broker.rocBroker}"
        return f"<LossyLink from {places}: {self._state}>"

    def _order(self, action: Callable[[], None]) -> None:
        """Have the thread do this, and wait until it has."""
        self._check_open()
        done: Future[None] = Future()
        self._orders.put((action, done))
        self._waker.wake()
        done.result(_OBEYS_WITHIN)

    def _check_open(self) -> None:
        if self._state == "closed":
            raise Closed("this link was closed; make a new one.")

    # ---- the thread

    def _run(self) -> None:
        try:
            while self._state != "closed":
                self._turn()
        finally:
            self._close_all()

    def _turn(self) -> None:
        ready = self._selector.select(self._timeout())
        self._obey()
        if self._state != "open":
            return
        due = time.monotonic() + self._delay
        for key, events in ready:
            if isinstance(key.data, Pair):
                key.data.on_ready(key.fd, events, due)
            elif key.data is not None:
                self._accept(key.data)
        self._pass_on()

    def _timeout(self) -> float | None:
        if self._state != "open":
            return None
        due = min((pair.next_due for pair in self._pairs), default=float("inf"))
        return None if due == float("inf") else max(0.0, due - time.monotonic())

    def _obey(self) -> None:
        self._waker.clear()
        with suppress(Empty):
            while True:
                action, done = self._orders.get_nowait()
                try:
                    action()
                except BaseException as error:
                    done.set_exception(error)
                else:
                    done.set_result(None)

    def _accept(self, number: int) -> None:
        """A peer connects: so do we, at the broker."""
        with suppress(OSError):
            near, _ = self._listeners[number].accept()
            far = connect(self._targets[number]) if self.connections < CONNECTIONS else None
            if far is None:
                reset(near)
                return
            tune_stream(near)
            near.setblocking(False)
            self._pairs.append(Pair(near, far))

    def _pass_on(self) -> None:
        """Send what is due, forget what has ended, and wait for what can come next."""
        now = time.monotonic()
        over = [pair for pair in self._pairs if not pair.pass_on(now)]
        for pair in over:
            self._forget(pair)
        for pair in self._pairs:
            for sock, events in pair.interests():
                self._watch(sock, events, pair)

    def _watch(self, sock: socket.socket, events: int, data: Pair | int) -> None:
        known = self._selector.get_map().get(sock)
        if known is None:
            if events:
                self._selector.register(sock, events, data)
        elif not events:
            self._selector.unregister(sock)
        elif known.events != events:
            self._selector.modify(sock, events, data)

    def _forget(self, pair: Pair) -> None:
        self._pairs.remove(pair)
        for sock in pair.sockets:
            self._watch(sock, 0, pair)
        pair.close()

    # ---- its states

    def _listen(self) -> None:
        for number, listener in enumerate(self._listeners):
            listener.listen(_BACKLOG)
            self._watch(listener, selectors.EVENT_READ, number)

    def _open(self, state: State) -> None:
        if self._state == "cut":
            self._listen()
        self._state = state
        for number, listener in enumerate(self._listeners):
            self._watch(listener, selectors.EVENT_READ if state == "open" else 0, number)
        for pair in self._pairs:
            for sock, events in pair.interests():
                self._watch(sock, events if state == "open" else 0, pair)

    def _cut(self) -> None:
        for pair in list(self._pairs):
            pair.broken = True
            self._forget(pair)
        if self._state != "cut":
            self._state = "cut"
            for number, listener in enumerate(self._listeners):
                # Bound, but not listening: nobody gets in, and nobody else gets the port.
                self._watch(listener, 0, number)
                listener.close()
                self._listeners[number] = _bound(self.endpoints.brokerBasePort + number, again=True)

    def _end(self) -> None:
        self._state = "closed"

    def _close_all(self) -> None:
        self._state = "closed"
        for pair in self._pairs:
            pair.broken = True
            pair.close()
        self._pairs.clear()
        for listener in self._listeners:
            listener.close()
        self._selector.close()
        self._waker.close()

    def on_fork(self) -> None:
        """In a child: let go. A connection ends only when nobody holds it any more."""
        if self._state != "closed":
            self._state = "closed"
            for listener in self._listeners:
                listener.close()
            for pair in self._pairs:
                pair.close()


def _addresses(endpoints: Endpoints) -> tuple[str, str, str]:
    return endpoints.rocBroker, endpoints.generalXSUB, endpoints.generalXPUB


def _resolved(endpoints: Endpoints, address: str) -> list[Address]:
    try:
        return addresses_of(endpoints, address)
    except OSError as error:
        raise ConfigError(f"{address} cannot be found: {error.strerror}.") from None


def _free_ports() -> list[socket.socket]:
    """Sockets bound to three consecutive ports."""
    for _ in range(_ATTEMPTS):
        first = _bound(0)
        bound = [first]
        base = first.getsockname()[1]
        with suppress(OSError):
            if base <= MAX_BASE_PORT:
                bound += [_bound(base + 1)]
                bound += [_bound(base + 2)]
                return bound
        for sock in bound:
            sock.close()
    raise ConfigError("No three consecutive free ports were found.")


def _bound(port: int, again: bool = False) -> socket.socket:
    """A socket that will listen at this port; ``again`` if it was ours a moment ago."""
    sock = socket.socket()
    sock.setblocking(False)
    try:
        if again:
            _allow_return(sock)
        sock.bind((_HOST, port))
    except OSError:
        sock.close()
        raise
    _allow_return(sock)
    return sock


def _allow_return(sock: socket.socket) -> None:
    """The port may be bound again while old connections of it are still remembered."""
    if os.name == "posix":  # elsewhere this means something else, and is not needed
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
