"""Proxies: they behave like the object, and have no public name of their own.

Rules:

* What acts on a proxy is a function of the client. A proxy's own attributes begin with
  an underscore, and those never are shared, so no name of the object is hidden.
* Attributes are read from the object each time. That a member is a method or a nested
  object is remembered, and forgotten when a call finds it otherwise.
* What people and their tools ask (``repr``, ``dir``, ``help``, completion) is answered
  from the object's description. It never raises for want of a broker, and runs no
  property.
* Python looks special methods up on the class. A fresh proxy has all that can be passed
  on, and the object says what it supports. Once its description has been read, the
  proxy's class has just these, so that ``callable`` and ``isinstance`` are right too.
* Errors come out without our own frames: they tell nobody what went wrong, and bury the
  line that asked for it. (A bare ``raise`` adds no frame; hence ``__traceback__ = None``.)
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from . import errors
from .core.described import Description, signature_of
from .core.special import SPECIAL
from .known import Known, Remote, joined, reference, unpickled
from .spelling import Spot
from .syntax import METHODS, OURS, as_array, unsigned
from .wire.values import Member

__all__ = ["Proxy", "Remote", "RemoteMethod", "make_proxy"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

NOWHERE = "runmacs.roc.remote"
"""No module: so tools that show an object's source do not show ours for it."""

ASKED_BY_TOOLS = {"getdoc"}
"""Public names that IPython asks of everything: only where they are described is there a call."""


class Proxy:
    """Stands for a remote object. Made by ``client["id"]``."""

    __slots__ = ("__weakref__", "_roc_known", "_roc_path")
    __module__ = NOWHERE
    __array_ufunc__ = None  # so that `array + proxy` is one call, and not one for each element
    _roc_known: Known
    _roc_path: str

    if TYPE_CHECKING:  # see `syntax`

        def __call__(self, /, *args: Any, **kwargs: Any) -> Any: ...
        def __len__(self) -> int: ...
        def __contains__(self, key: object) -> bool: ...
        def __getitem__(self, key: Any) -> Any: ...
        def __setitem__(self, key: Any, value: Any) -> None: ...
        def __delitem__(self, key: Any) -> None: ...
        def __iter__(self) -> Iterator[Any]: ...
        def __enter__(self) -> Any: ...
        def __exit__(self, kind: Any, error: Any, trace: Any) -> bool: ...

    def __new__(cls, known: Known, path: str = "") -> Proxy:
        return object.__new__(_Unknown)

    def __init__(self, known: Known, path: str = "") -> None:
        object.__setattr__(self, "_roc_known", known)
        object.__setattr__(self, "_roc_path", path)

    def __getattr__(self, name: str) -> Any:
        if name == "__array__" and _is_array(self):
            return functools.partial(as_array, self)
        if name.startswith("_"):
            raise AttributeError(f"{_title(self)}: names with a leading underscore are not shared.")
        if name in ASKED_BY_TOOLS and not _has(self, name):
            raise AttributeError(f"{_title(self)} has no {name}.")
        known, path = self._roc_known, joined(self._roc_path, name)
        kind = known.kinds.get(path)
        if kind is None:
            try:
                value = known.call("rpc.get", path, member=path)
            except OURS as error:
                if self._roc_path and isinstance(error, errors.MethodNotFound):
                    known.forget()  # this may be no object any longer
                error.__traceback__ = None
                raise
            if not isinstance(value, Member):
                return value
            kind = known.kinds[path] = value.kind
        return _member_of(known, path, kind)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            raise AttributeError(f"{_title(self)}: names with a leading underscore are not shared.")
        path = joined(self._roc_path, name)
        if isinstance(value, Proxy) and _is_at(value, self._roc_known, path):
            return  # `rack.slots += [...]`, which was done over there
        try:
            self._roc_known.call("rpc.set", path, value, member=path)
        except OURS as error:
            error.__traceback__ = None
            raise

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{_title(self)}.{name}: a remote attribute cannot be deleted.")

    def __dir__(self) -> list[str]:
        said = _described(self)
        return sorted({*object.__dir__(self), *(said.names if said else ())})

    def __bool__(self) -> bool:
        return True

    def _roc_spot(self) -> Spot:
        known = self._roc_known
        return Spot(known.client, known.object_id, self._roc_path, known.timeout)

    def _roc_member(self, path: str, kind: str) -> Any:
        """What stands for a member that was asked for by its name, and is no value."""
        self._roc_known.kinds[path] = kind
        return _member_of(self._roc_known, path, kind)

    def __reduce__(self) -> tuple[Any, ...]:
        return unpickled, (_proxy_of, *reference(self._roc_known, self._roc_path))

    def __copy__(self) -> Proxy:
        return self

    def __deepcopy__(self, memo: object) -> Proxy:
        return self

    def __repr__(self) -> str:
        known, title = self._roc_known, _title(self)
        where = known.client.address
        try:
            known.describe(self._roc_path)
        except errors.RocError as error:
            return f"<{title} at {where}: {_why(error)}>"
        said = _described(self)
        return f"<{title}: {said.class_name if said else 'object'} at {where}>"

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        """The object's docstring and members, so that ``help(proxy)`` shows them."""
        said = _described(self)
        return said.help if said else None

    @property
    def __signature__(self) -> inspect.Signature:
        """What an object that can be called itself takes."""
        said = _described(self)
        return _signature(said.calling if said else {})


