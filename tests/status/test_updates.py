"""Emitting and following, over real sockets."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from processes import Spawner
from promptness import prompt
from runmacs.roc import (
    AsyncStatusUpdates,
    Endpoints,
    RocStatusUpdater,
    errors,
    statusUpdateIterator,
)
from runmacs.roc.broker import Broker
from test_transports import TRANSPORTS, has_ipv6
from waiting import wait_until


def merged(*updates: dict[str, Any]) -> dict[str, Any]:
    """What a naive reader makes of partial trees."""
    tree: dict[str, Any] = {}
    for update in updates:
        _merge(tree, update)
    return tree


def _merge(tree: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    for name, value in update.items():
        if isinstance(value, dict) and isinstance(tree.get(name), dict):
            _merge(tree[name], value)
        else:
            tree[name] = dict(value) if isinstance(value, dict) else value
    return tree


def read_until(updates: Iterator[dict[str, Any]], done: Callable[[Any], bool]) -> list[Any]:
    """Items up to the one that is awaited; at most for 30 s."""
    items = []
    deadline = time.monotonic() + 30
    for update in updates:
        items.append(update)
        if done(update):
            return items
        assert time.monotonic() < deadline, f"not within 30 s; came: {items[-5:]}"
    raise AssertionError("the iteration ended")


def read_whole(
    updates: Iterator[dict[str, Any]], is_whole: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """What all items make together, once that is what is awaited."""
    tree: dict[str, Any] = {}
    read_until(updates, lambda update: is_whole(_merge(tree, update)))
    return tree


# --- the examples of every user ---------------------------------------------------------------


def test_the_examples_verbatim(broker: Endpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROC_BROKER", broker.rocBroker)
    ep = broker
    updater = RocStatusUpdater()
    seen = []
    following = statusUpdateIterator(ep)
    updater.emit("system.foo", {"cpu": 0.3, "memory": 0.7})
    for msg in following:
        seen.append(msg)
        break
    assert seen == [{"system": {"foo": {"cpu": 0.3, "memory": 0.7}}}]
    following.close()
    updater.close()


def test_every_spelling_of_an_address(broker: Endpoints) -> None:
    spellings: list[Any] = [broker, f"127.0.0.1:{broker.brokerBasePort}"]
    for destination in [*spellings, broker.generalXSUB]:
        for source in [*spellings, broker.generalXPUB]:
            with (
                statusUpdateIterator(source, "a", timeout=30, snapshot=False) as updates,
                RocStatusUpdater(destination) as updater,
            ):
                updater.emit("a", 1)
                assert next(updates) == {"a": 1}


def test_positions_and_keywords(broker: Endpoints) -> None:
    with zmq.Context() as ctx:
        with RocStatusUpdater(destination=broker, ctx=ctx) as updater:
            updates = statusUpdateIterator(source=broker, mask="a", ctx=ctx, timeout=30.0)
            updater.emit(sensorId="a", data=[1, {"b": 2}])
            assert next(updates) == {"a": [1, {"b": 2}]}
            updates.close()
        assert next(statusUpdateIterator(broker, "a", None, 30.0)) == {"a": [1, {"b": 2}]}
        assert not ctx.closed


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_transport(transport: str, tmp_path: Path) -> None:
    if transport == "IPv6" and not has_ipv6():
        pytest.skip("there is no ::1 here; enable IPv6 on the loopback interface")
    where = Endpoints(TRANSPORTS[transport], 0)
    if transport == "ipc":
        where = Endpoints(str(tmp_path / "lab"), 5555, "ipc")
    if transport == "inproc":
        where = Endpoints("lab", 5555, "inproc")
    with zmq.Context() as ctx, Broker(where, ctx) as broker:
        with RocStatusUpdater(broker.endpoints, ctx) as early:
            early.emit("early.bird", {"worm": 1})
            with statusUpdateIterator(broker.endpoints, "", ctx, 30.0) as updates:
                items = [] if broker.endpoints is None else [next(updates)]
                for number in range(100):
                    early.emit("early.bird.worm", number)
                items += read_until(updates, lambda u: u == {"early": {"bird": {"worm": 99}}})
        values = [item["early"]["bird"]["worm"] for item in items]
        assert values[1:] == list(range(100))
        with statusUpdateIterator(broker.endpoints, "early.bird", ctx, 30.0) as late:
            assert next(late) == {"early": {"bird": {"worm": 99}}}


# --- masks ------------------------------------------------------------------------------------


def test_masks(broker: Endpoints) -> None:
    masks: list[Any] = ["system.foo", ["system.foo", "x"], "", "system.foobar", "system.foo.cpu"]
    with RocStatusUpdater(broker) as updater:
        followers = [statusUpdateIterator(broker, mask, timeout=30) for mask in masks]
        updater.emit("system.foo", {"cpu": 1, "mem": 2})
        updater.emit("system.foobar", 3)
        updater.emit("system", {"foo": {"cpu": 4}, "foobar": 5})
        updater.emit("", {"x": 6, "system.foo.cpu": 7})
        updater.emit("system", {"end": 0})
        updater.emit("", {"system": {"foo": {"end": 1}, "foobar": {"end": 1}}, "x": {"end": 1}})
        wanted: list[Any] = [
            [{"system": {"foo": {"cpu": 1, "mem": 2}}}, {"system": {"foo": {"cpu": 4}}},
             {"system": {"foo": {"cpu": 7}}}, {"system": {"foo": {"end": 1}}}],
            [{"system": {"foo": {"cpu": 1, "mem": 2}}}, {"system": {"foo": {"cpu": 4}}},
             {"x": 6, "system": {"foo": {"cpu": 7}}},
             {"system": {"foo": {"end": 1}}, "x": {"end": 1}}],
            [{"system": {"foo": {"cpu": 1, "mem": 2}}}, {"system": {"foobar": 3}},
             {"system": {"foo": {"cpu": 4}, "foobar": 5}},
             {"x": 6, "system": {"foo": {"cpu": 7}}}, {"system": {"end": 0}},
             {"system": {"foo": {"end": 1}, "foobar": {"end": 1}}, "x": {"end": 1}}],
            [{"system": {"foobar": 3}}, {"system": {"foobar": 5}},
             {"system": {"foobar": {"end": 1}}}],
            [{"system": {"foo": {"cpu": 1}}}, {"system": {"foo": {"cpu": 4}}},
             {"system": {"foo": {"cpu": 7}}}],
        ]  # fmt: skip
        for follower, items in zip(followers, wanted, strict=True):
            assert [next(follower) for _ in items] == items
            follower.timeout = 0.05
            assert next(follower) == {}
            follower.close()


def test_an_empty_subtree_has_no_first_item(broker: Endpoints) -> None:
    with RocStatusUpdater(broker) as updater:
        updater.emit("other", 1)
        with statusUpdateIterator(broker, "other", timeout=30) as other:
            assert next(other) == {"other": 1}
        with statusUpdateIterator(broker, "nothing", timeout=0.2) as updates:
            assert next(updates) == {}


def test_without_a_snapshot_only_changes(broker: Endpoints) -> None:
    with RocStatusUpdater(broker) as updater:
        updater.emit("a", 1)
        with statusUpdateIterator(broker, timeout=30) as first:
            assert next(first) == {"a": 1}
        with statusUpdateIterator(broker, timeout=0.2, snapshot=False) as updates:
            assert next(updates) == {}
            updater.emit("a", 2)
            updates.timeout = 30
            assert next(updates) == {"a": 2}


# --- time -------------------------------------------------------------------------------------


def test_an_empty_update_after_each_timeout_with_the_broker_down(nowhere: Endpoints) -> None:
    with statusUpdateIterator(nowhere, timeout=0.2) as updates:
        for _ in range(3):
            began = time.monotonic()
            assert next(updates) == {}
            with prompt():
                assert 0.15 < time.monotonic() - began < 2.0


def test_other_news_do_not_put_off_the_timeout(broker: Endpoints) -> None:
    """Beats come each second, whatever is followed."""
    with statusUpdateIterator(broker, "a", timeout=1.5) as updates:
        assert next(updates) == {}


def test_closed_from_another_thread(broker: Endpoints) -> None:
    updates = statusUpdateIterator(broker)
    items: list[Any] = []
    thread = threading.Thread(target=lambda: items.extend(updates))
    thread.start()
    updates.close()
    thread.join(30)
    assert not thread.is_alive()
    assert items == []
    assert list(updates) == []


def test_ctrl_c_ends_a_wait_at_once(spawn: Spawner, broker: Endpoints) -> None:
    child = spawn(
        """
        import sys
        from runmacs.roc import statusUpdateIterator
        updates = statusUpdateIterator(sys.argv[1])
        print("waits", flush=True)
        try:
            next(updates)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        updates.timeout = 0.1
        print("goes on:", next(updates), flush=True)
        """,
        broker.generalXPUB,
    )
    child.wait_for("waits")
    child.send_signal(signal.SIGINT)
    child.wait_for("goes on: {}")
    assert "interrupted" in child.stdout
    assert child.wait() == 0


# --- asyncio ----------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_asyncio_twin(broker: Endpoints, loop: str) -> None:
    async def main() -> list[Any]:
        items: list[Any] = []
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        async with AsyncStatusUpdates(broker, "a", timeout=0.5) as updates:
            updater.emit("a", 1)
            async for update in updates:
                items.append(update)
                if not update:
                    break
            assert ticks > 10, "the loop runs on meanwhile"
            waiting = asyncio.ensure_future(updates.__anext__())
            await asyncio.sleep(0.05)
            waiting.cancel()
            await asyncio.wait([waiting])
            updater.emit("a", 2)
            items.append(await updates.__anext__())
        ticking.cancel()
        with pytest.raises(StopAsyncIteration):
            await updates.__anext__()
        return items

    uvloop = pytest.importorskip("uvloop") if loop == "uvloop" else None
    with RocStatusUpdater(broker) as updater, prompt():  # each comes within half a second
        items = uvloop.run(main()) if uvloop else asyncio.run(main())
        assert items == [{"a": 1}, {}, {"a": 2}]


# --- delivery ---------------------------------------------------------------------------------


def test_an_emit_before_the_broker_is_not_lost(nowhere: Endpoints) -> None:
    with RocStatusUpdater(nowhere) as updater:
        updater.emit("a", {"b": 1})
        updater.emit("a.c", 2)
        with Broker(nowhere):
            with statusUpdateIterator(nowhere, timeout=30) as updates:
                items = read_until(updates, lambda u: "c" in u.get("a", {}))
            assert merged(*items) == {"a": {"b": 1, "c": 2}}


ONCE = """
import sys
from runmacs.roc import RocStatusUpdater
updater = RocStatusUpdater(sys.argv[1])
updater.emit('once.n' + sys.argv[2], int(sys.argv[2]))
"""


def test_a_process_that_emits_once_and_ends(spawn: Spawner, broker: Endpoints) -> None:
    for number in range(10):
        assert spawn(ONCE, broker.generalXSUB, str(number), name="").wait() == 0
    with statusUpdateIterator(broker, "once", timeout=30) as updates:
        # The last may be under way yet when the tree is asked for.
        whole = read_whole(updates, lambda tree: len(tree.get("once", {})) == 10)
    assert whole == {"once": {f"n{number}": number for number in range(10)}}


def test_many_threads_emit_at_once(broker: Endpoints) -> None:
    """In order per path, and nothing is missing in the end."""
    with RocStatusUpdater(broker) as updater, statusUpdateIterator(broker, timeout=30) as updates:

        def emit(name: str) -> None:
            for number in range(500):
                updater.emit(f"t.{name}", number)

        threads = [threading.Thread(target=emit, args=(f"n{i}",)) for i in range(8)]
        for thread in threads:
            thread.start()
        last: dict[str, int] = {}
        while len(last) < 8 or min(last.values()) < 499:
            update = next(updates)
            assert update, "all comes"
            for name, number in update["t"].items():
                assert number > last.get(name, -1), "in order"
                last[name] = number
        for thread in threads:
            thread.join()
        updates.timeout = 0.2
        assert next(updates) == {}, "nothing comes twice"


def test_a_full_queue_loses_only_what_was_superseded(nowhere: Endpoints) -> None:
    with RocStatusUpdater(nowhere) as updater:
        updater.emit("kept", "from the beginning")
        for number in range(30_000):
            updater.emit("a", {"number": number})
        assert updater.superseded > 15_000
        with Broker(nowhere), statusUpdateIterator(nowhere, timeout=30) as updates:
            items = read_until(updates, lambda u: u.get("a") == {"number": 29_999})
        assert merged(*items)["kept"] == "from the beginning"


def test_a_blocked_broker_never_blocks_emit(nowhere: Endpoints) -> None:
    with RocStatusUpdater(nowhere) as updater:
        began = time.monotonic()
        for number in range(1000):
            updater.emit("a", number)
        with prompt():
            assert time.monotonic() - began < 5
        began = time.monotonic()
    with prompt():
        assert time.monotonic() - began < 2.5, "close waits no longer than it says"


def test_after_close(broker: Endpoints) -> None:
    updater = RocStatusUpdater(broker)
    updater.close()
    updater.close()
    with pytest.raises(errors.Closed, match="closed"):
        updater.emit("a", 1)


@pytest.mark.parametrize(
    ("path", "data"),
    [("a..b", 1), ("a*", 1), ("roc.x", 1), ("", 1), ("a", {"b\n": 1}), ("a", "x" * 2_000_000)],
)
def test_bad_input_is_refused_at_the_sender(broker: Endpoints, path: str, data: Any) -> None:
    with RocStatusUpdater(broker) as updater:
        with pytest.raises(ValueError, match="nothing was sent"):
            updater.emit(path, data)
        with statusUpdateIterator(broker, timeout=30) as updates:
            updater.emit("fine", 1)
            assert next(updates) == {"fine": 1}


def test_removing_and_describing(broker: Endpoints) -> None:
    with RocStatusUpdater(broker) as updater, statusUpdateIterator(broker, timeout=30) as updates:
        updater.emit("a", {"b": 1, "c": 2})
        updater.describe("a.b", unit="K", description="how warm", limits=(None, 300))
        updater.remove("a.b")
        updater.emit("a.d", 3)
        items = read_until(updates, lambda u: u == {"a": {"d": 3}})
        assert [item for item in items if item] == [{"a": {"b": 1, "c": 2}}, {"a": {"d": 3}}]
        assert [item.removed for item in items] == [(), ("a.b",), ()]
        for wrong in [("a", "x"), (1,), (1, "2"), 5]:
            with pytest.raises(ValueError, match="Limits"):
                updater.describe("a", limits=wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="root"):
            updater.describe("", unit="K")


# --- processes --------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_is_a_source_of_its_own(spawn: Spawner, broker: Endpoints) -> None:
    child = spawn(
        """
        import multiprocessing, os, sys
        from runmacs.roc import RocStatusUpdater

        def work(number):
            updater.emit("worker", {f"n{number}": number})

        updater = RocStatusUpdater(sys.argv[1])
        updater.emit("parent", 1)
        context = multiprocessing.get_context("fork")
        workers = [context.Process(target=work, args=(number,)) for number in range(4)]
        for worker in workers: worker.start()
        for worker in workers: worker.join()
        updater.emit("parent", 2)
        assert [worker.exitcode for worker in workers] == [0] * 4
        """,
        broker.generalXSUB,
    )
    assert child.wait() == 0
    with statusUpdateIterator(broker, timeout=30) as updates:
        tree = read_whole(
            updates, lambda tree: len(tree.get("worker", {})) == 4 and tree.get("parent") == 2
        )
    assert tree == {"parent": 2, "worker": {f"n{number}": number for number in range(4)}}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_an_iterator_stays_with_its_process(broker: Endpoints) -> None:
    with statusUpdateIterator(broker, timeout=0.1) as updates:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                next(updates)
            except errors.Closed:
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert next(updates) == {}


def test_no_argument_and_a_used_up_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROC_BROKER", "not an address")
    with pytest.raises(errors.ConfigError, match="ROC_BROKER"):
        RocStatusUpdater()
    with pytest.raises(errors.ConfigError, match="ROC_BROKER"):
        statusUpdateIterator()
    with pytest.raises(ValueError, match="path"):
        statusUpdateIterator("127.0.0.1", "a..b")


def test_the_import_is_lazy() -> None:
    code = "import sys, runmacs.roc as roc; roc.RocStatusUpdater; print('asyncio' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_a_dropped_one_leaves_nothing(broker: Endpoints) -> None:
    before = threading.active_count()
    for number in range(5):
        RocStatusUpdater(broker).emit("a", number)
        statusUpdateIterator(broker, timeout=1)
    wait_until(lambda: threading.active_count() <= before + 1, what="the threads have ended")
