"""Fixtures of the bad days: a server whose journal tells what it has begun, and its clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from processes import Child, Spawner
from runmacs.roc import Endpoints, RocClient

HERE = Path(__file__).parent


@pytest.fixture
def begun(tmp_path: Path) -> Callable[[], list[int]]:
    """The numbers that all recorders of this test have begun so far, in order."""

    def begun() -> list[int]:
        journal = tmp_path / "begun.txt"
        return [int(line) for line in journal.read_text().split()] if journal.exists() else []

    return begun


@pytest.fixture
def let_go(tmp_path: Path) -> Callable[[], None]:
    """Ends every `Recorder.hold` of this test."""
    return (tmp_path / "let_go").touch


@pytest.fixture
def serve_recorder(spawn: Spawner, tmp_path: Path, broker: Endpoints) -> Callable[..., Child]:
    """Start a process that shares a `Recorder`; it may not be there yet when this returns."""

    def serve_recorder(
        object_id: str = "recorder", name: str = "", at: Endpoints = broker
    ) -> Child:
        options = ["--broker", at.rocBroker, "--id", object_id]
        options += ["--journal", str(tmp_path / "begun.txt")]
        return spawn(HERE / "recorder.py", *options, name=name)

    return serve_recorder


@pytest.fixture
def client(broker: Endpoints) -> Iterator[RocClient]:
    """A client of the test's broker."""
    with RocClient(broker, timeout=20) as client:
        yield client


@pytest.fixture
def server(serve_recorder: Callable[..., Child], client: RocClient) -> Child:
    """A process that shares a `Recorder` as ``recorder``, reached once."""
    child = serve_recorder(name="server")
    client.wait_for("recorder")
    return child


@pytest.fixture
def recorder(server: Child, client: RocClient) -> Any:
    """The proxy of that server's object."""
    return client["recorder"]
