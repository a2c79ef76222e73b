"""Fixtures of the tests of interoperation: stock processes, and an object to call."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interop.known import until_known
from processes import Child, Spawner, start_broker

if TYPE_CHECKING:
    from runmacs.roc import Endpoints

HERE = Path(__file__).parent


@pytest.fixture
def roc_broker(broker: Endpoints) -> str:
    """The address of a real broker, which is this test's own."""
    return broker.rocBroker


@pytest.fixture(scope="module")
def raw_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real broker that a whole module shares, whatever arrives there."""
    spawner = Spawner(tmp_path_factory.mktemp("raw"))
    try:
        running = start_broker(spawner)
        yield running.endpoints.rocBroker
        running.stop()
    finally:
        spawner.close()


@pytest.fixture(scope="module")
def lab(raw_broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the real broker where a RocServer process shares the object ``lab``."""
    spawner = Spawner(tmp_path_factory.mktemp("lab"))
    try:
        spawner(HERE / "lab.py", "--broker", raw_broker, name="lab")
        until_known(raw_broker, b"lab")
        yield raw_broker
    finally:
        spawner.close()


NUMBERS = itertools.count(1)


@pytest.fixture
def object_id() -> bytes:
    """An object id that no other test has used."""
    return b"object-%d" % next(NUMBERS)


@pytest.fixture
def serve_lab(spawn: Spawner) -> Callable[[str], Child]:
    """Start a RocServer process that shares ``lab`` at the broker of this address."""

    def serve_lab(address: str) -> Child:
        return spawn(HERE / "lab.py", "--broker", address, name="lab")

    return serve_lab


@pytest.fixture
def start_stock_broker(spawn: Spawner) -> Callable[..., tuple[Child, str]]:
    """Start a stock broker process; the child and its address."""

    def start_stock_broker(bind: str = "tcp://127.0.0.1:0") -> tuple[Child, str]:
        child = spawn(HERE / "stock.py", "broker", "--bind", bind)
        return child, child.wait_for(r"^stock broker ready (\S+)$")[1]

    return start_stock_broker


@pytest.fixture
def stock_broker(start_stock_broker: Callable[..., tuple[Child, str]]) -> str:
    """The address of a stock broker process."""
    return start_stock_broker()[1]


@pytest.fixture
def stock_worker(spawn: Spawner) -> Callable[[str, str, str], Child]:
    """Start a stock worker process at a broker, under a name, with one of the answers."""

    def stock_worker(address: str, name: str, answer: str) -> Child:
        options = ["--broker", address, "--name", name, "--answer", answer]
        child = spawn(HERE / "stock.py", "worker", *options)
        child.wait_for(r"^stock worker ready")
        return child

    return stock_worker
