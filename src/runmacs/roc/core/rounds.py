"""The broker's rounds: to look after every server twice a beat, and then after what waits.

Rules:

* A worker that holds calls gets a heartbeat each round, the others each second one.
* A server that has been silent for too long is stalled, then lost (`liveness`). A held one
  is refused when its doubts are half a beat old (`registry`).
* A round goes in portions, spread over its time: calls pass in between, however many servers
  there are. A portion that is late makes up for what was missed.
"""

from __future__ import annotations

from ..wire import mdp
from ..wire.mdp import EMPTY, WORKER, Reason
from .absence import Absence
from .attendance import Attendance, disconnect
from .effects import Effect
from .liveness import BEAT
from .registry import Registry, Worker
from .switchboard import Switchboard

__all__ = ["Rounds"]

_ROUND = BEAT / 2
_PORTION = 100
"""Workers that are looked after in one go."""


class Rounds:
    """Makes them, one after another, as time passes."""

    def __init__(
        self,
        registry: Registry,
        attendance: Attendance,
        switchboard: Switchboard,
        absence: Absence,
    ) -> None:
        self._workers = registry.workers
        self._attendance = attendance
        self._switchboard = switchboard
        self._absence = absence
        self._to_look_after: list[Worker] = []
        self._begun = 0
        self._pause = _ROUND
        self.next_at = 0.0
        """When `go_on` has something to do again."""

    def go_on(self, now: float, out: list[Effect]) -> None:
        """Time has passed."""
        if now < self.next_at:
            return
        portion = _PORTION * (1 + int((now - self.next_at) / self._pause))
        if not self._to_look_after:
            self._begin()
        self.next_at = now + self._pause
        for _ in range(min(portion, len(self._to_look_after))):
            worker = self._to_look_after.pop()
            if self._workers.get(worker.rid) is worker:
                self._look_after(worker, now, out)
        if not self._to_look_after:
            self._switchboard.look_after(now, out)
            self._absence.forget_losses(now)

    def _begin(self) -> None:
        self._begun += 1
        self._to_look_after = [*self._workers.values()][::-1]
        portions = -(-len(self._to_look_after) // _PORTION)
        self._pause = _ROUND / max(1, portions)

    def _look_after(self, worker: Worker, now: float, out: list[Effect]) -> None:
        """Judge a worker's silence, and beat."""
        if worker.silent_too_long(now):
            reason = Reason(0, "The broker heard nothing for 10 s.")
            disconnect(worker.rid, worker.greeted, reason, out)
            self._attendance.leave(worker, now, out, lost=True)
            return
        doubts = worker.state == "held" and worker.doubted is not None
        if doubts and now - (worker.doubted or now) >= BEAT / 2:
            self._attendance.refuse(worker, now, out)
            return
        # Until its next sign of life: our own standstill excuses its silence later on.
        if not worker.stalled and worker.stalls(now):
            self._attendance.stall(worker, now)
        if worker.held_calls or self._begun % 2:
            out.append([worker.rid, EMPTY, WORKER, mdp.HEARTBEAT])
