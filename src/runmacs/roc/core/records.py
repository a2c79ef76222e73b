"""Records as arguments: dataclasses, named tuples and typed dicts, built from what arrives.

Records travel as objects with a member for each field (see ``spec/wire.md``), so that is
what they are built from; a named tuple also from a list.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from .annotations import annotations_of_class, resolved
from .kinds import MISSING, class_name, find
from .misfits import NOTHING, Hint, Misfit

__all__ = ["record_hint"]

Compile: TypeAlias = Callable[[Any], Hint | None]

_NAMED_FIRST: Final = 5


def record_hint(cls: type, compiled: Compile) -> Hint | None:
    """The hint for a class of records, or None if it is none."""
    if typing.is_typeddict(cls):
        return Hint(class_name(cls), NOTHING, _TypedDict(cls, compiled).convert)
    if find(cls, "__dataclass_fields__") is not MISSING:
        return Hint(class_name(cls), NOTHING, _Dataclass(cls, compiled).convert)
    if issubclass(cls, tuple) and type(find(cls, "_fields")) is tuple:
        return Hint(class_name(cls), NOTHING, _NamedTuple(cls, compiled).convert)
    return None


class _Record:
    """One class of records. Its fields' hints are compiled when the first one arrives,
    because a record may hold others of its own class."""

    def __init__(self, cls: Any, compiled: Compile) -> None:
        self.cls = cls
        self.text = class_name(cls)
        self._compiled = compiled
        self._fields: dict[str, Hint | None] | None = None

    @property
    def fields(self) -> dict[str, Hint | None]:
        """The hint of each field that has one."""
        if self._fields is None:
            self._fields = {
                name: self._compiled(resolved(annotation, base))
                for name, (annotation, base) in annotations_of_class(self.cls).items()
            }
        return self._fields

    def convert_field(self, name: str, value: Any) -> Any:
        hint = self.fields.get(name)
        if hint is None or type(value) in hint.plain:
            return value
        try:
            return hint.convert(value)
        except Misfit as misfit:
            misfit.steps.append(f".{name}")
            raise

    def check_names(self, value: Mapping[str, Any], known: Any, required: Any) -> None:
        missing = [name for name in required if name not in value]
        if missing:
            self.refuse(value, f"{_listed(missing)} missing")
        unknown = [name for name in value if name not in known]
        if unknown:
            self.refuse(value, f"it has no {_listed(unknown, 'or')}")

    def refuse(self, value: object, why: str = "") -> typing.NoReturn:
        raise Misfit(self.text, value, why)

    def build(self, value: object, *args: Any, **kwargs: Any) -> Any:
        """Make the record; its author's checks may object."""
        try:
            return self.cls(*args, **kwargs)
        except Exception as error:
            self.refuse(value, f"it raised {class_name(type(error))}: {error}")


class _Dataclass(_Record):
    def convert(self, value: Any) -> Any:
        if isinstance(value, self.cls):
            return value
        if not isinstance(value, dict):
            self.refuse(value)
        fields = {field.name: field for field in dataclasses.fields(self.cls)}
        given = [field for field in fields.values() if field.init]
        self.check_names(value, fields, [field.name for field in given if _is_required(field)])
        # A field that is not given to the class is the class's own to make.
        items = {
            field.name: self.convert_field(field.name, value[field.name])
            for field in given
            if field.name in value
        }
        return self.build(value, **items)


def _is_required(field: dataclasses.Field[Any]) -> bool:
    none = dataclasses.MISSING
    return field.default is none and field.default_factory is none


class _NamedTuple(_Record):
    def convert(self, value: Any) -> Any:
        if isinstance(value, self.cls):
            return value
        names: tuple[str, ...] = self.cls._fields
        if isinstance(value, (list, tuple)):
            if len(value) > len(names):
                self.refuse(value, f"it has {len(names)} fields, and {len(value)} have come")
            value = dict(zip(names, value, strict=False))
        if not isinstance(value, dict):
            self.refuse(value)
        defaults = getattr(self.cls, "_field_defaults", {})
        self.check_names(value, names, [name for name in names if name not in defaults])
        items = {name: self.convert_field(name, item) for name, item in value.items()}
        return self.build(value, **items)


class _TypedDict(_Record):
    def convert(self, value: Any) -> Any:
        if not isinstance(value, dict):
            self.refuse(value)
        self.check_names(value, value, sorted(self.cls.__required_keys__))
        items = {name: self.convert_field(name, item) for name, item in value.items()}
        return value if all(items[name] is value[name] for name in value) else items


def _listed(names: list[str], last: str = "and") -> str:
    """``'x' is``, ``'x' and 'y' are`` when something is missing; names only otherwise."""
    shown = [repr(name[:80]) for name in names[:_NAMED_FIRST]]
    if len(names) > _NAMED_FIRST:
        shown.append("more")
    text = f" {last} ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
    if last == "or":
        return text
    return f"{text} {'is' if len(names) == 1 else 'are'}"
