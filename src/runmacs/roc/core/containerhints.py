"""Containers as arguments: lists, tuples, sets, dicts, and the abstract ones.

Rules:

* What has no parameters (``list``) is checked for its own type only, and costs no look
  at the items.
* Items of simple types are looked at in one pass in C. A container is made anew only
  when one of its items is.
* Tuples arrive as lists and frozensets as sets, so they are built from them.
"""

from __future__ import annotations

import collections.abc
import functools
from collections.abc import Callable, Collection
from typing import Any, Final, TypeAlias

from .kinds import class_name
from .misfits import NOTHING, Hint, Misfit, shown

__all__ = ["container_hint"]

Compile: TypeAlias = Callable[[Any], Hint | None]


def container_hint(cls: type, args: tuple[Any, ...], compiled: Compile) -> Hint | None:
    """The hint for a class of containers with its parameters, or None if it is none."""
    if cls is tuple:
        return _tuple(args, compiled)
    make = _CONTAINERS.get(cls)
    return None if make is None else make(*(compiled(arg) for arg in args))


def _text(name: str, *items: Hint | None) -> str:
    known = [item.text for item in items if item is not None]
    return f"{name}[{', '.join(known)}]" if known and len(known) == len(items) else name


def _each(values: Collection[Any], item: Hint | None, first: int = 0) -> list[Any] | None:
    """The converted items, or None if all of them stay as they are."""
    if item is None or item.plain.issuperset(map(type, values)):
        return None
    made: list[Any] = []
    changed = False
    for index, value in enumerate(values, first):
        if type(value) not in item.plain:
            try:
                converted = item.convert(value)
            except Misfit as misfit:
                misfit.steps.append(f"[{index}]")
                raise
            changed |= converted is not value
            value = converted
        made.append(value)
    return made if changed else None


def _list(item: Hint | None = None) -> Hint:
    text = _text("list", item)

    def convert(value: Any) -> Any:
        if not isinstance(value, list):
            raise Misfit(text, value)
        made = _each(value, item)
        return value if made is None else made

    return Hint(text, frozenset((list,)) if item is None else NOTHING, convert)


def _tuple(args: tuple[Any, ...], compiled: Compile) -> Hint:
    """``tuple``, ``tuple[int, ...]`` and ``tuple[int, str]``."""
    if not args or args[-1] is ...:
        return _long_tuple(compiled(args[0]) if args else None)
    hints = [] if args == ((),) else [compiled(arg) for arg in args]
    text = _text("tuple", *hints) if hints else "tuple[()]"

    def convert(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise Misfit(text, value)
        if len(value) != len(hints):
            raise Misfit(text, value, found=f"{class_name(type(value))} of {len(value)}")
        made: list[Any] = []
        for index, hint in enumerate(hints):
            made += _each(value[index : index + 1], hint, index) or value[index : index + 1]
        return tuple(made)

    return Hint(text, NOTHING, convert)


def _long_tuple(item: Hint | None) -> Hint:
    text = "tuple" if item is None else f"tuple[{item.text}, ...]"

    def convert(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise Misfit(text, value)
        made = _each(value, item)
        if made is None and isinstance(value, tuple):
            return value
        return tuple(value if made is None else made)

    return Hint(text, NOTHING, convert)


def _set(name: str, build: type[set[Any]] | type[frozenset[Any]], item: Hint | None = None) -> Hint:
    text = _text(name, item)

    def convert(value: Any) -> Any:
        if not isinstance(value, (set, frozenset)):
            raise Misfit(text, value)
        try:
            made = _each(value, item)
        except Misfit as misfit:
            misfit.steps[-1] = "{...}"
            raise
        if made is None and (name == "Set" or isinstance(value, build)):
            return value
        return build(value if made is None else made)

    return Hint(text, NOTHING, convert)


def _dict(name: str, key: Hint | None = None, item: Hint | None = None) -> Hint:
    text = _text(name, key, item)

    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Misfit(text, value)
        keys, items = list(value), list(value.values())
        try:
            new_keys, new_items = _each(keys, key), _each(items, item)
        except Misfit as misfit:
            # The step is a place among the keys; the key itself says more.
            misfit.steps[-1] = f"[{shown(keys[int(misfit.steps[-1][1:-1])])}]"
            raise
        if new_keys is None and new_items is None:
            return value
        return dict(zip(new_keys or keys, new_items or items, strict=True))

    return Hint(text, frozenset((dict,)) if key is None and item is None else NOTHING, convert)


def _collection(name: str, others: tuple[type, ...], item: Hint | None = None) -> Hint:
    """An abstract collection; an array counts as one, as Python code does not mind."""
    text = _text(name, item)

    def convert(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            made = _each(value, item)
            return value if made is None else made
        if isinstance(value, (str, bytes)) and str in others:
            if item is None or (str if isinstance(value, str) else int) in item.plain:
                return value
        elif isinstance(value, others) or hasattr(type(value), "__array__"):
            return value
        raise Misfit(text, value)

    return Hint(text, frozenset((list,)) if item is None else NOTHING, convert)


_ANY: Final = (str, dict, set, frozenset)
_CONTAINERS: Final[dict[Any, Callable[..., Hint]]] = {
    list: _list,
    dict: functools.partial(_dict, "dict"),
    set: functools.partial(_set, "set", set),
    frozenset: functools.partial(_set, "frozenset", frozenset),
    collections.abc.Set: functools.partial(_set, "Set", set),
    collections.abc.MutableSet: functools.partial(_set, "MutableSet", set),
    collections.abc.Mapping: functools.partial(_dict, "Mapping"),
    collections.abc.MutableMapping: functools.partial(_dict, "MutableMapping"),
    collections.abc.Sequence: functools.partial(_collection, "Sequence", (str,)),
    collections.abc.MutableSequence: functools.partial(_collection, "MutableSequence", ()),
    collections.abc.Collection: functools.partial(_collection, "Collection", _ANY),
    collections.abc.Iterable: functools.partial(_collection, "Iterable", _ANY),
}
