"""Whether the switch that forbids skips, and the fixtures for processes, hold what they promise."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from processes import Child, Spawner
from waiting import wait_until

TESTS = Path(__file__).parent

SKIPPED_TESTS = """\
import pytest

@pytest.mark.skip(reason="no tool")
def test_marked(): ...

def test_called():
    pytest.skip("no tool")

@pytest.mark.xfail
def test_known_bug():
    assert False
"""
SKIPPED_MODULE = "import pytest\npytest.importorskip('no_such_module')\n"


@pytest.mark.parametrize(
    ("no_skip", "status", "summary"),
    [("1", 1, "1 failed, 1 xfailed, 2 errors"), ("0", 0, "3 skipped, 1 xfailed")],
)
def test_the_switch_turns_every_skip_into_a_failure(
    spawn: Spawner, no_skip: str, status: int, summary: str
) -> None:
    inner = spawn.directory / "inner"
    inner.mkdir()
    shutil.copy(TESTS / "conftest.py", inner)
    (inner / "test_skipped_tests.py").write_text(SKIPPED_TESTS)
    (inner / "test_skipped_module.py").write_text(SKIPPED_MODULE)
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])

    argv = [sys.executable, "-m", "pytest", "-q", "--continue-on-collection-errors", "inner"]
    child = spawn.command(argv, name="pytest", env={"ROC_NO_SKIP": no_skip, "PYTHONPATH": path})

    assert child.wait(60) == status
    assert summary in child.stdout


LATE_TESTS = """\
import socket
import pytest
from promptness import TRIES, prompt

begun = {"late once": 0, "late": 0, "wrong": 0, "raises": 0}

@pytest.fixture
def number(request):
    begun[request.param] += 1
    return begun[request.param]

of = lambda name: pytest.mark.parametrize("number", [name], indirect=True)

@of("late once")
def test_late_once(number):
    left_open = [socket.socket()]
    left_open.append(left_open)
    with prompt():
        assert number == 2
    left_open[0].close()

@of("late")
@prompt()
def test_late_each_time(number):
    assert number > TRIES

@of("raises")
@prompt()
def test_does_not_raise_once(number):
    with pytest.raises(ValueError):
        if number > 1:
            raise ValueError

@of("wrong")
def test_wrong(number):
    with prompt():
        pass
    assert number > 1

def test_how_often():
    assert begun == {"late once": 2, "late": TRIES, "wrong": 1, "raises": 2}
"""


@pytest.fixture
def run_late(spawn: Spawner) -> Callable[..., Child]:
    """Run these tests to their end."""
    inner = spawn.directory / "inner"
    inner.mkdir()
    shutil.copy(TESTS / "conftest.py", inner)
    (inner / "test_late.py").write_text(LATE_TESTS)
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])

    def run_late(*options: str) -> Child:
        argv = [sys.executable, "-m", "pytest", "-q", "-W", "error", *options, "inner"]
        child = spawn.command(argv, name="pytest", env={"PYTHONPATH": path, "COLUMNS": "200"})
        child.wait(60)
        return child

    return run_late


@pytest.mark.parametrize("processes", ["0", "2"])
def test_who_was_late_begins_again(run_late: Callable[..., Child], processes: str) -> None:
    child = run_late("-n", processes, "--dist", "loadfile")
    assert child.returncode == 1
    assert "2 failed, 3 passed" in child.stdout
    assert "test_late_each_time[late] - promptness.Late: AssertionError" in child.stdout
    assert "test_wrong[wrong] - assert 1 > 1" in child.stdout
    assert "test_late_once[late once]: 1 x, as: AssertionError: assert 1 == 2" in child.stdout
    assert "test_does_not_raise_once[raises]: 1 x, as: Failed: DID NOT RAISE" in child.stdout


def test_what_a_late_one_has_left_open_is_no_complaint(run_late: Callable[..., Child]) -> None:
    child = run_late("-k", "late_once")
    assert child.returncode == 0
    assert "1 passed, 4 deselected" in child.stdout


def test_a_child_and_its_own_children_are_dead_after_close(spawn: Spawner) -> None:
    child = spawn("""
        import subprocess, sys, time
        inner = "import fcntl, time; file = open('held', 'w'); fcntl.flock(file, fcntl.LOCK_EX); "
        inner += "print('locked', flush=True); time.sleep(600)"
        subprocess.run([sys.executable, "-c", inner])
    """)
    child.wait_for("^locked$")
    child.freeze()

    child.close()

    assert child.returncode == -signal.SIGKILL
    with (spawn.directory / "held").open() as held:
        wait_until(
            lambda: can_lock(held), what="the child's own child is gone, and its lock with it"
        )


def test_a_child_that_fails_is_told_with_its_output(spawn: Spawner) -> None:
    child = spawn("import sys; sys.exit('the shutter is stuck')")

    with pytest.raises(AssertionError, match="the shutter is stuck"):
        child.wait_for("ready")


def can_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
