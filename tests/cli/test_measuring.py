"""`roc ping`, `bench`, `broker run` and `broker info`."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable

import pytest

from processes import Child
from roccommand import Run
from runmacs.roc import Endpoints, RocClient
from waiting import wait_until


def test_ping(run: Run, roc: Callable[..., Child], vnir: Child) -> None:
    lines = run("ping", "vnir", "-n", 3, "-i", 0).stdout.splitlines()
    assert lines[0].startswith("vnir on ")
    assert [line.split()[1] for line in lines[1:4]] == ["1:", "2:", "3:"]
    assert lines[4].startswith("3 of 3 came back: min ")
    document = json.loads(run("ping", "--json", "-n", 2, "-i", 0).stdout)
    assert (document["object"], document["sent"], document["received"]) == ("roc.broker", 2, 2)
    assert 0 < document["ms"]["min"] <= document["ms"]["p50"] <= document["ms"]["max"]
    rows = list(csv.DictReader(io.StringIO(run("ping", "-n", 2, "-i", 0, "-o", "csv").stdout)))
    assert [row["n"] for row in rows] == ["1", "2"]
    roc("call", "vnir.expose", 5, "-t", 9)
    wait_until(lambda: "  1" in run("ls").stdout, what="the call is there")
    run("ping", "vnir", "-n", 1)
    assert "nobody shares 'vnri'" in run("ping", "vnri", status=4).stderr


def test_bench(run: Run, vnir: Child) -> None:
    header, serial, many = run("bench", "vnir", "--seconds", 0.1).stdout.splitlines()
    assert header.split()[:4] == ["OBJECT", "HOW", "CALLS", "CALLS/S"]
    assert serial.startswith("vnir    one after the other ")
    assert many.startswith("vnir    100 at once ")
    rows = json.loads(run("bench", "--seconds", 0.1, "--json").stdout)
    assert [row["object"] for row in rows] == ["roc.broker", "roc.broker"]
    assert all(row["calls"] > 0 < row["p50"] <= row["max"] for row in rows)


def test_broker_info(run: Run, broker: Endpoints, vnir: Child) -> None:
    text = run("broker", "info").stdout
    assert f"address                   {broker.rocBroker}\n".split() == text.splitlines()[0].split()
    assert re.search(r"^time  +\d{4}-\d\d-\d\d \d\d:", text, re.MULTILINE)
    document = json.loads(run("broker", "info", "--json").stdout)
    assert document["generalXPUB"] == broker.generalXPUB
    assert document["requests"] > 0
    assert "uptime" in run("broker", "info", "-o", "csv").stdout


def test_broker_run(run: Run, roc: Callable[..., Child]) -> None:
    child = roc("broker", "run", "--base-port", 0)
    ready = child.wait_for(r"^rocbroker ready rocBroker=(\S+) ")
    with RocClient(ready[1]) as client:
        assert list(client) == []
    child.terminate()
    assert child.wait() == 0
    assert "write `roc broker run` or `roc broker info`" in run("broker", status=2).stderr


@pytest.mark.parametrize("command", ["ping", "bench", "broker info"])
def test_no_broker(run: Run, nowhere: Endpoints, command: str) -> None:
    run(*command.split(), "-b", nowhere.rocBroker, "-t", 0.3, status=3)
