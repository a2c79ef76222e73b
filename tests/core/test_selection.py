"""What a server's patterns share of an object: expose, hide, readonly."""

from __future__ import annotations

import collections
import math
import types
from collections.abc import Callable
from typing import Any

import pytest

from runmacs.roc import errors
from runmacs.roc.core.selection import HIDDEN, NAMED, SHARED, WAY, Selection
from runmacs.roc.core.sharing import SharedObject
from runmacs.roc.wire.values import Member
from specimens import Camera, Lens, Mode, Shutter, ran, refusal_of

METHOD = Member("method")
OBJECT = Member("object")


def selected(instance: object | None = None, **options: Any) -> SharedObject:
    whole = Camera() if instance is None else instance
    return SharedObject(whole, "vnir", Selection(**options))


# --- patterns -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "name", "verdict"),
    [
        ({}, "fps", SHARED),
        ({"expose": "fps"}, "fps", NAMED),
        ({"expose": "fps"}, "fps.x", SHARED),
        ({"expose": "fps"}, "fpsx", HIDDEN),
        ({"expose": ["fps", "gain"]}, "gain", NAMED),
        ({"expose": ("fps",)}, "gain", HIDDEN),
        ({"expose": []}, "fps", HIDDEN),
        ({"expose": "get*"}, "getGain", SHARED),
        ({"expose": "get*"}, "get", SHARED),
        ({"expose": "get?"}, "get", HIDDEN),
        ({"expose": "ch[12]"}, "ch2", SHARED),
        ({"expose": "ch[12]"}, "ch3", HIDDEN),
        ({"expose": "FPS"}, "fps", HIDDEN),
        ({"expose": "*"}, "anything", SHARED),
        ({"expose": "*"}, "any.thing", SHARED),
        ({"expose": "lens.focus"}, "lens", WAY),
        ({"expose": "lens.focus"}, "lens.focus", NAMED),
        ({"expose": "lens.focus"}, "lens.focus.step", SHARED),
        ({"expose": "lens.focus"}, "lens.position", HIDDEN),
        ({"expose": "*.focus"}, "lens", WAY),
        ({"expose": "*.focus"}, "lens.focus", SHARED),
        ({"hide": "fps"}, "fps", HIDDEN),
        ({"hide": "fps"}, "gain", SHARED),
        ({"hide": "lens"}, "lens.focus.step", HIDDEN),
        ({"hide": "lens.focus"}, "lens", SHARED),
        ({"hide": "raw*"}, "rawFrame", HIDDEN),
        ({"expose": "get*", "hide": "getSecret"}, "getSecret", HIDDEN),
        ({"expose": "getSecret", "hide": "get*"}, "getSecret", HIDDEN),
        ({"expose": "__getitem__"}, "__getitem__", NAMED),
        ({"hide": "__setitem__"}, "__setitem__", HIDDEN),
        ({"expose": "o\N{COMBINING DIAERESIS}ffnen"}, "öffnen", NAMED),
    ],
)
def test_a_verdict_is_found_by_the_names_alone(
    options: dict[str, Any], name: str, verdict: str
) -> None:
    selection = Selection(**options)
    assert selection.verdict(name) == verdict
    assert selection.verdict(name) == verdict  # remembered


@pytest.mark.parametrize("option", ["expose", "hide"])
@pytest.mark.parametrize(
    "pattern",
    ["", ".", "lens.", "a b", "fps()", "lens/focus", "1a", "_secret", "lens._serial", "__class__",
     "_x*", 3, None, ["fps", 3], [""]],
)  # fmt: skip
def test_a_pattern_that_can_never_match_is_an_error(option: str, pattern: Any) -> None:
    if pattern is None:
        pattern = [None]
    with pytest.raises(errors.ConfigError, match=option):
        Selection(**{option: pattern})


def test_what_is_remembered_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runmacs.roc.core.selection._KEPT", 10)
    selection = Selection(expose="a*")
    assert all(selection.verdict(f"a{i}") == SHARED for i in range(100))
    assert len(selection._known) <= 10


# --- an object ------------------------------------------------------------------------


def uses(vnir: SharedObject, name: str) -> list[Callable[[], object]]:
    return [
        lambda: vnir.get(name),
        lambda: vnir.set(name, 1),
        lambda: vnir.bind(name, [], {}),
        lambda: vnir.get(f"{name}.x"),
        lambda: vnir.special(name, "len", [], {}),
    ]


