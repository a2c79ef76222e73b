"""Special methods: what Python's own syntax does with an object, done from afar.

Rules:

* Support is decided by the class, statically, as Python decides it: ``__iter__ = None``
  takes it back. An iterator is no container: looking at it would use it up.
* Iterating gives all items at once, a million at most.
* A context manager's exception does not travel: ``__exit__`` gets one of the same name,
  if it is one of Python's, and without a traceback.
"""

from __future__ import annotations

import builtins
import functools
import itertools
import operator
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

from ..wire.values import Member
from .kinds import MISSING, class_name, find, kind_of
from .operators import BODIES, OPERATORS
from .refusals import ArgumentsRefused, ResultRefused

__all__ = [
    "MOST_ITEMS",
    "SPECIAL",
    "ClientFailed",
    "judged_by",
    "special_body",
    "specials_of",
    "wanting",
]

MOST_ITEMS: Final = 1_000_000

SPECIAL: Final = {
    name: f"__{name}__"
    for name in (
        *("call", "len", "contains", "getitem", "setitem", "delitem", "iter"),
        *("enter", "exit", "array"),
        *OPERATORS,
    )
}
"""The names of `rpc.special`, and Python's."""


class ClientFailed(Exception):
    """Stands for what ended a client's ``with`` block, if it is no exception of Python's."""


def specials_of(cls: type, shares: Callable[[str], bool] = lambda name: True) -> tuple[str, ...]:
    """The special names that instances of a class support; ``shares`` may take some away."""
    has = {name for name, method in SPECIAL.items() if _is_there(find(cls, method))}
    if "call" in has:
        has -= OPERATORS.keys()  # functions that are written in C say they can be compared
    has -= {name for name in _OF_ALL if find(cls, SPECIAL[name]) is _OF_ALL[name]}
    counted = find(cls, "__iter__") is MISSING and {"len", "getitem"} <= has
    if "iter" in has or counted:
        has.add("iter")
        if find(cls, "__contains__") is MISSING:
            has.add("contains")
    if _is_there(find(cls, "__next__")):
        has.discard("iter")
        if find(cls, "__contains__") is MISSING:
            has.discard("contains")
    if not {"enter", "exit"} <= has:
        has -= {"enter", "exit"}
    return tuple(name for name in SPECIAL if name in has and shares(judged_by(name)))


# Every object has these, and cannot do it.
_OF_ALL: Final = {n: vars(object)[m] for n, m in SPECIAL.items() if m in vars(object)}


def judged_by(name: str) -> str:
    """The method by whose name patterns and marks decide: who may enter may leave."""
    return SPECIAL["enter" if name == "exit" else name]


def _is_there(found: object) -> bool:
    return found is not MISSING and found is not None


def wanting(name: str, cls: type) -> str:
    """Why an object of a class does not support a special method."""
    if name in ("iter", "contains") and _is_there(find(cls, "__next__")):
        return "is an iterator, and streams cannot be sent yet: share a list"
    return _WANTING[name]


_WANTING: Final = {
    "call": "cannot be called",
    "len": "has no length",
    "contains": "cannot be searched with `in`",
    "getitem": "cannot be indexed",
    "setitem": "has no items that could be set",
    "delitem": "has no items that could be deleted",
    "iter": "cannot be iterated over",
    "enter": "is no context manager",
    "exit": "is no context manager",
    "array": "cannot be converted to an array",
    **OPERATORS,
}


def special_body(name: str, holder: Any, args: Sequence[Any]) -> Callable[[], Any]:
    """The body of a special method other than ``call``, which can be run.

    Raises:
        ArgumentsRefused: it takes other arguments.
    """
    body, count = _BODIES[name]
    if len(args) != count:
        raise ArgumentsRefused(f"rpc.special {name} takes {count} more parameters.")
    if name == "exit" and not all(arg is None or isinstance(arg, str) for arg in args[:2]):
        raise ArgumentsRefused("rpc.special exit takes the name of an exception and its message.")
    return functools.partial(body, holder, *args)


def _items(holder: Any) -> list[Any]:
    items = list(itertools.islice(iter(holder), MOST_ITEMS + 1))
    if len(items) > MOST_ITEMS:
        raise ResultRefused(
            f"it has more than {MOST_ITEMS:,} items, too many to send: ask for parts of it."
        )
    return items


def _enter(holder: Any) -> Any:
    entered = type(holder).__enter__(holder)
    if entered is holder:
        return Member("object")
    if kind_of(entered) != "value":
        type(holder).__exit__(holder, None, None, None)
        raise ResultRefused(
            f"its __enter__ gave an object of type {class_name(type(entered))}, which cannot be "
            "sent; it has been left again."
        )
    return entered


def _exit(holder: Any, kind: str | None, message: str | None, trace: object) -> bool:
    error = None if kind is None else _error_of(kind, message or "")
    return bool(type(holder).__exit__(holder, None if error is None else type(error), error, None))


def _array(holder: Any) -> Any:
    return import_module("numpy").asarray(holder)


def _error_of(kind: str, message: str) -> Exception:
    known = getattr(builtins, kind, None)
    if isinstance(known, type) and issubclass(known, Exception):
        try:
            return known(message)
        except TypeError:
            pass
    return ClientFailed(f"{kind}: {message}")


_BODIES: Final[dict[str, tuple[Callable[..., Any], int]]] = {
    "len": (len, 0),
    "contains": (operator.contains, 1),
    "getitem": (operator.getitem, 1),
    "setitem": (operator.setitem, 2),
    "delitem": (operator.delitem, 1),
    "iter": (_items, 0),
    "enter": (_enter, 0),
    "exit": (_exit, 3),
    "array": (_array, 0),
    **BODIES,
}
