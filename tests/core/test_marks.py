"""Marks: what the authors of classes want to be shared."""

from __future__ import annotations

import functools
import math
import operator
import types
from dataclasses import dataclass
from typing import Any

import pytest

from runmacs.roc.core.selection import Selection
from runmacs.roc.core.sharing import SharedObject
from runmacs.roc.marks import exposed, hidden, readonly
from runmacs.roc.wire.values import Member
from specimens import refusal_of, shared


@exposed("fps", "lens")
@readonly("lens", "ser*")
class Marked:
    """Only what is exposed is shared."""

    serial = exposed("nothing")  # a decorator for classes, and no mark: not shared
    cosine = math.cos

    def __init__(self) -> None:
        self.fps = 10.0
        self.lens = Lens()
        self.gain = 1

    @exposed
    def start(self) -> str:
        return "started"

    def stop(self) -> str:
        return "stopped"

    @exposed  # type: ignore[prop-decorator]
    @property
    def temperature(self) -> float:
        return 20.0

    @property
    @exposed
    def humidity(self) -> float:
        return 0.5

    @humidity.setter
    def humidity(self, value: float) -> None:
        pass

    @exposed  # type: ignore[prop-decorator]
    @readonly
    @property
    def pressure(self) -> float:
        return 1.0

    @pressure.setter
    def pressure(self, value: float) -> None:
        raise AssertionError

    @exposed
    @staticmethod
    def version() -> int:
        return 3

    @exposed
    @classmethod
    def family(cls) -> str:
        return cls.__name__

    @exposed  # type: ignore[prop-decorator]
    @functools.cached_property
    def table(self) -> list[int]:
        return [1]

    half = exposed(functools.partialmethod(pow, 2))

    @exposed
    class Mode:
        def __init__(self, name: str) -> None:
            self.name = name

    class Other:
        pass

    @exposed
    def __len__(self) -> int:
        return 3

    def __getitem__(self, key: str) -> str:
        return key


@hidden("secret", "raw*")
class Lens:
    """All is shared but what is hidden."""

    def __init__(self) -> None:
        self.position = 0
        self.secret = 1
        self.raw_counts = [1]

    def move(self) -> str:
        return "moved"

    @hidden
    def calibrate(self) -> None:
        raise AssertionError

    @hidden  # type: ignore[prop-decorator]
    @property
    def voltage(self) -> float:
        raise AssertionError

    @hidden
    def __call__(self) -> None:
        raise AssertionError


def names_of(shared_object: SharedObject, path: str = "") -> set[str]:
    document = shared_object.describe(path)
    groups = ("methods", "x-attributes", "x-objects")
    return {entry["name"] for group in groups for entry in document[group]}


def test_only_what_is_exposed_is_shared() -> None:
    vnir = shared(Marked())
    assert vnir.bind("start", [], {})() == "started"
    assert vnir.get("temperature") == 20.0
    assert vnir.get("humidity") == 0.5
    assert vnir.bind("version", [], {})() == 3
    assert vnir.bind("family", [], {})() == "Marked"
    assert vnir.get("table") == [1]
    assert vnir.get("fps") == 10.0
    assert vnir.get("lens.position") == 0
    assert vnir.get("half") == Member("method")
    for name in ("stop", "gain", "serial", "cosine", "Other"):
        for use in (
            lambda name=name: vnir.get(name),
            lambda name=name: vnir.set(name, 1),
            lambda name=name: vnir.bind(name, [], {}),
        ):
            assert "no public member" in str(refusal_of(use))
    exposed_names = {"start", "temperature", "humidity", "pressure", "version", "family", "table"}
    assert names_of(vnir) == exposed_names | {"fps", "lens", "half", "Mode"}


def test_all_is_shared_but_what_is_hidden() -> None:
    vnir = shared(Lens())
    assert vnir.bind("move", [], {})() == "moved"
    assert names_of(vnir) == {"position", "move"}
    for name in ("secret", "raw_counts", "calibrate", "voltage"):
        assert "no public member" in str(refusal_of(lambda name=name: vnir.get(name)))  # type: ignore[misc]
        refusal_of(lambda name=name: vnir.set(name, 1))  # type: ignore[misc]


def test_special_methods_take_part() -> None:
    assert shared(Marked()).describe()["x-special"] == ["len"]
    assert shared(Lens()).describe()["x-special"] == []
    refusal_of(lambda: shared(Lens()).special("", "call", [], {}))
    refusal_of(lambda: shared(Marked()).special("", "getitem", ["a"], {}))


def test_marks_hold_on_every_way_to_the_object() -> None:
    marked = Marked()
    marked.lens.other = marked.lens  # type: ignore[attr-defined]
    vnir = shared(marked)
    for name in ("lens.secret", "lens.other.secret", "lens.other.other.calibrate"):
        refusal_of(lambda name=name: vnir.get(name))  # type: ignore[misc]


def test_a_class_that_is_marked_can_be_called() -> None:
    vnir = shared(Marked())
    assert vnir.get("Mode") == Member("method")
    assert vnir.bind("Mode", ["fast"], {})().name == "fast"
    refusal_of(lambda: vnir.bind("Other", [], {}))


