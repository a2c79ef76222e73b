"""The example programs, run as a newcomer runs them: real processes, a real broker."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from processes import Child, Spawner

if TYPE_CHECKING:
    from runmacs.roc.endpoints import Endpoints

psutil = pytest.importorskip("psutil", reason="psutil is not installed: pip install psutil")
pytest.importorskip("numpy", reason="numpy is not installed: pip install numpy")

EXAMPLES = Path(__file__).parents[2] / "examples"

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs the signals of POSIX")


@contextmanager
def run_demo(spawn: Spawner, program: Path, **env: str) -> Iterator[Child]:
    """A running demo; its own children do not outlive it, even if the test fails."""
    demo = spawn(program, name="demo", env=env)
    try:
        yield demo
    finally:
        if demo.returncode is None:
            demo.terminate()
            demo.wait()


def is_listening(address: str) -> bool:
    host, port = re.fullmatch(r"tcp://(.+):(\d+)", address).groups()  # type: ignore[union-attr]
    try:
        socket.create_connection((host, int(port)), 1.0).close()
    except OSError:
        return False
    return True


# The demo


def test_the_demo_tells_its_story_and_leaves_nothing_running(spawn: Spawner) -> None:
    with run_demo(spawn, EXAMPLES / "vnir" / "demo.py") as demo:
        assert demo.wait(40.0) == 0

    story = demo.stdout
    assert demo.stderr == ""
    assert "\x1b" not in story, "colour in a file"
    steps = [int(number) for number in re.findall(r"^ ?(\d+)\. ", story, re.MULTILINE)]
    assert steps == list(range(1, len(steps) + 1))
    for part in (
        ">>> vnir.openShutter()",
        ">>> vnir.fps\n      10.0\n",
        ">>> vnir.integrationTime\n      0.02\n",
        "((40, 640, 320), dtype('uint16'))",
        "MB/s through the broker",
        "is found at 546.",
        "integration time must be between 0.0001 and 5 s, not -0.02",
        "in setIntegrationTime",  # a line of the remote traceback
        "openShutter",
        "vnir: shutter closed, cooler off: the camera is safe",
        "Nothing is left running.",
    ):
        assert part in story
    (address,) = set(re.findall(r"ROC_BROKER=(\S+)", story))
    assert not is_listening(address)


def test_a_misspelt_name_is_answered_with_the_nearest(spawn: Spawner) -> None:
    with run_demo(spawn, EXAMPLES / "vnir" / "demo.py") as demo:
        demo.wait(40.0)

    method = re.search(r">>> vnir\.openShuter\(\)\n(.+\n)+?.*>>>", demo.stdout)
    object_id = re.search(r">>> c\['vnri'\]\.fps\n(.+\n)+", demo.stdout)
    assert method is not None
    assert "openShutter" in method[0]
    assert object_id is not None
    assert re.search(r"\bvnir\b", object_id[0])


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_stops_what_it_started(spawn: Spawner, number: signal.Signals) -> None:
    with run_demo(spawn, EXAMPLES / "vnir" / "demo.py") as demo:
        demo.wait_for("It fetches 40 frames", 30.0)
        children = psutil.Process(demo.pid).children(recursive=True)
        assert len(children) == 2
        demo.send_signal(number)

        assert demo.wait() == 130

    assert not any(child.is_running() for child in children)
    assert "Interrupted" in demo.stdout
    assert "Traceback" not in demo.stdout + demo.stderr


def test_a_demo_whose_camera_is_broken_says_so_and_stops_the_rest(spawn: Spawner) -> None:
    copy = spawn.directory / "vnir"
    shutil.copytree(EXAMPLES / "vnir", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "server.py").write_text("raise SystemExit('no camera on the bus')\n")

    with run_demo(spawn, copy / "demo.py") as demo:
        assert demo.wait() == 1

    assert "The demo failed: the camera's server ended unexpectedly" in demo.stdout
    assert "no camera on the bus" in demo.stdout
    assert "Traceback" not in demo.stdout + demo.stderr
    (address,) = set(re.findall(r"ROC_BROKER=(\S+)", demo.stdout))
    assert not is_listening(address)


@posix
def test_a_demo_that_nobody_listens_to_stops_what_it_started(spawn: Spawner) -> None:
    command = f"'{sys.executable}' '{EXAMPLES / 'vnir' / 'demo.py'}' | head -n 8"
    shell = spawn.command(["bash", "-o", "pipefail", "-c", command], name="shell")

    assert shell.wait() == 1
    assert "Traceback" not in shell.stderr
    (address,) = re.findall(r"rocBroker=(\S+)", shell.stdout)
    assert not is_listening(address)


# Server and client by themselves


def test_the_camera_and_its_client(spawn: Spawner, broker: Endpoints) -> None:
    server = spawn(
        EXAMPLES / "vnir" / "server.py", name="server", env={"ROC_BROKER": broker.rocBroker}
    )
    wait_for_object(broker, "vnir")
    host, _, port = broker.rocBroker.removeprefix("tcp://").rpartition(":")

    by_environment = spawn(
        EXAMPLES / "vnir" / "client.py", name="client", env={"ROC_BROKER": f"{host}:{port}"}
    )
    assert by_environment.wait() == 0
    assert "frames per second: 10.0\n" in by_environment.stdout
    assert re.search(r"frame: \(640, 320\) uint16 mean \d+\.\d DN", by_environment.stdout)

    server.terminate()
    assert server.wait() == 0
    assert "shutter closed, cooler off" in server.stderr


@posix
def test_ctrl_c_at_the_server_closes_the_shutter(spawn: Spawner, broker: Endpoints) -> None:
    server = spawn(
        EXAMPLES / "vnir" / "server.py", name="server", env={"ROC_BROKER": broker.rocBroker}
    )
    wait_for_object(broker, "vnir")
    server.send_signal(signal.SIGINT)

    assert server.wait() == 0
    assert "shutter closed, cooler off" in server.stderr
    assert "Traceback" not in server.stderr


def test_psutil_shared_as_it_is(spawn: Spawner, broker: Endpoints) -> None:
    env = {"ROC_BROKER": broker.rocBroker}
    spawn(EXAMPLES / "host" / "server.py", name="server", env=env)
    wait_for_object(broker, "host")

    client = spawn(EXAMPLES / "host" / "client.py", name="client", env=env)
    assert client.wait() == 0

    told = client.stdout
    assert re.search(rf"^processors: {os.cpu_count()}, busy: \d+\.\d %$", told, re.MULTILINE)
    assert re.search(r"^memory: \d+\.\d GiB, used: \d+\.\d %$", told, re.MULTILINE)
    assert f"127.0.0.1 ({socket.AF_INET.value})" in told  # an enum, by its value
    assert re.search(r"^no folder: .*/no/such/folder", told, re.MULTILINE)
    assert re.search(r"^no interval: .*interval is not positive", told, re.MULTILINE)
    assert re.search(r"^no way to os: .*os", told, re.MULTILINE)


def test_of_psutil_only_what_it_offers_can_be_reached(spawn: Spawner, broker: Endpoints) -> None:
    spawn(EXAMPLES / "host" / "server.py", name="server", env={"ROC_BROKER": broker.rocBroker})
    wait_for_object(broker, "host")
    from runmacs.roc import RocClient

    with RocClient(broker, timeout=20) as client:
        host = client["host"]
        assert host.boot_time() == pytest.approx(psutil.boot_time(), abs=2.0)
        assert host.STATUS_RUNNING == psutil.STATUS_RUNNING  # a constant
        assert set(host.virtual_memory()) == set(psutil.virtual_memory()._fields)
        for refused in ("os", "sys", "signal", "Process", "Popen", "NoSuchProcess"):
            with pytest.raises(AttributeError, match=refused):
                call(host, refused)
        for private in ("_common", "_psplatform", "__builtins__", "__loader__"):
            with pytest.raises(AttributeError, match="underscore"):
                call(host, private)
        with pytest.raises(AttributeError):
            host.os.system("true")
        with pytest.raises(AttributeError):
            host.cpu_percent.__globals__.get("os")
        assert host.pid_exists(os.getpid())  # and it serves on


def call(proxy: object, name: str) -> object:
    """Fetch a member and call it; whichever of the two is refused."""
    return getattr(proxy, name)()


def wait_for_object(broker: Endpoints, object_id: str) -> None:
    from runmacs.roc import RocClient

    with RocClient(broker, timeout=20) as client:
        client.wait_for(object_id, timeout=15)
