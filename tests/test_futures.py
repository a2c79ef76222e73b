"""Futures of a blocking client: calls that are begun now and waited for later, or never."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, as_completed, wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callers import Calling
from desk import Desk
from instrument import Bench, held
from processes import Spawner
from promptness import prompt
from runmacs.roc import AsyncRocClient, Endpoints, RocClient, errors
from runmacs.roc._drivers import futures as driver
from waiting import wait_until

AT_ONCE = 0.25
TOLERANCE = 0.25


class Echo:
    def echo(self, value: object) -> object:
        return value


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "roc-futures"]


# ---- what can be submitted


def test_a_method_an_attribute_and_a_nested_object(client: RocClient, vnir: Any) -> None:
    assert client.submit(vnir.add, 1, right=2, sign=-1).result() == -3
    assert client.submit(vnir.lens.move, 3).result() == 3
    assert client.submit(vnir, 5, gain=2).result() == [5, {"gain": 2}]
    assert client.submit(getattr, vnir, "fps").result() == 10.0
    assert client.submit(setattr, vnir, "fps", 20.0).result() is None
    assert vnir.fps == 20.0
    assert client.submit(getattr, vnir.lens, "position").result() == 3


def test_what_is_read_and_is_no_value_is_a_proxy_or_method(client: RocClient, vnir: Any) -> None:
    assert client.submit(getattr, vnir, "lens").result().move(4) == 4
    assert client.submit(getattr, vnir, "echo").result()(5) == 5


def test_an_array_may_be_written_to_as_soon_as_it_was_submitted(
    client: RocClient, vnir: Any
) -> None:
    frame = np.zeros((512, 1024), dtype="<u2")
    futures = []
    for number in range(20):
        frame[:] = number
        futures.append(client.submit(vnir.echo, frame))
    frame[:] = 999
    for number, future in enumerate(futures):
        assert (future.result() == number).all()


def test_large_results_that_are_kept_stay_as_they_were(client: RocClient, vnir: Any) -> None:
    """Each has 2 MiB, and the memory of those that nobody holds is used again."""
    kept = [vnir.echo(np.full((1024, 1024), number, "<u2")) for number in range(8)]
    futures = [client.submit(vnir.echo, np.full((1024, 1024), n, "<u2")) for n in range(8, 24)]
    kept += [future.result() for future in futures]
    assert [frame[0, 0] for frame in kept] == list(range(24))
    assert all((frame == number).all() for number, frame in enumerate(kept))


def test_an_array_that_waits_for_a_connection_is_copied(nowhere: Endpoints, spawn: Spawner) -> None:
    with RocClient(nowhere, timeout=10) as client:
        frame = np.arange(10)
        future = client.submit(client["vnir"], frame)
        frame[:] = 0
        with Desk(nowhere) as desk:
            desk.serve(lambda value: value)
            assert future.result().tolist() == list(range(10))


@pytest.mark.parametrize(
    ("submit", "error", "says"),
    [
        (lambda c, v: c.submit(v.fps), TypeError, r"10\.0 is not remote.*getattr, vnir, 'fps'"),
        (lambda c, v: c.submit(print, 1), TypeError, r"print> is not remote"),
        (lambda c, v: c.submit(getattr, v), TypeError, "getattr takes a proxy and a name here"),
        (lambda c, v: c.submit(getattr, v, "a", 1), TypeError, "getattr takes"),
        (lambda c, v: c.submit(setattr, v, "a"), TypeError, "setattr takes a proxy, a name and a"),
        (lambda c, v: c.submit(getattr, 1, "real"), TypeError, "1 is not remote"),
        (lambda c, v: c.submit(getattr, v, "_x"), AttributeError, "underscore"),
        (lambda c, v: c.submit(v.echo, len), errors.Unsendable, r"args\[0\]"),
    ],
)
def test_what_cannot_be_submitted_is_refused_at_once(
    client: RocClient, vnir: Any, submit: Callable[..., Any], error: type, says: str
) -> None:
    with pytest.raises(error, match=says):
        submit(client, vnir)


def test_a_method_of_another_client_is_refused(bench: Bench, client: RocClient) -> None:
    with (
        RocClient(bench.broker, timeout=20) as other,
        pytest.raises(errors.ConfigError, match="another"),
    ):
        client.submit(other["vnir"].echo, 1)


# ---- as futures of the standard library


def test_errors_are_those_of_blocking_calls(client: RocClient, vnir: Any) -> None:
    failing = client.submit(vnir.fail, "no")
    with pytest.raises(ValueError, match="no") as caught:
        failing.result()
    assert "Remote traceback" in caught.value.__notes__[0]
    assert failing.exception() is caught.value
    assert isinstance(client.submit(client["vnri"]).exception(), errors.ObjectNotFound)
    assert isinstance(client.submit(getattr, vnir, "nix").exception(), errors.MethodNotFound)
    assert isinstance(client.submit(setattr, vnir, "gain", 0).exception(), ValueError)


def test_the_tools_of_the_standard_library(bench: Bench, client: RocClient, vnir: Any) -> None:
    futures = [client.submit(vnir.echo, number) for number in range(50)]
    assert {future.result() for future in as_completed(futures, 30)} == set(range(50))
    slow, quick = client.submit(vnir.hold, 1), client.submit(client["roc.broker"].stats)
    done, open_ = wait([slow, quick], return_when=concurrent.futures.FIRST_COMPLETED)
    assert (done, open_) == ({quick}, {slow})
    bench.let_go()
    assert wait([slow, quick], timeout=30).not_done == set()
    assert isinstance(slow, Future)


def test_a_result_that_is_not_there_in_time_is_a_timeout_and_the_call_goes_on(
    bench: Bench, client: RocClient, vnir: Any
) -> None:
    future = client.submit(vnir.hold, 1)
    asked = time.monotonic()
    for question in (future.result, future.exception):
        with pytest.raises(TimeoutError) as caught:
            question(0.1)
        assert not isinstance(caught.value, errors.RocError)
    with prompt():
        assert time.monotonic() - asked < 0.2 + AT_ONCE
    bench.let_go()
    assert future.result(30) == 1


def test_a_future_can_be_awaited(client: RocClient, vnir: Any) -> None:
    async def main() -> object:
        futures = [client.submit(vnir.echo, number) for number in range(20)]
        return await asyncio.gather(*map(asyncio.wrap_future, futures))

    assert asyncio.run(main()) == list(range(20))


def test_done_callbacks(bench: Bench, client: RocClient, vnir: Any) -> None:
    got: list[tuple[object, str]] = []

    def note(future: Future[Any]) -> None:
        got.append((future.result(), threading.current_thread().name))
        if len(got) == 2:  # a callback may use the client, too
            got.append((client.submit(vnir.echo, 3).result() + vnir.echo(4), ""))
        raise LookupError("the others are called nevertheless")

    future = client.submit(vnir.hold, 1)
    future.add_done_callback(note)
    future.add_done_callback(note)
    bench.let_go()
    wait_until(lambda: len(got) == 3)
    assert got == [(1, "roc-futures"), (1, "roc-futures"), (7, "")]
    future.add_done_callback(lambda future: got.clear())
    assert got == [], "it is done: called at once"


def test_a_slow_callback_holds_up_no_blocking_call(client: RocClient, vnir: Any) -> None:
    begun, enough = threading.Event(), threading.Event()

    def dawdle(future: Future[Any]) -> None:
        begun.set()
        enough.wait(60)

    client.submit(vnir.echo, 1).add_done_callback(dawdle)
    assert begun.wait(30)
    assert vnir.echo(2) == 2
    assert client.submit(vnir.echo, 3).result() == 3
    enough.set()


# ---- order, and many at once


def test_ten_thousand_in_flight(bench: Bench, client: RocClient, vnir: Any) -> None:
    begin = client.proxy("vnir", timeout=60).begin
    futures = [client.submit(begin, number) for number in range(10_000)]
    assert [future.result() for future in futures] == list(range(10_000))
    assert bench.begun() == list(range(10_000))


def test_over_the_limit_submitting_waits_for_room(client: RocClient, vnir: Any) -> None:
    client._caller.core.limit = 100
    futures = [client.submit(vnir.echo, number) for number in range(1000)]
    assert [future.result() for future in futures] == list(range(1000))


def test_where_no_room_comes_in_time_the_future_says_so(
    bench: Bench, client: RocClient, vnir: Any
) -> None:
    client._caller.core.limit = 2
    begin = vnir.begin
    with prompt():  # that it is a method is asked for with the same patience
        hurried = client.proxy("vnir", timeout=0.3).begin
    first = client.submit(vnir.hold, 1)
    second = client.submit(begin, 2)
    began = time.monotonic()
    third = client.submit(hurried, 3)
    assert isinstance(third.exception(), errors.QueueFull)
    with prompt():
        assert 0.3 <= time.monotonic() - began < 0.3 + TOLERANCE
    bench.let_go()
    assert [first.result(), second.result()] == [1, 2]


@pytest.mark.parametrize("where", ["ipc", "inproc"])
def test_other_transports(where: str, tmp_path: Path) -> None:
    name = f"{tmp_path}/roc" if where == "ipc" else "futures"
    if where == "ipc" and sys.platform == "win32":
        pytest.skip("ipc is POSIX here; run it on Linux or macOS")
    with Desk(Endpoints(name, 5555, where)) as desk:
        echo = desk.share(Echo()).echo
        client = desk.client
        futures = [client.submit(echo, number) for number in range(1000)]
        frame = np.arange(200_000)
        futures.append(client.submit(echo, frame))
        frame[:] = 0
        with client.batch() as batch:
            futures += [batch.submit(echo, number) for number in range(100)]
        client.notify(echo, 1)
        assert [future.result() for future in futures[:1000]] == list(range(1000))
        assert futures[1000].result()[-1] == 199_999
        assert [future.result() for future in futures[1001:]] == list(range(100))


def test_blocking_calls_and_submitted_ones_keep_their_order(
    bench: Bench, client: RocClient, vnir: Any
) -> None:
    for number in range(0, 60, 3):
        client.submit(vnir.begin, number)
        client.submit(vnir.begin, number + 1)
        vnir.begin(number + 2)
    assert bench.begun() == list(range(60))


def test_many_threads_submit_and_wait(client: RocClient, vnir: Any) -> None:
    def work(thread: int) -> list[Any]:
        futures = [client.submit(vnir.echo, [thread, number]) for number in range(200)]
        assert vnir.echo(thread) == thread
        return [future.result() for future in futures]

    calls = [Calling(work, thread) for thread in range(8)]
    for thread, call in enumerate(calls):
        assert call.wait().error is None
        assert call.result == [[thread, number] for number in range(200)]


def test_many_threads_wait_for_one_future(client: RocClient, vnir: Any) -> None:
    future = client.submit(vnir.begin, 1, 0.5)
    calls = [Calling(future.result) for _ in range(8)]
    ends = [call.wait() for call in calls]
    assert [call.result for call in ends] == [1] * 8
    with prompt():
        assert max(call.ended for call in ends) - min(call.ended for call in ends) < AT_ONCE


# ---- where nobody waits


def test_a_future_that_nobody_waits_for_ends(client: RocClient, vnir: Any) -> None:
    future = client.submit(vnir.echo, 1)
    wait_until(future.done)


def test_a_future_that_nobody_waits_for_times_out(
    bench: Bench, client: RocClient, vnir: Any
) -> None:
    with prompt():  # that they are methods is asked for with the same patience
        hurried = client.proxy("vnir", timeout=0.4)
        hold, begin = hurried.hold, hurried.begin
    begun = time.monotonic()
    running = client.submit(hold, 1)
    waiting = client.submit(begin, 2)
    wait_until(lambda: running.done() and waiting.done())
    with prompt():
        assert time.monotonic() - begun < 0.4 + TOLERANCE
    errors_ = [future.exception() for future in (running, waiting)]
    assert all(isinstance(error, errors.CallTimeout) for error in errors_)
    with prompt():
        assert [error.executed for error in errors_] == [None, False]  # type: ignore[union-attr]
    bench.let_go()
    assert client.submit(vnir.begin, 3).result() == 3


def test_one_that_waits_takes_over_from_the_background(
    bench: Bench, client: RocClient, vnir: Any
) -> None:
    slow = client.submit(vnir.hold, 1)
    wait_until(lambda: client._caller._leader is client._caller._background)
    assert client["roc.broker"].stats()
    bench.let_go()
    assert slow.result() == 1
    assert client._caller._leader is None


def test_the_background_thread_ends(client: RocClient, vnir: Any) -> None:
    wait_until(lambda: threads() == [], what="those of other tests have ended")
    assert client.submit(vnir.echo, 1).result() == 1
    with prompt():  # before it has looked a hundred times whether there is more to do
        assert threads() == ["roc-futures"]
    wait_until(lambda: threads() == [])
    assert client.submit(vnir.echo, 2).result() == 2


def test_blocking_programs_have_no_thread(client: RocClient, vnir: Any) -> None:
    wait_until(lambda: threads() == [], what="those of other tests have ended")
    vnir.echo(1)
    assert threads() == []


def test_a_client_that_is_dropped_lives_until_its_futures_have_ended(bench: Bench) -> None:
    client = RocClient(bench.broker, timeout=10)
    future = client.submit(client["vnir"].begin, 1, 0.3)
    caller = weakref.ref(client._caller)
    del client
    assert future.result() == 1
    wait_until(lambda: not gc.collect() and caller() is None, what="the connection is gone")


# ---- giving up


def test_a_cancelled_call_that_waits_is_never_begun(
    bench: Bench, client: RocClient, vnir: Any
) -> None:
    begin = vnir.begin
    running = client.submit(vnir.hold, 1)
    wait_until(bench.begun)
    waiting = client.submit(begin, 2)
    wait_until(lambda: held(client) == 2)
    called: list[object] = []
    waiting.add_done_callback(called.append)
    assert waiting.cancel()
    assert waiting.cancelled()
    assert waiting.cancel(), "twice does no harm"
    with pytest.raises(CancelledError):
        waiting.result()
    assert wait([waiting]).done == {waiting}
    wait_until(lambda: held(client) == 1, what="its server has heard of it")
    bench.let_go()
    assert running.result() == 1
    assert vnir.begin(3) == 3
    assert bench.begun() == [1, 3]
    wait_until(lambda: called == [waiting])


def test_a_call_that_is_held_and_cancelled_is_not_sent(
    bench: Bench, client: RocClient, vnir: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_LOOP", "_LOOK"):  # however slowly this thread runs, it is a loop
        monkeypatch.setattr(driver, name, 5.0)
    futures = [client.submit(vnir.begin, number) for number in range(3)]
    assert futures[-1].cancel()
    assert [future.result() for future in futures[:-1]] == [0, 1]
    assert vnir.echo(4) == 4
    assert bench.begun() == [0, 1]


def test_a_call_that_has_ended_is_not_cancelled(client: RocClient, vnir: Any) -> None:
    future = client.submit(vnir.echo, 1)
    future.result()
    assert not future.cancel()
    assert future.result() == 1


def test_who_waits_for_a_call_that_is_cancelled_hears_of_it(
    bench: Bench, client: RocClient, vnir: Any
) -> None:
    future = client.submit(vnir.hold, 1)
    calls = [Calling(future.result) for _ in range(3)]
    wait_until(bench.begun)
    assert future.cancel()
    for call in calls:
        assert isinstance(call.wait().error, CancelledError)
    bench.let_go()


def test_thousands_can_be_cancelled_the_last_first(
    bench: Bench, client: RocClient, vnir: Any
) -> None:
    begin = client.proxy("vnir", timeout=60).begin
    running = client.submit(vnir.hold, -1)
    futures = [client.submit(begin, number) for number in range(3000)]
    began = time.monotonic()
    for future in reversed(futures):
        assert future.cancel()
    print(f"cancelled in {time.monotonic() - began:.2f} s")
    wait_until(lambda: held(client) == 1, what="the server has heard of all that it held")
    bench.let_go()
    assert running.result() == -1
    assert vnir.echo(0) == 0
    assert bench.begun() == [-1]


def test_close_ends_all_futures(bench: Bench) -> None:
    client = RocClient(bench.broker, timeout=30)
    vnir = client["vnir"]
    futures = [client.submit(vnir.hold, number) for number in range(100)]
    waiting = Calling(futures[-1].result)
    wait_until(bench.begun)
    client.close()
    for future in futures:
        error = future.exception(30)
        assert isinstance(error, errors.Closed)
        assert "vnir.hold" in str(error)
    assert isinstance(waiting.wait().error, errors.Closed)
    with pytest.raises(errors.Closed, match="was closed"):
        client.submit(vnir.echo, 1)


def test_without_a_broker_nothing_was_executed(nowhere: Endpoints) -> None:
    with RocClient(nowhere, timeout=0.3) as client:
        began = time.monotonic()
        futures = [client.submit(client["vnir"], number) for number in range(100)]
        found = [future.exception() for future in futures]
        with prompt():
            assert time.monotonic() - began < 0.3 + TOLERANCE
    assert all(isinstance(error, errors.BrokerUnreachable) for error in found)
    assert {error.executed for error in found} == {False}  # type: ignore[union-attr]


# ---- processes and signals

STRESS = """
    import os, random, signal, sys, threading, time
    from runmacs.roc import RocClient

    INTERRUPTS = 200
    client = RocClient(sys.argv[1], timeout=20)
    echo = client["vnir"].echo
    echo(0)
    sent = taken = 0
    ready = threading.Event()
    wrong, open_futures = [], []

    def interrupt():
        global sent
        rng = random.Random(1)
        ready.wait()
        while sent < INTERRUPTS:
            while taken < sent:
                time.sleep(0.0005)
            time.sleep(0.0005 + rng.random() * 0.006)
            sent += 1
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    number = 0
    while taken < INTERRUPTS:
        try:
            ready.set()
            while True:
                for _ in range(30):
                    number += 1
                    open_futures.append((number, client.submit(echo, number)))
                for asked, future in open_futures[:-10]:
                    if (got := future.result()) != asked:
                        wrong.append((asked, got))
                del open_futures[:-10]
        except KeyboardInterrupt:
            taken += 1
    began = time.monotonic()
    for asked, future in open_futures:
        if (got := future.result()) != asked:
            wrong.append((asked, got))
    assert echo("after all") == "after all"
    print("took", time.monotonic() - began, "wrong", wrong, "of", number, flush=True)
    client.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals; run it on Linux or macOS")
