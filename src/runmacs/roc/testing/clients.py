"""A client in a simulated network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from .. import errors
from ..core.call import Call
from ..core.caller import CallerCore
from ..core.effects import Effect, Reopen
from ..core.outcome import result_of
from .network import MemoryNetwork
from .process import SimulatedPeer

__all__ = ["Made", "SimulatedClient"]


class Made:
    """A call that was made: when, what for, and how it ended. Times are the network's."""

    def __init__(self, client: SimulatedClient, call: Call, timeout: float, now: float) -> None:
        self.client = client
        self.call = call
        self.timeout = timeout
        self.begun = now
        self.ended: float | None = None
        self.abandoned = False
        self.result: Any = None
        self.error: errors.RocError | None = None
        self.frozen = 0.0
        """Seconds that its client was frozen meanwhile, while its clock went on."""
        self.slept = 0.0
        """Seconds that its client's clock stood still."""
        self.life = client.lives

    @property
    def id(self) -> str:
        """The call id."""
        return f"{self.client.name}/{self.life}.{self.call.number}"

    @property
    def deadline(self) -> float:
        """The true time at which its caller gives up."""
        return self.begun + self.slept + self.timeout / self.client.local.rate

    def __repr__(self) -> str:
        outcome = "open" if self.ended is None else repr(self.error or self.result)
        return f"<{self.id} {self.call.object_id}.{self.call.method} {self.timeout:g} s: {outcome}>"


class SimulatedClient(SimulatedPeer):
    """The loop of the real client around a `CallerCore`; ``core`` makes one for each life.

    As with a real one, nobody looks at the socket while no call is open.
    """

    core: CallerCore

    def __init__(
        self,
        network: MemoryNetwork,
        name: str,
        core: Callable[[str, str], CallerCore] = CallerCore,
        **clock: float,
    ) -> None:
        super().__init__(network, name, **clock)
        self.made: list[Made] = []
        self._open: list[Made] = []
        self._make = core
        self.start()

    def call(
        self,
        object_id: str,
        method: str,
        *params: Any,
        timeout: float = 2.0,
        wait: bool = False,
    ) -> Made:
        """Make a call; the answer tells how it ended, once time has passed.

        Example:
            >>> from runmacs.roc.testing import MemoryNetwork, SimulatedBroker, SimulatedClient
            >>> network = MemoryNetwork()
            >>> broker, client = SimulatedBroker(network), SimulatedClient(network, "anna")
            >>> made = client.call("vnir", "expose")
            >>> network.clock.run(1.0)
            >>> made.error.message[:44]
            "No server shares an object under the id 'vni"
        """
        now = self.local()
        self._take_changes(now)
        call = Call(object_id, method, msgspec.json.encode(params) if params else None, ())
        call.waits = wait
        made = Made(self, call, timeout, self.network.clock.now)
        self.made.append(made)
        self._open.append(made)
        out: list[Effect] = []
        self.core.submit(call, now, timeout, out)
        self.core.check()
        self.note("calls", made.id, f"{object_id}.{method}{list(params)} within {timeout:g} s")
        self._carry_out(out, now)
        self._read(now)
        self.wake()
        return made

    def abandon(self, made: Made) -> None:
        """Its caller does not wait any longer (Ctrl-C)."""
        if made.ended is None and self.alive and not self.frozen and made.life == self.lives:
            made.abandoned = True
            self.note("abandons", made.id)
            now = self.local()
            self._read(now)
            out: list[Effect] = []
            self.core.abandon(made.call, now, out)
            self.core.check()
            self._carry_out(out, now)
            self._read(now)
            self._settle()

    # ---- life and death

    def _begin(self) -> None:
        self.core = self._make(self.label, "memory")
        self._open = []
        self._changes = []
        self._connect()

    def close(self) -> None:
        """End in good order."""
        if self.alive and not self.frozen:
            self.note("closes")
            out: list[Effect] = []
            self.core.close(out)
            self._carry_out(out, self.local())
            self.core.fail_all(errors.Closed("the client was closed."))
            self.core.check()
            self._settle()
            self._die()

    def _on_thaw(self, seconds: float) -> None:
        for made in self._open:
            if self._clock_stops:
                made.slept += seconds
            else:
                made.frozen += seconds

    # ---- the loop

    def _turn(self, now: float, stale: float | None) -> None:
        if not self._open:
            return
        looked = now if stale is None else stale
        self._read(looked)
        self._take_changes(looked)
        due = self.core.next_deadline()
        if due is not None and looked >= due:
            out: list[Effect] = []
            self.core.tick(looked, out)
            self.core.check()
            self._carry_out(out, looked)
        self._settle()
        if self._open:
            self._wait(now, self.core.next_deadline())

    def _read(self, now: float) -> None:
        core = self.core
        while self._inbox:
            core.on_frames(self._inbox.popleft().frames or [], now)
            core.check()
            if not core.open_calls:
                break

    def _take_changes(self, now: float) -> None:
        changes, self._changes = self._changes, []
        for up in changes:
            if not up:
                self._read(now)
                self.core.link_down()
                self.core.check()
            elif not self.core.up:
                out: list[Effect] = []
                self.core.link_up(now, out)
                self.core.check()
                self._carry_out(out, now)
                self._read(now)

    def _carry_out(self, out: list[Effect], now: float) -> None:
        for index, effect in enumerate(out):
            if isinstance(effect, Reopen):
                self.note("leaves its broker", more=effect.why)
                self._connection.close()
                self._connect()
            elif isinstance(effect, list) and not self._connection.send_up(effect):
                rest = [frames for frames in out[index:] if isinstance(frames, list)]
                self.core.unsent(rest, now)
                self.core.check()
                return

    def _settle(self) -> None:
        """Take down how calls ended."""
        over = [made for made in self._open if made.call.done]
        if not over:
            return
        self._open = [made for made in self._open if not made.call.done]
        for made in over:
            made.ended = self.network.clock.now
            try:
                made.result = result_of(made.call)
            except errors.RocError as error:
                made.error = error
            self.note("is told", made.id, repr(made.error or made.result))
