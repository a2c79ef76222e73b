"""What the broker does with publications: status updates, log records, and all else.

Rules:

* Topics are told apart by how they begin. What is not ours is passed on untouched: it is
  the very list that came, so that it need not be encoded again.
* Topics on which only the broker speaks (``roc.``, ``source.``, ``beat.``, ``snapshot.``)
  are its own: what others publish there is dropped and counted.
* The broker's own branch ``roc.`` tells which objects are up, as soon as that changes, and
  its own figures, once a second while somebody watches them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ..wire import statusmsg
from ..wire.statusmsg import path_problem, reserved
from .logkeeper import LogKeeper
from .statuskeeper import Message, Saved, StatusKeeper, StatusLimits

__all__ = ["NewsCore"]

_OURS = (statusmsg.OWN, statusmsg.SOURCE, statusmsg.BEAT, statusmsg.SNAPSHOT)
_LOG = b"log."
_OBJECTS, _BROKER = "roc.objects", "roc.broker"
_FIGURES = 1.0
_ABSENT = 1_000

Facts = dict[str, Any]


class NewsCore:
    """The publications of one broker: messages in, messages to be published out.

    Args:
        broker_id: names this run of the broker.
        limits: how much is kept of the status.
        presence: what is known of the object with an id; None when nobody serves it.
        figures: the broker's own figures.
        save: takes the tree now and then; returns how many seconds later the next time is.
        logs: keeps log records.
    """

    def __init__(
        self,
        broker_id: str,
        limits: StatusLimits | None = None,
        *,
        presence: Callable[[str], Facts | None] = lambda object_id: None,
        figures: Callable[[], Facts] = dict,
        save: Callable[[Saved], float] | None = None,
        logs: LogKeeper | None = None,
    ) -> None:
        self.logs = logs or LogKeeper()
        self.status = StatusKeeper(broker_id, limits)
        self._presence = presence
        self._figures = figures
        self._save = save
        self._changed: dict[str, None] = {}
        self._absent: OrderedDict[str, None] = OrderedDict()
        self._next_figures = 0.0
        self._next_save = 0.0
        self._saved = 0

    def on_publication(self, frames: Message, now: float, out: list[Message]) -> None:
        """A message from a publisher; ``out`` gets what is to be passed on."""
        topic = frames[0]
        if topic.startswith(_LOG):
            self.logs.keep(frames, now)
            out.append(frames)
        elif topic.startswith(statusmsg.UPDATE):
            self.status.on_update(frames, now, out)
        elif topic.startswith(statusmsg.BEACON):
            self.status.on_beacon(frames, now, out)
            self.logs.hear(frames, now)
            out.append(frames)
        elif topic.startswith(_OURS):
            self.status.on_reserved()
        else:
            out.append(frames)

    def on_subscribed(self, topic: bytes, now: float, out: list[Message]) -> None:
        """Somebody wants topics that begin so, and nobody did before."""
        if self.status.on_subscribed(topic, now, out) and self._is_watched():
            self._next_figures = now

    def on_unsubscribed(self, topic: bytes, now: float) -> None:
        """Nobody wants topics that begin so any more."""
        self.status.on_unsubscribed(topic, now)

    def on_object(self, object_id: str) -> None:
        """Something has happened to the servers of this object."""
        self._changed[object_id] = None

    def stood_still(self, seconds: float) -> None:
        """The broker's loop stood still for so long."""
        self.status.stood_still(seconds)

    # ---- time

    def next_deadline(self) -> float | None:
        """When `tick` is due, if it is."""
        if self._changed:
            return 0.0
        dues = [self.status.next_deadline()]
        if self._is_watched():
            dues.append(self._next_figures)
        if self._save is not None and self.status.changes != self._saved:
            dues.append(self._next_save)
        return min((due for due in dues if due is not None), default=None)

    def tick(self, now: float, out: list[Message]) -> None:
        """Time has passed."""
        if self._changed:
            changed, self._changed = self._changed, {}
            for object_id in changed:
                self._tell_presence(object_id, now, out)
        if self._is_watched() and now >= self._next_figures:
            self._next_figures = now + _FIGURES
            self.status.set_own(_BROKER, self._figures(), now, out)
        self.status.tick(now, out)
        if self._save is not None and now >= self._next_save and self.status.changes != self._saved:
            self.save(now)

    def restore(self, saved: Saved, elapsed: float, now: float) -> None:
        """Begin with what an earlier broker saved ``elapsed`` seconds ago."""
        self.status.restore(saved, elapsed, now)

    def save(self, now: float) -> None:
        """Have the tree saved, if it changed since the last time."""
        if self._save is not None and self.status.changes != self._saved:
            self._saved = self.status.changes
            self._next_save = now + self._save(self.status.saved(now))

    def _is_watched(self) -> bool:
        return self.status.is_watched(_BROKER)

    def _tell_presence(self, object_id: str, now: float, out: list[Message]) -> None:
        path = f"{_OBJECTS}.{object_id}"
        if path_problem(path) is not None:
            path = f"{_OBJECTS}.{object_id.replace('.', '%2E')}"
        facts = self._presence(object_id)
        self._absent.pop(path, None)
        if facts is None:
            facts = {"state": "absent"}
            self._absent[path] = None
            if len(self._absent) > _ABSENT:
                self._forget(self._absent.popitem(last=False)[0], out)
        self.status.set_own(path, facts, now, out)

    def _forget(self, path: str, out: list[Message]) -> None:
        """Leave by leaf: another object's may be beneath."""
        for name in self.status.own.children(path):
            if self.status.own.get(name) is not None:
                self.status.remove_own(name, out)

    # ---- looking at it

    def snapshot(self) -> dict[str, Any]:
        """What it knows, as plain data."""
        return {
            **asdict(self.status.counters),
            "leaves": len(self.status.tree),
            "log_records": self.logs.last,
            "log_records_kept": self.logs.kept,
            "dropped_log_records_malformed": self.logs.dropped_malformed,
        }

    def check(self) -> None:
        """Assert every invariant."""
        self.status.check()
        assert all(reserved(path) for path in self._absent)
