"""Arrays as arguments: ``numpy.ndarray``, ``NDArray[dtype]`` and numpy's numbers.

Rules:

* A list becomes an array. Its numbers may take the dtype that is asked for as long as
  each keeps its value, but for the rounding of floats.
* An array changes its dtype only where numpy calls that safe. Shapes are not checked.
* Imported with the first annotation of this sort, when numpy is there already.
"""

from __future__ import annotations

import typing
from typing import Any

import numpy as np

from .misfits import NOTHING, Hint, Misfit

__all__ = ["array_hint", "number_hint"]

_NATURAL: dict[Any, type[np.generic]] = {
    np.floating: np.float64,
    np.inexact: np.float64,
    np.complexfloating: np.complex128,
}


def array_hint(annotation: Any) -> Hint:
    """The hint for ``numpy.ndarray``, with or without a dtype."""
    wanted = _dtype_of(annotation)
    if wanted is None:
        return Hint("array", frozenset((np.ndarray,)), _any_array)
    text = f"array of {wanted.__name__}"
    if wanted in _ABSTRACT:
        return Hint(text, NOTHING, lambda value: _abstract(value, wanted, text))
    return Hint(text, NOTHING, lambda value: _concrete(value, np.dtype(wanted), text))


def number_hint(cls: type[np.generic]) -> Hint:
    """The hint for a class of numpy's numbers; Python's become one if they keep their value."""

    def convert(value: Any) -> Any:
        if isinstance(value, cls):
            return value
        if isinstance(value, (bool, int, float, complex, np.number, np.bool_)):
            number = np.asarray(value)
            if np.issubdtype(number.dtype, cls):
                return value
            if cls not in _ABSTRACT and (cast := _cast(number, np.dtype(cls))) is not None:
                return cast[()]
        raise Misfit(cls.__name__, value)

    return Hint(cls.__name__, NOTHING, convert)


_ABSTRACT: frozenset[Any] = frozenset(
    (
        *(np.generic, np.number, np.integer, np.signedinteger, np.unsignedinteger),
        *(np.inexact, np.floating, np.complexfloating, np.flexible, np.character),
    )
)


def _dtype_of(annotation: Any) -> type[np.generic] | None:
    """The scalar type in ``ndarray[shape, dtype[...]]``; None where any will do."""
    args = typing.get_args(annotation)
    inner = typing.get_args(args[1]) if len(args) == 2 else ()
    wanted = typing.get_origin(inner[0]) or inner[0] if inner else None
    if not isinstance(wanted, type) or not issubclass(wanted, np.generic):
        return None
    return None if wanted is np.generic else wanted


def _any_array(value: Any) -> Any:
    return value if isinstance(value, np.ndarray) else _built(value, "array")


def _built(value: Any, text: str) -> np.ndarray[Any, np.dtype[Any]]:
    if not isinstance(value, (list, tuple)):
        raise Misfit(text, value)
    try:
        built = np.array(value)
    except (TypeError, ValueError) as error:
        raise Misfit(text, value, f"its lists do not make one ({error})") from None
    if built.dtype == object:
        raise Misfit(text, value, "its items are not of one type")
    return built


def _abstract(value: Any, wanted: type[np.generic], text: str) -> Any:
    array = value if isinstance(value, np.ndarray) else _built(value, text)
    if np.issubdtype(array.dtype, wanted):
        return array
    if array is not value:
        if wanted in _NATURAL and array.dtype.kind in _NUMBERS:
            return array.astype(_NATURAL[wanted])
        if not array.size:
            return array
    raise _wrong_dtype(value, array, text)


def _concrete(value: Any, wanted: np.dtype[Any], text: str) -> Any:
    array = value if isinstance(value, np.ndarray) else _built(value, text)
    if array.dtype == wanted:
        return array
    if array.dtype.type is wanted.type and (wanted.itemsize == 0 or wanted.kind in "mM"):
        return array  # texts of any length, and times of any unit
    if np.can_cast(array.dtype, wanted, "safe"):
        return array.astype(wanted)
    if array is not value and (cast := _cast(array, wanted)) is not None:
        return cast
    raise _wrong_dtype(value, array, text)


def _cast(numbers: np.ndarray[Any, np.dtype[Any]], wanted: np.dtype[Any]) -> Any:
    """The numbers with another dtype, or None if that is not what they are."""
    if not numbers.size:
        return numbers.astype(wanted)
    before, after = numbers.dtype.kind, wanted.kind
    if before not in _NUMBERS or after not in _NUMBERS:
        return None
    if _NUMBERS.index(before) > _NUMBERS.index(after) and before not in "iu":
        return None
    with np.errstate(all="ignore"):
        cast = numbers.astype(wanted)
    if before in "fc":
        same = np.array_equal(np.isfinite(numbers), np.isfinite(cast))
    else:
        same = np.array_equal(numbers, cast)
    return cast if same else None


_NUMBERS = "uifc"
"""The kinds of numbers, each of which can stand for those before it."""


def _wrong_dtype(value: Any, array: np.ndarray[Any, np.dtype[Any]], text: str) -> Misfit:
    what = "array" if array is value else "list"
    return Misfit(text, value, found=f"{what} of {array.dtype.name}")
