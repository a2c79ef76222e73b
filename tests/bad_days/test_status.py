"""Status under load and over mishaps: the patient lose nothing, the slow catch up."""

from __future__ import annotations

import os
import re
import sys
import time

import pytest

from processes import BrokerProcess, Child, Spawner, start_broker
from promptness import prompt
from runmacs.roc import Endpoints, RocClient, RocStatusUpdater, StatusTree, statusUpdateIterator
from waiting import wait_until

SOURCE = """
import sys, time
from runmacs.roc import RocStatusUpdater
where, name, seconds, rate = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
with RocStatusUpdater(where, node=name) as updater:
    begin = time.monotonic()
    number = 0
    while number < seconds * rate:
        due = int((time.monotonic() - begin) * rate) + 1
        while number < min(due, seconds * rate):
            number += 1
            updater.emit(f"load.{name}", {"number": number, "half": number / 2, "name": "x"})
        time.sleep(0.002)
    updater.emit("done", {name: number})
    print(name, "has emitted", number, "superseded", updater.superseded, flush=True)
    sys.stdin.readline()
"""

READER = """
import sys, time
from runmacs.roc import statusUpdateIterator
where, sources = sys.argv[1], int(sys.argv[2])
last, gaps, doubles, done = {}, 0, 0, {}
updates = statusUpdateIterator(where, ["load", "done"], timeout=20)
print("follows", flush=True)
for update in updates:
    assert update, "nothing came for 20 s"
    for name, values in update.get("load", {}).items():
        number = values.get("number")
        if number is None:
            continue
        assert values.get("half", number / 2) == number / 2, "an update arrives as a whole"
        before = last.get(name, number - 1)
        gaps += number - before - 1 if number > before else 0
        doubles += number <= before
        last[name] = number
    done.update(update.get("done", {}))
    if len(done) == sources and last == done:
        break
print("gaps", gaps, "doubles", doubles, "resyncs", updates.resyncs, flush=True)
"""


def verdict(child: Child) -> dict[str, int]:
    assert child.wait(60) == 0
    words = child.stdout.split()[-6:]
    return {words[i]: int(words[i + 1]) for i in (0, 2, 4)}


def resident(pid: int) -> float:
    """Megabytes of memory that a process has."""
    with open(f"/proc/{pid}/status") as file:
        match = re.search(r"VmRSS:\s+(\d+) kB", file.read())
    assert match
    return int(match[1]) / 1024


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it reads memory from /proc")
def test_ten_thousand_updates_a_second(broker_process: BrokerProcess, spawn: Spawner) -> None:
    """4 sources for 20 s; of 3 readers one is frozen for 5 s, and one joins late."""
    where = broker_process.endpoints
    patient = spawn(READER, where.generalXPUB, "4", name="patient")
    frozen = spawn(READER, where.generalXPUB, "4", name="frozen")
    for reader in (patient, frozen):
        reader.wait_for("follows")
    sources = [
        spawn(SOURCE, where.generalXSUB, f"s{i}", "20", "2500", name=f"s{i}", interactive=True)
        for i in range(4)
    ]
    with StatusTree(where) as tree:
        tree.wait_for("load.s0.number", lambda number: number > 5_000, timeout=30)
        small = resident(broker_process.child.pid)
        frozen.freeze()
        begin = time.monotonic()
        late = spawn(READER, where.generalXPUB, "4", name="late")
        most = small
        while time.monotonic() - begin < 5:
            time.sleep(0.1)
            most = max(most, resident(broker_process.child.pid))
        frozen.thaw()
        for source in sources:
            source.wait_for("has emitted 50000 superseded 0", timeout=60)
        with prompt():  # who is too slow catches up with a snapshot
            assert verdict(patient) == {"gaps": 0, "doubles": 0, "resyncs": 0}
            assert verdict(late) == {"gaps": 0, "doubles": 0, "resyncs": 0}
        thawed = verdict(frozen)
        print("the frozen one:", thawed, f"the broker: {small:.0f} to {most:.0f} MB")
        assert thawed["doubles"] == 0
        assert thawed["resyncs"] >= (thawed["gaps"] > 0), "it knows that it missed some"
        assert most < small + 40, "the broker's memory stays bounded"
    for source in sources:
        source.send_line("")
        source.wait()


