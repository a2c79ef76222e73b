"""Marks: what the author of a class wants to be shared, said where it is defined.

::

    class Camera:
        @exposed
        def openShutter(self): ...

        @property
        @exposed
        def fps(self): ...

    @readonly("serial", "lens")
    @hidden("raw*")
    class Spectrometer: ...

Rules:

* Without marks all public names are shared. As soon as a class, or a base of it, has
  a member that is `exposed`, only such members are.
* A mark belongs to the name: a method that overrides a marked one is marked as well,
  unless it has a mark of its own.
* Attributes that only instances have are named with a decorator of their class, where
  ``*``, ``?`` and ``[...]`` stand for what they mean in file names.
* A mark makes nothing public: names with a leading underscore are not shared. Special
  methods (``__getitem__``) take part like all others.
* The marks of a class hold on every way to its instances; what ``expose``, ``hide`` and
  ``readonly`` of a server say comes on top.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, TypeVar, overload

__all__ = ["exposed", "hidden", "readonly"]

MARKS: Final = "__roc_marks__"
"""Where a member keeps the words that mark it: a frozenset."""
NAMES: Final = "__roc_names__"
"""Where a class keeps what its decorators name: pairs of a word and a pattern."""

_M = TypeVar("_M")
_C = TypeVar("_C", bound=type)


@overload
def exposed(member: str, /, *names: str) -> Callable[[_C], _C]: ...
@overload
def exposed(member: _M, /) -> _M: ...
def exposed(member: Any, /, *names: str) -> Any:
    """Share this member, and nothing that is not marked so.

    A class that stands in a shared object or module becomes callable by this::

        @exposed
        def openShutter(self): ...

        @exposed("fps", "lens")
        class Camera: ...
    """
    return _mark("exposed", member, names)


@overload
def hidden(member: str, /, *names: str) -> Callable[[_C], _C]: ...
@overload
def hidden(member: _M, /) -> _M: ...
def hidden(member: Any, /, *names: str) -> Any:
    """Do not share this member, although its name is public.

    Used like `exposed`.
    """
    return _mark("hidden", member, names)


@overload
def readonly(member: str, /, *names: str) -> Callable[[_C], _C]: ...
@overload
def readonly(member: _M, /) -> _M: ...
def readonly(member: Any, /, *names: str) -> Any:
    """Refuse to set this member from afar; with a class, any member of its instances.

    Used like `exposed`. It says nothing of methods: what they change, they change.
    """
    return _mark("readonly", member, names)


def _mark(word: str, member: Any, names: tuple[str, ...]) -> Any:
    if isinstance(member, str):
        return functools.partial(_name, word, (member, *names))
    if names:
        raise TypeError(f"@{word} takes names of members, or the member itself")
    home = _home(member)
    marks = frozenset({*_marks(home), word})
    try:
        setattr(home, MARKS, marks)
    except (AttributeError, TypeError):
        raise TypeError(
            f"{type(member).__name__} objects cannot carry a mark: "
            f'name the member with a decorator of its class, @{word}("name")'
        ) from None
    return member


def _name(word: str, patterns: tuple[str, ...], cls: Any) -> Any:
    if not isinstance(cls, type):
        raise TypeError(f'@{word}("name") is for classes; mark a member with @{word} alone')
    if not all(isinstance(pattern, str) and pattern for pattern in patterns):
        raise TypeError(f"@{word} takes the names of members as strings")
    named = [(word, pattern) for pattern in patterns]
    setattr(cls, NAMES, (*cls.__dict__.get(NAMES, ()), *named))
    return cls


def _home(member: Any) -> Any:
    """What carries the mark of a member; properties cannot, their functions can."""
    while True:
        inner: Any
        if isinstance(member, (staticmethod, classmethod)):
            inner = member.__func__
        elif isinstance(member, property):
            inner = member.fget or member.fset
        elif isinstance(member, functools.cached_property):
            inner = member.func
        else:
            return member
        if inner is None:
            return member
        member = inner


def _marks(home: Any) -> frozenset[str]:
    known = vars(home).get(MARKS, frozenset()) if hasattr(home, "__dict__") else frozenset()
    return frozenset(known)
