"""Names as they are typed: ``OBJ.MEMBER`` is split at the longest known object id.

Rules:

* Ids may have dots, and so may paths of members: what the broker knows decides.
* A broker that does not tell (a stock one) is believed to have ids without dots.
* An unknown name costs one sentence with the nearest ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from .. import errors
from ..client import RocClient
from ..core.nearest import nearest, quoted
from ..wire.mdp import check_object_id
from .failures import NOT_THERE, WRONG_USAGE, Failure

__all__ = ["BROKER", "Name", "find", "nearest_to", "objects_of", "split"]

BROKER = "roc.broker"


@dataclass(frozen=True)
class Name:
    """An object's id, and the path of a member; empty for the object itself."""

    object_id: str
    path: str

    def __str__(self) -> str:
        return f"{self.object_id}.{self.path}" if self.path else self.object_id


def objects_of(client: RocClient) -> list[dict[str, Any]]:
    """What the broker tells of all objects."""
    found: list[dict[str, Any]] = client.call_object(BROKER, "objects")
    return found


def find(client: RocClient, text: str, member: bool = True) -> Name:
    """The object, and its member, that a name stands for.

    Raises:
        Failure: nobody shares it; or there is no member in it, where ``member`` asks for one.
    """
    try:
        known = {entry["id"]: entry["state"] for entry in objects_of(client)}
    except (errors.ObjectNotFound, errors.MethodNotFound, errors.CallTimeout):
        known = {text.partition(".")[0]: "serving"}
    name = split(text, [*known, BROKER])
    if name is None or known.get(name.object_id) == "absent":
        there = [one for one, state in known.items() if state != "absent"]
        _nobody_shares(name.object_id if name else text, there)
    check_object_id(name.object_id)
    if member and not name.path:
        raise Failure(
            f"{text} is an object, and a member of it is asked for: `roc describe {text}` shows"
            " what it has.",
            WRONG_USAGE,
        )
    return name


def split(text: str, ids: list[str]) -> Name | None:
    """Split at the longest of these ids; None where none fits."""
    fitting = [one for one in ids if text == one or text.startswith(f"{one}.")]
    if not fitting:
        return None
    object_id = max(fitting, key=len)
    return Name(object_id, text[len(object_id) + 1 :])


def nearest_to(text: str, known: list[str]) -> list[str]:
    """The known names that may have been meant by a text, or by the beginning of it."""
    parts = text.split(".")
    begins = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((found for found in (nearest(begin, known) for begin in begins) if found), [])


def _nobody_shares(text: str, there: list[str]) -> NoReturn:
    near = nearest_to(text, there)
    meant = f"did you mean {quoted(near)}?" if near else "`roc ls` shows what is shared."
    raise Failure(f"nobody shares {text!r}: {meant}", NOT_THERE)
