"""The benchmarks work: what can run here runs, what cannot is named. Times do not matter."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
MEASURES = {path.stem for path in (ROOT / "benchmarks/measures").glob("[a-z]*.py")} - {"simple"}
PEERS = {path.stem for path in (ROOT / "benchmarks/peers").glob("[a-z]*.py")}
PEERS -= {"connection", "plain"}


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *words]
    env = {name: text for name, text in os.environ.items() if not name.startswith("ROC_")}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any], Path]:
    """What a quick run prints and writes."""
    file = tmp_path_factory.mktemp("bench") / "quick.json"
    made = bench("--quick", "--json", str(file))
    assert made.returncode == 0, made.stderr
    return made.stdout, json.loads(file.read_text("utf-8")), file


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform == "win32", reason="the benchmarks need POSIX")
class TestQuickRun:
    """One run, and what it should have done."""

    def test_all_is_measured_or_named(self, quick: tuple[str, dict[str, Any], Path]) -> None:
        _, document, _ = quick
        measured = {one["measure"] for one in document["results"]}
        named = {one["measure"] for one in document["missing"]}
        assert measured | named >= {
            "serial", "pipelined", "batch", "attributes", "clients", "objects", "arrays", "latency",
            "status", "logs", "startup", "memory", "budget", "growth",
        }  # fmt: skip
        subjects = {one["subject"] for one in document["results"] if one["measure"] == "serial"}
        assert subjects == {"roc", "pyzmq, direct", "zmq_proxy"}

    def test_nothing_of_roc_fails(self, quick: tuple[str, dict[str, Any], Path]) -> None:
        _, document, _ = quick
        failed = [
            one
            for one in document["missing"]
            if one["subject"] in ("roc", "objects", "clients", "leaves", "RocLogger")
            and "has no batches" not in one["reason"]
            and "cannot be traced" not in one["reason"]
        ]
        assert failed == []

    def test_each_result_is_as_it_is_described(
        self, quick: tuple[str, dict[str, Any], Path]
    ) -> None:
        _, document, _ = quick
        assert document["schema"] == 1
        assert document["run"]["quick"] is True
        for one in document["results"]:
            assert set(one) == {
                "measure", "subject", "at", "unit", "median", "least", "most", "figures",
            }  # fmt: skip
            assert one["least"] <= one["median"] <= one["most"]
            assert one["figures"]
        for bar in document["bars"]:
            assert bar["verdict"] in ("held", "missed", "not measured")
            assert (bar["value"] is None) == (bar["verdict"] == "not measured")

    def test_the_table_names_all_of_it(self, quick: tuple[str, dict[str, Any], Path]) -> None:
        printed, document, _ = quick
        for one in document["results"]:
            assert re.search(rf"^    {re.escape(one['subject'])} ", printed, re.MULTILINE)
        for one in document["missing"]:
            assert one["reason"] in printed
        for bar in document["bars"]:
            assert bar["what"] in printed

    def test_results_can_be_read_again(self, quick: tuple[str, dict[str, Any], Path]) -> None:
        printed, _, file = quick
        assert bench("--read", str(file)).stdout == printed


def test_a_peer_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    made = bench("--quick", "--only", "batch", "--peers", "zmq_direct", "--json", str(file))
    assert made.returncode == 0, made.stderr
    (missing,) = json.loads(file.read_text("utf-8"))["missing"]
    assert (missing["measure"], missing["subject"]) == ("batch", "pyzmq, direct")
    assert "the floor has no batches" in made.stdout


@pytest.mark.parametrize("option", ["--only", "--peers"])
def test_an_unknown_name_is_refused(option: str) -> None:
    made = bench(option, "serail")
    assert made.returncode == 1
    assert "'serail'; known: " in made.stderr


def test_the_reference_names_all_measures_and_peers() -> None:
    page = (ROOT / "docs/reference/benchmarks.md").read_text("utf-8")
    for name in MEASURES | PEERS:
        assert f"`{name}`" in page, name


def test_the_page_has_a_place_for_each_measure() -> None:
    page = (ROOT / "docs/explanation/performance.md").read_text("utf-8")
    places = set(re.findall(r"<!-- measured: (\S+) -->", page))
    assert places == MEASURES | {"machine", "bars", "missing"}
