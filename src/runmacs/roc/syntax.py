"""What Python's syntax does with a proxy: the special methods that its class is made from.

Rules:

* Each is a call of ``rpc.special``, and the object decides. What it does not support is
  what Python itself has for that: a TypeError, or the turn of the other operand.
* Errors come out without our own frames, as with all that a proxy does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final, TypeVar

from . import errors
from .core.operators import IN_PLACE, OPERATORS
from .core.special import SPECIAL
from .known import joined
from .wire.values import Index, Member

__all__ = ["METHODS", "OURS", "as_array", "unsigned"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

OURS: Final = (errors.RocError, KeyboardInterrupt)
"""What comes out without our own frames; anything else is a bug, and shows where."""


def unsigned(function: _Function) -> _Function:
    """Give a ``__call__`` no signature: tools would show it beside the remote one."""
    function.__signature__ = False  # type: ignore[attr-defined]
    return function


class _Unsupported(Exception):
    """The object does not support what Python's syntax asks of it, or is not there."""

    def __init__(self, said: errors.MethodNotFound) -> None:
        super().__init__(said.message)
        self.is_there = isinstance(said.data, dict) and "unsupported" in said.data


def _seamless(method: _Function) -> _Function:
    """A special method whose errors come out without our own frames."""

    @functools.wraps(method)
    def seamless(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        try:
            try:
                return method(self, *args, **kwargs)
            except _Unsupported as unsupported:
                message = str(unsupported)
            raise TypeError(message)  # what Python has for it
        except (*OURS, TypeError) as error:
            error.__traceback__ = None
            raise

    return seamless  # type: ignore[return-value]


class _SpecialMethods:
    """What Python's syntax does with a proxy. The classes of proxies are made from these."""

    @unsigned
    @_seamless
    def __call__(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        path = self._roc_path
        if not path:
            return _special(self, "call", *args, **kwargs)
        known = self._roc_known
        try:
            return known.client.call_object(known.object_id, path, args, kwargs, known.timeout)
        except errors.MethodNotFound as error:
            known.forget()
            raise _Unsupported(error) from None

    @_seamless
    def __len__(self: Any) -> int:
        return int(_special(self, "len"))

    @_seamless
    def __contains__(self: Any, key: object) -> bool:
        return bool(_special(self, "contains", Index(key)))

    @_seamless
    def __getitem__(self: Any, key: Any) -> Any:
        return _special(self, "getitem", Index(key))

    @_seamless
    def __setitem__(self: Any, key: Any, value: Any) -> None:
        _special(self, "setitem", Index(key), value)

    @_seamless
    def __delitem__(self: Any, key: Any) -> None:
        _special(self, "delitem", Index(key))

    @_seamless
    def __iter__(self: Any) -> Iterator[Any]:
        return iter(_special(self, "iter"))

    @_seamless
    def __enter__(self: Any) -> Any:
        entered = _special(self, "enter")
        return self if isinstance(entered, Member) else entered

    @_seamless
    def __exit__(
        self: Any,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if kind is None:
            return bool(_special(self, "exit", None, None, None))
        name = getattr(error, "remote_type", "") or kind.__name__
        return bool(_special(self, "exit", name, _message(error), None))

    @_seamless
    def __round__(self: Any, digits: Any = None) -> Any:
        return _special(self, "round", digits)


def _operator(name: str) -> Any:
    def operate(self: Any, *other: Any) -> Any:
        try:
            result = _special(self, name, *other)
        except _Unsupported as unsupported:
            if other and unsupported.is_there:
                return NotImplemented  # perhaps the other side can
            raise
        return self if name in IN_PLACE and isinstance(result, Member) else result

    operate.__name__ = SPECIAL[name]
    return _seamless(operate)


METHODS: Final[dict[str, Any]] = {
    **{name: _operator(name) for name in OPERATORS},
    **{n: vars(_SpecialMethods)[m] for n, m in SPECIAL.items() if m in vars(_SpecialMethods)},
}
"""The special methods of proxies, by the names of the protocol."""


def as_array(proxy: Any, dtype: Any = None, copy: bool | None = None) -> Any:
    """``__array__`` of a proxy: its object as an array, in one call."""
    array = _seamless(_special)(proxy, "array")
    return array if dtype is None and not copy else array.astype(dtype or array.dtype)


def _special(proxy: Any, name: str, /, *args: Any, **kwargs: Any) -> Any:
    known, path = proxy._roc_known, proxy._roc_path
    member = joined(path, SPECIAL[name])
    try:
        return known.client.call_object(
            known.object_id, "rpc.special", (path, name, *args), kwargs, known.timeout, member
        )
    except errors.MethodNotFound as error:
        known.forget()
        raise _Unsupported(error) from None


def _message(error: BaseException | None) -> str:
    args = () if error is None else error.args
    if len(args) == 1 and isinstance(args[0], str):
        return args[0]
    try:
        return str(error)
    except Exception:
        return "(its message cannot be shown)"
