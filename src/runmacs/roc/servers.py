"""`run_simple_server`: what a server's program needs, in one call."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

from .endpoints import Endpoints
from .server import RocServer

__all__ = ["runSimpleServer", "run_simple_server"]


def run_simple_server(
    OBJECT_ID: str,
    instance: object,
    *,
    broker: Endpoints | str | None = None,
    policy: str | None = None,
    expose: str | Iterable[str] | None = None,
    hide: str | Iterable[str] | None = None,
    readonly: bool = False,
    on_state: Callable[[str], None] | None = None,
    log: bool = True,
) -> None:
    """Share ``instance`` as ``OBJECT_ID`` until Ctrl-C or SIGTERM, and then return.

    It returns, so that a ``with`` block around it closes the hardware::

        with VNIRCamera() as vnir:
            run_simple_server("vnir", vnir)

    Args:
        OBJECT_ID: the object id.
        instance: any Python object.
        broker: where the broker is; by default ``ROC_BROKER``, the configuration file, or
            ``127.0.0.1:5555``.
        policy, expose, hide, readonly, on_state: see `RocServer`. Without a policy
            ``ROC_POLICY=standby`` in front of the program makes a standby of it.
        log: whether to turn on distributed logging, with the object id as the node: see
            `initRocLogging`.

    Raises:
        ObjectIdTaken: another server shares this id already.
        ConfigError: an address, object id, policy or pattern that makes no sense.
    """
    server = RocServer(
        broker,
        OBJECT_ID,
        instance,
        policy=policy,
        expose=expose,
        hide=hide,
        readonly=readonly,
        on_state=on_state,
    )
    if log:
        # Here, so that who wants none does not pay for it.
        from .logs import initRocLogging

        initRocLogging(OBJECT_ID, server.endpoints)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()


runSimpleServer = run_simple_server
