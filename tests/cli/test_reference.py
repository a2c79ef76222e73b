"""The reference page is what the commands say of themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from runmacs.roc.cli.reference import reference
from runmacs.roc.cli.roc import SUBCOMMANDS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "roc.md"


def test_the_page_is_made_from_the_commands() -> None:
    renew = "it is not what the commands say: python -m runmacs.roc.cli > docs/reference/roc.md"
    assert PAGE.read_text("utf-8") == reference(), renew


def test_every_subcommand_is_there() -> None:
    page = PAGE.read_text("utf-8")
    for name in SUBCOMMANDS:
        assert f"\n## roc {name}\n" in page


def test_it_is_printed() -> None:
    command = [sys.executable, "-m", "runmacs.roc.cli"]
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
    assert ended.stdout == reference()
    assert ended.stderr == ""
