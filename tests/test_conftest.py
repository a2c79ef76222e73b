"""The switch that forbids skips, and the fixtures for processes: do they hold what they promise?"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import IO

import pytest

from processes import Spawner
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
        wait_until(lambda: can_lock(held), 5, "the child's own child is gone, and its lock with it")


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
