"""The lab of the page's tests and the browser, once for each module."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

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
        wait_until(lambda: _serves(lab), what="the camera is there, with status and log")
        yield lab
        web.terminate()
        assert web.wait() == 0
        broker.stop()
    finally:
        spawn.close()


def _serves(lab: Lab) -> bool:
    up = any(entry["state"] == "serving" for entry in lab.ask("objects").json)
    return up and lab.ask("status/stage").status == 200


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium without a screen; what drives it leaves an event loop while it lasts."""
    reason = "playwright is not installed"
    sync_api = pytest.importorskip("playwright.sync_api", reason=reason)
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, lab: Lab) -> Iterator[Any]:
    """A page that fails its test for every error, and for everything from elsewhere."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda told: complaints.append(told.text) if _is_ours(told) else None)
    page.on("request", lambda asked: _check_home(asked.url, "http://127.0.0.1:", complaints))
    page.set_default_timeout(30_000)
    yield page
    context.close()
    assert complaints == []


def _is_ours(told: Any) -> bool:
    return told.type == "error" and "WebSocket connection" not in told.text


def _check_home(url: str, home: str, complaints: list[str]) -> None:
    if not url.startswith((home, "blob:", "data:")):
        complaints.append(f"{url} is from elsewhere")
