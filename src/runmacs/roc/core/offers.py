"""What the instances of a class offer to others.

Rules:

* What a class offers is decided once, from the dictionaries of its method resolution
  order; what an instance keeps in its own dictionary is looked up each time.
* The lookups are those of `kinds`, which run nobody's code.
* What its author's marks keep back is not on offer, and looks as if it were not there.
* A module offers its ``__all__``, else what it defines itself.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

from .arguments import attribute_hint
from .kinds import (
    CLASSES,
    MISSING,
    find,
    is_public,
    kind_of,
    namespace_of,
    own_dict,
    read_dict,
    static_mro,
    stored_value,
)
from .misfits import Hint
from .selection import Marks
from .special import specials_of

__all__ = ["CODE", "METHOD", "PLAIN", "SLOT", "Entry", "Offer", "offer_of"]

How: TypeAlias = Literal["method", "code", "slot", "plain"]

METHOD: Final = "method"
"""A function of any sort; binding it runs no code of the author's."""
CODE: Final = "code"
"""A property or another descriptor: reading it runs its author's code, in C maybe."""
SLOT: Final = "slot"
"""Storage in the instance itself, as ``__slots__`` makes it."""
PLAIN: Final = "plain"
"""An ordinary object in the class's dictionary."""


_HINTS_KEPT: Final = 16_384


class Entry:
    """One public name of a class.

    Attributes:
        how: `METHOD`, `CODE`, `SLOT` or `PLAIN`.
        raw: what stands in the class's dictionary.
        data: whether it wins over the instance's own dictionary.
        writable: whether it can be set, as far as its class tells.
        called: for `CODE`, whether reading it has once given something callable.
        description: what `description` made of it, kept for the next time.
    """

    __slots__ = ("called", "data", "description", "how", "raw", "writable")

    def __init__(self, how: How, raw: Any, *, data: bool = False, writable: bool = True) -> None:
        self.how = how
        self.raw = raw
        self.data = data
        self.writable = writable
        self.called = False
        self.description: dict[str, Any] | None = None


def _entry(raw: Any) -> Entry:
    cls = type(raw)
    if cls is types.FunctionType:
        return Entry(METHOD, raw, writable=False)
    if issubclass(cls, (staticmethod, classmethod)):
        return _wrapped_entry(raw)
    if issubclass(cls, property):
        setter = property.__dict__["fset"].__get__(raw)
        own_set = find(cls, "__set__") is not property.__dict__["__set__"]
        return Entry(CODE, raw, data=True, writable=setter is not None or own_set)
    if cls is types.MemberDescriptorType:
        return Entry(SLOT, raw, data=True, writable=_is_python_class(raw.__objclass__))
    if cls is types.GetSetDescriptorType:
        # Whether it has a setter, only setting can tell.
        return Entry(CODE, raw, data=True)
    if issubclass(cls, CLASSES):
        return Entry(PLAIN, raw)
    setter = find(cls, "__set__") is not MISSING
    data = setter or find(cls, "__delete__") is not MISSING
    if not data and find(cls, "__get__") is MISSING:
        return Entry(PLAIN, raw)
    if not data and (callable(raw) or issubclass(cls, _BINDING)):
        return Entry(METHOD, raw, writable=False)
    return Entry(CODE, raw, data=data, writable=setter or not data)


_BINDING = (functools.partialmethod, functools.singledispatchmethod)


def _wrapped_entry(raw: Any) -> Entry:
    """A static or class method; other things can be wrapped so, too."""
    base = staticmethod if issubclass(type(raw), staticmethod) else classmethod
    wrapped = base.__dict__["__func__"].__get__(raw)
    if issubclass(type(wrapped), CLASSES):
        return Entry(PLAIN, wrapped)
    if callable(wrapped) or issubclass(type(wrapped), _BINDING):
        return Entry(METHOD, raw, writable=False)
    return Entry(CODE, raw, writable=False)


