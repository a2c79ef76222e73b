"""The lab of the page's tests, once for each module; and the browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from processes import Spawner, start_broker
from waiting import wait_until
from weblab import Lab, start_web


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One lab for all tests of a module."""
    spawn = Spawner(tmp_path_factory.mktemp("lab"))
    try:
        broker = start_broker(spawn)
        web, url = start_web(spawn, broker.endpoints.rocBroker)
        lab = Lab(spawn, broker, web, web, url, 0)
        lab.start_camera()
        wait_until(lambda: _serves(lab), 20, "the camera is there, with status and log")
        yield lab
        web.terminate()
        assert web.wait() == 0
        broker.stop()
    finally:
        spawn.close()


def _serves(lab: Lab) -> bool:
    up = any(entry["state"] == "serving" for entry in lab.ask("objects").json)
    return up and lab.ask("status/stage").status == 200


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where a Chromium is."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    return found
