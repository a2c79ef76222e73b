"""What a request asks for, and how its answer looks.

Rules:

* A path is taken apart as it came, so that an object id may have a slash in it (``%2F``).
* Who asks for nothing special gets JSON with lists. A browser that follows a link gets the page.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from .. import errors
from .presented import Form, as_json, as_npy, error_json, to_json

__all__ = [
    "JSON",
    "answer",
    "failure",
    "form_of",
    "json_answer",
    "parts_of",
    "wants_events",
    "wants_page",
]

JSON = "application/json"

_STATUS: dict[type[errors.RocError], int] = {
    errors.ConfigError: 400,
    errors.InvalidParams: 400,
    errors.LocalProtocolError: 400,
    errors.MethodNotFound: 404,
    errors.ObjectNotFound: 404,
    errors.CallTimeout: 504,
    errors.BrokerUnreachable: 503,
    errors.ServerLost: 503,
    errors.QueueFull: 503,
    errors.Closed: 503,
}


def parts_of(request: Request, root: str) -> list[str]:
    """What stands after the path's first name, ``root``, taken apart at its slashes."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    rest = raw.decode("latin-1").removeprefix(f"/{root}").removeprefix("/")
    if rest == ".json":  # the twin's other address
        return []
    return [unquote(part) for part in rest.split("/")] if rest else []


def form_of(request: Request) -> Form:
    """How arrays shall come."""
    accept = request.headers.get("accept", "").lower().replace(" ", "")
    if "application/x-npy" in accept:
        return "npy"
    return "base64" if "arrays=base64" in accept else "lists"


def wants_events(request: Request) -> bool:
    """Whether a stream is asked for."""
    return "text/event-stream" in request.headers.get("accept", "")


def wants_page(request: Request) -> bool:
    """Whether a browser asks, for people."""
    return "text/html" in request.headers.get("accept", "")


def answer(value: Any, form: Form) -> Response:
    """A value as it was asked for."""
    if form == "npy":
        return Response(as_npy(value), media_type="application/x-npy")
    return Response(as_json(value, form), media_type=JSON)


def json_answer(value: Any, status: int = 200) -> Response:
    """What is plain JSON already."""
    return Response(to_json(value), status, {"vary": "Accept"}, JSON)


def failure(error: errors.RocError) -> Response:
    """An error, with the status that says whose fault it is. 502: the object's own."""
    kinds = (status for kind, status in _STATUS.items() if isinstance(error, kind))
    return json_answer({"error": error_json(error)}, next(kinds, 502))
