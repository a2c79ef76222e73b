"""Do these arguments fit, and how is a signature shown and rebuilt?"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runmacs.roc.core.signatures import (
    Fit,
    Verbatim,
    annotation_text,
    followed_signature,
    parameters_of,
    returns_of,
    signature_from,
    signature_text,
)

NAMES = ["a", "b", "c", "d", "self", "args", "kwargs"]


@st.composite
def functions(draw: st.DrawFn) -> tuple[str, Callable[..., None]]:
    """A function with any parameters, and its parameters as they are written."""
    names = draw(st.permutations(["a", "b", "c", "d"]))[: draw(st.integers(0, 4))]
    only_position = draw(st.integers(0, len(names)))
    positional = draw(st.integers(only_position, len(names)))
    defaults = draw(st.integers(0, positional))
    parts = [
        name + ("=0" if index >= positional - defaults else "")
        for index, name in enumerate(names[:positional])
    ]
    if only_position:
        parts.insert(only_position, "/")
    if draw(st.booleans()):
        parts.append("*args")
    elif positional < len(names):
        parts.append("*")
    parts += [name + draw(st.sampled_from(["", "=0"])) for name in names[positional:]]
    if draw(st.booleans()):
        parts.append("**kwargs")
    text = ", ".join(parts)
    namespace: dict[str, Any] = {}
    exec(f"def function({text}): pass", namespace)
    return text, namespace["function"]


def fits(target: Callable[..., object], args: list[int], kwargs: dict[str, int]) -> bool:
    """Whether Python itself takes the arguments."""
    try:
        target(*args, **kwargs)
    except TypeError:
        return False
    return True


ARGUMENTS = st.lists(st.integers(), max_size=5)
KEYWORDS = st.dictionaries(st.sampled_from(NAMES), st.integers(), max_size=4)


@given(functions(), ARGUMENTS, KEYWORDS)
def test_what_fits_is_what_python_takes(
    written: tuple[str, Callable[..., None]], args: list[int], kwargs: dict[str, int]
) -> None:
    _, function = written
    fit = Fit(function, function)
    assert (not fit.misfits(args, kwargs)) is fits(function, args, kwargs)
    if not kwargs:
        assert (fit.low <= len(args) <= fit.high) is fits(function, args, {})


@given(functions(), ARGUMENTS, KEYWORDS)
def test_the_same_for_methods(
    written: tuple[str, Callable[..., None]], args: list[int], kwargs: dict[str, int]
) -> None:
    text, _ = written
    namespace: dict[str, Any] = {}
    slash = "" if "/" in text else "/, "
    for own in (f"self, {slash}{text}", f"self, {text}"):
        exec(f"class Holder:\n def method({own.rstrip(' ,')}): pass", namespace)
        method = namespace["Holder"]().method
        assert (not Fit(method, method).misfits(args, kwargs)) is fits(method, args, kwargs)


@given(functions(), ARGUMENTS, KEYWORDS, ARGUMENTS, KEYWORDS)
def test_of_a_partial_nothing_is_refused_that_python_takes(
    written: tuple[str, Callable[..., None]],
    given_before: list[int],
    named_before: dict[str, int],
    args: list[int],
    kwargs: dict[str, int],
) -> None:
    _, function = written
    target = functools.partial(function, *given_before, **named_before)
    if Fit(target, target).misfits(args, kwargs):
        assert not fits(target, args, kwargs)


@given(functions())
def test_what_is_shown_is_what_was_written(written: tuple[str, Callable[..., None]]) -> None:
    text, function = written
    assert signature_text(followed_signature(function)) == f"({text})"


@given(functions())
def test_a_signature_survives_the_description(written: tuple[str, Callable[..., None]]) -> None:
    _, function = written
    signature = inspect.signature(function)
    rebuilt = signature_from(json.loads(json.dumps(parameters_of(signature))))
    assert rebuilt is not None
    assert str(rebuilt) == str(signature)
    assert [p.kind for p in rebuilt.parameters.values()] == [
        p.kind for p in signature.parameters.values()
    ]


def documented(
    seconds: float, /, mode: str | None = "fast", *rest: int, wait: bool = True, **more: object
) -> list[float]:
    return []


def test_defaults_and_annotations_are_shown_by_their_text() -> None:
    signature = followed_signature(documented)
    assert signature is not None
    rebuilt = signature_from(parameters_of(signature), returns_of(signature))
    assert str(rebuilt) == str(inspect.signature(documented)).replace("'", "").replace(
        "= fast", "= 'fast'"
    )
    assert rebuilt is not None
    assert rebuilt.parameters["mode"].default == Verbatim("'fast'")
    assert rebuilt.parameters["seconds"].annotation == Verbatim("float")
    assert rebuilt.return_annotation == Verbatim("list[float]")


class Sulky:
    """Its repr raises."""

    def __repr__(self) -> str:
        raise SystemExit("no repr")


def test_a_default_that_cannot_be_shown_is_left_out() -> None:
    def function(a: Any = Sulky(), b: Any = "x" * 10_000, c: Any = object()) -> None:  # noqa: B008
        pass

    shown = parameters_of(inspect.signature(function))
    assert shown[0]["default"] == "..."
    assert len(shown[1]["default"]) == 200
    assert shown[2]["default"] == "<object object>"  # no address: the same in every run


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (float, "float"),
        (None, "None"),
        (type(None), "None"),
        ("Frame | None", "Frame | None"),
        (list[int], "list[int]"),
        (int | None, "int | None"),
        (Sulky(), "..."),
        ("\ud800", "?"),
    ],
)
def test_annotations_as_text(annotation: object, text: str) -> None:
    assert annotation_text(annotation) == text


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.binary(max_size=2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
ENTRY = st.dictionaries(
    st.sampled_from(["name", "kind", "default", "annotation"]),
    JUNK | st.sampled_from(["a", "b", "", ".0", "class", "var_keyword", "keyword_only", "é"]),
)


@given(JUNK | st.lists(ENTRY | JUNK, max_size=4), JUNK)
def test_rebuilding_is_total(parameters: Any, returns: Any) -> None:
    rebuilt = signature_from(parameters, returns)
    assert rebuilt is None or str(rebuilt).startswith("(")


@pytest.mark.parametrize(
    "parameters",
    [
        None,
        {},
        "x",
        [None],
        [{}],
        [{"name": "a"}],
        [{"kind": "keyword_only"}],
        [{"name": "a", "kind": "sideways"}],
        [{"name": "", "kind": "keyword_only"}],
        [{"name": "a b", "kind": "keyword_only"}],
        [{"name": ["a"], "kind": "keyword_only"}],
        [{"name": "a", "kind": []}],
        [{"name": "a", "kind": "keyword_only"}] * 2,
        [{"name": "a", "kind": "keyword_only", "default": 3}],
        [{"name": "a", "kind": "keyword_only", "annotation": {}}],
        [{"name": "a", "kind": "keyword_only"}, {"name": "b", "kind": "positional_only"}],
    ],
)
def test_what_describes_no_signature_gives_none(parameters: Any) -> None:
    assert signature_from(parameters) is None


def test_an_empty_description_is_a_signature() -> None:
    assert str(signature_from([], "None")) == "() -> None"


def test_a_function_without_signature_is_shown_so_and_takes_anything() -> None:
    assert signature_text(followed_signature(max)) == "(...)"
    assert Fit(max, max).misfits([1, 2, 3], {"key": 1}) == []


def test_every_misfit_is_named() -> None:
    def function(a: int, b: int, *, c: int) -> None:
        pass

    clauses = Fit(function, function).misfits([1], {"a": 2, "d": 3})
    assert clauses == [
        "'b' is missing",
        "'c' is missing",
        "'a' is given twice",
        "there is no parameter 'd'",
    ]


def test_a_parameter_that_is_only_taken_by_position_is_named() -> None:
    def function(a: int, /) -> None:
        pass

    assert Fit(function, function).misfits([], {"a": 1}) == [
        "'a' is missing",
        "'a' can only be given by position",
    ]