def _is_python_class(cls: type) -> bool:
    heap_type = 1 << 9
    flags: int = type.__dict__["__flags__"].__get__(cls)
    return bool(flags & heap_type)


class Offer:
    """What the instances of one class offer.

    Attributes:
        cls: the class.
        entries: its public names.
        plain: whether `getattr` on an instance follows the ordinary rules.
        marks: what the author of the class keeps back.
        specials: the special methods that instances support.
    """

    def __init__(self, cls: type) -> None:
        self.cls = cls
        self.marks = Marks(self._namespaces())
        self._marked = self.marks.any
        self.entries: dict[str, Entry] = {
            name: entry for name, entry in self._entries(cls).items() if self._is_shared(name)
        }
        self.specials = self._specials()
        self.plain = find(cls, "__getattribute__") is object.__dict__["__getattribute__"]
        self._storage = find(cls, "__dict__")
        self._dynamic = find(cls, "__getattr__") is not MISSING
        self._hints: dict[str, Hint | None] = {}

    def _namespaces(self) -> list[Mapping[str, Any]]:
        """The dictionaries that may hold marks."""
        return [namespace_of(base) for base in static_mro(self.cls)]

    def _entries(self, cls: type) -> dict[str, Entry]:
        return {name: _entry(raw) for name, raw in _class_members(cls)}

    def _specials(self) -> tuple[str, ...]:
        return specials_of(self.cls, self._is_shared)

    def _is_shared(self, name: str) -> bool:
        return not self._marked or self.marks.shares(name)

    def is_readonly(self, name: str) -> bool:
        """Whether its author has marked a name as not to be set."""
        return self._marked and self.marks.is_readonly(name)

    def hint(self, name: str) -> Hint | None:
        """The type hint for what an attribute is set to."""
        if name not in self._hints:
            if len(self._hints) >= _HINTS_KEPT:
                self._hints.clear()
            self._hints[name] = self._compiled_hint(name)
        return self._hints[name]

    def _compiled_hint(self, name: str) -> Hint | None:
        entry = self.entries.get(name)
        setter = None
        if entry is not None and issubclass(type(entry.raw), property):
            setter = property.__dict__["fset"].__get__(entry.raw)
        return attribute_hint(self.cls, name, setter)

    def stored(self, obj: object, name: str) -> Any:
        """What the instance's own dictionary has under a public name, else `MISSING`."""
        if self._marked and not self.marks.shares(name):
            return MISSING
        own = read_dict(self._storage, obj)
        return MISSING if own is None else dict.get(own, name, MISSING)

    def stored_names(self, obj: object) -> list[str]:
        """The public names in the instance's own dictionary."""
        own = read_dict(self._storage, obj)
        # list() of a dict is one step: another thread may be adding attributes.
        names = [] if own is None else list(dict.keys(own))
        return [name for name in names if is_public(name) and self._is_shared(name)]

    def is_dynamic(self, name: str) -> bool:
        """Whether a public name that is not found may be tried with ``__getattr__``."""
        return self._dynamic and self._is_shared(name)

    def members(self, obj: object) -> Iterator[tuple[str, Entry | None, Any]]:
        """Every name on offer, sorted: name, the class's entry, the instance's value.

        One of the two is missing (None, `MISSING`): the one that the other hides.
        """
        stored = {name: self.stored(obj, name) for name in self.stored_names(obj)}
        for name in sorted({*self.entries, *stored}):
            entry = self.entries.get(name)
            value = stored.get(name, MISSING)
            if entry is not None and (entry.data or value is MISSING):
                yield name, entry, MISSING
            elif value is not MISSING:
                yield name, None, value

    def names(self, obj: object) -> list[str]:
        """The names that can be used, without the classes and modules among them."""
        return [name for name, entry, value in self.members(obj) if _is_usable(entry, value)]


def _is_usable(entry: Entry | None, value: object) -> bool:
    if entry is not None:
        if entry.how != PLAIN:
            return True
        value = entry.raw
    return kind_of(value) in ("value", "method", "object")


