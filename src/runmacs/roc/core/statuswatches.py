"""Who watches which part of the tree, and how many updates of it there were.

Rules:

* A mask is watched while somebody is subscribed to its beat. Each update at the mask, beneath
  it or above it counts; once a second the count is told.
* Of a topic it is remembered whose count it raises, until somebody comes or goes.
"""

from __future__ import annotations

from typing import TypeAlias

from ..wire import statusmsg
from ..wire.statusmsg import Beat, encode_json, is_within, path_of, path_problem, topic_under
from .statussources import Message

__all__ = ["BEAT", "Route", "Watch", "Watches", "mask_in"]

BEAT = 1.0
"""Seconds between two beats of a mask."""

_ROUTES = 100_000


class Watch:
    """A mask that is watched, and the number of its updates."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


Route: TypeAlias = tuple[str, list[Watch]]


class Watches:
    """The masks that are watched, by what they are."""

    def __init__(self) -> None:
        self._watches: dict[str, Watch] = {}
        self._routes: dict[bytes, Route | None] = {}
        self._next_beat = 0.0

    def begin(self, mask: str, now: float) -> None:
        """Somebody watches a mask that nobody did."""
        if not self._watches:
            self._next_beat = now + BEAT
        self._watches[mask] = Watch()
        self._routes.clear()

    def end(self, mask: str) -> None:
        """Nobody watches it any more."""
        if self._watches.pop(mask, None) is not None:
            self._routes.clear()

    def count_of(self, mask: str) -> int:
        """How many updates of a mask there were since it is watched."""
        watch = self._watches.get(mask)
        return watch.count if watch else 0

    def is_watched(self, mask: str) -> bool:
        """Whether somebody watches something within a mask, or all of it."""
        return any(is_within(one, mask) or is_within(mask, one) for one in self._watches)

    def route(self, topic: bytes) -> Route | None:
        """The path of an update's topic, and who counts it; None for no such topic."""
        try:
            return self._routes[topic]
        except KeyError:
            pass
        path = path_of(topic)
        route = None
        if path is not None:
            route = (
                path,
                [
                    watch
                    for mask, watch in self._watches.items()
                    if is_within(path, mask) or is_within(mask, path)
                ],
            )
        if len(self._routes) >= _ROUTES:
            self._routes.clear()
        self._routes[topic] = route
        return route

    def next_deadline(self) -> float | None:
        """When `tick` should come at the latest."""
        return self._next_beat if self._watches else None

    def tick(self, broker: str, events: int, now: float, out: list[Message]) -> None:
        """Tell the counts, if it is time."""
        if self._watches and now >= self._next_beat:
            self._next_beat = now + BEAT
            for mask, watch in self._watches.items():
                beat = Beat(broker, watch.count, events)
                out.append([topic_under(statusmsg.BEAT, mask), encode_json(beat)])


def mask_in(name: bytes) -> str | None:
    """The mask that stands in a topic, with the topic's end; None for what is none."""
    if name == b"=":
        return ""
    if name[-2:] != b".=":
        return None
    try:
        mask = name[:-2].decode()
    except UnicodeDecodeError:
        return None
    return mask if path_problem(mask) is None else None
