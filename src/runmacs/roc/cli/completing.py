"""What the shell completes: ids, members, paths of the status, nodes, as they are now.

Rules:

* An answer takes half a second at most; without a broker there is nothing to complete, and
  nothing is said.
* No attribute is read, and no method called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click

__all__ = [
    "complete_attributes",
    "complete_members",
    "complete_methods",
    "complete_nodes",
    "complete_objects",
    "complete_paths",
    "complete_watched",
]

_WITHIN = 0.4

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def _silently(complete: Callable[[Any, str], Iterable[str]]) -> Completer:
    """With a client; whatever is wrong costs nothing but the completion."""

    def completer(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        from .. import errors
        from ..client import RocClient

        try:
            with RocClient(ctx.params.get("broker"), timeout=_WITHIN) as client:
                found = complete(client, incomplete)
                return [one for one in found if one.startswith(incomplete) and one.isprintable()]
        except (errors.RocError, OSError):
            return []

    return completer


def _ids(client: Any) -> list[str]:
    from .names import objects_of

    return [entry["id"] for entry in objects_of(client) if entry["state"] != "absent"]


def _members_of(client: Any, incomplete: str, kinds: tuple[str, ...]) -> list[str]:
    """Ids; or when just one fits, its members: a name that ends there would be no use."""
    from .names import BROKER, split

    ids = _ids(client)
    name = split(incomplete, [*ids, BROKER])
    if name is None or (not name.path and not incomplete.endswith(".")):
        fitting = [one for one in ids if one.startswith(incomplete)]
        if len(fitting) != 1 or "" in kinds:
            return fitting
        name = split(fitting[0], fitting)
    assert name is not None
    parent = name.path.rpartition(".")[0]
    document = client.describe(name.object_id, parent)
    prefix = f"{name.object_id}.{parent}." if parent else f"{name.object_id}."
    return [f"{prefix}{member}" for member in _names(document, kinds)]


def _names(document: Any, kinds: tuple[str, ...]) -> list[str]:
    names = []
    for kind in (*kinds, "x-objects"):
        entries = document.get(kind) if isinstance(document, dict) else None
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                names.append(entry["name"])
    return names


def _paths(client: Any, incomplete: str) -> list[str]:
    """The next name of each path: a tree is completed branch by branch."""
    found = client["roc.broker"].status("")["leaves"]
    skip = len(incomplete)
    ends: dict[str, None] = {}
    for path in found:
        if path.startswith(incomplete):
            dot = path.find(".", skip)
            ends[path if dot < 0 else path[:dot]] = None
    if len(ends) == 1 and (only := next(iter(ends))) not in found and only == incomplete:
        return _paths(client, f"{only}.")
    return list(ends)


complete_objects = _silently(lambda client, incomplete: _ids(client))
complete_members = _silently(
    lambda client, incomplete: _members_of(client, incomplete, ("", "methods", "x-attributes"))
)
complete_attributes = _silently(
    lambda client, incomplete: _members_of(client, incomplete, ("x-attributes",))
)
complete_methods = _silently(
    lambda client, incomplete: _members_of(client, incomplete, ("methods",))
)
complete_nodes = _silently(
    lambda client, incomplete: sorted(
        {str(source.get("node", "")) for source in client["roc.broker"].log_sources()}
    )
)
complete_paths = _silently(_paths)
complete_watched = _silently(
    lambda client, incomplete: [
        *_members_of(client, incomplete, ("x-attributes",)),
        *_paths(client, incomplete),
    ]
)
