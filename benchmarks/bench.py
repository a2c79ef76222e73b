"""One run: which peers take part, what is measured of them, and what could not be.

Rules:

* A *case* is one measure of one subject. Rounds are interleaved: in each one all cases are
  run once, those of the same measure next to one another (A B C, A B C, ...), so that a
  machine that drifts drifts for all.
* A case that cannot be run is never silently missing: it is told with the reason.
* A peer's processes start when they are first needed, and stay until the run ends.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import TypeAlias

from . import peers
from .processes import House, NotThere, Process

__all__ = ["Bench", "Case", "Figures", "Options", "Running"]

Figures: TypeAlias = dict[str, float]
"""What came of one case, by what it was measured at ('' if there is only one)."""


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    rounds: int = 7
    seconds: float = 0.5
    quick: bool = False
    measures: tuple[str, ...] = ()
    peers: tuple[str, ...] = peers.PEERS


@dataclass(frozen=True)
class Case:
    """One measure of one subject; `run` may raise anything, NotThere for instance."""

    subject: str
    run: Callable[[], Figures]
    unit: str = ""
    """If it is not that of its measure."""


@dataclass
class Running:
    """A peer whose processes run."""

    peer: ModuleType
    name: str
    address: str
    house: House
    servers: list[Process] = field(default_factory=list)
    """All that was started for it, but its clients."""
    clients: list[Process] = field(default_factory=list)

    def client(self, number: int = 0) -> Process:
        """One of its clients, connected; started if it is a new one."""
        for lost in [client for client in self.clients if client.lost]:
            self.clients.remove(lost)
            self.house.end(lost)
        while len(self.clients) <= number:
            env = getattr(self.peer, "ENV", None)
            process = self.house.play("drive", self.name, self.address, env=env)
            self.clients.append(process)
            process.line()
        return self.clients[number]


class Bench:
    """The peers of one run, and their figures."""

    def __init__(self, options: Options, house: House) -> None:
        self.options = options
        self.house = house
        self.missing: dict[tuple[str, str], str] = {}
        """Why there is no figure, by measure ('' for all) and subject."""
        self._running: dict[str, Running | NotThere] = {}

    @property
    def seconds(self) -> float:
        return self.options.seconds

    def running(self, name: str) -> Running:
        """A peer, started.

        Raises:
            NotThere: it is not installed, or did not start.
        """
        if name not in self._running:
            try:
                self._running[name] = self._start(name)
            except NotThere as reason:
                self._running[name] = reason
        found = self._running[name]
        if isinstance(found, NotThere):
            raise found
        return found

    def _start(self, name: str) -> Running:
        peer = peers.load(name)
        _show(f"starting {peer.NAME}")
        before = len(self.house.processes)
        address = peer.start(self.house)
        return Running(peer, name, address, self.house, self.house.processes[before:])

    def present(self, names: Iterable[str], measure: str = "") -> list[Running]:
        """Those of the peers that were asked for and could be started."""
        found = []
        for name in names:
            if name not in self.options.peers:
                self.miss(measure, name, "not asked for (--peers)")
                continue
            try:
                found.append(self.running(name))
            except NotThere as reason:
                self.miss("", self.title(name), str(reason))
        return found

    def title(self, name: str) -> str:
        """How a peer is called in tables, installed or not."""
        import importlib

        return str(importlib.import_module(f"{peers.__name__}.{name}").NAME)

    def miss(self, measure: str, subject: str, reason: str) -> None:
        if "not asked for" not in reason:
            self.missing.setdefault((measure, subject), reason)

    def measured(
        self, measure: str, cases: list[Case], rounds: int
    ) -> Iterable[tuple[Case, Figures]]:
        """Run all cases once a round; those that fail are named, and not tried again."""
        failed: set[str] = set()
        for number in range(rounds):
            for case in cases:
                if case.subject in failed:
                    continue
                _show(f"{measure}, round {number + 1}/{rounds}: {case.subject}")
                try:
                    yield case, case.run()
                except Exception as error:
                    failed.add(case.subject)
                    self.miss(measure, case.subject, _words(error))


def _words(error: Exception) -> str:
    """The reason alone, without who said it."""
    if isinstance(error, NotThere):
        return str(error).split(": NotThere: ")[-1]
    return f"{type(error).__name__}: {error}"


def _show(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)
