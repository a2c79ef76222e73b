"""The client's side of calls, as an automaton.

A call goes through these states::

    queued ──link up──> sent ──reply──────────────────────> done
      │                  ├──link lost─────────────────────> done (executed None)
      │                  ├──deadline──> withdrawing ──verdict, or 0.15 s──> done
      │                  └──one-way, and the socket took it──────> done
      └──deadline──────────────────────────────────────────> done (executed False)

Rules:

* What is not sent stays in our own queue; the time to live is what remains when a
  call is handed to the socket.
* Nothing is sent twice.
* The calls of a batch are one message: it is sent, or waits, as a whole.
* A reply is matched by its JSON-RPC id and by nothing else; a late one is counted.
* At its deadline a sent call is withdrawn on the control lane, and the verdict says
  what became of it. What was sent over a connection that is lost is withdrawn over the
  next one, before anything else: nothing of it begins after a later call.
* A broker that did not greet us may be a stock one: it gets nothing beyond 7/MDP, and
  silence of it means nothing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from .. import errors
from ..wire import mdp
from ..wire.jsonrpc import ErrorObject, Response, encode_request, parse_responses
from ..wire.mdp import CLIENT, EMPTY
from . import fates
from .call import Batch, Call, number_in
from .effects import Effect, Reopen
from .liveness import LOST_AFTER
from .recalls import Recalls, withdrawal

__all__ = ["CallerCore"]

VERDICT_WAIT = 0.15
"""Seconds that a caller waits, after its deadline, for the word what became of the call."""

_PING_AFTER = 1.0
_RETRY = 0.01
_LOOK_PER_CALL = 1e-6
"""Seconds: of 10,000 open calls each has a deadline of its own, and a look at all takes 2 ms."""


class _About(msgspec.Struct):
    """What the broker says in its answer to the first ping."""

    broker: str = ""
    version: int = 0


class _Late(msgspec.Struct):
    late: float = 0.0


_late = msgspec.json.Decoder(_Late)
_about = msgspec.json.Decoder(_About)


class CallerCore:
    """All calls of one client. ``instance`` names the client in call ids."""

    def __init__(self, instance: str, address: str, limit: int = 10_000) -> None:
        self.instance = instance.encode()
        self.address = address
        self.limit = limit
        self.up = False
        self.broker: str | None = None
        self.late = 0
        self.reached: set[str] = set()
        self._calls: dict[int, Call] = {}
        self._verdicts: dict[int, Call] = {}
        self._queue: deque[Call | Batch] = deque()
        self._leaving: list[tuple[list[Any], Call | Batch]] = []
        self._owes = False
        self._recalls = Recalls()
        self._number = 0
        self._greeting = 0
        self._clock = 0
        self._pings: set[int] = set()
        self._heard = 0.0
        self._pinged = 0.0
        self._retry_at: float | None = None
        self._wake_at = math.inf

    # ---- calls

    @property
    def open_calls(self) -> int:
        """How many calls are not done."""
        return len(self._calls)

    def calls(self) -> list[Call]:
        """Those that are not done."""
        return list(self._calls.values())

    def submit(
        self,
        call: Call,
        now: float,
        timeout: float,
        out: list[Effect],
        deadline: float | None = None,
    ) -> None:
        """Begin a call. It is ``done`` within its timeout and 0.15 s.

        ``deadline`` is when its time is over, where that did not begin now.
        """
        if self._takes((call,)):
            self._enter((call,), now, timeout, now + timeout if deadline is None else deadline)
            self._post(call, now, out)

    def submit_batch(self, batch: Batch, now: float, timeout: float, out: list[Effect]) -> None:
        """Begin the calls of a batch, all with this timeout."""
        calls = batch.calls()
        if self._takes(calls):
            self._enter(calls, now, timeout, now + timeout)
            self._post(batch, now, out)

    def _takes(self, calls: Sequence[Call]) -> bool:
        """Whether there is room for them; else they have ended."""
        if len(self._calls) + len(calls) <= self.limit:
            return True
        for call in calls:
            message = f"{call.name}: {self.limit} calls of this client are open already"
            self._end(call, errors.QueueFull(f"{message}; this one was not sent."))
        return False

    def _enter(self, calls: Sequence[Call], now: float, timeout: float, deadline: float) -> None:
        number = self._number
        for call in calls:
            number += 1
            call.number = number
            call.timeout = timeout
            call.deadline = deadline
            self._calls[number] = call
        self._number = number
        self._wake_at = min(self._wake_at, deadline, now + _PING_AFTER)

    def _post(self, message: Call | Batch, now: float, out: list[Effect]) -> None:
        """Send it, or let it wait."""
        if self.up and not self._queue and not self._recalls.unsent:
            self._send(message, now, out)
            return
        for call in message.calls():
            call.state = "queued"
        self._queue.append(message)

    def _send(self, message: Call | Batch, now: float, out: list[Effect]) -> None:
        wait = message.waits or message.object_id in self.reached
        frames = message.sent(self.instance, now, wait, self._clock)
        if isinstance(message, Batch) or message.one_way:
            self._leaving.append((frames, message))
        out.append(frames)

    @property
    def leaving(self) -> bool:
        """Whether `taken` is to be told of what was sent."""
        return bool(self._leaving)

    def taken(self) -> None:
        """The socket took all that was sent, but for what was named as `unsent`."""
        leaving, self._leaving = self._leaving, []
        self._owes |= bool(leaving)
        for _, message in leaving:
            for call in message.calls():
                if call.one_way and call.state == "sent" and not call.done:
                    self._end(call, None)

    def unsent(self, messages: Sequence[Sequence[Any]], now: float) -> None:
        """The socket took none of these: calls go back to the queue, in their order."""
        for frames in reversed(messages):
            message = self._message(frames)
            if message is not None:
                self._put_back(message)
                continue
            number = number_in(bytes(frames[3]))
            if number == self._greeting:
                self._pings.discard(number)
                self._greeting = 0
            elif number in self._recalls:
                self._recalls.put_back(number)
        self._retry_at = now + _RETRY
        self._wake_at = min(self._wake_at, self._retry_at)

    def _message(self, frames: Sequence[Any]) -> Call | Batch | None:
        """What was sent in these frames; None if it was no call, or has ended."""
        for sent, message in self._leaving:
            if sent is frames:
                return message
        return self._calls.get(number_in(bytes(frames[3])))

    def _put_back(self, message: Call | Batch) -> None:
        calls = [call for call in message.calls() if call.state == "sent"]
        for call in calls:
            call.state = "queued"
            call.sent_at = None
        if calls:
            self._queue.appendleft(message)

    def abandon(self, call: Call, now: float, out: list[Effect]) -> None:
        """Its caller does not wait any longer (Ctrl-C): withdraw it, expect no answer."""
        if call.done:
            return
        if call.state == "sent" and self.up:
            if self.broker is not None:
                out.append(self._recall(call))
            elif self._greeting in self._pings:
                self._recall(call, early=True)
        self._end(call, fates.abandoned(call))

    def _end(self, call: Call, error: errors.RocError | None) -> None:
        if call.state == "queued":
            self._unqueue(call)
        self._calls.pop(call.number, None)
        self._verdicts.pop(call.verdict_number, None)
        call.error = error
        call.state = "done"
        call.done = True
        call.wake()

    def _unqueue(self, call: Call) -> None:
        batch = call.batch
        if batch is None:
            self._queue.remove(call)
        elif not batch.drop(call):
            self._queue.remove(batch)

    def refuse(self, call: Call, error: errors.RocError) -> None:
        """End a call that was never submitted."""
        self._end(call, error)

    # ---- the link

    def link_up(self, now: float, out: list[Effect]) -> None:
        """A connection to a broker stands: ask who it is, and send what waits."""
        self.up = True
        self._owes = False
        self._heard = self._pinged = now
        self._recalls.forget(now)
        self._greeting = self._ping(now, out)
        self.send_queued(now, out)

    def send_queued(self, now: float, out: list[Effect]) -> None:
        """Send what waits: withdrawals, then the queue."""
        if self.up:
            out += self._recalls.take_unsent()
        while self._queue and self.up:
            message = self._queue.popleft()
            calls = message.calls()
            if calls[0].deadline > now:
                self._send(message, now, out)
                continue
            for call in calls:
                call.state = "late"
                self._end(call, fates.unsent(call, self.address))

    def link_down(self, why: str = "") -> None:
        """The connection is gone: what was sent cannot be known, what was not waits."""
        lost = [call for call in self._calls.values() if call.state != "queued"]
        if self.broker is not None:
            for call in lost:
                self._recall(call)
        self._recalls.link_down()
        self.up = False
        self.broker = None
        self._pings.clear()
        for call in lost:
            self._end(call, fates.link_lost(call, self.address, why))

    def _ping(self, now: float, out: list[Effect]) -> int:
        self._number += 1
        self._pings.add(self._number)
        self._pinged = now
        text = encode_request(b'"rpc.ping"', None, self._number)
        out.append([EMPTY, CLIENT, mdp.BROKER_ID + b"!", text])
        return self._number

    # ---- replies

    def on_frames(self, frames: list[Any], now: float) -> None:
        """One message from the broker: ``["", header, object id, body...]``. Never raises."""
        self._heard = now
        if len(frames) < 4 or frames[0] != EMPTY or frames[1] != CLIENT:
            self.late += 1
            return
        responses = parse_responses(frames[3])
        if responses is None:
            if len(frames[3]):
                self.late += 1
            return
        for response in responses:
            self._on_response(response, frames, now)

    def _on_response(self, response: Response, frames: list[Any], now: float) -> None:
        number = response.id
        call = self._calls.get(number) if isinstance(number, int) else None
        if call is not None:
            if isinstance(response.error, msgspec.UnsetType):
                self.reached.add(call.object_id.rstrip("!"))
            elif _lateness(response.error) > now - (call.sent_at or now):
                # It cannot have been under way for longer than until its answer: our clock
                # stood still, or the server's compares us with something it should not.
                self._clock += 1
            call.response = response
            call.frames = frames
            self._end(call, None)
        elif number in self._verdicts and isinstance(number, int):
            self._on_verdict(self._verdicts[number], response)
        elif number in self._pings and isinstance(number, int):
            self._pings.discard(number)
            if number == self._greeting:
                self._on_greeting(response, now)
        elif number in self._recalls and isinstance(number, int):
            self._recalls.answered(number)
        else:
            self.late += 1

    def _on_greeting(self, response: Response, now: float) -> None:
        if isinstance(response.result, msgspec.UnsetType):
            return
        try:
            about = _about.decode(response.result)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        self.broker = about.broker
        if self._recalls.greeted():
            self._retry_at = self._wake_at = now

    # ---- time

    def next_deadline(self) -> float | None:
        """When `tick` should come at the latest; None when there is nothing to wait for."""
        withdrawing = self._recalls.unsent and self._retry_at is not None
        return self._wake_at if self._calls or withdrawing else None

    def tick(self, now: float, out: list[Effect]) -> None:
        """Time has passed: end what is over, and see whether the broker still answers."""
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
            if self.up and not self._greeting:
                self._greeting = self._ping(now, out)
            self.send_queued(now, out)
        self._recalls.forget(now)
        self._end_what_is_over(now, out)
        self._watch_broker(now, out)
        times = [
            call.deadline + (VERDICT_WAIT if call.state == "withdrawing" else 0.0)
            for call in self._calls.values()
        ]
        if self._retry_at is not None:
            times.append(self._retry_at)
        if self.up and self.broker is not None:
            times.append(self._pinged + _PING_AFTER)
        soonest = now + len(self._calls) * _LOOK_PER_CALL
        self._wake_at = max(min(times, default=math.inf), soonest)

    def _end_what_is_over(self, now: float, out: list[Effect]) -> None:
        for call in list(self._calls.values()):
            if call.state == "withdrawing":
                if now >= call.deadline + VERDICT_WAIT:
                    self._end(call, self._timeout_error(call, now, None))
            elif now >= call.deadline:
                self._on_deadline(call, now, out)

    def _watch_broker(self, now: float, out: list[Effect]) -> None:
        if self.broker is None or not self._calls or not self.up:
            return
        silent = now - self._heard
        if silent > LOST_AFTER and self._pings:
            self.link_down(f" (it was silent for {silent:.0f} s)")
            out.append(Reopen("the broker is silent"))
        elif now - self._pinged >= _PING_AFTER:
            if not self._pings:
                self._heard = max(self._heard, now - _PING_AFTER)
            self._ping(now, out)

    def _on_deadline(self, call: Call, now: float, out: list[Effect]) -> None:
        if call.state == "queued":
            self._end(call, fates.unsent(call, self.address))
        elif self.broker is not None and self.up:
            call.state = "withdrawing"
            call.deadline = max(call.deadline, now)  # the verdict has its time after a standstill
            self._number += 1
            out.append(withdrawal(call, self.instance, self._number))
            call.verdict_number = self._number
            self._verdicts[self._number] = call
        else:
            self._end(call, self._timeout_error(call, now, None))

    def _recall(self, call: Call, early: bool = False) -> list[Any]:
        """Withdraw a call that ends here; again over each next connection, until answered."""
        self._number += 1
        frames = withdrawal(call, self.instance, self._number)
        self._recalls.add(self._number, call.deadline, frames, early)
        return frames

    def _on_verdict(self, call: Call, response: Response) -> None:
        verdict = fates.parse_verdict(response)
        if verdict.state == "absent":
            self._end(call, fates.absent(call))
        else:
            self._end(call, self._timeout_error(call, call.deadline, verdict))

    def _timeout_error(
        self, call: Call, now: float, verdict: fates.Verdict | None
    ) -> errors.CallTimeout:
        silent = now - self._heard
        noticed = self.broker is not None and silent > _PING_AFTER
        return fates.timed_out(call, verdict, silent if noticed else None)

    # ---- looking inside

    def close(self, out: list[Effect]) -> bool:
        """The client closes: withdraw what was sent. True if what nobody answers may have to
        leave yet: withdrawals, one-way calls.
        """
        if self.up and self.broker is not None:
            out += [self._recall(call) for call in self._calls.values() if call.state != "queued"]
        return bool(self._recalls) or self.owes

    @property
    def owes(self) -> bool:
        """Whether calls were sent over this connection whose arrival nobody waits for."""
        return self.up and self._owes

    def fail_all(self, error: errors.RocError) -> list[Call]:
        """End every open call, as the client closes; returns them."""
        calls = list(self._calls.values())
        for call in calls:
            executed = False if call.state == "queued" else None
            self._end(call, errors.Closed(f"{call.name}: {error}", executed=executed))
        return calls

    def snapshot(self) -> dict[str, Any]:
        """Plain copies for monitoring."""
        return {
            "up": self.up,
            "broker": self.broker,
            "open": len(self._calls),
            "queued": self._queued(),
            "verdicts": len(self._verdicts),
            "pings": len(self._pings),
            "late": self.late,
        }

    def _queued(self) -> int:
        return sum(len(message.calls()) for message in self._queue)

    def check(self) -> None:
        """Every invariant of the caller."""
        waiting = [call for message in self._queue for call in message.calls()]
        assert all(call.state == "queued" for call in waiting)
        assert all(message.calls() for message in self._queue), "an empty batch waits"
        assert all(not call.done and call.number == n for n, call in self._calls.items())
        queued = sum(call.state == "queued" for call in self._calls.values())
        assert queued == len(waiting) == self._queued()
        assert all(call.state == "withdrawing" for call in self._verdicts.values())
        self._recalls.check()


def _lateness(error: ErrorObject) -> float:
    """By how much the server believes that the request was late; 0 if that is not the reason."""
    if error.code != errors.Expired.code or isinstance(error.data, msgspec.UnsetType):
        return 0.0
    try:
        return _late.decode(error.data).late
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return 0.0
