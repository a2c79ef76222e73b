"""Batches, on both faces: many calls in one message, each with its own end.

The broker and the servers are processes of their own.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
import pytest

from callers import Calling
from desk import Desk
from faces import run, until
from instrument import Bench
from processes import Spawner
from promptness import prompt
from runmacs.roc import AsyncRocClient, Endpoints, RocClient, errors
from runmacs.roc.wire.jsonrpc import BATCH_LIMIT
from waiting import wait_until

TOLERANCE = 0.25


def requests(client: RocClient) -> int:
    """How many requests the broker has got so far."""
    return int(client["roc.broker"].stats()["requests"])


# ---- the straight way


def test_calls_of_a_batch_are_executed_in_their_order(
    bench: Bench, client: RocClient, vnir: Any
) -> None:
    vnir.begin(-1)
    before = requests(client)
    with client.batch() as batch:
        futures = [batch.submit(vnir.begin, number) for number in range(100)]
        assert bench.begun() == [-1]
    assert [future.result() for future in futures] == list(range(100))
    assert bench.begun() == list(range(-1, 100))
    assert requests(client) - before == 2, "the batch, and this question"


def test_each_has_its_own_end(client: RocClient, vnir: Any) -> None:
    with client.batch() as batch:
        set_ = batch.submit(setattr, vnir, "fps", 25.0)
        get = batch.submit(getattr, vnir, "fps")
        bad = batch.submit(vnir.fail, "no")
        none = batch.submit(getattr, vnir, "nothing")
        wrong = batch.submit(vnir.add)
        lens = batch.submit(vnir.lens.move, 3)
        whole = batch.submit(vnir, 4)
        inner = batch.submit(getattr, vnir, "lens")
        told = batch.notify(vnir.lens.move, 2)
    assert (set_.result(), get.result(), lens.result()) == (None, 25.0, 3)
    assert whole.result() == [4, {}]
    assert inner.result().position == 5
    assert told.result() is None
    with pytest.raises(ValueError, match="no"):
        bad.result()
    assert isinstance(none.exception(), errors.MethodNotFound)
    assert isinstance(wrong.exception(), errors.InvalidParams)


def test_arrays_go_there_and_come_back(client: RocClient, vnir: Any) -> None:
    frame = np.zeros((4, 1000), dtype="<u2")
    futures = []
    with client.batch() as batch:
        for number in range(5):
            frame[:] = number
            futures.append(batch.submit(vnir.echo, [frame, {"again": frame[:2]}, b"bytes"]))
        made = batch.submit(vnir.frame, 3, 5)
        frame[:] = 999
    for number, future in enumerate(futures):
        whole, part, raw = future.result()
        assert (whole == number).all()
        assert (part["again"] == number).all()
        assert raw == b"bytes"
    assert made.result().tolist() == np.arange(15).reshape(3, 5).tolist()


def test_objects_are_served_side_by_side(spawn: Spawner, bench: Bench, client: RocClient) -> None:
    other = bench.serve("swir")
    client.wait_for("swir")
    begin = client["vnir"].begin, client["swir"].begin
    began = time.monotonic()
    with client.batch() as batch:
        slow = [batch.submit(one, number, 0.4) for number, one in enumerate(begin)]
    assert [future.result() for future in slow] == [0, 1]
    with prompt():
        assert time.monotonic() - began < 0.8
    other.terminate()
    assert other.wait() == 0


def test_a_batch_that_is_empty_sends_nothing(client: RocClient) -> None:
    before = requests(client)
    with client.batch():
        pass
    assert requests(client) - before == 1


def test_blocking_calls_and_batches_keep_their_order(
    bench: Bench, client: RocClient, vnir: Any
) -> None:
    for number in range(0, 40, 4):
        client.submit(vnir.begin, number)
        with client.batch() as batch:
            batch.submit(vnir.begin, number + 1)
            batch.submit(vnir.begin, number + 2)
        vnir.begin(number + 3)
    assert bench.begun() == list(range(40))


# ---- what is refused


def test_a_block_that_raises_sends_nothing(bench: Bench, client: RocClient, vnir: Any) -> None:
    futures: list[Any] = []

    def collect() -> None:
        with client.batch() as batch:
            futures.append(batch.submit(vnir.begin, 1))
            batch.notify(vnir.begin, 2)
            raise LookupError

    with pytest.raises(LookupError):
        collect()
    assert futures[0].cancelled()
    assert vnir.begin(3) == 3
    assert bench.begun() == [3]


def test_results_are_asked_for_after_the_block(client: RocClient, vnir: Any) -> None:
    with client.batch() as batch:
        future = batch.submit(vnir.echo, 1)
        for ask in (future.result, future.exception, lambda: future.result(0.1)):
            with pytest.raises(errors.LocalProtocolError, match="when its `with` block ends"):
                ask()
    assert future.result() == 1


def test_a_batch_is_good_for_one_block(client: RocClient, vnir: Any) -> None:
    batch = client.batch()
    with pytest.raises(errors.LocalProtocolError, match="in its `with` block only"):
        batch.submit(vnir.echo, 1)
    with batch:
        batch.submit(vnir.echo, 1)
    with pytest.raises(errors.LocalProtocolError, match="in its `with` block only"):
        batch.submit(vnir.echo, 1)
    with pytest.raises(errors.LocalProtocolError, match="good for one"), batch:
        pass


def test_one_call_too_many(bench: Bench, client: RocClient, vnir: Any) -> None:
    def collect(count: int) -> list[Any]:
        with client.batch(timeout=30) as batch:
            return [batch.submit(vnir.echo, number) for number in range(count)]

    with pytest.raises(errors.TooLarge, match=f"at most {BATCH_LIMIT} calls for one object"):
        collect(BATCH_LIMIT + 1)
    futures = collect(BATCH_LIMIT)
    assert [future.result() for future in futures] == list(range(BATCH_LIMIT))


def test_one_byte_too_many(client: RocClient, vnir: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runmacs.roc.batch._LARGEST", 1_000_000)
    with client.batch() as batch:
        kept = batch.submit(vnir.echo, bytes(600_000))
        with pytest.raises(errors.TooLarge, match=r"vnir\.echo: with it the batch has 1 MB"):
            batch.submit(vnir.echo, bytes(600_000))
        also = batch.submit(vnir.echo, np.arange(3))
    assert len(kept.result()) == 600_000
    assert also.result().tolist() == [0, 1, 2]


def test_what_is_no_call_is_refused_at_once(client: RocClient, vnir: Any) -> None:
    with client.batch() as batch:
        for wrong in (vnir.fps, print):
            with pytest.raises(TypeError, match="is not remote"):
                batch.submit(wrong)
            with pytest.raises(TypeError, match="is not remote"):
                batch.notify(wrong)
        with pytest.raises(errors.Unsendable):
            batch.submit(vnir.echo, object())
        assert batch.submit(vnir.echo, 1)


# ---- giving up, and bad days


def test_one_that_is_cancelled_in_the_block_is_not_sent(
    bench: Bench, client: RocClient, vnir: Any
) -> None:
    with client.batch() as batch:
        first, second, third = (batch.submit(vnir.begin, number) for number in range(3))
        assert second.cancel()
    assert (first.result(), third.result()) == (0, 2)
    assert bench.begun() == [0, 2]


@pytest.mark.parametrize("in_front", [0, 40], ids=["running", "waiting at the broker"])
def test_one_that_is_cancelled_leaves_the_others(
    bench: Bench, client: RocClient, vnir: Any, in_front: int
) -> None:
    """Here by the server or the broker, before the first one of all has ended."""
    methods = [vnir.hold, *[vnir.begin] * (in_front + 3)]
    numbers = [*range(100, 100 + in_front), *range(4)]
    for method, number in zip(methods[:in_front], numbers, strict=False):
        client.submit(method, number)
    with client.batch() as batch:
        futures = [
            batch.submit(method, number)
            for method, number in zip(methods[in_front:], numbers[in_front:], strict=True)
        ]
    wait_until(bench.begun)
    assert futures[2].cancel()
    # Answered beside the method that runs, by a server that has heard of the other by then.
    assert client.call_object("vnir!", "rpc.ping")
    bench.let_go()
    assert [futures[number].result() for number in (0, 1, 3)] == [0, 1, 3]
    assert bench.begun() == [*numbers[:in_front], 0, 1, 3]


def test_a_batch_that_is_late_says_of_each_call_what_became_of_it(
    bench: Bench, client: RocClient, vnir: Any
) -> None:
    began = time.monotonic()
    with client.batch(timeout=0.6) as batch:
        futures = [batch.submit(vnir.begin, number, 0.4) for number in range(4)]
    found = [future.exception() for future in futures]
    with prompt():
        assert time.monotonic() - began < 0.6 + TOLERANCE
    assert all(isinstance(error, errors.CallTimeout) for error in found)
    with prompt():
        assert [error.executed for error in found] == [True, None, False, False]  # type: ignore[union-attr]
        assert "0.6 s; it was executed, but its answer" in str(found[0])
        assert vnir.begin(9) == 9
        assert bench.begun() == [0, 1, 9]


def test_the_longest_timeout_counts(bench: Bench) -> None:
    with RocClient(bench.broker, timeout=0.3) as client:
        patient = client.proxy("vnir", timeout=30)
        with prompt():  # that it is a method is asked for with the same patience
            begin = client["vnir"].begin
        with client.batch() as batch:
            first = batch.submit(begin, 1, 0.5)
            second = batch.submit(patient.begin, 2)
        assert (first.result(), second.result()) == (1, 2)


def test_a_server_that_is_killed_in_the_midst(own_bench: Bench) -> None:
    with RocClient(own_bench.broker, timeout=30) as client:
        vnir = client["vnir"]
        server = own_bench.spawn.children[-1]
        with client.batch() as batch:
            futures = [batch.submit(vnir.begin, number, 0.3) for number in range(10)]
        wait_until(own_bench.has_begun(1))
        killed = time.monotonic()
        server.kill()
        for future in futures:
            error = future.exception()
            assert isinstance(error, errors.ServerLost)
            assert error.executed is None
        with prompt():
            assert time.monotonic() - killed < 0.75


def test_a_server_that_is_stopped_in_the_midst(own_bench: Bench) -> None:
    with RocClient(own_bench.broker, timeout=30) as client:
        vnir = client["vnir"]
        server = own_bench.spawn.children[-1]
        with client.batch() as batch:
            futures = [batch.submit(vnir.begin, number, 5.0 * number) for number in range(4)]
        wait_until(own_bench.has_begun(1))
        server.send_signal(2)
        assert futures[0].result() == 0
        found = [future.exception() for future in futures[1:]]
        assert all(isinstance(error, errors.ServerLost) for error in found)
        assert [error.executed for error in found] == [None, False, False]  # type: ignore[union-attr]
    assert own_bench.begun() == [0, 1]


def test_a_batch_without_a_broker(nowhere: Endpoints) -> None:
    with RocClient(nowhere, timeout=0.3) as client:
        vnir = client["vnir"]
        with client.batch() as batch:
            futures = [batch.submit(vnir, 1), batch.notify(vnir, 2)]
        for future in futures:
            error = future.exception()
            assert isinstance(error, errors.BrokerUnreachable)
            assert error.executed is False


def test_a_batch_waits_for_its_broker(nowhere: Endpoints) -> None:
    with RocClient(nowhere, timeout=10) as client:
        vnir = client["vnir"]
        with client.batch() as batch:
            futures = [batch.submit(vnir, number) for number in range(3)]
        with Desk(nowhere) as desk:
            desk.serve(lambda value: value)
            assert [future.result() for future in futures] == [0, 1, 2]


def test_close_ends_the_calls_of_a_batch(bench: Bench) -> None:
    client = RocClient(bench.broker, timeout=30)
    vnir = client["vnir"]
    with client.batch() as batch:
        futures = [batch.submit(vnir.hold, number) for number in range(5)]
    calls = [Calling(future.result) for future in futures]
    wait_until(bench.begun)
    client.close()
    assert all(isinstance(call.wait().error, errors.Closed) for call in calls)
    with pytest.raises(errors.Closed), client.batch() as batch:
        batch.submit(vnir.begin, 1)


# ---- asyncio


def test_asyncio_has_the_same(bench: Bench) -> None:
    async def main() -> None:
        async with AsyncRocClient(bench.broker, timeout=10) as client:
            vnir = client["vnir"]
            async with client.batch() as batch:
                set_ = batch.submit(setattr, vnir, "fps", 25.0)
                get = batch.submit(getattr, vnir, "fps")
                bad = batch.submit(vnir.fail, "no")
                lens = batch.submit(vnir.lens.move, 3)
                whole = batch.submit(vnir, 4)
                inner = batch.submit(getattr, vnir, "lens")
                frame = batch.submit(vnir.echo, np.arange(3))
                told = batch.notify(vnir.begin, 7)
                gone = batch.submit(vnir.begin, 8)
                assert gone.cancel()
                with pytest.raises(errors.LocalProtocolError, match="when its `with` block ends"):
                    await get
            assert [await set_, await get, await lens] == [None, 25.0, 3]
            assert await whole == [4, {}]
            assert await (await inner).position == 3
            assert (await frame).tolist() == [0, 1, 2]
            assert await told is None
            with pytest.raises(ValueError, match="no"):
                await bad
            with pytest.raises(asyncio.CancelledError):
                await gone

    run(main())
    assert bench.begun() == [7]


def test_asyncio_a_block_that_raises_sends_nothing(bench: Bench) -> None:
    async def main() -> None:
        async with AsyncRocClient(bench.broker, timeout=10) as client:
            begin = client["vnir"].begin
            futures = []

            async def collect() -> None:
                async with client.batch() as batch:
                    futures.append(batch.submit(begin, 1))
                    raise LookupError

            with pytest.raises(LookupError):
                await collect()
            assert futures[0].cancelled()
            assert await begin(2) == 2

    run(main())
    assert bench.begun() == [2]


def test_asyncio_what_became_of_each(bench: Bench) -> None:
    async def main() -> None:
        async with AsyncRocClient(bench.broker, timeout=10) as client:
            begin = client["vnir"].begin
            async with client.batch(timeout=0.6) as batch:
                futures = [batch.submit(begin, number, 0.4) for number in range(4)]
            found = await asyncio.gather(*futures, return_exceptions=True)
            told = [getattr(error, "executed", "?") for error in found]
            with prompt():
                assert told == [True, None, False, False]
            assert await begin(9) == 9
            hold = client["vnir"].hold
            async with client.batch() as batch:
                futures = [batch.submit(one, n) for n, one in enumerate((hold, begin, begin), 10)]
            await until(bench.has_begun(10))
            futures[1].cancel()
            await asyncio.wait([futures[1]])
            assert await client.call_object("vnir!", "rpc.ping")
            bench.let_go()
            assert [await futures[0], await futures[2]] == [10, 12]

    run(main())
    assert bench.begun() == [0, 1, 9, 10, 12]


def test_asyncio_close_ends_the_calls_of_a_batch(bench: Bench) -> None:
    async def main() -> None:
        client = AsyncRocClient(bench.broker, timeout=10)
        begin = client["vnir"].begin
        async with client.batch() as batch:
            future = batch.submit(begin, 1, 0.3)
        client.close()
        with pytest.raises(errors.Closed):
            await future

    run(main())
