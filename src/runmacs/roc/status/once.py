"""Updates without a source, for who sets a value once and goes: `set_once`, `remove_once`.

Rules:

* Nobody stands behind such a value afterwards: it has an age, and never turns stale.
* They return when the broker has it, and raise where it cannot be known to.
"""

from __future__ import annotations

import time

from .. import errors
from .._drivers.clock import now as clock
from .._drivers.publishers import open_publisher
from ..client import RocClient
from ..config import resolve_broker
from ..endpoints import Endpoints
from ..wire.statusmsg import Head, encode_data, encode_json, topic_of

__all__ = ["remove_once", "set_once"]

_PAUSE = 0.02


def set_once(
    broker: Endpoints | str | None, path: str, data: object, timeout: float = 2.0
) -> list[str]:
    """Publish values under a path, as `RocStatusUpdater.emit` does; returns the leaves' paths.

    Raises:
        ConfigError, Unsendable, TooLarge: as for `RocStatusUpdater.emit`.
        BrokerUnreachable: no broker answers.
        CallTimeout: the broker did not take it within ``timeout`` seconds.
    """
    leaves, text = encode_data(path, data)
    paths = list(dict(leaves))
    if not paths:
        raise errors.ConfigError(f"{path}: an empty dictionary has no values to set.")
    endpoints = resolve_broker(broker)
    with RocClient(endpoints, timeout=timeout) as client:
        monitor = client["roc.broker"]
        monitor.status(paths[0])  # is there a broker?
        began = clock()
        _publish(endpoints, [topic_of(path), text], timeout)
        while not all(_is_there(monitor.status(one)["leaves"].get(one), began) for one in paths):
            _wait_on(f"{path}: the broker has not taken the value", began + timeout, timeout)
    return paths


def remove_once(broker: Endpoints | str | None, path: str, timeout: float = 2.0) -> list[str]:
    """Remove a path, and all beneath it; returns the paths of the leaves that there were.

    Raises:
        ConfigError, BrokerUnreachable, CallTimeout: as for `set_once`.
    """
    encode_data(path, None if path else {})
    endpoints = resolve_broker(broker)
    with RocClient(endpoints, timeout=timeout) as client:
        monitor = client["roc.broker"]
        there = list(monitor.status(path)["leaves"])
        began = clock()
        if there:
            _publish(endpoints, [topic_of(path), b"null", encode_json(Head(removed=True))], timeout)
        while any(
            leaf["age"] > clock() - began for leaf in monitor.status(path)["leaves"].values()
        ):
            _wait_on(f"{path}: the broker has not removed it", began + timeout, timeout)
    return there


def _is_there(leaf: dict[str, object] | None, began: float) -> bool:
    if leaf is None:
        return False
    age = leaf["age"]
    return isinstance(age, float) and age <= clock() - began


def _wait_on(complaint: str, deadline: float, timeout: float) -> None:
    if clock() > deadline:
        raise errors.CallTimeout(
            f"{complaint} within {timeout:g} s. `roc broker info` tells what it has dropped.",
            executed=None,
        )
    time.sleep(_PAUSE)


def _publish(endpoints: Endpoints, message: list[bytes], timeout: float) -> None:
    publisher = open_publisher(None, endpoints)
    feed = _OneMessage(message)
    publisher.attach(feed)
    publisher.detach(feed, timeout)


class _OneMessage:
    """A feed of a single message."""

    def __init__(self, message: list[bytes]) -> None:
        self._waiting = [message]

    def link_up(self, now: float) -> None:
        """It is given when it is asked for."""

    def link_down(self, now: float) -> None:
        """What was lost is missed by who waits for it to arrive."""

    def take(self, now: float, room: int) -> list[list[bytes]]:
        messages, self._waiting = self._waiting, []
        return messages

    def next_deadline(self) -> float | None:
        return None

    def empty(self) -> bool:
        return not self._waiting

    def on_fork(self) -> None:
        self._waiting = []
