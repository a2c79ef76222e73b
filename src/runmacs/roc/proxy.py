"""Proxies: they behave like the object, and have no public name of their own.

Rules:

* What acts on a proxy is a function of the client. A proxy's own attributes begin with
  an underscore, and those never are shared, so no name of the object is hidden.
* Attributes are read from the object each time. That a member is a method or a nested
  object is remembered, and forgotten when a call finds it otherwise.
* What Python itself asks (``repr``, ``bool``, ``dir``) never raises for want of a broker.
* Python looks special methods up on the class. A fresh proxy has all that can be passed
  on, and the object says what it supports. Once its description has been read, the
  proxy's class has just these, so that ``callable`` and ``isinstance`` are right too.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from . import errors
from .core.signatures import signature_from
from .core.special import SPECIAL
from .wire.values import Index, Member

__all__ = ["Proxy", "Remote", "RemoteMethod", "make_proxy"]

_Stub = TypeVar("_Stub")

_REPR_TIMEOUT = 0.5
_GROUPS = {"methods": "Methods", "x-attributes": "Attributes", "x-objects": "Objects"}


class Remote(Protocol):
    """What a proxy needs of a client."""

    def call_object(
        self,
        object_id: str,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None,
        member: str = "",
    ) -> Any:
        """Make a call, wait for it, and return its result."""

    @property
    def address(self) -> str:
        """Where its broker is, for people."""

    def reference(self) -> tuple[Any, ...]:
        """What a pickle needs to find it: a function, and its arguments."""


class _Known:
    """What is known of one object; shared by a proxy and its nested ones."""

    def __init__(self, client: Remote, object_id: str, timeout: float | None) -> None:
        self.client = client
        self.object_id = object_id
        self.timeout = timeout
        self.kinds: dict[str, str] = {}
        self.descriptions: dict[str, dict[str, Any]] = {}
        self.narrowed: weakref.WeakSet[Proxy] = weakref.WeakSet()

    def call(self, method: str, *args: Any, member: str = "") -> Any:
        return self.client.call_object(self.object_id, method, args, {}, self.timeout, member)

    def describe(self, path: str, timeout: float | None = None) -> dict[str, Any]:
        """The OpenRPC document of the object or a nested one, fetched once."""
        known = self.descriptions.get(path)
        if known is None:
            args = (path,) if path else ()
            limit = self.timeout if timeout is None else timeout
            answer = self.client.call_object(self.object_id, "rpc.discover", args, {}, limit)
            known = self.descriptions[path] = answer if isinstance(answer, dict) else {}
        return known

    def forget(self) -> None:
        """The object is not what it was: nothing is known of it."""
        self.kinds.clear()
        self.descriptions.clear()
        for proxy in list(self.narrowed):
            object.__setattr__(proxy, "__class__", _class_with(_ALL))
        self.narrowed.clear()


class Proxy:
    """Stands for a remote object. Made by ``client["id"]``."""

    __slots__ = ("__weakref__", "_roc_known", "_roc_path")
    _roc_known: _Known
    _roc_path: str

    if TYPE_CHECKING:  # see _SpecialMethods

        def __call__(self, /, *args: Any, **kwargs: Any) -> Any: ...
        def __len__(self) -> int: ...
        def __contains__(self, key: object) -> bool: ...
        def __getitem__(self, key: Any) -> Any: ...
        def __setitem__(self, key: Any, value: Any) -> None: ...
        def __delitem__(self, key: Any) -> None: ...
        def __iter__(self) -> Iterator[Any]: ...
        def __enter__(self) -> Any: ...
        def __exit__(self, kind: Any, error: Any, trace: Any) -> bool: ...

    def __new__(cls, known: _Known, path: str = "") -> Proxy:
        return object.__new__(_class_with(_ALL))

    def __init__(self, known: _Known, path: str = "") -> None:
        object.__setattr__(self, "_roc_known", known)
        object.__setattr__(self, "_roc_path", path)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{_title(self)}: names with a leading underscore are not shared.")
        known, path = self._roc_known, _joined(self._roc_path, name)
        kind = known.kinds.get(path)
        if kind is None:
            value = known.call("rpc.get", path, member=path)
            if not isinstance(value, Member):
                return value
            kind = known.kinds[path] = value.kind
        return RemoteMethod(known, path) if kind == "method" else Proxy(known, path)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise AttributeError(f"{_title(self)}: names with a leading underscore are not shared.")
        path = _joined(self._roc_path, name)
        self._roc_known.call("rpc.set", path, value, member=path)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{_title(self)}.{name}: a remote attribute cannot be deleted.")

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *(_members(self))})

    def __bool__(self) -> bool:
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (Proxy, *_reference(self._roc_known, self._roc_path))

    def __copy__(self) -> Proxy:
        return self

    def __deepcopy__(self, memo: object) -> Proxy:
        return self

    def __repr__(self) -> str:
        known = self._roc_known
        try:
            document = _described(self, _REPR_TIMEOUT)
        except Exception as error:
            first = str(error).partition("\n")[0]
            return f"<{_title(self)} at {known.client.address}: {first}>"
        return f"<{_title(self)}: {document.get('x-class', 'object')} at {known.client.address}>"

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        """The object's docstring and members, so that ``help(proxy)`` shows them."""
        try:
            return _help(_described(self))
        except errors.RocError:
            return None

    @property
    def __signature__(self) -> inspect.Signature:
        """What an object that can be called itself takes."""
        try:
            entry = _described(self).get("x-call")
        except errors.RocError:
            entry = None
        shown = entry if isinstance(entry, dict) else {}
        return _signature(shown)