@pytest.mark.parametrize("name", ["gain", "openShutter", "lens", "lens.position", "temperature"])
@pytest.mark.parametrize("options", [{"expose": ["fps", "set*"]}, {"hide": ["[golt]*"]}])
def test_what_is_not_shared_is_refused_in_every_use(options: dict[str, Any], name: str) -> None:
    vnir = selected(**options)
    for use in uses(vnir, name):
        assert "is not shared by its server" in str(refusal_of(use))


def test_what_is_not_shared_is_not_touched() -> None:
    class Trap:
        secret = property(ran)
        fps = 1

    for use in uses(selected(Trap(), hide="secret"), "secret"):
        refusal_of(use)


def test_what_is_exposed_works_as_ever() -> None:
    vnir = selected(expose=["fps", "set*", "lens.focus", "shutter"])
    assert vnir.get("fps") == 10.0
    vnir.set("fps", 5.0)
    assert vnir.bind("setGain", [2], {})() == (2, 0)
    assert vnir.get("lens") == OBJECT
    assert vnir.get("lens.focus") == OBJECT
    assert vnir.bind("lens.focus.move", [3], {})() == 3
    assert vnir.bind("shutter", ["open"], {})() == "open"
    assert vnir.get("shutter.state") == "open"


def test_on_the_way_nothing_else_is_shared() -> None:
    camera = Camera()
    camera.error = Shutter()
    vnir = selected(camera, expose=["lens.focus", "fps.x", "error.state", "openShutter.x"])
    assert vnir.get("error") == OBJECT
    for use in (
        lambda: vnir.get("lens.position"),
        lambda: vnir.bind("lens.home", [], {}),
        lambda: vnir.get("fps"),
        lambda: vnir.set("fps", 1),
        lambda: vnir.bind("error", ["open"], {}),
        lambda: vnir.bind("openShutter", [], {}),
        lambda: vnir.get("openShutter"),
    ):
        assert "is not shared by its server" in str(refusal_of(use))


def test_what_is_hidden_is_neither_described_nor_suggested() -> None:
    vnir = selected(hide=["gain", "openShutter", "lens.position", "shutter"])
    document = vnir.describe()
    groups = ("methods", "x-attributes", "x-objects")
    names = {entry["name"] for group in groups for entry in document[group]}
    assert {"fps", "setGain", "lens"} <= names
    assert names.isdisjoint(["gain", "openShutter", "shutter"])
    nested = vnir.describe("lens")
    assert [entry["name"] for entry in nested["x-attributes"]] == []
    assert [entry["name"] for entry in nested["methods"]] == ["home"]
    assert refusal_of(lambda: vnir.get("gian")).data["suggestions"] == []
    assert "lens.position" not in refusal_of(lambda: vnir.get("lens.positio")).data["suggestions"]
    assert "openShutter" not in refusal_of(lambda: vnir.get("open Shutter")).data["suggestions"]


def test_with_expose_only_what_is_exposed_is_described() -> None:
    vnir = selected(expose=["fps", "lens.focus", "set*"])
    document = vnir.describe()
    assert [entry["name"] for entry in document["x-attributes"]] == ["fps", "setter_ran"]
    assert [entry["name"] for entry in document["methods"]] == ["setGain"]
    assert [entry["name"] for entry in document["x-objects"]] == ["lens"]
    assert vnir.describe("lens")["methods"] == []
    assert [entry["name"] for entry in vnir.describe("lens")["x-objects"]] == ["focus"]


def test_the_object_that_is_reached_again_by_another_way_is_still_the_same() -> None:
    camera = Camera()
    camera.lens.parent = camera  # type: ignore[attr-defined]
    vnir = selected(camera, hide=["gain", "lens.position"])
    assert vnir.get("lens.parent.fps") == 10.0
    for name in ("lens.parent.gain", "lens.parent.lens.position", "lens.parent.lens.parent.gain"):
        assert "not shared" in str(refusal_of(lambda name=name: vnir.get(name)))  # type: ignore[misc]
    assert "gain" not in str(refusal_of(lambda: vnir.get("lens.parent.gian")).data)
    narrow = selected(camera, expose="lens")
    assert narrow.get("lens.parent") == OBJECT
    refusal_of(lambda: narrow.get("lens.parent.fps"))


# --- classes --------------------------------------------------------------------------


