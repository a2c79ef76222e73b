"""Operators: what Python's arithmetic, comparisons and conversions do with an object.

Rules:

* Names are those of Python's special methods without the underscores, also in the protocol.
* ``==``, ``!=`` and truth are not among them: a proxy must have these of its own.
* One that changes the object in place answers with a `Member` where the object is still
  the same one.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any, Final

from ..wire.values import Member

__all__ = ["BINARY", "BODIES", "IN_PLACE", "OPERATORS", "UNARY"]

_SYMBOLS: Final = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "matmul": "@",
    "truediv": "/",
    "floordiv": "//",
    "mod": "%",
    "pow": "**",
    "lshift": "<<",
    "rshift": ">>",
    "and": "&",
    "xor": "^",
    "or": "|",
}
_COMPARISONS: Final = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_SIGNS: Final = {"neg": "-x", "pos": "+x", "invert": "~x", "abs": "abs(x)"}
_CONVERSIONS: Final[dict[str, Callable[[Any], Any]]] = {
    "int": int,
    "float": float,
    "index": operator.index,
    "trunc": math.trunc,
    "floor": math.floor,
    "ceil": math.ceil,
}


def _swapped(body: Callable[[Any, Any], Any], holder: Any, other: Any) -> Any:
    return body(other, holder)


def _in_place(body: Callable[[Any, Any], Any], holder: Any, other: Any) -> Any:
    result = body(holder, other)
    return Member("object") if result is holder else result


def _bodies() -> dict[str, tuple[Callable[..., Any], int]]:
    bodies: dict[str, tuple[Callable[..., Any], int]] = {}
    for name in (*_SYMBOLS, "divmod"):
        body = divmod if name == "divmod" else getattr(operator, f"__{name}__")
        bodies[name] = body, 1
        bodies[f"r{name}"] = functools.partial(_swapped, body), 1
    for name in _SYMBOLS:
        body = getattr(operator, f"__i{name}__")
        bodies[f"i{name}"] = functools.partial(_in_place, body), 1
    for name in _COMPARISONS:
        bodies[name] = getattr(operator, name), 1
    for name in _SIGNS:
        bodies[name] = getattr(operator, f"__{name}__"), 0
    for name, convert in _CONVERSIONS.items():
        bodies[name] = convert, 0
    bodies["round"] = round, 1
    return bodies


BODIES: Final = _bodies()
"""The body of each, and how many arguments it takes beside the object."""

IN_PLACE: Final = frozenset(f"i{name}" for name in _SYMBOLS)
BINARY: Final = tuple(n for n, (_, count) in BODIES.items() if count and n not in IN_PLACE)
UNARY: Final = tuple(name for name, (_, count) in BODIES.items() if not count)

OPERATORS: Final = {
    **{name: f"does not support {symbol}" for name, symbol in _SYMBOLS.items()},
    **{f"r{name}": f"does not support {symbol}" for name, symbol in _SYMBOLS.items()},
    **{f"i{name}": f"does not support {symbol}=" for name, symbol in _SYMBOLS.items()},
    **dict.fromkeys(("divmod", "rdivmod"), "does not support divmod()"),
    **{name: f"does not support {symbol}" for name, symbol in _COMPARISONS.items()},
    **{name: f"does not support {form}" for name, form in _SIGNS.items()},
    **{name: f"cannot be converted with {name}()" for name in _CONVERSIONS},
    "round": "cannot be rounded",
}
"""All names, and what is said of an object that has none."""
