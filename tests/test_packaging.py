"""What an installed runmacs-roc must be: a share of a namespace, light to import, typed."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import runmacs.roc
from processes import child_environment

PACKAGE = Path(runmacs.roc.__file__).parent


def run(program: str, **env: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=child_environment(env),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_runmacs_is_a_namespace_that_others_share(tmp_path: Path) -> None:
    others = tmp_path / "runmacs" / "spec" / "hw"
    others.mkdir(parents=True)
    (others / "camera.py").write_text("name = 'vnir'\n")

    program = "import runmacs.roc, runmacs.spec.hw.camera as camera; print(camera.name)"
    printed = run(program, PYTHONPATH=f"{tmp_path}:{PACKAGE.parent.parent}")

    assert printed == "vnir\n"
    assert not (PACKAGE.parent / "__init__.py").exists()


def test_the_version_is_that_of_the_distribution() -> None:
    assert runmacs.roc.__version__ == metadata.version("runmacs-roc")


def test_type_checkers_are_told_that_we_are_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


def test_numpy_is_imported_only_when_needed() -> None:
    names = "RocServer, RocClient, Endpoints"
    program = f"import sys; from runmacs.roc import {names}; print('numpy' in sys.modules)"

    assert run(program) == "False\n"


def test_the_pure_layers_load_no_socket_and_no_event_loop() -> None:
    # import-linter reads import statements; this sees also what is imported by name.
    program = """
import importlib, pkgutil, sys
# With the first array, and the first annotation that asks for one.
late = ("runmacs.roc.wire.arrays", "runmacs.roc.core.arrayhints")
for layer in ("wire", "core"):
    package = importlib.import_module(f"runmacs.roc.{layer}")
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name not in late:
            importlib.import_module(module.name)
print({"asyncio", "logging", "numpy", "selectors", "socket", "threading", "zmq"} & {*sys.modules})
"""
    assert run(program) == "set()\n"