def test_a_class_that_is_named_can_be_called() -> None:
    refusal_of(lambda: selected().bind("Mode", ["fast"], {}))
    vnir = selected(expose=["Mode", "fps"])
    assert vnir.get("Mode") == METHOD
    assert vnir.bind("Mode", ["fast"], {})() is Mode.FAST
    assert [entry["name"] for entry in vnir.describe()["methods"]] == ["Mode"]
    refusal_of(lambda: vnir.get("Mode.FAST"))
    refusal_of(lambda: vnir.set("Mode", 1))


@pytest.mark.parametrize("pattern", ["*", "Mo?e", "[M]ode"])
def test_a_pattern_names_no_class(pattern: str) -> None:
    assert "a class" in str(refusal_of(lambda: selected(expose=pattern).bind("Mode", ["fast"], {})))


def test_the_class_of_a_module_is_checked_like_a_function() -> None:
    lab = types.ModuleType("lab")

    class Stage:
        def __init__(self, axis: int) -> None:
            self.axis = axis

    Stage.__module__ = "lab"
    lab.Stage, lab.home = Stage, lambda: None  # type: ignore[attr-defined]
    shared = SharedObject(lab, "lab", Selection(expose="Stage"))
    assert shared.bind("Stage", [1], {})().axis == 1
    for args in ([], ["x"], [1, 2]):
        with pytest.raises(errors.InvalidParams):
            shared.bind("Stage", args, {})
    assert shared.describe()["methods"][0]["x-signature"].startswith("(axis: int)")


def test_a_module_can_be_narrowed() -> None:
    shared = SharedObject(math, "math", Selection(expose=["sin", "p*"], hide="pow"))
    assert shared.bind("sin", [0], {})() == 0.0
    assert shared.get("pi") == math.pi
    refusal_of(lambda: shared.bind("pow", [1, 2], {}))
    refusal_of(lambda: shared.bind("cos", [0], {}))


# --- special methods and readonly -----------------------------------------------------


def test_special_methods_are_selected_by_their_names() -> None:
    words = {"a": 1}
    narrow = SharedObject(words, "words", Selection(expose=["__getitem__", "__len__"]))
    assert narrow.describe()["x-special"] == ["len", "getitem"]
    assert narrow.special("", "getitem", ["a"], {})() == 1
    for name, args in (("setitem", ["a", 2]), ("iter", []), ("contains", ["a"])):
        refusal_of(lambda name=name, args=args: narrow.special("", name, args, {}))  # type: ignore[misc]
    refusal_of(lambda: narrow.bind("clear", [], {}))
    camera = Camera()
    camera.error = collections.deque()
    (rack,) = (
        entry
        for entry in selected(camera, hide="error.__len__").describe()["x-objects"]
        if entry["name"] == "error"
    )
    assert rack["x-special"][:5] == ["contains", "getitem", "setitem", "delitem", "iter"]
    hidden = SharedObject(words, "words", Selection(hide="__*item__"))
    assert hidden.describe()["x-special"][:4] == ["len", "contains", "iter", "or"]


def test_who_may_enter_may_leave() -> None:
    class Guarded:
        def __enter__(self) -> Guarded:
            return self

        def __exit__(self, *error: object) -> None:
            pass

    shared = SharedObject(Guarded(), "g", Selection(expose="__enter__"))
    assert shared.describe()["x-special"] == ["enter", "exit"]
    assert shared.special("", "enter", [], {})() == OBJECT
    assert shared.special("", "exit", [None, None, None], {})() is False


def test_readonly_refuses_every_set() -> None:
    camera = Camera()
    vnir = selected(camera, readonly=True)
    before = dict(camera.__dict__)
    for name in ("fps", "gain", "lens.position", "model"):
        assert "its server says" in str(refusal_of(lambda name=name: vnir.set(name, 1)))  # type: ignore[misc]
        assert vnir.get(name) is not None
    assert camera.__dict__ == before
    assert vnir.bind("openShutter", [], {})() == "open"
    assert not any(entry["writable"] for entry in vnir.describe()["x-attributes"])
    words = SharedObject({"a": 1}, "words", Selection(readonly=True))
    refusal_of(lambda: words.special("", "setitem", ["a", 2], {}))
    refusal_of(lambda: words.special("", "delitem", ["a"], {}))
    assert words.special("", "getitem", ["a"], {})() == 1


def test_one_object_is_described_for_each_server_by_itself() -> None:
    lens = Lens()
    assert SharedObject(lens, "a", Selection(readonly=True)).describe() is not None
    described = SharedObject(lens, "b").describe()["x-attributes"]
    assert described == [{"name": "position", "writable": True}]
