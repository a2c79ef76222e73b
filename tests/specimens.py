"""Objects to share in tests: a camera with a member of every sort, and traps."""

from __future__ import annotations

import enum
import functools
import math
import subprocess
import sys
import types
import typing
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

import numpy as np
import pytest

from runmacs.roc import errors
from runmacs.roc.core.sharing import MemberRefused, SharedObject


class Ran(BaseException):
    """Code of the author's was run where none may be."""


def ran(*args: object, **kwargs: object) -> NoReturn:
    raise Ran


class Focus:
    """Nested twice."""

    def __init__(self) -> None:
        self.step = 1

    def move(self, steps: int) -> int:
        return steps * self.step


class Lens:
    """Nested once."""

    def __init__(self) -> None:
        self.focus = Focus()
        self.position = 0
        self._serial = "A7"

    def home(self) -> str:
        return "home"


class Mode(enum.Enum):
    FAST = "fast"


class Shutter:
    """An object that can be called, and has members as well."""

    state = "closed"

    def __call__(self, state: str) -> str:
        self.state = state
        return state


def outside(x: float) -> float:
    return x + 1


class Camera:
    """A camera with a member of every sort."""

    model = "VNIR"
    Mode = Mode
    Alias = subprocess.Popen[bytes]
    OldAlias = typing.List[int]  # noqa: UP006
    numpy = np
    counts: ClassVar[dict[str, int]] = {"frames": 0}
    spare = Lens()
    half = functools.partial(round, ndigits=1) if sys.version_info < (3, 13) else 0
    sine = math.sin

    def __init__(self) -> None:
        self.fps = 10.0
        self.lens = Lens()
        self.shutter = Shutter()
        self.hook = outside
        self.increment = functools.partial(lambda step, x: x + step, 3)
        self.error: object = None
        self.toolbox = types.SimpleNamespace()
        self._gain = 1
        self._secret = "s"
        self.module = sys
        self.kind = Mode
        self.stream = (n for n in range(3))
        self.setter_ran = 0

    def openShutter(self) -> str:
        return "open"

    def setGain(self, gain: int, *, channel: int = 0) -> tuple[int, int]:
        return gain, channel

    def anything(self, /, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        return args, kwargs

    def options(self, **options: Any) -> dict[str, Any]:
        return options

    @staticmethod
    def version(part: int = 0) -> int:
        return part

    @classmethod
    def family(cls, suffix: str) -> str:
        return cls.__name__ + suffix

    @property
    def gain(self) -> int:
        """The gain."""
        return self._gain

    @gain.setter
    def gain(self, value: int) -> None:
        if value < 0:
            raise ValueError("gain is positive")
        self._gain = value

    @property
    def temperature(self) -> float:
        return 20.0

    @property
    def broken(self) -> float:
        raise AttributeError("no sensor")

    @broken.setter
    def broken(self, value: float) -> None:
        raise AttributeError("no heater")

    @property
    def objective(self) -> Lens:
        return self.lens

    @property
    def converter(self) -> Callable[[float], float]:
        return outside

    @functools.cached_property
    def table(self) -> list[int]:
        return [1, 2, 3]

    @functools.lru_cache  # noqa: B019
    def cached(self, x: int) -> int:
        return x * 2

    @functools.singledispatchmethod
    def show(self, what: object) -> str:
        return "object"

    @show.register
    def _(self, what: int) -> str:
        return "int"

    preset = functools.partialmethod(setGain, 5)

    def __str__(self) -> str:
        raise Ran


def shared(instance: object | None = None, object_id: str = "vnir") -> SharedObject:
    return SharedObject(Camera() if instance is None else instance, object_id)


def refusal_of(call: Callable[[], object]) -> MemberRefused:
    with pytest.raises(MemberRefused) as caught:
        call()
    assert isinstance(caught.value, errors.MethodNotFound)
    assert isinstance(caught.value, AttributeError)
    assert caught.value.executed is False
    assert isinstance(caught.value.data["suggestions"], list)
    return caught.value


def hostile_object() -> Any:
    """Made when it is needed: pytest looks at classes that stand in a module."""

    class HostileMeta(type):
        __hash__ = None  # type: ignore[assignment]

        def __eq__(cls, other: object) -> NoReturn:
            raise Ran

        def __getattribute__(cls, name: str) -> Any:
            raise Ran

        def __instancecheck__(cls, instance: object) -> NoReturn:
            raise Ran

        def __subclasscheck__(cls, subclass: type) -> NoReturn:
            raise Ran

        def __dir__(cls) -> NoReturn:
            raise Ran

    class Hostile(metaclass=HostileMeta):
        """Whatever can be run on the way, runs; only what is asked for may."""

        __class__ = property(ran)
        __doc__ = property(ran)
        __dir__ = ran
        __repr__ = ran
        __eq__ = ran
        __hash__ = ran
        __bool__ = ran
        __len__ = ran
        __iter__ = ran
        __signature__ = property(ran)
        __wrapped__ = property(ran)
        __annotations__ = property(ran)
        prop = property(ran)
        fps = 10.0

        def method(self, x: int) -> int:
            return x

    return Hostile()
