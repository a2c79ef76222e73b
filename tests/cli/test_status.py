"""`roc status`: shown once, followed, and set by hand."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from processes import BrokerProcess, Child, Spawner, child_environment, start_broker
from roccommand import OnTerminal, Run
from runmacs.roc import Endpoints, RocStatusUpdater, StatusTree
from waiting import wait_until


@pytest.fixture
def updater(broker: Endpoints) -> Iterator[RocStatusUpdater]:
    """A source with two values, which the broker has."""
    with RocStatusUpdater(broker, node="vnir") as updater, StatusTree(broker) as tree:
        updater.describe("vnir.temperature", unit="°C", limits=(-10, 35))
        updater.emit("vnir", {"temperature": 21.5, "shutter": "open"})
        tree.wait_for("vnir.shutter", timeout=30)
        yield updater


def test_columns_in_a_pipe(run: Run, updater: RocStatusUpdater) -> None:
    header, shutter, temperature = run("status").stdout.splitlines()
    assert header.split() == ["PATH", "VALUE", "UNIT", "AGE", "SOURCE"]
    assert shutter.split()[:2] == ["vnir.shutter", "open"]
    assert temperature.split()[:3] == ["vnir.temperature", "21.5", "°C"]
    assert " vnir@" in temperature


def test_the_forms_for_programs(run: Run, updater: RocStatusUpdater) -> None:
    document = json.loads(run("status", "vnir.temperature", "--json").stdout)
    assert len(document) == 1
    leaf = document[0]
    assert 0 <= leaf.pop("age") < 10
    assert leaf.pop("source").startswith("vnir@")
    assert leaf == {
        "path": "vnir.temperature",
        "value": 21.5,
        "unit": "°C",
        "stale": False,
        "description": None,
        "limits": [-10, 35],
    }
    lines = run("status", "-o", "ndjson").stdout.splitlines()
    assert [json.loads(line)["value"] for line in lines] == ["open", 21.5]
    table = list(csv.DictReader(io.StringIO(run("status", "-o", "csv").stdout)))
    assert [row["value"] for row in table] == ["open", "21.5"]


def test_a_tree_on_a_terminal(on_terminal: OnTerminal, updater: RocStatusUpdater) -> None:
    for columns in (100, 60):
        screen = on_terminal("status", columns=columns)
        assert screen.wait() == 0
        top, shutter, temperature = screen.text.splitlines()
        assert top == "vnir"
        assert shutter.startswith("├─ shutter      open")
        assert temperature.startswith("└─ temperature  21.5")
        assert "°C" in temperature
        assert "vnir@" in temperature


def test_nothing_there(run: Run, updater: RocStatusUpdater) -> None:
    ended = run("status", "vnri", status=4)
    assert "nothing is published under 'vnri': did you mean 'vnir'" in ended.stderr
    assert ended.stdout == ""


def test_an_empty_tree(run: Run) -> None:
    ended = run("status")
    assert "nobody has published anything yet" in ended.stderr
    assert run("status", "--json").stdout == "[]\n"


# ---- followed


def test_each_change_is_a_line(
    roc: Callable[..., Child], broker: Endpoints, updater: RocStatusUpdater
) -> None:
    child = roc("status", "vnir", "--follow")
    child.wait_for(r"^vnir\.temperature = 21\.5$")
    for number in range(50):
        updater.emit("vnir.temperature", number)
    updater.emit("other", 1)
    updater.remove("vnir.shutter")
    child.wait_for("^vnir.shutter removed$")
    child.send_signal(signal.SIGINT)
    assert child.ends_in_time() == 0
    assert child.stderr == ""
    first, *changes = child.stdout.splitlines()
    assert first == "vnir.shutter = open"
    numbers = [f"vnir.temperature = {number}" for number in range(50)]
    assert changes == ["vnir.temperature = 21.5", *numbers, "vnir.shutter removed"]


@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_each_change_is_an_object(
    roc: Callable[..., Child], updater: RocStatusUpdater, form: str
) -> None:
    child = roc("status", "-f", "-o", form)
    child.wait_for("temperature")
    updater.emit("vnir.temperature", float("nan"))
    wait_until(lambda: len(child.stdout.splitlines()) == 3, what="three lines")
    changes: list[dict[str, Any]] = [json.loads(line) for line in child.stdout.splitlines()]
    assert [change["value"] for change in changes] == ["open", 21.5, None]
    assert changes[1]["unit"] == "°C"
    assert not changes[1]["removed"]


def test_a_source_that_ends_makes_its_values_stale(
    roc: Callable[..., Child], updater: RocStatusUpdater
) -> None:
    child = roc("status", "-f")
    child.wait_for(r"^vnir\.temperature = 21\.5$")
    updater.close()
    child.wait_for(r"^vnir\.temperature = 21\.5 \(stale\)$")


def test_it_waits_for_a_broker_and_resumes_after_a_restart(
    roc: Callable[..., Child], spawn: Spawner, broker_process: BrokerProcess
) -> None:
    endpoints = broker_process.endpoints
    broker_process.stop()
    child = roc("status", "-f")
    wait_until(lambda: "waiting for the broker" in child.stderr, what="it says so")
    assert endpoints.rocBroker in child.stderr
    second = start_broker(spawn, "--base-port", endpoints.brokerBasePort)
    with RocStatusUpdater(endpoints) as updater:
        updater.emit("vnir", 1)
        child.wait_for("^vnir = 1$")
        wait_until(lambda: "the broker is there again" in child.stderr, what="it says so")
        second.child.kill()
        wait_until(lambda: child.stderr.count("waiting for the broker") == 2, what="it is gone")
        third = start_broker(spawn, "--base-port", endpoints.brokerBasePort)
        updater.emit("vnir", 2)
        child.wait_for("^vnir = 2$")
        wait_until(lambda: child.stderr.count("there again") == 2, what="it says so again")
    third.stop()


def test_the_tree_is_redrawn_in_place(
    on_terminal: OnTerminal,
    spawn: Spawner,
    broker_process: BrokerProcess,
    updater: RocStatusUpdater,
) -> None:
    screen = on_terminal("status", "-f")
    screen.wait_for("21.5")
    updater.emit("vnir.temperature", 22.5)
    text = screen.wait_for("22.5")
    assert text.count("temperature") == 1
    assert "21.5" not in text
    broker_process.child.kill()
    screen.wait_for("waiting for the broker")
    start_broker(spawn, "--base-port", broker_process.endpoints.brokerBasePort)
    screen.wait_until_gone("waiting for the broker")
    updater.emit("vnir.temperature", 23.5)
    screen.wait_for("23.5")
    updater.close()
    screen.wait_for("stale")
    screen.interrupt()
    assert screen.wait() == 0
    assert screen.is_clean


def test_a_tree_that_is_higher_than_the_terminal(
    on_terminal: OnTerminal, updater: RocStatusUpdater
) -> None:
    updater.emit("many", {f"x{number}": number for number in range(100)})
    screen = on_terminal("status", "-f", rows=12)
    text = screen.wait_for("more: name a MASK")
    assert text.startswith("many\n├─ x0 ")


def test_without_rich_a_terminal_gets_plain_lines(
    on_terminal: OnTerminal, spawn: Spawner, updater: RocStatusUpdater
) -> None:
    (spawn.directory / "rich.py").write_text("raise ImportError('no rich')")
    screen = on_terminal("status", PYTHONPATH=str(spawn.directory))
    assert screen.wait() == 0
    assert "\x1b" not in screen.raw
    assert screen.text.splitlines()[2].startswith("└─ temperature  21.5")
    screen = on_terminal("status", "-f", PYTHONPATH=str(spawn.directory))
    screen.wait_for("vnir.temperature = 21.5")
    assert "pip install 'runmacs-roc[cli]'" in screen.text


def test_head_ends_it_quietly(
    spawn: Spawner, environment: dict[str, str], updater: RocStatusUpdater
) -> None:
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    for command in ("roc status -f", "roc status -o csv", "roc status --json"):
        ended = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command} | head -1"],
            env=child_environment({**environment, "PATH": path}),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ended.stderr == ""
        assert ended.returncode == 0
        assert len(ended.stdout.splitlines()) == 1


def test_hostile_texts_are_escaped(
    run: Run, roc: Callable[..., Child], on_terminal: OnTerminal, updater: RocStatusUpdater
) -> None:
    updater.describe("bad", unit="\x1b[31m")
    updater.emit("bad", "\x1b]0;title\x07\nvnir.shutter = closed\u202e")
    child = roc("status", "bad", "-f")
    child.wait_for(r"^bad = ")
    wait_until(lambda: child.stdout.endswith("\n"), what="the whole line")
    assert child.stdout.count("\n") == 1
    screen = on_terminal("status", "bad")
    assert screen.wait() == 0
    for text in (child.stdout, run("status", "bad").stdout, screen.raw.replace("\x1b[", "")):
        assert not {"\x1b", "\x07", "\u202e"} & {*text}
        assert "\\u202e" in text


# ---- by hand


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("ascent", "ascent"),
        ("3", 3),
        ("2.5", 2.5),
        ('"3"', "3"),
        ("[1, 2]", [1, 2]),
        ("{bad", "{bad"),
    ],
)
def test_set(run: Run, broker: Endpoints, word: str, value: object) -> None:
    assert run("status", "set", "flight.phase", word).stdout == "set flight.phase\n"
    leaf = json.loads(run("status", "--json").stdout)[0]
    assert (leaf["path"], leaf["value"], leaf["source"]) == ("flight.phase", value, "")


def test_set_a_branch_and_remove_it(run: Run) -> None:
    ended = run("status", "set", "flight", '{"leg": 3, "crew.left": "A"}')
    assert ended.stdout == "set flight.leg\nset flight.crew.left\n"
    assert run("status", "rm", "flight.crew").stdout == "removed flight.crew.left\n"
    assert "did you mean 'flight'" in run("status", "rm", "flihgt", status=4).stderr
    assert len(json.loads(run("status", "--json").stdout)) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("set", "roc.x", "1"), 2, "what begins with 'roc' is the broker's own"),
        (("set", "a..b", "1"), 2, "is not a status path"),
        (("set", "a", "{}"), 2, "has no values to set"),
        (("set", "a"), 2, "Missing argument 'VALUE'"),
        (("rm", ""), 2, "name a path"),
        (("a?",), 2, "is not a status path"),
        (("-o", "xml"), 2, "is not one of"),
        (("-t", "-1"), 2, "A timeout is a number of seconds above 0"),
    ],
)
def test_mistakes(run: Run, arguments: tuple[str, ...], status: int, complaint: str) -> None:
    assert complaint in run("status", *arguments, status=status).stderr


@pytest.mark.parametrize("arguments", [(), ("set", "a", "1"), ("rm", "a")])
def test_no_broker(run: Run, nowhere: Endpoints, arguments: tuple[str, ...]) -> None:
    where = ("-b", nowhere.rocBroker, "-t", "0.3")
    ended = run("status", *arguments, *where, status=3)
    assert "no broker answers" in ended.stderr
    assert "Start one with `rocbroker`" in ended.stderr
