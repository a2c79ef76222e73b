"""The description of a shared object: an OpenRPC document, as plain data.

Rules:

* Describing runs no property and no method. Members are found as in `offers`; a
  default's ``repr`` is the only code of the author's that runs, and it may fail.
* What OpenRPC has no place for stands under names that begin with ``x-``.
* Names are those of the described object's own members. For a nested object,
  ``x-path`` says what to put before them.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from .kinds import (
    MISSING,
    class_name,
    find,
    is_enterable,
    kind_of,
    namespace_of,
    own_dict,
    static_mro,
    stored_value,
)
from .offers import CODE, METHOD, PLAIN, Entry, Offer
from .selection import HIDDEN, NAMED, SHARED, WAY, Verdict
from .signatures import (
    annotation_text,
    clean_text,
    followed_signature,
    parameters_of,
    returns_of,
    signature_text,
    unbound_signature,
)
from .special import judged_by

__all__ = ["View", "describe_object"]

OPENRPC: Final = "1.3.2"


class View(NamedTuple):
    """How much of an object is seen.

    Attributes:
        offer_of: what a nested object offers.
        verdict: what of the object's own members is shared.
        readonly: whether nothing can be set.
    """

    offer_of: Callable[[object], Offer] = lambda obj: Offer(type(obj))
    verdict: Callable[[str], Verdict] = lambda name: SHARED
    readonly: bool = False

    def specials(self, offer: Offer, path: str = "") -> list[str]:
        """The special methods that can be used, of the object or of one inside it."""
        return [n for n in offer.specials if self.verdict(path + judged_by(n)) != HIDDEN]


def describe_object(
    obj: object, offer: Offer, object_id: str, path: str = "", view: View | None = None
) -> dict[str, Any]:
    """The OpenRPC document of ``obj``; what is in it must not be changed."""
    view = view or View()
    members = _Members(obj, offer, view)
    for name, entry, value in offer.members(obj):
        verdict = view.verdict(name)
        if verdict != HIDDEN:
            members.add(name, entry, value, verdict)
    title = f"{object_id}.{path}" if path else object_id
    info = {"title": title, "version": "1", "description": _doc_of_shared(obj)}
    document = {
        "openrpc": OPENRPC,
        "info": info,
        "methods": members.methods,
        "x-class": clean_text(class_name(_class_of(obj), qualified=True)),
        "x-path": path,
        "x-attributes": members.attributes,
        "x-objects": members.objects,
        "x-special": view.specials(offer),
    }
    if "call" in document["x-special"]:
        document["x-call"] = _method("", followed_signature(obj), _doc_of_value(obj))
    return document


class _Members:
    """The members of one object, described."""

    def __init__(self, obj: object, offer: Offer, view: View) -> None:
        self.methods: list[dict[str, Any]] = []
        self.attributes: list[dict[str, Any]] = []
        self.objects: list[dict[str, Any]] = []
        self._obj = obj
        self._offer = offer
        self._view = view
        self._annotations = _annotations_of(_class_of(obj))

    def add(self, name: str, entry: Entry | None, value: Any, verdict: Verdict) -> None:
        if entry is not None and entry.how == METHOD:
            if verdict != WAY:
                self.methods.append(_kept(entry, _method_of_class, name, self._obj))
        elif entry is not None and entry.how != PLAIN:
            described = _kept(entry, _attribute_of_class, name, self._obj)
            self._add_attribute(described, verdict)
        else:
            writable = entry is None or entry.writable
            self._add_stored(name, value if entry is None else entry.raw, writable, verdict)

    def _add_stored(self, name: str, value: Any, writable: bool, verdict: Verdict) -> None:
        kind = kind_of(value)
        if kind == "value":
            self._add_attribute({"name": name, "writable": writable}, verdict)
        called = kind == "method" or (kind == "class" and self._is_named(name, verdict))
        if called and verdict != WAY:
            self.methods.append(_method(name, followed_signature(value), _doc_of_value(value)))
        if kind == "object" or (kind == "method" and is_enterable(value)):
            nested = self._view.offer_of(value)
            if kind == "object" or nested.names(value):
                specials = self._view.specials(nested, f"{name}.")
                self.objects.append(_object(name, value, specials))

    def _is_named(self, name: str, verdict: Verdict) -> bool:
        return verdict == NAMED or self._offer.marks.calls(name)

    def _add_attribute(self, described: dict[str, Any], verdict: Verdict) -> None:
        if verdict == WAY:
            return
        described = _annotated(described, self._annotations)
        fixed = self._view.readonly or self._offer.is_readonly(described["name"])
        self.attributes.append({**described, "writable": False} if fixed else described)


def _class_of(obj: object) -> type:
    """The class that tells of ``obj``; a class that is shared tells of itself."""
    return typing.cast(type, obj) if issubclass(type(obj), type) else type(obj)


def _kept(entry: Entry, describe: Any, name: str, obj: object) -> dict[str, Any]:
    """What is known of a class's member does not change: it is made once."""
    if entry.description is None:
        entry.description = describe(name, entry, obj)
    return entry.description


# --- methods --------------------------------------------------------------------------


def _method_of_class(name: str, entry: Entry, obj: object) -> dict[str, Any]:
    return _method(
        name, unbound_signature(entry.raw, obj), _doc_of_member(_class_of(obj), name, entry)
    )


