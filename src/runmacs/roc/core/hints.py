"""Type hints, honoured: which values fit an annotation, and what they become.

Rules:

* No hint, no check; and none for a hint that asks for what cannot arrive anyway (a
  callable, an object of the author's class) or that nobody here understands.
* What fits is passed as it is. An int is a float, as for every type checker; a bool is
  no int. numpy's numbers count as Python's.
* What cannot travel as itself is built: a tuple from a list, an enumeration member from
  its value, a record from the object of its fields, a path from its text, an array from
  lists. A union takes what fits as it is before it builds anything.
* Nothing is parsed, rounded or cut off to make it fit.
"""

from __future__ import annotations

import datetime
import enum
import functools
import sys
import types
import typing
from collections.abc import Callable
from typing import Any, Final, cast

from .containerhints import container_hint
from .kinds import CLASSES, class_name, static_mro
from .misfits import NOTHING, Hint, Misfit, shown
from .records import record_hint

__all__ = ["compile_hint", "optional"]

# What code that is not ours may raise while it is being looked at; see `signatures`.
_MISCHIEF: Final = (Exception, SystemExit, GeneratorExit)


def compile_hint(annotation: object) -> Hint | None:
    """The hint that a resolved annotation stands for; None where nothing is to be checked."""
    try:
        return _compile(annotation)
    except _MISCHIEF:
        return None


def optional(hint: Hint) -> Hint:
    """The same hint, for a parameter whose default is None."""
    return hint if type(None) in hint.plain else _union([hint, _NONE])


def _compile(annotation: Any) -> Hint | None:
    if annotation is None:
        return _NONE
    if issubclass(type(annotation), type):
        return _class(annotation)
    if type(annotation) is typing.NewType:
        return _compile(annotation.__supertype__)
    if type(annotation) is typing.TypeVar:
        return _type_variable(annotation)
    if class_name(type(annotation)) == "TypeAliasType":
        return _compile(annotation.__value__)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if class_name(type(origin)) == "TypeAliasType":  # numpy's NDArray is one, since 2.5
        return _compile(origin.__value__[args])
    if origin in _WRAPPERS:
        return _compile(args[0])
    if origin is typing.Union or origin is types.UnionType:
        return _union_of(args)
    if origin is typing.Literal:
        return _literal(args)
    if issubclass(type(origin), type):
        return _generic(annotation, origin, args)
    return None


def _type_variable(variable: typing.TypeVar) -> Hint | None:
    if variable.__constraints__:
        return _union_of(variable.__constraints__)
    return None if variable.__bound__ is None else _compile(variable.__bound__)


# --- classes --------------------------------------------------------------------------


def _class(cls: type) -> Hint | None:
    known = _SIMPLE.get(cls)
    if known is not None:
        return known
    if issubclass(cls, enum.Enum):
        return _enum(cls)
    built = container_hint(cls, (), _compile) or record_hint(cls, compile_hint)
    if built is not None:
        return built
    for base in static_mro(cls):
        name = class_name(base, qualified=True)
        if name in _ELSEWHERE:
            return _instances(cls)
        if name.startswith("pathlib.") and name.endswith(".PurePath"):
            return Hint(class_name(cls), NOTHING, functools.partial(_path, cls))
        if name == "numpy.ndarray":
            return cast(Hint, _arrayhints().array_hint(cls))
        if name == "numpy.generic":
            return cast(Hint, _arrayhints().number_hint(cls))
    return None


def _instances(cls: type) -> Hint:
    text = "None" if cls is type(None) else class_name(cls)

    def convert(value: Any) -> Any:
        if not isinstance(value, cls):
            raise Misfit(text, value)
        return value

    return Hint(text, frozenset((cls,)), convert)


def _number(cls: type, accepted: tuple[type, ...], numpys: tuple[str, ...]) -> Hint:
    """A number of Python's, for which other numbers of Python's and numpy's may stand."""

    def convert(value: Any) -> Any:
        if isinstance(value, accepted) and (cls is bool or not isinstance(value, bool)):
            return value
        numpy = sys.modules.get("numpy")
        if any(isinstance(value, getattr(numpy, name)) for name in numpys if numpy is not None):
            return value
        raise Misfit(cls.__name__, value)

    return Hint(cls.__name__, frozenset(accepted), convert)


