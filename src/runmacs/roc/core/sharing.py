"""A shared object: which members of a Python object others may reach, and how.

Rules:

* What others reach is found by `members`: public names of objects, and of these what
  the server and the author of the class select (`selection`).
* What is refused runs no code of the object's author: a property least of all. Only
  on the way to a nested object, a property that stands before it in the path is read.
* What is refused here is a `Refusal`, besides being one of `errors`; whatever the
  author's code raises comes out as it was raised, and can be told apart.
* A call's arguments are checked before its body is begun: number, names and types.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from types import BuiltinFunctionType, CoroutineType, FunctionType, MethodType
from typing import Any, Final, NoReturn

from ..wire.values import Member, Resident
from .arguments import fit_argument
from .description import View, describe_object
from .kept import MOST, Kept
from .kinds import MISSING, Kind, class_name, find, kind_of, load_slot
from .members import NOUNS, Members, brief
from .offers import CODE, METHOD, PLAIN, Entry, Offer
from .operators import IN_PLACE, OPERATORS
from .refusals import ArgumentsRefused, MemberRefused, Refusal
from .selection import EVERYTHING, NAMED, Selection
from .signatures import Fit
from .special import SPECIAL, judged_by, special_body, wanting

__all__ = ["ArgumentsRefused", "MemberRefused", "Refusal", "SharedObject"]

_FITS_KEPT: Final = 16_384

_LISTS: Final[tuple[type, ...]] = (list, tuple, type({}.values()), type({}.items()))
_DEPTH: Final = 4
"""Levels of lists and dicts in which a result's objects are looked for."""


