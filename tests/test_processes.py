"""Clients, proxies, servers and brokers where there are several processes.

Pickled, forked, dropped without a word, and alive when the interpreter ends. The broker and
the server are processes of their own, and so is whoever forks: a test that goes wrong must
not fork pytest.
"""

from __future__ import annotations

import copy
import gc
import os
import pickle
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from instrument import Bench
from processes import Child, Spawner
from promptness import prompt
from runmacs.roc import Endpoints, RocClient
from runmacs.roc._drivers.calling import Caller
from waiting import wait_until

fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here; run it on Linux")

# What Python says of a fork beside threads, from 3.12 on, is said to who forks.
DEV = {"PYTHONDEVMODE": "1", "PYTHONWARNINGS": "always,ignore::DeprecationWarning"}

HEADER = """
import asyncio, concurrent.futures, logging, multiprocessing, os, sys, threading, time
from runmacs.roc import AsyncRocClient, Endpoints, RocClient, RocServer, errors
from runmacs.roc.broker import Broker

logging.getLogger("asyncio").setLevel(logging.ERROR)  # slow tasks are no complaint of ours
address = sys.argv[1] if len(sys.argv) > 1 else ""

def say(*what):
    os.write(1, (" ".join(map(str, what)) + "\\n").encode())

def in_child(work, *args):
    '''Fork; the child does the work and leaves as programs do. Its exit status.'''
    pid = os.fork()
    if not pid:
        began = time.process_time()
        work(*args)
        say("child's cpu", time.process_time() - began)
        sys.exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""

Run = Callable[..., str]


@pytest.fixture
def program(spawn: Spawner) -> Callable[..., Child]:
    """Start a program that has `HEADER`, in development mode."""

    def program(body: str, *arguments: object) -> Child:
        return spawn(HEADER + body, *arguments, env=DEV)

    return program


@pytest.fixture
def run(program: Callable[..., Child], bench: Bench) -> Run:
    """Run such a program to its end, which must be a good one; what it printed."""

    def run(body: str, *arguments: object, within: float = 60.0) -> str:
        child = program(body, bench.broker.rocBroker, *arguments)
        status = child.wait(within)
        assert child.stderr == ""
        assert status == 0
        return child.stdout

    return run


# ---- pickles

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickled_client_is_a_client_of_its_own(bench: Bench, protocol: int) -> None:
    with RocClient(bench.broker, timeout=7) as client:
        with pickle.loads(pickle.dumps(client, protocol)) as other:
            assert type(other) is RocClient
            assert (other.endpoints, other.timeout) == (client.endpoints, 7)
            assert other["vnir"].echo(1) == 1
        assert client["vnir"].echo(2) == 2
        third = pickle.loads(pickle.dumps(client, protocol))
        assert not third.closed
        third.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pickled_proxies_and_methods(bench: Bench, protocol: int) -> None:
    def pickled(thing: Any) -> Any:
        return pickle.loads(pickle.dumps(thing, protocol))

    with RocClient(bench.broker, timeout=2) as client:
        vnir = client.proxy("vnir", timeout=30)
        assert pickled(vnir).echo(1) == 1
        assert pickled(vnir.lens).move(2) == 2
        assert pickled(vnir.lens.move)(3) == vnir.lens.position == 5
        assert pickled([vnir, {"lens": vnir.lens}])[1]["lens"].position == 5
        assert type(pickled(vnir)) is type(vnir)
        # Each has its timeout, which is longer here than the client's.
        assert pickled(vnir).begin(1, 2.2) == 1


def test_a_pickle_has_the_address_only(bench: Bench) -> None:
    """It is small, and making or reading it makes no call."""
    with RocClient(Endpoints("127.0.0.1", 1)) as client:
        text = pickle.dumps(client["vnir"])
        assert len(text) < 400
        assert repr(pickle.loads(text)).startswith("<vnir at tcp://127.0.0.1:1: ")


def test_unpickled_proxies_share_a_connection(bench: Bench) -> None:
    process = psutil.Process()
    with RocClient(bench.broker, timeout=22.5) as client:
        text = pickle.dumps(client["vnir"])
        one = pickle.loads(text)
        assert one.echo(0) == 0
        before = process.num_fds()
        many = [pickle.loads(text) for _ in range(300)]
        assert [proxy.echo(n) for n, proxy in enumerate(many)] == list(range(300))
        assert process.num_fds() <= before
    # Closing a client, unpickled ones too, is nobody else's affair.
    pickle.loads(pickle.dumps(client)).close()
    assert one.echo(1) == 1


def test_copies_stand_for_the_same_object(bench: Bench) -> None:
    with RocClient(bench.broker, timeout=20) as client:
        settings = {"vnir": client["vnir"], "move": client["vnir"].lens.move}
        for copied in (copy.copy(settings), copy.deepcopy(settings)):
            assert copied["move"](1) == copied["vnir"].lens.position
        assert copy.copy(settings["vnir"]).lens.position == 2
        with copy.deepcopy(client) as other:
            assert other is not client
            assert other["vnir"].echo(1) == 1
        assert client["vnir"].echo(2) == 2


def test_inproc_reaches_no_further_than_its_process(spawn: Spawner, tmp_path: Any) -> None:
    with RocClient(Endpoints("somewhere", 5555, "inproc")) as client:
        (tmp_path / "client.pickle").write_bytes(pickle.dumps(client))
        pickle.loads(pickle.dumps(client)).close()
    child = spawn("""
        import pickle
        from runmacs.roc import errors
        try:
            pickle.load(open("client.pickle", "rb"))
        except errors.Closed as error:
            print(error)
    """)
    assert child.wait() == 0
    assert "Use tcp or ipc" in child.stdout


# ---- multiprocessing and what is built upon it

METHODS = ["fork", "spawn", "forkserver"] if hasattr(os, "fork") else ["spawn"]
methods = pytest.mark.parametrize("method", METHODS)

ARGUMENTS = """
def use(number, thing, results):
    if isinstance(thing, AsyncRocClient):
        async def main():
            async with thing:
                return await thing["vnir"].echo(number)
        results.put(asyncio.run(main()))
    elif isinstance(thing, RocClient):
        with thing:
            results.put(thing["vnir"].echo(number))
    else:
        results.put(thing.echo(number))

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[2])
    results = context.Queue()
    client = RocClient(address, timeout=10)
    vnir = client["vnir"]
    assert vnir.echo(-1) == -1
    things = [vnir, client, AsyncRocClient(address), vnir, client]
    children = [
        context.Process(target=use, args=(n, thing, results)) for n, thing in enumerate(things)
    ]
    for child in children:
        child.start()
    print(sorted(results.get(timeout=10) for _ in children))
    for child in children:
        child.join(10)
    print([child.exitcode for child in children])
    assert vnir.echo(-1) == -1
