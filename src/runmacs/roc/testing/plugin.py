"""The pytest plugin of ROC: a broker, and a client of it, for one test.

::

    def test_shutter(roc_broker, roc_client):
        with RocServer(roc_broker, "vnir", VNIRCamera()):
            roc_client["vnir"].openShutter()

pytest finds it by itself wherever ROC is installed. It is then loaded in every run, also in
those that have nothing to do with ROC: so it imports nothing until a fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..client import RocClient
    from ..endpoints import Endpoints

__all__ = ["roc_broker", "roc_client"]


@pytest.fixture
def roc_broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoints]:
    """The endpoints of a broker on free ports, which ends with the test.

    ``ROC_BROKER`` leads to it meanwhile, so that programs which the test starts, and all
    that is given no address, find it too.
    """
    from .daemon import run_broker

    with run_broker() as endpoints:
        monkeypatch.setenv("ROC_BROKER", endpoints.rocBroker)
        yield endpoints


@pytest.fixture
def roc_client(roc_broker: Endpoints) -> Iterator[RocClient]:
    """A client of ``roc_broker``, with the default timeout."""
    from ..client import RocClient

    with RocClient(roc_broker) as client:
        yield client
