"""Servers as they come and go: registered, greeted, refused, stalled, promoted, lost.

Rules:

* Whoever registers with properties is greeted: told at once what it is (``spec/wire.md``).
  Whoever registers as nobody may, or twice on one connection, is sent away.
* A server that registers again replaces its own earlier conversation.
* While a second server of an exclusive object is held, the holder is asked for a sign of
  life; who has the right to the id is for `registry` to say.
* A stalled server gets nothing more until it is heard again.
* When a server has gone, the next in line serves. The calls it held are lost, and their
  callers told; those that wait are kept only if it was lost: it may come back.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .. import errors
from ..wire import mdp
from ..wire.mdp import EMPTY, WORKER, Greeting, Properties, Reason
from ..wire.values import Buffer
from . import failures
from .absence import Absence
from .counters import Counters
from .effects import Effect
from .liveness import BEAT
from .observer import Observer
from .registry import Registry, Worker
from .switchboard import Switchboard

__all__ = ["Attendance", "disconnect"]


def disconnect(rid: bytes, greeted: bool, reason: Reason, out: list[Effect]) -> None:
    """Send a worker away; one that was greeted hears why."""
    frames: list[Buffer] = [rid, EMPTY, WORKER, mdp.DISCONNECT]
    out.append([*frames, msgspec.json.encode(reason)] if greeted else frames)


class Attendance:
    """Lets servers come and go. ``broker_id`` is what they are told of their broker."""

    def __init__(
        self,
        broker_id: str,
        registry: Registry,
        switchboard: Switchboard,
        absence: Absence,
        counters: Counters,
        observe: Observer,
    ) -> None:
        self._broker_id = broker_id
        self._registry = registry
        self._switchboard = switchboard
        self._absence = absence
        self._counters = counters
        self._observe = observe

    # ---- a server comes

    def on_ready(
        self, rid: bytes, known: Worker | None, rest: list[Any], now: float, out: list[Effect]
    ) -> None:
        """READY, with these frames behind it, from a peer that is ``known`` or not."""
        # An object id that is a large frame is too long anyway.
        name: bytes = rest[0] if rest and type(rest[0]) is bytes else b""
        properties = mdp.parse_properties(rest[1]) if len(rest) > 1 else None
        greeted = len(rest) > 1
        problem = mdp.object_id_problem(name)
        if known is not None:
            self.leave(known, now, out, lost=True)
            problem = "READY came twice on one connection"
        elif problem is not None:
            problem = f"The object id {name.decode(errors='backslashreplace')!r} {problem}"
        elif greeted and properties is None:
            problem = "The properties in READY are not what spec/wire.md asks for"
        if problem is not None:
            self._counters.dropped_malformed += 1
            self._observe("unsound", {"problem": problem})
            disconnect(rid, greeted, Reason(errors.ProtocolError.code, problem), out)
            return
        self._admit(rid, name, properties, now, out)

    def _admit(
        self, rid: bytes, name: bytes, properties: Properties | None, now: float, out: list[Effect]
    ) -> None:
        self._absence.servers_change()
        earlier = self._registry.same_instance(name, properties)
        if earlier is not None:
            self.leave(earlier, now, out, lost=True)
        service = self._registry.service(name)
        worker = Worker(rid, service, properties, now)
        state = self._registry.admit(worker)
        self._note(state, worker)
        self._greet(worker, out)
        if state == "held":
            for holder in service.serving:
                out.append([holder.rid, EMPTY, WORKER, mdp.HEARTBEAT])
        self._switchboard.dispatch(service, now, out)

    def _greet(self, worker: Worker, out: list[Effect]) -> None:
        if worker.greeted:
            greeting = Greeting(broker=self._broker_id, state=worker.state, interval=BEAT)
            frame = msgspec.json.encode(greeting)
            out.append([worker.rid, EMPTY, WORKER, mdp.HEARTBEAT, frame])

    # ---- it lives, or does not seem to

    def on_sign_of_life(self, worker: Worker, now: float, out: list[Effect]) -> None:
        """A server was heard that was stalled, or that others wait behind."""
        service = worker.service
        if worker.stalled:
            worker.stalled = False
            self._note("heard", worker)
            self._switchboard.dispatch(service, now, out)
        if worker.state != "serving":
            return
        for other in service.others:
            if other.state == "held" and other.doubted is None:
                other.doubted = now

    def stall(self, worker: Worker, now: float) -> None:
        """It is silent: until its next sign of life it gets nothing."""
        worker.stalled = True
        self._note("silent", worker, seconds=now - worker.heard)

    # ---- it goes

    def refuse(self, held: Worker, now: float, out: list[Effect]) -> None:
        """The holder of its id lives."""
        holder = held.service.serving[0]
        self._counters.refused_object_id_taken += 1
        self._registry.remove(held)
        self._note("refused", held, holder=holder.describe())
        name, facts = held.service.name.decode(), holder.properties
        since = now - holder.since
        message = f"The object id {name!r} is taken: {holder.describe()} shares it"
        reason = Reason(
            errors.ObjectIdTaken.code, f"{message} since {since:.0f} s. Stop that server, or"
            " choose another id.", facts.host, facts.pid, since,
        )  # fmt: skip
        disconnect(held.rid, held.greeted, reason, out)

    def leave(self, worker: Worker, now: float, out: list[Effect], lost: bool) -> None:
        """A worker is gone, by its own word or without one: tell who waits for it."""
        service = worker.service
        self._absence.servers_change()
        self._registry.remove(worker)
        self._note("lost" if lost else "left", worker, calls=len(worker.held_calls))
        if lost:
            self._counters.servers_lost += 1
        self._counters.calls_lost += len(worker.held_calls)
        for token, text in worker.held_calls.items():
            failures.server_lost(worker, token, text, out)
        while (promoted := self._registry.promote(service)) is not None:
            self._note("serving", promoted)
            self._greet(promoted, out)
            self._switchboard.dispatch(service, now, out)
        if service.workers:
            return
        if lost:
            self._registry.lost[service.name] = now
        else:
            self._switchboard.turn_away(service, out)

    def stop(self, out: list[Effect]) -> None:
        """The broker ends: send everybody away."""
        reason = Reason(errors.BrokerUnreachable.code, "The broker was stopped.")
        for worker in self._registry.workers.values():
            disconnect(worker.rid, worker.greeted, reason, out)

    def _note(self, what: str, worker: Worker, **facts: Any) -> None:
        """Tell the observer what has become of a server."""
        object_id = worker.service.name.decode()
        self._observe(what, {"object": object_id, "server": worker.describe(), **facts})
