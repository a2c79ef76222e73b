"""What is printed of a failing run."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from simulation.checker import Fault
from simulation.laboratory import Laboratory

__all__ = ["report"]


def report(
    laboratory: Laboratory, faults: Sequence[Fault], error: BaseException | None = None
) -> str:
    """The schedule, what was wrong, and the story of the first call that it happened to."""
    seed = laboratory.schedule.seed
    parts = [str(laboratory.schedule), f"ROC_SEED={seed} pytest tests/simulation"]
    if error is not None:
        parts.append("".join(traceback.format_exception(error)))
        parts.append(f"at {laboratory.clock.now:.4f} s, after:")
        parts.append("\n".join(map(str, laboratory.history.entries[-20:])))
    calls = [fault.call for fault in faults if fault.call]
    if calls:
        parts.append(laboratory.history.story(calls[0]))
    elif faults:
        parts.append(laboratory.history.story("-"))
    parts += map(str, faults)
    return "\n\n".join(parts)
