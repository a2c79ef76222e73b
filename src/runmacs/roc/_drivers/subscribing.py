"""A subscription: a connection to a broker's generalXPUB, driven by whoever waits.

Rules:

* No thread, nothing in the background: what comes is read while somebody pumps. Who stops
  pumping stops reading; then the system's buffers fill, and the broker holds back or drops
  for this subscriber alone.
* What to subscribe to, and what messages mean, is the *reader's* affair; it is called with
  the lock held, by one thread at a time.
* A pump takes a bounded portion of what has come, some milliseconds' worth unless less
  is asked for.
* `close` may come from any thread or signal handler, and ends a pump at once.
* One implementation serves threads and asyncio; only the waiting differs.
"""

from __future__ import annotations

import threading
from typing import Any, Protocol

import zmq

from .. import errors
from ..core.effects import Reopen
from ..endpoints import Endpoints
from .clock import now as clock
from .forking import keep, register
from .gates import Gate, Waker
from .interrupts import Shield
from .links import open_subscribing
from .sockets import context

__all__ = ["PORTION", "Reader", "Subscription"]

PORTION = 0.005
"""Seconds for which a pump reads, unless less is asked for."""

_TURN = 1.0


class Reader(Protocol):
    """Makes something of messages. A pure automaton; ``out`` takes messages to the broker.

    Those are subscriptions, of one frame: 1 and the beginning of the topics, or 0 and the
    same to end it. `Reopen` asks for a new connection.
    """

    def link_up(self, now: float, out: list[Any]) -> None:
        """There is a new connection, without any subscriptions."""

    def link_down(self, now: float) -> None:
        """It has gone."""

    def on_frames(self, frames: list[Any], now: float, out: list[Any]) -> None:
        """A message has come."""

    def tick(self, now: float, out: list[Any]) -> None:
        """Something is due."""

    def next_deadline(self) -> float | None:
        """When to call `tick`."""


