"""Who serves which object id, who waits to, and who is next.

Rules:

* Policy ``exclusive``: one server. A second one is *held* until the holder's next
  sign of life (then refused) or its loss (then it serves). As that sign may have been
  on its way while the holder died, the holder must still be there a moment later.
* Policy ``standby``: one serves, the others wait, in order of arrival.
* Policy ``pool``: all serve; most credit first, then least recently used.
* Servers of one id must agree on the policy; a stock worker has policy ``pool``.
* Credit is the worker's prefetch less the calls it holds. The last fifth of it, four calls at
  most, is kept for clients of which the worker holds nothing: who pipelines thousands of calls
  does not stand in the way of somebody's single one.
"""

from __future__ import annotations

import itertools
from typing import Any

from ..wire.jsonrpc import Text
from ..wire.mdp import Properties
from .liveness import LOST_AFTER, SILENCE, STOCK_SILENCE
from .waiting import WaitingCalls

__all__ = ["STOCK", "TOKEN_NUMBER", "Registry", "Service", "Worker"]

TOKEN_NUMBER = 8
"""A token is the client's routing id and the dispatch number, in so many bytes."""

_KEPT = 4
"""Calls that are kept at most."""

_LOOKED_AT = 8
"""Clients in turn among which one is looked for of which a worker holds nothing."""

STOCK = Properties(prefetch=1, interval=2.5, policy="pool", language="")
"""What is assumed of a worker that says nothing of itself."""