def _bytes_as(cls: Callable[[Any], Any], text: str) -> Hint:
    """Bytes arrive as `bytes`, whatever they were before."""

    def convert(value: Any) -> Any:
        if type(value) is not bytes:
            raise Misfit(text, value)
        return cls(value)

    return Hint(text, NOTHING, convert)


def _path(cls: Callable[[str], Any], value: Any) -> Any:
    if isinstance(value, str):
        try:
            return cls(value)
        except Exception as error:
            raise Misfit(class_name(cast(type, cls)), value, str(error)) from None
    if not hasattr(type(value), "__fspath__"):
        raise Misfit(class_name(cast(type, cls)), value)
    return value


def _enum(cls: type[enum.Enum]) -> Hint:
    members = [shown(member.value) for member in list(cls)[:_OPTIONS_SHOWN]]
    more = ", ..." if len(cls) > _OPTIONS_SHOWN else ""
    text = f"{class_name(cls)} ({', '.join(members)}{more})"

    def convert(value: Any) -> Any:
        if isinstance(value, cls):
            return value
        for candidate in (value, _as_tuple(value)):
            try:
                return cls(candidate)
            except Exception:
                continue
        raise Misfit(text, value, found=shown(value))

    return Hint(text, NOTHING, convert)


def _literal(options: tuple[Any, ...]) -> Hint:
    values = [option.value if isinstance(option, enum.Enum) else option for option in options]
    text = " or ".join(shown(value) for value in values[:_OPTIONS_SHOWN])
    if len(values) > _OPTIONS_SHOWN:
        text += " or others"

    def convert(value: Any) -> Any:
        for option, plain in zip(options, values, strict=True):
            if type(value) is type(plain) and value == plain:
                return value if option is plain else option
        raise Misfit(text, value, found=shown(value))

    return Hint(text, NOTHING, convert)


_OPTIONS_SHOWN: Final = 12


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if type(value) is list else value


# --- unions ---------------------------------------------------------------------------


def _union_of(members: tuple[Any, ...]) -> Hint | None:
    hints = [_compile(member) for member in members]
    known = [hint for hint in hints if hint is not None]
    return _union(known) if len(known) == len(hints) else None


def _union(hints: list[Hint]) -> Hint:
    text = " | ".join(hint.text for hint in hints)

    def convert(value: Any) -> Any:
        built: list[Any] = []
        inside: list[Misfit] = []
        for hint in hints:
            if type(value) in hint.plain:
                return value
            try:
                converted = hint.convert(value)
            except Misfit as misfit:
                if misfit.steps or misfit.why:
                    inside.append(misfit)
                continue
            if converted is value:
                return value
            built.append(converted)
        if built:
            return built[0]
        # What is wrong inside the only member that it resembles says more than the union.
        raise inside[0] if len(inside) == 1 else Misfit(text, value)

    return Hint(text, frozenset().union(*(hint.plain for hint in hints)), convert)


# --- generic classes ------------------------------------------------------------------


def _generic(annotation: Any, origin: type, args: tuple[Any, ...]) -> Hint | None:
    container = container_hint(origin, args, _compile)
    if container is not None:
        return container
    if class_name(origin, qualified=True) == "numpy.ndarray":
        return cast(Hint, _arrayhints().array_hint(annotation))
    # A generic record: its fields are checked as far as their types are known.
    return None if issubclass(origin, CLASSES) else _class(origin)


def _arrayhints() -> Any:
    from . import arrayhints

    return arrayhints


_WRAPPERS: Final = (
    *(typing.Annotated, typing.ClassVar, typing.Final),
    *(typing.Required, typing.NotRequired),
)
_NONE: Final = _instances(type(None))
_SIMPLE: Final[dict[Any, Hint]] = {
    type(None): _NONE,
    bool: _number(bool, (bool,), ("bool_",)),
    int: _number(int, (int,), ("integer",)),
    float: _number(float, (float, int), ("floating", "integer")),
    complex: _number(complex, (complex, float, int), ("number",)),
    bytearray: _bytes_as(bytearray, "bytearray"),
    memoryview: _bytes_as(memoryview, "memoryview"),
    **{
        cls: _instances(cls)
        for cls in (
            *(str, bytes, slice),
            *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta),
        )
    },
}
_ELSEWHERE: Final = ("decimal.Decimal", "fractions.Fraction", "uuid.UUID")
