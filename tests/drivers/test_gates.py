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

from runmacs.roc._drivers import gates
from runmacs.roc._drivers.gates import Eagerness, Gate, Poller, Signal, Waker


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


@pytest.fixture(params=["epoll", "poll", "select"])
def poller(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Poller]:
    offered = {"epoll": ("epoll", "poll"), "poll": ("poll",), "select": ()}[request.param]
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
    """A clock, the processor that others may want, and looks that find something at a time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, others: float) -> None:
        self.now = 0.0
        self.timeouts: list[float] = []
        self.found_at = 0.0
        self._others = others
        monkeypatch.setattr(gates, "_now", lambda: self.now)
        monkeypatch.setattr(gates, "_let_others_run", self._let_others_run)

    def _let_others_run(self) -> None:
        self.now += self._others

    def look(self, timeout: float) -> list[int]:
        self.timeouts.append(timeout)
        self.now += 1e-6 if self.now >= self.found_at else min(timeout, self.found_at - self.now)
        return [7] if self.now >= self.found_at else []

    def wait(self, eager: Eagerness, seconds: float) -> list[float]:
        """Wait for what is there after so many seconds; with which timeouts it looked."""
        self.timeouts.clear()
        self.found_at = self.now + seconds
        assert eager.wait(self.look, 1.0) == [7]
        return self.timeouts


def test_who_was_served_quickly_looks_again_before_it_sleeps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    eager, looks = Eagerness(), Looks(monkeypatch, others=1e-6)
    assert looks.wait(eager, 100e-6) == [1.0]
    assert set(looks.wait(eager, 100e-6)) == {0.0}
    assert looks.wait(eager, 400e-6)[-1] == 1.0
    assert looks.wait(eager, 100e-6) == [1.0]


def test_who_gave_way_to_others_sleeps_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It went on, and each time that it gave way all others went before it."""
    eager, looks = Eagerness(), Looks(monkeypatch, others=60e-6)
    assert looks.wait(eager, 100e-6) == [1.0]
    assert looks.wait(eager, 100e-6) == [0.0, 1.0]


# ---- Gate and Waker


@pytest.mark.parametrize("how", ["poll", "select"])
def test_gate(pair: Pair, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
