"""`RocServer`: share one object under an object id."""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import errors
from ._drivers.interrupts import StopSignals
from ._drivers.serving import Serving
from ._drivers.telling import to_stderr
from .config import lookup, resolve_broker
from .core.dispatch import Dispatcher
from .core.kept import Kept
from .core.selection import Selection
from .core.sharing import SharedObject
from .core.worker import WorkerCore
from .endpoints import Endpoints
from .loglevels import log_level
from .wire import mdp
from .wire.mdp import Properties

if TYPE_CHECKING:
    import zmq

__all__ = ["RocServer"]

_ACCEPTANCE = 2.0
_one_way = logging.getLogger("roc.oneway")  # not one of our own, which are never sent on


class RocServer:
    """Shares ``objectInstance`` with everybody who asks the broker for ``objectId``.

    Its public methods and attributes can be used from afar, one call at a time, in the
    thread that called `run`; names that begin with an underscore never are. A broker that
    is not there yet, is lost or restarted is waited for and joined again.

    Args:
        brokerEndpoint: where the broker is: `Endpoints`, ``tcp://host:5555``, ``host``,
            ``host:baseport``, or None for ``ROC_BROKER``, the configuration file, or
            ``127.0.0.1:5555``.
        objectId: 1 to 200 bytes of printable UTF-8 without spaces and ``! @ * ?``.
        objectInstance: any Python object.
        ctx: a ZeroMQ context to use; it is never terminated here.
        prefetch: how many requests the broker may send ahead.
        policy: ``exclusive`` (one server), ``standby`` (waits and takes over) or ``pool``
            (all servers of this id share the load); None for ``ROC_POLICY``, the
            configuration file, or ``exclusive``.
        expose: names or patterns (``"lens.get*"``), one or several: nothing else is shared
            then. A class that is named in full can be called.
        hide: names or patterns of what is not shared. It wins over ``expose``.
        readonly: whether every attempt to set something is refused.
        on_state: is called with ``"serving"`` or ``"standby"`` whenever this server has become
            that, in the thread that serves, before the first call is executed: the place to
            open the hardware when a standby takes over. What it raises ends the server.

    Raises:
        ConfigError: an address, object id, policy or pattern that makes no sense.

    Example::

        server = RocServer(None, "vnir", VNIRCamera())
        server.run()
    """

    def __init__(
        self,
        brokerEndpoint: Endpoints | str | None,
        objectId: str,
        objectInstance: object,
        ctx: zmq.Context[Any] | None = None,
        *,
        prefetch: int = 20,
        policy: str | None = None,
        expose: str | Iterable[str] | None = None,
        hide: str | Iterable[str] | None = None,
        readonly: bool = False,
        on_state: Callable[[str], None] | None = None,
    ) -> None:
        problem = mdp.object_id_problem(objectId)
        if problem is not None:
            raise errors.ConfigError(f"The object id {objectId!r} {problem}.")
        if policy is None:
            policy = lookup("policy").value
        if policy not in mdp.POLICIES:
            known = ", ".join(mdp.POLICIES)
            raise errors.ConfigError(f"policy is one of {known}, not {policy!r}.")
        if not 1 <= prefetch <= 10_000:
            raise errors.ConfigError(f"prefetch is a number from 1 to 10000, not {prefetch!r}.")
        selection = Selection(expose, hide, readonly)
        # A pool's next call may go to another server. And what is shared by name is no result.
        keeps = selection.everything and policy != "pool"
        kept = Kept(uuid.uuid4().hex[:6]) if keeps else None
        self.endpoints = resolve_broker(brokerEndpoint)
        self.object_id = objectId
        self.instance = objectInstance
        self._ctx = ctx
        self._prefetch = prefetch
        self._policy = policy
        self._on_state = on_state
        self._shared = SharedObject(objectInstance, objectId, selection, kept)
        self._serving: Serving | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def run(self) -> None:
        """Serve until stopped, in this thread: methods run here.

        In the main thread Ctrl-C breaks into a running method and is raised from here;
        SIGTERM lets the method end within 5 s, and then `run` returns. Calls that wait
        are answered *not executed*.

        Raises:
            ObjectIdTaken: another server shares this id already.
        """
        serving = self._prepare()
        with StopSignals(serving.interrupt, serving.stop):
            serving.run()
        if serving.ctrl_c:
            raise KeyboardInterrupt

    def start(self) -> RocServer:
        """Serve in a thread of its own. Returns when the broker has accepted the object,
        or after 2 s if there is no broker yet.

        Raises:
            ObjectIdTaken: another server shares this id already.
        """
        if self._thread is not None and self._thread.is_alive():
            return self
        serving = self._prepare()
        self._failure = None
        ended = threading.Event()

        def serve() -> None:
            try:
                serving.run()
            except BaseException as error:
                self._failure = error
                if serving.accepted.is_set():
                    raise  # `start` has returned: the thread's own report is the only one
            finally:
                ended.set()
                serving.accepted.set()

        self._thread = threading.Thread(target=serve, name=f"roc-{self.object_id}", daemon=True)
        self._thread.start()
        serving.accepted.wait(_ACCEPTANCE)
        failure: BaseException | None = self._failure
        if ended.is_set() and failure is not None:
            self._thread = None
            raise failure
        return self

    def stop(self, timeout: float = 5.0) -> None:
        """Stop serving, from any thread. A running method has ``timeout`` seconds to end."""
        serving, thread = self._serving, self._thread
        if serving is not None:
            serving.stop(timeout)
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
            self._thread = None

    def _prepare(self) -> Serving:
        if self._serving is not None:
            self._serving.check_owner()
        host, pid = socket.gethostname(), os.getpid()
        properties = Properties(
            instance=uuid.uuid4().hex,
            prefetch=self._prefetch,
            policy=self._policy,
            host=host,
            pid=pid,
            language="python",
        )
        about = {"object": self.object_id, "host": host, "pid": pid, "language": "python"}
        dispatcher = Dispatcher(
            self._shared, about, lambda: self._serving is not None and self._serving.interrupted
        )
        dispatcher.log_level = log_level
        dispatcher.unanswered = _log_unanswered
        core = WorkerCore(self.object_id, properties)
        self._serving = Serving(
            self._ctx, self.endpoints, core, dispatcher, to_stderr, self._on_state
        )
        return self._serving

    def __enter__(self) -> RocServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        name = type(self.instance).__name__
        return f"<RocServer of {self.object_id!r} ({name}) at {self.endpoints.rocBroker}>"


def _log_unanswered(message: str, error: BaseException | None) -> None:
    """A one-way call failed: nobody but the log hears of it."""
    _one_way.error("one-way call: %s", message, exc_info=error)
