"""What unusual classes offer, and classes and modules that are shared themselves."""

from __future__ import annotations

import functools
import sys
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NoReturn

import psutil
import pytest

from runmacs.roc.core.sharing import ArgumentsRefused, Refusal
from runmacs.roc.wire.values import Member
from specimens import Camera, Lens, Ran, hostile_object, outside, ran, refusal_of, shared

METHOD = Member("method")
OBJECT = Member("object")


# --- unusual classes ------------------------------------------------------------------


class Dynamic:
    """Finds its attributes when it is asked for them."""

    def __init__(self) -> None:
        self.plain = 1
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise Ran
        self.asked.append(name)
        if name == "volts":
            return 5.0
        if name == "read":
            return outside
        if name == "nested":
            return Lens()
        if name == "system":
            return sys
        if name == "bug":
            raise ZeroDivisionError
        raise AttributeError(name)


def test_a_class_with_getattr_is_asked_for_public_names() -> None:
    dynamic = Dynamic()
    vnir = shared(dynamic)
    assert vnir.get("plain") == 1
    assert vnir.get("volts") == 5.0
    assert vnir.get("read") == METHOD
    assert vnir.bind("read", [1], {})() == 2
    assert vnir.get("nested.position") == 0
    vnir.set("volts", 6.0)
    assert vnir.get("volts") == 6.0
    assert "a module" in str(refusal_of(lambda: vnir.get("system")))
    assert "'plain'" in str(refusal_of(lambda: vnir.get("plane")))
    refusal_of(lambda: vnir.set("nothing", 1))
    assert "nothing" not in dynamic.__dict__
    with pytest.raises(ZeroDivisionError):
        vnir.get("bug")


def test_getattr_stands_in_for_a_slot_without_value() -> None:
    class Slotted:
        __slots__ = ("later",)

        def __getattr__(self, name: str) -> int:
            return 7

    assert shared(Slotted()).get("later") == 7


@pytest.mark.parametrize("name", ["_x", "__class__", "nested._serial", "volts.", "a..b"])
def test_getattr_is_not_asked_for_what_is_not_public(name: str) -> None:
    dynamic = Dynamic()
    refusal_of(lambda: shared(dynamic).get(name))
    assert dynamic.asked == []


def test_an_object_that_runs_code_wherever_it_can() -> None:
    hostile = hostile_object()
    holder = types.SimpleNamespace(hostile=hostile)
    for vnir, before in ((shared(hostile), ""), (shared(holder), "hostile.")):
        assert vnir.get(before + "fps") == 10.0
        assert vnir.get(before + "method") == METHOD
        assert vnir.bind(before + "method", [3], {})() == 3
        with pytest.raises(ArgumentsRefused):
            vnir.bind(before + "method", [], {})
        for name in ("methd", "_x", "__class__", "prp", "fps.real"):
            refusal_of(lambda vnir=vnir, name=before + name: vnir.get(name))  # type: ignore[misc]
        refusal_of(lambda vnir=vnir, before=before: vnir.set(before + "prop", 1))  # type: ignore[misc]
        vnir.set(before + "fps", 10.0)
    assert shared(holder).get("hostile") == OBJECT
    refusal_of(lambda: shared(holder).set("hostile", 1))


def test_a_class_that_says_it_is_something_else() -> None:
    class Liar:
        fps = 1

        def __init__(self, claim: type) -> None:
            self._claim = claim

        @property
        def __class__(self) -> Any:
            return self._claim

        @__class__.setter
        def __class__(self, value: type) -> None: ...

    for claim in (int, types.ModuleType, types.FunctionType, type):
        vnir = shared(types.SimpleNamespace(liar=Liar(claim)))
        assert vnir.get("liar") == OBJECT
        assert vnir.get("liar.fps") == 1


