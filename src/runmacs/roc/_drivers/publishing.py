"""Publishes what several feeds have: one background thread, one connection to a broker.

Whoever publishes has a *feed*: it holds what is to be sent, in its own bounded queue, and
knows what to say after a reconnect. The thread asks the feeds; they never wait for it.

Rules:

* `Publisher.wake` may be called from anywhere, and costs next to nothing while the thread
  is awake. Having found work it stays awake, and looks again after a millisecond: in a
  storm it is woken once, not for each message.
* What feeds give is sent in order. At most 256 KiB of it wait in the connection; the rest
  stays in the feeds, which count what they cannot keep.
* What waited in a connection that broke is lost. Feeds are told of ups and downs.
* The thread stands back: it interrupts nobody who is waited for.
* Without a broker there is no work: who calls `wake` then wakes nobody.
* Who bids farewell waits for what it published to leave, but for no broker that is not there.
* In a forked child the first `wake` begins a thread and a connection of its own.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import deque
from typing import Any

import zmq

from ..endpoints import Endpoints
from .clock import now as clock
from .feeds import Farewell, Feed, Feeds
from .forking import keep, register
from .gates import Gate, Waker
from .interrupts import OwnThread
from .links import PublishingLink, open_publishing
from .sockets import context
from .standing import stand_back

__all__ = ["AT_EXIT", "Publisher"]

AT_EXIT = 3.0
"""Seconds that there are, at the end of a process, for what was published to leave."""

_ROOM = 256 * 1024
_PORTION = 64 * 1024
"""Bytes that one feed may give before the next has its turn."""

_DOZE = 0.001
_LOOK = 0.25
_TURN = 1.0
_OPEN_AGAIN = 0.5


class Publisher:
    """Sends what its feeds have. To be had from `publishers`; any thread may use it."""

    def __init__(self, ctx: zmq.Context[Any] | None, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        self._given = ctx
        self._feeds = Feeds()
        self._begin_anew()
        register(self)

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._orders: deque[Feed | Farewell] = deque()
        self._thread: threading.Thread | None = None
        self._waker: Waker | None = None
        self._asleep = True
        self._work = False
        self._parked = False
        self._bell = threading.Lock()
        self._bell.acquire()
        self._link: PublishingLink | None = None
        self._gate: Gate | None = None
        self._farewells: list[Farewell] = []
        self._departed = False
        self._open_at = 0.0

    # ---- for everybody

    def wake(self) -> None:
        """A feed has something to be sent. Never blocks, never raises."""
        # In this order, and the other way round in `_rest`: one of the two sees the other.
        self._work = True
        if self._asleep:
            self._asleep = False
            self._ring()

    def attach(self, feed: Feed) -> None:
        """Send what this feed has from now on."""
        with self._lock:
            self._orders.append(feed)
        self._summon()

    def detach(self, feed: Feed, linger: float = 0.0) -> None:
        """Send what this feed has, and then know it no more.

        Waits until it is empty and what it gave has left, and if it was the last feed until
        the broker has received it, but at most ``linger`` seconds. With 0 it waits for
        nothing, and may be called from ``__del__``; what the feed has is sent later, if
        there is a broker.
        """
        thread = self._thread
        if thread is None:  # nothing was begun: a forked child, or the end of the process
            self._feeds.remove(feed)
            return
        farewell = Farewell(feed, clock() + (linger or AT_EXIT))
        self._orders.append(farewell)
        self._summon()
        if linger and thread is not threading.current_thread() and not sys.is_finalizing():
            farewell.done.wait(max(0.0, farewell.deadline - clock()) + 0.1)

    def begin_farewell(self, deadline: float) -> Farewell | None:
        """Send all that there is until then: the process ends."""
        if self._thread is None:
            return None
        farewell = Farewell(None, deadline)
        self._orders.append(farewell)
        self._summon()
        return farewell

    def _ring(self) -> None:
        """End the thread's rest, or begin a thread."""
        if not self._parked:
            self._summon()
            return
        try:  # with less ado than contextlib.suppress, which costs more than the rest
            self._bell.release()
        except RuntimeError:
            return  # somebody else was quicker

    def _summon(self) -> None:
        """The same, however it rests."""
        with contextlib.suppress(RuntimeError):
            self._bell.release()
        waker = self._waker
        if waker is not None:
            waker.wake()
        elif self._feeds or self._orders:
            self._start()

    def _start(self) -> None:
        # Whoever has the lock begins the thread, or has left it something to be seen.
        if sys.is_finalizing() or not self._lock.acquire(blocking=False):
            return
        try:
            if self._waker is None:
                self._waker = Waker()
                self._thread = OwnThread(self._run, "roc-publisher")
                self._thread.start()
        except (RuntimeError, OSError):  # the process ends, or has no threads left
            self._thread = None
            self._close_waker()
            self._asleep = True
        finally:
            self._lock.release()

    # ---- the thread

    def _run(self) -> None:
        stand_back()
        while True:
            try:
                if not self._turn():
                    return
            except zmq.ZMQError:  # the context that we were given has ended
                self._open_at = clock() + _OPEN_AGAIN
                self._close_link()

    def _turn(self) -> bool:
        """Do what there is to do, and rest; False if it was the last time."""
        self._work = False
        now = clock()
        self._take_orders(now)
        if not self._feeds and self._retire():
            return False
        self._look_after_link(now)
        sent = self._send(now)
        self._see_off(now)
        self._rest(sent)
        return True

    def _take_orders(self, now: float) -> None:
        while self._orders:
            order = self._orders.popleft()
            if isinstance(order, Farewell):
                self._farewells.append(order)
                if self._link is not None:
                    order.rounds = self._link.rounds
                    self._link.hurry()
            else:
                self._feeds.add(order)
                self._departed = False
                if self._link is not None and self._link.up:
                    self._feeds.tell(order, "link_up", now)

    def _retire(self) -> bool:
        with self._lock:
            if self._orders:
                return False
            self._release_all()
            self._close_link()
            self._thread = None
            self._close_waker()
            self._asleep = True
            return True

    def _close_waker(self) -> None:
        waker, self._waker = self._waker, None
        if waker is not None:
            waker.close()

    # ---- the connection

    def _look_after_link(self, now: float) -> None:
        link = self._link
        if link is None:
            if now < self._open_at or not self._feeds:
                return
            if self._departed and self._feeds.all_empty():
                return
            link = self._open(now)
            if link is None:
                return
        for up in link.changes(now):
            self._feeds.tell_all("link_up" if up else "link_down", now)

    def _open(self, now: float) -> PublishingLink | None:
        try:
            link = open_publishing(context(self._given), self.endpoints)
        except (OSError, zmq.ZMQError):  # no descriptors left, or the context has ended
            self._open_at = now + _OPEN_AGAIN
            return None
        assert self._waker is not None
        if self._farewells:
            link.hurry()
        self._departed = False
        self._link = link
        self._gate = Gate(*link.fds, self._waker.fd, eager=False)
        return link

    def _close_link(self, linger: float = 0.0) -> None:
        link, self._link, self._gate = self._link, None, None
        if link is None:
            return
        if link.up:
            self._feeds.tell_all("link_down", clock())
        with contextlib.suppress(zmq.ZMQError):
            link.close(linger)

    def _send(self, now: float) -> bool:
        """Send what fits; whether there was anything."""
        link = self._link
        if link is None or not link.up:
            return False
        sent = False
        for feed in self._feeds.in_turn(self._leaving()):
            room = _ROOM - link.queued
            if room <= 0:
                break
            messages = self._feeds.tell(feed, "take", now, min(room, _PORTION))
            if messages:
                sent = True
                if not link.send_all(messages):
                    break  # `changes` will tell
        return sent

    # ---- farewells

    def _leaving(self) -> list[Feed] | None:
        """The feeds that bid farewell; None when these are none, or all."""
        leaving = [farewell.feed for farewell in self._farewells if farewell.feed is not None]
        return leaving if leaving and len(leaving) == len(self._farewells) else None

    def _see_off(self, now: float) -> None:
        """Those who wait for what they published, as far as it has left."""
        for farewell in list(self._farewells):
            feed = farewell.feed
            sent = self._feeds.all_empty() if feed is None else self._feeds.is_empty(feed)
            if not (sent and self._is_flushed()) and not self._is_hopeless(farewell, now):
                continue
            self._farewells.remove(farewell)
            if feed is not None:
                self._feeds.remove(feed)
            if feed is None or not self._feeds:
                self._close_link(max(0.0, farewell.deadline - clock()))
                self._departed = feed is None
            farewell.done.set()

    def _is_flushed(self) -> bool:
        return self._link is None or not self._link.queued

    def _is_hopeless(self, farewell: Farewell, now: float) -> bool:
        """It has had its time, or an attempt to reach the broker was in vain."""
        if now >= farewell.deadline:
            return True
        link = self._link
        if link is None or link.up or farewell.rounds is None:
            return False
        return link.rounds >= farewell.rounds + 2

    def _release_all(self) -> None:
        for order in [*self._farewells, *self._orders]:
            if isinstance(order, Farewell):
                order.done.set()
        self._farewells.clear()

    # ---- rest

    def _rest(self, sent: bool) -> None:
        """Wait for the connection, for what is due, and for `wake` if that helps.

        With nothing under way it waits for a bell, not for descriptors, and looks at those
        a few times a second: who rings a bell keeps Python's global lock, and need not wait
        for this thread to give it back.
        """
        link = self._link
        timeout = self._until_due(clock())
        ready_to_send = link is not None and link.up and link.queued < _ROOM
        if sent and ready_to_send:
            timeout = _DOZE if self._feeds.all_empty() else 0.0
        elif ready_to_send or self._departed:
            self._parked = link is None or not link.queued
            self._asleep = True
            if self._work:
                timeout = 0.0
        if self._orders:
            timeout = 0.0
        if self._parked:
            self._bell.acquire(timeout=min(timeout, _LOOK))
            self._parked = False
        else:
            self._wait(timeout)
        self._asleep = False

    def _wait(self, timeout: float) -> None:
        waker = self._waker
        assert waker is not None
        gate = self._gate or Gate(waker.fd, eager=False)
        if waker.fd in gate.wait(timeout):
            waker.clear()

    def _until_due(self, now: float) -> float:
        link = self._link
        due = [now + _TURN, *(farewell.deadline for farewell in self._farewells)]
        if link is None:
            due.append(max(self._open_at, now) if not self._departed else now + _TURN)
        else:
            due.append(self._later(link.next_deadline(), now))
            if link.up and link.queued < _ROOM:
                due += [self._later(when, now) for when in self._feeds.tell_all("next_deadline")]
        return max(0.0, min(due) - now)

    @staticmethod
    def _later(deadline: float | None, now: float) -> float:
        return now + _TURN if deadline is None else deadline

    # ---- after a fork

    def on_fork(self) -> None:
        """In a child: the thread and the connection are the parent's."""
        keep(self._link)
        if self._waker is not None:
            self._waker.close()
        for order in self._orders:
            if not isinstance(order, Farewell):
                self._feeds.add(order)
        for order in [*self._orders, *self._farewells]:
            if isinstance(order, Farewell) and order.feed is not None:
                self._feeds.remove(order.feed)
        self._given = None  # it is the parent's, too
        self._begin_anew()
        for feed in self._feeds:
            feed.on_fork()
