"""What of an object is shared: the patterns of its server, and the marks of its classes.

Rules:

* A pattern is a dotted path whose components may have ``*``, ``?`` and ``[...]``. It
  stands for what it matches and for all that is inside; ``*`` does not match a dot.
* With ``expose`` nothing else is shared. Objects on the way to what is exposed can be
  passed, and offer nothing more. ``hide`` wins over ``expose``.
* A path is judged by its names alone, before anything is touched. Whoever comes back to
  the shared object itself, by whatever way, stands at its beginning again.
* Special methods are judged by their names: ``__getitem__``.
* Marks (module `marks`) go with the class and hold on every way to its instances.
"""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

from .. import errors
from ..marks import MARKS, NAMES
from .kinds import namespace_of, normal, own_dict
from .special import SPECIAL

__all__ = [
    "EVERYTHING",
    "HIDDEN",
    "NAMED",
    "SHARED",
    "WAY",
    "Marks",
    "Path",
    "Selection",
    "Verdict",
]

Path: TypeAlias = tuple[str, ...]
Patterns: TypeAlias = str | Iterable[str] | None
Verdict: TypeAlias = Literal["shared", "named", "way", "hidden"]

SHARED: Final = "shared"
NAMED: Final = "named"
"""Shared, and named without any pattern: a class may be called then."""
WAY: Final = "way"
"""Not shared itself; something inside it is."""
HIDDEN: Final = "hidden"

_KEPT: Final = 16_384
_WILD: Final = re.compile(r"\[[^\]]+\]|[*?]")


class Selection:
    """What one server shares of its object.

    Args:
        expose: a pattern, or several; None shares all that is public.
        hide: a pattern, or several, of what is not shared.
        readonly: whether to refuse every set.

    Raises:
        ConfigError: a pattern that can never match.

    Example::

        Selection(expose=["fps", "get*", "lens.position"], hide="getSecret")
    """

    def __init__(
        self, expose: Patterns = None, hide: Patterns = None, readonly: bool = False
    ) -> None:
        self.readonly = readonly
        self._expose = None if expose is None else _patterns("expose", expose)
        self._hide = () if hide is None else _patterns("hide", hide)
        self._known: dict[str, Verdict] = {}

    @property
    def everything(self) -> bool:
        """Whether all that is public is shared."""
        return self._expose is None and not self._hide

    def verdict(self, name: str) -> Verdict:
        """What may be done with a member, named by its path."""
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            known = self._known[name] = self._judged(tuple(name.split(".")))
        return known

    def _judged(self, path: Path) -> Verdict:
        if any(pattern.begins(path) for pattern in self._hide):
            return HIDDEN
        if self._expose is None:
            return SHARED
        if any(pattern.plain == path for pattern in self._expose):
            return NAMED
        if any(pattern.begins(path) for pattern in self._expose):
            return SHARED
        return WAY if any(pattern.leads_through(path) for pattern in self._expose) else HIDDEN


class _Pattern:
    """One pattern, a compiled expression for each component.

    Attributes:
        plain: its components as they are written; those of a path if none is a wild card.
    """

    def __init__(self, components: list[str]) -> None:
        self.plain = tuple(components)
        self._parts = [re.compile(fnmatch.translate(component)) for component in components]

    def begins(self, path: Path) -> bool:
        """Whether it matches the path, or something that the path is inside of."""
        return len(path) >= len(self._parts) and self._agrees(path)

    def leads_through(self, path: Path) -> bool:
        """Whether it may match something inside."""
        return len(path) < len(self._parts) and self._agrees(path)

    def _agrees(self, path: Path) -> bool:
        return all(part.match(name) for part, name in zip(self._parts, path, strict=False))


def _patterns(option: str, given: str | Iterable[str]) -> tuple[_Pattern, ...]:
    try:
        texts = [given] if isinstance(given, str) else list(given)
    except TypeError:
        raise errors.ConfigError(f"{option} is a name, a pattern, or a list of them.") from None
    return tuple(_Pattern(_components(option, text)) for text in texts)


def _components(option: str, text: object) -> list[str]:
    if not isinstance(text, str):
        raise errors.ConfigError(f"{option} takes names and patterns, not {text!r}.")
    components = normal(text).split(".")
    for component in components:
        if not _WILD.sub("x", component).isidentifier():
            raise errors.ConfigError(
                f"{option}: {text!r} matches nothing: write names with dots between them, "
                "and *, ? or [...] in a name."
            )
        special = any(fnmatch.fnmatchcase(method, component) for method in SPECIAL.values())
        if component.startswith("_") and not special:
            raise errors.ConfigError(
                f"{option}: {text!r} matches nothing: names with a leading underscore are "
                "never shared."
            )
    return components


EVERYTHING: Final = Selection()


class Marks:
    """The marks in some dictionaries of classes; the first that speaks of a name decides."""

    def __init__(self, namespaces: Iterable[Mapping[str, Any]]) -> None:
        self._speakers = [speaker for space in namespaces if (speaker := _Speaker(space)).words]
        words = {word for speaker in self._speakers for word in speaker.words}
        self._only = "exposed" in words
        self._all_readonly = any(speaker.is_readonly for speaker in self._speakers)
        self.any = bool(words)

    def shares(self, name: str) -> bool:
        """Whether a public name is shared."""
        for speaker in self._speakers:
            for word in speaker.words_for(name):
                if word != "readonly":
                    return word == "exposed"
        return not self._only

    def calls(self, name: str) -> bool:
        """Whether the class that stands under a name was marked as exposed itself."""
        return any("exposed" in speaker.members.get(name, ()) for speaker in self._speakers)

    def is_readonly(self, name: str) -> bool:
        """Whether a name may not be set."""
        return self._all_readonly or any(
            "readonly" in speaker.words_for(name) for speaker in self._speakers
        )


class _Speaker:
    """What one namespace says."""

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        marked = ((name, _marks_of(raw)) for name, raw in list(namespace.items()))
        self.members = {name: words for name, words in marked if words and type(name) is str}
        self.named = [
            (word, re.compile(fnmatch.translate(normal(pattern))))
            for word, pattern in namespace.get(NAMES, ())
        ]
        self.is_readonly = "readonly" in namespace.get(MARKS, ())
        said = {word for words in self.members.values() for word in words}
        said.update(word for word, _ in self.named)
        self.words = said | ({"readonly"} if self.is_readonly else set())

    def words_for(self, name: str) -> list[str]:
        """The words for a name, what hides before what exposes."""
        words = set(self.members.get(name, ()))
        words.update(word for word, pattern in self.named if pattern.match(name))
        return sorted(words, reverse=True, key=("exposed", "hidden", "readonly").index)


def _marks_of(raw: Any) -> frozenset[str]:
    """The marks of what stands in a namespace; nothing is run to read them."""
    for _ in range(10):
        cls = type(raw)
        if issubclass(cls, (staticmethod, classmethod)):
            base = staticmethod if issubclass(cls, staticmethod) else classmethod
            raw = base.__dict__["__func__"].__get__(raw)
        elif issubclass(cls, property):
            getter = property.__dict__["fget"].__get__(raw)
            raw = property.__dict__["fset"].__get__(raw) if getter is None else getter
        elif cls is functools.cached_property:
            raw = (own_dict(raw) or {}).get("func")
        else:
            break
    own = namespace_of(raw) if issubclass(type(raw), type) else own_dict(raw)
    found = None if own is None else own.get(MARKS)
    return found if type(found) is frozenset else _NO_MARKS


_NO_MARKS: Final[frozenset[str]] = frozenset()
