"""Ctrl-C and SIGTERM, where they may strike and where they may not.

Rules:

* A multipart message is sent or received whole: a KeyboardInterrupt between two of its
  frames would spoil the socket for good, and one between taking a reply and handing it
  to its caller would lose it for another thread. A `Shield` holds SIGINT back for those
  microseconds, and only in the main thread, where Python raises it.
* While a thread merely waits, or user code runs, the interrupt strikes at once.
* Handlers are put back as they were found.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal.signal, without the enum
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from .forking import run_in_child

__all__ = ["OwnThread", "Shield", "StopSignals", "interrupt_main_thread"]

_main = threading.main_thread().ident
_get_ident = threading.get_ident
_SIGINT = signal.SIGINT


def _renew_main() -> None:
    global _main
    _main = threading.main_thread().ident


run_in_child(_renew_main)


class Shield:
    """Holds SIGINT back, from `raised` until `lowered`, and delivers it then.

    ::

        shield = Shield()
        try:
            ...                     # critical
            shield.lower()
            wait()                  # Ctrl-C strikes here
            shield.lift()
            ...                     # critical
        finally:
            shield.end()
    """

    __slots__ = ("_active", "_held", "_previous", "_up")

    def __init__(self) -> None:
        self._held = False
        self._up = True
        self._active = False
        if _get_ident() == _main:
            previous = _signal.getsignal(_SIGINT)
            # Nested in another shield, or SIGINT is nobody's business here.
            if callable(previous) and getattr(previous, "__self__", None).__class__ is not Shield:
                self._previous: Callable[[int, FrameType | None], Any] = previous
                self._active = True
                _signal.signal(_SIGINT, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._up:
            self._held = True
        else:
            self._previous(number, frame)

    def lower(self) -> None:
        """From here on the interrupt may strike; one that was held back does so now."""
        self._up = False
        if self._held:
            self._held = False
            self._previous(_SIGINT, None)

    def lift(self) -> None:
        """From here on it is held back again."""
        self._up = True

    def end(self) -> None:
        """Put the handler back as it was; an interrupt that was held back strikes now."""
        if self._active:
            self._active = False
            _signal.signal(_SIGINT, self._previous)
            if self._held:
                self._held = False
                self._previous(_SIGINT, None)


class StopSignals:
    """SIGINT and SIGTERM for a program that serves until it is told to stop.

    The first SIGINT calls ``interrupt`` (and raises KeyboardInterrupt if that returns
    True); SIGTERM calls ``terminate``. After that the handlers found before are back,
    so that a second Ctrl-C always works. Outside the main thread it does nothing.
    """

    def __init__(self, interrupt: Callable[[], bool], terminate: Callable[[], None]) -> None:
        self._interrupt = interrupt
        self._terminate = terminate
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        _in_force.append(self)
        if threading.current_thread() is threading.main_thread():
            for number, handler in (
                (signal.SIGINT, self._on_interrupt),
                (signal.SIGTERM, self._on_terminate),
            ):
                self._previous[number] = signal.signal(number, handler)
        return self

    def __exit__(self, *exc: object) -> None:
        if self in _in_force:
            _in_force.remove(self)
        for number, handler in self._previous.items():
            if signal.getsignal(number) in (self._on_interrupt, self._on_terminate):
                signal.signal(number, handler)

    def _restore_interrupt(self) -> None:
        previous = self._previous.get(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGINT, previous)

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        self._restore_interrupt()
        if self._interrupt():
            raise KeyboardInterrupt

    def _on_terminate(self, number: int, frame: FrameType | None) -> None:
        self._terminate()


# A child that is forked while its parent serves does not serve: there signals mean what they
# mean elsewhere, or it could not be ended. Python forgets a signal that comes before the
# child has taken its first step, unless it is the system that holds it back.

_in_force: list[StopSignals] = []
_masks: dict[int, Any] = {}


def _before_fork() -> None:
    if _in_force:
        _masks[_get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _after_fork() -> None:
    mask = _masks.pop(_get_ident(), None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _after_fork_in_child() -> None:
    for signals in list(_in_force):
        signals.__exit__()
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
    )


class OwnThread(threading.Thread):
    """A daemon thread of ROC's own: no signal is ever delivered to it.

    Of two that come at once the system may give both to any thread; then the main thread,
    whose handlers have to run, sleeps on.
    """

    def __init__(
        self, target: Callable[..., object], name: str, args: tuple[object, ...] = ()
    ) -> None:
        super().__init__(target=target, name=name, args=args, daemon=True)

    def start(self) -> None:
        """Start it with the mask that it will have, so that there is no moment without."""
        if not hasattr(signal, "pthread_sigmask"):
            return super().start()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            return super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def interrupt_main_thread() -> None:
    """Deliver SIGINT to the main thread, out of whatever it waits in."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)