"""


@methods
def test_as_arguments_of_processes(run: Run, method: str) -> None:
    assert run(ARGUMENTS, method).splitlines() == ["[0, 1, 2, 3, 4]", "[0, 0, 0, 0, 0]"]


POOLS = """
inherited = RocClient(address, timeout=10)

def here(number):
    return inherited["vnir"].echo(number)

def there(vnir, number):
    return vnir.lens.move(0), vnir.echo(number), os.getpid()

def fails(vnir):
    vnir.fail("too bright")

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[2])
    vnir = inherited["vnir"]
    with context.Pool(2) as pool:
        assert pool.map(here, range(20)) == list(range(20))
        assert pool.map(vnir.echo, range(20)) == list(range(20))
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
        assert list(executor.map(vnir.echo, range(20))) == list(range(20))
        assert list(executor.map(here, range(20))) == list(range(20))
        for future in [executor.submit(there, vnir, number) for number in range(20)]:
            assert future.result(10)[0] == 0 and future.result()[2] != os.getpid()
        try:
            executor.submit(fails, vnir).result(10)
        except ValueError as error:
            assert isinstance(error, errors.RemoteError) and error.executed is True
            assert "in fail" in error.remote_traceback
            print(error)
    assert vnir.echo(-1) == -1
"""


@methods
def test_in_pools_and_executors(run: Run, method: str) -> None:
    """Clients that modules have made, proxies as arguments, remote methods as functions."""
    assert "ValueError: too bright" in run(POOLS, method)


JOBLIB = """
from joblib import Parallel, delayed

def work(vnir, number):
    return vnir.lens.move(0) + vnir.echo(number)