def test_the_broker_restarts_under_load(nowhere: Endpoints, spawn: Spawner) -> None:
    """It keeps the tree; so nothing that is known is told again."""
    where = nowhere
    first = start_broker(spawn, "--base-port", where.brokerBasePort)
    reader = spawn(READER, where.generalXPUB, "2", name="reader")
    reader.wait_for("follows")
    sources = [
        spawn(SOURCE, where.generalXSUB, f"s{i}", "5", "500", name=f"s{i}", interactive=True)
        for i in range(2)
    ]
    with StatusTree(where) as tree:
        tree.wait_for("load.s1.number", lambda number: number > 500, timeout=30)
    first.child.kill()
    again = start_broker(spawn, "--base-port", where.brokerBasePort)
    for source in sources:
        source.wait_for("has emitted 2500", timeout=30)
    assert verdict(reader)["doubles"] == 0
    for source in sources:
        source.send_line("")
        source.wait()
    again.stop()


def test_a_frozen_source_is_stale_and_comes_back(broker: Endpoints, spawn: Spawner) -> None:
    source = spawn(SOURCE, broker.generalXSUB, "s", "0.1", "10", interactive=True)
    source.wait_for("has emitted")
    with StatusTree(broker) as tree:
        tree.wait_for("done.s", timeout=30)
        with prompt():
            assert not tree.leaf("done.s").stale
        source.freeze()
        wait_until(lambda: tree.leaf("done.s").stale, what="it is silent")
        source.thaw()
        wait_until(lambda: not tree.leaf("done.s").stale, what="it is heard again")
    source.send_line("")
    assert source.wait() == 0


def test_a_frozen_broker(broker_process: BrokerProcess) -> None:
    """Nobody is blocked meanwhile, and nobody is called stale afterwards for its standstill."""
    where = broker_process.endpoints
    with RocStatusUpdater(where) as updater, StatusTree(where) as tree:
        updater.emit("a", 1)
        tree.wait_for("a", timeout=30)
        stale: list[bool] = []
        broker_process.child.freeze()
        with statusUpdateIterator(where, timeout=0.2) as updates:
            assert next(updates) == {}
        begin = time.monotonic()
        while time.monotonic() - begin < 4:
            updater.emit("a", time.monotonic() - begin)
            time.sleep(0.001)
        updater.emit("a", "after")
        broker_process.child.thaw()

        def is_known() -> bool:
            stale.append(tree.leaf("a").stale)
            return bool(tree["a"] == "after")

        wait_until(is_known, what="what was emitted meanwhile")
        assert not any(stale)
        assert not tree.leaf("a").stale


def test_many_leaves_arrive_as_one_snapshot(broker: Endpoints) -> None:
    with RocStatusUpdater(broker) as updater:
        for branch in range(100):
            updater.emit(f"big.b{branch}", {f"n{i}": i / 7 for i in range(100)})
        with statusUpdateIterator(broker, "big", timeout=30) as updates:
            first = next(updates)
        updater.emit("end", 1)
        with StatusTree(broker) as tree:
            tree.wait_for("end", timeout=30)
            assert len(tree) == 10_001
            begin = time.monotonic()
            with statusUpdateIterator(broker, "big", timeout=30) as updates:
                first = next(updates)
            print(f"10,000 leaves in {(time.monotonic() - begin) * 1000:.0f} ms")
        assert sum(map(len, first["big"].values())) == 10_000
        with RocClient(broker, timeout=20) as client:
            assert client["roc.broker"].status("big.b7")["leaves"]["big.b7.n3"]["value"] == 3 / 7


def test_nothing_is_left_open(broker: Endpoints) -> None:
    """Making and closing a hundred of each leaves no descriptor behind."""
    folder = "/proc/self/fd"
    if not os.path.isdir(folder):
        pytest.skip("it counts the entries of /proc/self/fd")

    def round_trip() -> None:
        with RocStatusUpdater(broker) as updater, statusUpdateIterator(broker, timeout=30) as it:
            updater.emit("a", time.monotonic())
            next(it)

    round_trip()
    before = len(os.listdir(folder))
    for _ in range(100):
        round_trip()
    wait_until(lambda: len(os.listdir(folder)) <= before + 2, what="all are closed")
