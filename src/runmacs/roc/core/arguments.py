"""What the type hints of a function say of its arguments, and of an attribute's new value.

Rules:

* The hints are those of the function that is really called (see `annotations`), and are
  compiled once; a function without hints has none of this, and costs nothing.
* All arguments are looked at before anything is said: an error names each that is wrong.
* A parameter whose default is None may be given None, whatever its hint says.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Mapping, Sequence
from typing import Any

from .annotations import annotations_of_class, annotations_of_function, resolved
from .hints import compile_hint, optional
from .kinds import MISSING, find
from .misfits import Hint, Misfit

__all__ = ["ArgumentHints", "argument_hints", "attribute_hint", "fit_argument"]


def argument_hints(target: Any, parameters: Sequence[inspect.Parameter]) -> ArgumentHints | None:
    """The hints of what is called; None if it has none that can be checked.

    Args:
        target: the function, bound method, or other thing that is called.
        parameters: what of its signature is left to be filled.
    """
    function, within = _function_of(target)
    if function is None:
        return None
    annotated = annotations_of_function(function)
    hints: dict[str, Hint] = {}
    for parameter in parameters:
        if parameter.name in annotated:
            hint = compile_hint(resolved(annotated[parameter.name], function, within))
            if hint is not None:
                none = parameter.default is None
                hints[parameter.name] = optional(hint) if none else hint
    return ArgumentHints(parameters, hints) if hints else None


def _function_of(target: Any) -> tuple[types.FunctionType | None, type | None]:
    """The Python function that is called in the end, and the class that it stands in."""
    within: type | None = None
    for _ in range(10):
        cls = type(target)
        if cls is types.FunctionType:
            return target, within
        if cls is functools.partial:
            target = target.func
        elif cls is types.MethodType:
            holder = target.__self__
            within = holder if issubclass(type(holder), type) else type(holder)
            target = target.__func__
        elif issubclass(cls, type):
            within, target = target, find(target, "__init__")
        else:
            within, target = cls, find(cls, "__call__")
    return None, None


class ArgumentHints:
    """The hints of one function's parameters."""

    __slots__ = ("_any_keyword", "_any_positional", "_named", "_positional")

    def __init__(self, parameters: Sequence[inspect.Parameter], hints: dict[str, Hint]) -> None:
        self._positional: list[tuple[int, str, Hint]] = []
        self._any_positional: tuple[int, str, Hint] | None = None
        self._any_keyword: Hint | None = None
        self._named: dict[str, Hint] = {}
        index = 0
        for parameter in parameters:
            hint, kind = hints.get(parameter.name), parameter.kind
            if kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                if hint is not None:
                    self._positional.append((index, parameter.name, hint))
                index += 1
            if hint is None:
                continue
            if kind is parameter.VAR_POSITIONAL:
                self._any_positional = (index, parameter.name, hint)
            elif kind is parameter.VAR_KEYWORD:
                self._any_keyword = hint
            elif kind is not parameter.POSITIONAL_ONLY:
                self._named[parameter.name] = hint

    def fitted(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Sequence[Any], Mapping[str, Any], list[str]]:
        """The arguments as the function wants them, and a clause for each that is wrong.

        The arguments do fit the signature already.
        """
        clauses: list[str] = []
        given = len(args)
        for index, name, hint in self._positional:
            if index >= given:
                break
            value = args[index]
            if type(value) not in hint.plain:
                args = _replaced(args, index, name, hint, clauses)
        if self._any_positional is not None:
            first, name, hint = self._any_positional
            for index in range(first, given):
                if type(args[index]) not in hint.plain:
                    place = f"{name}[{index - first}]"
                    args = _replaced(args, index, place, hint, clauses)
        if kwargs:
            kwargs = self._fitted_named(kwargs, clauses)
        return args, kwargs, clauses

    def _fitted_named(self, kwargs: Mapping[str, Any], clauses: list[str]) -> Mapping[str, Any]:
        made = dict(kwargs)
        for name, value in kwargs.items():
            hint = self._named.get(name, self._any_keyword)
            if hint is not None and type(value) not in hint.plain:
                made[name] = fit_argument(value, name, hint, clauses)
        return made


def _replaced(
    args: Sequence[Any], index: int, name: str, hint: Hint, clauses: list[str]
) -> Sequence[Any]:
    converted = fit_argument(args[index], name, hint, clauses)
    if converted is args[index]:
        return args
    return [*args[:index], converted, *args[index + 1 :]]


def fit_argument(value: Any, name: str, hint: Hint, clauses: list[str]) -> Any:
    """The value as the hint wants it; a clause is added if it does not fit."""
    try:
        return hint.convert(value)
    except Misfit as misfit:
        clauses.append(misfit.clause(name))
        return value


def attribute_hint(cls: type, name: str, setter: object = None) -> Hint | None:
    """The hint for what an attribute is set to: that of its setter, else of its class."""
    if type(setter) is types.FunctionType:
        code = setter.__code__
        parameter = code.co_varnames[1] if code.co_argcount > 1 else ""
        annotation = annotations_of_function(setter).get(parameter, MISSING)
        return None if annotation is MISSING else compile_hint(resolved(annotation, setter, cls))
    annotation, base = annotations_of_class(cls).get(name, (MISSING, cls))
    hint = None if annotation is MISSING else compile_hint(resolved(annotation, base))
    if hint is not None and find(cls, name) is None:
        return optional(hint)
    return hint
