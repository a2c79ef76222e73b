"""Calls between clients and workers: who gets which, and which wait.

Rules:

* A call that was handed to a worker is never handed to another one.
* A worker knows a call by its token: the client's routing id and the dispatch number.
* Calls wait in the queue of their object while nobody has credit for them. It has a limit in calls,
  all queues together have one in bytes; over it a call is refused.
* A call whose time is over is not handed out: it expires.
* The control lane goes beside queue and credit. Stock workers have none.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from ..wire import mdp
from ..wire.jsonrpc import parse_body
from ..wire.mdp import EMPTY, WORKER
from ..wire.values import Buffer
from . import failures
from .absence import Absence
from .counters import Counters
from .effects import Effect
from .limits import Limits
from .registry import TOKEN_NUMBER, Registry, Service, Worker
from .waiting import WaitingCall

__all__ = ["Switchboard"]

_ANSWERED_AT_STOP = 10_000


class Switchboard:
    """Hands calls to workers, and keeps those that cannot be handed over yet."""

    def __init__(
        self, registry: Registry, absence: Absence, limits: Limits, counters: Counters
    ) -> None:
        self._registry = registry
        self._absence = absence
        self._limits = limits
        self._counters = counters
        self._dispatched = 0
        self._waiting_bytes = 0

    def read_call(
        self, client: bytes, frames: list[Buffer], now: float, age: float, control: bool = False
    ) -> WaitingCall:
        """A call as it may wait; it is ``age`` seconds older than it looks."""
        body = parse_body(frames[0])
        ttl = body.ttl
        if ttl is None:
            ttl = self._limits.unstated_patience
        ttl = min(ttl, self._limits.longest_wait)
        return WaitingCall(client, tuple(frames), body, now, now + ttl - age, control, age)

    # ---- to a worker

    def hand_over(
        self, worker: Worker, client: bytes, body: Sequence[Buffer], out: list[Effect]
    ) -> None:
        """Give a call to a worker that takes it."""
        self._dispatched = number = self._dispatched + 1
        token = client + number.to_bytes(TOKEN_NUMBER, "big")
        worker.hold(client, token, body[0])
        worker.used = number
        out.append([worker.rid, EMPTY, WORKER, mdp.REQUEST, token, EMPTY, *body])

    def hand_control(
        self,
        worker: Worker,
        client: bytes,
        lane: bytes,
        body: Sequence[Buffer],
        out: list[Effect],
        answered: bool = False,
    ) -> None:
        """Give it a call of the control lane; of one that is ``answered`` no reply goes on."""
        if not worker.greeted:
            failures.no_control_lane(client, lane, parse_body(body[0]), out)
            return
        self._dispatched += 1
        token = client + self._dispatched.to_bytes(TOKEN_NUMBER, "big")
        if not answered:
            worker.controls[token] = lane
        out.append([worker.rid, EMPTY, WORKER, mdp.CONTROL, token, EMPTY, *body])

    def dispatch(self, service: Service, now: float, out: list[Effect]) -> None:
        """Hand out what waits, as far as there is credit."""
        waiting = service.waiting
        while waiting.count and (turn := service.next()) is not None:
            client, worker = turn
            call = waiting.take(client)
            self._waiting_bytes -= call.size
            if call.deadline <= now:
                self._expire(service, call, out)
            elif call.control:
                self.hand_control(worker, client, service.name + b"!", call.frames, out)
            else:
                self.hand_over(worker, client, call.passed_on(now), out)

    # ---- into the queue

    def enqueue(self, service: Service, call: WaitingCall, now: float, out: list[Effect]) -> None:
        """Let a call wait for its turn, if there is room."""
        limits = self._limits
        if (
            service.waiting.count >= limits.calls_per_object
            or self._waiting_bytes + call.size > limits.bytes_waiting
        ):
            self._counters.refused_queue_full += 1
            self._registry.drop_if_unused(service)
            failures.queue_full(service, call, out)
            return
        service.waiting.add(call)
        self._waiting_bytes += call.size
        self.dispatch(service, now, out)

    def await_server(self, name: bytes, call: WaitingCall, now: float, out: list[Effect]) -> None:
        """Nobody serves this object: the call waits for somebody, or fails."""
        if self._absence.lets_wait(name, call, now):
            self.enqueue(self._registry.service(name), call, now, out)
        else:
            self._absence.fail(call.client, call.asked(name), call.body, out)

    def put_back(self, service: Service, call: WaitingCall) -> None:
        """A call that never left the broker: another server may have it, in its old place."""
        service.waiting.put_back(call)
        self._waiting_bytes += call.size

    # ---- out of the queue, without a turn

    def on_withdrawn(self, service: Service, call: WaitingCall) -> None:
        """Its caller has taken it out of the queue."""
        self._counters.withdrawn += 1
        self._waiting_bytes -= call.size
        self._registry.drop_if_unused(service)

    def turn_away(self, service: Service, out: list[Effect]) -> None:
        """Nobody is left who serves: the calls that did not ask to wait for a server fail."""
        for call in [call for call in service.waiting if not call.body.waits]:
            service.waiting.remove(call)
            self._waiting_bytes -= call.size
            self._absence.fail(call.client, call.asked(service.name), call.body, out)
        self._registry.drop_if_unused(service)

    def look_after(self, now: float, out: list[Effect]) -> None:
        """Time has passed: it is over for some."""
        for service in list(self._registry.services.values()):
            if service.waiting.count:
                for call in service.waiting.expired(now):
                    self._waiting_bytes -= call.size
                    self._expire(service, call, out)
                self._registry.drop_if_unused(service)

    def _expire(self, service: Service, call: WaitingCall, out: list[Effect]) -> None:
        self._counters.expired += 1
        if service.serving:
            failures.expired(service, call, out)
        else:
            self._absence.fail(call.client, call.asked(service.name), call.body, out)

    def stop(self, out: list[Effect]) -> None:
        """The broker ends: tell who waits that nothing was executed."""
        services = self._registry.services.values()
        waiting = ((service, call) for service in services for call in service.waiting)
        # The rest see the connection go: a long queue does not make the end a long one.
        for service, call in itertools.islice(waiting, _ANSWERED_AT_STOP):
            failures.stopped(service, call, out)

    def check(self) -> None:
        """Every invariant of the queues, all together."""
        services = self._registry.services.values()
        assert self._waiting_bytes == sum(service.waiting.bytes for service in services)
