"""The description of a shared object."""

from __future__ import annotations

import functools
import json
import sys
import threading
import types
from collections.abc import Callable
from time import perf_counter
from typing import Any

import psutil
import pytest

from promptness import prompt
from runmacs.roc.core.sharing import SharedObject
from runmacs.roc.core.signatures import signature_from
from specimens import Camera, Ran, hostile_object, ran, refusal_of, shared


class Lens:
    """The lens in front.

    It can be focused.
    """

    def focus(self, distance: float = 1.0) -> None:
        """Focus it."""


class Documented:
    """A camera.

    With a longer text.
    """

    __slots__ = ("__dict__", "slot")

    model: str = "VNIR"
    fps: float
    slot: int

    def __init__(self) -> None:
        self.fps = 10.0
        self.lens = Lens()
        self.hook: Callable[[int], int] = lambda x: x
        self._secret = 1

    def expose(self, seconds: float, /, *, frames: int = 1, mode: Any = None) -> list[float]:
        """Take frames.

        They are raw.
        """
        return []

    @property
    def gain(self) -> int:
        """The gain.

        In steps.
        """
        raise Ran

    @gain.setter
    def gain(self, value: int) -> None:
        raise Ran

    @property
    def temperature(self) -> float:
        raise Ran

    @functools.cached_property
    def table(self) -> list[int]:
        """Made once."""
        raise Ran

    @staticmethod
    def version() -> str:
        return "1"

    @classmethod
    def family(cls, *names: str, **options: bool) -> None: ...

    def _hidden(self) -> None: ...


def named(entries: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in entries}


def test_a_description_is_an_openrpc_document() -> None:
    document = shared(Documented()).describe()
    assert document["openrpc"] == "1.3.2"
    assert document["info"] == {
        "title": "vnir",
        "version": "1",
        "description": "A camera.\n\nWith a longer text.",
    }
    assert document["x-class"] == f"{__name__}.Documented"
    assert document["x-path"] == ""
    assert json.loads(json.dumps(document)) == document


def test_methods_are_described() -> None:
    methods = named(shared(Documented()).describe()["methods"])
    assert sorted(methods) == ["expose", "family", "hook", "version"]
    assert methods["expose"] == {
        "name": "expose",
        "summary": "Take frames.",
        "description": "Take frames.\n\nThey are raw.",
        "params": [
            {"name": "seconds", "required": True, "schema": {"type": "number"}},
            {"name": "frames", "required": False, "schema": {"type": "integer"}},
            {"name": "mode", "required": False, "schema": {}},
        ],
        "paramStructure": "by-position",
        "result": {"name": "result", "schema": {"type": "array"}},
        "x-signature": "(seconds: float, /, *, frames: int = 1, mode: Any = None) -> list[float]",
        "x-parameters": [
            {"name": "seconds", "kind": "positional_only", "annotation": "float"},
            {"name": "frames", "kind": "keyword_only", "default": "1", "annotation": "int"},
            {"name": "mode", "kind": "keyword_only", "default": "None", "annotation": "Any"},
        ],
        "x-returns": "list[float]",
    }
    assert methods["family"]["x-signature"] == "(*names: str, **options: bool) -> None"
    assert methods["family"]["params"] == []
    assert methods["version"]["paramStructure"] == "either"
    assert methods["hook"]["x-signature"] == "(x)"


def test_attributes_are_described_and_no_property_is_read() -> None:
    attributes = named(shared(Documented()).describe()["x-attributes"])
    assert attributes == {
        "fps": {"name": "fps", "writable": True, "annotation": "float"},
        "gain": {
            "name": "gain",
            "writable": True,
            "summary": "The gain.",
            "description": "The gain.\n\nIn steps.",
            "annotation": "int",
        },
        "model": {"name": "model", "writable": True, "annotation": "str"},
        "slot": {"name": "slot", "writable": True, "annotation": "int"},
        "table": {
            "name": "table",
            "writable": True,
            "summary": "Made once.",
            "description": "Made once.",
            "annotation": "list[int]",
        },
        "temperature": {"name": "temperature", "writable": False, "annotation": "float"},
    }


def test_nested_objects_are_named_and_described_when_asked_for() -> None:
    vnir = shared(Documented())
    assert vnir.describe()["x-objects"] == [
        {
            "name": "lens",
            "class": f"{__name__}.Lens",
            "summary": "The lens in front.",
            "x-special": [],
        }
    ]
    nested = vnir.describe("lens")
    assert nested["info"]["title"] == "vnir.lens"
    assert nested["x-path"] == "lens"
    assert [method["name"] for method in nested["methods"]] == ["focus"]


@pytest.mark.parametrize("name", ["expose", "fps", "nothing", "lens.focus", "_secret"])
def test_only_objects_are_described(name: str) -> None:
    refusal_of(lambda: shared(Documented()).describe(name))


def test_what_is_described_is_what_can_be_reached() -> None:
    vnir = shared(Camera())
    document = vnir.describe()
    for entry in document["methods"]:
        assert vnir.get(entry["name"]) is not None
        if entry["x-parameters"] is not None:
            assert (
                str(signature_from(entry["x-parameters"], entry["x-returns"]))
                == (entry["x-signature"])
            )
    for entry in document["x-objects"]:
        assert vnir.describe(entry["name"])["x-path"] == entry["name"]
    listed = {
        entry["name"]
        for part in ("methods", "x-attributes", "x-objects")
        for entry in document[part]
    }
    assert listed.isdisjoint({"Mode", "Alias", "numpy", "module", "kind", "stream", "_secret"})
    assert listed >= {"fps", "gain", "cached", "show", "preset", "sine", "shutter", "lens"}


