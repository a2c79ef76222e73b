"""What the broker does with publications: status updates, log records, and all else.

Rules:

* Topics are told apart by how they begin. What is not ours is passed on untouched.
* Topics on which only the broker speaks (``roc.``, ``source.``, ``beat.``, ``snapshot.``)
  are its own: what others publish there is dropped and counted.
"""

from __future__ import annotations

from typing import Any

from ..wire import statusmsg
from .statuskeeper import Message, StatusKeeper, StatusLimits

__all__ = ["NewsCore"]

_LOG = b"log."
_OURS = (statusmsg.OWN, statusmsg.SOURCE, statusmsg.BEAT, statusmsg.SNAPSHOT)


class NewsCore:
    """The publications of one broker: messages in, messages to be published out."""

    def __init__(self, broker_id: str, limits: StatusLimits | None = None) -> None:
        self.status = StatusKeeper(broker_id, limits)

    def on_publication(self, frames: Message, now: float, out: list[Message]) -> None:
        """A message from a publisher; ``out`` gets what is to be passed on."""
        topic = frames[0]
        if topic.startswith(statusmsg.UPDATE):
            self.status.on_update(frames, now, out)
        elif topic.startswith(statusmsg.BEACON):
            self.status.on_beacon(frames, now, out)
            out.append(frames)
        elif topic.startswith(_OURS):
            self.status.on_reserved()
        else:
            out.append(frames)

    def on_subscribed(self, topic: bytes, now: float, out: list[Message]) -> None:
        """Somebody subscribed to a prefix that nobody was subscribed to."""
        self.status.on_subscribed(topic, now, out)

    def on_unsubscribed(self, topic: bytes, now: float) -> None:
        """The last one who was subscribed to a prefix is gone."""
        self.status.on_unsubscribed(topic, now)

    def stood_still(self, seconds: float) -> None:
        """The broker's loop stood still for so long."""
        self.status.stood_still(seconds)

    def next_deadline(self) -> float | None:
        """When `tick` should come at the latest."""
        return self.status.next_deadline()

    def tick(self, now: float, out: list[Message]) -> None:
        """Time has passed."""
        self.status.tick(now, out)

    def snapshot(self) -> dict[str, Any]:
        """Plain copies of what monitoring shows."""
        from dataclasses import asdict

        return {**asdict(self.status.counters), "leaves": len(self.status.tree)}

    def check(self) -> None:
        """Every invariant."""
        self.status.check()
