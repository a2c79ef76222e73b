"""The broker as an automaton: frames and time in, frames out.

Rules:

* A REPLY counts only if its token is outstanding at the very worker that sends it;
  so nobody can answer another's call, and a lost worker's calls are known.
* A body is looked at only when the call must wait or the broker must answer it.
* Nothing that a peer sends raises here: what is unsound is dropped and counted.
* What is read after a standstill of the broker's own is older by that, and the silence of
  others in the meantime was not theirs.

`handle` takes any event; `on_frames` is the same door for the hot path: a call that finds a
free worker, and its reply. Effects are lists of frames, the routing id in front, or one of
`effects`.

The rest is done by others: calls that wait (`switchboard`), object ids that nobody serves
(`absence`), the control lane (`controllane`), servers that come and go (`attendance`), and
what time brings (`rounds`). Who serves what, all of them know (`registry`).
"""

from __future__ import annotations

from typing import Any

from ..wire import mdp
from ..wire.jsonrpc import parse_body
from ..wire.mdp import CLIENT, EMPTY, WORKER
from ..wire.values import Buffer
from .absence import Absence
from .attendance import Attendance
from .controllane import ControlLane
from .counters import Counters
from .effects import Asked, Effect
from .events import Arrived, Drained, Event, StoodStill, Stop, Tick, Unreachable
from .limits import Limits
from .observer import Observer, nobody
from .registry import TOKEN_NUMBER, Registry, Worker
from .rounds import Rounds
from .switchboard import Switchboard

__all__ = ["BrokerCore"]


