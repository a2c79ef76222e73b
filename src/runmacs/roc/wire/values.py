"""Values on the wire: Python values to JSON and raw buffers, and back.

    buffers = []
    text = encode_value({"gain": 3, "frame": frame}, "result", buffers)
    value = decode_value(text, buffers)

Rules:

* ``forms`` decides how each type travels and ``tags`` what has arrived; this
  module holds the doors to both. ``spec/wire.md`` lists the tags, for every language.
* A sender gets Unsendable, which names the place, and its buffers unchanged.
* Decoding is total: whatever a peer sent gives a value or RemoteProtocolError.
  It allocates no more than a small multiple of what arrived.
* A text without tags is not walked: JSON is decoded at the speed of the codec.
* Members of a tag that are not known are ignored, so that tags can grow.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ..errors import RemoteProtocolError, Unsendable
from .forms import DEPTH, TAG, Buffer, coder_of, form
from .refused import Refused, step_to
from .standins import Index, Member, Resident
from .tags import Reader, bad, too_deep

__all__ = [
    "Buffer",
    "Index",
    "Member",
    "Resident",
    "decode_arguments",
    "decode_value",
    "encode_arguments",
    "encode_inline",
    "encode_value",
    "is_value",
    "parse_value",
    "value_in",
    "value_of",
]

_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder().decode

_TAG_BYTES = TAG.encode("ascii")


def is_value(value: object) -> bool:
    """Whether a value of this type would travel, so that reading an attribute answers it.

    Only the type is looked at: a list is a value, whatever stands in it.
    """
    kind: Any = type(value)
    return coder_of(kind) is not None


# Encoding --------------------------------------------------------------------------------


def encode_value(value: object, place: str, buffers: list[Buffer]) -> bytes:
    """The JSON of a value; the memory of arrays and bytes is appended to ``buffers``.

    Raises Unsendable for what cannot travel, named from ``place`` on:
    ``result.frames[3].meta cannot be sent: ...``; ``buffers`` is then as before.
    The memory is not copied: change it only after the message has been sent.
    """
    mark = len(buffers)
    shape: object = None
    try:
        shape = form(value, 0, buffers)
        return _to_json(shape)
    except Refused as refused:
        error = refused.unsendable(place)
    except UnicodeEncodeError:
        error = _no_text([(place, shape)])
    del buffers[mark:]
    raise error


def encode_arguments(
    args: Sequence[object], kwargs: Mapping[str, object], buffers: list[Buffer]
) -> bytes | None:
    """The JSON-RPC ``params`` of a call, or None without arguments.

    Positional arguments make a list, keyword arguments an object; with both, the
    positional ones stand in the object under ``"*"``. Errors as in encode_value,
    the places being ``args[0]`` and the keywords.
    """
    if not args and not kwargs:
        return None
    if "*" in kwargs:
        raise Unsendable("an argument named '*' cannot be sent: positional ones stand there")
    mark = len(buffers)
    forms: list[object] = []
    named: dict[str, object] = {}
    name = ""
    try:
        for arg in args:
            forms.append(form(arg, 0, buffers))
        for name, arg in kwargs.items():
            named[name] = form(arg, 0, buffers)
        return _to_json(({"*": forms, **named} if forms else named) if named else forms)
    except Refused as refused:
        error = refused.unsendable(f"args[{len(forms)}]" if len(forms) < len(args) else name)
    except UnicodeEncodeError:
        places = [(f"args[{index}]", shape) for index, shape in enumerate(forms)]
        error = _no_text([*places, *named.items(), *((repr(name), name) for name in named)])
    del buffers[mark:]
    raise error


def encode_inline(value: object, place: str) -> tuple[Any, bytes]:
    """The form of a value that needs no buffers, and its JSON: they stand in it as base64.

    The form shares nothing with the value that could still change. Errors as in
    encode_value.
    """
    buffers: list[Buffer] = []
    shape: Any = None
    try:
        shape = form(value, 0, buffers)
        if buffers:
            shape = _with_base64(shape, buffers)
        return shape, _to_json(shape)
    except Refused as refused:
        raise refused.unsendable(place) from None
    except UnicodeEncodeError:
        raise _no_text([(place, shape)]) from None


def _with_base64(shape: Any, buffers: Sequence[Buffer]) -> Any:
    """The form with each buffer in the tag that names it."""
    if type(shape) is list:
        return [_with_base64(item, buffers) for item in shape]
    if type(shape) is not dict:
        return shape
    if TAG in shape and "buffer" in shape:
        text = b2a_base64(buffers[shape["buffer"]], newline=False).decode("ascii")
        rest = {name: item for name, item in shape.items() if name != "buffer"}
        return {**rest, "base64": text}
    return {name: _with_base64(item, buffers) for name, item in shape.items()}


def _no_text(places: list[tuple[str, object]]) -> Unsendable:
    """The error for forms that UTF-8 cannot say; looked for only now, which is rare."""
    found = ((place, _surrogate(shape)) for place, shape in places)
    return next(
        (refused.unsendable(place) for place, refused in found if refused),
        Unsendable(f"{places[0][0]} cannot be sent: it is no Unicode text"),
    )


def _surrogate(shape: object) -> Refused | None:
    """The refusal of the first str in a form that is not Unicode text, if there is one."""
    if isinstance(shape, str):
        if not any("\ud800" <= char <= "\udfff" for char in shape):
            return None
        return Refused("it holds a lone surrogate, which is no Unicode text; send bytes")
    for step, part in _parts(shape):
        refused = _surrogate(part)
        if refused is not None:
            if step:
                refused.steps.append(step)
            else:
                refused.steps.clear()
            return refused
    return None


def _parts(shape: object) -> list[tuple[str, object]]:
    """What a form contains, each part with its step in the value that it stands for.

    The parts of a tag that is no container are one place: they have no step.
    """
    if isinstance(shape, list):
        return [(f"[{index}]", item) for index, item in enumerate(shape)]
    if not isinstance(shape, dict):
        return []
    kind = shape.get(TAG)
    if kind == "set":
        return [("{...}", item) for item in shape["value"]]
    if kind is not None and kind != "dict":
        return [("", item) for item in shape.values()]
    items = shape["value"] if kind else list(shape.items())
    return [(step_to(key), part) for pair in items for key in pair[:1] for part in pair]


# Decoding --------------------------------------------------------------------------------


def value_of(shape: Any) -> Any:
    """The value of a form that needs no buffers. Lists and objects in it may be used up.

    Raises RemoteProtocolError and LocalProtocolError as decode_value does.
    """
    if type(shape) is not dict and type(shape) is not list:
        return shape
    try:
        return Reader(()).value(shape, 0)
    except RecursionError:
        raise too_deep() from None


def decode_value(
    raw: Buffer, buffers: Sequence[Buffer], objects: Callable[[str], Any] = Resident
) -> Any:
    """The value of a JSON text and the buffers that came with it.

    What stands for an object that stays where it lives is made by ``objects``, from its path.

    Arrays are read-only views of their buffers, which stay alive with them.
    Raises RemoteProtocolError for everything that a peer can get wrong, and
    LocalProtocolError for an array where numpy is not installed.
    """
    tree, plain = parse_value(raw)
    return tree if plain else value_in(tree, buffers, objects)


def value_in(tree: Any, buffers: Sequence[Buffer], objects: Callable[[str], Any] = Resident) -> Any:
    """The value of a tree that is not plain; see `decode_value`."""
    try:
        return Reader(buffers, objects).value(tree, 0)
    except RecursionError:
        raise too_deep() from None


def decode_arguments(
    raw: Buffer | None, buffers: Sequence[Buffer]
) -> tuple[list[Any], dict[str, Any]]:
    """The positional and keyword arguments that ``params`` stand for; errors as in decode_value."""
    if raw is None:
        return [], {}
    params, plain = parse_value(raw)
    if type(params) is list:
        args, kwargs = params, {}
    elif type(params) is dict:
        args, kwargs = params.pop("*", []), params
        if type(args) is not list:
            raise bad('the positional arguments under "*" must be a list')
    else:
        raise bad("params must be a list or an object")
    if not plain:
        reader = Reader(buffers)
        try:
            args = [reader.value(arg, 0) for arg in args]
            kwargs = {name: reader.value(arg, 0) for name, arg in kwargs.items()}
        except RecursionError:
            raise too_deep() from None
    return args, kwargs


def parse_value(raw: Buffer) -> tuple[Any, bool]:
    """The tree of a JSON text, and whether it surely is plain: no tags, and not too deep.

    A plain tree is the value itself; for another there is `value_in`.
    """
    text = raw if type(raw) is bytes else bytes(raw)
    try:
        tree = _from_json(text)
    except RecursionError:
        raise too_deep() from None
    except (msgspec.DecodeError, ValueError) as error:  # the latter for what is not UTF-8
        raise RemoteProtocolError(f"the peer sent what is not JSON: {error}") from None
    # A key may be spelled with \u escapes. Single bytes are looked for first, as that is faster.
    plain = (
        not (b"_" in text and _TAG_BYTES in text)
        and not (b"\\" in text and b"\\u" in text)
        and (len(text) <= 2 * DEPTH or not _opens_many(text))
    )
    return tree, plain


def _opens_many(text: bytes) -> bool:
    """Whether so many brackets open that only a walk can tell how deep they go."""
    opened = 0
    for bracket in (b"[", b"{"):
        at = text.find(bracket)
        while at >= 0:
            opened += 1
            if opened > DEPTH:
                return True
            at = text.find(bracket, at + 1)
    return False