def test_hundreds_of_interrupts_harm_no_future(bench: Bench, spawn: Spawner) -> None:
    child = spawn(STRESS, bench.broker.rocBroker, name="stress")
    assert child.wait(90) == 0, child.stderr
    assert "wrong []" in child.stdout
    assert child.stderr == ""


FORKING = """
    import os, sys, threading
    from runmacs.roc import RocClient, errors

    def hold(future):
        with future._condition:
            held.set()
            over.wait(60)

    client = RocClient(sys.argv[1], timeout=10)
    begin, echo = client["vnir"].begin, client["vnir"].echo
    ended = client.submit(echo, "ended")
    assert ended.result() == "ended"
    running = client.submit(begin, 1, 0.5)
    waiting = [client.submit(echo, number) for number in range(50)]
    held, over = threading.Event(), threading.Event()
    threading.Thread(target=hold, args=[ended]).start()
    held.wait(60)
    pid = os.fork()
    if not pid:
        try:
            assert ended.result() == "ended", "though another thread had its lock"
            for future in (running, *waiting):
                error = future.exception(10)
                assert isinstance(error, errors.Closed), error
                assert "forked" in str(error)
            assert not running.cancel()
            assert client.submit(echo, "child").result() == "child"
        except BaseException as error:
            print("the child:", repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    over.set()
    assert os.waitpid(pid, 0)[1] == 0
    assert running.result() == 1
    assert [future.result() for future in waiting] == list(range(50))
    print("done", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork; run it on Linux or macOS")
def test_in_a_forked_child_the_futures_are_the_parents(bench: Bench, spawn: Spawner) -> None:
    child = spawn(FORKING, bench.broker.rocBroker, name="forking")
    assert child.wait() == 0, child.stderr
    assert child.stdout == "done\n"
    assert child.stderr == ""
    assert bench.begun() == [1]


@pytest.mark.parametrize("ending", ["pass", "client.close()", "del client, vnir", "sys.exit(0)"])
def test_a_program_may_end_with_futures_open(bench: Bench, spawn: Spawner, ending: str) -> None:
    child = spawn(
        f"""
        import sys
        from runmacs.roc import RocClient

        client = RocClient(sys.argv[1], timeout=30)
        vnir = client["vnir"]
        futures = [client.submit(vnir.begin, number, 0.3) for number in range(20)]
        print("done", flush=True)
        {ending}
        """,
        bench.broker.rocBroker,
    )
    child.wait_for("^done$")
    assert child.ends_in_time(3.0) == 0
    assert child.stderr == ""


# ---- asyncio: the same calls, many in one turn of the loop


def test_calls_with_arrays_among_those_that_are_gathered(bench: Bench) -> None:
    async def main() -> None:
        async with AsyncRocClient(bench.broker, timeout=10) as client:
            echo = client["vnir"].echo
            values = [np.array([n]) if n in (5, 16, 17, 40) else n for n in range(50)]
            assert await asyncio.gather(*map(echo, values)) == values

    asyncio.run(main())


def test_gathered_calls_leave_together(bench: Bench) -> None:
    async def main() -> None:
        async with AsyncRocClient(bench.broker, timeout=60) as client:
            begin = client["vnir"].begin
            assert await begin(-1) == -1
            sends = 0
            link = client._caller._link
            send, send_all = link.send, link.send_all

            def counted(messages: Any) -> bool:
                nonlocal sends
                sends += bool(messages)
                return send_all(messages)

            def counted_one(frames: Any, hold: bool = False) -> bool:
                nonlocal sends
                sends += 1
                return send(frames, hold)

            link.send, link.send_all = counted_one, counted  # type: ignore[method-assign]
            assert await asyncio.gather(*map(begin, range(1000))) == list(range(1000))
            with prompt():
                assert sends < 60

    asyncio.run(main())
    assert bench.begun() == list(range(-1, 1000))