# What tools see of an attribute. It has no getter: `Proxy.__getattr__` reads it. And no
# docstring of its own, which they would show.
class RemoteAttribute(property):
    __module__ = NOWHERE

    def __init__(self, text: str) -> None:
        super().__init__()
        self.__doc__ = text

    def __repr__(self) -> str:
        return "<remote attribute {}>".format(*str(self.__doc__).splitlines()[:1])


def _class_with(special: Iterable[str], attributes: Mapping[str, str]) -> type[Proxy]:
    """A class of proxies that have these special methods, and show these attributes.

    The attributes are there to be seen: a tool that finds them need not read them, and so
    run a property of the object, to learn that they exist.
    """
    methods = {SPECIAL[name]: METHODS[name] for name in special if name in METHODS}
    shown = {name: RemoteAttribute(text) for name, text in attributes.items()}
    own = {"__slots__": (), "__module__": NOWHERE, "__doc__": Proxy.__doc__}
    return type("Proxy", (Proxy,), {**shown, **methods, **own})


_Unknown = _class_with(SPECIAL, {})
_classes: weakref.WeakKeyDictionary[Description, type[Proxy]] = weakref.WeakKeyDictionary()


def _class_for(said: Description) -> type[Proxy]:
    special = said.special
    names = SPECIAL if special is None else [name for name in SPECIAL if name in special]
    return _class_with(names, said.attributes)


def _described(proxy: Proxy) -> Description | None:
    """What is known of the proxy's object, if anything; the proxy's class is made to fit."""
    known = proxy._roc_known
    said = known.recall(proxy._roc_path)
    if said is not None:
        fitting = _classes.get(said)
        if fitting is None:
            fitting = _classes[said] = _class_for(said)
        if type(proxy) is not fitting:
            object.__setattr__(proxy, "__class__", fitting)
            known.narrowed[proxy] = _Unknown
    return said


def _why(error: errors.RocError) -> str:
    """Why there is no description, in a few words."""
    if isinstance(error, errors.BrokerUnreachable):
        return "no broker answers"
    if isinstance(error, errors.CallTimeout):
        return "no answer yet"
    if isinstance(error, errors.ObjectNotFound):
        suggestions = error.data.get("suggestions") if isinstance(error.data, dict) else None
        near = " or ".join(map(repr, suggestions)) if isinstance(suggestions, list) else ""
        return f"nobody shares it; did you mean {near}?" if near else "nobody shares it"
    return str(error).partition("\n")[0]


def _has(proxy: Proxy, name: str) -> bool:
    said = _described(proxy)
    return said is not None and name in said.names


def _is_array(proxy: Proxy) -> bool:
    """Whether numpy may ask for an array; else it would take the items, one by one."""
    said = _described(proxy)
    return said is not None and "array" in (said.special or ())


def _is_at(proxy: Proxy, known: Known, path: str) -> bool:
    return proxy._roc_known is known and proxy._roc_path == path


def make_proxy(
    client: Remote,
    object_id: str,
    timeout: float | None,
    path: str = "",
    kinds: dict[str, str] | None = None,
) -> Proxy:
    """The proxy of an object, or of one that belongs to it; makes no call."""
    return Proxy(Known(client, object_id, timeout, kinds), path)


def _member_of(known: Known, path: str, kind: str) -> Any:
    return RemoteMethod(known, path) if kind == "method" else Proxy(known, path)


def _proxy_of(known: Known, path: str) -> Proxy:
    return Proxy(known, path)


def _method_of(known: Known, path: str) -> RemoteMethod:
    return RemoteMethod(known, path)


def _title(proxy: Proxy) -> str:
    return joined(proxy._roc_known.object_id, proxy._roc_path)


class RemoteMethod:
    """A remote method: call it, or ask for its signature and docstring."""

    __slots__ = ("_known", "_path", "_spot")
    __module__ = NOWHERE

    def __init__(self, known: Known, path: str) -> None:
        self._known = known
        self._path = path
        self._spot: Spot | None = None

    @unsigned
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        known = self._known
        try:
            return known.client.call_object(
                known.object_id, self._path, args, kwargs, known.timeout
            )
        except OURS as error:
            if isinstance(error, errors.MethodNotFound):
                known.forget()
            error.__traceback__ = None
            raise

    def _roc_spot(self) -> Spot:
        spot = self._spot
        if spot is None:
            known = self._known
            spot = self._spot = Spot(known.client, known.object_id, self._path, known.timeout)
        return spot

    def __reduce__(self) -> tuple[Any, ...]:
        return unpickled, (_method_of, *reference(self._known, self._path))

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
        signature = self._described().get("x-signature", "(...)")
        return f"<remote method {self._known.object_id}.{self._path}{signature}>"

    def _described(self) -> Mapping[str, Any]:
        """The entry of this method in its object's description; empty without one."""
        parent, _, name = self._path.rpartition(".")
        said = self._known.recall(parent)
        return said.method(name) if said else {}


def _signature(entry: Mapping[str, Any]) -> inspect.Signature:
    signature = signature_of(entry)
    if signature is None:
        raise AttributeError("__signature__")
    return signature
