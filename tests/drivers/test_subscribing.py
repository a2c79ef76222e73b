"""Subscriptions: driven by whoever waits, against libzmq's sockets and the real broker."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq

from drivers.newsroom import Desk, SimpleReader, StockXPub
from processes import Spawner, start_broker
from promptness import prompt
from runmacs.roc import Endpoints, errors
from runmacs.roc._drivers.clock import now as clock
from runmacs.roc._drivers.subscribing import Subscription
from runmacs.roc.core.effects import Reopen
from waiting import wait_until

POSIX = sys.platform != "win32"
posix_only = pytest.mark.skipif(not POSIX, reason="POSIX signals; run it on Linux or macOS")


class Blind(asyncio.SelectorEventLoop):
    """A loop that cannot watch descriptors, as Windows' proactor."""

    def add_reader(self, *args: Any) -> None:  # type: ignore[override]
        raise NotImplementedError


def _uvloop() -> Any:
    try:
        import uvloop
    except ImportError:
        pytest.skip("no uvloop here; it comes with `make .venv/.dev`")
    return uvloop.new_event_loop()


LOOPS: dict[str, Callable[[], Any]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": _uvloop,
    "no readers": Blind,
}

Pump = Callable[[Subscription, float], bool]


@pytest.fixture(params=["blocking", *LOOPS])
def pump(request: pytest.FixtureRequest) -> Iterator[Pump]:
    """Pumps by threads, and by each kind of loop."""
    if request.param == "blocking":
        yield Subscription.pump
        return
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield lambda subscription, timeout: runner.run(subscription.pump_soon(timeout))


@pytest.fixture(params=["tcp", "ipc"])
def where(request: pytest.FixtureRequest, nowhere: Endpoints, tmp_path: Path) -> Endpoints:
    """Where nobody listens yet."""
    if request.param == "tcp":
        return nowhere
    if not hasattr(socket, "AF_UNIX"):
        pytest.skip("no ipc here; run it on Linux or macOS")
    return Endpoints(str(tmp_path / "lab"), 5555, "ipc")


@pytest.fixture
def reader() -> SimpleReader:
    return SimpleReader(b"a.", b"b.")


@pytest.fixture
def subscription(where: Endpoints, reader: SimpleReader) -> Iterator[Subscription]:
    subscription = Subscription(None, where, reader)
    yield subscription
    subscription.close()


def pump_until(
    subscription: Subscription,
    condition: Callable[[], object],
    what: str,
    pump: Pump = Subscription.pump,
) -> None:
    end = clock() + 30.0
    while not condition():
        assert clock() < end, f"not within 30 s: {what}"
        pump(subscription, 0.1)


def connect(subscription: Subscription, broker: StockXPub, pump: Pump = Subscription.pump) -> None:
    """Until the broker knows its two subscriptions."""
    reader = subscription.reader
    assert isinstance(reader, SimpleReader)
    pump_until(subscription, lambda: reader.events[-1:] == ["up"], "up", pump)
    assert [broker.subscription(), broker.subscription()] == [b"\1a.", b"\1b."]


# ---- messages


def test_what_is_subscribed_to_comes(
    where: Endpoints, subscription: Subscription, reader: SimpleReader, pump: Pump
) -> None:
    with StockXPub(where) as broker:
        connect(subscription, broker, pump)
        broker.send(b"c.", b"nobody's")
        broker.send(b"a.x", b"1", b"")
        broker.send(b"b.", bytes(300_000))
        pump_until(subscription, lambda: reader.count == 2, "both", pump)
        assert reader.messages == [[b"a.x", b"1", b""], [b"b.", bytes(300_000)]]