class Worker:
    """One server's conversation with the broker about one object id."""

    __slots__ = (
        "controls",
        "credit",
        "doubted",
        "greeted",
        "heard",
        "held_calls",
        "held_of",
        "kept",
        "properties",
        "rid",
        "served",
        "service",
        "since",
        "stalled",
        "state",
        "used",
    )

    def __init__(
        self, rid: bytes, service: Service, properties: Properties | None, now: float
    ) -> None:
        self.rid = rid
        self.service = service
        self.greeted = properties is not None
        self.properties = properties or STOCK
        self.credit = self.properties.prefetch
        self.kept = min(_KEPT, self.properties.prefetch // 5)
        self.held_calls: dict[bytes, Text] = {}
        self.held_of: dict[bytes, int] = {}
        self.controls: dict[bytes, bytes] = {}
        self.state = "held"
        self.stalled = False
        self.doubted: float | None = None
        self.since = self.heard = now
        self.used = 0
        self.served = 0

    def takes(self, client: bytes) -> bool:
        """Whether a call of this client may be handed to it."""
        if self.stalled:
            return False
        return self.credit > self.kept or (self.credit > 0 and client not in self.held_of)

    def hold(self, client: bytes, token: bytes, text: Text) -> None:
        """A call is handed to it."""
        self.held_calls[token] = text
        self.held_of[client] = self.held_of.get(client, 0) + 1
        self.credit -= 1

    def release(self, token: bytes) -> bool:
        """It holds this call no longer; False if it did not."""
        if self.held_calls.pop(token, None) is None:
            return False
        client = token[:-TOKEN_NUMBER]
        left = self.held_of.pop(client) - 1
        if left:
            self.held_of[client] = left
        self.credit += 1
        return True

    def silent_too_long(self, now: float) -> bool:
        """Whether its silence alone says that it is lost.

        A stock worker does not beat while it works, so then it is not judged.
        """
        if self.greeted:
            return now - self.heard > LOST_AFTER
        return not self.held_calls and now - self.heard > STOCK_SILENCE

    def stalls(self, now: float) -> bool:
        """Whether nothing more should be handed to it for now."""
        return self.greeted and now - self.heard > SILENCE

    def describe(self) -> str:
        """Where it runs, for people."""
        if self.properties.host:
            return f"{self.properties.host}, pid {self.properties.pid}"
        return "a stock worker"

    def snapshot(self) -> dict[str, Any]:
        """What monitoring shows of it: a plain copy; ages in seconds are the caller's to add."""
        return {
            "state": "stalled" if self.stalled else self.state,
            "policy": self.properties.policy,
            "host": self.properties.host,
            "pid": self.properties.pid,
            "language": self.properties.language,
            "since": self.since,
            "served": self.served,
            "running": len(self.held_calls),
        }


class Service:
    """One object id at the broker."""

    __slots__ = ("name", "others", "served", "serving", "waiting")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.serving: list[Worker] = []
        self.others: list[Worker] = []
        self.waiting = WaitingCalls()
        self.served = 0

    @property
    def workers(self) -> list[Worker]:
        """All of them, those that serve first."""
        return self.serving + self.others

    def snapshot(self) -> dict[str, Any]:
        """What monitoring shows of it: a plain copy."""
        return {
            "id": self.name.decode(),
            "queued": self.waiting.count,
            "served": self.served,
            "servers": [worker.snapshot() for worker in self.workers],
        }

    def free(self, client: bytes) -> Worker | None:
        """The worker that should get the next call of this client, None when none may."""
        if len(self.serving) == 1:
            worker = self.serving[0]
            return worker if worker.takes(client) else None
        best = None
        for worker in self.serving:
            if (
                best is None
                or worker.credit > best.credit
                or (worker.credit == best.credit and worker.used < best.used)
            ) and worker.takes(client):
                best = worker
        return best

    def next(self) -> tuple[bytes, Worker] | None:
        """The first in turn of the clients that wait, and who takes its call; None if that may
        not be yet.
        """
        for client in itertools.islice(self.waiting.clients, _LOOKED_AT):
            if (worker := self.free(client)) is not None:
                return client, worker
        return None


class Registry:
    """All object ids and workers that the broker knows."""

    def __init__(self) -> None:
        self.workers: dict[bytes, Worker] = {}
        self.services: dict[bytes, Service] = {}
        self.absent: set[bytes] = set()
        """Those of the services that nobody serves: calls wait for them."""
        self.lost: dict[bytes, float] = {}

    def service(self, name: bytes) -> Service:
        """The service of this name, made if need be."""
        service = self.services.get(name)
        if service is None:
            service = self.services[name] = Service(name)
            self.absent.add(name)
        return service

    def same_instance(self, name: bytes, properties: Properties | None) -> Worker | None:
        """An earlier conversation of the same server, which a new one replaces."""
        service = self.services.get(name)
        if service is None or properties is None or not properties.instance:
            return None
        return next(
            (w for w in service.workers if w.properties.instance == properties.instance), None
        )

    def admit(self, worker: Worker) -> str:
        """Enter a new worker, and say what it is: serving, standby or held."""
        self.workers[worker.rid] = worker
        service = worker.service
        self.lost.pop(service.name, None)
        worker.state = self._place(worker)
        (service.serving if worker.state == "serving" else service.others).append(worker)
        if service.serving:
            self.absent.discard(service.name)
        return worker.state

    @staticmethod
    def _place(worker: Worker) -> str:
        serving = worker.service.serving
        if not serving:
            return "serving"
        policies = {other.properties.policy for other in [*serving, worker]}
        if policies == {"pool"}:
            return "serving"
        return "standby" if policies == {"standby"} else "held"

    def remove(self, worker: Worker) -> None:
        """Forget a worker; its service too when nobody is left that needs it."""
        del self.workers[worker.rid]
        service = worker.service
        (service.serving if worker in service.serving else service.others).remove(worker)
        if not service.serving:
            self.absent.add(service.name)
        self.drop_if_unused(service)

    def promote(self, service: Service) -> Worker | None:
        """The next in line that serves from now on; to be asked until it says None.

        One takes the place of those who served; pool workers that were held behind an
        exclusive server serve together.
        """
        if not service.serving:
            in_line = service.others
            for other in service.others:
                other.doubted = None
        elif service.serving[0].properties.policy == "pool":
            in_line = [other for other in service.others if other.properties.policy == "pool"]
        else:
            return None
        if not in_line:
            return None
        worker = in_line[0]
        service.others.remove(worker)
        worker.state = "serving"
        service.serving.append(worker)
        self.absent.discard(service.name)
        return worker

    def drop_if_unused(self, service: Service) -> None:
        """Forget a service that has neither workers nor calls."""
        if not service.workers and not service.waiting.count:
            self.services.pop(service.name, None)
            self.absent.discard(service.name)

    def served_objects(self) -> int:
        """How many objects have a server now."""
        return len(self.services) - len(self.absent)

    def presence(self, object_id: str) -> dict[str, Any] | None:
        """Who serves an object, in short; None when nobody does."""
        service = self.services.get(object_id.encode())
        if service is None or not service.serving:
            return None
        first = service.serving[0]
        return {
            "state": "stalled" if first.stalled else "serving",
            "host": first.properties.host,
            "pid": first.properties.pid,
            "servers": len(service.serving),
            "waiting": len(service.others),
        }

    def check(self) -> None:
        """Every invariant of the registry."""
        listed = [worker for service in self.services.values() for worker in service.workers]
        assert {worker.rid for worker in listed} == set(self.workers)
        assert len(listed) == len(self.workers)
        assert self.absent == {s.name for s in self.services.values() if not s.serving}
        for name, service in self.services.items():
            assert service.name == name
            assert service.workers or service.waiting.count, f"{name!r} is unused"
            assert service.serving or not service.others, f"{name!r}: nobody was promoted"
            policies = {worker.properties.policy for worker in service.serving}
            assert len(policies) < 2
            assert len(service.serving) < 2 or policies == {"pool"}
            service.waiting.check()
        for worker in listed:
            assert worker.credit == worker.properties.prefetch - len(worker.held_calls)
            assert sum(worker.held_of.values()) == len(worker.held_calls)
            assert all(worker.held_of.values()), "no client of which nothing is held"
            assert worker.credit >= 0
            assert (worker.state == "serving") == (worker in worker.service.serving)
            assert worker.state == "serving" or not worker.held_calls
