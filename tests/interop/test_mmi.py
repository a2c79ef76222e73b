"""8/MMI: what a stock client may ask the broker about a name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import zmq

from interop.known import until_known
from interop.stock import ask

KINDS = pytest.mark.parametrize(
    "kind", [pytest.param(zmq.REQ, id="REQ"), pytest.param(zmq.DEALER, id="DEALER")]
)


@KINDS
def test_service_that_is_there(lab: str, kind: int) -> None:
    assert ask(lab, b"mmi.service", b"lab", kind=kind) == [b"200"]


@KINDS
def test_service_that_is_not_there(lab: str, kind: int) -> None:
    assert ask(lab, b"mmi.service", b"nobody", kind=kind) == [b"404"]


def test_service_of_a_stock_worker(raw_broker: str, stock_worker: Callable[..., object]) -> None:
    assert ask(raw_broker, b"mmi.service", b"echo", kind=zmq.REQ) == [b"404"]
    stock_worker(raw_broker, "echo", "echo")
    until_known(raw_broker, b"echo")


@KINDS
@pytest.mark.parametrize("name", [b"mmi.nothere", b"mmi.", b"mmi.service.more"])
def test_what_the_broker_does_not_know(raw_broker: str, name: bytes, kind: int) -> None:
    assert ask(raw_broker, name, b"lab", kind=kind) == [b"501"]
