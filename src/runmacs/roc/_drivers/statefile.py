"""The status tree over a restart of the broker: one file, written aside and put in place.

Rules:

* A write never blocks the broker's loop: a thread writes, and of what waits only the newest.
  The file is whole or not there, whenever the power goes: it is written under another name,
  synced, and renamed.
* What cannot be read (torn, foreign, from another version) is set aside beside it, and said;
  it is never overwritten, and never stops a broker.
* A disk that is full is said once, and once more when it is well again.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from ..core.statuskeeper import Saved
from .clock import now as clock
from .interrupts import OwnThread

__all__ = ["StateFile"]

_EVERY = 1.0
_SHARE = 50
"""Between two saves is so many times what one costs the loop."""

_LINGER = 5.0


class _Written(msgspec.Struct):
    format: Literal["roc status 1"]
    saved: float
    tree: Saved


class StateFile:
    """Where a broker keeps its status tree. ``tell`` gets sentences for people."""

    def __init__(self, path: str, tell: Callable[[str], None]) -> None:
        self.path = os.path.abspath(path)
        self._tell = tell
        self._newest: bytes | None = None
        self._ending = False
        self._failed = False
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    # ---- reading

    def load(self) -> tuple[Saved, float] | None:
        """What was saved last, and how many seconds ago; None where nothing is."""
        try:
            with open(self.path, "rb") as file:
                written = msgspec.json.decode(file.read(), type=_Written)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._tell(f"{self.path} cannot be read ({error.strerror}): the status begins empty.")
            return None
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self._set_aside()
            return None
        return written.tree, max(0.0, time.time() - written.saved)

    def _set_aside(self) -> None:
        aside = f"{self.path}.unreadable-{time.strftime('%Y%m%d-%H%M%S')}"
        try:
            os.replace(self.path, aside)
        except OSError as error:
            self._tell(
                f"{self.path} is not a status that this broker can read, and cannot be set aside"
                f" ({error.strerror}); the status begins empty."
            )
        else:
            self._tell(
                f"{self.path} was not a status that this broker can read; it is {aside} now, and"
                " the status begins empty."
            )

    # ---- writing

    def save(self, saved: Saved) -> float:
        """Write this soon; returns in how many seconds the next time may be."""
        begun = clock()
        text = msgspec.json.encode(_Written("roc status 1", time.time(), saved))
        with self._wake:
            self._newest = text
            if self._thread is None:
                self._thread = OwnThread(self._run, "roc-state")
                self._thread.start()
            self._wake.notify()
        return max(_EVERY, _SHARE * (clock() - begun))

    def close(self) -> None:
        """Wait until the last one is written, for a few seconds."""
        with self._wake:
            self._ending = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(_LINGER)

    def _run(self) -> None:
        while True:
            with self._wake:
                while self._newest is None and not self._ending:
                    self._wake.wait()
                text, self._newest = self._newest, None
            if text is None:
                return
            try:
                self._write(text)
            except OSError as error:
                if not self._failed:
                    self._tell(
                        f"{self.path} cannot be written ({error.strerror}): after a restart the"
                        " status would be older. Trying again."
                    )
                self._failed = True
            else:
                if self._failed:
                    self._tell(f"{self.path} is written again.")
                self._failed = False

    def _write(self, text: bytes) -> None:
        beside = f"{self.path}.{os.getpid()}"
        try:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            with open(beside, "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, self.path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
