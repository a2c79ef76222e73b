"""Waiting: the same from each of the calls that systems offer."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from runmacs.roc._drivers import gates, native
from runmacs.roc._drivers.gates import Gate, Poller, Signal, Waker
from slices import OWN, SHORT, slice_of
from waiting import wait_until


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    yield left, right
    left.close()
    right.close()


Pair = tuple[socket.socket, socket.socket]


class FakeQueue:
    """A kqueue: filters by descriptor, readable while one of them applies."""

    def __init__(self) -> None:
        self.filters: dict[int, set[int]] = {}
        self.closed = False

    def control(self, events: list[Any], most: int) -> list[Any]:
        assert most == 0
        assert not self.closed
        for fd, what, action in events:
            filters = self.filters.setdefault(fd, set())
            if action == FAKE.KQ_EV_ADD:
                filters.add(what)
            else:
                if what not in filters:
                    raise FileNotFoundError("ENOENT, as the real one says")
                filters.remove(what)
        return []

    def fileno(self) -> int:
        return 4711

    def close(self) -> None:
        self.closed = True


FAKE = SimpleNamespace(
    KQ_FILTER_READ=-1,
    KQ_FILTER_WRITE=-2,
    KQ_EV_ADD=1,
    KQ_EV_DELETE=2,
    POLLIN=1,
    POLLOUT=4,
    kqueue=FakeQueue,
    kevent=lambda fd, what, action: (fd, what, action),
)

needs_epoll = pytest.mark.skipif(
    not hasattr(select, "epoll"), reason="Signal by epoll; run it on Linux"
)


# ---- Signal


def is_signalled(signal: Signal) -> bool:
    return bool(select.select([signal.fd], (), (), 0)[0])


@needs_epoll
def test_signal_stands_for_one_socket_after_another(pair: Pair) -> None:
    signal = Signal()
    assert not is_signalled(signal)
    for here, there in (pair, pair[::-1]):
        signal.begin(here.fileno())
        assert is_signalled(signal), "writable, to begin with"
        signal.watch_writing(False)
        assert not is_signalled(signal)
        there.send(b"12")
        assert is_signalled(signal)
        assert is_signalled(signal)
        assert here.recv(1) == b"1"
        assert is_signalled(signal), "a level, not an edge"
        assert here.recv(9) == b"2"
        assert not is_signalled(signal)
        signal.watch_writing(True)
        assert is_signalled(signal)
        signal.end()
        assert not is_signalled(signal)
        signal.watch_writing(True)
        signal.end()
    signal.close()
    signal.close()


@needs_epoll
def test_signal_tells_of_the_end_of_a_connection(pair: Pair) -> None:
    signal = Signal()
    signal.begin(pair[0].fileno())
    signal.watch_writing(False)
    pair[1].close()
    assert is_signalled(signal)
    signal.end()
    signal.close()


@needs_epoll
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork; run it on Linux or macOS")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_signal_of_the_parent_survives_a_child_that_closes_its_copies(pair: Pair) -> None:
    signal = Signal()
    signal.begin(pair[0].fileno())
    signal.watch_writing(False)
    child = os.fork()
    if child == 0:
        os.close(pair[0].fileno())
        signal.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert not is_signalled(signal)
    pair[1].send(b"1")
    assert is_signalled(signal)
    signal.end()
    signal.close()


def test_signal_by_kqueue(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "select", FAKE)
    signal = Signal()
    queue = signal._queue
    assert signal.fd == 4711
    both = {FAKE.KQ_FILTER_READ, FAKE.KQ_FILTER_WRITE}
    for fd in (7, 8):
        signal.begin(fd)
        assert queue.filters[fd] == both
        for writing in (False, False, True, True, False):
            signal.watch_writing(writing)
            assert queue.filters[fd] == both if writing else {FAKE.KQ_FILTER_READ}
        if fd == 8:
            signal.watch_writing(True)
        signal.end()
        assert queue.filters[fd] == set()
        signal.end()
        signal.watch_writing(True)
        assert queue.filters[fd] == set()
    signal.close()
    assert queue.closed


# ---- Poller


@pytest.fixture(params=["native", "epoll", "poll", "select"])
def poller(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Poller]:
    if request.param != "native":
        monkeypatch.setattr(native, "wait", None)
    both = ("epoll", "poll")
    offered = {"native": both, "epoll": both, "poll": ("poll",), "select": ()}[request.param]
    if not all(hasattr(select, name) for name in offered):
        pytest.skip(f"this system has no {request.param}; run it on Linux")
    names = ("select", *offered, *(("POLLIN", "POLLOUT") if offered else ()))
    monkeypatch.setattr(
        gates, "select", SimpleNamespace(**{name: getattr(select, name) for name in names})
    )
    poller = Poller()
    yield poller
    poller.close()


def test_poller(poller: Poller, pair: Pair) -> None:
    here, there = pair
    began = time.monotonic()
    poller.add(here.fileno())
    assert poller.wait(0.05) == []
    assert time.monotonic() - began > 0.04
    there.send(b"1")
    assert poller.wait(5) == poller.wait(5) == [here.fileno()]
    here.recv(9)
    assert poller.wait(0) == []
    poller.watch_writing(here.fileno(), True)
    poller.watch_writing(here.fileno(), True)
    assert poller.wait(5) == [here.fileno()]
    there.send(b"1")
    assert poller.wait(5) == [here.fileno()], "once, though for two reasons"
    here.recv(9)
    poller.watch_writing(here.fileno(), False)
    assert poller.wait(0) == []
    there.close()
    assert poller.wait(5) == [here.fileno()]
    poller.remove(here.fileno())
    poller.remove(here.fileno())
    poller.watch_writing(here.fileno(), True)
    assert poller.wait(0) == []


def test_poller_that_is_full(poller: Poller, monkeypatch: pytest.MonkeyPatch) -> None:
    poller._interest.update(dict.fromkeys(range(10_000, 10_499), False))
    assert not poller.full
    poller._interest[10_499] = False
    assert poller.full == (poller._epoll is None and poller._poll is None)
    poller._interest.clear()


# ---- Eagerness


class Looks:
    """What is looked for comes after so many seconds, by a clock that stands still otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.after = 0.0
        self.crowded = False
        self.eager: list[bool] = []
        monkeypatch.setattr(gates, "_now", lambda: self.now)

    def __call__(self, timeout: float, moment: float) -> list[int] | None:
        self.eager.append(moment > 0)
        if moment and self.crowded:
            return None
        self.now += min(self.after, timeout)
        return [1] if self.after < timeout else []

    def take(self, eagerness: gates.Eagerness, after: float, count: int) -> list[bool]:
        self.eager.clear()
        self.after = after
        for _ in range(count):
            eagerness.wait(self, 1.0)
        return self.eager[:]


