"""Static lookup: what is there, and of what kind, without running anybody's code.

Rules:

* A public name is an identifier that does not begin with an underscore, spelt as
  Python itself would read it (NFKC).
* Nothing here calls a property, a descriptor, ``__getattr__``, ``__dir__``,
  ``__class__`` or anything of a metaclass: types are compared by identity and by
  `issubclass` with builtin types only, and read with the descriptors of `type`.
* An object's kind is decided by its type alone.
"""

from __future__ import annotations

import abc
import enum
import functools
import types
import typing
import unicodedata
from typing import Any, Final, Literal, TypeAlias

from ..wire.values import is_value

__all__ = [
    "CLASSES",
    "MISSING",
    "Kind",
    "class_name",
    "find",
    "is_enterable",
    "is_public",
    "is_storage",
    "kind_of",
    "load_slot",
    "namespace_of",
    "normal",
    "own_dict",
    "read_dict",
    "static_mro",
    "stored_value",
]

Kind: TypeAlias = Literal["value", "method", "object", "class", "module", "closed"]

MISSING: Final = object()

# type.__dict__, not the attributes themselves: a metaclass may hide those.
_mro_of = type.__dict__["__mro__"].__get__
_namespace_descriptor = type.__dict__["__dict__"].__get__
_name_of = type.__dict__["__name__"].__get__
_qualname_of = type.__dict__["__qualname__"].__get__
_module_of = type.__dict__["__module__"].__get__

_ROUTINES = (
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
    # What a singledispatchmethod is when it was read, since Python 3.14.
    getattr(functools, "_singledispatchmethod_get", types.MethodType),
)

# A type alias is called like its class: subprocess.Popen[bytes]("...") runs a program.
CLASSES = (type, types.GenericAlias, type(typing.List[int]), type(typing.List))  # noqa: UP006

# Through these the interpreter itself can be reached (gi_frame, f_globals, fget).
_CLOSED = (
    types.FrameType,
    types.CodeType,
    types.TracebackType,
    types.GeneratorType,
    types.CoroutineType,
    types.AsyncGeneratorType,
    types.CellType,
    property,
    staticmethod,
    classmethod,
)

# A loaded library is a module of another language: any symbol of libc is in its reach.
_LIBRARIES = ("ctypes.CDLL", "ctypes.LibraryLoader", "_cffi_backend.Lib", "_cffi_backend.FFI")


def is_public(name: object) -> bool:
    """Whether ``name`` may be reached at all: an identifier without leading underscore."""
    return (
        type(name) is str
        and name.isidentifier()
        and name[0] != "_"
        and (name.isascii() or normal(name) == name)
    )


def normal(name: str) -> str:
    """``name`` in the spelling that Python gives to identifiers in a source file."""
    return name if name.isascii() else unicodedata.normalize("NFKC", name)


def static_mro(cls: type) -> tuple[type, ...]:
    """The method resolution order of ``cls``, whatever its metaclass says."""
    order: tuple[type, ...] = _mro_of(cls)
    return order


def namespace_of(cls: type) -> types.MappingProxyType[str, Any]:
    """The dictionary of one class, without its bases'."""
    namespace: types.MappingProxyType[str, Any] = _namespace_descriptor(cls)
    return namespace


def find(cls: type, name: str) -> Any:
    """What ``name`` is in the dictionaries of ``cls`` and its bases, else `MISSING`."""
    for base in static_mro(cls):
        namespace = namespace_of(base)
        if name in namespace:
            return namespace[name]
    return MISSING


def is_storage(descriptor: object) -> bool:
    """Whether it is one of Python's own descriptors for what an instance stores."""
    cls = type(descriptor)
    return cls is types.MemberDescriptorType or cls is types.GetSetDescriptorType


def load_slot(descriptor: Any, obj: object) -> Any:
    """Read a storage descriptor; `MISSING` if it is unset or belongs to another class."""
    try:
        return descriptor.__get__(obj, type(obj))
    except (AttributeError, TypeError):
        return MISSING


def own_dict(obj: object) -> dict[str, Any] | None:
    """The instance's dictionary, or None where it has none that can be read safely."""
    return read_dict(find(type(obj), "__dict__"), obj)


def read_dict(descriptor: object, obj: object) -> dict[str, Any] | None:
    """The same for who has looked up the class's ``__dict__`` before."""
    if not is_storage(descriptor):
        return None
    found = load_slot(descriptor, obj)
    return found if issubclass(type(found), dict) else None


def stored_value(obj: object, name: str) -> Any:
    """What ``obj`` itself stores under ``name``, in C or in its dictionary, else `MISSING`."""
    descriptor = find(type(obj), name)
    if is_storage(descriptor):
        return load_slot(descriptor, obj)
    own = own_dict(obj)
    return MISSING if own is None else dict.get(own, name, MISSING)


def class_name(cls: type, *, qualified: bool = False) -> str:
    """The name of a class; with ``qualified`` as ``package.module.Outer.Inner``."""
    if not qualified:
        return str(_name_of(cls))
    try:
        # A class that is written in C has it in its name, and not in its dictionary.
        module = _module_of(cls)
    except AttributeError:
        module = None
    if type(module) is not str:
        module = "builtins"
    return f"{module}.{_qualname_of(cls)}"


def kind_of(value: object) -> Kind:
    """How a value that was read may be used by others."""
    cls = type(value)
    if issubclass(cls, _ROUTINES):
        return "method"
    if issubclass(cls, CLASSES):
        return "class"
    if not _is_deceptive(type(cls)) and is_value(value):
        return "value"
    if issubclass(cls, types.ModuleType) or _is_library(cls):
        return "module"
    if issubclass(cls, _CLOSED):
        return "closed"
    return "method" if callable(value) else "object"


def _is_deceptive(meta: type) -> bool:
    """Whether even asking a class of this metaclass for its type runs the author's code."""
    if meta is type or meta is abc.ABCMeta:
        return False
    found = [find(meta, name) for name in _DECEIVERS]
    return any(type(trick) is types.FunctionType and trick not in _ENUMS_OWN for trick in found)


_DECEIVERS = ("__hash__", "__eq__", "__getattribute__", "__getattr__")
_ENUMS_OWN = [enum.EnumMeta.__dict__.get(name) for name in _DECEIVERS]


def _is_library(cls: type) -> bool:
    return any(class_name(base, qualified=True) in _LIBRARIES for base in static_mro(cls))


def is_enterable(value: object) -> bool:
    """Whether a dotted path may go on inside ``value``.

    An object that can be called as well is entered only if Python code makes it so:
    functions of extension modules offer their globals under public names.
    """
    kind = kind_of(value)
    if kind != "method":
        return kind == "object"
    cls = type(value)
    return (
        not issubclass(cls, _ROUTINES)
        and type(find(cls, "__call__")) is types.FunctionType
        and find(cls, "__get__") is MISSING
    )
