"""Round trips in figures: percentiles, in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["FIGURES", "figures_of", "shown"]

FIGURES = ("min", "p50", "p90", "p99", "max")


def figures_of(seconds: Sequence[float]) -> dict[str, float]:
    """Minimum, percentiles and maximum of times in seconds, as milliseconds."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    places = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: round(ordered[round(last * at)] * 1000, 4) for name, at in places.items()}


def shown(figures: dict[str, float]) -> str:
    """``min 0.08  p50 0.11  p90 0.16  p99 0.30  max 0.41 ms``."""
    return "  ".join(f"{name} {figures[name]:.3g}" for name in FIGURES) + " ms"
