"""The status tree over a restart: whatever is found in its place."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from processes import Spawner, start_broker
from runmacs.roc import Endpoints, RocStatusUpdater, StatusTree, statusUpdateIterator
from runmacs.roc._drivers.statefile import StateFile
from runmacs.roc.core.statuskeeper import Saved
from waiting import wait_until


class Told(list[str]):
    def __call__(self, text: str) -> None:
        self.append(text)


@pytest.fixture
def told() -> Told:
    return Told()


def tree(**values: Any) -> Saved:
    return Saved([(path, value, "", 0, 1.5) for path, value in values.items()])


def test_what_was_saved_is_there_again(tmp_path: Path, told: Told) -> None:
    path = str(tmp_path / "deep" / "state.json")
    file = StateFile(path, told)
    assert file.load() is None
    for number in range(50):
        assert file.save(tree(a=number)) >= 1.0
    file.close()
    loaded = StateFile(path, told).load()
    assert loaded is not None
    saved, elapsed = loaded
    assert saved.leaves == [("a", 49, "", 0, 1.5)]
    assert 0 <= elapsed < 60
    assert os.listdir(tmp_path / "deep") == ["state.json"], "nothing is left beside it"
    assert told == []


WRONG = [
    b"",
    b'{"format":"roc status 1","saved":1.0,"tree":{"leaves":[["a",1,"",0',
    b"\x00\xff\xfe",
    b"{}",
    b'{"format":"roc status 2","saved":1.0,"tree":{}}',
    b'{"format":"roc status 1","saved":"x","tree":{}}',
    b'[{"somebody": "else\'s"}]',
    b"[" * 100_000,
]


@pytest.mark.parametrize("content", WRONG)
def test_torn_and_foreign_files_are_set_aside(tmp_path: Path, told: Told, content: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    file = StateFile(str(path), told)
    assert file.load() is None
    assert len(told) == 1
    (aside,) = tmp_path.glob("state.json.unreadable-*")
    assert str(aside) in told[0]
    assert aside.read_bytes() == content
    file.save(tree(a=1))
    file.close()
    assert StateFile(str(path), told).load() is not None
    assert aside.read_bytes() == content


@pytest.mark.skipif(sys.platform == "win32", reason="a folder cannot be made read-only there")
def test_a_place_that_cannot_be_written_is_said_once(tmp_path: Path, told: Told) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    file = StateFile(str(blocked / "state.json"), told)
    for number in range(3):
        file.save(tree(a=number))
        wait_until(lambda: told)
    file.close()
    assert len(told) == 1
    assert "cannot be written" in told[0]


@pytest.fixture
def where(nowhere: Endpoints) -> Endpoints:
    return nowhere


def test_a_broker_begins_with_what_it_knew(
    spawn: Spawner, where: Endpoints, tmp_path: Path
) -> None:
    """Killed or stopped, with nobody there who could tell it again."""
    path = tmp_path / "state.json"
    options = ("--base-port", where.brokerBasePort, "--state-file", path)
    first = start_broker(spawn, *options)
    with RocStatusUpdater(where, node="gone") as updater:
        updater.describe("a.b", unit="K")
        updater.emit("a", {"b": 1, "c": [2]})
        with statusUpdateIterator(where, timeout=30) as updates:
            assert next(updates)
    wait_until(lambda: path.exists() and b'"a.c"' in path.read_bytes(), what="it was saved")
    first.child.kill()
    second = start_broker(spawn, *options)
    with StatusTree(where) as tree:
        assert tree["a"] == {"b": 1, "c": [2]}
        assert tree.leaf("a.b").unit == "K"
        wait_until(lambda: tree.leaf("a.b").stale, what="its source is not heard any more")
        with RocStatusUpdater(where) as updater:
            updater.emit("d", 4)
            tree.wait_for("d", timeout=30)
        second.stop()
    third = start_broker(spawn, *options)
    with StatusTree(where) as tree:
        assert tree[""] == {"a": {"b": 1, "c": [2]}, "d": 4}
        assert tree.leaf("a.b").source.startswith("gone@")
    third.stop()


def test_a_broker_says_that_it_set_a_file_aside(
    spawn: Spawner, where: Endpoints, tmp_path: Path
) -> None:
    path = tmp_path / "state.json"
    path.write_text("{torn")
    broker = start_broker(spawn, "--state-file", path)
    wait_until(lambda: "unreadable-" in broker.child.stderr, what="it is said")
    assert list(tmp_path.glob("state.json.unreadable-*"))
    broker.stop()


def test_each_address_has_a_file_of_its_own(
    spawn: Spawner, where: Endpoints, tmp_path: Path
) -> None:
    home = {"XDG_STATE_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path), "HOME": str(tmp_path)}
    port = where.brokerBasePort
    for number in (port, 0):
        child = spawn.command(
            [sys.executable, "-m", "runmacs.roc.cli.rocbroker", "--base-port", str(number)],
            env=home,
        )
        ready = child.wait_for(r"generalXSUB=tcp://127.0.0.1:(\d+)")
        bound = Endpoints("127.0.0.1", int(ready[1]) - 1)
        with RocStatusUpdater(bound) as updater:
            updater.emit("a", 1)
        with statusUpdateIterator(bound, timeout=30) as updates:
            assert next(updates) == {"a": 1}
        child.terminate()
        assert child.wait() == 0
    (file,) = tmp_path.rglob("status-*.json")
    assert file.name == f"status-tcp-127.0.0.1-{port}.json"
    assert json.loads(file.read_bytes())["format"] == "roc status 1"
