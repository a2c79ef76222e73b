"""Distributed logging: `RocLogger`, a `logging.Handler`, and `initRocLogging`, which sets it up.

Rules:

* The calling thread takes what may change (message, exception, what was added), numbers the
  record and goes on. JSON is written and sent by the publisher's thread.
* Nothing here blocks, and nothing raises into the program that logs.
* What ROC itself logs does not go through it: it cannot feed back.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
import traceback
import uuid
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ._drivers.interrupts import OwnThread
from ._drivers.publishers import open_publisher
from ._drivers.publishing import Publisher
from .config import resolve_publish
from .core.logsource import LogSource
from .core.running import RUNNING
from .endpoints import Endpoints
from .loghooks import Hooks, say_once
from .wire.logentry import MOST_MESSAGE, Entry
from .wire.logmsg import Source, severity_of
from .wire.logvalues import MOST_TEXT, cut, encode_attributes, text_of

if TYPE_CHECKING:
    import zmq

__all__ = ["RocLogger", "initRocLogging"]

_OWN: Final = "runmacs.roc"
_PLAIN: Final = frozenset(vars(logging.makeLogRecord({})))
_KNOWN: Final = _PLAIN | {"message", "asctime", "taskName"}
_FLUSH: Final = 1.0
_TEMPLATE: Final = 1000
_SILENCE: Final = 2.0
"""Seconds after which a broker that does not answer is mentioned."""


class RocLogger(logging.Handler):
    """Sends log records to a broker, which passes them on to whoever reads the log.

    Records wait in a queue of 20,000 (16 MiB) while there is no broker; what has no room
    there is dropped, counted, and reported in the log when the broker is back. A message is
    sent up to 1 MiB, and what it was cut from is said at its end.

    A formatter is not used: messages are sent as they are, and readers format them.

    Args:
        nodeId: what this program is called in the log; any text.
        destination: where the broker is: `Endpoints`, ``host``, ``host:baseport``, its
            generalXSUB address, or None for ``ROC_BROKER``, the configuration file, or
            ``127.0.0.1:5555``.
        ctx: a ZeroMQ context to use for inproc; it is never terminated here.
        level: the least severe records that it sends.

    Raises:
        ConfigError: an address that makes no sense.

    Example::

        logging.getLogger().addHandler(RocLogger("vnir", "192.168.0.10"))
    """

    def __init__(
        self,
        nodeId: str,
        destination: Endpoints | str | None,
        ctx: zmq.Context[Any] | None = None,
        *,
        level: int | str = logging.NOTSET,
    ) -> None:
        super().__init__(level)
        self.node = str(nodeId)
        self.endpoints = resolve_publish(destination)
        self._source = _Feed(self.node)
        self._publisher: Publisher = open_publisher(ctx, self.endpoints)
        self._wake = self._publisher.wake
        self._open = True
        self._publisher.attach(self._source)

    # ---- in the thread that logs

    def handle(self, record: logging.LogRecord) -> bool:
        """Take a record, without the lock that other handlers need."""
        if self.filters:
            found: Any = self.filter(record)  # a record, since Python 3.12
            if not found:
                return False
            if isinstance(found, logging.LogRecord):
                record = found
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record, and have it sent. Never raises, and waits for nobody."""
        try:
            name = record.name
            if not self._open or (name.startswith(_OWN) and _is_own(name)):
                return
            entry = _entry(record)
            running = RUNNING.get()
            if running is not None:
                entry = entry._replace(call=running.id)
                running.note(self._source.resource, entry)
            more = sum(len(text) for _, text in entry.extra) if entry.extra else 0
            if self._source.put(entry, more):
                self._wake()
        except Exception:
            self._source.give_up(severity_of(20))

    # ---- the end

    def flush(self) -> None:
        """Wait until all was sent, at most 1 s, and not at all while there is no broker."""
        deadline = time.monotonic() + _FLUSH
        while self._source.linked and not self._source.empty() and time.monotonic() < deadline:
            self._wake()
            time.sleep(0.002)

    def close(self) -> None:
        """Send what there is, which may take 1 s if there is a broker, and stop.

        What could not be sent is told on stderr.
        """
        if self._open:
            self._open = False
            self._publisher.detach(self._source, _FLUSH)
            if self.unsent:
                what = "log record was" if self.unsent == 1 else "log records were"
                say_once(f"{self.node}: {self.unsent} {what} not sent to the broker in time.")
        super().close()

    @property
    def dropped(self) -> int:
        """How many records had no room in the queue so far."""
        return self._source.dropped

    @property
    def unsent(self) -> int:
        """How many records wait now."""
        return self._source.waiting

    @property
    def connected(self) -> bool:
        """Whether a broker takes the records now."""
        return self._source.linked

    @property
    def was_connected(self) -> bool:
        """Whether a broker ever did."""
        return self._source.was_linked

    def __repr__(self) -> str:
        return f"<RocLogger of {self.node!r} at {self.endpoints.generalXSUB}>"


class _Feed(LogSource):
    """A source that knows where it lives."""

    def __init__(self, node: str) -> None:
        self._node = node
        super().__init__(self._who(), threading.RLock(), time.time)

    def _who(self) -> Source:
        return Source(self._node, socket.gethostname(), os.getpid(), "", uuid.uuid4().hex[:16])

    def on_fork(self) -> None:
        """In a child: another source, with numbers of its own."""
        self.begin(self._who(), threading.RLock())


def _is_own(name: str) -> bool:
    return name == _OWN or name.startswith(f"{_OWN}.")


# ---- what is taken of a record


