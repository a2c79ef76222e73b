"""The level of any logger in a server's process, read and changed from afar."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from desk import Desk
from runmacs.roc import AsyncRocClient
from runmacs.roc.errors import InvalidParams, ObjectNotFound

NAME = "test.camera.driver"


@pytest.fixture(autouse=True)
def _level_as_before() -> Iterator[None]:
    yield
    logging.getLogger(NAME).setLevel(logging.NOTSET)


class Camera:
    def __init__(self) -> None:
        self.began = threading.Event()
        self.go_on = threading.Event()

    def expose(self) -> None:
        self.began.set()
        self.go_on.wait(60)


def test_levels_are_read_and_set(desk: Desk) -> None:
    client = desk.client
    desk.serve(Camera())
    effective = logging.getLevelName(logging.getLogger(NAME).getEffectiveLevel())
    read = {"logger": NAME, "level": "NOTSET", "effective": effective}
    assert client.log_level("vnir", NAME) == read
    changed = {"logger": NAME, "level": "DEBUG", "effective": "DEBUG"}
    assert client.log_level("vnir", NAME, "debug") == changed
    assert logging.getLogger(NAME).level == logging.DEBUG
    assert client.log_level("vnir", NAME, 35)["effective"] == "Level 35"
    assert client.log_level("vnir", NAME, "NOTSET") == read
    assert client.log_level("vnir")["logger"] == "root"


@pytest.mark.parametrize("level", ["loud", 1.5, True, ["DEBUG"]])
def test_what_is_no_level_is_refused(desk: Desk, level: object) -> None:
    desk.serve(Camera())
    with pytest.raises(InvalidParams, match="level"):
        desk.client.log_level("vnir", NAME, level)  # type: ignore[arg-type]
    assert logging.getLogger(NAME).level == logging.NOTSET


def test_a_busy_object_answers_too(desk: Desk) -> None:
    camera = Camera()
    desk.serve(camera)
    client = desk.client
    exposing = threading.Thread(target=client["vnir"].expose)
    exposing.start()
    try:
        assert camera.began.wait(30)
        assert client.log_level("vnir", NAME, "ERROR")["level"] == "ERROR"
    finally:
        camera.go_on.set()
        exposing.join()


def test_an_object_that_nobody_shares_has_no_loggers(desk: Desk) -> None:
    with pytest.raises(ObjectNotFound):
        desk.client.log_level("vnir")


def test_with_asyncio(desk: Desk) -> None:
    import asyncio

    desk.serve(Camera())

    async def change() -> object:
        async with AsyncRocClient(desk.endpoints, timeout=20) as client:
            return await client.log_level("vnir", NAME, "DEBUG")

    assert asyncio.run(change()) == {"logger": NAME, "level": "DEBUG", "effective": "DEBUG"}