if __name__ == "__main__":
    client = RocClient(address, timeout=10)
    vnir = client["vnir"]
    for backend in ("loky", "multiprocessing", "threading"):
        parallel = Parallel(n_jobs=2, backend=backend)
        assert parallel(delayed(work)(vnir, n) for n in range(20)) == list(range(20))
        assert parallel(delayed(vnir.echo)(n) for n in range(20)) == list(range(20))
        print(backend)
    assert vnir.echo(-1) == -1
"""


def test_in_joblib(program: Callable[..., Child], bench: Bench) -> None:
    pytest.importorskip("joblib", reason="joblib is not installed: pip install -e '.[dev]'")
    child = program(JOBLIB, bench.broker.rocBroker)
    assert child.wait(40) == 0, child.stderr
    assert child.stdout.split() == ["loky", "multiprocessing", "threading"]
    assert "runmacs" not in child.stderr, "what its workers complain of is not ours"


# ---- fork

FORKS = """
client = RocClient(address, timeout=10)
vnir = client["vnir"]
assert vnir.echo(0) == 0
descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

def check_parent():
    assert vnir.echo("parent") == "parent"
    patience = time.monotonic() + 20.0
    while descriptors and len(os.listdir("/proc/self/fd")) > descriptors:
        assert time.monotonic() < patience, os.listdir("/proc/self/fd")
        time.sleep(0.01)
    say("parent is well")
"""

FORK_CASES = {
    "a child that calls": """
def work():
    began = time.monotonic()
    assert vnir.begin(1, 1.0) == 1
    say("took", time.monotonic() - began)
    assert client["vnir"].lens.move(0) == 0

assert in_child(work) == 0
check_parent()
""",
    "a child that calls nobody": """
read, write = os.pipe()

def work():
    os.close(write)
    os.read(read, 1)  # until the parent is done

pid = os.fork()
if not pid:
    work()
    say("child's cpu", time.process_time())
    sys.exit(0)
assert vnir.begin(1, 1.0) == 1
os.close(write)
assert os.waitpid(pid, 0)[1] == 0
os.close(read)
check_parent()
""",
    "while another thread is in a call": """
thread = threading.Thread(target=vnir.begin, args=(1, 1.0))
thread.start()
assert not vnir.echo(0)  # behind it, so it has begun long ago
thread.join()
running = threading.Thread(target=lambda: say("thread got", vnir.begin(2, 1.0)))
running.start()
while client._caller.core.open_calls == 0 and running.is_alive():
    time.sleep(0.001)

def work():
    assert vnir.echo(3) == 3
    assert threading.active_count() == 1

assert in_child(work) == 0
running.join()
check_parent()
""",
    "inside a with": """
with RocClient(address, timeout=10) as inner:
    assert inner["vnir"].echo(1) == 1
    pid = os.fork()
    assert inner["vnir"].echo(pid) == pid
    if pid:
        assert os.waitpid(pid, 0)[1] == 0
        assert inner["vnir"].echo(2) == 2
assert inner.closed
try:
    inner["vnir"].echo(3)
except errors.Closed:
    pass
if not pid:
    say("child's cpu", time.process_time())
    sys.exit(0)
check_parent()
""",
    "a child of a child": """
def work(generations):
    assert generations % 2 or vnir.echo(generations) == generations  # or left as it is
    if generations:
        assert in_child(work, generations - 1) == 0
    assert vnir.echo(generations) == generations

assert in_child(work, 4) == 0
check_parent()
""",
    "threads of the child": """