class SharedObject(Members):
    """An object as others may use it, under its object id::

        vnir = SharedObject(camera, "vnir")
        vnir.get("fps")                                  # 10.0
        vnir.set("lens.position", 3)
        body = vnir.bind("setGain", [2], {})             # refused here, or never
        body()                                           # camera.setGain(2)

    Methods other than `describe` are meant for one thread at a time.

    Args:
        instance: any object; a plain value or a function can be shared itself as well.
        object_id: its name.
        selection: what of it is shared.
        kept: where results that are objects are kept; None for not at all.
    """

    def __init__(
        self,
        instance: object,
        object_id: str,
        selection: Selection = EVERYTHING,
        kept: Kept | None = None,
    ) -> None:
        super().__init__(instance, object_id, selection, kept)
        self._fits: dict[str, Fit] = {}

    # --- what others may do -----------------------------------------------------------

    def get(self, name: str) -> Any:
        """The value of an attribute, or a `Member` in place of a method or nested object.

        A property that is ``async def`` gives its coroutine.

        Raises:
            MemberRefused: nothing of this name is shared.
            BaseException: whatever the attribute's own code raises.
        """
        if self._is_returned(name):
            self._returned(name)
            return Member("object")
        holder, offer, leaf, name = self._locate(name)
        value = self._read(holder, offer, leaf, name)
        kind = kind_of(value)
        if kind == "object" or (kind == "method" and self._has_members(value)):
            self._note_called(offer, leaf)
            return Member("object")
        if self._select:
            self._refuse_way(name)
        if kind == "value":
            return value
        if kind == "method" or (kind == "class" and self._may_be_called(offer, leaf, name)):
            self._note_called(offer, leaf)
            return Member("method")
        if type(value) is CoroutineType and leaf in offer.entries:
            return value
        self._refuse(name, f"{self._shown(name)} is {NOUNS[kind]}, which others cannot reach")

    def set(self, name: str, value: object) -> None:
        """Set an attribute that is there already.

        Raises:
            MemberRefused: there is no such attribute, or it is not one that can be set.
            ArgumentsRefused: its type hint asks for something else.
            BaseException: whatever the attribute's own code raises; AttributeError
                where Python itself finds that it cannot be set.
        """
        holder, offer, leaf, name = self._locate(name)
        if self._select:
            self._refuse_way(name)
        entry = offer.entries.get(leaf)
        current = MISSING
        if entry is None or not entry.data:
            current = offer.stored(holder, leaf)
        if entry is not None and current is MISSING:
            current = self._before_set(holder, entry, leaf, name)
        elif current is MISSING:
            current = self._try_dynamic(holder, offer, leaf, name)
        kind: Kind = "value" if current is MISSING else kind_of(current)
        if kind != "value":
            self._refuse(name, f"{self._shown(name)} is {NOUNS[kind]}, and cannot be set")
        self._refuse_readonly(offer.is_readonly(leaf), name)
        hint = offer.hint(leaf)
        if hint is not None and type(value) not in hint.plain:
            clauses: list[str] = []
            value = fit_argument(value, leaf, hint, clauses)
            if clauses:
                raise ArgumentsRefused(f"{self._shown(name)} cannot be set: {clauses[0]}")
        setattr(holder, leaf, value)

    def bind(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Callable[[], Any]:
        """A function without arguments that runs the method; its arguments do fit.

        Raises:
            MemberRefused: there is no such method.
            ArgumentsRefused: the arguments do not fit its signature, or its type hints.
            BaseException: whatever code of the author's on the way to the method raises,
                a property in the path for one.
        """
        holder, offer, leaf, name = self._locate(name)
        if self._select:
            self._refuse_way(name)
        entry = offer.entries.get(leaf)
        if entry is not None and entry.how == CODE and not entry.called:
            self._refuse_call_of_code(holder, offer, entry, leaf, name)
        target = self._read(holder, offer, leaf, name)
        function = _identity(target, holder, entry)
        fit = self._fits.get(name)
        if fit is None or fit.function is not function:
            self._refuse_call(target, offer, leaf, name)
            fit = self._fit_of(name, target, function)
        return self._bound(fit, name, target, args, kwargs)

    def special(
        self, path: str, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Callable[[], Any]:
        """The same for a special method of the object, or of the nested object ``path``::

            words.special("", "getitem", ["key"], {})()      # words["key"]

        Raises:
            MemberRefused: the object does not support it.
            ArgumentsRefused: it takes other arguments.
        """
        method = SPECIAL.get(name)
        if method is None:
            known = ", ".join(name for name in SPECIAL if name not in OPERATORS)
            said = f"rpc.special knows {known}, and Python's operators, and not {brief(name)}"
            self._refuse(path, said)
        if name == "call" and path:
            return self.bind(path, args, kwargs)
        holder, offer, path = self._nested(path)
        own = f"{path}.{method}" if path else method
        self._refuse_special(name, path, holder, offer)
        if name == "call":
            return self._bound(self._fit_of(own, holder, holder), path, holder, args, kwargs)
        if kwargs:
            raise ArgumentsRefused(f"rpc.special {name} takes no named parameters")
        raw = find(type(holder), method)
        if name in _TYPED and type(raw) is FunctionType:
            fit = self._fit_of(own, MethodType(raw, holder), raw)
            args, _ = self._typed(fit, own, args, {})
        return special_body(name, holder, args)

    def stand_in(self, result: object, origin: str) -> object:
        """What is sent for a result that has no form on the wire; itself where nothing helps.

        Objects stay here, and their paths are sent; those that stand in lists and dicts, too.
        ``origin`` says for people where they come from.
        """
        return self._standing(result, origin, _DEPTH)

    def _standing(self, value: Any, origin: str, depth: int) -> object:
        cls = type(value)
        if cls is not dict and cls not in _LISTS:
            return self._kept_path(value, origin)
        if not depth or len(value) > MOST:  # the last would displace the first
            return value
        if cls is dict:
            return {key: self._standing(item, origin, depth - 1) for key, item in value.items()}
        return [self._standing(item, origin, depth - 1) for item in value]

    def _kept_path(self, value: object, origin: str) -> object:
        if value is self.instance and kind_of(value) != "value":
            return Resident("")
        path = None if self._kept is None else self._kept.keep(value, origin)
        return value if path is None else Resident(path)

    def describe(self, name: str = "") -> dict[str, Any]:
        """The OpenRPC document of the object, or of the nested object ``name``.

        It may be asked for in any thread, while a method runs; it runs no user code,
        except that a ``name`` behind a property has to be read. What it returns is
        shared with later calls and must not be changed.

        Raises:
            MemberRefused: ``name`` is not a nested object.
        """
        holder, offer, path = self._nested(name)
        view = View(self._offer, self._verdict_within(path), self._selection.readonly)
        return describe_object(holder, offer, self.object_id, path, view)

    def _before_set(self, holder: Any, entry: Entry, leaf: str, name: str) -> Any:
        """What a member of the class holds, as far as no user code is needed to see it."""
        if entry.how == METHOD:
            self._refuse(name, f"{self._shown(name)} is a method, and cannot be set")
        if entry.how == CODE:
            if not entry.writable:
                self._refuse(name, f"{self._shown(name)} can be read, but not set")
            return MISSING
        if entry.how == PLAIN:
            return entry.raw
        return load_slot(entry.raw, holder)

    # --- calling ----------------------------------------------------------------------

    def _fit_of(self, name: str, target: Any, function: object) -> Fit:
        fit = self._fits.get(name)
        if fit is None or fit.function is not function:
            if len(self._fits) >= _FITS_KEPT:
                self._fits.clear()
            fit = self._fits[name] = Fit(target, function)
        return fit

    def _bound(
        self, fit: Fit, name: str, target: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Callable[[], Any]:
        if (kwargs or not fit.low <= len(args) <= fit.high) and (
            clauses := fit.misfits(args, kwargs)
        ):
            self._refuse_arguments(fit, name, clauses)
        if fit.hints is not None:
            args, kwargs = self._typed(fit, name, args, kwargs)
        return functools.partial(target, *args, **kwargs)

    def _typed(
        self, fit: Fit, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Sequence[Any], Mapping[str, Any]]:
        if fit.hints is None:
            return args, kwargs
        args, kwargs, clauses = fit.hints.fitted(args, kwargs)
        if clauses:
            self._refuse_arguments(fit, name, clauses)
        return args, kwargs

    def _refuse_call_of_code(
        self, holder: object, offer: Offer, entry: Entry, leaf: str, name: str
    ) -> None:
        """Whether a property holds a function, only its author's code can tell.

        So a property is called when reading it has given a function before, as it has
        when the caller's proxy looked it up; a call never reads it on the chance.
        """
        if entry.data or offer.stored(holder, leaf) is MISSING:
            self._refuse(name, f"{self._shown(name)} is an attribute: read it, do not call it")

    def _refuse_call(self, target: Any, offer: Offer, leaf: str, name: str) -> None:
        kind = kind_of(target)
        if kind == "value":
            self._refuse(
                name,
                f"{self._shown(name)} is an attribute ({class_name(type(target))}): "
                "read it, do not call it",
            )
        if kind != "method" and not (kind == "class" and self._may_be_called(offer, leaf, name)):
            self._refuse(name, f"{self._shown(name)} is {NOUNS[kind]}, and cannot be called")

    def _may_be_called(self, offer: Offer, leaf: str, name: str) -> bool:
        """Whether a class was named to be called."""
        return offer.marks.calls(leaf) or (self._select and self._selection.verdict(name) == NAMED)

    def _note_called(self, offer: Offer, leaf: str) -> None:
        entry = offer.entries.get(leaf)
        if entry is not None:
            entry.called = True

    def _refuse_arguments(self, fit: Fit, name: str, clauses: list[str]) -> NoReturn:
        signature = str(fit)
        message = f"{self._shown(name)} takes {signature}: {'; '.join(clauses)}"
        raise ArgumentsRefused(message, data={"signature": signature})

    def _refuse_readonly(self, marked: bool, name: str) -> None:
        if marked or self._selection.readonly:
            who = "its class" if marked else "its server"
            self._refuse(name, f"{self._shown(name)} can be read, but not set: so {who} says")

    def _refuse_special(self, name: str, path: str, holder: Any, offer: Offer) -> None:
        if name not in offer.specials:
            cls = type(holder)
            message = f"{self._shown(path)} ({class_name(cls)}) {wanting(name, cls)}"
            raise MemberRefused(message, data={"suggestions": [], "unsupported": name})
        method = judged_by(name)
        own = f"{path}.{method}" if path else method
        self._refuse_hidden(holder, offer, own)
        if name in IN_PLACE or name in ("setitem", "delitem"):
            self._refuse_readonly(offer.is_readonly(method), own)


_TYPED: Final = ("contains", "getitem", "setitem", "delitem")
"""Special methods whose parameters are the caller's, so that their type hints count."""


def _identity(target: Any, holder: object, entry: Entry | None) -> object:
    """What stays the same when a method is bound again, so that its `Fit` can be kept."""
    cls = type(target)
    if cls is MethodType:
        return target.__func__
    if cls is BuiltinFunctionType and entry is not None and target.__self__ is holder:
        return entry.raw
    return target
