"""The recipes of docs/how-to/web.md that need another language."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from docpages import read_blocks
from weblab import Lab

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "web.md"


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