class Subscription:
    """Feeds a reader. It connects at once, and again by itself, as long as it is pumped.

    ``portion`` is for how many seconds a pump reads, or little more.
    """

    def __init__(
        self,
        ctx: zmq.Context[Any] | None,
        endpoints: Endpoints,
        reader: Reader,
        portion: float = PORTION,
    ) -> None:
        self.endpoints = endpoints
        self.reader = reader
        self._portion = portion
        self._lock = threading.Lock()
        self._pumping = 0
        self._more = False
        self._closed = False
        self._gone = False
        self._context = context(ctx)
        self._waker = Waker()
        try:
            self._link = open_subscribing(self._context, endpoints)
        except BaseException:
            self._gone = True
            self._waker.close()
            raise
        self._gate = Gate(*self._link.fds, self._waker.fd, eager=False)
        register(self)
        self._step(False)  # begins to connect

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    # ---- waiting

    def pump(self, timeout: float | None = None) -> bool:
        """Wait at most so long for something to happen, and feed the reader.

        Returns True as soon as the reader was told anything, False after the timeout or when
        it was closed meanwhile. Ctrl-C interrupts it at once, and leaves it as it was.

        Raises:
            Closed: it was closed before, or belongs to the process that this one was forked
                from.
        """
        shield = Shield()
        self._enter()
        try:
            deadline = None if timeout is None else clock() + timeout
            signalled = True
            while not self._step(signalled):
                seconds = self._patience(deadline)
                if seconds is None:
                    return False
                shield.lower()
                ready = self._wait(seconds)
                shield.lift()
                signalled = self._link.fds[0] in ready
            return not self._closed
        finally:
            try:
                self._leave()
            finally:
                shield.end()

    def _wait(self, seconds: float) -> list[int]:
        try:
            return self._gate.wait(seconds)
        except RuntimeError:  # another thread pumps as well
            return Gate(*self._link.fds, self._waker.fd, eager=False).wait(seconds)

    async def pump_soon(self, timeout: float | None = None) -> bool:
        """The same for asyncio: the loop runs on meanwhile. A cancelled task loses nothing."""
        import asyncio  # it takes as long to import as all the rest

        from .watching import readable

        self._enter()
        try:
            deadline = None if timeout is None else clock() + timeout
            signalled = True
            waited = False
            while not self._step(signalled):
                seconds = self._patience(deadline)
                if seconds is None:
                    return False
                waited = True
                ready = await readable((*self._link.fds, self._waker.fd), seconds)
                signalled = self._link.fds[0] in ready
            if not waited:
                await asyncio.sleep(0)  # others have their turn in a flood
            return not self._closed
        finally:
            self._leave()

    def _enter(self) -> None:
        with self._lock:
            if not self._closed:
                self._pumping += 1
                return
        self._tidy()  # who wanted to, meanwhile, could not: we had the lock
        raise errors.Closed("this subscription was closed; make a new one.")

    def _leave(self) -> None:
        with self._lock:
            self._pumping -= 1
        self._tidy()

    def _patience(self, deadline: float | None) -> float | None:
        """For how long to wait now; None if that is over."""
        now = clock()
        if self._closed or (deadline is not None and now >= deadline):
            return None
        if self._more:
            return 0.0
        due = [now + _TURN]
        due += [
            moment
            for moment in (deadline, self.reader.next_deadline(), self._link.next_deadline())
            if moment is not None
        ]
        return max(0.0, min(due) - now)

    # ---- the socket; with the lock

    def _step(self, signalled: bool) -> bool:
        """Feed the reader; True if it was told anything, or there is no more to come."""
        with self._lock:
            if self._closed:
                return True
            now = clock()
            out: list[Any] = []
            told = self._read(now, signalled, out, now + self._portion)
            for up in self._link.changes(now):
                told = True
                if up:
                    self.reader.link_up(now, out)
                else:
                    self._read(now, False, out, None)
                    self.reader.link_down(now)
                    out.clear()
            due = self.reader.next_deadline()
            if due is not None and now >= due:
                told = True
                self.reader.tick(now, out)
            for frames in out:
                if isinstance(frames, Reopen):
                    self._reopen(now)
                    break
                if not self._link.send(frames):
                    break  # the next `link_up` begins anew
            self._more = self._link.readable()
            return told

    def _reopen(self, now: float) -> None:
        """The connection is of no use any more: begin another one."""
        self._link.close()
        self.reader.link_down(now)
        self._link = open_subscribing(self._context, self.endpoints)
        self._gate = Gate(*self._link.fds, self._waker.fd, eager=False)

    def _read(self, now: float, signalled: bool, out: list[Any], until: float | None) -> bool:
        """Whether anything has come; it is with the reader."""
        link, reader = self._link, self.reader
        came = False
        while signalled or link.readable():
            signalled = False
            frames = link.receive()
            if frames is None:
                break
            came = True
            reader.on_frames(frames, now, out)
            if until is not None and clock() > until:
                break
        return came

    # ---- the end

    def close(self) -> None:
        """Close the connection. May be called twice, and from anywhere."""
        self._closed = True
        self._waker.wake()
        self._tidy()

    def _tidy(self) -> None:
        """Give all back, once it was closed and nobody pumps any more.

        Who does not get the lock here can be sure that who has it will look as well.
        """
        while self._closed and not self._gone and not self._pumping:
            if not self._lock.acquire(blocking=False):
                return
            try:
                if not self._pumping and not self._gone:
                    self._dispose()
            finally:
                self._lock.release()

    def _dispose(self) -> None:
        self._gone = True
        self._link.close()
        self._waker.close()

    def __del__(self) -> None:
        if not getattr(self, "_gone", True):
            self._dispose()

    def on_fork(self) -> None:
        """In a child: it is the parent's."""
        if not self._gone:
            self._gone = True
            keep(self._link, self._context)
            self._waker.close()
        self.__class__ = _Inherited


class _Inherited(Subscription):
    """A subscription in a child that was forked from its process: it is of no use there."""

    def _enter(self) -> None:
        raise errors.Closed(
            f"this subscription at {self.endpoints.generalXPUB} belongs to the process that this"
            " one was forked from; make a new one here."
        )

    def close(self) -> None:
        self._closed = True
