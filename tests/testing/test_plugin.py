"""The pytest plugin: what a user's tests get from it, in a pytest of their own."""

from __future__ import annotations

from importlib import metadata

import pytest

pytest_plugins = ["pytester"]

INSTRUMENT = """
import os, subprocess, sys
import pytest
from runmacs.roc import Endpoints, RocClient, RocServer

class Camera:
    fps = 10.0

seen = []

"""


def run(pytester: pytest.Pytester, source: str) -> pytest.RunResult:
    """Run a test module as its author would: nothing is said about plugins."""
    pytester.makepyfile(INSTRUMENT + source)
    return pytester.runpytest_subprocess("-W", "error", timeout=60)


def test_pytest_finds_it_by_itself() -> None:
    (found,) = metadata.entry_points(group="pytest11", name="roc")
    assert found.value == "runmacs.roc.testing.plugin"


def test_an_instrument_in_the_test_itself(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
def test_camera(roc_broker, roc_client):
    assert isinstance(roc_broker, Endpoints) and isinstance(roc_client, RocClient)
    with RocServer(roc_broker, "vnir", Camera()):
        assert roc_client["vnir"].fps == 10.0
""",
    )
    result.assert_outcomes(passed=1)


def test_all_that_is_given_no_address_finds_the_broker(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        server="""
from runmacs.roc.servers import run_simple_server

class Camera:
    fps = 25.0

run_simple_server("vnir", Camera())
"""
    )
    result = run(
        pytester,
        """
def test_program(roc_client):
    with subprocess.Popen([sys.executable, "server.py"]) as program:
        try:
            assert roc_client.wait_for("vnir", timeout=20).fps == 25.0
        finally:
            program.terminate()

def test_server_and_client(roc_broker):
    with RocServer(None, "vnir", Camera()), RocClient() as client:
        assert client.endpoints == roc_broker
        assert client["vnir"].fps == 10.0
""",
    )
    result.assert_outcomes(passed=2)


def test_each_test_has_a_broker_of_its_own_which_ends_with_it(pytester: pytest.Pytester) -> None:
    """Also with a test that fails and leaves everything open."""
    result = run(
        pytester,
        """
import socket

def test_fails(roc_broker, roc_client):
    seen.append(roc_broker)
    roc_client["vnir"].openShutter()

def test_next(roc_broker):
    assert roc_broker != seen[0]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", seen[0].brokerBasePort)) != 0

def test_without():
    assert "ROC_BROKER" not in os.environ
""",
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*ObjectNotFound*vnir*"])


def test_costs_nothing_until_it_is_used(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pytest loads it in every run of everybody who has installed ROC."""
    pytester.makepyfile(
        """
import sys

def test_loaded(request):
    assert request.config.pluginmanager.has_plugin("roc")
    ours = {name for name in sys.modules if name.startswith("runmacs.roc")}
    assert ours == {"runmacs.roc", "runmacs.roc.testing", "runmacs.roc.testing.plugin"}
    assert not {"zmq", "msgspec", "numpy", "asyncio"} & {*sys.modules}
"""
    )
    # Others load all of that themselves.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    run = pytester.runpytest_subprocess("-W", "error", "-p", "roc", timeout=60)
    run.assert_outcomes(passed=1)
