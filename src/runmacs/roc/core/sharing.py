"""A shared object: which members of a Python object others may reach, and how.

Rules:

* Only public names, in every component of a dotted path. A path enters objects only:
  no module, class, function or plain value. `kinds` and `offers` have the
  details.
* What is refused runs no code of the object's author: a property least of all. Only
  on the way to a nested object, a property that stands before it in the path is read.
* What this module refuses is a `Refusal`, besides being one of `errors`; whatever the
  author's code raises comes out as it was raised, and can be told apart.
* A call's arguments are checked before its body is begun.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from types import BuiltinFunctionType, MethodType
from typing import Any, Final, NoReturn, TypeAlias

from .. import errors
from ..wire.values import Member
from .description import describe_object
from .kinds import (
    MISSING,
    Kind,
    class_name,
    is_enterable,
    is_public,
    kind_of,
    load_slot,
    normal,
)
from .nearest import nearest, quoted
from .offers import CODE, METHOD, PLAIN, SLOT, Entry, Offer, offer_of
from .signatures import Fit

__all__ = ["ArgumentsRefused", "MemberRefused", "Refusal", "SharedObject"]

_LONGEST_PATH: Final = 65_536
_DEEPEST_PATH: Final = 64
_LONGEST_SHOWN: Final = 80

_CLASSES_KEPT: Final = 1_000
_FITS_KEPT: Final = 16_384


class Refusal(errors.CallError):
    """The call was refused here, by the rules of sharing; no user code raised this."""


class MemberRefused(Refusal, errors.MethodNotFound):
    """There is no such member, or it may not be used like this."""


class ArgumentsRefused(Refusal, errors.InvalidParams):
    """The arguments do not fit the signature."""


_Found: TypeAlias = tuple[Any, Offer, str]
"""Whose member it is, what that object's class offers, and the member's own name."""


class SharedObject:
    """An object as others may use it, under its object id::

        vnir = SharedObject(camera, "vnir")
        vnir.get("fps")                                  # 10.0
        vnir.set("lens.position", 3)
        body = vnir.bind("setGain", [2], {})             # refused here, or never
        body()                                           # camera.setGain(2)

    Methods other than `describe` are meant for one thread at a time.
    """

    def __init__(self, instance: object, object_id: str) -> None:
        self.instance = instance
        self.object_id = object_id
        self._root = offer_of(instance)
        self._offers: dict[int, Offer] = {}
        self._fits: dict[str, Fit] = {}

    # --- what others may do -----------------------------------------------------------

    def get(self, name: str) -> Any:
        """The value of an attribute, or a `Member` in place of a method or nested object.

        Raises:
            MemberRefused: nothing of this name is shared.
            BaseException: whatever the attribute's own code raises.
        """
        holder, offer, leaf = self._locate(name)
        value = self._read(holder, offer, leaf, name)
        kind = kind_of(value)
        if kind == "value":
            return value
        if kind == "method":
            entry = offer.entries.get(leaf)
            if entry is not None:
                entry.called = True
            return Member("method")
        if kind == "object":
            return Member("object")
        self._refuse(name, f"{self._shown(name)} is {_NOUNS[kind]}, which others cannot reach")

    def set(self, name: str, value: object) -> None:
        """Set an attribute that is there already.

        Raises:
            MemberRefused: there is no such attribute, or it is not one that can be set.
            BaseException: whatever the attribute's own code raises; AttributeError
                where Python itself finds that it cannot be set.
        """
        holder, offer, leaf = self._locate(name)
        entry = offer.entries.get(leaf)
        current = MISSING
        if entry is None or not entry.data:
            current = offer.stored(holder, leaf)
        if entry is not None and current is MISSING:
            current = self._before_set(holder, entry, leaf, name)
        elif current is MISSING:
            current = self._try_dynamic(holder, offer, leaf, name)
        kind: Kind = "value" if current is MISSING else kind_of(current)
        if kind != "value":
            self._refuse(name, f"{self._shown(name)} is {_NOUNS[kind]}, and cannot be set")
        setattr(holder, leaf, value)

    def bind(
        self, name: str, args: Sequence[object], kwargs: Mapping[str, Any]
    ) -> Callable[[], Any]:
        """A function without arguments that runs the method; its arguments do fit.

        Raises:
            MemberRefused: there is no such method.
            ArgumentsRefused: the arguments do not fit its signature.
            BaseException: whatever code of the author's on the way to the method raises,
                a property in the path for one.
        """
        holder, offer, leaf = self._locate(name)
        entry = offer.entries.get(leaf)
        if entry is not None and entry.how == CODE and not entry.called:
            self._refuse_call_of_code(holder, offer, entry, leaf, name)
        target = self._read(holder, offer, leaf, name)
        function = _identity(target, holder, entry)
        fit = self._fits.get(name)
        if fit is None or fit.function is not function:
            fit = self._fit(name, target, function)
        if (kwargs or not fit.low <= len(args) <= fit.high) and (
            clauses := fit.misfits(args, kwargs)
        ):
            signature = str(fit)
            message = f"{self._shown(name)} takes {signature}: {'; '.join(clauses)}"
            raise ArgumentsRefused(message, data={"signature": signature})
        return functools.partial(target, *args, **kwargs)

    def describe(self, name: str = "") -> dict[str, Any]:
        """The OpenRPC document of the object, or of the nested object ``name``.

        It may be asked for in any thread, while a method runs; it runs no user code,
        except that a ``name`` behind a property has to be read. What it returns is
        shared with later calls and must not be changed.

        Raises:
            MemberRefused: ``name`` is not a nested object.
        """
        if not name:
            return describe_object(self.instance, self._root_offer(), self.object_id)
        holder, offer, leaf = self._locate(name)
        nested = self._enter(self._read(holder, offer, leaf, name), name)
        return describe_object(nested, self._offer(nested), self.object_id, normal(name))

    # --- finding ----------------------------------------------------------------------

    def _root_offer(self) -> Offer:
        if type(self.instance) is not self._root.cls:
            self._root = offer_of(self.instance)
        return self._root

    def _offer(self, obj: object) -> Offer:
        cls = type(obj)
        # By id(): a metaclass may have a __hash__ of its own. The offer keeps cls alive.
        known = self._offers.get(id(cls))
        if known is None:
            if len(self._offers) >= _CLASSES_KEPT:
                self._offers.clear()
            known = self._offers[id(cls)] = Offer(cls)
        return known

    def _locate(self, name: str) -> _Found:
        """The holder of the member; nothing is touched before every component is sound."""
        if type(name) is not str:
            raise ArgumentsRefused("the name of a member is a string")
        offer = self._root_offer()
        if name in offer.entries:
            return self.instance, offer, name
        path = self._components(name)
        holder = self.instance
        for depth, component in enumerate(path[:-1], start=1):
            before = ".".join(path[:depth])
            holder = self._enter(self._read(holder, offer, component, before), before)
            offer = self._offer(holder)
        return holder, offer, path[-1]

    def _components(self, name: str) -> list[str]:
        if len(name) > _LONGEST_PATH:
            self._refuse(name, f"no member of {self.object_id} has so long a name")
        path = normal(name).split(".")
        if len(path) > _DEEPEST_PATH:
            self._refuse(name, f"{self.object_id} is not shared so deep: {len(path)} components")
        for component in path:
            if component.startswith("_"):
                what = "begins with an underscore, and is not shared"
            elif not is_public(component):
                what = "is not an identifier"
            else:
                continue
            near = self._nearest(self.instance, self._root_offer(), component, "")
            self._refuse(
                name, f"{self._shown(name)} cannot be reached: {_brief(component)} {what}", near
            )
        return path

    def _enter(self, value: Any, name: str) -> Any:
        if is_enterable(value):
            return value
        kind = kind_of(value)
        noun = f"a plain value ({class_name(type(value))})" if kind == "value" else _NOUNS[kind]
        self._refuse(name, f"{self._shown(name)} is {noun}: nothing inside it can be reached")

    # --- reading ----------------------------------------------------------------------

    def _read(self, holder: Any, offer: Offer, leaf: str, name: str) -> Any:
        entry = offer.entries.get(leaf)
        if entry is None or not entry.data:
            value = offer.stored(holder, leaf)
            if value is not MISSING:
                return value if offer.plain else getattr(holder, leaf)
            if entry is None:
                return self._try_dynamic(holder, offer, leaf, name)
        elif entry.how == SLOT and offer.plain:
            value = load_slot(entry.raw, holder)
            if value is not MISSING:
                return value
            if not offer.is_dynamic(leaf):
                self._refuse(name, f"{self._shown(name)} has no value yet")
        return getattr(holder, leaf)

    def _try_dynamic(self, holder: Any, offer: Offer, leaf: str, name: str) -> Any:
        """A name that nobody can see from outside: only ``__getattr__`` can know."""
        if offer.is_dynamic(leaf):
            try:
                return getattr(holder, leaf)
            except AttributeError:
                pass
        self._refuse_unknown(holder, offer, leaf, name)

    def _before_set(self, holder: Any, entry: Entry, leaf: str, name: str) -> Any:
        """What a member of the class holds, as far as no user code is needed to see it."""
        if entry.how == METHOD:
            self._refuse(name, f"{self._shown(name)} is a method, and cannot be set")
        if entry.how == CODE:
            if not entry.writable:
                self._refuse(name, f"{self._shown(name)} can be read, but not set")
            return MISSING
        if entry.how == PLAIN:
            return entry.raw
        return load_slot(entry.raw, holder)

    def _refuse_call_of_code(
        self, holder: object, offer: Offer, entry: Entry, leaf: str, name: str
    ) -> None:
        """Whether a property holds a function, only its author's code can tell.

        So a property is called when reading it has given a function before, as it has
        when the caller's proxy looked it up; a call never reads it on the chance.
        """
        if entry.data or offer.stored(holder, leaf) is MISSING:
            self._refuse(name, f"{self._shown(name)} is an attribute: read it, do not call it")

    def _fit(self, name: str, target: Any, function: object) -> Fit:
        kind = kind_of(target)
        if kind == "value":
            self._refuse(
                name,
                f"{self._shown(name)} is an attribute ({class_name(type(target))}): "
                "read it, do not call it",
            )
        if kind != "method":
            self._refuse(name, f"{self._shown(name)} is {_NOUNS[kind]}, and cannot be called")
        if len(self._fits) >= _FITS_KEPT:
            self._fits.clear()
        fit = self._fits[name] = Fit(target, function)
        return fit

    # --- refusing ---------------------------------------------------------------------

    def _shown(self, name: str) -> str:
        return f"{self.object_id}.{_brief(name, quotes='')}"

    def _nearest(self, holder: object, offer: Offer, leaf: str, before: str) -> list[str]:
        return [before + found for found in nearest(leaf, offer.names(holder))]

    def _refuse_unknown(self, holder: object, offer: Offer, leaf: str, name: str) -> NoReturn:
        before = normal(name).removesuffix(leaf)
        owner = self._shown(before[:-1]) if before else self.object_id
        near = self._nearest(holder, offer, leaf, before)
        self._refuse(name, f"{owner} has no public member {_brief(leaf)}", near)

    def _refuse(self, name: str, message: str, near: Sequence[str] = ()) -> NoReturn:
        hint = f"; did you mean {quoted(near)}?" if near else ""
        raise MemberRefused(message + hint, data={"suggestions": list(near)})


_NOUNS: Final[dict[Kind, str]] = {
    "value": "a plain value",
    "method": "a method",
    "object": "a nested object",
    "class": "a class",
    "module": "a module",
    "closed": "a part of Python's own machinery",
}


def _brief(name: str, quotes: str = "'") -> str:
    """A name from outside, safe to show: short, and without control characters."""
    if len(name) > _LONGEST_SHOWN:
        name = name[: _LONGEST_SHOWN - 3] + "..."
    return quotes + repr(name)[1:-1] + quotes


def _identity(target: Any, holder: object, entry: Entry | None) -> object:
    """What stays the same when a method is bound again, so that its `Fit` can be kept."""
    cls = type(target)
    if cls is MethodType:
        return target.__func__
    if cls is BuiltinFunctionType and entry is not None and target.__self__ is holder:
        return entry.raw
    return target
