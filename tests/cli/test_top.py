"""`roc top`, on a terminal, with its keys."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

from processes import BrokerProcess, Child, Spawner, start_broker
from roccommand import OnTerminal, Run
from runmacs.roc import Endpoints, RocServer, RocStatusUpdater, StatusTree


def test_the_screen_and_its_keys(
    run: Run,
    on_terminal: OnTerminal,
    vnir: Child,
    broker: Endpoints,
) -> None:
    run("call", "vnir.expose", 11, status=1)
    with (
        RocServer(broker, "stage", [1]),
        RocStatusUpdater(broker) as updater,
        StatusTree(broker) as tree,
    ):
        updater.emit("room", {"temperature": 21.5, "bad": "\x1b[31m[bold]red"})
        tree.wait_for("room.temperature", timeout=30)
        screen = on_terminal("top", rows=30, columns=120)
        text = screen.wait_for("2 of 2 objects serving")
        text = screen.wait_for("temperature")
        assert "objects, by id" in text
        assert "vnir.expose raised ValueError" in text
        assert r"\u001b[31m[bold]red" in text
        screen.wait_for(" ms ")

        screen.press("r")
        screen.wait_for("ID ▼")
        screen.press("s")
        screen.wait_for("objects, by state")
        screen.press("/")
        screen.wait_for("show only what contains")
        screen.press("stag")
        screen.wait_for("with 'stag'")
        assert "vnir " not in screen.text
        screen.press("\r")
        screen.wait_until_gone("stag ")
        screen.press("\x1b")
        screen.wait_until_gone("with 'stag'")
        screen.press("p")
        screen.wait_for("standing still")
        screen.press("p")
        screen.wait_until_gone("standing still")
        screen.press("z")
        screen.wait_until_gone("─ log ─")
        screen.press("z")
        screen.wait_for("─ log ─")
        screen.press("q")
        assert screen.wait() == 0
        assert screen.is_clean


def test_log_lines_and_their_level(
    on_terminal: OnTerminal, spawn: Spawner, roc: Callable[..., Child], run: Run
) -> None:
    (spawn.directory / "driver.py").write_text(
        "import logging\n"
        "class Camera:\n"
        "    def say(self, level, text): logging.getLogger('x').log(level, text)\n"
    )
    roc("share", "driver:Camera", "--as", "vnir").wait_for("^roc share serving")
    screen = on_terminal("top", rows=30, columns=120)
    screen.wait_for("1 of 1 objects serving")
    run("call", "vnir.say", 20, json.dumps("calm"))
    run("call", "vnir.say", 40, json.dumps("\x1b[2J[red]alarm"))
    screen.wait_for("calm")
    assert r"\x1b[2J[red]alarm" in screen.wait_for("alarm")
    screen.press("ll")
    screen.wait_for("log, warning and above")
    screen.wait_until_gone("calm")
    assert "alarm" in screen.text
    screen.interrupt()
    assert screen.wait() == 0
    assert screen.is_clean


def test_the_broker_goes_and_comes_back(
    on_terminal: OnTerminal, vnir: Child, broker_process: BrokerProcess, spawn: Spawner
) -> None:
    screen = on_terminal("top", rows=30, columns=120)
    screen.wait_for("1 of 1 objects serving")
    broker_process.child.kill()
    screen.wait_for("waiting for the broker at")
    start_broker(spawn, "--base-port", broker_process.endpoints.brokerBasePort)
    screen.wait_for("1 of 1 objects serving")
    screen.process.kill(signal.SIGTERM)
    assert screen.wait() == 0
    assert screen.is_clean


def test_where_it_cannot_be(
    run: Run, on_terminal: OnTerminal, spawn: Spawner, nowhere: Endpoints
) -> None:
    assert "needs a terminal: in a pipe use `roc ls`" in run("top", status=2).stderr
    screen = on_terminal("top", "-b", nowhere.rocBroker, "-t", 0.3)
    assert screen.wait() == 3
    (spawn.directory / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "known = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'textual' else known(name, *more)\n"
    )
    screen = on_terminal("top", PYTHONPATH=str(spawn.directory))
    assert screen.wait() == 2
    assert "pip install 'runmacs-roc[top]'" in screen.text.replace("\n", "")
