"""Object ids that nobody serves: which calls wait for them, and what the others are told.

Rules:

* A call waits if its caller asked to, or if the broker lost the id within the last 10 s. A
  call whose body is not JSON-RPC waits always: that is what stock clients expect.
* Who did not ask to wait waits until 10 s after the loss, and no longer.
* Only so many ids are waited for, and none that no server could register.
* All others are told at once, and of the ids most like the one that was asked for.
"""

from __future__ import annotations

import difflib
import itertools

from .. import errors
from ..wire import mdp
from ..wire.jsonrpc import Body
from .counters import Counters
from .effects import Effect
from .failures import fail
from .limits import Limits
from .liveness import LOST_AFTER
from .observer import Observer
from .registry import Registry
from .waiting import WaitingCall

__all__ = ["Absence"]

_REMEMBERED = 100
_COMPARED = 500
_LONGEST = 64


class Absence:
    """What the broker does about object ids that nobody serves."""

    def __init__(
        self, registry: Registry, limits: Limits, counters: Counters, observe: Observer
    ) -> None:
        self._registry = registry
        self._limits = limits
        self._counters = counters
        self._observe = observe
        self._near: dict[str, list[str]] = {}

    def lets_wait(self, name: bytes, call: WaitingCall, now: float) -> bool:
        """Whether the call may wait for a server; shortens how long, where it may not be long."""
        registry = self._registry
        lost_at = registry.lost.get(name)
        recent = lost_at is not None and now - lost_at < LOST_AFTER
        patient = call.body.waits or not call.body.sound or recent
        if not patient or mdp.object_id_problem(name) is not None:
            return False
        known = name in registry.services
        if not known and len(registry.absent) >= self._limits.absent_objects:
            return False
        if recent and not call.body.waits and lost_at is not None:
            call.deadline = min(call.deadline, lost_at + LOST_AFTER)
        return True

    def fail(self, client: bytes, name: bytes, body: Body, out: list[Effect]) -> None:
        """Tell who asked that nobody shares it."""
        self._counters.refused_unknown_object += 1
        text = name.decode(errors="backslashreplace").removesuffix("!")
        self._observe("unknown", {"object": text})
        near = self._nearest(text)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        if not near and not self._registry.served_objects():
            hint = " No object is shared at all: start its server."
        message = f"No server shares an object under the id {text!r}; nothing was executed.{hint}"
        fail(client, name, body, errors.ObjectNotFound, message, out, suggestions=near)

    def _nearest(self, text: str) -> list[str]:
        """The ids most like this one; bounded, whatever is asked with however many ids.

        Remembered until a server comes or goes: who asks for what is not there asks again.
        """
        if len(text) > _LONGEST:
            return []
        near = self._near.get(text)
        if near is None:
            services = self._registry.services.items()
            served = (name for name, service in services if service.serving)
            alike = (name.decode() for name in served if abs(len(name) - len(text)) <= 3)
            near = difflib.get_close_matches(text, itertools.islice(alike, _COMPARED), n=3)
            if len(self._near) < _REMEMBERED:
                self._near[text] = near
        return near

    def servers_change(self) -> None:
        """A server comes or goes: other ids may be like those that are asked for."""
        self._near.clear()

    def forget_losses(self, now: float) -> None:
        """Of ids that were lost long ago."""
        lost = self._registry.lost
        for name in [name for name, when in lost.items() if now - when > LOST_AFTER]:
            del lost[name]
