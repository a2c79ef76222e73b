"""`roc`, as a process: in a pipe, and on a terminal."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from processes import POSIX, Child, Spawner, child_environment, rocbroker_command
from roccommand import Run, roc_command
from runmacs.roc import Endpoints

if TYPE_CHECKING:
    from terminals import Terminal

WITHIN = 60


@pytest.fixture
def environment(broker: Endpoints) -> Mapping[str, str | None]:
    """Where the test's broker is found."""
    return {"ROC_BROKER": broker.rocBroker, "COLUMNS": None, "LINES": None}


@pytest.fixture
def run(spawn: Spawner, environment: Mapping[str, str | None]) -> Run:
    """Run ``roc`` to its end, in a pipe; the exit status must be the one that is expected."""

    def run(
        *arguments: object, status: int = 0, stdin: str | bytes = ""
    ) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [*roc_command(), *map(str, arguments)],
            cwd=spawn.directory,
            env=child_environment(environment),
            input=stdin if isinstance(stdin, bytes) else stdin.encode(),
            capture_output=True,
            timeout=WITHIN,
        )
        told = subprocess.CompletedProcess(
            ended.args, ended.returncode, ended.stdout.decode(), ended.stderr.decode()
        )
        assert told.returncode == status, (told.returncode, told.stdout[-2000:], told.stderr)
        if status:
            assert len(told.stderr.splitlines()) == 1, told.stderr
        return told

    return run


@pytest.fixture
def roc(spawn: Spawner, environment: Mapping[str, str | None]) -> Callable[..., Child]:
    """Start ``roc``, its output into files."""

    def roc(*arguments: object) -> Child:
        return spawn.command([*roc_command(), *map(str, arguments)], env=environment)

    return roc


@pytest.fixture
def vnir(spawn: Spawner, roc: Callable[..., Child]) -> Child:
    """The laboratory's camera, shared as ``vnir``."""
    shutil.copy(Path(__file__).with_name("laboratory.py"), spawn.directory)
    child = roc("share", "laboratory:Camera", "--as", "vnir")
    child.wait_for("^roc share serving")
    return child


@pytest.fixture
def rocbroker(spawn: Spawner) -> Callable[..., Child]:
    """Start ``rocbroker`` with these options; it may as well end."""

    def rocbroker(*options: object, **env: str) -> Child:
        return spawn.command([*rocbroker_command(), *map(str, options)], env=env)

    return rocbroker


@pytest.fixture
def on_terminal(
    spawn: Spawner, environment: Mapping[str, str | None]
) -> Iterator[Callable[..., Terminal]]:
    """Start ``roc`` on a terminal."""
    if not POSIX:
        pytest.skip("ptys; run it on Linux or macOS")
    from terminals import terminal

    with ExitStack() as until_the_end:

        def on_terminal(
            *arguments: object, rows: int = 24, columns: int = 100, **env: str | None
        ) -> Terminal:
            argv = [*roc_command(), *map(str, arguments)]
            variables = {**environment, **env}
            return until_the_end.enter_context(
                terminal(argv, spawn.directory, variables, rows, columns)
            )

        yield on_terminal
