"""What the documentation shows that needs a browser, or another language."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from docpages import read_blocks
from processes import Spawner, start_broker
from weblab import Lab, start_web

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "web.md"


def printed(lab: Lab, command: str, language: str, name: str) -> str:
    """What the first recipe of a language prints."""
    found = shutil.which(command)
    if found is None:
        pytest.skip(f"no {command} here: apt-get install {command}")
    recipe = next(block.text for block in read_blocks(PAGE) if block.language == language)
    program = lab.spawn.directory / name
    program.write_text(recipe.replace("http://127.0.0.1:8555", lab.url.rstrip("/")), "utf-8")
    ended = subprocess.run([found, program], capture_output=True, text=True, timeout=60)
    return ended.stdout or ended.stderr


def test_javascript(lab: Lab) -> None:
    assert printed(lab, "node", "javascript", "recipe.mjs") == "10\n"


def test_octave(lab: Lab) -> None:
    assert printed(lab, "octave", "matlab", "recipe.m").split() == ["closed", "320", "1"]


def test_the_readme_leads_to_a_live_frame_its_temperature_and_its_log(
    browser: Any, spawn: Spawner
) -> None:
    broker = start_broker(spawn)
    where = broker.endpoints.rocBroker
    program = ROOT / "examples" / "vnir" / "server.py"
    server = spawn.command([sys.executable, program], name="server", env={"ROC_BROKER": where})
    web, url = start_web(spawn, where)
    readme = (ROOT / "README.md").read_text("utf-8")
    (address,) = re.findall(r"<http://127.0.0.1:8555/(\S+)>", readme)
    page = browser.new_page()
    page.set_default_timeout(30_000)
    page.goto(url + address)
    shutter = page.locator('[data-member="openShutter"]')
    frame = page.locator('[data-member="getFrame"]')
    shutter.get_by_role("button", name="Call").click()
    frame.get_by_role("button", name="Live").click()
    frame.locator("canvas").wait_for()
    page.locator(".u-legend", has_text=re.compile(r"vnir\.temperature.* K")).wait_for()
    page.locator(".beside .row", has_text="shutter open").wait_for()
    page.close()
    for child in (web, server):
        child.terminate()
        assert child.wait() == 0
    broker.stop()
