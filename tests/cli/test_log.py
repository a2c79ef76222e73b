"""`roc log` and `roc log level`."""

from __future__ import annotations

import csv
import io
import json
import signal
from collections.abc import Callable

import pytest

from processes import BrokerProcess, Child, Spawner, start_broker
from roccommand import OnTerminal, Run
from runmacs.roc import Endpoints
from waiting import wait_until

DRIVER = """
import logging

log = logging.getLogger("camera.driver")

class Camera:
    def say(self, level: int, text: str) -> None:
        log.log(level, text)

    def storm(self, count: int, text: str) -> None:
        for _ in range(count):
            log.info(text)

    def fail(self) -> None:
        try:
            1 / 0
        except ZeroDivisionError:
            log.exception("the shutter jams")
"""


@pytest.fixture
def vnir(spawn: Spawner, roc: Callable[..., Child], broker: Endpoints) -> Child:
    """A camera that logs what it is told to."""
    (spawn.directory / "driver.py").write_text(DRIVER)
    child = roc("share", "driver:Camera", "--as", "vnir")
    child.wait_for("^roc share serving")
    return child


def say(run: Run, level: int, text: str) -> None:
    run("call", "vnir.say", level, json.dumps(text))


def test_what_was_said(run: Run, vnir: Child) -> None:
    say(run, 20, "one")
    say(run, 30, "two \x1b[31m\nthree")
    run("call", "vnir.fail")
    wait_until(lambda: "jams" in run("log").stdout, what="all is there")
    lines = run("log").stdout.splitlines()
    assert lines[0].endswith("camera.driver: one")
    assert " WARNING  vnir@" in lines[1]
    assert lines[1].endswith(r"two \x1b[31m\nthree")
    assert lines[3] == "    Traceback (most recent call last):"
    assert len(run("log", "-p", "warning", "-n", 1).stdout.splitlines()) > 1
    assert run("log", "-n", 0).stdout == ""
    assert run("log", "-u", "nobody").stdout == ""
    assert run("log", "--grep", "ZeroDivision").stdout.count("jams") == 1
    assert run("log", "--since", "1h", "--grep", "^on").stdout.count("\n") == 1
    assert run("log", "--since", "2099-01-01").stdout == ""
    assert json.loads(run("log", "--json").stdout)[0]["Body"] == "one"
    assert json.loads(run("log", "-o", "ndjson").stdout.splitlines()[1])["SeverityNumber"] == 13
    rows = list(csv.DictReader(io.StringIO(run("log", "-o", "csv").stdout)))
    assert [row["level"] for row in rows] == ["INFO", "WARNING", "ERROR"]


def test_more_than_one_answer_holds(run: Run, vnir: Child) -> None:
    text = "x" * 20_000
    for _ in range(3):
        run("call", "vnir.storm", 15, json.dumps(text))
    wait_until(lambda: len(run("log", "-o", "csv").stdout.splitlines()) == 46, what="all of it")
    assert len(run("log", "-n", 40).stdout.splitlines()) == 40


def test_it_follows_over_a_restart_of_the_broker(
    run: Run,
    roc: Callable[..., Child],
    vnir: Child,
    broker_process: BrokerProcess,
    spawn: Spawner,
) -> None:
    say(run, 20, "one")
    wait_until(lambda: "one" in run("log").stdout, what="it is there")
    child = roc("log", "-f")
    child.wait_for("camera.driver: one$")
    filtered = roc("log", "-f", "--grep", "tw", "-o", "ndjson")
    wait_until(lambda: run("broker", "info").stdout.count("subscribers") == 1, what="it follows")
    say(run, 20, "two")
    child.wait_for("camera.driver: two$")
    filtered.wait_for('"Body":"two"')
    assert "one" not in filtered.stdout
    broker_process.child.kill()
    wait_until(lambda: "is away; waiting for it" in child.stderr, what="it says so")
    start_broker(spawn, "--base-port", broker_process.endpoints.brokerBasePort)
    wait_until(lambda: "the broker is there again" in child.stderr, what="it says so")
    say(run, 20, "three")
    child.wait_for("camera.driver: three$")
    assert child.stdout.count(": two\n") == 1
    child.send_signal(signal.SIGINT)
    assert child.ends_in_time() == 0


def test_colours_on_a_terminal(run: Run, on_terminal: OnTerminal, vnir: Child) -> None:
    say(run, 40, "\x1b[32mgreen")
    wait_until(lambda: "green" in run("log").stdout, what="it is there")
    screen = on_terminal("log", "-f")
    screen.wait_for(r"\x1b[32mgreen")
    assert "\x1b[1;31m" in screen.raw
    assert "\x1b[32m" not in screen.raw
    screen.interrupt()
    assert screen.wait() == 0


def test_levels(run: Run, vnir: Child) -> None:
    assert run("log", "level", "vnir").stdout == "vnir: root: INFO\n"
    assert run("log", "level", "vnir", "camera.driver").stdout == (
        "vnir: camera.driver: INFO, from its parents\n"
    )
    say(run, 10, "unheard")
    set_to = run("log", "level", "vnir", "camera.driver", "DEBUG").stdout
    assert set_to == "vnir: camera.driver: DEBUG\n"
    say(run, 10, "heard")
    wait_until(lambda: ": heard" in run("log").stdout, what="it is heard")
    assert "unheard" not in run("log").stdout
    assert "Unknown level" in run("log", "level", "vnir", "camera", "LOUD", status=1).stderr
    assert "did you mean 'vnir'" in run("log", "level", "vnri", status=4).stderr


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("-p", "loud"), 2, "is no level"),
        (("--grep", "("), 2, "is no regular expression"),
        (("--since", "soon"), 2, "is no moment"),
        (("-n", "many"), 2, "not a valid integer"),
    ],
)
def test_mistakes(run: Run, arguments: tuple[str, ...], status: int, complaint: str) -> None:
    assert complaint in run("log", *arguments, status=status).stderr


def test_no_broker(run: Run, nowhere: Endpoints) -> None:
    where = ("-b", nowhere.rocBroker, "-t", 0.3)
    run("log", *where, status=3)
    run("log", "level", "vnir", *where, status=3)