def test_looks_begin_when_waits_are_short_and_end_when_they_are_in_vain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks, eagerness = Looks(monkeypatch), gates.Eagerness()
    assert looks.take(eagerness, 1e-4, 5) == [False, True, True, True, True]
    assert looks.take(eagerness, 1e-2, 3) == [True, False, False]
    assert looks.take(eagerness, 2.0, 3) == [False, False, False]


def test_looks_are_given_up_for_long_where_others_want_to_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks, eagerness = Looks(monkeypatch), gates.Eagerness()
    looks.crowded = True
    assert sum(looks.take(eagerness, 1e-4, 1000)) < 30
    looks.crowded = False
    looks.take(eagerness, 1e-4, eagerness.MOST + 2)
    assert all(looks.take(eagerness, 1e-4, 100)), "when there is room again it is done again"
    looks.take(eagerness, 1e-2, 1)
    assert looks.take(eagerness, 1e-4, 3) == [False, True, True]


def test_a_look_in_python_ends_when_giving_way_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "_let_others_run", lambda: time.sleep(0.001))
    seen: list[float] = []

    def look(timeout: float) -> list[int]:
        seen.append(timeout)
        return []

    assert gates._look_eagerly(look, 5.0, 1.0) is None
    assert seen == [0.0]
    assert gates._look_eagerly(look, 5.0, 0.0) == []
    assert seen == [0.0, 5.0]


# ---- Gate and Waker


@pytest.mark.parametrize("how", ["poll", "select", *(["native"] if native.wait else [])])
def test_gate(pair: Pair, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how != "native":
        monkeypatch.setattr(native, "wait", None)
    if how == "select":
        monkeypatch.setattr(gates, "select", SimpleNamespace(select=select.select))
    waker = Waker()
    gate = Gate(pair[0].fileno(), waker.fd)
    assert gate.wait(0) == []
    assert gate.wait(-1) == []
    pair[1].send(b"1")
    assert gate.wait(5) == [pair[0].fileno()]
    waker.wake()
    assert set(gate.wait(5)) == {pair[0].fileno(), waker.fd}
    waker.close()


@pytest.mark.parametrize("how", ["eventfd", "sockets"])
def test_waker_ends_a_wait_from_another_thread(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "sockets":
        monkeypatch.delattr(os, "eventfd", raising=False)
    elif not hasattr(os, "eventfd"):
        pytest.skip("this system has no eventfd; run it on Linux")
    waker = Waker()
    gate = Gate(waker.fd)
    for _ in range(20):
        threading.Thread(target=waker.wake).start()
        assert gate.wait(5) == [waker.fd]
        waker.clear()
    for _ in range(100_000):
        waker.wake()  # never blocks, though nobody looks
    assert gate.wait(0) == [waker.fd]
    waker.clear()
    assert gate.wait(0) == []
    waker.close()
    waker.wake()


def test_who_is_awaited_sleeps_with_a_short_slice() -> None:
    waker = Waker()
    gate = Gate(waker.fd)
    woken, read = threading.Event(), threading.Event()

    def sleep() -> None:
        gate.wait(30)
        woken.set()
        read.wait(30)

    sleeper = threading.Thread(target=sleep)
    sleeper.start()
    wait_until(lambda: slice_of(sleeper) == SHORT, what="the slice of who waits")
    waker.wake()
    woken.wait(30)
    assert slice_of(sleeper) == OWN, "whatever it begins now, nothing can inherit"
    read.set()
    sleeper.join()
    waker.close()
