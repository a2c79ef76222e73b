"""Random schedules: who is there, who calls whom, and what goes wrong when.

A schedule is plain data, made from a seed and from nothing else, so that it can be printed
and replayed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

__all__ = ["Action", "Plan", "Schedule", "make_schedule"]

TIMEOUTS = (0.1, 0.3, 0.5, 1.0, 1.0, 2.0, 2.0, 4.0, 8.0)
DURATIONS = (0.0, 0.0, 0.0, 0.0, 0.001, 0.01, 0.05, 0.2, 0.6, 1.5)


@dataclass(frozen=True)
class Plan:
    """A process. ``object_id`` is empty for the broker and for clients."""

    name: str
    object_id: str = ""
    policy: str = ""
    prefetch: int = 16
    offset: float = 0.0
    rate: float = 1.0

    def __str__(self) -> str:
        what = f" serves {self.object_id}, {self.policy}, prefetch {self.prefetch}"
        clock = f", clock {self.offset:+.3f} s × {self.rate:.6f}"
        return f"{self.name}{what if self.object_id else ''}{clock}"


@dataclass(frozen=True)
class Action:
    """Something that is done at a time, to somebody."""

    when: float
    what: str
    who: str
    args: tuple[object, ...] = ()

    @property
    def clock_stops(self) -> bool:
        """Whether somebody's clock stands still as well."""
        return self.what == "freeze" and self.args[2] is True

    def __str__(self) -> str:
        return f"{self.when:9.4f}  {self.what} {self.who} {' '.join(map(str, self.args))}".rstrip()


@dataclass(frozen=True)
class Schedule:
    """Everything that a run is made of."""

    seed: int
    seconds: float
    broker: Plan
    servers: list[Plan]
    clients: list[Plan]
    notices: bool
    visitors: list[Plan] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)

    def __str__(self) -> str:
        people = [self.broker, *self.servers, *self.clients, *self.visitors]
        notices = "notices" if self.notices else "does not notice"
        first = f"seed {self.seed}, {self.seconds:.1f} s; the broker {notices} who has gone"
        lines = [first, *map(str, people)]
        return "\n".join([*lines, *map(str, sorted(self.actions, key=lambda a: a.when))])


def make_schedule(seed: int) -> Schedule:
    """The schedule of this seed. An odd one is hard: it has more of all that goes wrong."""
    rng, hard = random.Random(seed), seed % 2 == 1
    servers = _servers(rng)
    clients = [_plan(rng, f"client{n}") for n in range(rng.randint(1, 3))]
    seconds = rng.choice((4.0, 4.0, 4.0, 6.0, 6.0, 16.0))
    notices = rng.random() < 0.7
    schedule = Schedule(seed, seconds, _plan(rng, "broker"), servers, clients, notices)
    _add_calls(rng, schedule)
    for _ in range(rng.choice((8, 16)) if hard else rng.choice((0, 1, 2, 3, 4, 6, 8))):
        _add_fault(rng, schedule)
    for number in range(8 if hard else rng.choice((0, 0, 1, 3))):
        _add_visitor(rng, schedule, number)
    return schedule


def _plan(
    rng: random.Random, name: str, object_id: str = "", policy: str = "", prefetch: int = 16
) -> Plan:
    offset, rate = rng.uniform(0.0, 100_000.0), 1.0 + rng.uniform(-1e-4, 1e-4)
    return Plan(name, object_id, policy, prefetch, offset, rate)


def _servers(rng: random.Random) -> list[Plan]:
    plans = []
    for object_id in ("vnir", "swir", "stage")[: rng.choice((1, 1, 2, 3))]:
        policy = rng.choice(("exclusive", "exclusive", "standby", "pool"))
        count = rng.choice((1, 1, 1, 2)) if policy == "exclusive" else rng.choice((2, 2, 3))
        for number in range(count):
            prefetch = rng.choice((1, 2, 16))
            plans.append(_plan(rng, f"{object_id}{number}", object_id, policy, prefetch))
    return plans