def test_attributes_that_appear_later_are_described() -> None:
    camera = Documented()
    vnir = shared(camera)
    vnir.describe()
    camera.exposure = 1.0  # type: ignore[attr-defined]
    camera.model = "SWIR"
    attributes = named(vnir.describe()["x-attributes"])
    assert {"exposure", "model"} <= set(attributes)


def test_a_decorated_method_is_shown_as_what_it_wraps() -> None:
    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    class Decorated:
        @logged
        def method(self, seconds: float) -> None:
            """Wrapped."""

    [method] = shared(Decorated()).describe()["methods"]
    assert method["x-signature"] == "(seconds: float) -> None"
    assert method["summary"] == "Wrapped."


def test_a_docstring_is_inherited() -> None:
    class Special(Documented):
        def expose(self, seconds: float, /, *, frames: int = 1, mode: Any = None) -> list[float]:
            return [1.0]

    methods = named(shared(Special()).describe()["methods"])
    assert methods["expose"]["summary"] == "Take frames."


def test_objects_that_defy_description_are_described() -> None:
    document = shared(hostile_object()).describe()
    assert document["info"]["description"] == ""
    assert [method["name"] for method in document["methods"]] == ["method"]
    assert {entry["name"] for entry in document["x-attributes"]} == {"fps", "prop"}
    json.dumps(document)
    holder = types.SimpleNamespace(hostile=hostile_object())
    [entry] = shared(holder).describe()["x-objects"]
    assert entry["class"].endswith("Hostile")


def test_members_that_defy_description_are_described() -> None:
    class Sulky:
        def __repr__(self) -> str:
            raise SystemExit

        def __call__(self, x: int) -> None: ...

        __signature__ = property(ran)

    def loop(self: object, x: int) -> None: ...

    def liar(self: object, x: int) -> None: ...

    liar.__doc__ = "\ud800 is no text."
    loop.__wrapped__ = loop  # type: ignore[attr-defined]
    liar.__signature__ = 3  # type: ignore[attr-defined]

    class Odd:
        def method(self, x: Any = Sulky()) -> None: ...  # noqa: B008

        def annotated(self, x: Sulky()) -> None: ...  # type: ignore[valid-type]

        caller = Sulky()
        looping = loop
        lying = liar
        nameless = property()
        missing: "Nowhere"  # type: ignore[name-defined]  # noqa: F821, UP037

    document = json.loads(json.dumps(shared(Odd()).describe()))
    shown = {method["name"]: method["x-signature"] for method in document["methods"]}
    assert shown == {
        "annotated": "(x: Sulky()) -> None",
        "caller": "(x: int) -> None",
        "looping": "(x: int) -> None",
        "lying": "(x: int) -> None",
        "method": "(x: Any = ...) -> None",
    }
    assert named(document["methods"])["lying"]["summary"] == "? is no text."


def test_getattr_is_not_asked() -> None:
    class Dynamic:
        def __getattr__(self, name: str) -> Any:
            raise Ran

    assert shared(Dynamic()).describe()["methods"] == []


def test_ten_thousand_members_are_described() -> None:
    def member(self: object, channel: int, voltage: float = 0.0) -> float:
        """Set one channel."""
        return voltage

    members: dict[str, Any] = {f"method{i}": member for i in range(5_000)}
    large: Any = type("Large", (), members)()
    large.__dict__.update({f"attribute{i}": i for i in range(5_000)})
    vnir = shared(large)
    document = vnir.describe()
    assert len(document["methods"]) == 5_000
    assert len(document["x-attributes"]) == 5_000
    started = perf_counter()
    assert vnir.describe() == document
    with prompt():
        assert perf_counter() - started < 2.0


def test_a_module_is_described() -> None:
    document = shared(psutil, "host").describe()
    assert "cpu_percent" in named(document["methods"])
    assert document["info"]["description"].startswith("psutil is a cross-platform library")
    assert "os" not in {entry["name"] for entry in document["x-objects"]}
    json.dumps(document)


def test_a_class_is_described() -> None:
    document = shared(Documented, "cameras").describe()
    assert document["x-class"] == f"{__name__}.Documented"
    assert document["info"]["description"].startswith("A camera.")
    methods = named(document["methods"])
    assert methods["version"]["x-signature"] == "() -> str"
    assert methods["expose"]["x-signature"].startswith("(self, seconds: float, /")


def test_builtin_objects_are_described() -> None:
    for instance in ({}, [], 3, "x", 2j, object(), None, iter([]), len):
        json.dumps(SharedObject(instance, "thing").describe())


def test_describing_while_attributes_come_and_go() -> None:
    busy: Any = types.SimpleNamespace()
    vnir = shared(busy)
    done = threading.Event()

    def change() -> None:
        i = 0
        while not done.is_set():
            setattr(busy, f"a{i % 500}", i)
            if i % 500 == 499:
                busy.__dict__.clear()
            i += 1

    changing = threading.Thread(target=change)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    changing.start()
    try:
        for _ in range(200):
            assert all(entry["writable"] for entry in vnir.describe()["x-attributes"])
    finally:
        done.set()
        changing.join()
        sys.setswitchinterval(interval)
