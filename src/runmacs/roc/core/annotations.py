"""Finding annotations: what the names in them stand for.

Rules:

* Each annotation is resolved by itself: one that names what exists for type checkers
  only does not spoil the others. What cannot be resolved is `MISSING`.
* Names are those of the module first, then those of the class that it stands in.
* Resolving runs what the author wrote into the annotation, and nothing else of his.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Mapping
from typing import Any, Final

from .kinds import MISSING, namespace_of, static_mro

__all__ = ["annotations_of_class", "annotations_of_function", "resolved"]

# What code that is not ours may raise while it is being looked at; see `signatures`.
_MISCHIEF: Final = (Exception, SystemExit, GeneratorExit)


def annotations_of_function(function: types.FunctionType) -> dict[str, Any]:
    """The function's annotations as they stand, text maybe, by the names of parameters.

    None for a function that is decorated: what `functools.wraps` puts there tells of
    the function behind it, not of the one that is called.
    """
    return {} if "__wrapped__" in vars(function) else _own(function)


def annotations_of_class(cls: type) -> dict[str, tuple[Any, type]]:
    """The annotations in a class and its bases, each with the class that it stands in."""
    found: dict[str, tuple[Any, type]] = {}
    for base in reversed(static_mro(cls)):
        found.update({name: (annotation, base) for name, annotation in _of_base(base).items()})
    return found


def _of_base(cls: type) -> dict[str, Any]:
    if sys.version_info >= (3, 14):
        return _own(cls)
    own = namespace_of(cls).get("__annotations__")
    return dict(own) if type(own) is dict else {}


def _own(owner: Any) -> dict[str, Any]:
    try:
        if sys.version_info >= (3, 14):
            import annotationlib

            return annotationlib.get_annotations(owner, format=annotationlib.Format.FORWARDREF)
        return dict(owner.__annotations__)
    except _MISCHIEF:
        return {}


def resolved(annotation: Any, owner: types.FunctionType | type, within: type | None = None) -> Any:
    """What an annotation of ``owner`` stands for, ``within`` being the class around it."""
    try:
        return _resolved(annotation, _globals_of(owner), None)
    except NameError:
        pass
    except _MISCHIEF:
        return MISSING
    around = [within] if within is not None else []
    around += [owner] if isinstance(owner, type) else []
    names: dict[str, Any] = {}
    for cls in around:
        for base in reversed(static_mro(cls)):
            names.update(namespace_of(base))
    try:
        return _resolved(annotation, _globals_of(owner), names)
    except _MISCHIEF:
        return MISSING


def _resolved(annotation: Any, names: dict[str, Any], local: Mapping[str, Any] | None) -> Any:
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    found = typing.get_type_hints(holder, names, dict(local or {}), include_extras=True)
    return found["it"]


def _globals_of(owner: types.FunctionType | type) -> dict[str, Any]:
    if isinstance(owner, types.FunctionType):
        return owner.__globals__
    module = namespace_of(owner).get("__module__")
    return vars(sys.modules[module]) if type(module) is str and module in sys.modules else {}
