"""The OpenAPI document is true: schemathesis asks all that it allows, and more."""

from __future__ import annotations

import json
import urllib.request

import pytest

from weblab import Lab

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

ASKED = 15
"""Requests for each operation."""


def operations() -> list[tuple[str, str]]:
    from runmacs.roc.endpoints import Endpoints
    from runmacs.roc.web.documents import openapi
    from runmacs.roc.web.settings import Settings

    paths = openapi(Settings(Endpoints("127.0.0.1")))["paths"]
    return [(path, method.upper()) for path, item in paths.items() for method in item]


@pytest.mark.parametrize(("path", "method"), operations())
def test_answers_are_as_they_are_described(lab: Lab, path: str, method: str) -> None:
    import hypothesis

    with urllib.request.urlopen(f"{lab.url}openapi.json") as answer:
        document = json.load(answer)
    schema = schemathesis.openapi.from_dict(document)
    operation = schema[path][method]
    # Every status that is not in the document is one too many: 500 is not.
    known = schemathesis.checks
    checks = [
        known.status_code_conformance,
        known.content_type_conformance,
        known.response_schema_conformance,
    ]

    @hypothesis.settings(
        max_examples=ASKED, deadline=None, suppress_health_check=[*hypothesis.HealthCheck]
    )
    @hypothesis.given(case=operation.as_strategy())
    def ask(case: object) -> None:
        case.call_and_validate(base_url=lab.url.rstrip("/"), checks=checks, timeout=20)  # type: ignore[attr-defined]

    ask()
