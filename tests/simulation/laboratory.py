"""Runs a schedule: the processes, the faults, and the healing at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runmacs.roc.core.broker import BrokerCore
from runmacs.roc.core.caller import CallerCore
from runmacs.roc.core.worker import WorkerCore
from runmacs.roc.testing import (
    Execution,
    Made,
    MemoryNetwork,
    SimulatedBroker,
    SimulatedClient,
    SimulatedProcess,
    SimulatedServer,
)
from simulation.rogue import Rogue
from simulation.schedules import Action, Plan, Schedule

__all__ = ["Cores", "Laboratory", "Probe"]

SETTLING = 1.0
LONGEST_QUIET = 30.0


@dataclass(frozen=True)
class Cores:
    """What the processes are made of; a mutation check puts broken ones here."""

    broker: Callable[..., BrokerCore] = BrokerCore
    worker: Callable[..., WorkerCore] = WorkerCore
    caller: Callable[..., CallerCore] = CallerCore


class Probe:
    """A client that calls an object, after all is healed, until it succeeds."""

    def __init__(self, client: SimulatedClient, object_id: str) -> None:
        self.client = client
        self.object_id = object_id
        self.made: Made | None = None
        self.succeeded: float | None = None

    def step(self) -> None:
        """See how the last attempt ended, and make the next."""
        if self.succeeded is not None:
            return
        made = self.made
        if made is not None and made.ended is not None and made.error is None:
            self.succeeded = made.ended
        elif made is None or made.ended is not None:
            self.made = self.client.call(self.object_id, "work", 0.0, timeout=3.0, wait=True)


class Laboratory:
    """One run of one schedule."""

    def __init__(self, schedule: Schedule, cores: Cores | None = None) -> None:
        self.schedule = schedule
        cores = cores or Cores()
        self.network = MemoryNetwork(seed=schedule.seed)
        self.clock = self.network.clock
        self.history = self.network.history
        self.healed_at = 0.0
        self.probes: list[Probe] = []
        plan = schedule.broker
        self.broker = SimulatedBroker(
            self.network, plan.name, cores.broker, schedule.notices, **_clock(plan)
        )
        self.servers = [
            SimulatedServer(
                self.network,
                plan.name,
                plan.object_id,
                _behave,
                policy=plan.policy,
                prefetch=plan.prefetch,
                core=cores.worker,
                **_clock(plan),
            )
            for plan in schedule.servers
        ]
        self.clients = [
            SimulatedClient(self.network, plan.name, cores.caller, **_clock(plan))
            for plan in schedule.clients
        ]
        self.visitors: list[SimulatedClient] = []
        self._cores = cores
        self.rogue = Rogue(self.network, self.broker)
        peers = [self.broker, *self.servers, *self.clients]
        self._by_name: dict[str, Any] = {process.name: process for process in peers}

    @property
    def made(self) -> list[Made]:
        """All calls of all clients."""
        return [made for client in [*self.clients, *self.visitors] for made in client.made]

    def run(self) -> None:
        """Run the schedule, heal everything, see that all works, and wait until it is quiet."""
        for action in self.schedule.actions:
            self.clock.at(action.when, lambda action=action: self._do(action))  # type: ignore[misc]
        self.clock.run_until(self.schedule.seconds)
        self._heal()
        self._probe()
        self.clock.run_until(self.clock.now + LONGEST_QUIET, self._is_quiet)
        self.clock.run(SETTLING)

    # ---- what is done

    def _do(self, action: Action) -> None:
        if action.what == "visit":
            self._do_visit(action.who)
        elif action.who in self._by_name:
            process = self._by_name[action.who]
            getattr(self, f"_do_{action.what}")(process, *action.args)

    def _do_visit(self, name: str) -> None:
        plan = next(plan for plan in self.schedule.visitors if plan.name == name)
        visitor = SimulatedClient(self.network, name, self._cores.caller, **_clock(plan))
        self.visitors.append(visitor)
        self._by_name[name] = visitor

    def _do_call(
        self,
        client: SimulatedClient,
        object_id: str,
        method: str,
        seconds: float,
        timeout: float,
        wait: bool,
        abandoned: float | None,
    ) -> None:
        if not client.alive or client.frozen:
            return
        lane = "!" if method.startswith("rpc.") else ""
        made = client.call(object_id + lane, method, seconds, timeout=timeout, wait=wait)
        if abandoned is not None:
            self.clock.after(abandoned, lambda: client.abandon(made))

    def _do_kill(self, process: SimulatedProcess, seconds: float | None) -> None:
        process.kill()
        self._revive_after(process, seconds)

    def _do_stop(self, process: Any, seconds: float | None) -> None:
        if process.alive:
            process.close() if isinstance(process, SimulatedClient) else process.stop()
            self._revive_after(process, seconds)

    def _do_freeze(
        self, process: SimulatedProcess, seconds: float, at_work: bool, clock_stops: bool
    ) -> None:
        process.freeze(at_work, clock_stops)
        self.clock.after(seconds, process.thaw)

    def _do_outage(self, process: SimulatedProcess, seconds: float, up: bool, down: bool) -> None:
        self.history.add(self.clock.now, process.label, "cannot be reached", more=f"{seconds:.2f}")
        self.network.outage(process.name, seconds, up, down)

    def _do_cut(self, process: SimulatedProcess) -> None:
        self.history.add(self.clock.now, process.label, "is cut off")
        self.network.cut(process.name)

    def _do_loss(self, process: SimulatedProcess, seconds: float, probability: float) -> None:
        line = self.network.line(process.name)
        line.loss = probability
        self.clock.after(seconds, lambda: setattr(line, "loss", 0.0))

    def _do_slow(
        self, process: SimulatedProcess, seconds: float, least: float, most: float
    ) -> None:
        line = self.network.line(process.name)
        usual, line.delay = line.delay, (least, most)
        self.clock.after(seconds, lambda: setattr(line, "delay", usual))

    def _revive_after(self, process: SimulatedProcess, seconds: float | None) -> None:
        if seconds is not None:
            self.clock.after(seconds, lambda: self._revive(process))

    def _revive(self, process: SimulatedProcess) -> None:
        if not process.alive:
            process.start()

    # ---- the end

    def _heal(self) -> None:
        self.healed_at = self.clock.now
        self.history.add(self.clock.now, "", "all is healed")
        self.network.heal()
        for process in [self.broker, *self.clients]:
            process.thaw()
            self._revive(process)
        for server in self.servers:
            server.thaw()
            if server.stopping:
                server.kill()
        for object_id in sorted({server.object_id for server in self.servers}):
            candidates = [server for server in self.servers if server.object_id == object_id]
            if not any(server.alive for server in candidates):
                candidates[0].start()

    def _probe(self) -> None:
        objects = sorted({server.object_id for server in self.servers})
        self.probes = [Probe(client, name) for client in self.clients for name in objects]
        while self.clock.now < self.healed_at + LONGEST_QUIET:
            for probe in self.probes:
                probe.step()
            if all(probe.succeeded is not None for probe in self.probes):
                return
            self.clock.run(0.02)

    def _is_quiet(self) -> bool:
        registry = self.broker.core.registry
        return not (
            any(made.ended is None and _lives(made) for made in self.made)
            or any(service.waiting.count for service in registry.services.values())
            or any(worker.held_calls for worker in registry.workers.values())
            or any(server.running or server.core.snapshot()["queued"] for server in self.servers)
        )


def _lives(made: Made) -> bool:
    return made.client.alive and made.life == made.client.lives


def _clock(plan: Plan) -> dict[str, float]:
    return {"offset": plan.offset, "rate": plan.rate}


def _behave(execution: Execution) -> None:
    """What the methods do: take as long as they are told, and say for whom they did it."""
    execution.seconds = execution.params[0]
    execution.result = execution.call
    execution.holds_loop = execution.method == "hold"
    if execution.method == "fail":
        execution.error = ValueError(execution.call)
