"""`run_broker`: a broker that is there at once, disturbs nobody, and has ended for certain."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from promptness import prompt
from runmacs.roc import Endpoints, RocClient, RocServer
from runmacs.roc.errors import ConfigError
from runmacs.roc.testing import daemon, run_broker
from waiting import wait_until

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals; run it on Linux")


def child() -> psutil.Process:
    """The broker's process: the only child of this one."""
    (child,) = psutil.Process().children()
    return child


def is_free(endpoints: Endpoints) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((endpoints.brokerAddress, endpoints.brokerBasePort)) != 0


@pytest.mark.parametrize(
    ("process", "transport"),
    [
        (False, "tcp"),
        (False, "inproc"),
        pytest.param(False, "ipc", marks=POSIX),
        (True, "tcp"),
        pytest.param(True, "ipc", marks=POSIX),
    ],
)
def test_an_object_can_be_shared_and_called(process: bool, transport: str) -> None:
    with run_broker(process=process, transport=transport) as endpoints:
        assert endpoints.transport == transport
        with (
            RocServer(endpoints, "gains", [1, 2, 4]),
            RocClient(endpoints, timeout=5.0) as client,
        ):
            assert client["gains"].index(4) == 2
    if transport == "ipc":
        assert not Path(endpoints.brokerAddress).parent.exists()


@pytest.mark.parametrize("process", [False, True])
def test_ends_with_the_block_however_that_ends(process: bool) -> None:
    where: list[Endpoints] = []

    def break_off() -> None:
        with run_broker(process=process) as endpoints:
            where.append(endpoints)
            assert not is_free(endpoints)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert is_free(where[0])
    assert "roc-broker" not in {thread.name for thread in threading.enumerate()}
    assert psutil.Process().children() == []


def test_two_are_apart() -> None:
    with run_broker() as one, run_broker() as two:
        with RocServer(one, "vnir", []), RocClient(two) as client:
            assert list(client) == []
        assert one != two


def test_needs_no_configuration_and_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROC_CONFIG", str(tmp_path / "missing.toml"))
    monkeypatch.setenv("ROC_BROKER", "no broker")
    monkeypatch.setenv("ROC_CALLS_PER_OBJECT", "no number")
    before = dict(os.environ)
    for process in (False, True):
        with run_broker(process=process) as endpoints, RocClient(endpoints, timeout=20) as client:
            assert list(client) == []
            assert os.environ == before


@pytest.mark.parametrize(
    ("transport", "process", "words"),
    [("inproc", True, "reaches no other process"), ("tpc", False, "write 'tcp'")],
)
def test_senseless_transports(transport: str, process: bool, words: str) -> None:
    with pytest.raises(ConfigError, match=words), run_broker(process=process, transport=transport):
        pass


# --- a process that does not do as it should --------------------------------------------


def test_a_process_that_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(RuntimeError, match="did not start"), run_broker(process=True):
        pass
    assert "/nowhere" in capfd.readouterr().err


@POSIX
def test_a_process_that_hangs_at_its_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = tmp_path / "python"
    hangs.write_text("#!/bin/sh\nexec sleep 60\n")
    hangs.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hangs))
    monkeypatch.setattr(daemon, "_STARTS_WITHIN", 0.2)
    began = time.monotonic()
    with pytest.raises(RuntimeError, match="did not start"), run_broker(process=True):
        pass
    with prompt():
        assert time.monotonic() - began < 5.0
    assert psutil.Process().children() == []


@POSIX
def test_a_process_that_ends_by_itself_is_not_kept_secret() -> None:
    broker = run_broker(process=True)
    broker.__enter__()
    kill(child())
    with pytest.raises(RuntimeError, match=r"ended .*exit status -9"):
        broker.__exit__(None, None, None)


@POSIX
def test_what_the_test_says_comes_first() -> None:
    broker = run_broker(process=True)
    broker.__enter__()
    kill(child())
    stuck = AssertionError("the shutter is stuck")
    assert not broker.__exit__(AssertionError, stuck, None), "it is raised, and nothing else"


@POSIX
def test_a_process_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "_ENDS_WITHIN", 0.2)
    broker = run_broker(process=True)
    broker.__enter__()
    frozen = child()
    frozen.send_signal(signal.SIGSTOP)
    with pytest.raises(RuntimeError, match="did not end within"):
        broker.__exit__(None, None, None)
    assert not frozen.is_running()


def kill(process: psutil.Process) -> None:
    """Kill it; its parent shall be the one to find out."""
    process.kill()
    wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE, what="it is dead")
