"""A thousand random schedules of loss, delay, kill, freeze and restart.

After each event every invariant of the core that took it is checked, and at the end the
whole history. A failing seed is printed with its schedule and the story of the call:
``ROC_SEED=1234 pytest tests/simulation`` runs that seed alone.
"""

from __future__ import annotations

import os

import pytest

from simulation.checker import judge
from simulation.laboratory import Laboratory
from simulation.report import report
from simulation.schedules import make_schedule

SEEDS = 1000
CHUNK = 50

ONE = os.environ.get("ROC_SEED")
CHUNKS = (
    [range(int(ONE), int(ONE) + 1)]
    if ONE
    else [range(first, first + CHUNK) for first in range(0, SEEDS, CHUNK)]
)


@pytest.mark.parametrize("seeds", CHUNKS, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_schedules(seeds: range) -> None:
    for seed in seeds:
        schedule = make_schedule(seed)
        laboratory = Laboratory(schedule)
        try:
            laboratory.run()
        except AssertionError as error:
            pytest.fail(report(laboratory, [], error), pytrace=False)
        faults = judge(laboratory)
        if faults:
            pytest.fail(report(laboratory, faults), pytrace=False)
