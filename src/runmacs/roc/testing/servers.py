"""A server in a simulated network, whose methods take simulated time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from .. import errors
from ..core.effects import Effect, Greeted, Refused, Reopen
from ..core.worker import Task, WorkerCore
from ..wire import mdp
from ..wire.jsonrpc import Request, encode_error, encode_result
from ..wire.mdp import Properties
from .clock import Timer
from .history import call_in
from .network import MemoryNetwork
from .process import SimulatedPeer

__all__ = ["Execution", "SimulatedServer"]


class Execution:
    """A method that runs. The server's ``behaviour`` says what it does.

    Attributes:
        call: the call id.
        method, params: what was asked for.
        seconds: how long it takes.
        result: what it returns.
        error: what it raises instead, if anything.
        holds_loop: nothing else runs meanwhile, as when a driver holds the GIL.
    """

    def __init__(self, task: Task, request: Request, server: SimulatedServer) -> None:
        self.task = task
        self.request = request
        self.server = server
        self.call = request.roc.call
        self.method = request.method
        raw = request.params
        self.params: Any = [] if isinstance(raw, msgspec.UnsetType) else msgspec.json.decode(raw)
        self.seconds = 0.0
        self.result: Any = None
        self.error: Exception | None = None
        self.holds_loop = False
        self.ends_at = 0.0
        self.timer: Timer | None = None

    def reply(self) -> bytes:
        """The reply's body."""
        reply_id = self.request.reply_id or b"null"
        if self.error is None:
            return encode_result(reply_id, msgspec.json.encode(self.result))
        data = {"executed": True, "type": type(self.error).__name__}
        return encode_error(reply_id, errors.RemoteError.code, str(self.error), data)


def _instantly(execution: Execution) -> None:
    """The behaviour of a server that was given none: takes no time, returns None."""


