"""Judges the whole history of a run.

What a call may not do:

a. end with a result that is not its own;
b. begin twice;
c. begin after its caller's deadline (see `_excuse` for what nobody could know), or after
   its caller was told that it was not executed;
d. end with an ``executed`` that is not true;
e. end later than 0.25 s after its caller's deadline.

What a laboratory may not do: fail to serve each client within 3 s of the healing (f), hold
on to anything when all is quiet (g), execute two calls of one server at once, or two calls of
one client in another order than they were made in (h), refuse a server whose id is free (i).
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from runmacs.roc.testing import Entry, Made
from runmacs.roc.testing.network import Arrival
from simulation.laboratory import Laboratory

__all__ = ["Fault", "judge"]

GRACE = 0.25
WITHIN = 3.0
UNSEEN = 0.31
"""A loop cannot tell a freeze of its process from its own wait, which lasts up to 0.25 s, and
takes 0.05 s more for granted: so long may a message have waited unread in each of the two
processes on its way without their knowing."""

DRIFT = 1e-3
"""What two clocks that differ by 2e-4, and the allowance of 5e-4 that a receiver makes for
that, add up to, for each second since the first call of a client at a server; rounded up."""


class Fault(NamedTuple):
    """Something that must not happen, and the call it happened to, if any."""

    rule: str
    what: str
    call: str = ""

    def __str__(self) -> str:
        return f"({self.rule}) {self.call or 'the laboratory'}: {self.what}"


class _Way(NamedTuple):
    """How a request came to its server. All in true seconds."""

    sent: float
    linked: float
    unread: tuple[float, float]

    @property
    def total(self) -> float:
        return self.linked + sum(self.unread)

    @property
    def unseen(self) -> float:
        """What neither broker nor server could know of by themselves."""
        return self.linked + sum(min(unread, UNSEEN) for unread in self.unread)


def judge(laboratory: Laboratory) -> list[Fault]:
    """All that was wrong, worst first; empty if all was well."""
    return _Judge(laboratory).faults()


class _Judge:
    def __init__(self, laboratory: Laboratory) -> None:
        self.laboratory = laboratory
        self.begun: dict[str, list[Entry]] = defaultdict(list)
        self.ended: dict[str, list[Entry]] = defaultdict(list)
        self.ways: dict[str, _Way] = {}
        self.best: dict[str, float] = {}
        self._read_history()

    def faults(self) -> list[Fault]:
        """Every rule, in turn."""
        found: list[Fault] = []
        for made in self.laboratory.made:
            found += self._call(made)
        found += self._order()
        found += self._refusals()
        found += self._probes()
        found += self._leaks()
        return found

    # ---- the history

    def _read_history(self) -> None:
        at_broker: dict[str, tuple[Arrival, float]] = {}
        handed: dict[str, float] = {}
        quickest: dict[tuple[str, str, bytes], float] = {}
        broker = self.laboratory.broker.name
        for entry in self.laboratory.history.entries:
            if entry.what == "begins":
                self.begun[entry.call].append(entry)
            elif entry.what == "ends the call":
                self.ended[entry.call].append(entry)
            elif entry.what == "hands over":
                handed[entry.call] = entry.when
            elif entry.what == "reads" and entry.who.startswith(broker):
                at_broker[entry.call] = entry.more, entry.when
            elif entry.what == "reads" and entry.call in at_broker:
                first, read = at_broker[entry.call]
                second: Arrival = entry.more
                way = _Way(
                    first.sent,
                    first.arrived - first.sent + second.arrived - second.sent,
                    (read - first.arrived, entry.when - second.arrived),
                )
                text = bytes((first.frames or [b""])[-1])
                clock = text.partition(b'"clock":')[2][:3]
                pair = entry.call.partition(".")[0], entry.who, clock
                quickest[pair] = min(quickest.get(pair, way.total), way.total)
                self.ways[entry.call] = way
                self.best[entry.call] = quickest[pair]

    # ---- a call

    def _call(self, made: Made) -> list[Fault]:
        found: list[Fault] = []

        def fault(rule: str, what: str) -> None:
            found.append(Fault(rule, what, made.id))

        begun, ended = self.begun[made.id], self.ended[made.id]
        method = not made.call.method.startswith("rpc.")
        if len(begun) > 1:
            places = " and ".join(f"{entry.who} at {entry.when:.4f}" for entry in begun)
            fault("b", f"began {len(begun)} times, at {places}")
        for entry in begun:
            late = entry.when - made.deadline
            if late > 0 and late > self._excuse(made, entry):
                fault("c", f"began {late:.4f} s after its deadline, {self._excuse(made, entry):.4f} s are excused")
        if made.ended is None:
            if made.client.alive and made.life == made.client.lives:
                fault("e", "never ended")
            return found
        late = made.ended - made.deadline - made.frozen
        if late > GRACE + 1e-3:
            fault("e", f"ended {late:.4f} s after its deadline")
        if made.error is None:
            if method and made.result != made.id:
                fault("a", f"got the result {made.result!r}")
            if method and not ended:
                fault("a", "has a result, but no execution of it ended")
        elif method:
            executed = made.error.executed
            if executed is False and begun:
                when = "before" if begun[0].when <= made.ended else "after"
                fault("d" if when == "before" else "c", f"began {when} it was told that it was not executed: {made.error!r}")
            if executed is True and not ended:
                fault("d", f"was told that it was executed, which it was not: {made.error!r}")
        return found

    def _excuse(self, made: Made, begun: Entry) -> float:
        """How much too late a call may begin, because nobody could know any better.

        A server computes how late a request is from the sender's clock in it, against the
        quickest request that ever came from that sender. So what the quickest one was late
        remains unseen: a link that has been slow from the first message on looks like a
        clock that is set differently. What remains of a request's own lateness, if it is the
        first of its sender, is the time on the links, and freezes too short to be told from
        a wait.
        """
        way = self.ways.get(made.id)
        if way is None:
            return 0.0
        unseen = min(self.best[made.id], way.unseen)
        return unseen + DRIFT * (begun.when + 1.0)

    # ---- the laboratory

    def _order(self) -> list[Fault]:
        """One call at a time, and those of one client in order, at each server."""
        found: list[Fault] = []
        running: dict[str, str] = {}
        latest: dict[tuple[str, str], int] = {}
        for entry in self.laboratory.history.entries:
            if entry.what == "begins":
                if entry.who in running:
                    found.append(Fault("h", f"began while {running[entry.who]} ran", entry.call))
                running[entry.who] = entry.call
                client, _, number = entry.call.partition(".")
                if latest.get((client, entry.who), 0) > int(number):
                    found.append(Fault("h", "began after a call that was made later", entry.call))
                latest[client, entry.who] = int(number)
            elif entry.what == "ends the call":
                running.pop(entry.who, None)
        return found

    def _refusals(self) -> list[Fault]:
        """Whoever is refused, another server of that id lives, or did a moment ago."""
        found: list[Fault] = []
        objects = {server.name: server.object_id for server in self.laboratory.servers}
        alive: dict[str, float] = {}
        for entry in self.laboratory.history.entries:
            name = entry.who.partition("/")[0]
            if name not in objects:
                continue
            if entry.what in ("starts",):
                alive[name] = float("inf")
            elif entry.what in ("ends", "is killed"):
                alive[name] = entry.when
            elif entry.what == "is refused":
                others = [
                    until
                    for other, until in alive.items()
                    if other != name and objects[other] == objects[name]
                ]
                if not others or max(others) < entry.when - 1.0:
                    found.append(Fault("i", f"{entry.who} was refused at {entry.when:.4f}, but its id was free: {entry.more}"))
        return found

    def _probes(self) -> list[Fault]:
        found: list[Fault] = []
        healed = self.laboratory.healed_at
        for probe in self.laboratory.probes:
            busy = self._busy(probe.object_id, healed, probe.succeeded or float("inf"))
            if probe.succeeded is None:
                found.append(Fault("f", f"{probe.object_id} never became callable again for {probe.client.name}: {probe.made}"))
            elif probe.succeeded > healed + WITHIN + busy:
                late = probe.succeeded - healed
                found.append(Fault("f", f"{probe.object_id} was callable again for {probe.client.name} only after {late:.2f} s, of which it was busy {busy:.2f} s"))
        return found

    def _busy(self, object_id: str, start: float, end: float) -> float:
        """Seconds that the servers of an object executed between two times."""
        names = {s.name for s in self.laboratory.servers if s.object_id == object_id}
        since: dict[str, float] = {}
        total = 0.0
        for entry in self.laboratory.history.entries:
            if entry.who.partition("/")[0] in names:
                if entry.what == "begins":
                    since[entry.who] = entry.when
                elif entry.what in ("ends the call", "is killed") and entry.who in since:
                    total += max(0.0, min(entry.when, end) - max(since.pop(entry.who), start))
        return total

    def _leaks(self) -> list[Fault]:
        found: list[Fault] = []
        laboratory = self.laboratory
        for worker in laboratory.broker.core.registry.workers.values():
            if worker.held_calls or worker.controls:
                found.append(Fault("g", f"the broker still waits for {worker.rid!r}"))
        for service in laboratory.broker.core.registry.services.values():
            if service.waiting.count:
                found.append(Fault("g", f"{service.waiting.count} calls still wait for {service.name!r}"))
        for server in laboratory.servers:
            if server.alive and (server.core.snapshot()["queued"] or server.core.running):
                found.append(Fault("g", f"{server.label} still has calls"))
        for client in [*laboratory.clients, *laboratory.visitors]:
            left = client.core.snapshot()
            if client.alive and (left["open"] or left["queued"] or left["verdicts"]):
                found.append(Fault("g", f"{client.label} still has calls: {left}"))
        return found
