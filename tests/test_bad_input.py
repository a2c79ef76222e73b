"""What users and their objects get wrong: a clear answer each time, and the next call works."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from desk import Desk
from promptness import prompt
from runmacs.roc import RocClient, errors
from waiting import wait_until

SLACK = 0.25
"""Seconds that a call may end later than its timeout."""


@pytest.fixture
def desk() -> Iterator[Desk]:
    with Desk() as desk:
        yield desk


class Camera:
    """Much can go wrong with it."""

    def __init__(self) -> None:
        self.fps = 10.0
        self.lens: Any = Lens()
        self.bodies = 0
        self.slow = threading.Event()
        self._entered = threading.Event()

    def expose(self, seconds: float, frames: int = 1, *, dark: bool = False) -> list[Any]:
        self.bodies += 1
        return [seconds, frames, dark]

    def note(self, text: str, notes: list[str] = []) -> list[str]:  # noqa: B006
        notes.append(text)
        return notes

    def odd(this, self: int, *, cls: str = "") -> list[Any]:
        return [self, cls]

    @property
    def raises(self) -> float:
        raise OSError(5, "no sensor")

    @property
    def minute(self) -> float:
        self._entered.set()
        self.slow.wait(60)
        return 1.0

    @property
    def gain(self) -> int:
        return 1

    @gain.setter
    def gain(self, value: int) -> None:
        raise ValueError(f"gain {value} is not possible")


class Lens:
    def __init__(self) -> None:
        self.position = 0


# --- arguments ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "kwargs", "part"),
    [
        (["0.1"], {}, "'seconds' takes float, not str"),
        ([True], {}, "'seconds' takes float, not bool"),
        ([0.1, 1.5], {}, "'frames' takes int, not float"),
        ([0.1], {"dark": 1}, "'dark' takes bool, not int"),
        ([None], {}, "'seconds' takes float, not None"),
        ([{"a": 1}], {}, "'seconds' takes float, not dict"),
        ([], {}, "'seconds' is missing"),
        ([1, 2, 3], {}, "3 positional arguments are 1 too many"),
        ([1], {"seconds": 2}, "'seconds' is given twice"),
        ([1], {"drak": True}, "no parameter 'drak' (did you mean 'dark'?)"),
        ([1], {"self": 1}, "'self' is the object itself"),
        ([1], {"": 1}, "no parameter ''"),
    ],
)
def test_wrong_missing_and_surplus_arguments(
    desk: Desk, args: list[Any], kwargs: dict[str, Any], part: str
) -> None:
    camera = Camera()
    vnir = desk.share(camera)
    with pytest.raises(TypeError) as caught:
        vnir.expose(*args, **kwargs)
    assert isinstance(caught.value, errors.InvalidParams)
    assert caught.value.executed is False
    assert part in str(caught.value)
    assert "(seconds: float, frames: int = 1, *, dark: bool = False)" in str(caught.value)
    assert camera.bodies == 0
    assert vnir.expose(1, 2, dark=True) == [1, 2, True]


def test_a_mutable_default_is_shared_by_all_calls_as_in_python(desk: Desk) -> None:
    vnir = desk.share(Camera())
    assert vnir.note("a") == ["a"]
    assert vnir.note("b") == ["a", "b"]
    assert vnir.note("c", []) == ["c"]
    assert "notes: list[str] = [" in str(vnir.note.__signature__)


def test_an_argument_may_be_called_self(desk: Desk) -> None:
    vnir = desk.share(Camera())
    assert vnir.odd(3) == [3, ""]
    assert vnir.odd(self=3, cls="x") == [3, "x"]
    with pytest.raises(errors.InvalidParams, match="'this' is the object itself"):
        vnir.odd(3, this=1)


# --- properties -----------------------------------------------------------------------


def test_a_property_that_raises(desk: Desk) -> None:
    vnir = desk.share(Camera())
    with pytest.raises(OSError, match="no sensor") as caught:
        vnir.raises  # noqa: B018
    assert caught.value.errno == 5
    assert "in raises" in caught.value.remote_traceback  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="gain 3 is not possible"):
        vnir.gain = 3
    assert vnir.gain == 1
    with pytest.raises(errors.MethodNotFound, match="can be read, but not set"):
        vnir.raises = 3


def test_a_property_that_takes_a_minute(desk: Desk) -> None:
    camera = Camera()
    desk.serve(camera)
    hurried: Any = desk.connect(timeout=0.3)["vnir"]
    begun = time.monotonic()
    with pytest.raises(errors.CallTimeout) as caught:
        hurried.minute  # noqa: B018
    with prompt():
        assert time.monotonic() - begun < 0.3 + SLACK
    with prompt():
        assert camera._entered.is_set()
    # Meanwhile the server lives and says so; what is asked of it waits.
    desk.client.wait_for("vnir")
    with pytest.raises(errors.CallTimeout) as waiting:
        hurried.fps  # noqa: B018
    with prompt():
        assert [error.value.executed for error in (caught, waiting)] == [None, False]
    camera.slow.set()
    assert desk.client["vnir"].fps == 10.0
    assert desk.client["vnir"].minute == 1.0


def test_an_attribute_that_disappears(desk: Desk) -> None:
    camera = Camera()
    vnir = desk.share(camera)
    lens, expose = vnir.lens, vnir.expose
    assert (vnir.fps, lens.position) == (10.0, 0)
    del camera.fps, camera.lens
    uses: list[Callable[[], object]] = [
        lambda: vnir.fps,
        lambda: lens.position,
        lambda: vnir.lens.position,
    ]
    for use in uses:
        with pytest.raises(errors.MethodNotFound, match="no public member") as caught:
            use()
        assert isinstance(caught.value, AttributeError)
    with pytest.raises(errors.MethodNotFound):
        vnir.fps = 3
    assert not hasattr(vnir, "fps")
    camera.fps = 5.0
    camera.lens = 50
    assert vnir.fps == 5.0
    assert expose(1.0) == [1.0, 1, False]


# --- objects that call each other -----------------------------------------------------


class Station:
    """Passes a question on to the other station, which passes it back."""

    def __init__(self, client: RocClient, other: str) -> None:
        self._other = client.proxy(other, timeout=0.5)

    def ask(self, depth: int) -> int:
        return depth if depth == 0 else int(self._other.ask(depth - 1)) + 1


@prompt()  # each waits for half a second only
def test_two_objects_that_call_each_other_in_a_circle(desk: Desk) -> None:
    for own, other in (("a", "b"), ("b", "a")):
        desk.serve(Station(desk.connect(), other), own)
    a: Any = desk.client.proxy("a", timeout=20)
    assert a.ask(1) == 2 - 1
    begun = time.monotonic()
    with pytest.raises(TimeoutError) as caught:
        a.ask(2)  # a waits for b, and b for a, which is busy
    with prompt():
        assert time.monotonic() - begun < 2.0
    assert isinstance(caught.value, errors.RocError)
    assert "a.ask" in str(caught.value)
    for name in ("a", "b"):
        free: Any = desk.client[name]
        wait_until(functools.partial(answers, free), what="the objects answer again")


def answers(station: Any) -> bool:
    try:
        return bool(station.ask(0) == 0)
    except errors.CallTimeout:
        return False


def test_an_object_that_calls_itself(desk: Desk) -> None:
    desk.serve(Station(desk.connect(), "me"), "me")
    with pytest.raises(TimeoutError):
        desk.client.proxy("me", timeout=20).ask(1)
    assert desk.client["me"].ask(0) == 0


# --- objects that do not want to be looked at -----------------------------------------


class Shy:
    fps = 10.0

    def __dir__(self) -> Any:
        raise RuntimeError("do not look")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"what is {name}?")

    def __repr__(self) -> str:
        raise RuntimeError("no")

    def start(self) -> str:
        return "started"


def test_dir_and_getattr_that_raise(desk: Desk) -> None:
    shy = desk.share(Shy(), "shy")
    assert shy.start() == "started"
    assert shy.fps == 10.0
    assert {"start", "fps"} <= set(dir(shy))
    assert "Shy" in repr(shy)
    with pytest.raises(RuntimeError, match="what is gain"):
        shy.gain  # noqa: B018
    with pytest.raises(RuntimeError, match="what is gain"):
        shy.gain = 1
    with pytest.raises(AttributeError):
        shy._ipython_canary_method_should_not_exist_  # noqa: B018
    assert shy.start() == "started"


def test_ten_thousand_members(desk: Desk) -> None:
    def member(i: int) -> Callable[[object], int]:
        return lambda self: i

    names = [f"channel{i}" for i in range(10_000)]
    large = type("Large", (), {name: member(i) for i, name in enumerate(names[:5_000])})()
    large.__dict__.update({name: i for i, name in enumerate(names) if i >= 5_000})
    proxy = desk.share(large, "large")
    assert proxy.channel4999() == 4999
    assert proxy.channel9999 == 9999
    # dir() looks for half a second at most, whatever it has found by then.
    wait_until(lambda: set(names) <= set(dir(proxy)), what="all members are listed")
    with pytest.raises(errors.MethodNotFound, match="did you mean"):
        proxy.chanel77  # noqa: B018


@pytest.mark.parametrize("object_id", ["камера", "カメラ.左", "größe-1", "🔭", "a" * 200])
def test_an_id_with_unicode(desk: Desk, object_id: str) -> None:
    proxy = desk.share(Camera(), object_id)
    assert proxy.fps == 10.0
    assert object_id in desk.client
    assert object_id in list(desk.client)
    with pytest.raises(errors.MethodNotFound) as caught:
        proxy.fsp  # noqa: B018
    assert object_id in str(caught.value)


# --- several clients ------------------------------------------------------------------


def test_two_clients_that_set_the_same_attribute(desk: Desk) -> None:
    """Each set is whole, in some order, and the last one stays."""

    class Recorder:
        def __init__(self) -> None:
            self.story: list[Any] = []
            self._value: Any = None

        @property
        def value(self) -> Any:
            return self._value

        @value.setter
        def value(self, value: Any) -> None:
            self._value = value
            self.story.append((value, threading.get_ident()))

    recorder = Recorder()
    desk.serve(recorder, "recorder")
    proxies = [desk.connect()["recorder"] for _ in range(2)]
    failed: list[BaseException] = []

    def set_often(proxy: Any, who: str) -> None:
        try:
            for i in range(200):
                proxy.value = [who, i]
        except BaseException as error:
            failed.append(error)

    threads = [
        threading.Thread(target=set_often, args=(proxy, who))
        for proxy, who in zip(proxies, "ab", strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failed
    for who in "ab":
        assert [value[1] for value, _ in recorder.story if value[0] == who] == list(range(200))
    assert len({thread for _, thread in recorder.story}) == 1
    assert proxies[0].value == proxies[1].value == recorder.story[-1][0]
