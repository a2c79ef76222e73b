"""The kit's front door: its names, what looking in costs, and the examples at its tools."""

from __future__ import annotations

import doctest
import subprocess
import sys
from importlib import import_module

import pytest

from processes import child_environment
from runmacs.roc import testing


def test_every_public_name_is_there() -> None:
    assert {"FakeClock", "LossyLink", "MemoryNetwork", "run_broker"} <= {*testing.__all__}
    assert set(testing.__all__) == set(testing._HOMES)
    for name in testing.__all__:
        assert getattr(testing, name).__name__ == name
        assert name in dir(testing)
    with pytest.raises(AttributeError, match="'Lossylink'"):
        testing.Lossylink  # noqa: B018


@pytest.mark.parametrize(
    ("program", "loaded"),
    [
        ("import runmacs.roc.testing", set()),
        ("from runmacs.roc.testing import FakeClock", set()),
        ("from runmacs.roc.testing import MemoryNetwork", set()),
        ("from runmacs.roc.testing import run_broker", {"zmq"}),
    ],
)
def test_only_what_is_used_is_loaded(program: str, loaded: set[str]) -> None:
    program = f"import sys; {program}; print(*{{'zmq', 'pytest', 'numpy'}} & {{*sys.modules}})"
    argv = [sys.executable, "-c", program]
    result = subprocess.run(
        argv, env=child_environment({}), capture_output=True, text=True, timeout=60
    )
    assert result.stderr == ""
    assert set(result.stdout.split()) == loaded


@pytest.mark.parametrize("home", sorted({*testing._HOMES.values()}))
def test_its_examples_are_true(home: str) -> None:
    module = import_module(f"runmacs.roc.testing.{home}")
    results = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert results.failed == 0
    if home in ("clock", "daemon", "lossylink"):
        assert results.attempted > 0
