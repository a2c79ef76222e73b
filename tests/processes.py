"""Child processes for tests: real programs with captured output and a certain end.

Rules:

* Output goes to files, never to pipes: a child cannot block on a test that does not read.
* Each child leads a process group of its own; `Child.close` kills the whole group,
  frozen or not, and the ``spawn`` fixture closes every child however its test ends.
* What a child printed is printed again when it is closed; pytest shows it with a failure.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
import textwrap
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from waiting import wait_until

if TYPE_CHECKING:
    from runmacs.roc.endpoints import Endpoints

__all__ = [
    "BrokerProcess",
    "Child",
    "Spawner",
    "only_says_how_it_runs",
    "rocbroker_command",
    "start_broker",
]

POSIX = sys.platform != "win32"


def only_says_how_it_runs(broker: Child) -> bool:
    """Whether a broker's log has nothing but the line that each begins with."""
    lines = broker.stderr.splitlines()
    return all(" INFO The broker's hot paths run in " in line for line in lines)


class Child:
    """One child process, started by `Spawner`.

    Attributes:
        process: the ``Popen`` behind it.
        signalled: whether the test itself sent it a signal, so that its end is no surprise.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        directory: Path,
        *,
        name: str,
        env: Mapping[str, str | None] | None = None,
        interactive: bool = False,
    ) -> None:
        self.name = name
        self.signalled = False
        self._out = directory / f"{name}.out"
        self._err = directory / f"{name}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [str(part) for part in argv],
                cwd=directory,
                env=child_environment(env or {}),
                stdin=subprocess.PIPE if interactive else subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=POSIX,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal, or None while the child runs."""
        return self.process.poll()

    @property
    def stdout(self) -> str:
        """What the child has written to stdout so far."""
        return self._out.read_text("utf-8", errors="replace")

    @property
    def stderr(self) -> str:
        """What the child has written to stderr so far."""
        return self._err.read_text("utf-8", errors="replace")

    def wait(self, timeout: float = 30.0) -> int:
        """Wait for the end, and return the exit status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(self._told(f"still runs after {timeout} s")) from None

    def ends_in_time(self, within: float = 2.0) -> int:
        """Wait for the end, which must come soon; the exit status."""
        from promptness import prompt  # here: instruments import this module, and need no pytest

        began = time.monotonic()
        status = self.wait()
        took = time.monotonic() - began
        print(f"{self.name} ended after {took:.2f} s")
        with prompt():
            assert took < within
        return status

    def wait_for(self, pattern: str, timeout: float = 30.0) -> re.Match[str]:
        """Wait until stdout matches ``pattern`` (lines are matched one by one)."""
        expression = re.compile(pattern, re.MULTILINE)

        def found() -> re.Match[str] | None:
            ended = self.returncode is not None
            match = expression.search(self.stdout)
            if match is None and ended:
                raise AssertionError(self._told(f"ended before it printed {pattern!r}"))
            return match

        try:
            match = wait_until(found, timeout, f"printed {pattern!r}")
        except AssertionError as error:
            raise AssertionError(self._told(str(error))) from None
        assert match is not None
        return match

    def send_line(self, line: str) -> None:
        """Write one line to the stdin of an interactive child."""
        assert self.process.stdin is not None, f"{self.name} is not interactive"
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def send_signal(self, number: int) -> None:
        self.signalled = True
        self.process.send_signal(number)

    def terminate(self) -> None:
        """Ask for a clean end (SIGTERM)."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL), and reap it."""
        self.signalled = True
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Stop it in mid-step (SIGSTOP), as a debugger or a full disk would; it has stopped."""
        self.send_signal(signal.SIGSTOP)
        if sys.platform == "linux":
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        self.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Kill the whole process group and print what the child had to say."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        if sys.platform != "win32":
            with suppress(ProcessLookupError, PermissionError):  # ended long ago
                os.killpg(self.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait()
        print(self._told(f"ended with {self.process.returncode}"))

    def _told(self, what: str) -> str:
        parts = [f"child {self.name} (pid {self.pid}): {what}"]
        for title, text in (("stdout", self.stdout), ("stderr", self.stderr)):
            if text:
                parts.append(f"--- its {title}\n{text.rstrip()}")
        return "\n".join(parts)


class Spawner:
    """Starts children in one directory, and ends them all; the ``spawn`` fixture.

    ::

        server = spawn('''
            from runmacs.roc import RocServer
            ...
        ''', broker.rocBroker)
        server.wait_for("ready")
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.children: list[Child] = []

    def __call__(
        self,
        program: str | Path,
        *arguments: object,
        name: str = "",
        env: Mapping[str, str | None] | None = None,
        interactive: bool = False,
    ) -> Child:
        """Run Python: source as a str (dedented first), or a file as a Path.

        Arguments follow as ``sys.argv[1:]``. The working directory is the test's own. In
        ``env`` stands what differs from this process; None removes a variable.
        """
        name = name or f"child{len(self.children) + 1}"
        if isinstance(program, str):
            source = textwrap.dedent(program)
            program = self.directory / f"{name}.py"
            program.write_text(source, "utf-8")
        argv = [sys.executable, str(program), *map(str, arguments)]
        return self.command(argv, name=name, env=env, interactive=interactive)

    def command(
        self,
        argv: Sequence[str | Path],
        *,
        name: str = "",
        env: Mapping[str, str | None] | None = None,
        interactive: bool = False,
    ) -> Child:
        """Run any command."""
        name = name or f"child{len(self.children) + 1}"
        assert name not in {child.name for child in self.children}, f"two children named {name}"
        child = Child(argv, self.directory, name=name, env=env, interactive=interactive)
        self.children.append(child)
        return child

    def close(self) -> None:
        """End every child, the youngest first."""
        for child in reversed(self.children):
            child.close()