def _add_calls(rng: random.Random, schedule: Schedule) -> None:
    objects = sorted({plan.object_id for plan in schedule.servers})
    for client in schedule.clients:
        when = rng.uniform(0.0, 1.0)
        while when < schedule.seconds:
            object_id = rng.choice(objects) if rng.random() < 0.97 else "nothing"
            for _ in range(rng.choice((1, 1, 1, 2, 3, 6, 20))):
                schedule.actions.append(_call(rng, when, client.name, object_id))
            when += rng.expovariate(1.2)


def _call(rng: random.Random, when: float, client: str, object_id: str) -> Action:
    timeout = rng.choice(TIMEOUTS)
    abandoned = rng.uniform(0.0, timeout * 1.2) if rng.random() < 0.06 else None
    kind = rng.choice(("work",) * 12 + ("fail", "hold", "rpc.ping", "rpc.ping"))
    wait = rng.random() < 0.15
    seconds = rng.choice(DURATIONS)
    return Action(when, "call", client, (object_id, kind, seconds, timeout, wait, abandoned))


def _add_fault(rng: random.Random, schedule: Schedule) -> None:
    when = rng.uniform(0.3, schedule.seconds)
    everybody = [schedule.broker, *schedule.servers, *schedule.clients]
    peers = [*schedule.servers, *schedule.clients]
    anybody = rng.choice((schedule.broker, rng.choice(schedule.servers), rng.choice(everybody)))
    peer = rng.choice(peers)
    add = schedule.actions.append
    match rng.choice(("kill", "kill", "stop", "freeze", "freeze", "outage", "cut", "loss", "slow")):
        case "kill":
            add(Action(when, "kill", anybody.name, (rng.choice((0.01, 0.1, 0.5, 1.0, 3.0)),)))
        case "stop":
            add(Action(when, "stop", anybody.name, (rng.choice((0.01, 0.1, 1.0)),)))
        case "freeze":
            # A clock that stops meanwhile: allowed to clients, where the system has no better.
            stops = anybody in schedule.clients and rng.random() < 0.3
            add(Action(when, "freeze", anybody.name, (_length(rng), rng.random() < 0.3, stops)))
        case "outage":
            up, down = rng.choice(((True, True), (True, False), (False, True)))
            add(Action(when, "outage", peer.name, (_length(rng), up, down)))
        case "cut":
            add(Action(when, "cut", peer.name))
        case "loss":
            add(Action(when, "loss", peer.name, (_length(rng), rng.choice((0.02, 0.1, 0.3)))))
        case "slow":
            least = rng.choice((0.0, 0.01, 0.1))
            most = least + rng.choice((0.01, 0.1, 0.4))
            add(Action(when, "slow", peer.name, (_length(rng), least, most)))


def _add_visitor(rng: random.Random, schedule: Schedule, number: int) -> None:
    """A client that comes, best while somebody is frozen, calls, and is gone again."""
    freezes = [action for action in schedule.actions if action.what == "freeze"]
    when, latest = rng.uniform(0.0, schedule.seconds), schedule.seconds - 0.3
    object_id = rng.choice(schedule.servers).object_id
    if freezes:
        freeze = rng.choice(freezes)
        when = freeze.when + rng.uniform(-0.1, 1.0)
        frozen = [plan.object_id for plan in schedule.servers if plan.name == freeze.who]
        object_id = (frozen or [object_id])[0]
    when = min(max(when, 0.0), latest)
    plan = _plan(rng, f"visitor{number}")
    schedule.visitors.append(plan)
    schedule.actions.append(Action(when, "visit", plan.name))
    for _ in range(rng.choice((1, 2, 5))):
        schedule.actions.append(_call(rng, when + rng.uniform(0.0, 0.2), plan.name, object_id))
    how = rng.choice(("kill", "kill", "stop"))
    schedule.actions.append(Action(when + rng.uniform(0.01, 1.0), how, plan.name, (None,)))


def _length(rng: random.Random) -> float:
    low, high = rng.choice(((0.02, 0.3), (0.3, 1.5), (1.0, 3.0), (1.0, 3.0), (7.0, 12.0)))
    return rng.uniform(low, high)
