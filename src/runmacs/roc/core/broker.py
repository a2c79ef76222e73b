"""The broker as an automaton: frames and time in, frames out.

Rules:

* A REPLY counts only if its token is outstanding at the very worker that sends it;
  so nobody can answer another's call, and a lost worker's calls are known.
* A call that was handed to a worker is never handed to another one.
* A body is looked at only when the call must wait or the broker must answer it.
* Nothing that a peer sends raises here: what is unsound is dropped and counted.

`handle` takes any event; `on_frames` is the same door for the hot path. Effects are
lists of frames, the routing id in front, or one of `effects`.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Sequence
from typing import Any

import msgspec

from .. import errors
from ..wire import mdp
from ..wire.jsonrpc import Body, Request, encode_error, encode_responses, parse_body
from ..wire.mdp import CLIENT, EMPTY, WORKER, Greeting, Properties, Reason
from ..wire.values import Buffer
from .counters import Counters
from .effects import Asked, Effect
from .events import Arrived, Drained, Event, StoodStill, Stop, Tick, Unreachable
from .limits import Limits
from .liveness import BEAT, LOST_AFTER
from .observer import Observer, nobody
from .registry import TOKEN_NUMBER, Registry, Service, Worker
from .waiting import WaitingCall
from .withdrawal import withdraw

__all__ = ["BrokerCore"]


_ANSWERED_AT_STOP = 10_000
_REMEMBERED = 100
_AT_A_TICK = 100
"""Workers that are looked after in one go: calls pass in between, however many there are."""


class BrokerCore:
    """Routes calls by object id. ``broker_id`` names this run of the broker."""

    def __init__(
        self, broker_id: str, limits: Limits | None = None, observe: Observer = nobody
    ) -> None:
        self.broker_id = broker_id
        self.limits = limits or Limits()
        self._observe = observe
        self.counters = Counters()
        self.registry = Registry()
        self._workers = self.registry.workers
        self._services = self.registry.services
        self._dispatched = 0
        self._waiting_bytes = 0
        self._age = 0.0
        self._next_beat = 0.0
        self._beats = 0
        self._to_look_after: list[Worker] = []
        self._near: dict[str, list[str]] = {}
        self._pause = BEAT / 2

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
                self._on_tick(now, out)
            case Stop():
                self._on_stop(now, out)
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
        return self._next_beat if self._workers or self._services else None

    # ---- calls on their way in

    def _on_request(
        self, client: bytes, name: bytes, body: list[Buffer], now: float, out: list[Effect]
    ) -> None:
        self.counters.requests += 1
        service = self._services.get(name)
        if service is not None and service.serving:
            if not self._age and not service.waiting.count:
                worker = service.free()
                if worker is not None:
                    self._hand_over(worker, client, body, out)
                    return
            self._enqueue(service, self._call(client, body, now, self._age), now, out)
        elif name.startswith(mdp.RESERVED_BYTES):
            self._on_own_name(client, name, body, now, out)
        elif name.endswith(b"!"):
            self._on_control(client, name[:-1], body, now, out)
        else:
            self._on_absent(name, self._call(client, body, now, self._age), now, out)

    def _call(
        self, client: bytes, frames: list[Buffer], now: float, age: float, control: bool = False
    ) -> WaitingCall:
        body = parse_body(frames[0])
        ttl = self.limits.unstated_patience if body.ttl is None else body.ttl
        ttl = min(ttl, self.limits.longest_wait)
        return WaitingCall(client, frames, body, now, now + ttl - age, control, age)

    def _hand_over(
        self, worker: Worker, client: bytes, body: list[Buffer], out: list[Effect]
    ) -> None:
        self._dispatched += 1
        token = client + self._dispatched.to_bytes(TOKEN_NUMBER, "big")
        worker.held_calls[token] = body[0]
        worker.credit -= 1
        worker.used = self._dispatched
        out.append([worker.rid, EMPTY, WORKER, mdp.REQUEST, token, EMPTY, *body])

    def _enqueue(self, service: Service, call: WaitingCall, now: float, out: list[Effect]) -> None:
        limits = self.limits
        full = (
            service.waiting.count >= limits.calls_per_object
            or self._waiting_bytes + call.size > limits.bytes_waiting
        )
        if full:
            self.counters.refused_queue_full += 1
            name = service.name.decode()
            self.registry.drop_if_unused(service)
            self._fail(
                call.client, call.asked(service.name), call.body, errors.QueueFull,
                f"{name}: {service.waiting.count} calls wait for it already; this one was not"
                " taken. Call less often, or share the load with policy='pool'.", out,
            )  # fmt: skip
            return
        service.waiting.add(call)
        self._waiting_bytes += call.size
        self._dispatch(service, now, out)

    def _dispatch(self, service: Service, now: float, out: list[Effect]) -> None:
        """Hand out what waits, as far as there is credit."""
        waiting = service.waiting
        while waiting.count:
            worker = service.free()
            if worker is None:
                return
            call = waiting.take()
            self._waiting_bytes -= call.size
            if call.deadline <= now:
                self._expire(service, call, out)
            elif call.control:
                self._hand_control(worker, call.client, service.name + b"!", call.frames, out)
            else:
                self._hand_over(worker, call.client, call.passed_on(now), out)

    def _expire(self, service: Service, call: WaitingCall, out: list[Effect]) -> None:
        self.counters.expired += 1
        name = service.name.decode()
        if service.serving:
            self._fail(
                call.client, call.asked(service.name), call.body, errors.Expired,
                f"{name}: the call's time was over before its turn came; it was not executed."
                " The object is busy: allow a longer timeout.", out,
            )  # fmt: skip
        else:
            self._fail_absent(call.client, call.asked(service.name), call.body, out)

    # ---- object ids that nobody serves

    def _on_absent(self, name: bytes, call: WaitingCall, now: float, out: list[Effect]) -> None:
        lost_at = self.registry.lost.get(name)
        recent = lost_at is not None and now - lost_at < LOST_AFTER
        patient = call.body.waits or not call.body.sound or recent
        known = name in self._services
        if not patient or mdp.object_id_problem(name) is not None:
            self._fail_absent(call.client, call.asked(name), call.body, out)
        elif not known and len(self.registry.absent) >= self.limits.absent_objects:
            self._fail_absent(call.client, call.asked(name), call.body, out)
        else:
            if recent and not call.body.waits and lost_at is not None:
                call.deadline = min(call.deadline, lost_at + LOST_AFTER)
            self._enqueue(self.registry.service(name), call, now, out)

    def _fail_absent(self, client: bytes, name: bytes, body: Body, out: list[Effect]) -> None:
        self.counters.refused_unknown_object += 1
        text = name.decode(errors="backslashreplace").removesuffix("!")
        self._observe("unknown", {"object": text})
        near = self._nearest(text)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        if not near:
            none = len(self.registry.absent) == len(self._services)
            hint = " No object is shared at all: start its server." if none else ""
        message = f"No server shares an object under the id {text!r}; nothing was executed.{hint}"
        self._fail(client, name, body, errors.ObjectNotFound, message, out, suggestions=near)

    def _nearest(self, text: str) -> list[str]:
        """The ids most like this one; bounded, whatever is asked with however many ids.

        Remembered until a server comes or goes: who asks for what is not there asks again.
        """
        if len(text) > 64:
            return []
        near = self._near.get(text)
        if near is None:
            served = (name for name, service in self._services.items() if service.serving)
            alike = (name.decode() for name in served if abs(len(name) - len(text)) <= 3)
            near = difflib.get_close_matches(text, itertools.islice(alike, 500), n=3)
            if len(self._near) < _REMEMBERED:
                self._near[text] = near
        return near

    # ---- the control lane, and the broker's own names

    def _on_control(
        self, client: bytes, name: bytes, body: list[Buffer], now: float, out: list[Effect]
    ) -> None:
        call = self._call(client, body, now, self._age, control=True)
        lane = name + b"!"
        requests = [item for item in call.body.items if isinstance(item, Request)]
        if call.body.batch or not requests or not requests[0].method.startswith("rpc."):
            message = f"{lane.decode(errors='backslashreplace')}: the control lane takes single"
            self._fail(
                client, lane, call.body, errors.ProtocolError, f"{message} rpc. calls only.", out
            )
            return
        service = self._services.get(name)
        if requests[0].method == "rpc.cancel":
            self._on_cancel(service, client, lane, requests[0], body, now, out)
        elif service is None or not service.serving:
            self._on_absent(name, call, now, out)
        else:
            self._hand_control(service.serving[0], client, lane, body, out)

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
        if verdict.removed is not None:
            self.counters.withdrawn += 1
            self._waiting_bytes -= verdict.removed.size
            if service is not None:
                self.registry.drop_if_unused(service)
        if verdict.holder is not None:
            self._hand_control(
                verdict.holder, client, lane, body, out, answered=verdict.text is not None
            )
        if verdict.text is not None:
            out.append([client, EMPTY, CLIENT, lane, verdict.text])

    def _hand_control(
        self,
        worker: Worker,
        client: bytes,
        lane: bytes,
        body: Sequence[Buffer],
        out: list[Effect],
        answered: bool = False,
    ) -> None:
        if not worker.greeted:
            self._fail(
                client, lane, parse_body(body[0]), errors.MethodNotFound,
                f"{lane.decode()}: this object's server knows no control lane.", out,
            )  # fmt: skip
            return
        self._dispatched += 1
        token = client + self._dispatched.to_bytes(TOKEN_NUMBER, "big")
        if not answered:
            worker.controls[token] = lane
        out.append([worker.rid, EMPTY, WORKER, mdp.CONTROL, token, EMPTY, *body])

    def _on_own_name(
        self, client: bytes, name: bytes, body: list[Buffer], now: float, out: list[Effect]
    ) -> None:
        if name.startswith(b"mmi."):
            out.append([client, EMPTY, CLIENT, name, self._mmi(name, body[0])])
        elif name.rstrip(b"!") == mdp.BROKER_ID:
            out.append(Asked(client, name, body))
        else:
            self._fail_absent(client, name, parse_body(body[0]), out)

    def _mmi(self, name: bytes, about: Buffer) -> bytes:
        """8/MMI: whether an object id is served; nothing else is implemented."""
        if name != b"mmi.service":
            return b"501"
        asked = bytes(about)
        service = self._services.get(asked)
        return b"200" if asked == mdp.BROKER_ID or (service and service.serving) else b"404"

    # ---- workers

    def _on_worker(self, frames: list[Any], now: float, out: list[Effect]) -> None:
        rid, command = frames[0], frames[3]
        worker = self._workers.get(rid)
        if command == mdp.READY:
            self._on_ready(rid, worker, frames[4:], now, out)
        elif worker is None:
            self.counters.dropped_unknown_worker += 1
            out.append([rid, EMPTY, WORKER, mdp.DISCONNECT])
        else:
            worker.heard = now
            if command == mdp.REPLY:
                self._on_reply(worker, frames, now, out)
            elif command == mdp.DISCONNECT:
                self._leave(worker, now, out, lost=False)
                return
            elif command != mdp.HEARTBEAT:
                self.counters.dropped_malformed += 1
            if worker.stalled or worker.service.others:
                self._on_sign_of_life(worker, now, out)

    def _on_reply(self, worker: Worker, frames: list[Any], now: float, out: list[Effect]) -> None:
        if len(frames) < 7 or frames[5] != EMPTY:
            self.counters.dropped_malformed += 1
            return
        token = frames[4]
        service = worker.service
        if worker.held_calls.pop(token, None) is not None:
            worker.credit += 1
            worker.served += 1
            service.served += 1
            self.counters.replies += 1
            out.append([token[:-TOKEN_NUMBER], EMPTY, CLIENT, service.name, *frames[6:]])
            if service.waiting.count:
                self._dispatch(service, now, out)
        elif (lane := worker.controls.pop(token, None)) is not None:
            out.append([token[:-TOKEN_NUMBER], EMPTY, CLIENT, lane, *frames[6:]])
        else:
            self.counters.dropped_reply_not_outstanding += 1

    def _on_ready(
        self, rid: bytes, known: Worker | None, rest: list[Any], now: float, out: list[Effect]
    ) -> None:
        # An object id that is a large frame is too long anyway.
        name: bytes = rest[0] if rest and type(rest[0]) is bytes else b""
        properties = mdp.parse_properties(rest[1]) if len(rest) > 1 else None
        greeted = len(rest) > 1
        problem = mdp.object_id_problem(name)
        if known is not None:
            self._leave(known, now, out, lost=True)
            problem = "READY came twice on one connection"
        elif problem is not None:
            problem = f"The object id {name.decode(errors='backslashreplace')!r} {problem}"
        elif greeted and properties is None:
            problem = "The properties in READY are not what spec/wire.md asks for"
        if problem is not None:
            self.counters.dropped_malformed += 1
            self._observe("unsound", {"problem": problem})
            self._disconnect(rid, greeted, Reason(errors.ProtocolError.code, problem), out)
            return
        self._admit(rid, name, properties, now, out)

    def _admit(
        self, rid: bytes, name: bytes, properties: Properties | None, now: float, out: list[Effect]
    ) -> None:
        self._near.clear()
        earlier = self.registry.same_instance(name, properties)
        if earlier is not None:
            self._leave(earlier, now, out, lost=True)
        service = self.registry.service(name)
        worker = Worker(rid, service, properties, now)
        state = self.registry.admit(worker)
        self._note(state, worker)
        self._greet(worker, out)
        if state == "held":
            for holder in service.serving:
                out.append([holder.rid, EMPTY, WORKER, mdp.HEARTBEAT])
        self._dispatch(service, now, out)

    def _greet(self, worker: Worker, out: list[Effect]) -> None:
        if worker.greeted:
            greeting = Greeting(broker=self.broker_id, state=worker.state, interval=BEAT)
            frame = msgspec.json.encode(greeting)
            out.append([worker.rid, EMPTY, WORKER, mdp.HEARTBEAT, frame])

    def _on_sign_of_life(self, worker: Worker, now: float, out: list[Effect]) -> None:
        service = worker.service
        if worker.stalled:
            worker.stalled = False
            self._note("heard", worker)
            self._dispatch(service, now, out)
        if worker.state != "serving":
            return
        for other in service.others:
            if other.state == "held" and other.doubted is None:
                other.doubted = now

    def _refuse(self, held: Worker, now: float, out: list[Effect]) -> None:
        """The holder of its id lives."""
        holder = held.service.serving[0]
        self.counters.refused_object_id_taken += 1
        self.registry.remove(held)
        self._note("refused", held, holder=holder.describe())
        name, facts = held.service.name.decode(), holder.properties
        since = now - holder.since
        message = f"The object id {name!r} is taken: {holder.describe()} shares it"
        reason = Reason(
            errors.ObjectIdTaken.code, f"{message} since {since:.0f} s. Stop that server, or"
            " choose another id.", facts.host, facts.pid, since,
        )  # fmt: skip
        self._disconnect(held.rid, held.greeted, reason, out)

    @staticmethod
    def _disconnect(rid: bytes, greeted: bool, reason: Reason, out: list[Effect]) -> None:
        frames: list[Buffer] = [rid, EMPTY, WORKER, mdp.DISCONNECT]
        out.append([*frames, msgspec.json.encode(reason)] if greeted else frames)

    def _leave(self, worker: Worker, now: float, out: list[Effect], lost: bool) -> None:
        """A worker is gone, by its own word or without one: tell who waits for it."""
        service = worker.service
        self._near.clear()
        self.registry.remove(worker)
        self._note("lost" if lost else "left", worker, calls=len(worker.held_calls))
        if lost:
            self.counters.servers_lost += 1
        for token, text in worker.held_calls.items():
            self.counters.calls_lost += 1
            message = (
                f"{service.name.decode()}: its server ({worker.describe()}) went away while it"
                " held this call; whether it was executed cannot be known."
            )
            self._fail(
                token[:-TOKEN_NUMBER], service.name, parse_body(text), errors.ServerLost,
                message, out,
            )  # fmt: skip
        promoted = self.registry.promote(service)
        while promoted is not None:
            self._note("serving", promoted)
            self._greet(promoted, out)
            self._dispatch(service, now, out)
            promoted = None if promoted.properties.policy != "pool" else self._join(service, out)
        if service.workers:
            return
        if lost:
            self.registry.lost[service.name] = now
            return
        for call in [call for call in service.waiting if not call.body.waits]:
            service.waiting.remove(call)
            self._waiting_bytes -= call.size
            self._fail_absent(call.client, call.asked(service.name), call.body, out)
        self.registry.drop_if_unused(service)

    def _join(self, service: Service, out: list[Effect]) -> Worker | None:
        """Pool workers that were held behind an exclusive server serve together."""
        for other in service.others:
            if other.properties.policy == "pool":
                service.others.remove(other)
                other.state = "serving"
                service.serving.append(other)
                return other
        return None

    def _note(self, what: str, worker: Worker, **facts: Any) -> None:
        """Tell the observer what has become of a server."""
        object_id = worker.service.name.decode()
        self._observe(what, {"object": object_id, "server": worker.describe(), **facts})

    # ---- time

    def _on_stood_still(self, seconds: float) -> None:
        """The silence of others during our own standstill was not theirs."""
        self._age += seconds
        self._observe("stood still", {"seconds": seconds})
        for worker in self._workers.values():
            worker.heard += seconds

    def _on_tick(self, now: float, out: list[Effect]) -> None:
        if now < self._next_beat:
            return
        late = now - self._next_beat
        due = _AT_A_TICK * (1 + int(late / self._pause))  # a late one makes up for it
        if not self._to_look_after:
            self._beats += 1
            self._to_look_after = [*self._workers.values()][::-1]
            self._pause = BEAT / 2 / max(1, -(-len(self._to_look_after) // _AT_A_TICK))
        self._next_beat = now + self._pause
        for _ in range(min(due, len(self._to_look_after))):
            worker = self._to_look_after.pop()
            if self._workers.get(worker.rid) is worker:
                self._look_after(worker, now, out)
        if not self._to_look_after:
            self._clear_up(now, out)

    def _look_after(self, worker: Worker, now: float, out: list[Effect]) -> None:
        """Judge a worker's silence, and beat."""
        if worker.silent_too_long(now):
            reason = Reason(0, "The broker heard nothing for 10 s.")
            self._disconnect(worker.rid, worker.greeted, reason, out)
            self._leave(worker, now, out, lost=True)
            return
        doubts = worker.state == "held" and worker.doubted is not None
        if doubts and now - (worker.doubted or now) >= BEAT / 2:
            self._refuse(worker, now, out)
            return
        # Until its next sign of life: our own standstill excuses its silence later on.
        if not worker.stalled and worker.stalls(now):
            worker.stalled = True
            self._note("silent", worker, seconds=now - worker.heard)
        if worker.held_calls or self._beats % 2:
            out.append([worker.rid, EMPTY, WORKER, mdp.HEARTBEAT])

    def _clear_up(self, now: float, out: list[Effect]) -> None:
        """Calls whose time is over, and object ids that were lost long ago."""
        for service in list(self._services.values()):
            if service.waiting.count:
                for call in service.waiting.expired(now):
                    self._waiting_bytes -= call.size
                    self._expire(service, call, out)
                self.registry.drop_if_unused(service)
        lost = self.registry.lost
        for name in [name for name, when in lost.items() if now - when > LOST_AFTER]:
            del lost[name]

    def _on_unreachable(self, frames: list[Any], now: float, out: list[Effect]) -> None:
        worker = self._workers.get(frames[0])
        if worker is None:
            self.counters.dropped_unreachable_peer += 1
            return
        token = frames[4] if len(frames) > 6 else b""
        service = worker.service
        client, body = token[:-TOKEN_NUMBER], frames[6:]
        lane = worker.controls.pop(token, None)
        if worker.held_calls.pop(token, None) is not None:
            # It never left the broker, so another server may have it, in its old place.
            worker.credit += 1
            call = self._call(client, body, now, 0.0)
            service.waiting.put_back(call)
            self._waiting_bytes += call.size
        self._leave(worker, now, out, lost=True)
        if lane is not None:
            self._on_control(client, service.name, body, now, out)
        self._dispatch(service, now, out)

    def _on_stop(self, now: float, out: list[Effect]) -> None:
        reason = Reason(errors.BrokerUnreachable.code, "The broker was stopped.")
        waiting = (
            (service, call) for service in self._services.values() for call in service.waiting
        )
        # The rest see the connection go: a long queue does not make the end a long one.
        for service, call in itertools.islice(waiting, _ANSWERED_AT_STOP):
            self._fail(
                call.client, call.asked(service.name), call.body, errors.BrokerUnreachable,
                f"{service.name.decode()}: the broker was stopped; the call was not executed.",
                out,
            )  # fmt: skip
        for worker in self._workers.values():
            self._disconnect(worker.rid, worker.greeted, reason, out)

    # ---- answers in the object's stead

    def _fail(
        self,
        client: bytes,
        name: bytes,
        body: Body,
        kind: type[errors.RocError],
        message: str,
        out: list[Effect],
        **data: Any,
    ) -> None:
        """Answer every request in the body with an error; a body that is not JSON-RPC, never."""
        if not body.sound:
            return
        data["executed"] = kind.executed
        data["object"] = name.decode(errors="backslashreplace").rstrip("!")
        answers = []
        for item in body.items:
            reply_id = item.reply_id
            if reply_id is not None:
                answers.append(encode_error(reply_id, kind.code, message, data))
        out.append([client, EMPTY, CLIENT, name, encode_responses(answers, body.batch)])

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
        assert self._waiting_bytes == sum(s.waiting.bytes for s in self._services.values())
        for worker in self._workers.values():
            if worker.credit > 0 and not worker.stalled and worker.state == "serving":
                assert not worker.service.waiting.count, "a call waits beside free credit"