def _class_members(cls: type) -> Iterator[tuple[str, Any]]:
    seen: set[str] = set()
    for base in static_mro(cls):
        for name, raw in list(namespace_of(base).items()):
            if is_public(name) and name not in seen:
                seen.add(name)
                yield name, raw


class _ClassOffer(Offer):
    """What a class that is shared itself offers: its functions and values."""

    def __init__(self, shared: type) -> None:
        self._shared = shared
        super().__init__(type(shared))

    def _namespaces(self) -> list[Mapping[str, Any]]:
        return [namespace_of(base) for base in static_mro(self._shared)]

    def _specials(self) -> tuple[str, ...]:
        return ()

    def _compiled_hint(self, name: str) -> Hint | None:
        return attribute_hint(self._shared, name)

    def _entries(self, cls: type) -> dict[str, Entry]:
        entries = {}
        for name, raw in _class_members(self._shared):
            entry = _entry(raw)
            if type(raw) is types.FunctionType:
                # Read from its class, a function stays as it is.
                entry.raw = staticmethod(raw)
            if entry.how in (METHOD, PLAIN):
                entries[name] = entry
        return entries


class _ModuleOffer(Offer):
    """What a module that is shared itself offers."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module
        super().__init__(type(module))
        name = stored_value(module, "__name__")
        self._name: object = name
        listed = (own_dict(module) or {}).get("__all__")
        self._listed: frozenset[str] | None = None
        if type(listed) is list or type(listed) is tuple:
            self._listed = frozenset(filter(is_public, listed))

    def _namespaces(self) -> list[Mapping[str, Any]]:
        return [own_dict(self._module) or {}]

    def _entries(self, cls: type) -> dict[str, Entry]:
        return {}

    def stored(self, obj: object, name: str) -> Any:
        if self._listed is not None and name not in self._listed:
            return MISSING
        value = super().stored(obj, name)
        return value if self._listed is not None or self._is_defined_here(value) else MISSING

    def stored_names(self, obj: object) -> list[str]:
        return [name for name in super().stored_names(obj) if self.stored(obj, name) is not MISSING]

    def is_dynamic(self, name: str) -> bool:
        # A module may load what it lists only when it is asked for.
        return self._listed is not None and name in self._listed and self._is_shared(name)

    def _is_defined_here(self, value: object) -> bool:
        if value is MISSING:
            return False
        kind = kind_of(value)
        if kind == "value":
            return True
        if issubclass(type(value), type):
            home = namespace_of(typing.cast(type, value)).get("__module__")
        else:
            home = stored_value(value, "__module__")
            if home is MISSING:
                home = find(type(value), "__module__")
        return type(home) is str and home == self._name


class _FunctionOffer(Offer):
    """What a function that is shared itself offers: to be called.

    Its attributes tell of its insides: ``func`` of a partial, ``func_globals`` of one
    that was made by Cython.
    """

    def _entries(self, cls: type) -> dict[str, Entry]:
        return {}

    def stored(self, obj: object, name: str) -> Any:
        return MISSING

    def stored_names(self, obj: object) -> list[str]:
        return []

    def is_dynamic(self, name: str) -> bool:
        return False

    def _specials(self) -> tuple[str, ...]:
        return ("call",)


def offer_of(instance: object) -> Offer:
    """What ``instance`` offers when it is shared itself; a class or a module may be."""
    if issubclass(type(instance), types.ModuleType):
        return _ModuleOffer(typing.cast(types.ModuleType, instance))
    if issubclass(type(instance), type):
        return _ClassOffer(typing.cast(type, instance))
    if callable(instance) and _is_function(type(instance)):
        return _FunctionOffer(type(instance))
    return Offer(type(instance))


def _is_function(cls: type) -> bool:
    return issubclass(cls, functools.partial) or find(cls, "__get__") is not MISSING
