"""Signatures: do these arguments fit, and how does one show what would?

Rules:

* Arguments are checked against the function that is really called. A decorator's
  wrapper that takes anything lets anything through; what it wraps is only shown.
* Counts and names are decided here, types in `arguments`.
* What has no signature (much that is written in C) is not checked.
* Annotations and defaults are shown as text. A ``repr`` that raises, that is endless
  or that changes from run to run spoils nothing.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .arguments import argument_hints
from .kinds import MISSING, find, stored_value
from .nearest import nearest, quoted

__all__ = [
    "Fit",
    "Verbatim",
    "annotation_text",
    "clean_text",
    "followed_signature",
    "parameters_of",
    "returns_of",
    "signature_from",
    "signature_text",
]

_TEXT_LIMIT: Final = 200
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")
_UNKNOWN: Final = "(...)"
_SELF: Final = object()

# What code that is not ours may raise while it is being looked at. KeyboardInterrupt
# is not among it: somebody pressed Ctrl-C.
_MISCHIEF: Final = (Exception, SystemExit, GeneratorExit)

_POSITIONAL_ONLY: Final = inspect.Parameter.POSITIONAL_ONLY
_POSITIONAL: Final = (_POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_KEYWORD_ONLY: Final = inspect.Parameter.KEYWORD_ONLY
_VAR_POSITIONAL: Final = inspect.Parameter.VAR_POSITIONAL
_VAR_KEYWORD: Final = inspect.Parameter.VAR_KEYWORD
_KINDS: Final = {
    kind.name.lower(): kind for kind in (*_POSITIONAL, _VAR_POSITIONAL, _KEYWORD_ONLY, _VAR_KEYWORD)
}


@dataclass(frozen=True, slots=True)
class Verbatim:
    """Stands in a signature for a default or an annotation that is known as text only."""

    text: str

    def __repr__(self) -> str:
        return self.text


def clean_text(text: str, limit: int | None = None) -> str:
    """``text`` as it can travel: no lone surrogates, and not longer than ``limit``."""
    if limit is not None and len(text) > limit:
        text = text[: limit - 3] + "..."
    return text.encode("utf-8", "replace").decode("utf-8")


def _default_text(value: object) -> str:
    if type(value) is Verbatim:
        return value.text
    try:
        return clean_text(_ADDRESS.sub("", str(repr(value))), _TEXT_LIMIT)
    except _MISCHIEF:
        return "..."


def annotation_text(annotation: object) -> str:
    """An annotation as its author wrote it, as nearly as can be known."""
    if type(annotation) is str:
        return clean_text(annotation, _TEXT_LIMIT)
    if type(annotation) is Verbatim:
        return annotation.text
    try:
        text = "None" if annotation is type(None) else inspect.formatannotation(annotation)
        return clean_text(_ADDRESS.sub("", str(text)), _TEXT_LIMIT)
    except _MISCHIEF:
        return "..."


# --- finding a signature --------------------------------------------------------------


def _inspect(function: Callable[..., Any], *, follow_wrapped: bool) -> inspect.Signature | None:
    options: dict[str, Any] = {}
    if sys.version_info >= (3, 14):
        import annotationlib

        # As text: the names in an annotation need not exist when the program runs.
        options["annotation_format"] = annotationlib.Format.STRING
    try:
        found = inspect.signature(function, follow_wrapped=follow_wrapped, **options)
    except _MISCHIEF:
        return None
    return found if type(found) is inspect.Signature else None


def _bare_function(function: types.FunctionType) -> types.FunctionType:
    """The function without what its attributes say of it (``__wrapped__``, ``__signature__``)."""
    bare = types.FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    bare.__kwdefaults__ = function.__kwdefaults__
    if sys.version_info >= (3, 14):
        bare.__annotate__ = function.__annotate__
    else:
        bare.__annotations__ = function.__annotations__
    return bare


def _bare(function: Any) -> Any:
    """``function`` so that `inspect` sees the code that is run, and nothing else."""
    cls = type(function)
    if cls is types.FunctionType:
        return _bare_function(function)
    if cls is types.MethodType:
        return types.MethodType(_bare(function.__func__), _SELF)
    if cls is functools.partial:
        return functools.partial(_bare(function.func), *function.args, **function.keywords)
    call = find(cls, "__call__")
    if type(call) is types.FunctionType:
        return types.MethodType(_bare_function(call), _SELF)
    return function


def _own_parameter(target: Any) -> str | None:
    """The parameter that the object itself fills, if a keyword could name it, too."""
    cls = type(target)
    if cls is functools.partial:
        return _own_parameter(target.func)
    function = target.__func__ if cls is types.MethodType else find(cls, "__call__")
    if type(function) is not types.FunctionType:
        return None
    code = function.__code__
    by_keyword = code.co_argcount > 0 and code.co_posonlyargcount == 0
    return code.co_varnames[0] if by_keyword else None


def followed_signature(function: Any) -> inspect.Signature | None:
    """The signature to show: through decorators to the function behind them."""
    call = find(type(function), "__call__")
    if type(call) is types.FunctionType:
        function = types.MethodType(call, _SELF)
    followed = _inspect(function, follow_wrapped=True)
    return followed if followed is not None else _inspect(_bare(function), follow_wrapped=False)


def unbound_signature(raw: Any, owner: object) -> inspect.Signature | None:
    """The signature that ``raw``, which stands in a class's dictionary, has when bound.

    Only functions, and what Python itself brings along, are bound; another descriptor
    is known by the function it wraps, or not at all.
    """
    cls = type(raw)
    if cls is types.FunctionType:
        return followed_signature(types.MethodType(raw, _SELF))
    if cls is staticmethod:
        return followed_signature(raw.__func__)
    if cls is classmethod:
        return followed_signature(types.MethodType(raw.__func__, _SELF))
    if cls is functools.partial:
        is_bound = sys.version_info >= (3, 14)
        return followed_signature(types.MethodType(raw, _SELF) if is_bound else raw)
    if any(cls is known for known in _BOUND_BY_PYTHON):
        try:
            return followed_signature(raw.__get__(owner, type(owner)))
        except _MISCHIEF:
            return None
    wrapped = stored_value(raw, "__wrapped__")
    if type(wrapped) is types.FunctionType:
        return followed_signature(types.MethodType(wrapped, _SELF))
    return followed_signature(raw) if find(cls, "__get__") is MISSING else None


_BOUND_BY_PYTHON: Final = (
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    functools.partialmethod,
    functools.singledispatchmethod,
    type(functools.lru_cache(len)),
)


# --- checking arguments ---------------------------------------------------------------


class Fit:
    """What arguments one function takes.

    Attributes:
        function: what was looked at; another one under the same name needs a new `Fit`.
        low, high: so many positional arguments fit when there are no keyword arguments;
            a caller may compare for himself instead of asking `misfits`.
        hints: what its type hints say of the arguments, or None if it has none.
    """

    __slots__ = (
        "_any_keyword",
        "_keyword",
        "_keyword_required",
        "_own",
        "_positional",
        "_positional_only",
        "_required",
        "_signature",
        "function",
        "high",
        "hints",
        "low",
    )

    def __init__(self, target: Any, function: object) -> None:
        self.function = function
        signature = _inspect(_bare(target), follow_wrapped=False)
        self._signature = signature
        parameters = [] if signature is None else list(signature.parameters.values())
        kinds = {parameter.kind for parameter in parameters}
        positional = [p for p in parameters if p.kind in _POSITIONAL]
        keyword = [p for p in parameters if p.kind is _KEYWORD_ONLY]
        self._positional = [p.name for p in positional]
        self._positional_only = sum(p.kind is _POSITIONAL_ONLY for p in positional)
        self._required = [p.default is p.empty for p in positional]
        self._keyword = [p.name for p in keyword]
        self._keyword_required = [p.name for p in keyword if p.default is p.empty]
        self._any_keyword = _VAR_KEYWORD in kinds
        self._own = _own_parameter(target)
        self.hints = argument_hints(target, parameters)
        self.low = sys.maxsize if self._keyword_required else sum(self._required)
        self.high = sys.maxsize if _VAR_POSITIONAL in kinds else len(positional)
        if signature is None:
            self.high = sys.maxsize
            self._any_keyword = True

    def __str__(self) -> str:
        return signature_text(self._signature)

    def misfits(self, args: Sequence[object], kwargs: Mapping[str, object]) -> list[str]:
        """What is wrong with the arguments, a clause each; an empty list if they fit."""
        given = len(args)
        clauses = []
        if given > self.high:
            clauses.append(f"{given} positional arguments are {given - self.high} too many")
        clauses += [f"{name!r} is missing" for name in self._missing(given, kwargs)]
        for name in kwargs:
            clauses += self._misfit(name, given)
        return clauses

    def _missing(self, given: int, kwargs: Mapping[str, object]) -> list[str]:
        missing = [
            name
            for index, name in enumerate(self._positional)
            if index >= given
            and self._required[index]
            and (index < self._positional_only or name not in kwargs)
        ]
        return missing + [name for name in self._keyword_required if name not in kwargs]

    def _misfit(self, name: str, given: int) -> list[str]:
        if name in self._positional[self._positional_only :]:
            if self._positional.index(name) < given:
                return [f"{name!r} is given twice"]
            return []
        if name == self._own and name not in self._keyword:
            return [f"{name!r} is the object itself, and cannot be given"]
        if self._any_keyword or name in self._keyword:
            return []
        if name in self._positional:
            return [f"{name!r} can only be given by position"]
        near = nearest(name, self._positional[self._positional_only :] + self._keyword)
        hint = f" (did you mean {quoted(near)}?)" if near else ""
        return [f"there is no parameter {clean_text(name, 80)!r}{hint}"]


# --- showing, and rebuilding what was shown -------------------------------------------


def parameters_of(signature: inspect.Signature) -> list[dict[str, Any]]:
    """The parameters as plain data: name, kind, and default and annotation as text."""
    shown = []
    for parameter in signature.parameters.values():
        entry = {"name": parameter.name, "kind": parameter.kind.name.lower()}
        if parameter.default is not parameter.empty:
            entry["default"] = _default_text(parameter.default)
        if parameter.annotation is not parameter.empty:
            entry["annotation"] = annotation_text(parameter.annotation)
        shown.append(entry)
    return shown


def returns_of(signature: inspect.Signature) -> str | None:
    """The annotation of what is returned, as text, or None where there is none."""
    returns = signature.return_annotation
    return None if returns is inspect.Signature.empty else annotation_text(returns)


def signature_text(signature: inspect.Signature | None) -> str:
    """``(seconds: float) -> None``; ``(...)`` where no signature is known."""
    if signature is None:
        return _UNKNOWN
    shown = signature_from(parameters_of(signature), returns_of(signature))
    return _UNKNOWN if shown is None else str(shown)


def signature_from(parameters: object, returns: object = None) -> inspect.Signature | None:
    """The signature that ``x-parameters`` and ``x-returns`` of a description tell of.

    Defaults and annotations are shown by their text and are good for nothing else.
    Whatever a peer may have sent, this gives a signature or None, and never raises::

        signature_from([{"name": "seconds", "kind": "positional_or_keyword"}], "None")
    """
    if not isinstance(parameters, list):
        return None
    try:
        rebuilt = [_parameter_from(described) for described in parameters]
        return inspect.Signature(rebuilt, return_annotation=_verbatim(returns))
    except (LookupError, TypeError, ValueError):
        return None


def _parameter_from(described: Any) -> inspect.Parameter:
    if not isinstance(described, dict):
        raise TypeError
    return inspect.Parameter(
        described["name"],
        _KINDS[described["kind"]],
        default=_verbatim(described.get("default")),
        annotation=_verbatim(described.get("annotation")),
    )


def _verbatim(text: object) -> Any:
    if text is None:
        return inspect.Parameter.empty
    if not isinstance(text, str):
        raise TypeError
    return Verbatim(text)
