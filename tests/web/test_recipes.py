"""The recipes of docs/how-to/web.md that need another language."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from docpages import read_blocks
from weblab import Lab

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "web.md"


def test_javascript(lab: Lab) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node here: apt-get install nodejs")
    (block,) = [block for block in read_blocks(PAGE) if block.language == "javascript"]
    program = lab.spawn.directory / "recipe.mjs"
    program.write_text(block.text.replace("http://127.0.0.1:8555", lab.url.rstrip("/")), "utf-8")
    ended = subprocess.run([node, program], capture_output=True, text=True, timeout=20)
    assert ended.stdout == "10\n", ended.stderr