class BrokerCore:
    """Routes calls by object id. ``broker_id`` names this run of the broker."""

    def __init__(
        self, broker_id: str, limits: Limits | None = None, observe: Observer = nobody
    ) -> None:
        self.broker_id = broker_id
        self.limits = limits = limits or Limits()
        self.counters = counters = Counters()
        self.registry = registry = Registry()
        self._observe = observe
        self._workers = registry.workers
        self._services = registry.services
        self._age = 0.0
        absence = Absence(registry, limits, counters, observe)
        switchboard = Switchboard(registry, absence, limits, counters)
        attendance = Attendance(broker_id, registry, switchboard, absence, counters, observe)
        self._absence = absence
        self._switchboard = switchboard
        self._attendance = attendance
        self._control = ControlLane(registry, switchboard)
        self._rounds = Rounds(registry, attendance, switchboard, absence)

    # ---- the doors

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take one event, and return what is to be done, in order."""
        out: list[Effect] = []
        match event:
            case Arrived(frames, user):
                self.on_frames(frames, now, out, user)
            case Unreachable(frames):
                self._on_unreachable(frames, now, out)
            case StoodStill(seconds):
                self._on_stood_still(seconds)
            case Drained():
                self._age = 0.0
            case Tick():
                self._rounds.go_on(now, out)
            case Stop():
                self._switchboard.stop(out)
                self._attendance.stop(out)
        return out

    def on_frames(
        self, frames: list[Any], now: float, out: list[Effect], user: str | None = None
    ) -> None:
        """One message from a peer: ``[routing id, "", header, ...]``."""
        if len(frames) < 4 or frames[1] != EMPTY:
            self.counters.dropped_malformed += 1
        elif frames[2] == WORKER:
            self._on_worker(frames, now, out)
        elif frames[2] == CLIENT and len(frames) > 4 and type(frames[3]) is bytes:
            self._on_request(frames[0], frames[3], frames[4:], now, out)
        else:
            self.counters.dropped_malformed += 1

    def next_deadline(self) -> float | None:
        """When `Tick` should come at the latest."""
        return self._rounds.next_at if self._workers or self._services else None

    # ---- from clients

    def _on_request(
        self, client: bytes, name: bytes, body: list[Buffer], now: float, out: list[Effect]
    ) -> None:
        self.counters.requests += 1
        service = self._services.get(name)
        if service is not None and service.serving:
            if not self._age and not service.waiting.count:
                worker = service.free(client)
                if worker is not None:
                    self._switchboard.hand_over(worker, client, body, out)
                    return
            call = self._switchboard.read_call(client, body, now, self._age)
            self._switchboard.enqueue(service, call, now, out)
        elif name.startswith(mdp.RESERVED_BYTES):
            self._on_own_name(client, name, body, out)
        elif name.endswith(b"!"):
            self._control.on_request(client, name[:-1], body, now, self._age, out)
        else:
            call = self._switchboard.read_call(client, body, now, self._age)
            self._switchboard.await_server(name, call, now, out)

    def _on_own_name(
        self, client: bytes, name: bytes, body: list[Buffer], out: list[Effect]
    ) -> None:
        if name.startswith(b"mmi."):
            out.append([client, EMPTY, CLIENT, name, self._mmi(name, body[0])])
        elif name.rstrip(b"!") == mdp.BROKER_ID:
            out.append(Asked(client, name, body))
        else:
            self._absence.fail(client, name, parse_body(body[0]), out)

    def _mmi(self, name: bytes, about: Buffer) -> bytes:
        """8/MMI: whether an object id is served; nothing else is implemented."""
        if name != b"mmi.service":
            return b"501"
        asked = bytes(about)
        service = self._services.get(asked)
        return b"200" if asked == mdp.BROKER_ID or (service and service.serving) else b"404"

    # ---- from workers

    def _on_worker(self, frames: list[Any], now: float, out: list[Effect]) -> None:
        rid, command = frames[0], frames[3]
        worker = self._workers.get(rid)
        if command == mdp.READY:
            self._attendance.on_ready(rid, worker, frames[4:], now, out)
        elif worker is None:
            self.counters.dropped_unknown_worker += 1
            out.append([rid, EMPTY, WORKER, mdp.DISCONNECT])
        else:
            worker.heard = now
            if command == mdp.REPLY:
                self._on_reply(worker, frames, now, out)
            elif command == mdp.DISCONNECT:
                self._attendance.leave(worker, now, out, lost=False)
                return
            elif command != mdp.HEARTBEAT:
                self.counters.dropped_malformed += 1
            if worker.stalled or worker.service.others:
                self._attendance.on_sign_of_life(worker, now, out)

    def _on_reply(self, worker: Worker, frames: list[Any], now: float, out: list[Effect]) -> None:
        if len(frames) < 7 or frames[5] != EMPTY:
            self.counters.dropped_malformed += 1
            return
        token = frames[4]
        service = worker.service
        if worker.release(token):
            worker.served += 1
            service.served += 1
            self.counters.replies += 1
            out.append([token[:-TOKEN_NUMBER], EMPTY, CLIENT, service.name, *frames[6:]])
            if service.waiting.count:
                self._switchboard.dispatch(service, now, out)
        elif (lane := worker.controls.pop(token, None)) is not None:
            out.append([token[:-TOKEN_NUMBER], EMPTY, CLIENT, lane, *frames[6:]])
        else:
            self.counters.dropped_reply_not_outstanding += 1

    # ---- from the loop

    def _on_unreachable(self, frames: list[Any], now: float, out: list[Effect]) -> None:
        worker = self._workers.get(frames[0])
        if worker is None:
            self.counters.dropped_unreachable_peer += 1
            return
        token = frames[4] if len(frames) > 6 else b""
        service = worker.service
        client, body = token[:-TOKEN_NUMBER], frames[6:]
        lane = worker.controls.pop(token, None)
        if worker.release(token):
            call = self._switchboard.read_call(client, body, now, 0.0)
            self._switchboard.put_back(service, call)
        self._attendance.leave(worker, now, out, lost=True)
        if lane is not None:
            self._control.on_request(client, service.name, body, now, self._age, out)
        self._switchboard.dispatch(service, now, out)

    def _on_stood_still(self, seconds: float) -> None:
        self._age += seconds
        self._observe("stood still", {"seconds": seconds})
        for worker in self._workers.values():
            worker.heard += seconds

    # ---- looking inside

    def snapshot(self) -> dict[str, Any]:
        """Plain copies of all that monitoring shows; ages in seconds are the caller's to add."""
        return {
            "broker": self.broker_id,
            "objects": [service.snapshot() for service in self._services.values()],
            "counters": self.counters.figures(),
        }

    def check(self) -> None:
        """Every invariant of the broker; the harness calls it after each event."""
        self.registry.check()
        self._switchboard.check()
        for worker in self._workers.values():
            if worker.state == "serving" and worker.service.waiting.count:
                assert worker.service.next() is None, "a call waits beside free credit"
