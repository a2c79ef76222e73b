"""One-way calls, on both faces: nobody waits for them, and the server's log tells what failed."""

from __future__ import annotations

import asyncio
import functools
import sys
import time
from typing import Any

import numpy as np
import pytest

from desk import Desk
from faces import run
from instrument import Bench
from processes import BrokerProcess, Spawner
from promptness import prompt
from runmacs.roc import AsyncRocClient, Endpoints, RocClient, errors
from waiting import wait_until

TOLERANCE = 0.25


def test_it_is_executed_and_nobody_waits(bench: Bench, client: RocClient, vnir: Any) -> None:
    begin, move = vnir.begin, vnir.lens.move
    client.notify(vnir.hold, 1)
    client.notify(begin, number=2)
    client.notify(setattr, vnir, "fps", 30)
    client.notify(move, 3)
    bench.let_go()
    assert vnir.fps == 30, "later calls come later"
    assert vnir.lens.position == 3
    assert bench.begun() == [1, 2]


def test_an_array_goes_along(client: RocClient, vnir: Any) -> None:
    frame = np.arange(100_000)
    client.notify(setattr, vnir, "fps", frame)
    frame[:] = 0
    assert vnir.fps.tolist() == list(range(100_000))


def test_order_with_other_calls(bench: Bench, client: RocClient, vnir: Any) -> None:
    for number in range(0, 90, 3):
        client.submit(vnir.begin, number)
        client.notify(vnir.begin, number + 1)
        vnir.begin(number + 2)
    assert bench.begun() == list(range(90))


def test_what_is_no_call_is_refused(client: RocClient, vnir: Any) -> None:
    with pytest.raises(TypeError, match="is not remote"):
        client.notify(vnir.fps)
    with pytest.raises(errors.Unsendable):
        client.notify(vnir.echo, object())


def test_what_nobody_hears_of(bench: Bench, client: RocClient, vnir: Any) -> None:
    """An object that nobody shares, and a call whose time is over before its turn comes."""
    client.notify(client["vnri"], 1)
    with prompt():  # that it is a method is asked for with the same patience
        hurried = client.proxy("vnir", timeout=0.2).begin
    running = client.submit(vnir.hold, 1)
    wait_until(bench.begun)
    client.notify(hurried, 2)
    over = time.monotonic() + 0.4
    wait_until(lambda: time.monotonic() > over)
    bench.let_go()
    assert running.result() == 1
    assert vnir.begin(3) == 3
    assert bench.begun() == [1, 3]


def test_without_a_broker_it_was_not_sent(nowhere: Endpoints) -> None:
    with RocClient(nowhere, timeout=0.3) as client:
        began = time.monotonic()
        with pytest.raises(errors.BrokerUnreachable, match="not sent") as caught:
            client.notify(client["vnir"], 1)
        with prompt():
            assert time.monotonic() - began < 0.3 + TOLERANCE
        assert caught.value.executed is False


def test_it_waits_for_a_broker(nowhere: Endpoints) -> None:
    got: list[object] = []
    with RocClient(nowhere, timeout=10) as client, Desk(nowhere) as desk:
        desk.serve(got.append)
        client.notify(client["vnir"], 1)
        wait_until(lambda: got == [1])


def test_after_close(bench: Bench) -> None:
    client = RocClient(bench.broker, timeout=20)
    client.close()
    with pytest.raises(errors.Closed):
        client.notify(client["vnir"], 1)


@pytest.mark.parametrize("ending", ["client.close()", "del client, vnir", "pass", "sys.exit(0)"])
def test_a_program_may_end_right_after(bench: Bench, spawn: Spawner, ending: str) -> None:
    """What was sent arrives, although answers have come that nobody has read."""
    child = spawn(
        f"""
        import sys, time
        from runmacs.roc import RocClient

        client = RocClient(sys.argv[1])
        vnir = client["vnir"]
        begin = vnir.begin
        for number in range(500):
            client.notify(begin, number)
        {ending}
        """,
        bench.broker.rocBroker,
    )
    assert child.wait() == 0
    assert child.stderr == ""
    wait_until(lambda: len(bench.begun()) == 500)
    assert bench.begun() == list(range(500))


def test_answers_that_nobody_reads_do_not_pile_up(client: RocClient, vnir: Any) -> None:
    echo = vnir.echo
    for number in range(3000):
        client.notify(echo, number)
    assert echo(1) == 1
    for _ in range(20):
        client.notify(echo, 1)
    link: Any = client._caller._link
    assert len(link._inbox) < 100


SERVER = """
    import sys
    from runmacs.roc.servers import run_simple_server

    class Camera:
        def fail(self):
            raise OSError("no sensor")

        def add(self, a, b):
            return a + b

    run_simple_server("camera", Camera(), broker=sys.argv[1])
"""


def test_the_server_logs_what_failed(spawn: Spawner, broker_process: BrokerProcess) -> None:
    endpoints = broker_process.endpoints
    server = spawn(SERVER, endpoints.rocBroker, name="camera")
    with RocClient(endpoints, timeout=20) as client:
        camera = client.wait_for("camera", 10)
        client.notify(camera.fail)
        client.notify(getattr, camera, "nothing")
        client.notify(camera.add, 1)
        assert camera.add(1, 2) == 3
        records = client["roc.broker"].log

        def is_there(text: str) -> bool:
            return text in str(records())

        for text in (
            "one-way call: camera.fail raised OSError: no sensor",
            "one-way call: camera has no public member 'nothing'",
            "one-way call: camera.add",
        ):
            wait_until(functools.partial(is_there, text), 5, text)
    server.terminate()
    assert server.wait() == 0


# ---- asyncio


def test_asyncio_has_the_same(bench: Bench) -> None:
    async def main() -> None:
        async with AsyncRocClient(bench.broker, timeout=10) as client:
            vnir = client["vnir"]
            await client.notify(vnir.hold, 1)
            await client.notify(setattr, vnir, "fps", 30)
            await asyncio.gather(*(client.notify(vnir.begin, number) for number in range(2, 102)))
            bench.let_go()
            assert await vnir.fps == 30
            await client.notify(client["vnri"], 1)
            with pytest.raises(TypeError, match="is not remote"):
                await client.notify(print)

    run(main())
    assert bench.begun() == list(range(1, 102))


def test_asyncio_without_a_broker(nowhere: Endpoints) -> None:
    async def main() -> None:
        async with AsyncRocClient(nowhere, timeout=0.3) as client:
            with pytest.raises(errors.BrokerUnreachable):
                await client.notify(client["vnir"], 1)

    run(main())


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork; run it on Linux or macOS")
def test_in_a_forked_child(bench: Bench, spawn: Spawner) -> None:
    child = spawn(
        """
        import os, sys
        from runmacs.roc import RocClient

        client = RocClient(sys.argv[1], timeout=10)
        begin = client["vnir"].begin
        client.notify(begin, 1)
        if not os.fork():
            client.notify(begin, 2)
            with client.batch() as batch:
                future = batch.submit(begin, 3)
            assert future.result() == 3
            os._exit(0)
        assert os.wait()[1] == 0
        client.notify(begin, 4)
        assert client["vnir"].echo(0) == 0
        """,
        bench.broker.rocBroker,
    )
    assert child.wait() == 0, child.stderr
    assert bench.begun() == [1, 2, 3, 4]