class BrokerProcess:
    """A running ``rocbroker``.

    Attributes:
        child: the process.
        endpoints: where it listens.
    """

    def __init__(self, child: Child, endpoints: Endpoints) -> None:
        self.child = child
        self.endpoints = endpoints

    def stop(self, within: float = 30.0) -> None:
        """SIGTERM; it must exit with 0, in time. A broker that the test has ended is let be."""
        if self.child.returncode is None:
            self.child.terminate()
            assert self.child.wait(within) == 0, "rocbroker did not end cleanly on SIGTERM"
        else:
            assert self.child.signalled, "rocbroker ended by itself"


def rocbroker_command() -> list[str]:
    """The installed ``rocbroker``; in a tree that is not installed, the module behind it."""
    suffix = "" if POSIX else ".exe"
    script = Path(sysconfig.get_path("scripts")) / f"rocbroker{suffix}"
    if script.exists():
        return [str(script)]
    return [sys.executable, "-m", "runmacs.roc.cli.rocbroker"]


def start_broker(spawn: Spawner, *options: object, name: str = "") -> BrokerProcess:
    """Start ``rocbroker`` with these options, and wait for its ready line.

    Without ``--base-port`` among the options it takes free ports.
    """
    from runmacs.roc.endpoints import Endpoints  # here: tests of the pure layers need no more

    name = name or f"rocbroker{len(spawn.children) + 1}"
    given = [str(option) for option in options]
    if "--base-port" not in given:
        given += ["--base-port", "0"]
    child = spawn.command([*rocbroker_command(), *given], name=name)
    ready = child.wait_for(r"^rocbroker ready rocBroker=(\S+) generalXSUB=(\S+) generalXPUB=(\S+)$")
    transport, _, rest = ready[1].partition("://")
    host, _, port = rest.rpartition(":")
    endpoints = Endpoints(host.strip("[]"), int(port), transport)
    named = (endpoints.rocBroker, endpoints.generalXSUB, endpoints.generalXPUB)
    assert named == ready.groups(), "the ready line and Endpoints disagree"
    return BrokerProcess(child, endpoints)


def child_environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """This process's environment with ``changes``; None removes a variable."""
    env = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    if path := env.get("PYTHONPATH"):
        # Children run elsewhere: what is relative here would be lost there.
        entries = [os.path.abspath(entry) for entry in path.split(os.pathsep) if entry]
        env["PYTHONPATH"] = os.pathsep.join(entries)
    for key, value in changes.items():
        if value is None:
            env.pop(key, None)
        else:
            env[key] = value
    return env
