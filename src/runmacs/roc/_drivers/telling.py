"""What a server says of its own fate, to the person who started it.

Rules:

* A server that finds its broker at once says nothing: programs have their own words.
* Each thing is said once, until the opposite has happened.
* Nothing that becomes of the output harms the server.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

__all__ = ["Telling", "to_stderr"]

_PATIENCE = 1.0
"""Seconds without a broker before a word is said of it."""


class Telling:
    """The words of one server; ``tell`` takes each line."""

    def __init__(self, object_id: str, address: str, tell: Callable[[str], None]) -> None:
        self._object_id = object_id
        self._address = address
        self._tell = tell
        self._waiting = False
        self._accepted = False
        self._refused = False

    def unanswered(self, seconds: float) -> None:
        """No broker has answered since the server began."""
        if not self._waiting and not self._accepted and seconds > _PATIENCE:
            self._waiting = True
            self._tell(
                f"{self._object_id}: no broker answers at {self._address} yet; waiting for it."
                " Start one with `rocbroker`, or set ROC_BROKER."
            )

    def accepted(self, before: str | None, state: str, program_knows: bool) -> None:
        """The broker has accepted the server, as what it is now.

        Args:
            before: what it was when it was accepted the last time.
            program_knows: whether the program itself is told what has changed.
        """
        if state != before and "standby" in (state, before):
            fate = "stands by; another server has it" if state == "standby" else "serves now"
            if not program_knows:
                self._tell(f"{self._object_id}: this server {fate}.")
        elif self._waiting or self._accepted:
            self._tell(f"{self._object_id}: the broker at {self._address} has it.")
        self._accepted = True
        self._refused = False

    def refused(self, message: str) -> None:
        """Another server has the id by now, which this one had before."""
        if not self._refused:
            self._refused = True
            self._tell(f"{message} Trying again every second.")


def to_stderr(text: str) -> None:
    """Say one line to the user, whatever becomes of stderr."""
    with contextlib.suppress(Exception):
        print(text, file=sys.stderr, flush=True)
