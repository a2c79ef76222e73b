"""Tests of the stage as others see it: over a broker of each test's own."""

import subprocess
import sys
from pathlib import Path

import pytest
from stage import Stage

from runmacs.roc import Endpoints, RocClient, RocServer, errors
from runmacs.roc.testing import LossyLink


def test_moves(roc_broker: Endpoints, roc_client: RocClient) -> None:
    with RocServer(roc_broker, "stage", Stage()):
        stage = roc_client["stage"]
        assert stage.move(12.5) == 12.5
        with pytest.raises(ValueError, match="beyond the limit"):
            stage.move(99)
        assert stage.position == 12.5


def test_program(roc_client: RocClient) -> None:
    program = Path(__file__).with_name("stage.py")
    with subprocess.Popen([sys.executable, program]) as server:
        try:
            assert roc_client.wait_for("stage").position == 0.0
        finally:
            server.terminate()


def test_cable_is_pulled(roc_broker: Endpoints, roc_client: RocClient) -> None:
    stage = Stage()
    with LossyLink(roc_broker) as link, RocServer(link.endpoints, "stage", stage):
        assert roc_client["stage"].move(1.0) == 1.0
        link.cut()
        with pytest.raises(errors.ObjectNotFound) as caught:
            roc_client.proxy("stage", timeout=0.5).move(1.0)
        assert caught.value.executed is False
        link.heal()
        assert roc_client.wait_for("stage").move(1.0) == 2.0
