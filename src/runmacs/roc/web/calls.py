"""Calls for whoever asks over HTTP or from a page.

Rules:

* With ``--readonly`` nothing is set and no method runs, but what only tells: attributes,
  descriptions, and what the broker says of itself.
* A path that names an object that a result stood for is as good as a name.
"""

from __future__ import annotations

import math
from typing import Any, Final

from ..errors import ConfigError, InvalidParams, MethodNotFound
from .hub import Hub

__all__ = ["LONGEST", "call", "checked_timeout", "discover"]

LONGEST: Final = 3600.0
"""Seconds that a call may take at most."""

_TELLING: Final = frozenset({"rpc.get", "rpc.discover", "rpc.ping"})
_BROKER: Final = "roc.broker"
_BROKER_TELLS: Final = frozenset({"objects", "stats", "status", "log", "log_sources"})


async def call(
    hub: Hub,
    object_id: str,
    method: str,
    args: list[Any],
    kwargs: dict[str, Any],
    timeout: float | None = None,
) -> Any:
    """Call a method of an object, or one of the protocol, and return its result.

    Raises:
        RocError: as for every call.
    """
    if hub.settings.readonly and not _tells(object_id, method):
        raise MethodNotFound(
            f"{object_id}.{method} was not called: this web server was started with --readonly.",
            executed=False,
        )
    member = ""
    if method in ("rpc.get", "rpc.set"):
        if not args or not isinstance(args[0], str):
            raise InvalidParams(f"{method} takes the name of an attribute first.")
        member = args[0]
    seconds = hub.settings.timeout if timeout is None else timeout
    if method == "rpc.discover":
        return await discover(hub, object_id, *args[:1])
    return await hub.client.call_object(object_id, method, tuple(args), kwargs, seconds, member)


def _tells(object_id: str, method: str) -> bool:
    """Whether a call changes nothing."""
    return method in _TELLING or (object_id == _BROKER and method in _BROKER_TELLS)


async def discover(hub: Hub, object_id: str, path: str = "") -> Any:
    """What an object says of itself; answered while it is busy, and runs none of its code."""
    args = (path,) if path else ()
    return await hub.client.call_object(f"{object_id}!", "rpc.discover", args, None, 3.0)


def checked_timeout(text: str | float | None) -> float | None:
    """Seconds, or None where nothing was said.

    Raises:
        ConfigError: it is no duration.
    """
    if text is None or text == "":
        return None
    try:
        seconds = float(text)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 < seconds <= LONGEST:
        raise ConfigError(f"a timeout is a number of seconds above 0, up to {LONGEST:g}")
    return seconds