def test_an_instance_dictionary_that_is_a_trap() -> None:
    class Trap:
        __dict__ = property(ran)
        fps = 1

    vnir = shared(Trap())
    assert vnir.get("fps") == 1
    refusal_of(lambda: vnir.get("anything"))

    class Borrowed:
        __dict__ = vars(types.SimpleNamespace)["__dict__"]
        fps = 1

    assert shared(Borrowed()).get("fps") == 1
    refusal_of(lambda: shared(Borrowed()).get("anything"))


def test_a_getattribute_of_its_own_is_honoured_for_what_is_shared() -> None:
    class Proxying:
        fps = 1
        __slots__ = ("hidden", "slot")

        def __getattribute__(self, name: str) -> Any:
            if name == "fps":
                return 2
            if name == "slot":
                raise AttributeError("not connected")
            raise Ran

    vnir = shared(Proxying())
    assert vnir.get("fps") == 2
    with pytest.raises(AttributeError, match="not connected") as caught:
        vnir.get("slot")
    assert not isinstance(caught.value, Refusal)
    refusal_of(lambda: vnir.get("other"))


def test_descriptors_of_other_frameworks() -> None:
    class Signal:
        """A data descriptor, as instrument frameworks have them."""

        def __init__(self, value: object) -> None:
            self.value = value

        def __get__(self, instance: object, owner: type) -> object:
            return self.value

        def __set__(self, instance: object, value: object) -> None:
            self.value = value

        def __call__(self) -> NoReturn:
            raise Ran

    class Fixed:
        """A data descriptor that can only be read."""

        def __get__(self, instance: object, owner: type) -> int:
            return 4

        def __delete__(self, instance: object) -> None: ...

    class Command:
        """A descriptor that makes a method."""

        def __init__(self, function: Callable[..., Any]) -> None:
            self.function = function

        def __get__(self, instance: object, owner: type) -> Callable[..., Any]:
            return functools.partial(self.function, instance)

        def __call__(self, *args: Any) -> Any:
            raise Ran

    class Device:
        level = Signal(1)
        lens = Signal(Lens())
        fixed = Fixed()

        @Command
        def move(self, x: int) -> int:
            return x

    vnir = shared(Device())
    assert vnir.get("level") == 1
    vnir.set("level", 2)
    assert vnir.get("level") == 2
    assert vnir.get("lens.position") == 0
    assert vnir.get("fixed") == 4
    refusal_of(lambda: vnir.set("fixed", 5))
    assert vnir.get("move") == METHOD
    assert vnir.bind("move", [3], {})() == 3
    with pytest.raises(ArgumentsRefused):
        vnir.bind("move", [], {})


def test_wrappers_that_wrap_themselves() -> None:
    def loop(self: object, x: int) -> int:
        return x

    loop.__wrapped__ = loop  # type: ignore[attr-defined]

    def liar(self: object, x: int) -> int:
        return x

    liar.__signature__ = "nonsense"  # type: ignore[attr-defined]

    Odd = type("Odd", (), {"loop": loop, "liar": liar})
    odd = shared(Odd())
    for name in ("loop", "liar"):
        assert odd.bind(name, [1], {})() == 1
        with pytest.raises(ArgumentsRefused):
            odd.bind(name, [], {})


def test_abstract_and_generic_bases_offer_nothing_of_their_own() -> None:
    T = typing.TypeVar("T")

    class Base(ABC, typing.Generic[T]):
        @abstractmethod
        def read(self) -> T: ...

    class Reader(Base[int]):
        def read(self) -> int:
            return 1

    vnir = shared(Reader())
    assert vnir.bind("read", [], {})() == 1
    refusal_of(lambda: vnir.bind("register", [int], {}))
    refusal_of(lambda: vnir.get("mro"))


def test_an_instance_that_changes_its_class_is_looked_at_again() -> None:
    class Closed:
        def open(self) -> str:
            return "opening"

    class Opened:
        def close(self) -> str:
            return "closing"

    door: Any = Closed()
    vnir = shared(door)
    vnir.bind("open", [], {})
    door.__class__ = Opened
    refusal_of(lambda: vnir.bind("open", [], {}))
    assert vnir.bind("close", [], {})() == "closing"


