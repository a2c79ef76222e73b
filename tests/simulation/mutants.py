"""Cores that are broken on purpose: each breaks one promise, and must be found out.

Each mutant replaces as little as can be, so that what it stands for is a mistake that
somebody could really make.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runmacs.roc import errors
from runmacs.roc.core import controllane as control_module
from runmacs.roc.core import withdrawal as withdrawal_module
from runmacs.roc.core.attendance import Attendance
from runmacs.roc.core.broker import BrokerCore
from runmacs.roc.core.caller import CallerCore
from runmacs.roc.core.effects import Effect
from runmacs.roc.core.liveness import Standstill, Transit
from runmacs.roc.core.recalls import Recalls
from runmacs.roc.core.registry import Registry
from runmacs.roc.core.waiting import WaitingCall, WaitingCalls
from runmacs.roc.core.worker import Task, WorkerCore
from runmacs.roc.wire import jsonrpc

__all__ = ["MUTANTS", "Mutant"]

Mutant = Callable[[pytest.MonkeyPatch], None]


def server_takes_unread_for_fresh(patch: pytest.MonkeyPatch) -> None:
    """A server that stood still does not count it."""
    patch.setattr(WorkerCore, "stood_still", lambda self, seconds: None)


def broker_takes_unread_for_fresh(patch: pytest.MonkeyPatch) -> None:
    """A broker that stood still does not count it."""
    patch.setattr(BrokerCore, "_on_stood_still", lambda self, *seconds: None)


def an_empty_socket_is_believed_at_once(patch: pytest.MonkeyPatch) -> None:
    """What the network's thread brings in a moment after a thaw is taken for fresh."""

    def drained(self: Standstill, now: float) -> bool:
        self.age = 0.0
        return True

    patch.setattr(Standstill, "drained", drained)


def nobody_looks_at_the_way(patch: pytest.MonkeyPatch) -> None:
    """How long a request was under way does not count."""
    patch.setattr(Transit, "age", lambda self, sender, sent, now: 0.0)


def suppositions_shift_the_senders_clock(patch: pytest.MonkeyPatch) -> None:
    """What a request may have waited unread makes it look quick, and all later ones slow."""

    def passed_on(self: WaitingCall, now: float) -> list[Any]:
        held = now - self.arrived + self.unread
        return [jsonrpc.aged(self.frames[0], held), *self.frames[1:]]

    patch.setattr(WaitingCall, "passed_on", passed_on)
    patch.setattr("runmacs.roc.core.caller._lateness", lambda error: 0.0)


def waiting_in_the_queue_is_free(patch: pytest.MonkeyPatch) -> None:
    """The broker hands out what has waited, however long, as it came."""
    patch.setattr(WaitingCall, "passed_on", lambda self, now: list(self.frames))
    patch.setattr(Transit, "age", lambda self, sender, sent, now: 0.0)


def server_begins_what_is_late(patch: pytest.MonkeyPatch) -> None:
    """A server does not look at the time to live."""
    patch.setattr(Task, "expired", lambda self, request, now: False)


def withdrawn_calls_stay_queued(patch: pytest.MonkeyPatch) -> None:
    """The broker says that a call is withdrawn, and keeps it."""

    def withdraw(*args: Any) -> withdrawal_module.Verdict:
        verdict = _withdraw(*args)
        if verdict.removed is not None and args[0] is not None:
            args[0].waiting.put_back(verdict.removed)
            return verdict._replace(removed=None)
        return verdict

    _withdraw = withdrawal_module.withdraw
    patch.setattr(control_module, "withdraw", withdraw)


def withdrawn_calls_stay_at_the_server(patch: pytest.MonkeyPatch) -> None:
    """A server says that a call is withdrawn, and begins it none the less."""

    def withdraw(self: WorkerCore, call: str, out: list[Effect]) -> str:
        waiting = [task for tasks in self._ready.values() for task in tasks]
        return "withdrawn" if any(task.body.carries(call) for task in waiting) else "unknown"

    patch.setattr(WorkerCore, "_withdraw_unbegun", withdraw)


def client_resends(patch: pytest.MonkeyPatch) -> None:
    """A client sends again what it had sent before it lost its broker."""

    def link_down(self: CallerCore, why: str = "") -> None:
        for call in self._calls.values():
            if call.state == "sent":
                call.state = "queued"
                self._queue.append(call)
        _link_down(self, why)

    _link_down = CallerCore.link_down
    patch.setattr(CallerCore, "link_down", link_down)


def broker_hands_over_again(patch: pytest.MonkeyPatch) -> None:
    """The broker gives a lost server's calls to the next one."""

    def leave(self: Attendance, worker: Any, now: float, out: list[Any], lost: bool) -> None:
        for token, text in worker.held_calls.items():
            call = self._switchboard.read_call(token[:-8], [text], now, 0.0)
            self._switchboard.put_back(worker.service, call)
        for token in list(worker.held_calls):
            worker.release(token)
        _leave(self, worker, now, out, lost)

    _leave = Attendance.leave
    patch.setattr(Attendance, "leave", leave)