class SimulatedServer(SimulatedPeer):
    """The loop of the real server around a `WorkerCore`; ``core`` makes one for each life.

    A server that is refused at its first registration ends, as a real one does.
    """

    core: WorkerCore

    def __init__(
        self,
        network: MemoryNetwork,
        name: str,
        object_id: str,
        behaviour: Callable[[Execution], None] = _instantly,
        *,
        policy: str = "exclusive",
        prefetch: int = 20,
        core: Callable[[str, Properties], WorkerCore] = WorkerCore,
        **clock: float,
    ) -> None:
        super().__init__(network, name, **clock)
        self.object_id = object_id
        self.policy = policy
        self.prefetch = prefetch
        self.refusal: mdp.Reason | None = None
        self.running: Execution | None = None
        self._behaviour = behaviour
        self._make = core
        self.stopping = False
        self.start()

    # ---- life and death

    def _begin(self) -> None:
        self.running = self.refusal = None
        self.stopping = False
        properties = Properties(
            instance=self.label, prefetch=self.prefetch, policy=self.policy, host=self.name
        )
        self.core = self._make(self.object_id, properties)
        self._open()

    def _open(self) -> None:
        self._changes = []
        self._connect()
        out: list[Effect] = []
        self.core.opened(self.local(), out)
        self._carry_out(out)

    def stop(self) -> None:
        """End in good order (SIGTERM): the running method may end first."""
        if self.alive:
            self.note("is asked to stop")
            self.stopping = True
            self.wake()

    def _die(self) -> None:
        super()._die()
        if self.running is not None and self.running.timer is not None:
            self.running.timer.cancel()
        self.running = None

    def _on_thaw(self, seconds: float) -> None:
        """A method that was running has its time still before it."""
        running = self.running
        if running is not None:
            running.ends_at += seconds
            self._plan_end(running)

    # ---- the loop

    def _turn(self, now: float, stale: float | None) -> None:
        running = self.running
        if running is not None and running.holds_loop:
            return
        self._pump(now, stale)
        out: list[Effect] = []
        while self.running is None and self.alive:
            if self.stopping or self.refusal is not None:
                self._end()
                return
            task = self.core.take(now, out)
            self.core.check()
            self._carry_out(out)
            if task is None:
                break
            self._execute(task, now)
        if self.running is not None:
            self._serve_control()
            if self.running.holds_loop:
                self._stood_still(self._still.waiting(now, 0.0))
                return
        self._stood_still(self._wait(now, self.core.next_deadline()))

    def _pump(self, now: float, stale: float | None) -> None:
        """Take all that has come, and see whether something is due."""
        core, still = self.core, self._still
        if stale is None:
            self._stood_still(still.awake(now))
        looked = now if stale is None else stale
        out: list[Effect] = []
        while self._inbox:
            arrival = self._inbox.popleft()
            frames = arrival.frames or []
            if frames[2] == mdp.REQUEST:
                self.note("reads", call_in(frames[5]), arrival)
            core.on_frames(frames, looked, out)
            core.check()
        changes, self._changes = self._changes, []
        for up in changes:
            if up:
                core.link_up(looked, out)
            else:
                core.link_down(looked)
            core.check()
        core.tick(looked, out)
        core.check()
        self._carry_out(out)
        if still.age and still.drained(looked):
            core.drained()

    def _stood_still(self, seconds: float) -> None:
        if seconds:
            self.core.stood_still(seconds)
            self.core.check()

    def _carry_out(self, out: list[Effect]) -> None:
        effects, out[:] = out[:], []
        for effect in effects:
            if isinstance(effect, list):
                if not self._connection.send_up(effect):
                    self.core.unsent(self.local())
                    self.core.check()
                    break
            elif isinstance(effect, Reopen):
                self.note("leaves its broker", more=effect.why)
                self._connection.close()
                self._open()
            elif isinstance(effect, Greeted):
                self.note("is greeted", more=effect.greeting.state)
            elif isinstance(effect, Refused):
                self.note("is refused", more=effect.reason.message)
                if effect.first or effect.reason.code != errors.ObjectIdTaken.code:
                    self.refusal = effect.reason

    def _end(self) -> None:
        """Say goodbye, and what was sent still leaves."""
        out: list[Effect] = []
        self.core.stop(out)
        self.core.check()
        self._carry_out(out)
        self.note("ends")
        self._die()

    # ---- execution

    def _execute(self, task: Task, now: float) -> None:
        request = task.body.items[0]
        if not isinstance(request, Request) or task.body.batch:
            reply = encode_error(request.reply_id or b"null", -32600, "not simulated")
            self._finish(task, [reply])
        elif task.expired(request, now):
            data = {"executed": False}
            text = encode_error(request.reply_id or b"null", errors.Expired.code, "late", data)
            self._finish(task, [text])
        elif request.method.startswith("rpc."):
            self._finish(task, [encode_result(request.reply_id or b"null", b"{}")])
        else:
            self._run_method(Execution(task, request, self))

    def _run_method(self, execution: Execution) -> None:
        self.note("begins", execution.call)
        self._behaviour(execution)
        self.running = execution
        if execution.seconds <= 0.0:
            self._end_method()
            return
        execution.ends_at = self.network.clock.now + execution.seconds
        self._plan_end(execution)

    def _plan_end(self, execution: Execution) -> None:
        if execution.timer is not None:
            execution.timer.cancel()
        execution.timer = self.network.clock.at(execution.ends_at, self._end_method)

    def _end_method(self) -> None:
        execution = self.running
        if execution is None or self.frozen:
            return
        self.running = None
        self.note("ends the call", execution.call)
        self._finish(execution.task, [execution.reply()])
        self.wake()

    def _finish(self, task: Task, frames: Sequence[bytes]) -> None:
        out: list[Effect] = []
        self.core.finish(task, frames, out)
        self.core.check()
        self._carry_out(out)

    def _serve_control(self) -> None:
        """The standby thread's part: the control lane, beside the running method."""
        while (task := self.core.take_control()) is not None:
            self.core.check()
            item = task.body.items[0]
            self._finish(task, [encode_result(item.reply_id or b"null", b"{}")])
