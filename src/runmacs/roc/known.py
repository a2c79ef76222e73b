"""What a client knows of a remote object, and for how long it believes it.

Rules:

* A description is good for a moment only: the server's program may have been changed and
  started again. It is asked for by people and their tools, never by a call.
* What differs from what was known before makes all of it doubtful: it is forgotten.
* Looking takes half a second at most, also where nobody answers.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from . import errors
from ._drivers.clock import now as clock
from .core.described import Description

__all__ = ["Known", "Lately", "Remote", "joined", "reference", "unpickled"]

_Stub = TypeVar("_Stub")

_PATIENCE = 0.35
"""Seconds to wait for a description; the verdict on a call may take 0.15 s more."""

_FRESH = 2.0
"""Seconds for which a description is good: somebody may have changed the server's program."""


class Remote(Protocol):
    """What a proxy needs of a client."""

    def call_object(
        self,
        object_id: str,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None,
        member: str = "",
    ) -> Any:
        """Make a call, wait for it, and return its result."""

    def describe(self, object_id: str, path: str, timeout: float) -> object:
        """The answer to ``rpc.discover``, even while the object is busy."""

    @property
    def address(self) -> str:
        """Where its broker is, for people."""

    def reference(self) -> tuple[Any, ...]:
        """What a pickle needs to find it: a function, and its arguments."""


class Lately:
    """What a client learned lately of members, by object: for proxies that are made anew for
    each call, which then need not ask what they are about to call.
    """

    _OBJECTS = 1000

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[float, dict[str, str]]] = {}

    def kinds_of(self, object_id: str) -> dict[str, str]:
        """Which members are methods, and which nested objects; to be filled in."""
        now = clock()
        until, kinds = self._kinds.get(object_id, (0.0, {}))
        if now >= until:
            if len(self._kinds) >= self._OBJECTS:
                self._kinds.clear()
            kinds = {}
            self._kinds[object_id] = now + _FRESH, kinds
        return kinds


class Known:
    """What is known of one object; shared by a proxy and its nested ones.

    Attributes:
        kinds: which members are methods, and which nested objects.
        descriptions: until when each is good, by the path of the nested object.
        narrowed: proxies whose class was made to fit, and the class that fits anything.
    """

    def __init__(
        self,
        client: Remote,
        object_id: str,
        timeout: float | None,
        kinds: dict[str, str] | None = None,
    ) -> None:
        self.client = client
        self.object_id = object_id
        self.timeout = timeout
        self.kinds: dict[str, str] = {} if kinds is None else kinds
        self.descriptions: dict[str, tuple[float, Description]] = {}
        self.narrowed: weakref.WeakKeyDictionary[object, type] = weakref.WeakKeyDictionary()
        self._in_vain: tuple[float, errors.RocError | None] = 0.0, None

    def call(self, method: str, *args: Any, member: str = "") -> Any:
        """Call a method of the protocol; ``member`` is what errors name."""
        return self.client.call_object(self.object_id, method, args, {}, self.timeout, member)

    def describe(self, path: str) -> Description:
        """What the object, or a nested one, says of itself now, or said a moment ago.

        Tools ask a dozen things at once. Where the first took its time and was in vain,
        the others are not tried.
        """
        began = clock()
        until, known = self.descriptions.get(path, (0.0, None))
        if known is not None and began < until:
            return known
        until, error = self._in_vain
        if error is not None and began < until:
            raise error.with_traceback(None)
        try:
            said = Description(self.client.describe(self.object_id, path, _PATIENCE))
        except errors.RocError as error:
            now = clock()
            self._in_vain = now + 2 * (now - began), error.with_traceback(None)
            raise
        if known is not None:
            if known.agrees(said):
                said = known
            else:
                self.forget()
        self.descriptions[path] = clock() + _FRESH, said
        self.kinds.update((joined(path, name), kind) for name, kind in said.kinds.items())
        return said

    def recall(self, path: str) -> Description | None:
        """The same, or the last that was heard, or None: for what must not fail."""
        try:
            return self.describe(path)
        except errors.RocError:
            return self.descriptions.get(path, (0.0, None))[1]

    def forget(self) -> None:
        """The object is not what it was: nothing is known of it."""
        self.kinds.clear()
        self.descriptions.clear()
        for proxy, wide in list(self.narrowed.items()):
            object.__setattr__(proxy, "__class__", wide)
        self.narrowed.clear()


def reference(known: Known, path: str) -> tuple[Any, ...]:
    """What a pickle has of a proxy or method: the address, not the connection."""
    return known.client.reference(), known.object_id, known.timeout, path


def unpickled(
    kind: Callable[[Known, str], _Stub],
    reference: tuple[Any, ...],
    object_id: str,
    timeout: float | None,
    path: str,
) -> _Stub:
    find, arguments = reference
    return kind(Known(find(*arguments), object_id, timeout), path)


def joined(path: str, name: str) -> str:
    """The path of a member; without a name, the path itself."""
    return f"{path}.{name}" if path and name else path or name
