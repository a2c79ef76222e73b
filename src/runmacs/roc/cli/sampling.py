"""Reading attributes again and again: a thread for each object, samples in one queue.

Rules:

* One request at a time for each object: a slow one gathers no queue, and delays no other.
* Whatever goes wrong (object or broker gone, busy, an exception in a property) is a sample
  too, and the reading goes on.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from typing import Any

from .. import errors
from ..client import RocClient
from ..wire.values import Member
from .names import Name

__all__ = ["Sample", "Sampler"]

_WAITING = 1_000


@dataclass(frozen=True)
class Sample:
    """A value that was read at ``time`` (seconds since 1970); or why it was not."""

    name: Name
    time: float
    value: Any = None
    problem: str = ""


class Sampler:
    """Reads attributes every ``interval`` seconds, until its client is closed."""

    def __init__(self, client: RocClient, names: list[Name], interval: float) -> None:
        self.samples: queue.Queue[Sample] = queue.Queue(_WAITING)
        self._client = client
        self._interval = interval
        for object_id in dict.fromkeys(name.object_id for name in names):
            mine = [name for name in names if name.object_id == object_id]
            threading.Thread(target=self._read, args=(mine,), daemon=True).start()

    def _read(self, names: list[Name]) -> None:
        due = time.monotonic()
        while not self._client.closed:
            for name in names:
                try:
                    self.samples.put(self._sample(name))
                except errors.Closed:
                    return
            due = max(due + self._interval, time.monotonic())
            time.sleep(due - time.monotonic() if due > time.monotonic() else 0)

    def _sample(self, name: Name) -> Sample:
        problem = ""
        try:
            value = self._client.call_object(
                name.object_id, "rpc.get", (name.path,), member=name.path
            )
            if not isinstance(value, Member):
                return Sample(name, time.time(), value)
            problem = f"it is a {value.kind} now"
        except errors.Closed:
            raise
        except errors.BrokerUnreachable:
            problem = "the broker is gone"
        except (errors.ObjectNotFound, errors.ServerLost):
            problem = "nobody shares it any more"
        except errors.CallTimeout:
            problem = "it does not answer"
        except errors.RocError as error:
            problem = str(error).partition("\n")[0]
        return Sample(name, time.time(), None, problem)
