"""Ctrl-C and SIGTERM, in clients that wait and in servers that work."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from callers import Calling
from instrument import held
from processes import Child, Spawner
from promptness import prompt
from runmacs.roc import Endpoints, RocClient, errors
from waiting import wait_until

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="signals as they are here are POSIX; run it on Linux or macOS"
)

AT_ONCE = 0.25
"""Seconds; it takes milliseconds, and the rest is for a machine that is busy otherwise."""

Begun = Callable[[], list[int]]

# ---- clients

STRESS = """
    import os, random, signal, sys, threading, time
    from runmacs.roc import RocClient

    INTERRUPTS, THREADS = 400, 8
    client = RocClient(sys.argv[1], timeout=20)
    echo = client["recorder"].echo
    wrong, longest, counts = [], [0.0] * THREADS, [0] * THREADS
    sent = taken = 0
    over = False
    ready = threading.Event()

    def call(thread):
        while not over:
            counts[thread] += 1
            asked = [thread, counts[thread]]
            began = time.monotonic()
            got = echo(asked)
            longest[thread] = max(longest[thread], time.monotonic() - began)
            if got != asked:
                wrong.append((asked, got))

    def interrupt():
        global sent
        rng = random.Random(1)
        ready.wait()
        while sent < INTERRUPTS:
            while taken < sent:
                time.sleep(0.0005)
            time.sleep(0.0005 + rng.random() * 0.004)
            sent += 1
            os.kill(os.getpid(), signal.SIGINT)

    threads = [threading.Thread(target=call, args=(n,), daemon=True) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    threading.Thread(target=interrupt, daemon=True).start()
    number = 0
    while taken < INTERRUPTS:
        try:
            ready.set()
            while True:
                number += 1
                got = echo(number)
                if got != number:
                    wrong.append((number, got))
        except KeyboardInterrupt:
            taken += 1
    assert echo("after all") == "after all"
    before = list(counts)
    while any(now - then < 20 for now, then in zip(counts, before)):
        time.sleep(0.01)
        assert all(thread.is_alive() for thread in threads), "a thread has died"
    over = True
    for thread in threads:
        thread.join()
    print("interrupts", taken, "main", number, "others", sum(counts), flush=True)
    print("longest", max(longest), flush=True)
    print("wrong", wrong, flush=True)
    client.close()
"""


def test_hundreds_of_interrupts_harm_nobody_else(
    server: Child, spawn: Spawner, broker: Endpoints
) -> None:
    """Ctrl-C strikes the main thread, which drives the others' calls half of the time.

    Whoever loses its driver must get another one at once: 1 s is far beyond what a busy
    machine makes of some milliseconds, and far below the calls' timeout.
    """
    child = spawn(STRESS, broker.rocBroker, name="stress")
    assert child.wait(90) == 0, child.stderr
    assert "wrong []" in child.stdout
    longest = float(child.wait_for(r"^longest (\S+)$")[1])
    print(child.stdout)
    with prompt():
        assert longest < 1.0
    assert child.stderr == "", "no thread has died, nothing was complained about"


INTERRUPTED = """
    import sys, time
    from runmacs.roc import RocClient

    client = RocClient(sys.argv[1], timeout=30)
    begin, echo = client["recorder"].begin, client["recorder"].echo
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        begin(int(sys.argv[2]), float(sys.argv[3]))
    except KeyboardInterrupt:
        print("interrupted at", time.monotonic(), flush=True)
        client.call_object("recorder!", "rpc.ping")  # travels behind the withdrawal
        print("withdrawn", flush=True)
    print("next", echo("works"), flush=True)
"""


@pytest.fixture
def caller(server: Child, spawn: Spawner, broker: Endpoints) -> Callable[[int, float], Child]:
    """Start a client that begins a call once it is sent a line, and survives one Ctrl-C."""

    def caller(number: int, seconds: float) -> Child:
        child = spawn(
            INTERRUPTED, broker.rocBroker, number, seconds, name="caller", interactive=True
        )
        child.wait_for("^ready$")
        return child

    return caller


def interrupt(child: Child) -> float:
    """Press Ctrl-C; how long it took until the waiting program had it."""
    struck = time.monotonic()
    child.send_signal(signal.SIGINT)
    return float(child.wait_for(r"^interrupted at (\S+)$")[1]) - struck


def test_waiting_caller_is_interrupted_at_once(
    caller: Callable[[int, float], Child], begun: Begun
) -> None:
    """And its next call works, after the method, which nobody breaks off."""
    child = caller(1, 1.5)
    child.send_line("go")
    wait_until(begun, what="the method runs")
    with prompt():  # before the method ends
        took = interrupt(child)
        print(f"interrupted after {took * 1000:.1f} ms")
        assert took < AT_ONCE
    child.wait_for("^next works$")
    assert child.wait() == 0
    assert child.stderr == ""


def test_interrupted_call_that_was_not_begun_never_is(
    caller: Callable[[int, float], Child],
    client: RocClient,
    recorder: Any,
    begun: Begun,
    let_go: Callable[[], None],
) -> None:
    child = caller(2, 0.0)
    slow = Calling(client.proxy("recorder", timeout=60).hold, 1)
    wait_until(begun, what="the method runs")
    child.send_line("go")
    wait_until(lambda: held(client, "recorder") == 2, what="the second call waits at the server")
    with prompt():
        assert interrupt(child) < AT_ONCE
    child.wait_for("^withdrawn$")
    let_go()
    assert slow.wait().result == 1
    child.wait_for("^next works$")
    assert begun() == [1]


# ---- servers

HARDWARE = """
    import sys, time
    from runmacs.roc.servers import run_simple_server

    class Hardware:
        def __enter__(self):
            return self

        def __exit__(self, *exc):
            print("closed at", time.monotonic(), flush=True)

        def work(self, number, seconds, stubborn=False):
            print("begun", number, flush=True)
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                try:
                    time.sleep(seconds)
                except KeyboardInterrupt:
                    print("interrupted at", time.monotonic(), flush=True)
                    if not stubborn:
                        raise
                    return "made the best of it"
            return number

    with Hardware() as hardware:
        run_simple_server("hardware", hardware, broker=sys.argv[1])
    print("ended", flush=True)
"""


class Works:
    """A server whose method runs, and calls that wait behind it, of several clients."""

    def __init__(self, spawn: Spawner, broker: Endpoints, *arguments: object) -> None:
        self.child = spawn(HARDWARE, broker.rocBroker, name="hardware")
        self.clients = [RocClient(broker, timeout=30) for _ in range(3)]
        self.clients[0].wait_for("hardware")
        methods = [client.proxy("hardware", timeout=30).work for client in self.clients]
        self.running = Calling(methods[0], 1, *arguments)
        self.child.wait_for("^begun 1$")
        self.queued = [Calling(method, n, 0) for n, method in enumerate(methods[1:], 2)]
        wait_until(
            lambda: held(self.clients[0], "hardware") == 3, what="two calls wait at the server"
        )

    def signal(self, number: int) -> float:
        self.child.send_signal(number)
        return time.monotonic()

    def assert_ended_cleanly(self) -> None:
        """The hardware is closed, nobody was left without an answer, and nothing was begun."""
        assert self.child.wait() == 0
        assert self.child.stdout.splitlines()[-1] == "ended"
        assert self.child.stdout.count("closed") == 1
        assert self.child.stdout.count("begun") == 1
        assert self.child.stderr == ""
        for call in self.queued:
            error = call.wait().error
            assert isinstance(error, errors.ServerLost), repr(error)
            assert error.executed is False
            assert "not executed" in str(error)
        for client in self.clients:
            client.close()


@pytest.fixture
def works(spawn: Spawner, broker: Endpoints) -> Callable[..., Works]:
    def works(*arguments: object) -> Works:
        return Works(spawn, broker, *arguments)

    return works


def test_ctrl_c_breaks_into_the_running_method(works: Callable[..., Works]) -> None:
    server = works(60.0)
    struck = server.signal(signal.SIGINT)
    took = float(server.child.wait_for(r"^interrupted at (\S+)$")[1]) - struck
    print(f"interrupted after {took * 1000:.1f} ms")
    with prompt():
        assert took < AT_ONCE
    error = server.running.wait().error
    assert isinstance(error, errors.ServerLost), repr(error)
    assert error.executed is None
    assert "hardware.work" in str(error)
    assert "stopped" in str(error)
    print(f"its caller was told after {server.running.ended - struck:.3f} s")
    with prompt():
        assert server.running.ended - struck < 0.75
    server.assert_ended_cleanly()


def test_sigterm_lets_a_short_method_end(works: Callable[..., Works]) -> None:
    server = works(2.5)
    told = server.signal(signal.SIGTERM)
    assert server.running.wait().result == 1
    with prompt():
        assert server.running.ended - told < 3.5
    server.assert_ended_cleanly()
    assert "interrupted" not in server.child.stdout


def test_sigterm_breaks_off_a_long_one_after_5_s(works: Callable[..., Works]) -> None:
    server = works(30.0)
    told = server.signal(signal.SIGTERM)
    took = float(server.child.wait_for(r"^interrupted at (\S+)$")[1]) - told
    print(f"broken off after {took:.2f} s")
    with prompt():
        assert 5.0 - AT_ONCE < took < 5.0 + AT_ONCE
    error = server.running.wait().error
    assert isinstance(error, errors.ServerLost), repr(error)
    assert error.executed is None
    server.assert_ended_cleanly()


def test_ctrl_c_after_sigterm_does_not_wait_for_the_5_s(works: Callable[..., Works]) -> None:
    server = works(30.0)
    server.signal(signal.SIGTERM)
    time_given = server.signal(signal.SIGINT)
    took = float(server.child.wait_for(r"^interrupted at (\S+)$")[1]) - time_given
    with prompt():
        assert took < AT_ONCE
    assert isinstance(server.running.wait().error, errors.ServerLost)
    server.assert_ended_cleanly()


def test_method_that_makes_the_best_of_ctrl_c_is_answered(works: Callable[..., Works]) -> None:
    """A method may catch KeyboardInterrupt to bring its hardware to rest: its result counts."""
    server = works(30.0, True)
    server.signal(signal.SIGINT)
    assert server.running.wait().result == "made the best of it"
    server.assert_ended_cleanly()


ALL_THREADS = """
    import logging, sys, threading, time
    from pathlib import Path
    from runmacs.roc import Endpoints, RocClient, RocServer, StatusTree, initRocLogging
    from runmacs.roc.broker import Broker
    from runmacs.roc.cli.stderr import StderrLog

    def open_to_signals():
        for task in Path("/proc/self/task").iterdir():
            status = (task / "status").read_text()
            if int(status.partition("SigBlk:")[2].split()[0], 16) == 0:
                yield int(task.name)

    here = Endpoints("127.0.0.1", int(sys.argv[1]))
    broker = Broker(here, state_file="tree.json").start()
    initRocLogging("everything", here, level="INFO")
    tree = StatusTree(here)
    logging.info("awake")

    class Look:
        def threads(self):
            names = {t.native_id: t.name for t in threading.enumerate()}
            return [names.get(number, "?") for number in open_to_signals()]

    def ask():
        with RocClient(here) as client:
            client.wait_for("look")
            print(*client["look"].threads(), flush=True)
            print("running", *{thread.name for thread in threading.enumerate()}, flush=True)

    with StderrLog("info"):
        threading.Thread(target=ask, name="mine", daemon=True).start()
        RocServer(here, "look", Look()).run()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc; run it on Linux")
def test_no_thread_of_our_own_takes_a_signal(spawn: Spawner, nowhere: Endpoints) -> None:
    """Of two that come at once the system may give both to any thread that takes some.

    The main thread, asleep in a method, then slept on, and the server obeyed neither
    Ctrl-C nor SIGTERM.
    """
    child = spawn(ALL_THREADS, nowhere.brokerBasePort, name="all")
    assert child.wait_for(r"^MainThread\b.*$")[0].split() == ["MainThread", "mine"]
    running = child.wait_for(r"^running .*$")[0]
    for name in ("roc-broker", "roc-log-watch", "roc-publisher", "roc-standby", "roc-status"):
        assert name in running


INTERRUPTS_WHILE_SERVING = """
    import sys, threading
    from runmacs.roc import RocServer

    class Quick:
        def echo(self, value):
            return value

    try:
        RocServer(sys.argv[1], "quick", Quick()).run()
    except KeyboardInterrupt:
        print("KeyboardInterrupt", flush=True)
"""


@pytest.mark.parametrize("attempt", range(10))
def test_ctrl_c_under_load_ends_a_server_cleanly(
    spawn: Spawner, broker: Endpoints, attempt: int
) -> None:
    """Wherever it strikes, between two calls or in one, every caller gets an answer in time.

    What comes after the goodbye waits for the server's return, as its callers have reached
    it before.
    """
    child = spawn(INTERRUPTS_WHILE_SERVING, broker.rocBroker, name="quick")
    ended: list[tuple[float, BaseException]] = []
    count = 0

    def call(client: RocClient) -> None:
        nonlocal count
        while True:
            try:
                client.call_object("quick", "echo", (count,))
                count += 1
            except errors.RocError as error:
                ended.append((time.monotonic(), error))
                return

    clients = [RocClient(broker, timeout=1.0) for _ in range(4)]
    for client in clients:
        client.wait_for("quick")
    calls = [Calling(call, client) for client in clients]
    with prompt():
        wait_until(lambda: count > 200 + 37 * attempt, 20, "the load flows")
    child.send_signal(signal.SIGINT)
    struck = time.monotonic()
    for one in calls:
        one.wait()
    assert child.wait() == 0
    assert child.stdout == "KeyboardInterrupt\n"
    assert child.stderr == ""
    for when, error in ended:
        with prompt():  # a second is the time of each call
            assert isinstance(error, errors.ServerLost | errors.ObjectNotFound), repr(error)
            assert when - struck < 1.0 + 0.25
        # True: it struck between a method's end and the reply, and the error says so.
        assert error.executed is not True or "before its result was sent" in str(error)
    for client in clients:
        client.close()
