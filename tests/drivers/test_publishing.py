"""Publishing: one thread and one connection for a whole process, against libzmq's sockets."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq

from drivers.newsroom import CHILD, Desk, SimpleFeed, StockXSub, publisher_threads
from processes import Spawner, start_broker
from promptness import prompt
from runmacs.roc import Endpoints
from runmacs.roc._drivers.clock import now as clock
from runmacs.roc._drivers.publishers import open_publisher
from runmacs.roc._drivers.publishing import Publisher
from waiting import wait_until

needs_fork = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="there is no fork; run it on Linux or macOS"
)
may_fork = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture(params=["tcp", "ipc"])
def where(request: pytest.FixtureRequest, nowhere: Endpoints, tmp_path: Path) -> Endpoints:
    """Where nobody listens yet."""
    if request.param == "tcp":
        return nowhere
    if not hasattr(socket, "AF_UNIX"):
        pytest.skip("no ipc here; run it on Linux or macOS")
    return Endpoints(str(tmp_path / "lab"), 5555, "ipc")


@pytest.fixture
def feed() -> SimpleFeed:
    return SimpleFeed()


@pytest.fixture
def publisher(where: Endpoints, feed: SimpleFeed) -> Iterator[Publisher]:
    """A publisher with one feed."""
    publisher = open_publisher(None, where)
    publisher.attach(feed)
    yield publisher
    publisher.detach(feed)
    wait_until(lambda: not publisher_threads(), what="the thread has ended")


def is_up(feed: SimpleFeed) -> bool:
    return feed.events[-1:] == ["up"]


# ---- messages


def test_what_is_put_arrives_in_order(
    where: Endpoints, publisher: Publisher, feed: SimpleFeed
) -> None:
    with StockXSub(where) as broker:
        for number in range(3000):
            feed.put(b"topic", b"%d" % number)
            publisher.wake()
        for number in range(3000):
            assert broker.receive() == [b"topic", b"%d" % number]
        feed.put(b"large", bytes(3_000_000), b"end")
        publisher.wake()
        assert broker.receive() == [b"large", bytes(3_000_000), b"end"]
    assert feed.events[0] == "up"


def test_feeds_share_a_connection_and_have_their_turns(
    where: Endpoints, publisher: Publisher, feed: SimpleFeed
) -> None:
    others = [SimpleFeed() for _ in range(3)]
    for other in others:
        assert open_publisher(None, Endpoints(*endpoint_parts(where))) is publisher
        publisher.attach(other)
    body = bytes(10_000)
    for number in range(200):
        for index, each in enumerate([feed, *others]):
            each.put(b"%d" % index, b"%d" % number, body)
    with StockXSub(where) as broker:
        publisher.wake()
        came: list[list[int]] = [[], [], [], []]
        for total in range(800):
            who, text, _ = broker.receive()
            came[int(who)].append(int(text))
            if total == 400:
                assert min(map(len, came)) > 50, "some had no turn"
        assert came == [list(range(200))] * 4
    assert len(publisher_threads()) == 1
    for other in others:
        publisher.detach(other)


def endpoint_parts(endpoints: Endpoints) -> tuple[str, int, str]:
    return endpoints.brokerAddress, endpoints.brokerBasePort, endpoints.transport


def test_nothing_is_sent_before_somebody_listens(
    where: Endpoints, publisher: Publisher, feed: SimpleFeed
) -> None:
    with StockXSub(where, listens=False) as broker:
        feed.put(b"early")
        publisher.wake()
        began = clock()
        wait_until(lambda: is_up(feed), what="up, though no subscription came")
        with prompt():
            assert 0.9 < clock() - began < 3.0
        assert broker.receive() == [b"early"]


def test_the_first_subscription_is_what_it_waits_for(
    where: Endpoints, publisher: Publisher, feed: SimpleFeed
) -> None:
    with StockXSub(where, listens=False) as broker:
        broker.socket.send(b"\1some.topic.")
        began = clock()
        feed.put(b"early")
        publisher.wake()
        assert broker.receive() == [b"early"]
        with prompt():
            assert clock() - began < 0.9
        broker.socket.send(b"\0some.topic.")
        feed.put(b"and still")
        publisher.wake()
        assert broker.receive() == [b"and still"]
    assert feed.events[0] == "up"


def test_a_deadline_of_a_feed_is_kept(
    where: Endpoints, publisher: Publisher, feed: SimpleFeed
) -> None:
    with StockXSub(where) as broker:
        feed.put(b"first")
        publisher.wake()
        broker.receive()
        feed.due = due = clock() + 0.3
        publisher.wake()  # so that it asks for the deadline
        feed.put(b"beacon")  # nobody calls wake
        wait_until(lambda: feed.due is None, what="asked in time")
        broker.receive()
        with prompt():
            assert clock() - due < 0.3


def test_a_feed_that_raises_harms_nobody(
    where: Endpoints, publisher: Publisher, feed: SimpleFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", told.append)

    class Broken(SimpleFeed):
        def take(self, now: float, room: int) -> list[list[bytes]]:
            raise ValueError("broken")

    broken = Broken()
    publisher.attach(broken)
    with StockXSub(where) as broker:
        feed.put(b"sound")
        publisher.wake()
        assert broker.receive() == [b"sound"]
        wait_until(lambda: told, what="it was told")
        feed.put(b"and goes on")
        publisher.wake()
        assert broker.receive() == [b"and goes on"]
    assert [arguments.exc_type for arguments in told] == [ValueError]
    publisher.detach(broken, 1.0)


# ---- wake


def test_no_wake_up_is_lost(where: Endpoints, publisher: Publisher, feed: SimpleFeed) -> None:
    """Each is waited for, at all phases of the thread's rest, from several threads."""
    with StockXSub(where) as broker:
        feed.put(b"ready")
        publisher.wake()
        broker.receive()
        for number in range(400):
            thread = threading.Thread(
                target=put_later, args=(publisher, feed, number % 40 / 10_000)
            )
            thread.start()
            with prompt():
                assert broker.receive(0.5) == [b"later"]
            thread.join()


