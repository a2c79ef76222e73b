"""A description as its reader finds it: what there is, and help for people.

Rules:

* Nothing here fails for what a foreign server may have put into its description: what
  is not as it should be is left out.
* Names with a leading underscore are out of reach, and left out as well.
* Names, kinds and special methods are those of one object; a nested one has a
  description of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Final

from .signatures import signature_from

__all__ = ["Description", "signature_of"]

_METHODS: Final = "methods"
_ATTRIBUTES: Final = "x-attributes"
_OBJECTS: Final = "x-objects"
_HEADINGS: Final = {_METHODS: "Methods", _ATTRIBUTES: "Attributes", _OBJECTS: "Objects"}

_Entry = Mapping[str, Any]


class Description:
    """What an object says of itself.

    Args:
        document: the answer to ``rpc.discover``.
    """

    def __init__(self, document: object) -> None:
        self._document = document if isinstance(document, dict) else {}
        self._methods = {entry["name"]: entry for entry in self._entries(_METHODS)}

    def agrees(self, other: Description) -> bool:
        """Whether both say the same."""
        return self._document == other._document

    @property
    def class_name(self) -> str:
        """The class of the object, with its module."""
        return str(self._document.get("x-class", "object"))

    @property
    def names(self) -> list[str]:
        """Of all members."""
        return [entry["name"] for group in _HEADINGS for entry in self._entries(group)]

    @property
    def kinds(self) -> dict[str, str]:
        """Which members are methods, and which nested objects; the others are values."""
        objects = {entry["name"]: "object" for entry in self._entries(_OBJECTS)}
        return {**dict.fromkeys(self._methods, "method"), **objects}

    @property
    def special(self) -> frozenset[str] | None:
        """The special methods that it supports; None if it does not say."""
        names = self._document.get("x-special")
        if not isinstance(names, list):
            return None
        return frozenset(name for name in names if isinstance(name, str))

    def method(self, name: str) -> _Entry:
        """The entry of a method; empty if there is none of this name."""
        return self._methods.get(name, {})

    @property
    def calling(self) -> _Entry:
        """The entry of the object itself, as something that can be called."""
        entry = self._document.get("x-call")
        return entry if isinstance(entry, dict) else {}

    @property
    def attributes(self) -> dict[str, str]:
        """Each attribute with its help."""
        return {entry["name"]: _attribute_help(entry) for entry in self._entries(_ATTRIBUTES)}

    @property
    def help(self) -> str:
        """Docstring, then one line for each member."""
        info = self._document.get("info")
        text = str(info.get("description", "")) if isinstance(info, dict) else ""
        paragraphs = [text] if text else []
        for group, heading in _HEADINGS.items():
            lines = [_line(entry) for entry in self._entries(group)]
            if lines:
                paragraphs.append("\n".join([f"{heading}:", *lines]))
        return "\n\n".join(paragraphs)

    def _entries(self, group: str) -> Iterator[_Entry]:
        entries = self._document.get(group)
        for entry in entries if isinstance(entries, list) else ():
            name = entry.get("name") if isinstance(entry, dict) else None
            if isinstance(name, str) and not name.startswith("_"):
                yield entry


def signature_of(entry: _Entry) -> inspect.Signature | None:
    """The signature of a method's entry; None where nothing is known of it."""
    return signature_from(entry.get("x-parameters"), entry.get("x-returns"))


def _shown(entry: _Entry) -> str:
    """``move(steps: int) -> int`` or ``temperature: float (read-only)``."""
    shown = str(entry["name"]) + str(entry.get("x-signature", ""))
    annotation = entry.get("annotation")
    if isinstance(annotation, str):
        shown += f": {annotation}"
    return f"{shown} (read-only)" if entry.get("writable") is False else shown


def _line(entry: _Entry) -> str:
    summary = entry.get("summary")
    return f"    {_shown(entry)}  -  {summary}" if summary else f"    {_shown(entry)}"


def _attribute_help(entry: _Entry) -> str:
    description = entry.get("description")
    return f"{_shown(entry)}\n\n{description}" if description else _shown(entry)