def test_what_a_reader_says_is_sent(
    where: Endpoints, subscription: Subscription, reader: SimpleReader, pump: Pump
) -> None:
    with StockXPub(where) as broker:
        connect(subscription, broker, pump)
        reader.to_send = [[b"\1c."], [b"\0b."]]
        broker.send(b"a.", b"1")
        pump_until(subscription, lambda: reader.count == 1, "the message", pump)
        assert [broker.subscription(), broker.subscription()] == [b"\1c.", b"\0b."]
        reader.to_send, reader.due = [[b"\1d."]], clock() + 0.1
        pump_until(subscription, lambda: reader.ticks == 1, "tick", pump)
        assert broker.subscription() == b"\1d."


def test_timeouts(
    where: Endpoints, subscription: Subscription, reader: SimpleReader, pump: Pump
) -> None:
    for timeout in (0.0, 0.2):
        began = clock()
        assert not pump(subscription, timeout)
        with prompt():
            assert timeout <= clock() - began < timeout + 0.3
    with StockXPub(where) as broker:
        connect(subscription, broker, pump)
        began = clock()
        assert not pump(subscription, 0.2)
        with prompt():
            assert 0.19 < clock() - began < 0.5
        broker.send(b"a.")
        assert pump(subscription, 30.0)
        assert not pump(subscription, 0.0)
        reader.due = clock() + 0.1
        assert pump(subscription, 30.0), "the reader was told something"
        assert reader.ticks == 1


def test_a_flood_is_taken_in_portions(
    where: Endpoints, subscription: Subscription, reader: SimpleReader, pump: Pump
) -> None:
    with StockXPub(where) as broker:
        connect(subscription, broker, pump)
        for number in range(20_000):
            broker.send(b"a.", b"%d" % number)
        pumps = 0
        while reader.count < 20_000:
            began = clock()
            assert pump(subscription, 30.0)
            with prompt():
                assert clock() - began < 1.0
            pumps += 1
        assert [int(message[1]) for message in reader.messages] == list(range(20_000))
        assert pumps > 2


def test_who_does_not_pump_does_not_read(nowhere: Endpoints, reader: SimpleReader) -> None:
    """So it is the broker who notices, and not this process' memory."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as xpub:
        xpub.setsockopt(zmq.LINGER, 0)
        xpub.setsockopt(zmq.XPUB_NODROP, 1)
        xpub.setsockopt(zmq.SNDHWM, 10)
        xpub.bind(nowhere.generalXPUB)
        subscription = Subscription(None, nowhere, reader)
        pump_until(subscription, lambda: xpub.poll(1), "the subscription")
        xpub.recv()
        sent = 0
        while xpub.poll(200, zmq.POLLOUT) and sent < 1000:
            try:
                xpub.send_multipart([b"a.", bytes(1_000_000)], zmq.NOBLOCK)
            except zmq.Again:
                break
            sent += 1
            time.sleep(0.001)
        assert sent < 1000
        assert reader.count == 0
        pump_until(subscription, lambda: reader.count == sent, "all that was sent")
        subscription.close()


def test_a_loop_runs_on_during_a_flood(where: Endpoints, reader: SimpleReader) -> None:
    turns = 0

    async def work() -> None:
        subscription = Subscription(None, where, reader)
        with StockXPub(where) as broker:
            while not reader.events:
                await subscription.pump_soon(0.1)
            assert broker.subscription() == b"\1a."
            for _ in range(20_000):
                broker.send(b"a.", b"x")
            counting = asyncio.create_task(count())
            while reader.count < 20_000:
                await subscription.pump_soon(30.0)
            counting.cancel()
        subscription.close()

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    asyncio.run(work())
    assert turns > 2


@pytest.mark.slow
def test_how_much_can_be_read(nowhere: Endpoints) -> None:
    """From libzmq's XPUB, whose own pace is part of it. The goal is 100,000 a second."""
    reader = SimpleReader(keep=False)
    subscription = Subscription(None, nowhere, reader)
    with StockXPub(nowhere) as broker:
        pump_until(subscription, lambda: reader.events, "up")
        broker.subscription()
        for _ in range(200_000):
            broker.send(b"status.system.foo.=", b'{"cpu": 0.3, "memory": 0.7}')
        began = time.perf_counter()
        while reader.count < 200_000:
            assert subscription.pump(30.0)
        rate = 200_000 / (time.perf_counter() - began)
    subscription.close()
    print(f"{rate:.0f} messages/s")
    with prompt():
        assert rate > 30_000


