"""The control lane: ``id!`` reaches an object's worker while everything else waits.

Rules (``spec/calls.md``):

* It takes single calls of methods that begin with ``rpc.``, and no batch.
* A withdrawal is answered by the broker as far as it knows what became of the call, and goes
  to the worker that holds it. Any other call goes to the first worker of the object.
* For an object that nobody serves they wait, or fail, like all calls.
"""

from __future__ import annotations

from ..wire.jsonrpc import Request
from ..wire.mdp import CLIENT, EMPTY
from ..wire.values import Buffer
from . import failures
from .effects import Effect
from .registry import Registry, Service
from .switchboard import Switchboard
from .withdrawal import withdraw

__all__ = ["ControlLane"]


class ControlLane:
    """Takes the calls that come on the control lane of any object."""

    def __init__(self, registry: Registry, switchboard: Switchboard) -> None:
        self._services = registry.services
        self._switchboard = switchboard

    def on_request(
        self,
        client: bytes,
        name: bytes,
        body: list[Buffer],
        now: float,
        age: float,
        out: list[Effect],
    ) -> None:
        """A call to the object of this name; it is ``age`` seconds older than it looks."""
        call = self._switchboard.read_call(client, body, now, age, control=True)
        lane = name + b"!"
        requests = [item for item in call.body.items if isinstance(item, Request)]
        if call.body.batch or not requests or not requests[0].method.startswith("rpc."):
            failures.not_for_control(client, lane, call.body, out)
            return
        service = self._services.get(name)
        if requests[0].method == "rpc.cancel":
            self._on_cancel(service, client, lane, requests[0], body, now, out)
        elif service is None or not service.serving:
            self._switchboard.await_server(name, call, now, out)
        else:
            self._switchboard.hand_control(service.serving[0], client, lane, body, out)

    def _on_cancel(
        self,
        service: Service | None,
        client: bytes,
        lane: bytes,
        request: Request,
        body: list[Buffer],
        now: float,
        out: list[Effect],
    ) -> None:
        verdict = withdraw(service, client, request, now)
        if verdict.removed is not None and service is not None:
            self._switchboard.on_withdrawn(service, verdict.removed)
        if verdict.holder is not None:
            self._switchboard.hand_control(
                verdict.holder, client, lane, body, out, answered=verdict.text is not None
            )
        if verdict.text is not None:
            out.append([client, EMPTY, CLIENT, lane, verdict.text])