def lost_means_not_executed(patch: pytest.MonkeyPatch) -> None:
    """Of a lost server's calls the broker says that they were not executed."""
    patch.setattr(errors.ServerLost, "executed", False)


def timeouts_mean_not_executed(patch: pytest.MonkeyPatch) -> None:
    """A client that hears nothing says that its call was not executed."""

    def timeout_error(self: CallerCore, *args: Any) -> errors.CallTimeout:
        error = _timeout_error(self, *args)
        error.executed = False
        return error

    _timeout_error = CallerCore._timeout_error
    patch.setattr(CallerCore, "_timeout_error", timeout_error)


def broker_takes_replies_from_anybody(patch: pytest.MonkeyPatch) -> None:
    """A token counts, whoever sends it."""

    def on_reply(self: BrokerCore, worker: Any, frames: list[Any], *rest: Any) -> None:
        holders = (w for w in self._workers.values() if frames[4] in w.held_calls)
        _on_reply(self, next(holders, worker), frames, *rest)

    _on_reply = BrokerCore._on_reply
    patch.setattr(BrokerCore, "_on_reply", on_reply)


def client_takes_replies_as_they_come(patch: pytest.MonkeyPatch) -> None:
    """A client gives a reply to the call that has waited longest."""

    def on_response(self: CallerCore, response: Any, *rest: Any) -> None:
        if response.id in self._calls:
            response.id = next(iter(self._calls))
        _on_response(self, response, *rest)

    _on_response = CallerCore._on_response
    patch.setattr(CallerCore, "_on_response", on_response)


def client_forgets_what_it_lost(patch: pytest.MonkeyPatch) -> None:
    """What a client sent over a connection that is lost is not withdrawn over the next."""
    patch.setattr(Recalls, "add", lambda *withdrawal: None)


def client_waits_for_ever(patch: pytest.MonkeyPatch) -> None:
    """A client waits for the verdict, and for nothing else."""
    patch.setattr("runmacs.roc.core.caller.VERDICT_WAIT", 1e9)


def server_keeps_what_a_lost_broker_gave(patch: pytest.MonkeyPatch) -> None:
    """A server that lost its broker executes what it had, for nobody."""

    def forget(self: WorkerCore) -> None:
        ready = self._ready.copy()
        _forget(self)
        for sender, tasks in ready.items():
            for task in tasks:
                task.epoch = self._epoch
            self._ready[sender] = tasks
            self._queued += len(tasks)

    _forget = WorkerCore._forget
    patch.setattr(WorkerCore, "_forget", forget)


def server_turns_clients_calls_round(patch: pytest.MonkeyPatch) -> None:
    """Of one client's calls the newest is begun first."""

    def take(self: WorkerCore, *args: Any) -> Task | None:
        for tasks in self._ready.values():
            tasks.reverse()
        return _take(self, *args)

    _take = WorkerCore.take
    patch.setattr(WorkerCore, "take", take)


def queue_turns_clients_calls_round(patch: pytest.MonkeyPatch) -> None:
    """The broker's queue gives the newest call of a client first."""
    patch.setattr(WaitingCalls, "add", WaitingCalls.put_back)


def two_servers_of_one_id(patch: pytest.MonkeyPatch) -> None:
    """A second exclusive server serves as well."""
    patch.setattr(Registry, "_place", staticmethod(lambda worker: "serving"))


def second_server_is_always_refused(patch: pytest.MonkeyPatch) -> None:
    """A held server is refused, even if the holder is gone."""

    def promote(self: Registry, service: Any) -> None:
        return None

    patch.setattr(Registry, "promote", promote)


def stalled_for_ever(patch: pytest.MonkeyPatch) -> None:
    """A server that was silent once gets nothing more."""
    patch.setattr(Attendance, "on_sign_of_life", lambda *args: None)


def lost_servers_are_kept(patch: pytest.MonkeyPatch) -> None:
    """A server whose connection is gone stays registered, and its callers wait."""
    patch.setattr(BrokerCore, "_on_unreachable", lambda *args: None)


def replies_release_no_credit(patch: pytest.MonkeyPatch) -> None:
    """A broker that forgets who has answered."""

    def on_reply(self: BrokerCore, worker: Any, frames: list[Any], *rest: Any) -> None:
        held = worker.held_calls.get(frames[4])
        _on_reply(self, worker, frames, *rest)
        if held is not None and frames[4][-1] % 4 == 0:
            worker.hold(frames[4][:-8], frames[4], held)

    _on_reply = BrokerCore._on_reply
    patch.setattr(BrokerCore, "_on_reply", on_reply)


MUTANTS: list[Mutant] = [
    value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__module__", "") == __name__ and not name.startswith("_")
]
