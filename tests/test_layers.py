"""The house rules about imports: that the contracts in pyproject.toml catch what they should.

`make check` runs the contracts on the real tree. Here they run on a copy that breaks them:
a contract that was misspelt, or that lost sight of a package, would keep quiet for ever.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from processes import child_environment

ROOT = Path(__file__).parent.parent
PACKAGE = Path("src/runmacs/roc")

LINT = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"


@pytest.fixture(scope="module")
def copied_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("importlinter") is None:
        pytest.skip("import-linter is missing: pip install import-linter")
    copy = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", copy)
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=tree,
        env=child_environment({"PYTHONPATH": str(tree / "src"), "COLUMNS": "200"}),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("module", "statement", "complaint"),
    [
        ("wire/stray.py", "import time", "runmacs.roc.wire is not allowed to import time"),
        ("core/stray.py", "import zmq.error", "runmacs.roc.core is not allowed to import zmq"),
        (
            "core/stray.py",
            "def late():\n    from os import path",
            "runmacs.roc.core is not allowed to import os",
        ),
        (
            "wire/stray.py",
            "from runmacs.roc.core import liveness",
            "runmacs.roc.wire is not allowed to import runmacs.roc.core",
        ),
        (
            "core/stray.py",
            "from runmacs.roc import _drivers",
            "runmacs.roc.core is not allowed to import runmacs.roc._drivers",
        ),
        ("stray.py", "", "The following modules are not listed as layers"),
    ],
)
def test_a_broken_contract_is_caught(
    copied_tree: Path, module: str, statement: str, complaint: str
) -> None:
    stray = copied_tree / PACKAGE / module
    stray.write_text(statement + "\n")
    try:
        result = lint(copied_tree)
    finally:
        stray.unlink()

    assert result.returncode == 1, result.stdout + result.stderr
    assert complaint in " ".join(result.stdout.split())


def test_every_package_of_ours_is_seen_by_the_linter() -> None:
    # Without its __init__.py a directory still imports, but the contracts pass over it.
    sources = [path for path in (ROOT / PACKAGE).rglob("*.py") if "__pycache__" not in path.parts]
    missing = {path.parent for path in sources if not (path.parent / "__init__.py").exists()}

    assert sources
    assert not missing
