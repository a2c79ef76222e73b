"""Values that cannot be sent: where they stand, why, and what to send instead."""

from __future__ import annotations

from ..errors import Unsendable

__all__ = ["NAME_SHOWN", "Refused", "reason_of", "step_to"]

NAME_SHOWN = 60
"""Characters of a name or key that a place shows."""

_PLACE_STEPS = 12


class Refused(Exception):
    """A value that cannot be sent; each container adds its step while this passes through."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.steps: list[str] = []

    def unsendable(self, root: str) -> Unsendable:
        """The error for the caller, with the whole place: ``result.frames[3].meta``."""
        steps = self.steps[::-1]
        if len(steps) > _PLACE_STEPS:
            half = _PLACE_STEPS // 2
            steps = [*steps[:half], " ... ", *steps[-half:]]
        return Unsendable(f"{root}{''.join(steps)} cannot be sent: {self.reason}")


def step_to(key: str) -> str:
    """The step from a dict to its item, as a place spells it: ``.meta`` or ``['2 x']``."""
    shown = key if len(key) <= NAME_SHOWN else f"{key[:NAME_SHOWN]}..."
    return f".{shown}" if key.isidentifier() else f"[{shown!r}]"


def reason_of(kind: type) -> str:
    """Why a value of this type has no form, in words."""
    members = {name for base in kind.__mro__ for name in vars(base)}
    hint = next((hint for name, hint in _HINTS if name in members), _LAST_HINT)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"a value of type {module}{kind.__qualname__} has no form on the wire; {hint}"


_HINTS = (
    ("_roc_path", "it stands for a remote object: send its values, or its object id"),
    ("__array__", "send numpy.asarray(...) of it"),
    ("__await__", "it has not been awaited: await it and send what it gives"),
    ("__anext__", "streams cannot be sent yet: send a list"),
    ("__next__", "streams cannot be sent yet: send a list, list(...)"),
    ("keys", "send a dict, dict(...)"),
    ("__iter__", "send a list, list(...)"),
    ("__call__", "call it where it lives and send what it returns"),
)
_LAST_HINT = "send a dict of its values, or share it as an object"