def work():
    wrong = []
    def call(thread):
        for number in range(20):
            if vnir.echo([thread, number]) != [thread, number]:
                wrong.append((thread, number))
    threads = [threading.Thread(target=call, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong

assert in_child(work) == 0
check_parent()
""",
    "a child that closes the client": """
def work():
    client.close()
    assert client.closed
    try:
        vnir.echo(1)
    except errors.Closed as error:
        say(error)

assert in_child(work) == 0
check_parent()
""",
    "a child that drops the client": """
def work():
    global client, vnir
    del client, vnir

assert in_child(work) == 0
check_parent()
""",
    "a client that was closed before": """
other = RocClient(address)
other.close()

def work():
    assert other.closed
    try:
        other["vnir"].echo(1)
    except errors.Closed as error:
        say(error)

assert in_child(work) == 0
check_parent()
""",
    "a child that pickles": """
import pickle

def work():
    assert pickle.loads(pickle.dumps(vnir)).echo(1) == 1
    with pickle.loads(pickle.dumps(client)) as other:
        assert other["vnir"].echo(2) == 2

assert pickle.loads(pickle.dumps(vnir)).echo(0) == 0
descriptors = len(os.listdir("/proc/self/fd")) if descriptors else 0
assert in_child(work) == 0
check_parent()
""",
    "many children": """
for number in range(10):
    assert in_child(lambda: vnir.echo(number)) == 0
check_parent()
""",
    "an asyncio client": """
other = AsyncRocClient(address, timeout=10)

async def echo(value):
    return await other["vnir"].echo(value)

def work():
    assert asyncio.run(echo(1)) == 1
    other.close()

async def main():
    running = asyncio.ensure_future(other["vnir"].begin(1, 0.5))
    await asyncio.sleep(0.1)
    assert in_child(work) == 0
    assert in_child(other.close) == 0
    assert await running == 1
    assert await asyncio.gather(*map(echo, range(50))) == list(range(50))
    other.close()

asyncio.run(main())
check_parent()
""",
    "an inproc client": """
with Broker(Endpoints("before", 5555, "inproc")):
    pass  # the context that carries inproc stays open
descriptors = len(os.listdir("/proc/self/fd")) if descriptors else 0
with Broker(Endpoints("inside", 5555, "inproc")) as broker:
    with RocClient(broker.endpoints, timeout=20) as inner:
        assert list(inner) == []

        def work():
            try:
                list(inner)
            except errors.Closed as error:
                say(error)
            inner.close()

        assert in_child(work) == 0
        assert list(inner) == []
check_parent()
""",
}


@fork
@pytest.mark.parametrize("case", FORK_CASES)
def test_fork(run: Run, case: str) -> None:
    """The child has a connection of its own, or an error; the parent notices nothing."""
    printed = run(FORKS + FORK_CASES[case])
    assert printed.splitlines()[-1] == "parent is well"
    cpu = [float(line.split()[-1]) for line in printed.splitlines() if "child's cpu" in line]
    assert cpu
    with prompt():
        assert max(cpu) < 0.3, "a child spins"
        took = [float(line.split()[1]) for line in printed.splitlines() if line.startswith("took ")]
        assert max(took, default=0) < 1.5
    if "clos" in case or "inproc" in case:
        assert "Closed" not in printed
        assert "closed" in printed or "left behind" in printed


@fork
def test_forks_under_load(run: Run) -> None:
    """Threads of the parent call without a pause, while child after child calls as well."""
    printed = run(
        FORKS
        + """
wrong, calls, over = [], [0] * 4, False

def call(thread, count=0):
    while not over and (not count or calls[thread] < count):
        calls[thread] += 1
        asked = [os.getpid(), thread, calls[thread]]
        if vnir.echo(asked) != asked:
            wrong.append(asked)

def work():
    calls[0] = 0
    call(0, 50)
    assert not wrong

threads = [threading.Thread(target=call, args=(n,)) for n in range(4)]
for thread in threads:
    thread.start()
for number in range(15):
    assert in_child(work) == 0
over = True
for thread in threads:
    thread.join()
assert not wrong
check_parent()
"""
    )
    assert printed.count("child's cpu") == 15


@fork
def test_the_same_code_runs_before_and_after_a_fork(run: Run) -> None:
    """So what a fork needs costs nothing per call: no call looks whether there was one."""
    printed = run(
        FORKS
        + """
def work():
    say("before its use", type(client._caller).__name__)
    vnir.echo(1)
    say("after", type(client._caller).__name__)

assert in_child(work) == 0
say("in the parent", type(client._caller).__name__)
"""
    )
    assert "before its use Forked" in printed
    assert "after FutureCaller" in printed
    assert "in the parent FutureCaller" in printed
    assert "getpid" not in Caller.complete.__code__.co_names


# ---- servers and brokers where somebody forks

SERVER = """
import signal
from runmacs.roc.servers import run_simple_server

class Worker:
    def add(self, numbers):
        with multiprocessing.get_context("fork").Pool(2) as pool:
            return pool.map(abs, numbers)

    def ends(self):
        "A child of a server is ended by SIGTERM, as children are."
        child = multiprocessing.get_context("fork").Process(target=signal.pause)
        child.start()
        child.terminate()
        child.join(5)
        return child.exitcode

    def returns(self):
        "The child goes on where the parent does."
        pid = os.fork()
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if pid else "from the child"

    def echo(self, value):
        return value

try:
    run_simple_server("worker", Worker(), broker=address)
except errors.Closed as error:
    say(error)
    sys.exit(3)
"""


@fork
def test_a_served_object_may_fork(program: Callable[..., Child], broker: Endpoints) -> None:
    """Pools work; a child that would go on serving ends; the parent serves on."""
    server = program(SERVER, broker.rocBroker)
    with RocClient(broker, timeout=10) as client:
        worker = client.wait_for("worker")
        assert worker.add([-1, 2, -3]) == [1, 2, 3]
        assert worker.ends() < 0
        assert worker.returns() == 3
        assert "worker is served by the process that this one was forked from" in server.stdout
        assert [worker.echo(number) for number in range(20)] == list(range(20))
        with prompt():  # a standstill of 1.5 s looks like a loss
            assert client["roc.broker"].stats()["servers_lost"] == 0
    server.terminate()
    assert server.wait() == 0
    assert server.stderr == ""


INERT = """
def in_child_of(what, *steps):
    pid = os.fork()
    if not pid:
        for step in steps:
            try:
                step()
            except errors.Closed as error:
                say(what, step.__name__, "Closed", error)
            else:
                say(what, step.__name__, "nothing")
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

class Camera:
    def echo(self, value):
        return value

with Broker(Endpoints("127.0.0.1", 0)) as broker:
    with RocServer(broker.endpoints, "camera", Camera()) as server:
        in_child_of("broker", broker.run, broker.start, broker.stop)
        in_child_of("server", server.run, server.start, server.stop)
        with RocClient(broker.endpoints, timeout=20) as client:
            assert client["camera"].echo(1) == 1
            assert in_child(lambda: client["camera"].echo(2)) == 0
            assert client["roc.broker"].stats()["servers_lost"] == 0
    in_child_of("stopped server", server.start, server.stop)
bound = Broker(Endpoints("127.0.0.1", 0))
in_child_of("bound broker", bound.run, bound.stop)
bound.stop()
"""


@fork
def test_inherited_servers_and_brokers_do_nothing(run: Run) -> None:
    """They are the parent's, who goes on. A server that has ended may start in a child."""
    printed = run(INERT)
    for line in ("broker run", "broker start", "server run", "server start", "bound broker run"):
        assert f"{line} Closed " in printed
    for line in ("broker stop", "server stop", "stopped server start", "bound broker stop"):
        assert f"{line} nothing" in printed


# ---- dropped without close()


def test_a_thousand_clients_that_were_dropped_leave_nothing(bench: Bench) -> None:
    process = psutil.Process()

    def drop(count: int) -> int:
        """Make clients, use some, and drop them all; the memory that is taken then."""
        for number in range(count):
            vnir = RocClient(bench.broker, timeout=20)["vnir"]
            if number % 5 == 0:
                assert vnir.echo(number) == number
        return process.memory_info().rss

    RocClient(bench.broker).close()  # the context that all clients share stays open
    threads, descriptors = threading.active_count(), process.num_fds()
    gc.disable()  # nothing of it is left to the collector of cycles
    try:
        memory = drop(200)
        grown = drop(800) - memory
    finally:
        gc.enable()
    wait_until(lambda: process.num_fds() <= descriptors, what=f"{descriptors} descriptors")
    wait_until(lambda: threading.active_count() <= threads, what=f"{threads} threads")
    print(f"memory has grown by {grown / 1000:.0f} kB")
    assert grown < 5_000_000


def test_a_client_may_be_dropped_while_it_is_used(bench: Bench) -> None:
    """The call holds it until it is done."""
    descriptors = psutil.Process().num_fds()
    results: list[Any] = []

    def call() -> None:
        results.append(RocClient(bench.broker, timeout=20)["vnir"].begin(1, 0.5))

    thread = threading.Thread(target=call)
    thread.start()
    wait_until(bench.begun)
    gc.collect()
    thread.join()
    assert results == [1]
    wait_until(lambda: psutil.Process().num_fds() <= descriptors + 6, what="it is gone")


# ---- the end of the interpreter

USES = """
client = RocClient(address, timeout=%s)
vnir = client["vnir"]
"""
AT_ONCE = 1.0

EXITS = {
    "an open client": USES % 60
    + """
assert vnir.echo(1) == 1
""",
    "a client that was never used": USES % 60,
    "a client in a cycle": USES % 60
    + """
class Holder: pass
holder = Holder()
holder.self, holder.client, holder.vnir = holder, client, vnir
assert vnir.echo(1) == 1
""",
    "a client of no broker": """
client = RocClient("127.0.0.1:1", timeout=0.3)
try:
    client["vnir"].echo(1)
except errors.BrokerUnreachable:
    pass
""",
    "a daemon thread in a call": USES % 60
    + """
threading.Thread(target=vnir.begin, args=(1, 3.0), daemon=True).start()
while not client._caller.core.open_calls:
    time.sleep(0.001)
""",
    "many daemon threads in calls": USES % 60
    + """
def call():
    while True:
        vnir.echo(1)

for _ in range(8):
    threading.Thread(target=call, daemon=True).start()
assert [vnir.echo(n) for n in range(100)] == list(range(100))
""",
    "a thread whose call ends": USES % 60
    + """
threading.Thread(target=lambda: say(vnir.begin(1, 0.5))).start()
""",
    "a thread whose call times out": USES % 0.5
    + """
def call():
    try:
        vnir.begin(1, 3.0)
    except TimeoutError:
        say("timed out")

threading.Thread(target=call).start()
""",
    "sys.exit in a with": USES % 60
    + """
with client:
    assert vnir.echo(1) == 1
    sys.exit(0)
""",
    "an asyncio client and a closed loop": """
client = AsyncRocClient(address, timeout=60)

async def main():
    assert await client["vnir"].echo(1) == 1

asyncio.run(main())
""",
    "an asyncio client in a call": """
client = AsyncRocClient(address, timeout=60)

async def main():
    running = asyncio.ensure_future(client["vnir"].begin(1, 3.0))
    await client["roc.broker"].objects()
    assert not running.done()

asyncio.run(main())
""",
    "an asyncio client in a loop without readers": """
class Loop(asyncio.SelectorEventLoop):
    def add_reader(self, *args):
        raise NotImplementedError

client = AsyncRocClient(address, timeout=60)
loop = Loop()
assert loop.run_until_complete(client.call("vnir.echo", 1)) == 1
loop.close()
""",
    "unpickled proxies": USES % 60
    + """
import pickle
other = pickle.loads(pickle.dumps(vnir))
assert other.echo(1) == 1
""",
    "an open server and broker": USES % 60
    + """
assert vnir.echo(1) == 1
broker = Broker(Endpoints("127.0.0.1", 0)).start()
server = RocServer(broker.endpoints, "camera", object()).start()
other = RocClient(broker.endpoints, timeout=20)
assert list(other) == ["camera"]
""",
}
FORK_EXITS = {
    "a child of an open client": USES % 60
    + """
assert vnir.echo(1) == 1
if pid := os.fork():
    assert os.waitpid(pid, 0)[1] == 0
""",
    "a child that has used it": USES % 60
    + """
assert vnir.echo(1) == 1
pid = os.fork()
assert vnir.echo(2) == 2
if pid:
    assert os.waitpid(pid, 0)[1] == 0
""",
    "a child of a thread": USES % 60
    + """
threading.Thread(target=vnir.begin, args=(1, 3.0), daemon=True).start()

def work():
    assert in_child(lambda: say(client.closed)) == 0

thread = threading.Thread(target=work)
thread.start()
thread.join()
""",
    "a child of an asyncio program": """
client = AsyncRocClient(address, timeout=60)

async def main():
    assert await client["vnir"].echo(1) == 1
    assert in_child(lambda: say(client.closed)) == 0

asyncio.run(main())
""",
}
if hasattr(os, "fork"):
    EXITS |= FORK_EXITS


@pytest.mark.parametrize("case", EXITS)
def test_the_interpreter_ends(program: Callable[..., Child], bench: Bench, case: str) -> None:
    """At once, or with the last call of a thread that Python itself waits for; and in silence."""
    child = program(EXITS[case] + '\nsay("over")\n', bench.broker.rocBroker)
    try:
        child.wait_for("^over$")
    except AssertionError:
        assert child.returncode == 0, child.stderr  # it left by sys.exit
    began = time.monotonic()
    assert child.wait() == 0, child.stderr
    with prompt():
        assert time.monotonic() - began < AT_ONCE
    assert child.stderr == ""
