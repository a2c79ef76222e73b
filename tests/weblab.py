"""A lab for the page: a broker, a camera with status and log, and `roc web`, all real processes."""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import BrokerProcess, Child, Spawner
from waiting import wait_until

EXAMPLE = Path(__file__).parents[1] / "examples" / "vnir"

SERVER = """
    import logging, sys, threading, time
    sys.path.insert(0, sys.argv[1])
    import numpy as np
    from camera import VNIRCamera
    from runmacs.roc import RocStatusUpdater
    from runmacs.roc.servers import run_simple_server

    log = logging.getLogger("camera.driver")

    class Camera(VNIRCamera):
        def say(self, text: str, level: int = 20) -> None:
            '''Log a line.'''
            log.log(level, "%s", text)

        def say_often(self, count: int, at_once: int = 1) -> None:
            '''Log so many lines, some each millisecond.'''
            for number in range(count):
                log.info("line %d", number)
                if number % at_once == 0:
                    time.sleep(0.001)

        def stumble(self) -> None:
            '''Log an exception.'''
            try:
                raise ValueError("the mirror is stuck")
            except ValueError:
                log.exception("readout failed")

        def wait(self, seconds: float = 1.0) -> str:
            '''Take some time.'''
            time.sleep(seconds)
            return "waited"

        def table(self) -> list:
            '''Rows.'''
            return [{"name": "a", "gain": 1}, {"name": "b", "gain": 2}]

    hostile = "<img src=x onerror=document.title='caught'>"
    updater = RocStatusUpdater()
    updater.describe("stage.position", unit="mm", limits=(0, 10))
    updater.describe("vnir.temperature", unit="K")
    updater.emit("stage", {"position": 1.0, "note": hostile, hostile: 1})
    updater.emit("stage.spectrum", np.hanning(50))
    updater.emit("stage.map", np.hanning(40)[:, None] * np.hanning(60))
    updater.describe("stage.pressure", unit="hPa", limits=(300, 1100))
    updater.emit("stage.pressure", 1203.5)
    with Camera(createStatusUpdater=RocStatusUpdater) as vnir:
        def report():
            number = 0
            while True:
                vnir._report()
                number += 1
                updater.emit("stage.position", 1.0 + number % 5)
                time.sleep(0.2)
        threading.Thread(target=report, daemon=True).start()
        run_simple_server("vnir", vnir)
"""

CHILLER = """
    from runmacs.roc import RocStatusUpdater
    from runmacs.roc.servers import run_simple_server

    class Chiller:
        def cool(self, to: float) -> None:
            '''Cool down to so many kelvin.'''

    updater = RocStatusUpdater()
    updater.describe("chiller.water", unit="°C", limits=(5, 30))
    updater.emit("chiller", {"water": 12.25, "pump": "on"})
    run_simple_server("chiller", Chiller())
"""

__all__ = ["Answer", "Lab", "printed_port", "start_web"]


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Lab:
    """The processes, and a way to ask over HTTP."""

    spawn: Spawner
    broker: BrokerProcess
    server: Child
    web: Child
    url: str
    cameras: int = 1

    def ask(
        self, path: str, body: object = None, *, method: str | None = None, **headers: str
    ) -> Answer:
        """A request; header names with ``_`` for ``-``."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            given.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(self.url + path, data, given, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())

    def call(self, method: str, *params: object, **headers: str) -> Any:
        """A call of the camera's, by JSON-RPC; its result."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": [*params]}
        said = self.ask("rpc/vnir", request, **headers).json
        assert "error" not in said, said
        return said["result"]

    def start_camera(self) -> Child:
        self.cameras += 1
        where = self.broker.endpoints.rocBroker
        name = f"camera{self.cameras}"
        env = {"ROC_BROKER": where}
        self.server = self.spawn(SERVER, EXAMPLE, name=name, env=env)
        return self.server

    def start_chiller(self) -> Child:
        """A second server; it is there when this returns."""
        where = self.broker.endpoints.rocBroker
        child = self.spawn(CHILLER, name="chiller", env={"ROC_BROKER": where})
        wait_until(lambda: self.ask("status/chiller").status == 200, what="its status is seen")
        there = "the chiller is there"
        wait_until(lambda: "chiller" in [one["id"] for one in self.ask("objects").json], 20, there)
        return child


def start_web(
    spawn: Spawner, broker: str, *options: object, name: str = "web"
) -> tuple[Child, str]:
    """`roc web` on a free port, and its address."""
    command = [sys.executable, "-m", "runmacs.roc.cli.roc", "web", "--port", "0"]
    child = spawn.command([*command, "--broker", broker, *map(str, options)], name=name)
    return child, child.wait_for(r"^roc web ready (\S+)$")[1]


def printed_port(url: str) -> int:
    found = re.search(r":(\d+)/", url)
    assert found is not None
    return int(found[1])