def test_readonly_members_are_read_but_not_set() -> None:
    marked = Marked()
    vnir = shared(marked)
    assert vnir.get("pressure") == 1.0
    assert "its class says" in str(refusal_of(lambda: vnir.set("pressure", 2.0)))
    vnir.set("humidity", 0.4)
    vnir.set("fps", 5.0)
    writable = {e["name"]: e["writable"] for e in vnir.describe()["x-attributes"]}
    assert writable["pressure"] is False
    assert writable["humidity"] is True
    assert writable["fps"] is True


def test_a_class_can_be_read_only_as_a_whole() -> None:
    @readonly
    class Gauge:
        offset = 1

        def __init__(self) -> None:
            self.value = 3

    class Better(Gauge):
        pass

    for gauge in (Gauge(), Better()):
        refusal_of(lambda gauge=gauge: shared(gauge).set("value", 4))  # type: ignore[misc]
        refusal_of(lambda gauge=gauge: shared(gauge).set("offset", 4))  # type: ignore[misc]
        assert shared(gauge).get("value") == 3


def test_a_method_that_overrides_keeps_the_mark_of_its_name() -> None:
    class Special(Marked):
        def start(self) -> str:
            return "specially"

        @hidden
        def family(self) -> str:  # type: ignore[override]
            return "hidden"

        def added(self) -> None:
            pass

    vnir = shared(Special())
    assert vnir.bind("start", [], {})() == "specially"
    refusal_of(lambda: vnir.bind("family", [], {}))
    refusal_of(lambda: vnir.bind("added", [], {}))

    class Open(Lens):
        def calibrate(self) -> None:
            pass

        @exposed
        def reset(self) -> str:
            return "reset"

    lens = shared(Open())
    assert names_of(lens) == {"reset"}


def test_marks_survive_decorators_and_dataclasses() -> None:
    def logged(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return function(*args)

        return wrapper

    @exposed("x")
    @dataclass(slots=True)
    class Stage:
        x: float = 0.0
        y: float = 0.0

        @logged
        @exposed
        def home(self) -> str:
            return "home"

        def away(self) -> None:
            pass

    stage = shared(Stage())
    assert stage.bind("home", [], {})() == "home"
    assert names_of(stage) == {"x", "home"}


def test_attributes_found_by_getattr_are_selected_too() -> None:
    @exposed("channel*")
    class Dynamic:
        def __getattr__(self, name: str) -> int:
            return 7

    dynamic = shared(Dynamic())
    assert dynamic.get("channel3") == 7
    refusal_of(lambda: dynamic.get("other"))


def test_functions_of_a_module_are_marked() -> None:
    lab = types.ModuleType("lab")

    def start() -> str:
        return "started"

    def stop() -> None:
        pass

    start.__module__ = stop.__module__ = "lab"
    lab.start, lab.stop = exposed(start), stop  # type: ignore[attr-defined]
    module = SharedObject(lab, "lab")
    assert module.bind("start", [], {})() == "started"
    refusal_of(lambda: module.bind("stop", [], {}))


def test_a_class_that_is_shared_itself_keeps_its_marks() -> None:
    marked = SharedObject(Marked, "marked")
    assert marked.bind("version", [], {})() == 3
    refusal_of(lambda: marked.get("cosine"))


def test_a_server_narrows_further_but_never_widens() -> None:
    vnir = SharedObject(Marked(), "vnir", Selection(expose=["start", "stop"]))
    assert vnir.bind("start", [], {})() == "started"
    refusal_of(lambda: vnir.bind("stop", [], {}))
    refusal_of(lambda: vnir.get("fps"))


def test_what_is_hidden_and_exposed_is_hidden() -> None:
    @hidden("x")
    @exposed("x", "y")
    class Both:
        def __init__(self) -> None:
            self.x = self.y = 1

        @exposed
        @hidden
        def reset(self) -> None:
            pass

    assert names_of(shared(Both())) == {"y"}


def test_a_property_with_both_its_functions_is_marked_whole() -> None:
    class Supply:
        volts = exposed(property(lambda self: 3, lambda self, value: None))
        only_set = exposed(property(None, lambda self, value: None))
        amps = property(lambda self: 1)

    supply = shared(Supply())
    assert names_of(supply) == {"volts", "only_set"}
    supply.set("only_set", 1)
    refusal_of(lambda: supply.get("amps"))


def test_marking_changes_nothing_else() -> None:
    def function() -> None:
        pass

    assert exposed(function) is function
    assert hidden(Lens) is Lens
    assert isinstance(vars(Marked)["temperature"], property)


@pytest.mark.parametrize(
    "mark",
    [
        lambda: exposed(math.sin),
        lambda: hidden(3),
        lambda: readonly(property(operator.attrgetter("x"))),
        lambda: exposed("fps")(lambda: None),  # type: ignore[type-var]
        lambda: exposed("fps", 3)(Lens),  # type: ignore[call-overload]
        lambda: exposed("")(Lens),
        lambda: exposed(Lens, "fps"),  # type: ignore[call-overload]
        lambda: exposed(None),
    ],
)
def test_what_cannot_be_marked_is_an_error_that_says_so(mark: Any) -> None:
    with pytest.raises(TypeError, match=r"@(exposed|hidden|readonly)"):
        mark()
