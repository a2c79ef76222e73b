"""Finding the members of a shared object: from a dotted path to what it names.

Rules:

* Only public names, in every component. All components are sound before anything is
  touched, and what the selection hides is not touched at all.
* A path enters objects only: no module, class, function or plain value.
* What is refused runs no code of the object's author. Only on the way to a nested
  object, a property that stands before it in the path is read.
* A path that comes back to the object itself goes on as if it began there.
* A path may begin with an object that a method has returned, as long as it is `Kept`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn, TypeAlias

from .kept import MOST, SIGN, Kept
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
from .offers import SLOT, Offer, offer_of
from .refusals import ArgumentsRefused, MemberRefused
from .selection import HIDDEN, SHARED, WAY, Selection, Verdict

__all__ = ["NOUNS", "Members", "brief"]

_LONGEST_PATH: Final = 65_536
_DEEPEST_PATH: Final = 64
_LONGEST_SHOWN: Final = 80
_CLASSES_KEPT: Final = 1_000

Found: TypeAlias = tuple[Any, Offer, str, str]
"""Whose member it is, what that object's class offers, the member's own name, and its path."""


class Members:
    """The members of one object, found by their paths and read."""

    def __init__(
        self, instance: object, object_id: str, selection: Selection, kept: Kept | None
    ) -> None:
        self.instance = instance
        self.object_id = object_id
        self._selection = selection
        self._select = not selection.everything
        self._kept = kept
        self._root = offer_of(instance)
        self._offers: dict[int, Offer] = {}

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

    def _locate(self, name: str) -> Found:
        """The holder of the member; nothing is touched before every component is sound."""
        if type(name) is not str:
            raise ArgumentsRefused("the name of a member is a string")
        offer = self._root_offer()
        if name in offer.entries:
            if self._select:
                self._refuse_hidden(self.instance, offer, name)
            return self.instance, offer, name, name
        holder, path, rest = self.instance, "", name
        if self._kept is not None and SIGN in name:
            holder, path, rest = self._returned(name)
            offer = self._offer(holder)
        components = self._components(rest)
        for component in components[:-1]:
            path = f"{path}.{component}" if path else component
            holder, offer, path = self._step(holder, offer, component, path)
        leaf = components[-1]
        path = f"{path}.{leaf}" if path else leaf
        self._refuse_hidden(holder, offer, path)
        return holder, offer, leaf, path

    def _step(self, holder: Any, offer: Offer, name: str, path: str) -> tuple[Any, Offer, str]:
        """The object that is entered by a path, its offer, and its own path."""
        self._refuse_hidden(holder, offer, path)
        entered = self._enter(self._read(holder, offer, name, path), path)
        if entered is self.instance:
            return entered, self._root_offer(), ""
        return entered, self._offer(entered), path

    def _nested(self, name: str) -> tuple[Any, Offer, str]:
        """The object itself, or a nested one."""
        if name == "":
            return self.instance, self._root_offer(), ""
        if self._is_returned(name):
            holder, path, _ = self._returned(name)
            return holder, self._offer(holder), path
        holder, offer, leaf, path = self._locate(name)
        return self._step(holder, offer, leaf, path)

    def _is_returned(self, name: str) -> bool:
        """Whether a path names an object that a method has returned, and no member of it."""
        return self._kept is not None and "." not in name.partition(SIGN)[2] and SIGN in name

    def _returned(self, name: str) -> tuple[Any, str, str]:
        """The object that a method has returned, its path, and the path from there on."""
        origin, _, rest = name.partition(SIGN)
        key, _, rest = rest.partition(".")
        path = f"{origin}{SIGN}{key}"
        found = MISSING if self._kept is None else self._kept.find(path)
        if found is MISSING:
            self._refuse(
                name,
                f"{self._shown(path)} is not there any longer: its server was started again, or"
                f" {MOST} other objects were returned and used since; ask for it anew",
            )
        return found, path, rest

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
            near = self._nearest(self.instance, self._root_offer(), component)
            self._refuse(
                name, f"{self._shown(name)} cannot be reached: {brief(component)} {what}", near
            )
        return path

    def _enter(self, value: Any, name: str) -> Any:
        if is_enterable(value):
            return value
        kind = kind_of(value)
        noun = f"a plain value ({class_name(type(value))})" if kind == "value" else NOUNS[kind]
        self._refuse(name, f"{self._shown(name)} is {noun}: nothing inside it can be reached")

    def _has_members(self, value: Any) -> bool:
        """Whether what can be called is an object as well, with members of its own."""
        return is_enterable(value) and bool(self._offer(value).names(value))

    def _verdict_within(self, path: str) -> Callable[[str], Verdict]:
        """What is shared of the members of the object at a path."""
        if not self._select:
            return lambda name: SHARED
        return lambda name: self._selection.verdict(f"{path}.{name}" if path else name)

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

    # --- refusing ---------------------------------------------------------------------

    def _shown(self, name: str) -> str:
        return f"{self.object_id}.{brief(name, quotes='')}" if name else self.object_id

    def _nearest(self, holder: object, offer: Offer, name: str) -> list[str]:
        """The names nearest to a path, as paths."""
        before, dot, leaf = name.rpartition(".")
        verdict = self._verdict_within(before)
        names = [n for n in offer.names(holder) if verdict(n) != HIDDEN]
        return [before + dot + found for found in nearest(leaf, names)]

    def _refuse_hidden(self, holder: object, offer: Offer, name: str) -> None:
        if self._select and self._selection.verdict(name) == HIDDEN:
            near = self._nearest(holder, offer, name)
            self._refuse(name, f"{self._shown(name)} is not shared by its server", near)

    def _refuse_way(self, name: str) -> None:
        if self._selection.verdict(name) == WAY:
            self._refuse(name, f"{self._shown(name)} is not shared by its server, only parts of it")

    def _refuse_unknown(self, holder: object, offer: Offer, leaf: str, name: str) -> NoReturn:
        owner = self._shown(name.removesuffix(leaf).removesuffix("."))
        near = self._nearest(holder, offer, name)
        self._refuse(name, f"{owner} has no public member {brief(leaf)}", near)

    def _refuse(self, name: str, message: str, near: Sequence[str] = ()) -> NoReturn:
        hint = f"; did you mean {quoted(near)}?" if near else ""
        raise MemberRefused(message + hint, data={"suggestions": list(near)})


NOUNS: Final[dict[Kind, str]] = {
    "value": "a plain value",
    "method": "a method",
    "object": "a nested object",
    "class": "a class",
    "module": "a module",
    "closed": "a part of Python's own machinery",
}


def brief(name: str, quotes: str = "'") -> str:
    """A name from outside, safe to show: short, and without control characters."""
    if len(name) > _LONGEST_SHOWN:
        name = name[: _LONGEST_SHOWN - 3] + "..."
    return quotes + repr(name)[1:-1] + quotes