# ---- brokers that come and go


def test_a_broker_that_comes_later_and_goes_and_comes(
    where: Endpoints, subscription: Subscription, reader: SimpleReader, pump: Pump
) -> None:
    assert not pump(subscription, 0.3)
    for number in range(3):

        def has_come(number: int = number) -> bool:
            return reader.count > number

        with StockXPub(where) as broker:
            began = clock()
            connect(subscription, broker, pump)
            with prompt():
                assert clock() - began < 1.5
            broker.send(b"a.", b"%d" % number)
            pump_until(subscription, has_come, "a message", pump)
        pump_until(subscription, lambda: reader.events[-1] == "down", "down", pump)
    assert reader.events == ["up", "down"] * 3
    assert [message[1] for message in reader.messages] == [b"0", b"1", b"2"]


def test_what_came_before_the_end_is_read_before_it_is_told(
    where: Endpoints, subscription: Subscription, reader: SimpleReader
) -> None:
    seen: list[int] = []
    reader.link_down = lambda now: seen.append(reader.count)  # type: ignore[method-assign]
    broker = StockXPub(where, linger=2000)
    connect(subscription, broker)
    for number in range(3000):
        broker.send(b"a.", b"%d" % number)
    closing = threading.Thread(target=broker.close)
    closing.start()
    pump_until(subscription, lambda: seen, "down")
    closing.join()
    assert seen == [3000]


def test_no_work_while_nothing_comes(where: Endpoints, subscription: Subscription) -> None:
    steps = 0
    real = subscription._step

    def step(signalled: bool) -> bool:
        nonlocal steps
        steps += 1
        return real(signalled)

    subscription._step = step  # type: ignore[method-assign]
    assert not subscription.pump(1.0)
    with prompt():
        assert steps < 15, "a busy loop while nobody is there"
    with StockXPub(where) as broker:
        connect(subscription, broker)
        steps = 0
        assert not subscription.pump(1.0)
        with prompt():
            assert steps < 5, "a busy loop"
    del subscription._step


def test_the_real_broker_killed_and_restarted(spawn: Spawner) -> None:
    broker = start_broker(spawn)
    with Desk(broker.endpoints) as desk:
        desk.connect()
        for number in range(2000):
            desk.emit(b"topic", b"%d" % number)
            if number % 100 == 0:  # libzmq's XPUB drops what is over a thousand
                desk.pump_until(lambda: desk.reader.count > number, "it comes")  # noqa: B023
        desk.pump_until(lambda: desk.reader.count == 2000, "all of them")
        assert [int(message[1]) for message in desk.reader.messages] == list(range(2000))
        broker.child.kill()
        broker = start_broker(spawn, "--base-port", broker.endpoints.brokerBasePort)
        desk.connect()
    assert desk.reader.events == ["up", "down", "up"]
    broker.stop()


# ---- close


def test_close_from_another_thread_ends_a_pump_at_once(
    where: Endpoints, reader: SimpleReader, pump: Pump
) -> None:
    for _ in range(5):
        subscription = Subscription(None, where, reader)
        closer = threading.Timer(0.05, subscription.close)
        closer.start()
        began = clock()
        while not subscription.closed:
            assert not pump(subscription, 20.0) or not subscription.closed
        with prompt():
            assert clock() - began < 1.0
        closer.join()
        assert subscription._gone
        with pytest.raises(errors.Closed, match="was closed"):
            pump(subscription, 0.0)
        subscription.close()