# --- classes and modules that are shared themselves -----------------------------------


def test_a_class_that_is_shared_itself() -> None:
    camera = shared(Camera, "camera")
    assert camera.get("model") == "VNIR"
    assert camera.bind("version", [2], {})() == 2
    assert camera.bind("family", ["X"], {})() == "CameraX"
    assert camera.get("spare.position") == 0
    for name in ("gain", "mro", "Mode", "table", "numpy"):
        refusal_of(lambda name=name: camera.get(name))  # type: ignore[misc]


def test_psutil() -> None:
    host = shared(psutil, "host")
    assert host.bind("cpu_count", [], {})() == psutil.cpu_count()
    assert host.bind("virtual_memory", [], {})().total > 0
    assert host.get("LINUX") is psutil.LINUX
    assert host.get("version_info") == psutil.version_info
    for name in ("os", "sys", "subprocess", "os.system", "sys.modules", "_psplatform", "_common"):
        assert hasattr(psutil, name.partition(".")[0])
        refusal_of(lambda name=name: host.get(name))  # type: ignore[misc]
        refusal_of(lambda name=name: host.bind(name, ["true"], {}))  # type: ignore[misc]
    assert "a class" in str(refusal_of(lambda: host.bind("Process", [], {})))
    assert "a class" in str(refusal_of(lambda: host.bind("Popen", [["true"]], {})))


def module(source: str) -> types.ModuleType:
    made = types.ModuleType("station", "A weather station.")
    exec(source, made.__dict__)
    return made


PLAIN_MODULE = """
import os
import subprocess as sp
from os import system, path, getcwd as cwd
from math import sin
from threading import Lock
limit = 5
names = ["a"]
lock = Lock()
_private = 1
def read(channel): return channel
def _helper(): pass
class Thing:
    x = 1
thing = Thing()
"""


def test_a_module_without_all_offers_what_it_defines_itself() -> None:
    station = shared(module(PLAIN_MODULE), "station")
    assert station.bind("read", [3], {})() == 3
    assert station.get("limit") == 5
    assert station.get("names") == ["a"]
    assert station.get("thing") == OBJECT
    assert station.get("thing.x") == 1
    station.set("limit", 6)
    assert station.get("limit") == 6
    for name in ("os", "sp", "path", "system", "cwd", "sin", "Lock", "lock", "_private", "_helper"):
        refusal_of(lambda name=name: station.get(name))  # type: ignore[misc]
        refusal_of(lambda name=name: station.bind(name, [], {}))  # type: ignore[misc]
    assert "a class" in str(refusal_of(lambda: station.get("Thing")))
    refusal_of(lambda: station.set("os", 1))


def test_a_module_offers_its_all() -> None:
    station = shared(
        module(PLAIN_MODULE + "__all__ = ['cwd', 'sp', 'read', '_helper', 'later', 3]"), "station"
    )
    assert station.get("cwd") == METHOD
    assert station.bind("read", [1], {})() == 1
    assert "a module" in str(refusal_of(lambda: station.get("sp")))
    for name in ("limit", "thing", "_helper", "later", "os"):
        refusal_of(lambda name=name: station.get(name))  # type: ignore[misc]


def test_a_module_may_load_what_it_lists_and_nothing_else() -> None:
    lazy = module(
        "__all__ = ['late', 'other']\n"
        "asked = []\n"
        "def __getattr__(name):\n"
        "    asked.append(name)\n"
        "    if name == 'late': return 7\n"
        "    raise AttributeError(name)\n"
    )
    station = shared(lazy, "station")
    assert station.get("late") == 7
    refusal_of(lambda: station.get("other"))
    refusal_of(lambda: station.get("asked"))
    refusal_of(lambda: station.get("anything"))
    assert lazy.__dict__["asked"] == ["late", "other"]
