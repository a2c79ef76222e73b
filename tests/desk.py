"""A broker, servers and clients in one process, over real sockets: what most tests need.

::

    with Desk() as desk:
        vnir = desk.share(Camera(), "vnir")
        assert vnir.fps == 10.0
"""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any

from runmacs.roc import Endpoints, RocClient, RocServer
from runmacs.roc.broker import Broker

__all__ = ["Desk"]


class Desk:
    """A broker on free ports, and all that is opened at it; closed in the opposite order.

    Attributes:
        broker: the broker; it routes.
        endpoints: where it listens.
        client: a client with patience.
    """

    def __init__(self, endpoints: Endpoints | None = None, ctx: Any = None) -> None:
        self._open = ExitStack()
        self._ctx = ctx
        bind = endpoints or Endpoints("127.0.0.1", 0)
        self.broker = self._open.enter_context(Broker(bind, ctx))
        self.endpoints = self.broker.endpoints
        self.client = self.connect()

    def connect(self, timeout: float = 20.0) -> RocClient:
        """One more client."""
        return self._open.enter_context(RocClient(self.endpoints, self._ctx, timeout))

    def serve(self, instance: object, object_id: str = "vnir", **options: Any) -> RocServer:
        """Share an object from a thread of its own; the broker has accepted it."""
        server = RocServer(self.endpoints, objectId=object_id, objectInstance=instance, **options)
        return self._open.enter_context(server)

    def share(self, instance: object, object_id: str = "vnir", **options: Any) -> Any:
        """Share an object, and return its proxy."""
        self.serve(instance, object_id, **options)
        return self.client[object_id]

    def __enter__(self) -> Desk:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.close()
