"""numpy arrays and scalars on the wire.

This module imports numpy, so it is itself imported only where an array or a
numpy scalar is sent or has arrived. Rules:

* A dtype is spelled as numpy spells it: a typestr with its byte order
  (``"<u2"``, ``"|b1"``, ``"<M8[us]"``), or the list that ``dtype.descr`` gives
  for a structured one. Fields that overlap or stand out of order have no descr;
  they are spelled as names, formats, offsets and itemsize.
* A dtype that does not come back equal from its spelling is refused by the sender.
* An array's memory is sent as it lies when it is contiguous, in C or in Fortran
  order, and copied into C order otherwise. What arrives is a read-only view.
* Nothing a peer writes reaches ``numpy.dtype`` unchecked, and no memory is
  allocated for a shape that the buffer does not fill.
"""

from __future__ import annotations

import binascii
import cmath
import math
import re
import sys
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.format import descr_to_dtype

from ..errors import RemoteProtocolError
from .forms import TAG, Buffer, form
from .refused import Refused
from .tags import bad, read_base64

__all__ = ["array_form", "read_array", "read_dtype", "read_scalar", "scalar_form", "spell_dtype"]

_TYPESTR = re.compile(
    r"[<>|](?:b1|[iu]1|[SV][0-9]{1,10})"
    r"|[<>](?:[iu][248]|f(?:2|4|8|12|16)|c(?:8|16|24|32)|U[0-9]{1,10}"
    r"|[mM]8(?:\[(?:[1-9][0-9]{0,8})?(?:generic|[YMWDhm]|[munpfa]?s|\u03bcs)\])?)"
)
_MAX_DIMENSIONS = 64
_MAX_NESTING = 32
_MAX_OVERLAP = 16
_NO_TEXT = "a text has code points that Unicode does not have"

# The Python values that a scalar of each numpy kind may be written as; the
# others, and those wider than a Python float, carry their bytes.
_WRITTEN_AS: dict[str, tuple[type, ...]] = {
    "b": (bool,),
    "i": (int,),
    "u": (int,),
    "f": (float, int),
    "c": (complex, float, int),
    "S": (bytes,),
    "U": (str,),
}


# At the sender ---------------------------------------------------------------------------


def array_form(value: Any, buffers: list[Buffer]) -> object:
    """The tag of an array, whose memory is appended to ``buffers``."""
    array = value if type(value) is np.ndarray else _plain_array(value)
    tag: dict[str, object] = {
        TAG: "array",
        "dtype": spell_dtype(array.dtype),
        "shape": list(array.shape),
        "buffer": len(buffers),
    }
    flags = array.flags
    if not flags.c_contiguous:
        if flags.f_contiguous:
            tag["order"] = "F"
            array = array.T
        else:
            array = array.copy(order="C")
    if not _is_readable(array):
        raise Refused(_NO_TEXT)
    # Through a view as bytes, because many dtypes do not export a buffer themselves.
    buffers.append(array.reshape(-1).view(np.uint8).data if array.nbytes else b"")
    return tag


def _plain_array(value: Any) -> np.ndarray[Any, Any]:
    """numpy's own harmless subclasses as plain arrays; others hold more than an array."""
    if isinstance(value, (np.memmap, np.recarray, np.matrix)):
        return np.asarray(value)
    if hasattr(value, "mask"):
        raise Refused("a masked array; send .filled(...), or its data and its mask apart")
    raise Refused(
        f"a {type(value).__qualname__} is more than a plain array; send numpy.asarray(...) of it"
    )


def scalar_form(value: Any, buffers: list[Buffer]) -> object:
    """The tag of a numpy scalar."""
    dtype: np.dtype[Any] = value.dtype
    tag: dict[str, object] = {TAG: "scalar", "dtype": spell_dtype(dtype)}
    if isinstance(value, str):
        tag["value"] = str.__str__(value)
    elif isinstance(value, bytes):
        tag["value"] = form(bytes(value), 0, buffers)
    elif dtype.kind in _WRITTEN_AS and not _is_long(dtype):
        tag["value"] = form(value.item(), 0, buffers)
    else:
        tag["base64"] = binascii.b2a_base64(value.tobytes(), newline=False).decode("ascii")
    return tag


def _is_long(dtype: np.dtype[Any]) -> bool:
    return dtype.itemsize > {"f": 8, "c": 16}.get(dtype.kind, dtype.itemsize)


