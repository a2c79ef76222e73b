"""Proxies: they behave like the object, and have no public name of their own.

Rules:

* What acts on a proxy is a function of the client. A proxy's own attributes begin with
  an underscore, and those never are shared, so no name of the object is hidden.
* Attributes are read from the object each time. That a member is a method or a nested
  object is remembered, and forgotten when a call finds it otherwise.
* What Python itself asks (``repr``, ``bool``, special methods) never raises for want of
  a broker.
"""

from __future__ import annotations

import inspect
from typing import Any, Protocol

from . import errors
from .core.signatures import signature_from
from .wire.values import Member

__all__ = ["Proxy", "Remote", "RemoteMethod", "make_proxy"]

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


class _Known:
    """What is known of one object; shared by a proxy and its nested ones."""

    def __init__(self, client: Remote, object_id: str, timeout: float | None) -> None:
        self.client = client
        self.object_id = object_id
        self.timeout = timeout
        self.kinds: dict[str, str] = {}
        self.descriptions: dict[str, dict[str, Any]] = {}

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
        self.kinds.clear()
        self.descriptions.clear()


class Proxy:
    """Stands for a remote object. Made by ``client["id"]``."""

    __slots__ = ("_roc_known", "_roc_path")
    _roc_known: _Known
    _roc_path: str

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

    def __repr__(self) -> str:
        known = self._roc_known
        try:
            document = known.describe(self._roc_path, _REPR_TIMEOUT)
        except Exception as error:
            first = str(error).partition("\n")[0]
            return f"<{_title(self)} at {known.client.address}: {first}>"
        return f"<{_title(self)}: {document.get('x-class', 'object')} at {known.client.address}>"

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        """The object's docstring and members, so that ``help(proxy)`` shows them."""
        try:
            return _help(self._roc_known.describe(self._roc_path))
        except errors.RocError:
            return None


def make_proxy(client: Remote, object_id: str, timeout: float | None) -> Proxy:
    """The proxy of an object; makes no call."""
    return Proxy(_Known(client, object_id, timeout))


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

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        known = self._known
        try:
            return known.client.call_object(
                known.object_id, self._path, args, kwargs, known.timeout
            )
        except errors.MethodNotFound:
            known.forget()
            raise

    @property
    def __name__(self) -> str:
        return self._path.rpartition(".")[2]

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return self._described().get("description") or None

    @property
    def __signature__(self) -> inspect.Signature:
        entry = self._described()
        signature = signature_from(entry.get("x-parameters"), entry.get("x-returns"))
        if signature is None:
            raise AttributeError("__signature__")
        return signature

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


def _entries(document: dict[str, Any], group: str) -> list[dict[str, Any]]:
    """The entries of one group in a description, whatever a foreign server put there."""
    entries = document.get(group)
    if not isinstance(entries, list):
        return []
    return [e for e in entries if isinstance(e, dict) and isinstance(e.get("name"), str)]


def _members(proxy: Proxy) -> list[str]:
    try:
        document = proxy._roc_known.describe(proxy._roc_path)
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
