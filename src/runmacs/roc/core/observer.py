"""Who hears of what people want to know about a broker: a word and its facts, each time.

``serving``, ``standby``, ``held``
    what a server has become
``refused``, ``silent``, ``heard``, ``left``, ``lost``
    what becomes of it later; ``heard`` is said of one that was silent
``unsound``
    a server that registered as nobody may
``unknown``
    an object was asked for that nobody shares
``stood still``
    for how long the broker did
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

__all__ = ["Observer", "nobody"]

Observer: TypeAlias = Callable[[str, dict[str, Any]], None]


def nobody(what: str, facts: dict[str, Any]) -> None:
    """The observer when nobody observes."""
