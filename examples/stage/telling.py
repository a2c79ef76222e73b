"""A stage that tells everybody where it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Stage:
    """A stage that moves along one axis.

    Args:
        createStatusUpdater: called without arguments; what it returns is told each position
            by ``emit``. ``RocStatusUpdater`` is one.
    """

    def __init__(self, createStatusUpdater: Callable[[], Any] | None = None) -> None:
        self._updater = createStatusUpdater() if createStatusUpdater else None
        self._position = 0.0  # mm
        self._tell()

    @property
    def position(self) -> float:
        """Where it is, in mm."""
        return self._position

    @position.setter
    def position(self, target: float) -> None:
        self._position = float(target)
        self._tell()

    def _tell(self) -> None:
        if self._updater is not None:
            self._updater.emit("stage", {"position": self._position})


if __name__ == "__main__":
    from runmacs.roc import RocStatusUpdater
    from runmacs.roc.servers import run_simple_server

    run_simple_server("stage", Stage(createStatusUpdater=RocStatusUpdater))