def test_threads_that_pump_and_close_at_random(where: Endpoints) -> None:
    with StockXPub(where) as broker:
        for _ in range(20):
            subscription = Subscription(None, where, SimpleReader())

            def pump(subscription: Subscription = subscription) -> None:
                try:
                    while True:
                        subscription.pump(1.0)
                except errors.Closed:
                    pass

            threads = [threading.Thread(target=pump) for _ in range(4)]
            for thread in threads:
                thread.start()
            broker.subscription()
            for _ in range(100):
                broker.send(b"x")
            subscription.close()
            for thread in threads:
                thread.join(30)
                assert not thread.is_alive()
            assert subscription._gone
            while broker.socket.poll(0):
                broker.socket.recv()


def test_one_that_is_dropped_leaks_nothing(where: Endpoints, pump: Pump) -> None:
    with StockXPub(where):
        before = count_descriptors()
        for _ in range(5):
            reader = SimpleReader()
            subscription = Subscription(None, where, reader)
            pump_until(subscription, lambda reader=reader: reader.events, "up", pump)  # type: ignore[misc]
            del subscription
        gc.collect()
        wait_until(lambda: count_descriptors() <= before + 1, what="all descriptors are back")


def count_descriptors() -> int:
    process = psutil.Process()
    return int(getattr(process, "num_fds" if POSIX else "num_handles")())


# ---- interrupts


def pump_for_ever(subscription: Subscription) -> None:
    while True:
        subscription.pump(20.0)


def pump_until_struck(subscription: Subscription) -> None:
    """Ctrl-C strikes in here, however busy the machine is, and nowhere else.

    One that strikes in a destructor is dropped by Python; the next comes a second later.
    """
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        signal.setitimer(signal.ITIMER_REAL, 0.01, 1.0)
        pump_for_ever(subscription)
    signal.setitimer(signal.ITIMER_REAL, 0)


@posix_only
@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_works_at_once_and_harms_nothing(
    where: Endpoints, subscription: Subscription, reader: SimpleReader
) -> None:
    with StockXPub(where) as broker:
        connect(subscription, broker)
        main = threading.main_thread().ident
        assert main is not None
        for number in range(50):
            began = clock()
            timer = threading.Timer(0.002, signal.pthread_kill, (main, signal.SIGINT))
            with pytest.raises(KeyboardInterrupt):  # noqa: PT012
                timer.start()  # on a busy machine it may strike before this has returned
                pump_for_ever(subscription)
            with prompt():
                assert clock() - began < 1.0
            timer.join()
            broker.send(b"a.", b"%d" % number)
        pump_until(subscription, lambda: reader.count == 50, "all")
        assert [int(message[1]) for message in reader.messages] == list(range(50))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@posix_only
@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_in_a_flood_loses_no_message(
    where: Endpoints, subscription: Subscription, reader: SimpleReader
) -> None:
    with StockXPub(where) as broker:
        connect(subscription, broker)
        over = threading.Event()

        def flood() -> None:
            for number in itertools.count():
                if over.is_set():
                    return
                broker.send(b"a.", b"%d" % number)

        thread = threading.Thread(target=flood)
        previous = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        thread.start()
        try:
            for _ in range(100):
                pump_until_struck(subscription)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
            over.set()
            thread.join()
        numbers = [int(message[1]) for message in reader.messages]
        assert numbers == list(range(len(numbers)))


@posix_only
def test_close_in_a_signal_handler(where: Endpoints) -> None:
    for microseconds in range(0, 3000, 100):
        subscription = Subscription(None, where, SimpleReader())
        previous = signal.signal(signal.SIGALRM, lambda *_: subscription.close())  # noqa: B023
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0005 + microseconds / 1e6)
            began = clock()
            with pytest.raises(errors.Closed):
                pump_for_ever(subscription)
            with prompt():
                assert clock() - began < 1.0
        finally:
            signal.signal(signal.SIGALRM, previous)
        assert subscription._gone


# ---- asyncio