@lru_cache(maxsize=256)
def spell_dtype(dtype: np.dtype[Any]) -> object:
    """The JSON spelling of a dtype; Refused when it has none."""
    if dtype.hasobject:
        raise Refused(
            f"the dtype {_shown(dtype)} holds Python objects; send a list, or astype(...) of it"
        )
    spelling = _spelling(dtype)
    try:
        same = bool(read_dtype(spelling) == dtype)
    except RemoteProtocolError:
        same = False
    if not same:
        raise Refused(f"the dtype {_shown(dtype)} has no spelling in numpy; send astype(...) of it")
    return spelling


def _spelling(dtype: np.dtype[Any]) -> object:
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return [_spelling(base), list(shape)]
    if dtype.names is None:
        return dtype.str
    try:
        return _listed(dtype.descr)
    except ValueError:  # overlapping, or out of order
        fields = [dtype.fields[name] for name in dtype.names] if dtype.fields else []
        return {
            "names": list(dtype.names),
            "formats": [_spelling(field[0]) for field in fields],
            "offsets": [field[1] for field in fields],
            "itemsize": dtype.itemsize,
        }


def _listed(descr: object) -> object:
    """A descr as JSON says it, where a tuple is a list."""
    return [_listed(part) for part in descr] if isinstance(descr, (list, tuple)) else descr


# At the receiver -------------------------------------------------------------------------


def read_array(tag: dict[str, Any], raw: Buffer) -> np.ndarray[Any, Any]:
    """A read-only view of ``raw`` as the tag describes it, or RemoteProtocolError."""
    dtype = read_dtype(tag.get("dtype"))
    shape = tag.get("shape")
    if type(shape) is not list or len(shape) > _MAX_DIMENSIONS or not _are_sizes(shape):
        raise bad("an array's shape must be a list of sizes")
    order = tag.get("order", "C")
    if order not in ("C", "F"):
        raise bad('an array\'s order must be "C" or "F"')
    view = memoryview(raw).toreadonly()
    size = math.prod(shape) * dtype.itemsize
    if size != view.nbytes:
        raise bad(f"an array's shape and dtype take {size} bytes, its buffer has {view.nbytes}")
    # numpy keeps the owner of a view, but not the view: who owns it would take it for free.
    # It does keep the view that an array of bytes is made from.
    held: Any = np.frombuffer(view, np.uint8) if size else view
    try:
        array: np.ndarray[Any, Any] = np.ndarray(shape, dtype, buffer=held, order=order)
    except (ValueError, TypeError) as error:
        raise bad(f"numpy makes no array of this shape and dtype ({error})") from None
    if not _is_readable(array):
        raise bad(_NO_TEXT)
    return array


def read_scalar(tag: dict[str, Any], value: object) -> Any:
    """The numpy scalar of a tag, from its Python value or, without one, its bytes."""
    dtype = read_dtype(tag.get("dtype"))
    if "value" not in tag and dtype.kind != "U":
        raw = read_base64(tag)
        if len(raw) != dtype.itemsize:
            raise bad(f"a scalar of {dtype.itemsize} bytes carries {len(raw)}")
        array: np.ndarray[Any, Any] = np.ndarray((), dtype, buffer=raw)
        if not _is_readable(array):
            raise bad(_NO_TEXT)
        return array[()]
    if type(value) not in _WRITTEN_AS.get(dtype.kind, ()):
        raise bad(f"a scalar of dtype {_shown(dtype)} cannot be a {type(value).__name__}")
    if not _holds(dtype, value):
        raise bad(f"a scalar is outside its dtype {_shown(dtype)}")
    return dtype.type(value)


def _holds(dtype: np.dtype[Any], value: Any) -> bool:
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return bool(limits.min <= value <= limits.max)
    if dtype.kind in "fc" and cmath.isfinite(value):
        with np.errstate(all="ignore"):
            return bool(np.isfinite(dtype.type(value)))
    return True


def read_dtype(spelling: object) -> np.dtype[Any]:
    """The dtype of a spelling, or RemoteProtocolError; never one that holds objects."""
    if type(spelling) is str:
        return _plain_dtype(spelling)
    try:
        dtype = _format(spelling, 0)
    except RemoteProtocolError:
        raise
    except Exception as error:  # numpy has many ways to say no, and they vary with its version
        raise bad(f"numpy knows no such structured dtype ({type(error).__name__})") from None
    if dtype.hasobject or dtype.subdtype is not None:
        raise bad("a dtype must be of numbers, texts or bytes, or a structure of these")
    if _text_bytes(dtype) > _MAX_OVERLAP * dtype.itemsize:
        raise bad(f"the texts of a dtype overlap more than {_MAX_OVERLAP} times")
    return dtype