class _SpecialMethods:
    """What Python's syntax does with a proxy. The classes of proxies are made from these."""

    def __call__(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        path = self._roc_path
        if not path:
            return _special(self, "call", *args, **kwargs)
        known = self._roc_known
        try:
            return known.client.call_object(known.object_id, path, args, kwargs, known.timeout)
        except errors.MethodNotFound as error:
            raise _unsupported(self, error) from error

    def __len__(self: Any) -> int:
        return int(_special(self, "len"))

    def __contains__(self: Any, key: object) -> bool:
        return bool(_special(self, "contains", Index(key)))

    def __getitem__(self: Any, key: Any) -> Any:
        return _special(self, "getitem", Index(key))

    def __setitem__(self: Any, key: Any, value: Any) -> None:
        _special(self, "setitem", Index(key), value)

    def __delitem__(self: Any, key: Any) -> None:
        _special(self, "delitem", Index(key))

    def __iter__(self: Any) -> Iterator[Any]:
        return iter(_special(self, "iter"))

    def __enter__(self: Any) -> Any:
        entered = _special(self, "enter")
        return self if isinstance(entered, Member) else entered

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


_ALL = frozenset(SPECIAL)
_classes: dict[frozenset[str], type[Proxy]] = {}


def _class_with(names: frozenset[str]) -> type[Proxy]:
    """The class of proxies that have these special methods."""
    known = _classes.get(names)
    if known is None:
        methods = {SPECIAL[name]: vars(_SpecialMethods)[SPECIAL[name]] for name in names}
        members = {"__slots__": (), "__module__": __name__, "__doc__": Proxy.__doc__, **methods}
        known = _classes[names] = type("Proxy", (Proxy,), members)
    return known


def _described(proxy: Proxy, timeout: float | None = None) -> dict[str, Any]:
    """The proxy's description; from now on it has the special methods of its object."""
    known = proxy._roc_known
    document = known.describe(proxy._roc_path, timeout)
    special = document.get("x-special")
    if isinstance(special, list):
        fitting = _class_with(frozenset(name for name in SPECIAL if name in special))
        if type(proxy) is not fitting:
            object.__setattr__(proxy, "__class__", fitting)
            known.narrowed.add(proxy)
    return document


def _special(proxy: Proxy, name: str, /, *args: Any, **kwargs: Any) -> Any:
    known, path = proxy._roc_known, proxy._roc_path
    member = _joined(path, SPECIAL[name])
    try:
        return known.client.call_object(
            known.object_id, "rpc.special", (path, name, *args), kwargs, known.timeout, member
        )
    except errors.MethodNotFound as error:
        raise _unsupported(proxy, error) from error


def _unsupported(proxy: Proxy, error: errors.MethodNotFound) -> TypeError:
    proxy._roc_known.forget()
    return TypeError(error.message)


def _message(error: BaseException | None) -> str:
    args = () if error is None else error.args
    if len(args) == 1 and isinstance(args[0], str):
        return args[0]
    try:
        return str(error)
    except Exception:
        return "(its message cannot be shown)"


def make_proxy(client: Remote, object_id: str, timeout: float | None) -> Proxy:
    """The proxy of an object; makes no call."""
    return Proxy(_Known(client, object_id, timeout))


def _reference(known: _Known, path: str) -> tuple[Any, ...]:
    """What a pickle has of a proxy or method: the address, not the connection."""
    return known.client.reference(), known.object_id, known.timeout, path


def _unpickled(
    kind: Callable[[_Known, str], _Stub],
    reference: tuple[Any, ...],
    object_id: str,
    timeout: float | None,
    path: str,
) -> _Stub:
    find, arguments = reference
    return kind(_Known(find(*arguments), object_id, timeout), path)


def _title(proxy: Proxy) -> str:
    return _joined(proxy._roc_known.object_id, proxy._roc_path)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name


class RemoteMethod:
    """A remote method: call it, or ask for its signature and docstring."""

    __slots__ = ("_known", "_path")

    def __init__(self, known: _Known, path: str) -> None:
        self._known = known
        self._path = path

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        known = self._known
        try:
            return known.client.call_object(
                known.object_id, self._path, args, kwargs, known.timeout
            )
        except errors.MethodNotFound:
            known.forget()
            raise

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (RemoteMethod, *_reference(self._known, self._path))

    def __copy__(self) -> RemoteMethod:
        return self

    def __deepcopy__(self, memo: object) -> RemoteMethod:
        return self

    @property
    def __name__(self) -> str:
        return self._path.rpartition(".")[2]

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return self._described().get("description") or None

    @property
    def __signature__(self) -> inspect.Signature:
        return _signature(self._described())

    def __repr__(self) -> str:
        try:
            signature = str(self._described(_REPR_TIMEOUT).get("x-signature", "(...)"))
        except Exception:
            signature = "(...)"
        return f"<remote method {self._known.object_id}.{self._path}{signature}>"

    def _described(self, timeout: float | None = None) -> dict[str, Any]:
        """The entry of this method in its object's description; empty without one."""
        parent, _, name = self._path.rpartition(".")
        try:
            document = self._known.describe(parent, timeout)
        except errors.RocError:
            return {}
        return next((e for e in _entries(document, "methods") if e["name"] == name), {})


def _signature(entry: dict[str, Any]) -> inspect.Signature:
    signature = signature_from(entry.get("x-parameters"), entry.get("x-returns"))
    if signature is None:
        raise AttributeError("__signature__")
    return signature


def _entries(document: dict[str, Any], group: str) -> list[dict[str, Any]]:
    """The entries of one group in a description, whatever a foreign server put there."""
    entries = document.get(group)
    if not isinstance(entries, list):
        return []
    return [e for e in entries if isinstance(e, dict) and isinstance(e.get("name"), str)]


def _members(proxy: Proxy) -> list[str]:
    try:
        document = _described(proxy)
    except errors.RocError:
        return []
    return [entry["name"] for group in _GROUPS for entry in _entries(document, group)]


def _help(document: dict[str, Any]) -> str:
    """Docstring, then one line for each member."""
    info = document.get("info")
    text = str(info.get("description", "")) if isinstance(info, dict) else ""
    paragraphs = [text] if text else []
    for group, heading in _GROUPS.items():
        lines = [_line(entry) for entry in _entries(document, group)]
        if lines:
            paragraphs.append("\n".join([f"{heading}:", *lines]))
    return "\n\n".join(paragraphs)


def _line(entry: dict[str, Any]) -> str:
    shown = entry["name"] + str(entry.get("x-signature", ""))
    if entry.get("writable") is False:
        shown += " (read-only)"
    summary = entry.get("summary")
    return f"    {shown}  -  {summary}" if summary else f"    {shown}"
