"""The examples that publish: what they say stands in the status tree."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

import pytest

from processes import Spawner
from runmacs.roc import Endpoints, RocClient, StatusTree
from waiting import wait_until

pytest.importorskip("psutil", reason="psutil is not installed: pip install psutil")
pytest.importorskip("numpy", reason="numpy is not installed: pip install numpy")

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs the signals of POSIX")


def test_the_camera_tells_temperature_frame_rate_and_shutter(
    spawn: Spawner, broker: Endpoints
) -> None:
    server = spawn(
        EXAMPLES / "vnir" / "server.py", name="vnir", env={"ROC_BROKER": broker.rocBroker}
    )
    with RocClient(broker, timeout=20) as client, StatusTree(broker) as tree:
        vnir = client.wait_for("vnir", 20)
        told = tree.wait_for("vnir", lambda branch: "temperature" in branch, timeout=30)
        assert told["fps"] == 10.0
        shut = told["shutter"]
        vnir.fps = 20.0
        assert tree.wait_for("vnir.fps", lambda fps: fps == 20.0, timeout=30) == 20.0
        vnir.openShutter()
        assert tree.wait_for("vnir.shutter", lambda state: state != shut, timeout=30)
        server.send_signal(signal.SIGTERM)
        tree.wait_for("vnir.shutter", lambda state: state == shut, timeout=30)
        assert server.wait() == 0
        wait_until(lambda: tree.leaf("vnir.fps").stale, what="the camera is gone")


def test_the_host_tells_how_it_is_once_a_second(spawn: Spawner, broker: Endpoints) -> None:
    monitor = spawn(
        EXAMPLES / "host" / "monitor.py", name="monitor", env={"ROC_BROKER": broker.rocBroker}
    )
    path = "host." + socket.gethostname().replace(".", "-")
    with StatusTree(broker) as tree:
        first = tree.wait_for(path, lambda branch: len(branch) == 7, timeout=30)
        assert 0 < first["memory"] < 100
        assert len(first["load"]) == 3
        assert tree.leaf(f"{path}.cpu").limits == (0, 95)
        tree.wait_for(f"{path}.uptime", lambda seconds: seconds > first["uptime"], timeout=30)
    monitor.send_signal(signal.SIGINT)
    assert monitor.wait() == 0
    assert monitor.stderr == ""
