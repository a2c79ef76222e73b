"""The proof that `test_schedules` can fail: cores that are broken on purpose are found out."""

from __future__ import annotations

import pytest

from simulation.checker import judge
from simulation.laboratory import Laboratory
from simulation.mutants import MUTANTS, Mutant
from simulation.schedules import make_schedule

SEEDS = range(1, 400, 2)  # the hard ones
"""Enough for each; most are found within ten."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_core_is_found_out(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)
    assert any(map(is_found_out, SEEDS)), mutant.__doc__


def is_found_out(seed: int) -> bool:
    laboratory = Laboratory(make_schedule(seed))
    try:
        laboratory.run()
    except AssertionError:
        return True
    return bool(judge(laboratory))
