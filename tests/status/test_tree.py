"""The mirror for applications."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import numpy as np
import pytest

from processes import BrokerProcess, Spawner, start_broker
from promptness import prompt
from runmacs.roc import Endpoints, RocServer, RocStatusUpdater, StatusTree, errors
from waiting import wait_until


def test_reading(broker: Endpoints) -> None:
    with RocStatusUpdater(broker, node="lab") as updater, StatusTree(broker) as tree:
        assert not tree
        updater.emit("system.foo", {"cpu": 0.3, "list": [1, {"x": 2}]})
        updater.emit("system.frame", np.arange(4, dtype="u2"))
        assert tree.wait_for("system.frame", timeout=30).dtype == np.dtype("u2")
        assert tree["system.foo.cpu"] == 0.3
        assert tree["system.foo"] == {"cpu": 0.3, "list": [1, {"x": 2}]}
        assert tree[""]["system"]["foo"]["cpu"] == 0.3
        assert set(tree) == {"system.foo.cpu", "system.foo.list", "system.frame"}
        assert len(tree) == 3
        assert "system.foo" in tree
        assert "system.fo" not in tree
        assert tree.get("nothing") is None
        with pytest.raises(KeyError):
            tree["system.fo"]
        tree["system.foo.list"].append(3)
        assert tree["system.foo.list"] == [1, {"x": 2}], "what one reader does is his own"
        assert tree.connected


def test_a_leaf_knows_its_age_source_and_description(broker: Endpoints) -> None:
    with StatusTree(broker) as tree:
        updater = RocStatusUpdater(broker, node="lab")
        updater.describe("t", unit="°C", description="outside", limits=(-40, 50))
        updater.emit("t", 21.5)
        tree.wait_for("t", timeout=30)
        wait_until(lambda: tree.leaf("t").unit)
        leaf = tree.leaf("t")
        assert leaf.value == 21.5
        assert 0 <= leaf.age < 60
        with prompt():
            assert abs(leaf.time - (time.time() - leaf.age)) < 1
        assert leaf.source.startswith("lab@")
        assert (leaf.unit, leaf.description, leaf.limits) == ("°C", "outside", (-40, 50))
        assert not leaf.stale
        updater.close()
        closed = time.monotonic()
        wait_until(lambda: tree.leaf("t").stale, what="its source has said goodbye")
        with prompt():
            assert time.monotonic() - closed < 2.0
        assert tree["t"] == 21.5
        assert set(tree.leaves("t")) == {"t"}


def test_a_killed_source_is_stale(broker: Endpoints, spawn: Spawner) -> None:
    child = spawn(
        """
        import sys, time
        from runmacs.roc import RocStatusUpdater
        updater = RocStatusUpdater(sys.argv[1])
        updater.emit("a", 1)
        time.sleep(60)
        """,
        broker.generalXSUB,
    )
    with StatusTree(broker) as tree:
        tree.wait_for("a", timeout=30)
        assert not tree.leaf("a").stale
        child.kill()
        killed = time.monotonic()
        wait_until(lambda: tree.leaf("a").stale, what="it is stale")
        with prompt():
            assert time.monotonic() - killed < 4.0
    with StatusTree(broker) as late:
        assert late.leaf("a").stale, "who comes later knows it too"


def test_callbacks(broker: Endpoints, capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[Any] = []
    with RocStatusUpdater(broker) as updater, StatusTree(broker) as tree:

        def fails(update: Any) -> None:
            raise RuntimeError("in a callback")

        hook, threading.excepthook = threading.excepthook, lambda args: seen.append(args.exc_type)
        try:
            cancel_failing = tree.on_change("a", fails)
            cancel = tree.on_change("a.b", seen.append)
            updater.emit("a", {"b": 1, "c": 2})
            updater.emit("x", 0)
            updater.remove("a.b")
            wait_until(lambda: len(seen) >= 4, what="both were called")
        finally:
            threading.excepthook = hook
        assert seen == [RuntimeError, {"a": {"b": 1}}, RuntimeError, {}]
        assert seen[3].removed == ("a.b",)
        cancel_failing()
        cancel()
        updater.emit("a.b", 3)
        tree.wait_for("a.b", timeout=30)
        assert len(seen) == 4


def test_waiting(broker: Endpoints) -> None:
    with RocStatusUpdater(broker) as updater, StatusTree(broker) as tree:
        with pytest.raises(TimeoutError, match="it is not there"):
            tree.wait_for("a", timeout=0.05)
        updater.emit("a", 1)
        assert tree.wait_for("a", timeout=30) == 1
        with pytest.raises(TimeoutError, match="it is 1"):
            tree.wait_for("a", lambda value: value == 2, timeout=0.05)
        threading.Timer(0.1, updater.emit, ("a", 2)).start()
        assert tree.wait_for("a", lambda value: value == 2, timeout=30) == 2


def test_presence_changes_within_a_second_of_a_death(broker: Endpoints, spawn: Spawner) -> None:
    with StatusTree(broker, "roc.objects") as tree:
        child = spawn(
            """
            import sys
            from runmacs.roc import RocServer
            RocServer(sys.argv[1], "lab.stage", [1, 2]).run()
            """,
            broker.rocBroker,
        )
        tree.wait_for("roc.objects.lab.stage.state", lambda state: state == "serving", timeout=30)
        assert tree["roc.objects.lab.stage.pid"] == child.pid
        child.kill()
        killed = time.monotonic()
        tree.wait_for("roc.objects.lab.stage.state", lambda state: state == "absent", timeout=30)
        with prompt():
            assert time.monotonic() - killed < 1.0


def test_the_brokers_own_figures(broker: Endpoints) -> None:
    with StatusTree(broker, "roc.broker") as tree, RocServer(broker, "x", [1]):
        tree.wait_for("roc.broker.objects", lambda number: number == 1, timeout=30)
        uptime = tree["roc.broker.uptime"]
        tree.wait_for("roc.broker.uptime", lambda value: value > uptime, timeout=30)


def test_over_a_restart_of_the_broker(broker_process: BrokerProcess, spawn: Spawner) -> None:
    where = broker_process.endpoints
    with RocStatusUpdater(where) as updater, StatusTree(where) as tree:
        changes: list[Any] = []
        updater.emit("a", {"b": 1})
        tree.wait_for("a.b", timeout=30)
        tree.on_change("", changes.append)
        broker_process.child.kill()
        wait_until(lambda: not tree.connected, what="it knows that the broker is gone")
        assert tree["a.b"] == 1
        updater.emit("a.c", 2)
        again = start_broker(spawn, "--base-port", where.brokerBasePort)
        tree.wait_for("a.c", timeout=30)
        wait_until(lambda: tree.connected and "a.b" in tree, what="all is known again")
        wait_until(lambda: not tree.leaf("a.b").stale)
        assert {"a": {"c": 2}} in changes
        again.stop()


def test_closed_and_dropped(broker: Endpoints) -> None:
    tree = StatusTree(broker)
    tree.close()
    tree.close()
    with pytest.raises(errors.Closed):
        tree["a"]
    before = threading.active_count()
    StatusTree(broker)
    wait_until(lambda: threading.active_count() <= before, what="its thread has ended")


def test_closing_ends_a_wait(broker: Endpoints) -> None:
    tree = StatusTree(broker)
    threading.Timer(0.1, tree.close).start()
    with pytest.raises(errors.Closed):
        tree.wait_for("never", timeout=30)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_it_stays_with_its_process(broker: Endpoints) -> None:
    with StatusTree(broker) as tree:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                len(tree)
            except errors.Closed:
                tree.close()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
