"""The client: which objects there are, waiting for one, and calling it."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import numpy as np
import pytest

from callers import Calling
from desk import Desk
from promptness import prompt
from runmacs.roc import Endpoints, RocClient, RocServer, errors
from runmacs.roc.broker import Broker
from waiting import wait_until

AT_ONCE = 0.1


class Camera:
    def __init__(self) -> None:
        self.fps = 10.0
        self.begun: list[str] = []

    def echo(self, *args: object, **kwargs: object) -> object:
        return [list(args), kwargs]

    def nap(self, seconds: float, name: str = "") -> float:
        self.begun.append(name)
        time.sleep(seconds)
        return seconds


# ---- which objects there are


def test_lists_objects(desk: Desk) -> None:
    client = desk.client
    assert list(client) == []
    assert len(client) == 0
    assert client, "an empty client is still a client"
    for name in ("swir", "vnir", "nav"):
        desk.serve(Camera(), name)
    assert list(client) == ["nav", "swir", "vnir"]
    assert len(client) == 3
    assert "vnir" in client
    assert "vnri" not in client
    assert 5 not in client


@pytest.mark.parametrize("object_id", ["", "v nir", "roc.mine", "mmi.service", "x" * 201, "a\n"])
def test_ids_that_no_object_can_have(desk: Desk, object_id: str) -> None:
    for refused in (desk.client.__getitem__, desk.client.proxy, desk.client.wait_for):
        with pytest.raises(errors.ConfigError, match="object id"):
            refused(object_id)


def test_broker_is_an_object_as_well(desk: Desk) -> None:
    desk.serve(Camera())
    (entry,) = desk.client["roc.broker"].objects()
    assert entry["id"] == "vnir"
    assert entry["pid"] == os.getpid()
    assert "vnir" in desk.client
    assert "roc.broker" not in list(desk.client)


def test_misspelt_id_fails_in_milliseconds_and_suggests_the_nearest(desk: Desk) -> None:
    desk.serve(Camera(), "vnir")
    desk.serve(Camera(), "swir")
    _ = desk.client["vnir"].fps
    began = time.monotonic()
    with pytest.raises(LookupError, match=r"'vnri'.*[dD]id you mean 'vnir'") as caught:
        _ = desk.client["vnri"].fps
    with prompt():
        assert time.monotonic() - began < AT_ONCE
    assert isinstance(caught.value, errors.ObjectNotFound)
    assert caught.value.executed is False
    assert caught.value.data["suggestions"][0] == "vnir"


# ---- waiting for one


def test_wait_for_one_that_is_there(desk: Desk) -> None:
    desk.serve(Camera())
    began = time.monotonic()
    assert desk.client.wait_for("vnir").fps == 10.0
    with prompt():
        assert time.monotonic() - began < AT_ONCE


def test_wait_for_one_that_comes_later(desk: Desk) -> None:
    found: list[Any] = []
    waiting = threading.Thread(target=lambda: found.append(desk.client.wait_for("vnir")))
    waiting.start()
    wait_until(lambda: desk.client["roc.broker"].stats()["requests"] > 2)
    assert not found
    with RocServer(desk.endpoints, "vnir", Camera()):
        served = time.monotonic()
        waiting.join(30)
        assert found
        with prompt():
            assert time.monotonic() - served < 1.0
        assert found[0].fps == 10.0


def test_wait_for_one_that_is_busy(desk: Desk) -> None:
    """It is there, and that is all that was asked."""
    camera = Camera()
    desk.serve(camera)
    running = Calling(desk.client.proxy("vnir", timeout=30).nap, 1.0)
    wait_until(lambda: camera.begun)
    began = time.monotonic()
    desk.connect().wait_for("vnir")
    with prompt():
        assert time.monotonic() - began < 0.5
        assert not running.ended
    running.wait()


def test_wait_for_one_that_never_comes(desk: Desk) -> None:
    began = time.monotonic()
    with pytest.raises(errors.ObjectNotFound, match=r"vnir.*0\.5 s") as caught:
        desk.client.wait_for("vnir", timeout=0.5)
    with prompt():
        assert 0.5 - 0.05 < time.monotonic() - began < 0.5 + 0.25
    assert caught.value.executed is False


def test_wait_for_a_broker_that_comes_later(nowhere: Endpoints) -> None:
    with RocClient(nowhere, timeout=20) as client:
        found: list[Any] = []
        waiting = threading.Thread(target=lambda: found.append(client.wait_for("vnir")))
        waiting.start()
        with Broker(nowhere), RocServer(nowhere, "vnir", Camera()):
            served = time.monotonic()
            waiting.join(30)
            assert found
            with prompt():
                assert time.monotonic() - served < 3.0
            assert found[0].fps == 10.0


def test_wait_for_without_any_broker(nowhere: Endpoints) -> None:
    with (
        RocClient(nowhere, timeout=20) as client,
        pytest.raises(errors.BrokerUnreachable, match="rocbroker"),
    ):
        client.wait_for("vnir", timeout=0.3)


# ---- calls


def test_positional_and_keyword_arguments(desk: Desk) -> None:
    echo = desk.share(Camera()).echo
    assert echo() == [[], {}]
    assert echo(1, "two", None) == [[1, "two", None], {}]
    assert echo(gain=3) == [[], {"gain": 3}]
    assert echo(1, 2, gain=3) == [[1, 2], {"gain": 3}]
    assert echo([], {}) == [[[], {}], {}]
    assert echo({"*": [1]}) == [[{"*": [1]}], {}]
    with pytest.raises(errors.Unsendable, match=r"'\*'"):
        echo(**{"*": 1})


def test_arrays_arrive_read_only(desk: Desk) -> None:
    vnir = desk.share(Camera())
    frame = np.arange(60_000, dtype=">u2").reshape(300, 200)
    ((back, small), _) = vnir.echo(frame, frame[:2, :3])
    assert back.dtype == frame.dtype
    assert np.array_equal(back, frame)
    assert np.array_equal(small, frame[:2, :3])
    assert not back.flags.writeable


def test_timeouts_of_client_and_proxy(desk: Desk) -> None:
    desk.serve(Camera())
    quick = desk.connect(timeout=0.2)
    with prompt(), pytest.raises(TimeoutError, match=r"0\.2 s"):
        quick["vnir"].nap(0.5)
    assert quick.proxy("vnir", timeout=30).nap(0.5) == 0.5
    with RocClient(desk.endpoints, None, 0.25) as by_position:
        assert by_position.timeout == 0.25


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "soon", None])
def test_timeouts_that_make_no_sense(desk: Desk, timeout: Any) -> None:
    with pytest.raises(errors.ConfigError, match="timeout"):
        RocClient(desk.endpoints, timeout=timeout)
    if timeout is not None:
        with pytest.raises(errors.ConfigError, match="timeout"):
            desk.client.proxy("vnir", timeout=timeout)


def test_endless_patience(desk: Desk) -> None:
    desk.serve(Camera())
    assert desk.client.proxy("vnir", timeout=float("inf")).fps == 10.0
