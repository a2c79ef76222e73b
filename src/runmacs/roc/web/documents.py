"""OpenAPI: the door for programs, described for programs."""

from __future__ import annotations

from typing import Any, Final

from .. import __version__
from .calls import LONGEST
from .settings import Settings

__all__ = ["openapi"]

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "number"}
_OBJECT: Final = {"type": "object"}

_FAILURES: Final = {
    400: "What was asked makes no sense",
    401: "The token is needed, or wrong",
    403: "Not allowed: another page, or neither token nor page header",
    404: "There is no such object, member or path",
    413: "The request is too large",
    415: "The body is not JSON",
    421: "The server has another name",
    422: "The request cannot be read",
    429: "Too many requests",
    502: "The object raised an error",
    503: "The broker, or the object's server, cannot be reached",
    504: "No answer in time",
}


def openapi(settings: Settings) -> dict[str, Any]:
    """The document, as OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ROC over HTTP",
            "version": __version__,
            "description": "Objects, status and log of a ROC broker. Each object's own methods"
            " are described at /openrpc/{object}.",
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {}] if settings.loopback else [{"token": []}],
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
        },
        "paths": _paths(),
    }


def _schemas() -> dict[str, Any]:
    leaf = {
        "value": {},
        "time": {**_NUMBER, "description": "seconds since 1970, UTC"},
        "source": {**_TEXT, "description": "node@host; empty for who says nothing of himself"},
        "stale": {"type": "boolean"},
        "unit": _TEXT,
        "description": _TEXT,
        "limits": {"type": "array", "items": {"type": ["number", "null"]}},
    }
    problem = {
        "grade": {"enum": ["bad", "warn"]},
        "kind": _TEXT,
        "what": _TEXT,
        "detail": _TEXT,
        "since": {"type": ["number", "null"]},
        "link": _TEXT,
    }
    return {
        "Error": _struct({"error": _struct({"code": {"type": "integer"}, "message": _TEXT})}),
        "Leaf": {**_struct(leaf), "required": ["value", "time", "source", "stale"]},
        "Branch": _struct(
            {
                "path": _TEXT,
                "value": {},
                "leaves": {"type": "object", "additionalProperties": _ref("Leaf")},
            }
        ),
        "Problem": _struct(problem),
        "Overview": {
            **_struct({"problems": _list(_ref("Problem")), "broker": _OBJECT, "time": _NUMBER}),
            "description": "what is wrong now, and how all fares",
        },
        "Object": {
            **_struct({"id": _TEXT, "state": {"enum": ["serving", "stalled", "absent"]}}),
            "description": "an object, and who serves it",
        },
        "Records": _struct({"records": _list(_OBJECT), "after": {"type": "integer"}}),
        "Request": {
            **_struct(
                {
                    "jsonrpc": {"const": "2.0"},
                    "method": _TEXT,
                    "params": {"type": ["array", "object"]},
                    "id": {"type": ["string", "integer", "null"]},
                }
            ),
            "required": ["jsonrpc", "method"],
        },
        "Response": {
            **_struct({"jsonrpc": {"const": "2.0"}, "id": {}, "result": {}, "error": _OBJECT}),
            "required": ["jsonrpc", "id"],
        },
    }


def _paths() -> dict[str, Any]:
    json_or = "application/json"
    timeout = {
        "name": "Roc-Timeout",
        "in": "header",
        "description": "seconds that the call may take",
        "schema": {**_NUMBER, "exclusiveMinimum": 0, "maximum": LONGEST},
    }
    page = {
        "name": "Roc-Page",
        "in": "header",
        "description": "any value: needed where no token is sent",
        "schema": {"const": "1"},
    }
    npy = {"application/x-npy": {"schema": {"type": "string", "format": "binary"}}}
    events = {"text/event-stream": {"schema": _TEXT}}
    rpc = {"oneOf": [_ref("Request"), {**_list(_ref("Request")), "minItems": 1, "maxItems": 32}]}
    answered = {"oneOf": [_ref("Response"), _list(_ref("Response"))]}
    status = {**_json(_ref("Branch")), **npy, **events}
    points = {**_json(_OBJECT), "text/csv": {"schema": _TEXT}}
    lines = {**_json(_ref("Records")), "application/x-ndjson": {"schema": _TEXT}, **events}
    return {
        "/": {"get": _get("What is wrong now, and how all fares", _json(_ref("Overview")))},
        "/health": {"get": _get("Whether the broker answers", _json(_OBJECT), [], 503)},
        "/metrics": {"get": _get("All figures for Prometheus", {"text/plain": {"schema": _TEXT}})},
        "/objects": {"get": _get("All objects", _json(_list(_ref("Object"))))},
        "/objects/{object}": {
            "get": _get("What an object says of itself", _json(_OBJECT), [_in_path("object")])
        },
        "/objects/{object}/{attribute}": {
            "get": _get(
                "Read an attribute; this runs code of the object",
                {json_or: {"schema": {}}, **npy},
                [_in_path("object"), _in_path("attribute"), timeout, page],
            )
        },
        "/openrpc/{object}": {
            "get": _get("An object's methods as OpenRPC", _json(_OBJECT), [_in_path("object")])
        },
        "/rpc/{object}": {
            "post": {
                **_get(
                    "Call methods: JSON-RPC 2.0",
                    {**_json(answered), **npy},
                    [_in_path("object"), timeout],
                    204,
                ),
                "requestBody": {"required": True, "content": _json(rpc)},
            }
        },
        "/status": {"get": _get("The status tree", status)},
        "/status/{path}": {
            "get": _get("A leaf or a branch of the status tree", status, [_in_path("path")])
        },
        "/history/{path}": {
            "get": _get("The points of all numbers in a branch", points, [_in_path("path")])
        },
        "/logs": {"get": _get("The newest log records that fit", lines, _log_parameters())},
    }


def _log_parameters() -> list[dict[str, Any]]:
    told = {
        "n": ({"type": "integer", "minimum": 0, "maximum": 10_000}, "how many, 100 by default"),
        "after": ({"type": "integer", "minimum": 0, "maximum": 10**15}, "`after` of an answer"),
        "level": (
            {"enum": ["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]},
            "the least severe ones",
        ),
        "node": (_TEXT, "of this node; may be given several times"),
        "logger": (_TEXT, "of this logger, or one beneath it"),
        "text": (_TEXT, "with this text in the message"),
        "call": (_TEXT, "logged during the call of this id"),
        "since": (_NUMBER, "logged then or later: seconds since 1970, or ISO 8601"),
        "until": (_NUMBER, "logged then or before"),
    }
    return [
        {"name": name, "in": "query", "schema": schema, "description": text}
        for name, (schema, text) in told.items()
    ]


def _get(
    summary: str,
    content: dict[str, Any],
    parameters: list[dict[str, Any]] | None = None,
    other: int | None = None,
) -> dict[str, Any]:
    failures = {
        str(code): {"description": text, "content": _json(_ref("Error"))}
        for code, text in _FAILURES.items()
    }
    answers: dict[str, Any] = {"200": {"description": summary, "content": content}, **failures}
    if other == 204:
        answers["204"] = {"description": "There were only notifications"}
    elif other is not None:
        answers[str(other)] = {"description": "It does not", "content": content}
    return {"summary": summary, "parameters": parameters or [], "responses": answers}


def _in_path(name: str) -> dict[str, Any]:
    schema = {**_TEXT, "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _struct(members: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": [*members]}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
