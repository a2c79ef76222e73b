"""Hands warnings and uncaught exceptions to a log handler.

Rules:

* Whatever showed them before still does, and first: a program's terminal looks as it did.
* They go to the handler alone, not to the loggers' other handlers, which would show them twice.
* A hook that somebody else has laid over ours stays; ours does nothing once it is removed.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any

__all__ = ["Hooks", "say_once"]

_UNCAUGHT = "uncaught"
_WARNINGS = "py.warnings"


class Hooks:
    """The hooks of this process."""

    def __init__(self) -> None:
        self._handler: logging.Handler | None = None
        self._installed = False

    def install(self, handler: logging.Handler) -> None:
        """Hand everything to this handler from now on."""
        self._handler = handler
        if self._installed:
            return
        self._installed = True
        self._before_exception = sys.excepthook
        self._before_thread = threading.excepthook
        self._before_warning: Callable[..., None] = warnings.showwarning
        sys.excepthook = self._on_exception
        threading.excepthook = self._on_thread
        warnings.showwarning = self._on_warning

    def remove(self, handler: logging.Handler) -> None:
        """Hand nothing to this handler any more."""
        if self._handler is not handler:
            return
        self._handler = None
        ours = (
            sys.excepthook == self._on_exception,
            threading.excepthook == self._on_thread,
            warnings.showwarning == self._on_warning,
        )
        if all(ours):
            sys.excepthook = self._before_exception
            threading.excepthook = self._before_thread
            warnings.showwarning = self._before_warning
            self._installed = False

    # ---- the hooks

    def _on_exception(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        try:
            self._before_exception(kind, error, trace)
        finally:
            if not issubclass(kind, KeyboardInterrupt):
                self._report(_UNCAUGHT, logging.CRITICAL, "uncaught exception", error)

    def _on_thread(self, args: Any) -> None:
        try:
            self._before_thread(args)
        finally:
            if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
                name = getattr(args.thread, "name", "a thread")
                self._report(
                    _UNCAUGHT, logging.CRITICAL, f"uncaught exception in {name}", args.exc_value
                )

    def _on_warning(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: str | None = None,
    ) -> None:
        try:
            self._before_warning(message, category, filename, lineno, file, line)
        finally:
            if file is None:
                text = f"{category.__name__}: {message}"
                self._report(_WARNINGS, logging.WARNING, text, None, filename, lineno)

    def _report(
        self,
        name: str,
        level: int,
        text: str,
        error: BaseException | None,
        path: str = "",
        line: int = 0,
    ) -> None:
        handler = self._handler
        if handler is None or not logging.getLogger(name).isEnabledFor(level):
            return
        if level < handler.level:
            return
        info = None if error is None else (type(error), error, error.__traceback__)
        # No template: a text is no format, whatever stands in it.
        with contextlib.suppress(Exception):
            handler.handle(logging.LogRecord(name, level, path, line, text, None, info))


_said: set[str] = set()


def say_once(text: str) -> None:
    """Say one line to the user, but never the same again, whatever becomes of stderr."""
    if text in _said:
        return
    _said.add(text)
    with contextlib.suppress(Exception):
        print(text, file=sys.stderr, flush=True)
