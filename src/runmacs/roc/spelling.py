"""How a call is spelled that is not made at once: as a function, and what it is called with.

::

    submit(vnir.setFps, 20)           vnir.setFps(20)
    submit(getattr, vnir, "fps")      vnir.fps
    submit(setattr, vnir, "fps", 20)  vnir.fps = 20

As for `concurrent.futures.Executor.submit`; but the function is a remote one, or one of the
two builtins that read and set attributes.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from . import errors

__all__ = ["Remotely", "Spelled", "Spot", "spelled"]


class Spot(NamedTuple):
    """Where a proxy, or a remote method, leads."""

    client: object
    object_id: str
    path: str
    timeout: float | None


class Remotely(Protocol):
    """A proxy, or a remote method."""

    def _roc_spot(self) -> Spot: ...


class Spelled(NamedTuple):
    """A call: what of whom, and with what. ``reads`` is the proxy that an attribute is of."""

    spot: Spot
    method: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    member: str
    reads: Any = None


def spelled(
    client: object, function: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Spelled:
    """The call that is meant.

    Raises:
        TypeError: it is none that goes to another process; the message says what would.
        AttributeError: the attribute's name has a leading underscore.
        ConfigError: it is one of another client.
    """
    if function is getattr or function is setattr:
        return _of_attribute(client, function.__name__, args, kwargs)
    spot = _spot_of(client, function)
    if not spot.path:
        return Spelled(spot, "rpc.special", ("", "call", *args), kwargs, "__call__")
    return Spelled(spot, spot.path, args, kwargs, spot.path)


def _of_attribute(
    client: object, builtin: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Spelled:
    expected = {"getattr": "a proxy and a name", "setattr": "a proxy, a name and a value"}[builtin]
    if kwargs or len(args) != expected.count("a ") or not isinstance(args[1], str):
        raise TypeError(f"{builtin} takes {expected} here.")
    spot = _spot_of(client, args[0])
    if args[1].startswith("_"):
        raise AttributeError(f"{args[1]}: names with a leading underscore are not shared.")
    path = f"{spot.path}.{args[1]}" if spot.path else args[1]
    if builtin == "setattr":
        return Spelled(spot, "rpc.set", (path, args[2]), {}, path)
    return Spelled(spot, "rpc.get", (path,), {}, path, args[0])


def _spot_of(client: object, function: Any) -> Spot:
    find = getattr(type(function), "_roc_spot", None)
    if find is None:
        raise TypeError(
            f"{_brief(function)} is not remote. Give a remote method and its arguments, as in"
            " submit(vnir.setFps, 20); or getattr or setattr, as in submit(getattr, vnir, 'fps')."
        )
    spot: Spot = find(function)
    if spot.client is not client:
        raise errors.ConfigError(
            f"{spot.object_id!r} was taken from another client: take it from this one."
        )
    return spot


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
