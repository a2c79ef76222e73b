"""`RocStatusUpdater`: tell everybody how things stand."""

from __future__ import annotations

import os
import socket
import sys
import threading
import uuid
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .._drivers.clock import now as clock
from .._drivers.publishers import open_publisher
from ..config import resolve_publish
from ..core.updates import UpdateSource
from ..endpoints import Endpoints
from ..errors import Closed, ConfigError
from ..wire.statusmsg import Beacon, encode_data

if TYPE_CHECKING:
    import zmq

__all__ = ["RocStatusUpdater"]

_INBOX = 1_000
_LINGER = 1.0


class RocStatusUpdater:
    """Publishes status variables: a source of the tree that everybody can read.

    Any number of threads may use one. It never blocks: what cannot be sent yet waits, and
    when 10,000 emits do, those values go that later ones have replaced.

    Args:
        destination: where the broker is: `Endpoints`, its generalXSUB address, ``host``,
            ``host:baseport``, or None for ``ROC_BROKER``, the configuration file, or
            ``127.0.0.1:5555``.
        ctx: a ZeroMQ context to use; it is never terminated here.
        node: who is said to speak; by default the program's name.

    Raises:
        ConfigError: an address that makes no sense.

    Example::

        with RocStatusUpdater() as updater:
            updater.emit("system.foo", {"cpu": 0.3, "memory": 0.7})
    """

    def __init__(
        self,
        destination: Endpoints | str | None = None,
        ctx: zmq.Context[Any] | None = None,
        *,
        node: str | None = None,
    ) -> None:
        self.endpoints = resolve_publish(destination)
        self._outbox = _Outbox(node or program_name())
        self._publisher = open_publisher(ctx, self.endpoints)
        self._publisher.attach(self._outbox)
        self._closed = False

    def emit(self, sensorId: str, data: object) -> None:
        """Publish values under the path ``sensorId``.

        A dictionary is a branch: its items are merged into what is there, and a key may be a
        dotted path. Everything else replaces what was there: numbers, texts, None, lists,
        small arrays, and all else that calls can carry. ``''`` is the root.

        Example::

            updater.emit("vnir", {"temperature": 21.5, "shutter": "open"})
            updater.emit("vnir.temperature", 21.6)

        Raises:
            ConfigError: no such path can be, or it begins with ``roc``; a ValueError too.
            Unsendable: a value, or a key, that cannot travel; a TypeError too.
            TooLarge: over 1 MB; a ValueError too.
            Closed: it was closed.
        """
        leaves, text = encode_data(sensorId, data)
        now = clock()
        self._put(lambda source: source.emit(sensorId, leaves, text, now))

    def remove(self, path: str) -> None:
        """Remove a path, and all beneath it; ``''`` removes everything.

        Raises:
            ConfigError: no such path can be.
        """
        encode_data(path, None if path else {})
        now = clock()
        self._put(lambda source: source.remove(path, now))

    def describe(
        self,
        path: str,
        *,
        unit: str | None = None,
        description: str | None = None,
        limits: tuple[float | None, float | None] | None = None,
    ) -> None:
        """Say once what a path is: its unit, a description, and between what it should be.

        Example::

            updater.describe("vnir.temperature", unit="°C", limits=(-10, 35))
        """
        facts: dict[str, Any] = {"unit": unit, "description": description}
        if limits is not None:
            facts["limits"] = _checked_limits(limits)
        about = {name: fact for name, fact in facts.items() if fact is not None}
        if not path:
            raise ConfigError("The root of the status tree cannot be described; name a path.")
        encode_data(path, about)
        now = clock()
        self._put(lambda source: source.describe(path, about, now))

    @property
    def superseded(self) -> int:
        """Values that were never sent, as later ones had replaced them while they waited."""
        return self._outbox.source.superseded

    def _put(self, entry: Callable[[UpdateSource], None]) -> None:
        if self._closed:
            raise Closed("this updater was closed; make a new one.")
        self._outbox.put(entry)
        self._publisher.wake()

    def close(self, linger: float = _LINGER) -> None:
        """Send what waits, for at most ``linger`` seconds, and say goodbye.

        The values stay in the tree, and are marked as stale. May be called twice.
        """
        if not self._closed:
            self._closed = True
            self._outbox.put(UpdateSource.end)
            self._publisher.wake()
            self._publisher.detach(self._outbox, linger)

    def __enter__(self) -> RocStatusUpdater:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self.close(linger=0.0)

    def __repr__(self) -> str:
        return f"<RocStatusUpdater to {self.endpoints.generalXSUB}>"


class _Outbox:
    """The feed of one updater.

    Emits are put down without a lock, and entered by the publisher's thread; when many lie
    there, by whoever emits.
    """

    def __init__(self, node: str) -> None:
        self._node = node
        self._begin_anew()

    def _begin_anew(self) -> None:
        name, host = uuid.uuid4().hex[:12], socket.gethostname()
        self.source = UpdateSource(Beacon(name, node=self._node, host=host, pid=os.getpid()))
        self._lock = threading.Lock()
        self._inbox: deque[Callable[[UpdateSource], None]] = deque()

    def put(self, entry: Callable[[UpdateSource], None]) -> None:
        self._inbox.append(entry)
        # A signal handler may come here while its own thread has the lock.
        if len(self._inbox) > _INBOX and self._lock.acquire(blocking=False):
            try:
                self._enter()
            finally:
                self._lock.release()

    def _enter(self) -> None:
        inbox, source = self._inbox, self.source
        while inbox:
            inbox.popleft()(source)

    def link_up(self, now: float) -> None:
        with self._lock:
            self.source.link_up(now)

    def link_down(self, now: float) -> None:
        with self._lock:
            self.source.link_down(now)

    def take(self, now: float, room: int) -> list[list[bytes]]:
        with self._lock:
            self._enter()
            return self.source.take(now, room)

    def next_deadline(self) -> float | None:
        return self.source.next_deadline()

    def empty(self) -> bool:
        return not self._inbox and self.source.empty()

    def on_fork(self) -> None:
        self._begin_anew()


def program_name() -> str:
    """What a program is called, where nobody says so."""
    name = os.path.basename(sys.argv[0] if sys.argv else "")
    if name == "__main__.py":
        name = os.path.basename(os.path.dirname(os.path.abspath(sys.argv[0])))
    return name.removesuffix(".py") if name not in ("", "-c", "-m") else "python"


def _checked_limits(limits: object) -> list[float | None]:
    if isinstance(limits, (list, tuple)) and len(limits) == 2:
        kinds = {type(limit) for limit in limits}
        if kinds <= {int, float, type(None)}:
            return list(limits)
    raise ConfigError(f"Limits are two numbers, or None where there is none, not {limits!r}.")