@pytest.mark.parametrize("kind", LOOPS)
def test_a_cancelled_task_leaves_it_usable(
    where: Endpoints, subscription: Subscription, reader: SimpleReader, kind: str
) -> None:
    async def work(broker: StockXPub) -> None:
        while not reader.events:
            await subscription.pump_soon(0.1)
        for _ in range(2):
            broker.subscription()
        for number in range(20):
            task = asyncio.create_task(subscription.pump_soon(20.0))
            await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            broker.send(b"a.", b"%d" % number)
            while reader.count <= number:
                await subscription.pump_soon(30.0)

    with StockXPub(where) as broker, asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
        runner.run(work(broker))


def test_one_loop_after_another_and_threads_too(
    where: Endpoints, subscription: Subscription, reader: SimpleReader
) -> None:
    with StockXPub(where) as broker:
        connect(subscription, broker)
        for number, kind in enumerate(["asyncio", "uvloop", "no readers"]):
            broker.send(b"a.", b"%d" % number)

            async def work(number: int = number) -> None:
                while reader.count <= number:
                    await subscription.pump_soon(30.0)

            with asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
                runner.run(work())
        broker.send(b"a.", b"3")
        pump_until(subscription, lambda: reader.count == 4, "the last")


def test_many_in_one_loop(where: Endpoints) -> None:
    async def read(reader: SimpleReader) -> None:
        subscription = Subscription(None, where, reader)
        while reader.count < 50:
            await subscription.pump_soon(30.0)
        subscription.close()

    async def work(broker: StockXPub) -> None:
        readers = [SimpleReader() for _ in range(10)]
        tasks: list[Coroutine[Any, Any, None]] = [read(reader) for reader in readers]

        async def publish() -> None:
            while not all(reader.count >= 50 for reader in readers):
                broker.send(b"x")
                await asyncio.sleep(0.001)

        await asyncio.gather(publish(), *tasks)

    with StockXPub(where) as broker:
        asyncio.run(work(broker))


# ---- fork


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork; run it on Linux or macOS")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_in_a_forked_child_it_is_the_parents(
    where: Endpoints, subscription: Subscription, reader: SimpleReader
) -> None:
    with StockXPub(where) as broker:
        connect(subscription, broker)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                try:
                    subscription.pump(0.0)
                except errors.Closed as closed:
                    code = 0 if "forked" in str(closed) else 2
                subscription.close()
                subscription.close()
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        broker.send(b"a.", b"for the parent")
        pump_until(subscription, lambda: reader.count == 1, "the message")


# ---- inproc


def test_inproc() -> None:
    with zmq.Context() as context:
        where = Endpoints("news", 5555, "inproc")
        reader = SimpleReader(b"a.")
        subscription = Subscription(context, where, reader)
        for number in range(3):
            xpub = context.socket(zmq.XPUB)
            xpub.setsockopt(zmq.LINGER, 0)
            xpub.bind(where.generalXPUB)
            pump_until(subscription, lambda: xpub.poll(10), "the subscription")  # noqa: B023
            assert xpub.recv() == b"\1a."
            for _ in range(500):
                xpub.send_multipart([b"b.", b"nobody's"])
                xpub.send_multipart([b"a.", b"x"])
            pump_until(subscription, lambda: reader.count == 500 * (number + 1), "all")  # noqa: B023
            xpub.close()
            pump_until(subscription, lambda: "down" in reader.events[2 * number :], "down")  # noqa: B023
        subscription.close()
    assert context.closed
    assert {message[0] for message in reader.messages} == {b"a."}


def test_a_reader_in_inproc_hears_of_the_connection_that_it_asked_for() -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as xpub:
        where = Endpoints("news", 5555, "inproc")
        xpub.bind(where.generalXPUB)
        reader = SimpleReader(b"a.")
        subscription = Subscription(context, where, reader)
        pump_until(subscription, lambda: reader.events == ["up"], "the first connection")
        reader.to_send = [Reopen("the test wants it")]  # type: ignore[list-item]
        reader.due = clock()
        pump_until(subscription, lambda: reader.events == ["up", "down", "up"], "another one")
        subscription.close()
