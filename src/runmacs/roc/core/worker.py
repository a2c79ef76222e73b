"""One object's conversation with the broker, as an automaton.

States::

    joining ──greeting──> serving | standby | held        (a greeted worker)
    joining ──silence is fine──> joining                   (a stock broker never greets)
    any     ──DISCONNECT──> joining, later ──READY──> ...
    any     ──broker silent──> Reopen, joining

Rules:

* Requests are begun one at a time, in order for each client, clients in turn.
* A batch is one request. But each of its calls has its own time to live, and is withdrawn
  alone: also while another one runs.
* A request whose time to live is over is never begun: how long it was under way
  (`Transit`), unread (`Standstill`) and waiting here all count.
* Whoever loses its broker drops what it has not begun: nobody waits for it.
* A broker that never greeted may be a stock one: it is granted 7.5 s of silence,
  none at all is counted while a call is open, and READY goes out with 7/MDP's frames
  plus one that it ignores.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any

import msgspec

from .. import errors
from ..wire import mdp
from ..wire.jsonrpc import Body, Request, encode_error, encode_responses, parse_body
from ..wire.mdp import EMPTY, WORKER, Properties
from ..wire.values import Buffer
from .effects import Effect, Greeted, Refused, Reopen
from .liveness import BEAT, LOST_AFTER, SILENCE, STOCK_SILENCE, Transit
from .withdrawal import call_to_cancel, encode_verdict

__all__ = ["Task", "WorkerCore"]

_RETRY = 0.1
_RETRY_REFUSED = 1.0
_DISOWNED_AFTER = LOST_AFTER - 2 * BEAT
_EXECUTED = {"withdrawn": False, "running": None, "executed": True, "unknown": None}
"""What the state of a withdrawn call says of its execution."""


class Task:
    """A request that was received: what to execute, and where its reply goes."""

    __slots__ = ("_begun", "_turn", "_withdrawn", "age", "body", "control", "epoch", "frames",
                 "late", "read_at", "sender", "token")  # fmt: skip

    def __init__(
        self,
        token: bytes,
        frames: Sequence[Buffer],
        body: Body,
        read_at: float,
        age: float,
        epoch: int,
        control: bool = False,
    ) -> None:
        self.token = token
        self.frames = frames
        self.body = body
        self.read_at = read_at
        self.age = age
        self.epoch = epoch
        self.control = control
        self.late = 0.0
        self.sender = ""
        self._turn = ""
        self._begun: set[str] = set()
        self._withdrawn: set[str] = set()

    def expired(self, request: Request, now: float) -> bool:
        """Whether this request may no longer be begun."""
        ttl = request.roc.ttl
        return ttl is not None and now - self.read_at + self.age >= ttl

    # The one who executes notes whose turn it is before he looks what was withdrawn; the one
    # who withdraws, in another thread, notes that before he looks whose turn it is. So what
    # is said to be withdrawn is never begun.

    def refusal(self, request: Request, now: float) -> errors.Expired | None:
        """A request's turn has come: why it may not begin, or None as it begins."""
        self._turn = call = request.roc.call
        if call in self._withdrawn:
            return errors.Expired("it was withdrawn by its caller")
        if self.expired(request, now):
            data = {"late": round(self.late, 3)} if self.late else None
            return errors.Expired("its time was over when its turn came", data=data)
        self._begun.add(call)
        return None

    def withdraw(self, call: str) -> str:
        """Withdraw a call of a batch: ``withdrawn``, or ``running`` or ``executed`` already."""
        self._withdrawn.add(call)
        if call == self._turn:
            return "running"
        return "executed" if call in self._begun else "withdrawn"


