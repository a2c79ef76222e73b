"""`roc watch`: attributes and status values, live, while objects and brokers come and go."""

from __future__ import annotations

import csv
import io
import json
import signal
from collections.abc import Callable

import pytest

from processes import BrokerProcess, Child, Spawner, start_broker
from roccommand import OnTerminal, Run
from runmacs.roc import Endpoints, RocClient, RocStatusUpdater, StatusTree
from runmacs.roc.cli.watch import sparkline
from waiting import wait_until


def test_changes_are_lines(
    run: Run, roc: Callable[..., Child], vnir: Child, broker: Endpoints
) -> None:
    with RocStatusUpdater(broker, node="cpu") as updater, StatusTree(broker) as tree:
        updater.describe("system.cpu", unit="%")
        updater.emit("system.cpu", 30)
        tree.wait_for("system.cpu", timeout=30)
        child = roc("watch", "vnir.fps", "system", "-i", 0.05)
        child.wait_for(r"^vnir\.fps = 10\.0$")
        child.wait_for(r"^system\.cpu = 30 %$")
        run("set", "vnir.fps", 20)
        child.wait_for(r"^vnir\.fps = 20$")
        updater.emit("system.cpu", 31)
        child.wait_for(r"^system\.cpu = 31 %$")
        child.send_signal(signal.SIGINT)
        assert child.ends_in_time() == 0
        assert len(child.stdout.splitlines()) == 4
        assert child.stderr == ""


def test_every_sample_for_programs(roc: Callable[..., Child], vnir: Child) -> None:
    child = roc("watch", "vnir.fps", "--csv", "-i", 0.02)
    wait_until(lambda: len(child.stdout.splitlines()) > 5, what="samples")
    rows = list(csv.DictReader(io.StringIO(child.stdout)))
    assert rows[0]["name"] == "vnir.fps"
    assert rows[0]["value"] == "10.0"
    assert rows[0]["source"].startswith("vnir@")
    child = roc("watch", "vnir.fps", "--json", "-i", 0.02)
    wait_until(lambda: len(child.stdout.splitlines()) > 2, what="samples")
    assert json.loads(child.stdout.splitlines()[0])["value"] == 10.0


def test_the_object_is_lost_and_comes_back(
    run: Run, roc: Callable[..., Child], vnir: Child
) -> None:
    child = roc("watch", "vnir.fps", "-i", 0.05)
    child.wait_for(r"^vnir\.fps = 10\.0$")
    vnir.kill()
    wait_until(lambda: "vnir.fps: " in child.stderr, what="it says so")
    assert "waiting for it" in child.stderr
    again = roc("share", "laboratory:Camera", "--as", "vnir")
    again.wait_for("^roc share serving")
    wait_until(lambda: "vnir.fps: it is there again" in child.stderr, what="it resumes")
    wait_until(lambda: child.stdout.count("vnir.fps = 10.0") == 2, what="the value")


def test_the_broker_is_lost_and_comes_back(
    roc: Callable[..., Child], vnir: Child, broker_process: BrokerProcess, spawn: Spawner
) -> None:
    child = roc("watch", "vnir.fps", "-i", 0.05)
    child.wait_for(r"^vnir\.fps = 10\.0$")
    broker_process.child.kill()
    wait_until(lambda: "waiting for the broker" in child.stderr, what="it says so")
    start_broker(spawn, "--base-port", broker_process.endpoints.brokerBasePort)
    wait_until(lambda: "the broker is there again" in child.stderr, what="it is back")
    with RocClient(broker_process.endpoints, timeout=20) as client:
        client.wait_for("vnir").fps = 20.0
    child.wait_for(r"^vnir\.fps = 20\.0$")


def test_a_line_with_a_sparkline_on_a_terminal(
    on_terminal: OnTerminal, vnir: Child, broker: Endpoints
) -> None:
    screen = on_terminal("watch", "vnir.count", "vnir.title", "-i", 0.02)
    text = screen.wait_for("▁▁")
    assert text.count("vnir.count") == 1
    assert "vnir@" in text
    with RocClient(broker, timeout=20) as client:
        client["vnir"].title = "\x1b[2J\nmoved"
    assert "\\u001b[2J\\nmoved" in screen.wait_for("moved")
    vnir.kill()
    screen.wait_for("nobody shares it any more")
    screen.interrupt()
    assert screen.wait() == 0
    assert screen.is_clean


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("vnir.fsp", "did you mean 'fps'"),
        ("vnri.fps", "did you mean"),
        ("vnir.frame", "is a method, and only values can be watched"),
        ("vnir", "`roc describe vnir` shows what it has"),
    ],
)
def test_unknown_names(run: Run, vnir: Child, name: str, complaint: str) -> None:
    assert complaint in run("watch", name, status=4).stderr


def test_sparklines() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([5, 5]) == "▁▁"
    assert sparkline([float("inf"), float("nan")]) == ""
