"""Drives one object's server: the serving thread executes, a standby thread covers for it.

Who owns what:

* The serving thread (that of `run`) waits on descriptors, reads requests, executes
  methods itself and sends the replies: no hop on the common path.
* The standby thread is parked while nothing happens, looks up every 10 ms while calls
  flow, and when a call outlasts that, reads and beats in the serving thread's stead until
  the call ends: heartbeats go on, ping and cancel are answered.
* Socket and core are used with the lock only; methods run without it.
* A reply may wait for the next ones; see `heldreplies`. Until they leave the socket is not looked
  at either.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import zmq

from .. import errors
from ..core.dispatch import Dispatcher
from ..core.effects import Effect, Greeted, Refused, Reopen
from ..core.liveness import Standstill
from ..core.worker import Task, WorkerCore
from ..endpoints import Endpoints
from ..wire.values import Buffer
from .clock import now as clock
from .coroutines import Coroutines
from .forking import keep, register
from .gates import Gate, Waker
from .heldreplies import HeldReplies
from .interrupts import OwnThread, interrupt_main_thread
from .links import open_link
from .sockets import context
from .telling import Telling

__all__ = ["Serving"]

_TICK = 0.01
_IDLE_TICKS = 10
_TURN = 0.25
_LINGER = 1.0
_GRACE = 5.0
"""Seconds that a running method has to end by itself after SIGTERM or stop()."""


class Serving:
    """One worker, its socket, and the two threads that may drive it."""

    def __init__(
        self,
        ctx: zmq.Context[Any] | None,
        endpoints: Endpoints,
        core: WorkerCore,
        dispatcher: Dispatcher,
        tell: Callable[[str], None],
        on_state: Callable[[str], None] | None = None,
    ) -> None:
        self.endpoints = endpoints
        self.core = core
        self.refusal: errors.ObjectIdTaken | errors.ProtocolError | None = None
        self.interrupted = False
        self.stopping = False
        self.ctrl_c = False
        self.accepted = threading.Event()
        self._dispatcher = dispatcher
        self._coroutines = Coroutines()
        dispatcher.run_coroutine = self._coroutines.run
        self._telling = Telling(core.object_id, endpoints.rocBroker, tell)
        self._on_state = on_state
        self._reported: str | None = None
        self._state: str | None = None
        self._context = context(ctx)
        self._lock = threading.Lock()
        self._still = Standstill()
        self._calls = 0
        self._held = HeldReplies(core.properties.prefetch)
        self._busy = False
        self._in_main = False
        self._grace = _GRACE
        self._break_at: float | None = None
        self._parked = False
        self._standing_in = False
        self._ended = False
        self._alarm = threading.Event()
        self._wake_serving = Waker()
        self._wake_standby = Waker()
        self._begun = clock()
        register(self)

    # ---- the serving thread

    def run(self) -> None:
        """Serve until `stop`. Raises ObjectIdTaken if refused at the first registration."""
        self._in_main = threading.current_thread() is threading.main_thread()
        self._begun = clock()
        with self._lock:
            self._open()
        standby = OwnThread(self._stand_by, "roc-standby")
        standby.start()
        try:
            self._serve()
        finally:
            self._end()
            standby.join(timeout=1.0)
            self._wake_serving.close()
            self._wake_standby.close()
            self._coroutines.close()
        if self.refusal is not None:
            raise self.refusal

    def _serve(self) -> None:
        out: list[Effect] = []
        ready: list[int] = []
        while True:
            with self._lock:
                self._pump(ready)
                if self.stopping or self.refusal is not None:
                    return
                task = self._take(clock(), out)
                timeout = self._plan(0.0 if task is not None else None)
            if self._state != self._reported:
                self._report()
            executed = task is not None
            while task is not None:
                task, timeout = self._execute(task)
            ready = self._gate.wait(timeout) if timeout or executed else []
            if self._wake_serving.fd in ready:
                self._wake_serving.clear()

    def _report(self) -> None:
        """Tell the program what this server has become; that may take its time."""
        self._reported = state = self._state
        if self._on_state is None or state is None:
            return
        self._calls += 1
        self._busy = True
        self._alarm.set()
        try:
            self._on_state(state)
        finally:
            self._busy = False
            self._wake_standby.wake()

    def _execute(self, task: Task) -> tuple[Task | None, float]:
        """Returns what is next before the socket is looked at; else how long nothing is to do."""
        self._calls += 1
        self._busy = True
        if self._parked:
            self._alarm.set()
        begun = clock()
        try:
            frames = self._serve_task(task)
        finally:
            self._busy = False
            if self._standing_in:
                self._wake_standby.wake()
        out: list[Effect] = []
        now = clock()
        with self._lock:
            if frames is not None:
                self._held.note(task, now - begun)
                self.core.finish(task, frames, out)
                hold = self._held.hold(self.core.method_after(task), now)
                self._carry_out(out, hold)
                if hold and not self.stopping and (following := self._take(now, out)) is not None:
                    return following, 0.0
            # What has come meanwhile may be a withdrawal of what is next.
            return None, self._plan(0.0 if self.core.queued else None)

    def _take(self, now: float, out: list[Effect]) -> Task | None:
        task = self.core.take(now, out)
        if out:
            self._carry_out(out)
        return task

    def _serve_task(self, task: Task) -> Sequence[Buffer] | None:
        """The reply; None if the server's stop struck where nobody can say what was done.

        Then the broker says just that, as the server leaves it with the call unanswered.
        """
        try:
            if self.stopping:
                self._catch_up()
            return self._dispatcher.serve(
                task.body, task.frames, lambda request: task.refusal(request, clock()), task.control
            )
        except KeyboardInterrupt:
            if not self.interrupted:
                raise
            return None

    def _catch_up(self) -> None:
        """A signal came after the look at `stopping`, and before `_busy`: obey it now."""
        if self.interrupted:
            raise KeyboardInterrupt
        self.stop(self._grace)

    def interrupt(self) -> bool:
        """SIGINT: stop now. True if a method runs, which the interrupt shall break."""
        self.ctrl_c |= not self.interrupted
        self.interrupted = self.stopping = True
        self._wake_serving.wake()
        return self._busy

    def stop(self, grace: float = _GRACE) -> None:
        """Stop; a running method has ``grace`` seconds to end by itself. Does not wait.

        A signal handler may call it: it takes no lock, and leaves the rest to the threads.
        """
        self._grace = grace
        self.stopping = True
        if self._busy and self._in_main and self._break_at is None:
            self._break_at = clock() + grace
        self._wake_serving.wake()
        self._wake_standby.wake()

    def _break_off(self, due: float, now: float) -> float:
        """Interrupt the method that has had its grace; else when that is, at the latest."""
        if self._break_at is None:
            return due
        if now < self._break_at:
            return min(due, self._break_at - now)
        self._break_at = None
        if self._busy:
            self.interrupted = True
            interrupt_main_thread()
        return due

    def _end(self) -> None:
        self._ended = True
        self._alarm.set()
        self._wake_standby.wake()
        out: list[Effect] = []
        with self._lock:
            while (frames := self._link.receive()) is not None:
                self.core.on_frames(frames, clock(), out)  # to be answered: not executed
            self.core.stop(out)
            self._carry_out(out)
            self._link.close(_LINGER)

    # ---- the standby thread

    def _stand_by(self) -> None:
        while not self._ended:
            self._parked = True
            if not self._busy:
                # Set after this look, `_parked` makes the serving thread ring the alarm.
                self._alarm.wait()
            self._parked = False
            self._alarm.clear()
            self._watch()

    def _watch(self) -> None:
        """While calls flow: look up every 10 ms whether one of them lasts."""
        idle = 0
        while idle < _IDLE_TICKS and not self._ended:
            seen = self._calls
            time.sleep(_TICK)
            if self._calls != seen:
                idle = 0
            elif self._busy:
                self._stand_in(seen)
                idle = 0
            else:
                idle += 1

    def _stand_in(self, call: int) -> None:
        """Read and beat until the serving thread's call ends."""
        self._standing_in = True
        ready: list[int] = []
        while self._busy and self._calls == call and not self._ended:
            with self._lock:
                if self._link.closed:
                    break
                self._pump(ready)
                self._serve_control()
                timeout = self._break_off(self._plan(None), clock())
            ready = Gate(self._link.fds[0], self._wake_standby.fd).wait(timeout)
            if self._wake_standby.fd in ready:
                self._wake_standby.clear()
        self._standing_in = False

    def _serve_control(self) -> None:
        out: list[Effect] = []
        while (task := self.core.take_control()) is not None:
            frames = self._dispatcher.serve(task.body, task.frames, control=True)
            self.core.finish(task, frames, out)
        self._carry_out(out)

    # ---- the socket; all of this with the lock

    def _open(self) -> None:
        self._held.clear()
        self._link = open_link(self._context, self.endpoints)
        self._gate = Gate(*self._link.fds, self._wake_serving.fd)
        out: list[Effect] = []
        self.core.opened(clock(), out)
        self._carry_out(out)

    def _plan(self, timeout: float | None) -> float:
        """How long to wait now, noted so that a standstill can be told from a wait."""
        now = clock()
        if timeout is None and self._held.clear():
            self._link.flush()
        if self._link.readable():
            # A send may have swallowed the descriptor's edge: no wait before this is read.
            timeout = 0.0
        if timeout is None:
            due = self.core.next_deadline()
            turn = Standstill.SETTLE if self._still.age else _TURN
            timeout = turn if due is None else max(0.0, min(turn, due - now))
        self._stood_still(self._still.waiting(now, timeout))
        return timeout

    def _stood_still(self, seconds: float) -> None:
        if seconds:
            self.core.stood_still(seconds)

    def _pump(self, ready: list[int]) -> None:
        """Take all that has come, and see whether something is due."""
        now = clock()
        self._stood_still(self._still.awake(now))
        out: list[Effect] = []
        link = self._link
        messages = link.fds[0]
        signalled = messages in ready
        while signalled or link.readable():
            signalled = False
            frames = link.receive()
            if frames is None:
                break
            self.core.on_frames(frames, now, out)
        for up in link.changes(now):
            if up:
                self.core.link_up(now, out)
            else:
                self.core.link_down(now)
        self.core.tick(now, out)
        self._carry_out(out)
        if self._still.age and self._still.drained(now):
            self.core.drained()
        if self.core.state == "joining":
            self._telling.unanswered(now - self._begun)

    def _carry_out(self, out: list[Effect], hold: bool = False) -> None:
        effects, out[:] = out[:], []
        for effect in effects:
            if isinstance(effect, list):
                if not self._link.send(effect, hold):
                    self.core.unsent(clock())
                    break
            elif isinstance(effect, Reopen):
                self._link.close()
                self._open()
            elif isinstance(effect, Greeted):
                self._on_greeted(effect)
            elif isinstance(effect, Refused):
                self._on_refused(effect)

    def _on_greeted(self, effect: Greeted) -> None:
        before, state = self._state, effect.greeting.state
        if state == "held":
            return
        self._state = state
        self._telling.accepted(before, state, self._on_state is not None)
        self.accepted.set()

    def _on_refused(self, effect: Refused) -> None:
        reason = effect.reason
        kind = errors.ObjectIdTaken
        if reason.code != kind.code:
            self.refusal = errors.LocalProtocolError(reason.message)
        elif effect.first:
            data = {"host": reason.host, "pid": reason.pid, "since": reason.since}
            self.refusal = kind(f"{reason.message}{self._policy_hint()}", data=data)
        else:
            self._telling.refused(reason.message)

    def _policy_hint(self) -> str:
        """What to do, for who wanted to share the id: the holder has another policy."""
        policy = self.core.properties.policy
        if policy == "exclusive":
            return ""
        return (
            f" (This server has policy {policy}, and the other one has not: start that one with"
            f" ROC_POLICY={policy}, too.)"
        )

    # ---- after a fork

    def on_fork(self) -> None:
        """In a child: the threads that serve are the parent's, and so is the connection."""
        if not self._ended:
            keep(self.__dict__.get("_link"), self._context)
            self._lock = threading.Lock()
            self._standing_in = False
            self.__class__ = _Inherited

    def check_owner(self) -> None:
        """Raises Closed in a child that was forked while the parent served."""


class _Inherited(Serving):
    """A serving server in a child that was forked from it: it does nothing there."""

    def check_owner(self) -> None:
        raise errors.Closed(
            f"{self.core.object_id} is served by the process that this one was forked from, and"
            " not by this one. A forked child that is done ends itself with os._exit()."
        )

    def _carry_out(self, out: list[Effect], hold: bool = False) -> None:
        self.check_owner()

    def stop(self, grace: float = _GRACE) -> None:
        pass

    def _end(self) -> None:
        pass
