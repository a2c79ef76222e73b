"""The web server's process: its socket, its address, its end."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import uvicorn

from .._drivers.interrupts import OwnThread
from ..errors import ConfigError
from .app import make_app
from .settings import Settings

__all__ = ["address_of", "bound", "serve"]

_BACKLOG = 128


def bound(settings: Settings) -> tuple[socket.socket, Settings]:
    """The socket that it listens on, and the settings with its port.

    Raises:
        ConfigError: it cannot listen there.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_REUSEADDR") and socket.has_ipv6:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        where = f"{settings.host}:{settings.port}"
        raise ConfigError(
            f"cannot listen at {where}: {error.strerror}. Take another --port, or 0 for any."
        ) from None
    return listener, replace(settings, port=listener.getsockname()[1])


def address_of(settings: Settings) -> str:
    """Where a browser finds it."""
    host = settings.host
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{settings.port}/"


def serve(
    listener: socket.socket, settings: Settings, until: Callable[[], object] | None = None
) -> None:
    """Serve until SIGINT or SIGTERM, or until ``until`` returns."""
    config = uvicorn.Config(
        make_app(settings),
        log_level="warning",
        access_log=False,
        ws="websockets-sansio",
        ws_max_size=settings.limits.body,
        ws_per_message_deflate=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=30,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    if until is not None:
        OwnThread(target=_end_after, args=(until, server), name="roc-web-until").start()
    # uvicorn raises what stopped it once more when it has ended; that is no crash.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        server.run(sockets=[listener])


def _end_after(until: Callable[[], object], server: uvicorn.Server) -> None:
    until()
    server.handle_exit(signal.SIGTERM, None)