def _entry(record: logging.LogRecord) -> Entry:
    args = record.args
    message = record.msg
    template = None
    if args:
        template = message if type(message) is str else None
        if template is not None and len(template) > _TEMPLATE:
            template = cut(template, _TEMPLATE)
    if args or type(message) is not str:
        message = _message(record)
    if len(message) > MOST_MESSAGE:
        message = cut(message, MOST_MESSAGE)
    entry = Entry(
        record.created,
        message,
        template,
        record.name,
        record.levelno,
        record.levelname,
        record.pathname,
        record.lineno,
        record.funcName,
        record.thread,
        record.threadName,
        record.processName,
    )
    facts = record.__dict__
    if record.exc_info or record.exc_text or record.stack_info or len(facts) > len(_PLAIN):
        return entry._replace(**_more(record, facts))
    return entry


def _message(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
        return text if type(text) is str else str.__str__(text)
    except Exception as error:
        parts = f"{text_of(record.msg, _TEMPLATE)} with {text_of(record.args, _TEMPLATE)}"
        return f"(this message cannot be formatted: {_said(error)}): {parts}"


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {_str_of(error)}"


def _str_of(error: BaseException) -> str:
    try:
        return cut(str.__str__(str(error)), MOST_TEXT)
    except Exception as worse:
        return f"(its message cannot be shown: __str__ raised {type(worse).__name__})"


def _more(record: logging.LogRecord, facts: dict[str, Any]) -> dict[str, Any]:
    """What most records do not have."""
    more: dict[str, Any] = {}
    if len(facts) > len(_PLAIN):
        extra = {name: value for name, value in facts.items() if name not in _KNOWN}
        if extra:
            more["extra"] = tuple(encode_attributes(extra))
        task = facts.get("taskName")
        if isinstance(task, str):
            more["task"] = task
    info = record.exc_info
    if isinstance(info, tuple) and len(info) == 3 and isinstance(info[1], BaseException):
        more["exception"] = _exception(info[1])
    elif record.exc_text:
        more["exception"] = ("", "", _middle_cut(str(record.exc_text)))
    if record.stack_info:
        more["stack"] = _middle_cut(str(record.stack_info))
    return more


def _exception(error: BaseException) -> tuple[str, str, str]:
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    try:
        text = "".join(traceback.format_exception(error))
    except Exception as worse:
        text = f"(the traceback cannot be shown: {type(worse).__name__})"
    return f"{module}{kind.__qualname__}", _str_of(error), _middle_cut(text)


def _middle_cut(text: str) -> str:
    """The frames stand in front, the exception itself at the end: keep both."""
    if len(text) <= MOST_TEXT:
        return text
    return f"{text[: MOST_TEXT // 2]}\n...\n{text[-MOST_TEXT // 2 :]}"


# ---- setting it up

_lock = threading.RLock()
_handler: RocLogger | None = None
_guessed = False
_hooks = Hooks()


def initRocLogging(
    nodeId: str | None = None,
    destination: Endpoints | str | None = None,
    level: int | str | None = None,
    ctx: zmq.Context[Any] | None = None,
) -> RocLogger:
    """Send everything that this program logs to the broker; call it as often as you like.

    It attaches a `RocLogger` to the root logger, and hands it warnings and uncaught
    exceptions of the program and of its threads as well; what showed them before still
    does. If no broker answers, it says so once on stderr, and keeps trying.

    The first call decides, but a node that nobody named may still be named.

    Args:
        nodeId: what this program is called in the log; by default the object id that it
            shares with `run_simple_server`, or else the program's name.
        destination: where the broker is; see `RocLogger`.
        level: the level of the root logger. By default it stays, except that in a program
            which has not set up logging it becomes INFO; warnings go on to stderr there.
        ctx: a ZeroMQ context to use for inproc.

    Returns:
        The handler. Closing it turns all of this off again.

    Raises:
        ConfigError, ValueError: an address or a level that makes no sense.
    """
    global _handler, _guessed
    with _lock:
        root = logging.getLogger()
        if level is not None:
            root.setLevel(level.upper() if isinstance(level, str) else level)
        current = _handler
        if current is not None and current._open and (nodeId is None or not _guessed):
            return current
        handler = _Attached(nodeId or _program_name(), destination, ctx)
        if current is not None:
            current.close()
        elif level is None and not root.handlers and root.level == logging.WARNING:
            root.setLevel(logging.INFO)
        if not root.handlers and logging.lastResort is not None:
            root.addHandler(logging.lastResort)  # with any other handler it would fall silent
        root.addHandler(handler)
        _hooks.install(handler)
        _handler, _guessed = handler, nodeId is None
    _watch(handler)
    return handler


class _Attached(RocLogger):
    """The handler of `initRocLogging`, which takes itself away when it is closed."""

    def close(self) -> None:
        global _handler
        if self._open:
            logging.getLogger().removeHandler(self)
            _hooks.remove(self)
            if _handler is self:
                _handler = None
        super().close()


def _program_name() -> str:
    name = sys.argv[0] if sys.argv else ""
    if name in ("", "-c", "-m"):
        return "python"
    path = Path(name)
    return path.parent.name if path.stem == "__main__" else path.stem


def _watch(handler: RocLogger) -> None:
    """Say once that no broker answers."""
    reference = weakref.ref(handler)

    def look() -> None:
        time.sleep(_SILENCE)
        watched = reference()
        if watched is not None and watched._open and not watched.was_connected:
            say_once(
                f"{watched.node}: no broker answers at {watched.endpoints.rocBroker} yet; log"
                " records wait for it. Start one with `rocbroker`, or set ROC_BROKER."
            )

    OwnThread(look, "roc-log-watch").start()