def _method(name: str, signature: inspect.Signature | None, doc: str) -> dict[str, Any]:
    shown = None if signature is None else parameters_of(signature)
    returns = None if signature is None else returns_of(signature)
    only_by_position = any(p["kind"] == "positional_only" for p in shown or ())
    return {
        "name": name,
        "summary": _first_line(doc),
        "description": doc,
        "params": [_content(p) for p in shown or () if not p["kind"].startswith("var_")],
        "paramStructure": "by-position" if only_by_position else "either",
        "result": {"name": "result", "schema": _schema(returns)},
        "x-signature": signature_text(signature),
        "x-parameters": shown,
        "x-returns": returns,
    }


def _content(parameter: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": parameter["name"],
        "required": "default" not in parameter,
        "schema": _schema(parameter.get("annotation")),
    }


_JSON_TYPES: Final = {
    "None": "null",
    "bool": "boolean",
    "int": "integer",
    "float": "number",
    "str": "string",
    "list": "array",
    "tuple": "array",
    "dict": "object",
}


def _schema(annotation: str | None) -> dict[str, Any]:
    """The JSON schema of an annotation, as far as it is one of the plain types."""
    if annotation is None:
        return {}
    names = [name.strip().partition("[")[0] for name in annotation.split(" | ")]
    found = [{"type": _JSON_TYPES[name]} for name in names if name in _JSON_TYPES]
    if len(found) < len(names):
        return {}
    return dict(found[0]) if len(found) == 1 else {"anyOf": found}


# --- attributes and nested objects ----------------------------------------------------


def _attribute_of_class(name: str, entry: Entry, obj: object) -> dict[str, Any]:
    doc = _doc_of_member(_class_of(obj), name, entry)
    described: dict[str, Any] = {"name": name, "writable": entry.writable}
    if doc:
        described.update(summary=_first_line(doc), description=doc)
    getter = _getter(entry.raw) if entry.how == CODE else None
    signature = None if getter is None else followed_signature(getter)
    returns = None if signature is None else returns_of(signature)
    if returns is not None:
        described["annotation"] = returns
    return described


def _getter(raw: Any) -> types.FunctionType | None:
    if issubclass(type(raw), property):
        getter = property.__dict__["fget"].__get__(raw)
    else:
        getter = (own_dict(raw) or {}).get("func")
    return getter if type(getter) is types.FunctionType else None


def _annotated(described: dict[str, Any], annotations: dict[str, str]) -> dict[str, Any]:
    annotation = annotations.get(described["name"])
    if annotation is None or "annotation" in described:
        return described
    return {**described, "annotation": annotation}


def _annotations_of(cls: type) -> dict[str, str]:
    """What the class and its bases say of the types of their attributes, as text."""
    known: dict[str, str] = {}
    for base in reversed(static_mro(cls)):
        for name, annotation in _own_annotations(base).items():
            if type(name) is str:
                known[name] = annotation_text(annotation)
    return known


def _own_annotations(cls: type) -> dict[str, Any]:
    if sys.version_info >= (3, 14):
        import annotationlib

        try:
            return annotationlib.get_annotations(cls, format=annotationlib.Format.STRING)
        except Exception:
            return {}
    found = namespace_of(cls).get("__annotations__")
    return found.copy() if type(found) is dict else {}


def _object(name: str, value: object, specials: list[str]) -> dict[str, Any]:
    cls = type(value)
    return {
        "name": name,
        "class": clean_text(class_name(cls, qualified=True)),
        "summary": _first_line(_doc_of_class(cls)),
        "x-special": specials,
    }


# --- docstrings -----------------------------------------------------------------------


def _doc_of_shared(obj: object) -> str:
    if issubclass(type(obj), types.ModuleType):
        return _clean_doc(stored_value(obj, "__doc__"))
    return _doc_of_class(_class_of(obj))


def _doc_of_class(cls: type) -> str:
    # object's own docstring says nothing about anybody's instrument.
    return _clean_doc(find(cls, "__doc__")) if cls is not object else ""


def _doc_of_value(value: Any) -> str:
    """The docstring of a callable that is stored as an attribute."""
    if type(value) is functools.partial:
        value = value.func
    if type(value) is types.MethodType:
        value = value.__func__
    doc = stored_value(value, "__doc__")
    if doc is MISSING or type(doc) is not str:
        doc = find(type(value), "__doc__")
    return _clean_doc(doc)


def _doc_of_member(cls: type, name: str, entry: Entry) -> str:
    """The docstring of a class's member, or that of the one it overrides."""
    doc = _doc_of_raw(entry.raw)
    for base in static_mro(cls):
        if doc:
            break
        doc = _doc_of_raw(namespace_of(base).get(name, MISSING))
    return doc


def _doc_of_raw(raw: Any) -> str:
    cls = type(raw)
    if issubclass(cls, (staticmethod, classmethod)):
        base = staticmethod if issubclass(cls, staticmethod) else classmethod
        raw = base.__dict__["__func__"].__get__(raw)
    if type(raw) is functools.partialmethod:
        raw = raw.func
    return _clean_doc(stored_value(raw, "__doc__"))


def _clean_doc(doc: object) -> str:
    return clean_text(inspect.cleandoc(doc)) if type(doc) is str else ""


def _first_line(doc: str) -> str:
    return doc.partition("\n")[0].strip()