def put_later(publisher: Publisher, feed: SimpleFeed, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
    feed.put(b"later")
    publisher.wake()


def test_a_storm_wakes_the_thread_once(
    where: Endpoints, publisher: Publisher, feed: SimpleFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    rings = 0
    real = Publisher._ring

    def ring(self: Publisher) -> None:
        nonlocal rings
        rings += 1
        real(self)

    monkeypatch.setattr(Publisher, "_ring", ring)
    with StockXSub(where) as broker:
        feed.put(b"ready")
        publisher.wake()
        broker.receive()
        for number in range(5000):
            feed.put(b"%d" % number)
            publisher.wake()
        for _ in range(5000):
            broker.receive()
    with prompt():
        assert rings < 500


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals; run it on Linux or macOS")
def test_wake_in_signal_handlers(where: Endpoints, publisher: Publisher, feed: SimpleFeed) -> None:
    def on_alarm(*_: Any) -> None:
        feed.put(b"alarm")
        publisher.wake()

    previous = signal.signal(signal.SIGALRM, on_alarm)
    try:
        with StockXSub(where) as broker:
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            for _ in range(100):
                assert broker.receive() == [b"alarm"]
            for _ in range(50):
                open_publisher(None, where).attach(other := SimpleFeed())
                publisher.detach(other, 0.5)
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


# ---- attach and detach


def test_the_thread_and_the_connection_go_with_the_last_feed(where: Endpoints) -> None:
    feeds = [SimpleFeed(), SimpleFeed()]
    publisher = open_publisher(None, where)
    before = psutil.Process().num_fds() if hasattr(psutil.Process, "num_fds") else 0
    for _ in range(3):
        with StockXSub(where) as broker:
            for feed in feeds:
                publisher.attach(feed)
                feed.put(b"hello")
            publisher.wake()
            broker.receive()
            broker.receive()
            publisher.detach(feeds[0], 1.0)
            assert publisher_threads()
            feeds[1].put(b"still here")
            publisher.wake()
            assert broker.receive() == [b"still here"]
            publisher.detach(feeds[1], 1.0)
            wait_until(lambda: not publisher_threads(), what="the thread has ended")
    if before:
        assert psutil.Process().num_fds() <= before
    publisher.wake()
    publisher.detach(feeds[0], 1.0)
    assert not publisher_threads()


def test_detach_waits_until_all_has_arrived(where: Endpoints) -> None:
    for number in range(30):
        feed = SimpleFeed()
        with StockXSub(where) as broker:
            publisher = open_publisher(None, where)
            publisher.attach(feed)
            for index in range(50):
                feed.put(b"%d" % index, bytes(10_000 * (number % 2)))
            publisher.detach(feed, 5.0)
            assert feed.empty()
            for index in range(50):
                assert broker.receive()[0] == b"%d" % index


def test_detach_is_bounded_and_not_long_where_nobody_is(where: Endpoints) -> None:
    feed = SimpleFeed()
    publisher = open_publisher(None, where)
    publisher.attach(feed)
    feed.put(b"in vain")
    publisher.wake()
    began = clock()
    publisher.detach(feed, 5.0)
    with prompt():
        assert clock() - began < 1.0
    wait_until(lambda: not publisher_threads(), what="the thread has ended")


def test_detach_with_nothing_to_be_sent_is_at_once(where: Endpoints) -> None:
    feed = SimpleFeed()
    publisher = open_publisher(None, where)
    publisher.attach(feed)
    began = clock()
    publisher.detach(feed, 5.0)
    with prompt():
        assert clock() - began < 0.5


def test_detach_without_linger_sends_later(where: Endpoints) -> None:
    feed = SimpleFeed()
    with StockXSub(where) as broker:
        publisher = open_publisher(None, where)
        publisher.attach(feed)
        feed.put(b"dropped without a word")
        publisher.detach(feed)
        assert broker.receive() == [b"dropped without a word"]
    wait_until(lambda: not publisher_threads(), what="the thread has ended")


# ---- brokers that come and go


def test_a_broker_that_comes_later(
    where: Endpoints, publisher: Publisher, feed: SimpleFeed
) -> None:
    feed.put(b"waits")
    publisher.wake()
    wait_until(lambda: publisher._link is not None and publisher._link.rounds > 5, what="attempts")
    began = clock()
    with StockXSub(where) as broker:
        assert broker.receive() == [b"waits"]
        with prompt():
            assert clock() - began < 1.0


def test_restarts(where: Endpoints, publisher: Publisher, feed: SimpleFeed) -> None:
    for number in range(3):
        with StockXSub(where) as broker:
            feed.put(b"%d" % number)
            publisher.wake()
            assert broker.receive() == [b"%d" % number]
        wait_until(lambda: feed.events[-1] == "down", what="its end is noticed")
    assert feed.events == ["up", "down"] * 3


def test_no_work_where_nobody_is(where: Endpoints, publisher: Publisher, feed: SimpleFeed) -> None:
    wait_until(lambda: publisher._link is not None and publisher._link.rounds > 6, what="attempts")
    turns = count_turns(publisher, 1.2)
    with prompt():
        assert turns <= 8, "a busy loop"
    assert feed.asked == 0


def test_no_work_while_nothing_is_published(
    where: Endpoints, publisher: Publisher, feed: SimpleFeed
) -> None:
    with StockXSub(where):
        wait_until(lambda: is_up(feed), what="up")
        with prompt():
            assert count_turns(publisher, 1.2) <= 8, "a busy loop"


def count_turns(publisher: Publisher, seconds: float) -> int:
    turns = 0
    real = publisher._send

    def send(now: float) -> bool:
        nonlocal turns
        turns += 1
        return real(now)

    publisher._send = send  # type: ignore[method-assign]
    threading.Event().wait(seconds)  # it is the passing of time that is tested
    del publisher._send
    return turns


@pytest.mark.skipif(sys.platform == "win32", reason="SIGSTOP; run it on Linux or macOS")
def test_a_frozen_broker_blocks_nobody(spawn: Spawner) -> None:
    broker = start_broker(spawn)
    with Desk(broker.endpoints) as desk:
        desk.connect()
        broker.child.freeze()
        longest = 0.0
        body = bytes(1000)
        for _ in range(50_000):
            began = time.perf_counter()
            desk.emit(b"flood", body)
            longest = max(longest, time.perf_counter() - began)
        wait_until(lambda: not desk.publisher._asleep, what="no more is taken")

        def is_full() -> bool:
            link = desk.publisher._link
            return link is not None and link.queued >= 250_000

        wait_until(is_full, what="the connection is full")
        link = desk.publisher._link
        assert link is not None
        assert link.queued < 400_000
        assert not desk.feed.empty()
        turns = count_turns(desk.publisher, 0.5)
        with prompt():
            assert turns < 10
        broker.child.thaw()
        wait_until(desk.feed.empty, what="all is sent after it was thawed")
    print(f"the longest emit took {longest * 1000:.2f} ms")
    broker.stop()


def test_a_broker_that_is_killed(spawn: Spawner) -> None:
    broker = start_broker(spawn)
    with Desk(broker.endpoints) as desk:
        desk.connect()
        port = broker.endpoints.brokerBasePort
        for _ in range(2):
            broker.child.kill()
            desk.emit(b"meanwhile")
            wait_until(lambda: desk.feed.events[-1] == "down", what="its end is noticed")
            broker = start_broker(spawn, "--base-port", port)
            began = clock()
            desk.connect()
            with prompt():
                assert clock() - began < 3.0
    assert desk.reader.events == ["up", "down"] * 2 + ["up"]
    broker.stop()


# ---- the end of a process

EMIT_ONCE = """
    import atexit, sys, time
    began = time.monotonic()
    # Before the import of what flushes at the end, so that it runs after that.
    atexit.register(lambda: print(feed.events, len(feed.waiting), time.monotonic() - began))
    from drivers.newsroom import SimpleFeed
    from runmacs.roc.endpoints import parse_endpoints
    from runmacs.roc._drivers.publishers import open_publisher

    publisher = open_publisher(None, parse_endpoints(sys.argv[1]))
    feed = SimpleFeed()
    publisher.attach(feed)
    feed.put(b"once", sys.argv[2].encode())
    publisher.wake()
"""


@pytest.mark.slow
def test_emit_once_and_exit(where: Endpoints, spawn: Spawner) -> None:
    with StockXSub(where) as broker:
        came = set()
        for lot in range(20):
            children = [
                spawn(EMIT_ONCE, where.rocBroker, lot * 5 + number, env=CHILD)
                for number in range(5)
            ]
            came |= {broker.receive()[1] for _ in children}
            assert [child.wait() for child in children] == [0] * 5
    assert came == {b"%d" % number for number in range(100)}


def test_emit_once_and_exit_through_the_broker(spawn: Spawner) -> None:
    broker = start_broker(spawn)
    with Desk(broker.endpoints) as desk:
        desk.connect()
        for number in range(10):
            assert spawn(EMIT_ONCE, broker.endpoints.rocBroker, number, env=CHILD).wait() == 0
        desk.pump_until(lambda: desk.reader.count >= 10, "all ten")
        assert {message[1] for message in desk.reader.messages} == {b"%d" % n for n in range(10)}
    broker.stop()


def test_exit_where_nobody_is_takes_no_second(where: Endpoints, spawn: Spawner) -> None:
    timed = """
    import atexit, time
    # Before the import of what flushes at the end, so that it runs after that.
    atexit.register(lambda: print("took", time.monotonic() - ended))
    """
    child = spawn(timed + EMIT_ONCE + "    ended = time.monotonic()", where.rocBroker, 1, env=CHILD)
    assert child.wait() == 0
    with prompt():
        assert float(child.stdout.split("took")[1]) < 0.5


@pytest.mark.skipif(sys.platform == "win32", reason="SIGSTOP; run it on Linux or macOS")
def test_exit_is_bounded_when_the_broker_is_frozen(spawn: Spawner) -> None:
    broker = start_broker(spawn)
    broker.child.freeze()
    began = clock()
    assert spawn(EMIT_ONCE, broker.endpoints.rocBroker, 1, env=CHILD).wait() == 0
    with prompt():
        assert clock() - began < 8.0
    broker.child.thaw()
    broker.stop()


LOGGING = """
    import logging, sys
    from drivers.newsroom import SimpleFeed
    from runmacs.roc.endpoints import parse_endpoints
    from runmacs.roc._drivers.publishers import open_publisher

    class Handler(logging.Handler):
        def __init__(self):
            super().__init__()
            self.feed = SimpleFeed()
            self.publisher = open_publisher(None, parse_endpoints(sys.argv[1]))
            self.publisher.attach(self.feed)
        def emit(self, record):
            self.feed.put(b"record", record.getMessage().encode())
            self.publisher.wake()
        def close(self):
            self.publisher.detach(self.feed, 10.0)
            super().close()

    import atexit
    logging.getLogger().addHandler(Handler())
    atexit.register(logging.warning, "at exit")
    logging.warning("before")
"""


def test_a_logging_handler_at_the_end(where: Endpoints, spawn: Spawner) -> None:
    """`logging` closes its handlers after all that was registered since its import."""
    with StockXSub(where) as broker:
        assert spawn(LOGGING, where.rocBroker, env=CHILD).wait() == 0
        assert broker.receive() == [b"record", b"before"]
        assert broker.receive() == [b"record", b"at exit"]


# ---- fork and multiprocessing


@needs_fork
@may_fork
def test_a_forked_child_has_a_publisher_of_its_own(
    where: Endpoints, publisher: Publisher, feed: SimpleFeed
) -> None:
    with StockXSub(where) as broker:
        feed.put(b"parent", b"1")
        publisher.wake()
        assert broker.receive() == [b"parent", b"1"]
        child = os.fork()
        if child == 0:
            code = 1
            try:
                assert feed.events == ["fork"]
                assert not publisher_threads()
                feed.put(b"child", b"1")
                publisher.wake()
                publisher.detach(feed, 5.0)
                code = 0
            finally:
                os._exit(code)
        assert broker.receive() == [b"child", b"1"]
        assert os.waitpid(child, 0)[1] == 0
        for number in range(20):
            feed.put(b"parent", b"%d" % number)
            publisher.wake()
            assert broker.receive() == [b"parent", b"%d" % number]
        assert feed.events == ["up"]


@needs_fork
@may_fork
def test_a_child_that_publishes_nothing_costs_nothing(
    where: Endpoints, publisher: Publisher, feed: SimpleFeed
) -> None:
    with StockXSub(where):
        wait_until(lambda: is_up(feed), what="up")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                assert not publisher_threads()
                assert publisher._link is None
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0


@needs_fork
@may_fork
def test_forks_while_threads_publish(
    where: Endpoints, publisher: Publisher, feed: SimpleFeed
) -> None:
    over = threading.Event()

    def storm() -> None:
        while not over.is_set():
            feed.put(b"storm")
            publisher.wake()
            time.sleep(0)

    threads = [threading.Thread(target=storm) for _ in range(3)]
    with StockXSub(where) as broker:
        for thread in threads:
            thread.start()
        children = []
        for number in range(20):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    feed.put(b"child", b"%d" % number)
                    publisher.wake()
                    publisher.detach(feed, 5.0)
                    code = 0
                finally:
                    os._exit(code)
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 20
        over.set()
        for thread in threads:
            thread.join()
        feed.put(b"last")
        publisher.wake()
        came = set()
        while True:
            message = broker.receive()
            if message == [b"last"]:
                break
            if message[0] == b"child":
                came.add(message[1])
    assert came == {b"%d" % number for number in range(20)}


MULTIPROCESSING = """
    import multiprocessing, sys
    from drivers.newsroom import SimpleFeed
    from runmacs.roc.endpoints import parse_endpoints
    from runmacs.roc._drivers.publishers import open_publisher

    feed = SimpleFeed()
    if sys.argv[1:]:
        publisher = open_publisher(None, parse_endpoints(sys.argv[1]))
        publisher.attach(feed)

    def work(number):
        feed.put(b"child", b"%d" % number)
        publisher.wake()

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[2])
        for lot in range(2):
            children = [context.Process(target=work, args=(lot * 3 + n,)) for n in range(3)]
            for child in children:
                child.start()
            for child in children:
                child.join()
                assert child.exitcode == 0
        feed.put(b"parent", b"end")
        publisher.wake()
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_deliver(where: Endpoints, spawn: Spawner, method: str) -> None:
    import multiprocessing

    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"there is no {method} here; run it on Linux")
    with StockXSub(where) as broker:
        parent = spawn(MULTIPROCESSING, where.rocBroker, method, env=CHILD)
        assert parent.wait() == 0
        came = [broker.receive() for _ in range(7)]
    assert sorted(came) == [[b"child", b"%d" % n] for n in range(6)] + [[b"parent", b"end"]]


# ---- inproc


def test_inproc(feed: SimpleFeed) -> None:
    with zmq.Context() as context:
        where = Endpoints("news", 5555, "inproc")
        publisher = open_publisher(context, where)
        assert open_publisher(context, where) is publisher
        assert open_publisher(None, where) is not publisher
        publisher.attach(feed)
        feed.put(b"early")
        publisher.wake()
        for number in range(3):
            xsub = context.socket(zmq.XSUB)
            xsub.setsockopt(zmq.LINGER, 0)
            xsub.bind(where.generalXSUB)
            xsub.send(b"\1")
            assert xsub.poll(30_000)
            assert xsub.recv_multipart() == [b"early"] if number == 0 else [b"again"]
            xsub.close()
            wait_until(lambda: feed.events[-1] == "down", what="its end is noticed")
            feed.put(b"again")
            publisher.wake()
        publisher.detach(feed)
        wait_until(lambda: not publisher_threads(), what="the thread has ended")
    assert context.closed
