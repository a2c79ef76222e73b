"""What of an object others may reach, and how."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NoReturn

import numpy as np
import pytest

from promptness import prompt
from runmacs.roc import errors
from runmacs.roc.core.sharing import Refusal, SharedObject
from runmacs.roc.wire.values import Member
from specimens import Camera, Lens, Mode, Ran, outside, ran, refusal_of, shared

METHOD = Member("method")
OBJECT = Member("object")


# --- reading --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fps", 10.0),
        ("model", "VNIR"),
        ("counts", {"frames": 0}),
        ("gain", 1),
        ("temperature", 20.0),
        ("table", [1, 2, 3]),
        ("error", None),
        ("lens.position", 0),
        ("lens.focus.step", 1),
        ("objective.position", 0),
        ("shutter.state", "closed"),
        ("spare.position", 0),
        ("lens", OBJECT),
        ("lens.focus", OBJECT),
        ("objective", OBJECT),
        ("spare", OBJECT),
        ("toolbox", OBJECT),
        ("openShutter", METHOD),
        ("version", METHOD),
        ("family", METHOD),
        ("cached", METHOD),
        ("show", METHOD),
        ("preset", METHOD),
        ("sine", METHOD),
        ("hook", METHOD),
        ("increment", METHOD),
        ("shutter", OBJECT),
        ("converter", METHOD),
        ("lens.home", METHOD),
        ("lens.focus.move", METHOD),
    ],
)
def test_get_answers_values_and_says_what_the_rest_is(name: str, expected: object) -> None:
    assert shared().get(name) == expected


def test_attributes_that_appear_later_are_found() -> None:
    camera = Camera()
    vnir = shared(camera)
    refusal_of(lambda: vnir.get("exposure"))
    camera.exposure = 0.02  # type: ignore[attr-defined]
    assert vnir.get("exposure") == 0.02
    del camera.exposure  # type: ignore[attr-defined]
    assert "no public member 'exposure'" in str(refusal_of(lambda: vnir.get("exposure")))


def test_a_method_that_is_added_to_the_class_later_is_not_shared() -> None:
    class Late:
        pass

    late = shared(Late())
    Late.method = lambda self: 1  # type: ignore[attr-defined]
    refusal_of(lambda: late.bind("method", [], {}))


def test_an_instance_attribute_hides_that_of_its_class() -> None:
    camera = Camera()
    camera.model = "SWIR"
    assert shared(camera).get("model") == "SWIR"
    camera.openShutter = lambda: "mine"  # type: ignore[method-assign]
    assert shared(camera).bind("openShutter", [], {})() == "mine"


def test_nothing_of_an_instance_hides_a_property() -> None:
    camera = Camera()
    camera.__dict__["gain"] = 99
    assert shared(camera).get("gain") == 1


def test_inherited_members_are_shared_and_overridden_ones_count() -> None:
    class Special(Camera):
        temperature = 5.0
        openShutter = None  # type: ignore[assignment]

    special = shared(Special())
    assert special.get("temperature") == 5.0
    assert special.get("openShutter") is None
    assert special.get("gain") == 1


NOT_NAMES = [
    "",
    ".",
    "..",
    "a..b",
    ".fps",
    "fps.",
    "lens.",
    "_secret",
    "_gain",
    "__class__",
    "__dict__",
    "__init__",
    "lens._serial",
    "lens.__class__",
    "lens.__class__.__init__",
    "lens.__class__.__init__.__globals__",
    "openShutter.__globals__",
    "openShutter.__func__.__code__",
    "_secret.x",
    "_.fps",
    "lens focus",
    "fps ",
    " fps",
    "fps\n",
    "fps\0",
    "fps()",
    "counts['frames']",
    "lens/focus",
    "1fps",
    "lens.1",
    "*",
    "\ud800",
    "\N{FULLWIDTH LOW LINE}secret",
    "\N{WAVY LOW LINE}\N{WAVY LOW LINE}class\N{WAVY LOW LINE}\N{WAVY LOW LINE}",
    "lens\N{FULLWIDTH FULL STOP}_serial",
    "lens\N{ONE DOT LEADER}_serial",
]


class Forbidden:
    """Everything here runs code, except what is underscored or missing."""

    def __init__(self) -> None:
        self.lens = Lens()
        self.fps = 1.0

    prop = property(ran)
    _secret = property(ran)
    objective = property(ran)

    def __dir__(self) -> NoReturn:
        raise Ran

    def __setattr__(self, name: str, value: object) -> None:
        if name not in ("lens", "fps") or name in self.__dict__:
            raise Ran
        object.__setattr__(self, name, value)


@pytest.mark.parametrize("name", NOT_NAMES)
def test_what_is_no_public_name_is_refused_and_nothing_is_touched(name: str) -> None:
    for instance in (Camera(), Forbidden()):
        vnir = shared(instance)
        for call in (
            lambda vnir=vnir: vnir.get(name),
            lambda vnir=vnir: vnir.set(name, 1),
            lambda vnir=vnir: vnir.bind(name, [], {}),
            lambda vnir=vnir: vnir.describe(name) if name else vnir.get(name),
        ):
            assert "vnir" in str(refusal_of(call))


@pytest.mark.parametrize("name", ["objective._serial", "objective..home", "prop.__class__"])
def test_a_path_with_an_unsound_end_does_not_read_the_property_at_its_beginning(name: str) -> None:
    refusal_of(lambda: shared(Forbidden()).get(name))


@pytest.mark.parametrize(
    "call",
    [
        lambda vnir: vnir.get("prp"),
        lambda vnir: vnir.bind("prp", [], {}),
        lambda vnir: vnir.set("prp", 1),
        lambda vnir: vnir.set("prop", 1),
        lambda vnir: vnir.set("lens", 1),
        lambda vnir: vnir.bind("prop", [], {}),
        lambda vnir: vnir.bind("fps", [], {}),
        lambda vnir: vnir.bind("lens", [], {}),
        lambda vnir: vnir.get("fps.real"),
        lambda vnir: vnir.get("prp.x"),
        lambda vnir: vnir.describe("fps"),
        lambda vnir: vnir.describe("nothing"),
    ],
)
def test_a_refused_access_runs_no_code(call: Callable[[SharedObject], object]) -> None:
    refusal_of(lambda: call(shared(Forbidden())))


@pytest.mark.parametrize("name", [None, 3, ["fps"], b"fps", {"a": 1}])
def test_a_name_that_is_no_string_is_refused(name: Any) -> None:
    for call in (
        lambda: shared().get(name),
        lambda: shared().set(name, 1),
        lambda: shared().bind(name, [], {}),
    ):
        with pytest.raises(errors.InvalidParams):
            call()


def test_long_names_are_refused_with_a_short_sentence_and_at_once() -> None:
    vnir = shared()
    started = perf_counter()
    for name in ("x" * 10_000, "ä" * 10_000, "x" * 10_000_000, "lens." * 5_000 + "x", "." * 10_000):
        refused = refusal_of(lambda name=name: vnir.get(name))  # type: ignore[misc]
        assert len(str(refused)) < 400
    with prompt():
        assert perf_counter() - started < 2.0


def test_a_long_name_that_exists_is_reached() -> None:
    camera = Camera()
    setattr(camera, "x" * 10_000, 7)
    assert shared(camera).get("x" * 10_000) == 7


def test_names_may_be_of_any_script_and_are_read_as_python_reads_them() -> None:
    class Größen:
        temperatur_µ = 1

        def __init__(self) -> None:
            self.Δλ = 0.5
            self.カメラ = Lens()

        def öffnen(self) -> str:
            return "offen"

    vnir = shared(Größen())
    assert vnir.get("Δλ") == 0.5
    assert vnir.get("カメラ.position") == 0
    assert vnir.bind("öffnen", [], {})() == "offen"
    assert vnir.bind("o\N{COMBINING DIAERESIS}ffnen", [], {})() == "offen"
    assert vnir.get("temperatur_\N{MICRO SIGN}") == 1
    refused = refusal_of(lambda: vnir.get("カメラ.posi"))
    assert "カメラ.position" in refused.data["suggestions"]


def test_an_attribute_whose_name_python_could_not_write_is_not_offered() -> None:
    camera = Camera()
    camera.__dict__.update({"o\N{COMBINING DIAERESIS}x": 1, "with space": 1})
    vnir = shared(camera)
    refusal_of(lambda: vnir.get("o\N{COMBINING DIAERESIS}x"))
    offered = {entry["name"] for entry in vnir.describe()["x-attributes"]}
    assert offered.isdisjoint(["o\N{COMBINING DIAERESIS}x", "with space"])
    refusal_of(lambda: vnir.get("with space"))


# --- what a path may enter ------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "noun"),
    [
        ("numpy", "a module"),
        ("module", "a module"),
        ("Mode", "a class"),
        ("kind", "a class"),
        ("Alias", "a class"),
        ("OldAlias", "a class"),
        ("stream", "machinery"),
    ],
)
def test_modules_and_classes_cannot_be_reached(name: str, noun: str) -> None:
    vnir = shared()
    assert noun in str(refusal_of(lambda: vnir.get(name)))
    assert noun in str(refusal_of(lambda: vnir.bind(name, [], {})))
    assert noun in str(refusal_of(lambda: vnir.set(name, 1)))
    assert noun in str(refusal_of(lambda: vnir.get(name + ".x")))


@pytest.mark.parametrize(
    "name",
    [
        "numpy.load",
        "module.exit",
        "module.modules",
        "Mode.FAST",
        "kind.mro",
        "hook.func_globals",
        "openShutter.x",
        "cached.cache_clear",
        "increment.func",
        "fps.real",
        "fps.is_integer",
        "counts.clear",
        "model.upper",
        "table.append",
        "error.x",
        "stream.gi_frame",
        "stream.send",
    ],
)
def test_a_path_enters_objects_only(name: str) -> None:
    vnir = shared()
    for call in (
        lambda: vnir.get(name),
        lambda: vnir.set(name, 1),
        lambda: vnir.bind(name, [], {}),
        lambda: vnir.describe(name),
    ):
        assert "nothing inside it can be reached" in str(refusal_of(call))


def test_dataclasses_enums_and_named_tuples_are_values_and_not_entered() -> None:
    @dataclass
    class Settings:
        gain: int = 1

    camera = Camera()
    camera.error = Settings()
    assert shared(camera).get("error") == Settings()
    refusal_of(lambda: shared(camera).get("error.gain"))
    camera.error = Mode.FAST
    assert shared(camera).get("error") is Mode.FAST
    refusal_of(lambda: shared(camera).get("error.value"))


def test_a_shared_dataclass_itself_is_an_object() -> None:
    @dataclass(slots=True)
    class Stage:
        x: float = 0.0

        def move(self, x: float) -> None:
            self.x = x

    stage = shared(Stage(), "stage")
    stage.bind("move", [2.0], {})()
    stage.set("x", stage.get("x") + 1)
    assert stage.get("x") == 3.0


@pytest.mark.skipif(sys.platform == "win32", reason="there is no library without a name")
def test_a_loaded_library_is_a_module() -> None:
    camera = Camera()
    camera.error = ctypes.PyDLL(None)
    assert "a module" in str(refusal_of(lambda: shared(camera).get("error")))
    refusal_of(lambda: shared(camera).bind("error.system", [b"true"], {}))


def test_the_frame_behind_a_traceback_or_generator_cannot_be_reached() -> None:
    camera = Camera()
    camera.error = sys._getframe()
    refusal_of(lambda: shared(camera).get("error.f_back"))
    camera.error = (lambda: 0).__code__
    refusal_of(lambda: shared(camera).get("error"))


def test_functions_of_extension_modules_are_not_entered() -> None:
    """A ufunc stands for them: callable, implemented in C, with public attributes."""
    camera = Camera()
    camera.error = np.add
    vnir = shared(camera)
    assert vnir.get("error") == METHOD
    assert vnir.bind("error", [1, 2], {})() == 3
    refusal_of(lambda: vnir.bind("error.reduce", [[1, 2]], {}))


def test_a_way_in_circles_is_followed_but_not_for_ever() -> None:
    camera = Camera()
    camera.error = camera
    assert shared(camera).get("error.error.error.fps") == 10.0
    refusal_of(lambda: shared(camera).get("error." * 100 + "fps"))


# --- suggestions ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openShuter", "openShutter"),
        ("open_shutter", "openShutter"),
        ("OPENSHUTTER", "openShutter"),
        ("fsp", "fps"),
        ("_fps", "fps"),
        ("lenz", "lens"),
        ("lenz.focus", "lens"),
        ("lens.fokus", "lens.focus"),
        ("lens.focus.mov", "lens.focus.move"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(name: str, expected: str) -> None:
    for call in (
        lambda: shared().get(name),
        lambda: shared().set(name, 1),
        lambda: shared().bind(name, [], {}),
    ):
        refused = refusal_of(call)
        assert refused.data["suggestions"][0] == expected
        assert f"did you mean {expected!r}" in str(refused)


def test_what_cannot_be_reached_is_not_suggested() -> None:
    suggested = refusal_of(lambda: shared().get("modul")).data["suggestions"]
    assert "module" not in suggested
    assert "_secret" not in refusal_of(lambda: shared().get("secret")).data["suggestions"]


def test_among_ten_thousand_members_all_is_found_and_a_slip_answered_quickly() -> None:
    names = [f"channel{i}Value" for i in range(10_000)]
    Large = type("Large", (), {name: i for i, name in enumerate(names[:5_000])})
    large = Large()
    large.__dict__.update({name: i for i, name in enumerate(names) if i >= 5_000})
    vnir = shared(large)
    assert all(vnir.get(name) == i for i, name in enumerate(names))
    started = perf_counter()
    refused = refusal_of(lambda: vnir.get("chanel7000Value"))
    with prompt():
        assert perf_counter() - started < 1.0
    assert "channel7000Value" in refused.data["suggestions"]


# --- setting --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fps", "gain", "error", "table", "lens.position", "model"])
def test_attributes_are_set(name: str) -> None:
    camera = Camera()
    vnir = shared(camera)
    vnir.set(name, 5)
    assert vnir.get(name) == 5
    assert Camera.model == "VNIR"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fsp", "no public member"),
        ("lens.positoin", "no public member"),
        ("temperature", "not set"),
        ("openShutter", "a method"),
        ("version", "a method"),
        ("hook", "a method"),
        ("sine", "a method"),
        ("lens", "a nested object"),
        ("spare", "a nested object"),
        ("lens.home", "a method"),
    ],
)
def test_what_is_no_attribute_that_exists_is_not_set(name: str, reason: str) -> None:
    camera = Camera()
    before = dict(camera.__dict__)
    assert reason in str(refusal_of(lambda: shared(camera).set(name, 1)))
    assert camera.__dict__ == before


class Slots:
    __slots__ = ("_hidden", "callback", "lens", "x")
    constant = 3

    lens: Lens
    callback: Callable[[float], float]

    def __init__(self) -> None:
        self._hidden = 1


def test_slots() -> None:
    stage = Slots()
    shared_stage = shared(stage, "stage")
    assert "has no value yet" in str(refusal_of(lambda: shared_stage.get("x")))
    shared_stage.set("x", 2)
    assert shared_stage.get("x") == 2
    stage.lens = Lens()
    assert shared_stage.get("lens.position") == 0
    refusal_of(lambda: shared_stage.set("lens", 1))
    stage.callback = outside
    assert shared_stage.get("callback") == METHOD
    assert shared_stage.bind("callback", [1], {})() == 2
    refusal_of(lambda: shared_stage.get("_hidden"))
    refusal_of(lambda: shared_stage.set("y", 2))
    with pytest.raises(AttributeError, match="read-only") as caught:
        shared_stage.set("constant", 4)
    assert not isinstance(caught.value, Refusal)


def test_a_frozen_dataclass_says_itself_that_it_is_frozen() -> None:
    @dataclass(frozen=True)
    class Frozen:
        x: int = 1

    with pytest.raises(AttributeError, match="cannot assign to field 'x'") as caught:
        shared(Frozen()).set("x", 2)
    assert not isinstance(caught.value, Refusal)


# --- the author's own exceptions ------------------------------------------------------


def test_what_a_property_raises_comes_out_as_it_is() -> None:
    vnir = shared()
    for call, match in (
        (lambda: vnir.get("broken"), "no sensor"),
        (lambda: vnir.set("broken", 1), "no heater"),
        (lambda: vnir.get("broken.x"), "no sensor"),
    ):
        with pytest.raises(AttributeError, match=match) as caught:
            call()
        assert type(caught.value) is AttributeError
    with pytest.raises(ValueError, match="gain is positive"):
        vnir.set("gain", -1)


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(3), KeyboardInterrupt(), Ran()])
def test_a_property_may_raise_anything(error: BaseException) -> None:
    class Raising:
        @property
        def value(self) -> int:
            raise error

    with pytest.raises(type(error)) as caught:
        shared(Raising()).get("value")
    assert caught.value is error


def test_an_error_of_another_remote_object_can_be_told_from_our_refusal() -> None:
    class Relay:
        @property
        def value(self) -> int:
            raise errors.MethodNotFound("the other object has no such member")

    with pytest.raises(errors.MethodNotFound) as caught:
        shared(Relay()).get("value")
    assert not isinstance(caught.value, Refusal)


# --- caches do not grow for ever ------------------------------------------------------


def test_what_is_remembered_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runmacs.roc.core.members._CLASSES_KEPT", 10)
    monkeypatch.setattr("runmacs.roc.core.sharing._FITS_KEPT", 10)

    class Maker:
        def __getattr__(self, name: str) -> Any:
            if name.startswith("f"):
                return outside
            return type("Fresh", (), {"x": 1})()

    vnir = shared(Maker())
    for i in range(100):
        assert vnir.get(f"n{i}.x") == 1
        assert vnir.bind(f"f{i}", [1], {})() == 2
    assert len(vnir._offers) <= 10
    assert len(vnir._fits) <= 10


def test_iterating_is_not_reading() -> None:
    """A shared iterator is not advanced by being looked at."""

    def numbers() -> Iterator[int]:
        yield from range(3)

    camera = Camera()
    camera.error = iterator = numbers()
    refusal_of(lambda: shared(camera).get("error"))
    assert list(iterator) == [0, 1, 2]