class WorkerCore:
    """The worker of one object id; ``properties`` go into its READY."""

    def __init__(self, object_id: str, properties: Properties) -> None:
        self.object_id = object_id
        self.properties = properties
        self.state = "joining"
        self.greeted = False
        self.running: Task | None = None
        self.running_since = 0.0
        self.dropped_replies = 0
        self.expired = 0
        self._name = object_id.encode()
        self._ready: OrderedDict[str, deque[Task]] = OrderedDict()
        self._control: deque[Task] = deque()
        self._queued = 0
        self._transit = Transit()
        self._age = 0.0
        self._disowned = False
        self._epoch = 0
        self._heard = 0.0
        self._next_beat = 0.0
        self._next_ready: float | None = 0.0
        self._unsent = False
        self._was_accepted = False

    # ---- the socket's life

    def opened(self, now: float, out: list[Effect]) -> None:
        """A fresh socket stands: introduce the object."""
        self._forget()
        self._introduce(now, out)

    def link_down(self, now: float) -> None:
        """The connection is gone, and may be back already: whoever is there does not know us."""
        self.unsent(now)

    def link_up(self, now: float, out: list[Effect]) -> None:
        """A connection stands: READY goes out now, if it waited for one."""
        if self._unsent:
            self._introduce(now, out)

    def unsent(self, now: float) -> None:
        """A frame could not be sent: there is no connection. READY is tried again."""
        self._forget()
        self._unsent = True
        self._next_ready = now + _RETRY

    def _introduce(self, now: float, out: list[Effect]) -> None:
        self._unsent = False
        self._next_ready = None
        self._heard = now
        self._next_beat = now + BEAT
        frame = msgspec.json.encode(self.properties)
        out.append([EMPTY, WORKER, mdp.READY, self._name, frame])

    def _forget(self) -> None:
        """This broker is gone, or knows us no longer: so is what it handed to us."""
        self._epoch += 1
        self._ready.clear()
        self._control.clear()
        self._queued = 0
        self.state = "joining"
        self.greeted = False
        self._disowned = False
        self._next_ready = None

    # ---- messages

    def on_frames(self, frames: list[Any], now: float, out: list[Effect]) -> None:
        """One message from the broker: ``["", header, command, ...]``. Never raises."""
        if len(frames) < 3 or frames[0] != EMPTY or frames[1] != WORKER:
            return
        command = frames[2]
        self._heard = now
        if command in (mdp.REQUEST, mdp.CONTROL):
            # Without an introduction it can only come from the broker before.
            if len(frames) > 5 and frames[4] == EMPTY and self._next_ready is None:
                self._on_request(frames, now, out, command == mdp.CONTROL)
        elif command == mdp.HEARTBEAT:
            greeting = mdp.parse_greeting(frames[3]) if len(frames) > 3 else None
            if greeting is not None:
                self.greeted = True
                self.state = greeting.state
                self._was_accepted |= self.state != "held"
                out.append(Greeted(greeting))
        elif command == mdp.DISCONNECT:
            self._on_disconnect(frames, now, out)

    def _on_request(self, frames: list[Any], now: float, out: list[Effect], control: bool) -> None:
        body = parse_body(frames[5])
        task = Task(frames[3], frames[5:], body, now, self._age, self._epoch, control)
        first = next((item for item in body.items if isinstance(item, Request)), None)
        sender = ""
        if first is not None:
            roc = first.roc
            task.age += roc.age
            task.sender = sender = roc.call.partition(".")[0]
            if sender and roc.at is not None:
                key = (sender, roc.clock) if roc.clock else sender
                late = self._transit.age(key, roc.at, now)
                if late > task.age:
                    task.age = task.late = late
            if control and first.method == "rpc.cancel":
                self._on_cancel(task, first, now, out)
                return
        if control:
            self._control.append(task)
        else:
            self._ready.setdefault(sender, deque()).append(task)
        self._queued += 1

    def _on_cancel(self, task: Task, request: Request, now: float, out: list[Effect]) -> None:
        call = call_to_cancel(request) or ""
        running = self.running
        if running is not None and running.epoch == self._epoch and running.body.carries(call):
            state = running.withdraw(call) if running.body.batch else "running"
        else:
            state = self._withdraw_unbegun(call, out)
        seconds = now - self.running_since if state == "running" else None
        text = encode_verdict(request, _EXECUTED[state], state, seconds)
        self._reply(task.token, [text], out)

    def _withdraw_unbegun(self, call: str, out: list[Effect]) -> str:
        for sender, tasks in self._ready.items():
            for task in tasks:
                if not task.body.carries(call):
                    continue
                if task.body.batch:
                    return task.withdraw(call)
                tasks.remove(task)
                if not tasks:
                    del self._ready[sender]
                self._queued -= 1
                self._decline(task, errors.Expired, "withdrawn by its caller", out)
                return "withdrawn"
        return "unknown"

    def _on_disconnect(self, frames: list[Any], now: float, out: list[Effect]) -> None:
        reason = mdp.parse_reason(frames[3]) if len(frames) > 3 else None
        refused = reason is not None and reason.code == errors.ObjectIdTaken.code
        unsound = reason is not None and reason.code == errors.ProtocolError.code
        self._forget()
        self._next_ready = now + (_RETRY_REFUSED if refused or unsound else _RETRY)
        if reason is not None and (refused or (unsound and not self._was_accepted)):
            out.append(Refused(reason, first=not self._was_accepted))

    # ---- execution

    @property
    def queued(self) -> int:
        """Requests that have not begun."""
        return self._queued

    def take(self, now: float, out: list[Effect]) -> Task | None:
        """The next request to begin, whose turn and time it is; None when there is none.

        After a long standstill nothing is begun until all that came meanwhile is read: it may
        be a withdrawal, or the end of the broker.
        """
        while self._queued and self._age <= SILENCE:
            task = self.take_control() or self._next()
            if not task.body.batch:
                request = task.body.items[0]
                if isinstance(request, Request) and task.expired(request, now):
                    self.expired += 1
                    self._decline(task, errors.Expired, "its time was over when its turn came", out)
                    continue
            self.running, self.running_since = task, now
            return task
        return None

    def _next(self) -> Task:
        """The oldest request of the client whose turn it is. There must be one."""
        sender, tasks = next(iter(self._ready.items()))
        task = tasks.popleft()
        if tasks:
            self._ready.move_to_end(sender)
        else:
            del self._ready[sender]
        self._queued -= 1
        return task

    def method_after(self, task: Task) -> str:
        """What is called next, if that is a plain call and the caller of this one waits for
        more; else empty.
        """
        if self._control or task.sender not in self._ready:
            return ""
        body = next(iter(self._ready.values()))[0].body
        first = body.items[0]
        return first.method if isinstance(first, Request) and not body.batch else ""

    def take_control(self) -> Task | None:
        """The next request of the control lane, for whoever serves it beside a running method."""
        if not self._control:
            return None
        self._queued -= 1
        return self._control.popleft()

    def finish(self, task: Task, frames: Sequence[Buffer], out: list[Effect]) -> None:
        """A task has ended: send its reply, if the broker that asked is still there."""
        if self.running is task:
            self.running = None
        if task.epoch != self._epoch:
            self.dropped_replies += 1
        else:
            self._reply(task.token, frames, out)

    def _reply(self, token: bytes, frames: Sequence[Buffer], out: list[Effect]) -> None:
        out.append([EMPTY, WORKER, mdp.REPLY, token, EMPTY, *frames])

    def _decline(
        self, task: Task, kind: type[errors.RocError], why: str, out: list[Effect]
    ) -> None:
        """Answer a task that is not begun; ``late`` is how long it seems to have been under way."""
        data: dict[str, Any] = {"executed": False, "object": self.object_id}
        if task.late:
            data["late"] = round(task.late, 3)
        message = f"{self.object_id}: the call was not executed: {why}."
        answers = [
            encode_error(item.reply_id, kind.code, message, data)
            for item in task.body.items
            if item.reply_id is not None
        ]
        self._reply(task.token, [encode_responses(answers, task.body.batch)], out)

    def stop(self, out: list[Effect]) -> None:
        """The server ends: decline what was not begun, and say goodbye."""
        for tasks in (self._control, *self._ready.values()):
            for task in tasks:
                self._decline(task, errors.ServerLost, "its server was stopped", out)
        if self._next_ready is None:  # else it was dismissed, or has not reached anybody
            out.append([EMPTY, WORKER, mdp.DISCONNECT])
        self._forget()

    # ---- time

    def stood_still(self, seconds: float) -> None:
        """The own loop stood still: what is read until `drained` is older by that."""
        self._age += seconds
        self._heard += seconds
        self._disowned |= self._age > _DISOWNED_AFTER

    def drained(self) -> None:
        """The socket is empty."""
        self._age = 0.0

    def next_deadline(self) -> float | None:
        """When `tick` should come at the latest."""
        if self._unsent or self._next_ready is not None:
            return self._next_ready
        return min(self._next_beat, self._heard + self._patience())

    def _patience(self) -> float:
        return SILENCE if self.greeted else STOCK_SILENCE

    def tick(self, now: float, out: list[Effect]) -> None:
        """Time has passed: beat, register again, or leave a silent broker."""
        if self._next_ready is not None:
            if now >= self._next_ready:
                self._introduce(now, out)
            return
        if self._disowned:
            out.append(Reopen("this process stood still for so long that the broker gave it up"))
            self._forget()
            return
        excused = not self.greeted and (self.running is not None or self._queued > 0)
        if excused:
            self._heard = max(self._heard, now - STOCK_SILENCE / 2)
        elif now - self._heard > self._patience():
            out.append(Reopen(f"the broker was silent for {now - self._heard:.1f} s"))
            self._forget()
            return
        if now >= self._next_beat:
            self._next_beat = now + BEAT
            out.append([EMPTY, WORKER, mdp.HEARTBEAT])

    # ---- looking inside

    def snapshot(self) -> dict[str, Any]:
        """Plain copies for monitoring."""
        return {
            "object": self.object_id,
            "state": self.state,
            "queued": self._queued,
            "running": self.running is not None,
            "expired": self.expired,
            "dropped_replies": self.dropped_replies,
        }

    def check(self) -> None:
        """Every invariant of the worker."""
        assert self._queued == len(self._control) + sum(map(len, self._ready.values()))
        assert all(self._ready.values()), "no client without tasks"
        assert self.greeted or self.state == "joining"
        waiting = [*self._control, *(task for tasks in self._ready.values() for task in tasks)]
        assert all(task.epoch == self._epoch for task in waiting)
