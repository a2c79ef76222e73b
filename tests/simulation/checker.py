"""Judges the whole history of a run.

What a call may not do:

a. end with a result that is not its own;
b. begin twice;
c. begin after its caller's deadline (but for what nobody could know, see `ways`), after its
   caller was told that it was not executed, or long after the broker that handed it over died;
d. end with an ``executed`` that is not true;
e. end later than 0.25 s after its caller's deadline, or be refused as too late before it,
   unless a process on its way stood still lately, and so cannot know.

What a laboratory may not do: fail to serve each client within 3 s of the healing (f), hold
on to anything when all is quiet (g), execute two calls of one server at once, or two calls of
one client in another order than they were made in (h), refuse a server whose id is free (i).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from runmacs.roc import errors
from runmacs.roc.core.liveness import SILENCE
from runmacs.roc.testing import Entry, Made, SimulatedClient
from simulation.laboratory import Laboratory, Probe
from simulation.ways import Ways

__all__ = ["Fault", "judge"]

GRACE = 0.25
WITHIN = 3.0

NOTICED = SILENCE + 0.3
"""Seconds after which a server has left a broker that died: it is only silent, if the end of
the connection does not get through."""

LATELY = 3.0
"""Seconds after a standstill in which its consequences may be felt, in queues above all."""

ON_ITS_WAY = 1.0
"""Seconds that a sign of life, and the end of a connection, may be on their way."""


class Fault(NamedTuple):
    """Something that must not happen, and the call it happened to, if any."""

    rule: str
    what: str
    call: str = ""

    def __str__(self) -> str:
        return f"({self.rule}) {self.call or 'the laboratory'}: {self.what}"


def judge(laboratory: Laboratory) -> list[Fault]:
    """All that was wrong; empty if all was well."""
    return list(_Judge(laboratory).faults())


class _Judge:
    def __init__(self, laboratory: Laboratory) -> None:
        self.laboratory = laboratory
        self.entries = laboratory.history.entries
        self.ways = Ways(laboratory.history, laboratory.broker.name)
        self.begun: dict[str, list[Entry]] = defaultdict(list)
        self.ended: set[str] = set()
        self.reads: dict[str, list[float]] = defaultdict(list)
        self.stood_still: list[float] = []
        self.slept = {action.who for action in laboratory.schedule.actions if action.clock_stops}
        held = {made.id for made in laboratory.made if made.call.method == "hold"}
        for entry in self.entries:
            if entry.what == "begins":
                self.begun[entry.call].append(entry)
            elif entry.what == "ends the call":
                self.ended.add(entry.call)
                if entry.call in held:
                    self.stood_still.append(entry.when)
            elif entry.what == "reads":
                self.reads[entry.call].append(entry.when)
            elif entry.what == "thaws":
                self.stood_still.append(entry.when)

    def faults(self) -> Iterator[Fault]:
        """Every rule, in turn."""
        for made in self.laboratory.made:
            yield from self._begins_once_and_in_time(made)
            yield from self._ends_in_time(made)
            yield from self._is_not_refused_early(made)
            if made.ended is not None and not made.call.method.startswith("rpc."):
                yield from self._is_told_the_truth(made, made.ended)
        yield from self._orphans()
        yield from self._order()
        yield from self._refusals()
        for probe in self.laboratory.probes:
            yield from self._probe(probe)
        yield from self._leaks()

    # ---- a call

    def _begins_once_and_in_time(self, made: Made) -> Iterator[Fault]:
        begun = self.begun[made.id]
        if len(begun) > 1:
            places = " and ".join(f"{entry.who} at {entry.when:.4f}" for entry in begun)
            yield Fault("b", f"began {len(begun)} times, at {places}", made.id)
        for entry in begun:
            late = entry.when - made.deadline
            excuse = self.ways.excuse(made.id, entry) if late > 0 else 0.0
            if late > excuse:
                what = f"began {late:.4f} s after its deadline, {excuse:.4f} s are excused"
                yield Fault("c", what, made.id)

    def _ends_in_time(self, made: Made) -> Iterator[Fault]:
        if made.ended is None:
            if _lives(made):
                yield Fault("e", "never ended", made.id)
        elif (late := made.ended - made.deadline - made.frozen) > GRACE + 1e-3:
            yield Fault("e", f"ended {late:.4f} s after its deadline", made.id)

    def _is_not_refused_early(self, made: Made) -> Iterator[Fault]:
        """Who stood still takes what it then reads for older than it may be."""
        refused = isinstance(made.error, errors.CallTimeout) and made.error.executed is False
        if not refused or made.ended is None or made.ended > made.deadline - GRACE:
            return
        read = self.reads[made.id]
        excused = [t for t in self.stood_still for r in read if t - 1e-3 <= r <= t + LATELY]
        if read and not excused and made.client.name not in self.slept:
            early = made.deadline - made.ended
            yield Fault("e", f"was refused as too late {early:.4f} s before its deadline", made.id)

    def _is_told_the_truth(self, made: Made, told: float) -> Iterator[Fault]:
        begun, ended = self.begun[made.id], made.id in self.ended
        if made.error is None:
            if made.result != made.id:
                yield Fault("a", f"got the result {made.result!r}", made.id)
            elif not ended:
                yield Fault("a", "has a result, but no execution of it ended", made.id)
        elif made.error.executed is False and begun:
            before = begun[0].when <= told
            when = "before" if before else "after"
            what = f"began {when} its caller was told that it was not executed: {made.error!r}"
            yield Fault("d" if before else "c", what, made.id)
        elif made.error.executed is True and not ended:
            yield Fault("d", f"was not executed, other than it was told: {made.error!r}", made.id)

    # ---- servers

    def _orphans(self) -> Iterator[Fault]:
        """What a dead broker handed over is dropped by its server, which may be frozen first."""
        ended: dict[str, float] = {}
        handed_by: dict[str, str] = {}
        thawed: dict[str, float] = defaultdict(float)
        for entry in self.entries:
            if entry.what in ("is killed", "stops"):
                ended[entry.who] = entry.when
            elif entry.what == "hands over":
                handed_by[entry.call] = entry.who
            elif entry.what == "thaws":
                thawed[entry.who] = entry.when
            elif entry.what == "begins" and handed_by.get(entry.call) in ended:
                late = entry.when - max(ended[handed_by[entry.call]], thawed[entry.who])
                if late > NOTICED:
                    yield Fault("c", f"began {late:.4f} s after its broker died", entry.call)

    def _order(self) -> Iterator[Fault]:
        """One call at a time, and those of one client in order.

        Between the servers of a pool there is no order that could be kept.
        """
        pool = {server.name for server in self.laboratory.servers if server.policy == "pool"}
        running: dict[str, str] = {}
        latest: dict[tuple[str, str], int] = defaultdict(int)
        for entry in self.entries:
            if entry.what == "begins":
                if entry.who in running:
                    yield Fault("h", f"began while {running[entry.who]} ran", entry.call)
                running[entry.who] = entry.call
                client, _, number = entry.call.partition(".")
                if latest[client, entry.who] > int(number) and _name(entry) not in pool:
                    yield Fault("h", "began after a call that was made later", entry.call)
                latest[client, entry.who] = int(number)
            elif entry.what == "ends the call":
                running.pop(entry.who, None)

    def _refusals(self) -> Iterator[Fault]:
        """When a server is refused another one of its id lives, or did a moment ago."""
        objects = {server.name: server.object_id for server in self.laboratory.servers}
        alive: dict[str, float] = {}
        for entry in self.entries:
            name = _name(entry)
            if name not in objects:
                continue
            if entry.what == "starts":
                alive[name] = float("inf")
            elif entry.what in ("ends", "is killed"):
                alive[name] = entry.when
            elif entry.what == "is refused":
                others = [other for other in objects if other != name]
                same = [other for other in others if objects[other] == objects[name]]
                if all(alive.get(other, 0.0) < entry.when - ON_ITS_WAY for other in same):
                    yield Fault("i", f"{entry.who} was refused, but its id was free: {entry}")

    # ---- the end

    def _probe(self, probe: Probe) -> Iterator[Fault]:
        healed, who = self.laboratory.healed_at, f"{probe.object_id} for {probe.client.name}"
        if probe.succeeded is None:
            yield Fault("f", f"never became callable again: {who}: {probe.made}")
            return
        busy = self._busy(probe.object_id, healed, probe.succeeded)
        late = probe.succeeded - healed
        if late > WITHIN + busy:
            yield Fault("f", f"callable again after {late:.2f} s, {busy:.2f} s of them busy: {who}")

    def _busy(self, object_id: str, start: float, end: float) -> float:
        """Seconds that the servers of an object executed between two times."""
        names = {s.name for s in self.laboratory.servers if s.object_id == object_id}
        since: dict[str, float] = {}
        total = 0.0
        for entry in self.entries:
            if _name(entry) in names:
                if entry.what == "begins":
                    since[entry.who] = entry.when
                elif entry.what in ("ends the call", "is killed") and entry.who in since:
                    total += max(0.0, min(entry.when, end) - max(since.pop(entry.who), start))
        return total

    def _leaks(self) -> Iterator[Fault]:
        laboratory = self.laboratory
        registry = laboratory.broker.core.registry
        for worker in registry.workers.values():
            if worker.held_calls or worker.controls:
                held = [*worker.held_calls, *worker.controls]
                yield Fault("g", f"the broker still waits for {worker.rid!r}: {held}")
        for service in registry.services.values():
            if service.waiting.count:
                yield Fault("g", f"{service.waiting.count} calls still wait for {service.name!r}")
        for server in laboratory.servers:
            if server.alive and (server.core.snapshot()["queued"] or server.core.running):
                yield Fault("g", f"{server.label} still has calls")
        for client in [*laboratory.clients, *laboratory.visitors]:
            yield from self._leaks_at(client)

    @staticmethod
    def _leaks_at(client: SimulatedClient) -> Iterator[Fault]:
        left = client.core.snapshot()
        if client.alive and (left["open"] or left["queued"] or left["verdicts"]):
            yield Fault("g", f"{client.label} still has calls: {left}")


def _name(entry: Entry) -> str:
    return entry.who.partition("/")[0]


def _lives(made: Made) -> bool:
    return made.client.alive and made.life == made.client.lives