@lru_cache(maxsize=256)
def _plain_dtype(typestr: str) -> np.dtype[Any]:
    if not _TYPESTR.fullmatch(typestr):
        raise bad(f"{typestr[:40]!a} is no dtype that may be sent")
    try:
        return np.dtype(typestr)
    except (TypeError, ValueError):
        raise bad(f"the numpy here has no dtype {typestr!r}") from None


def _format(spelling: object, level: int) -> np.dtype[Any]:
    """A dtype made of nothing but checked parts; numpy may raise anything."""
    if level > _MAX_NESTING:
        raise bad(f"a dtype is nested deeper than {_MAX_NESTING} levels")
    if type(spelling) is str:
        return _plain_dtype(spelling)
    if type(spelling) is dict:
        return _laid_out(spelling, level)
    if type(spelling) is list and len(spelling) == 2 and spelling[1] and _are_sizes(spelling[1]):
        return np.dtype((_format(spelling[0], level + 1), tuple(spelling[1])))
    made: np.dtype[Any] = descr_to_dtype(_descr(spelling, level))
    return made


def _laid_out(spelling: dict[str, Any], level: int) -> np.dtype[Any]:
    """A structured dtype that says itself where its fields are."""
    names, formats, offsets = (spelling.get(part) for part in ("names", "formats", "offsets"))
    if type(names) is not list or not all(type(name) is str for name in names):
        raise bad("the names of a dtype must be a list of str")
    if type(formats) is not list or not _are_sizes(offsets):
        raise bad("a dtype needs a list of formats and a list of offsets")
    layout: Any = {
        "names": names,
        "formats": [_format(item, level + 1) for item in formats],
        "offsets": offsets,
        "itemsize": spelling.get("itemsize"),
    }
    structure: np.dtype[Any] = np.dtype(layout)
    return structure


def _field(field: object, level: int) -> tuple[Any, ...]:
    """One field of a descr, as the tuple it was before JSON made lists of tuples."""
    if type(field) is not list or len(field) not in (2, 3):
        raise bad("a dtype's field must be a name, a dtype and perhaps a shape")
    name, spelling, *shape = field
    if type(name) is list and len(name) == 2:
        name = tuple(name)
    if not all(type(part) is str for part in (name if type(name) is tuple else (name,))):
        raise bad("a dtype's field must have a str as its name")
    if shape and not _are_sizes(shape[0]):
        raise bad("the shape of a dtype's field must be a list of sizes")
    return (name, _descr(spelling, level), *map(tuple, shape))


def _descr(spelling: object, level: int) -> Any:
    if level > _MAX_NESTING:
        raise bad(f"a dtype is nested deeper than {_MAX_NESTING} levels")
    if type(spelling) is list:
        return [_field(item, level + 1) for item in spelling]
    if type(spelling) is str:
        return _plain_dtype(spelling).str
    raise bad("a dtype must be a str or a list of fields")


# Texts -----------------------------------------------------------------------------------


def _is_readable(array: np.ndarray[Any, Any]) -> bool:
    """Whether every text in an array is Unicode.

    With other code points numpy raises SystemError when an item is read, and
    crashes the process when a structure that holds one is hashed.
    """
    dtype = array.dtype
    if not array.nbytes or not _text_bytes(dtype):
        return True
    if dtype.names is not None:
        return all(_is_readable(array[name]) for name in dtype.names)
    codes = np.ascontiguousarray(array).view(f"{dtype.str[0]}u4")
    return bool(codes.max() <= sys.maxunicode)


@lru_cache(maxsize=256)
def _text_bytes(dtype: np.dtype[Any]) -> int:
    """How many bytes of an item are looked at as text, counting what overlaps anew."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return _text_bytes(base) * math.prod(shape)
    if dtype.names is not None:
        return sum(_text_bytes(dtype[name]) for name in dtype.names)
    return dtype.itemsize if dtype.kind == "U" else 0


def _are_sizes(sizes: object) -> bool:
    return type(sizes) is list and all(type(size) is int and 0 <= size < 2**63 for size in sizes)


def _shown(dtype: np.dtype[Any]) -> str:
    text = str(dtype)
    return text if len(text) <= 80 else f"{text[:80]}..."
