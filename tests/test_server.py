"""What a server shares of an object, and how calls to it are served."""

from __future__ import annotations

import threading
import time
from typing import Any, ClassVar

import pytest

from desk import Desk
from processes import Spawner
from promptness import prompt
from runmacs.roc import RocServer, errors


class Focus:
    def __init__(self) -> None:
        self.step = 1

    def move(self, steps: int) -> int:
        return steps * self.step


class Lens:
    def __init__(self) -> None:
        self.focus = Focus()
        self._serial = "A7"


class Camera:
    """A camera."""

    model: ClassVar[str] = "VNIR"
    made: ClassVar[int] = 0

    def __init__(self) -> None:
        self.fps = 10.0
        self.lens = Lens()
        self.threads: set[int] = set()
        self.bodies = 0
        self._gain = 1
        self._secret = "secret"

    @property
    def temperature(self) -> float:
        return 21.5

    @property
    def gain(self) -> int:
        return self._gain

    @gain.setter
    def gain(self, value: int) -> None:
        if value < 0:
            raise ValueError("gain is 0 or more")
        self._gain = value

    def add(self, left: int, right: int = 2) -> int:
        """Add two numbers."""
        self.bodies += 1
        self.threads.add(threading.get_ident())
        return left + right

    @staticmethod
    def double(value: int) -> int:
        return 2 * value

    @classmethod
    def count(cls, by: int = 1) -> int:
        cls.made += by
        return cls.made

    def attach(self, name: str, value: object) -> None:
        setattr(self, name, value)

    def say(self, text: str) -> str:
        print(text)
        return text

    def nap(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    def _hidden(self) -> str:
        raise AssertionError("a private method was called")


# ---- what is shared


def test_methods_and_attributes(desk: Desk) -> None:
    vnir = desk.share(Camera())
    assert vnir.add(1) == 3
    assert vnir.add(1, 5) == vnir.add(right=5, left=1) == vnir.add(1, right=5) == 6
    assert vnir.fps == 10.0
    vnir.fps = 25.0
    assert vnir.fps == 25.0


def test_setting_reaches_the_instance(desk: Desk) -> None:
    camera = Camera()
    vnir = desk.share(camera)
    vnir.fps = 5.0
    assert camera.fps == 5.0
    camera.fps = 7.5
    assert vnir.fps == 7.5


def test_static_and_class_methods_and_class_attributes(desk: Desk) -> None:
    vnir = desk.share(Camera())
    assert vnir.double(21) == 42
    before = Camera.made
    assert vnir.count(by=2) == Camera.made == before + 2
    assert vnir.model == "VNIR"


def test_properties(desk: Desk) -> None:
    vnir = desk.share(Camera())
    assert vnir.temperature == 21.5
    with pytest.raises(errors.MethodNotFound, match=r"vnir\.temperature.*not set"):
        vnir.temperature = 0
    vnir.gain = 4
    assert vnir.gain == 4
    with pytest.raises(ValueError, match="gain is 0 or more"):
        vnir.gain = -1
    assert vnir.gain == 4


def test_attributes_that_appear_later(desk: Desk) -> None:
    vnir = desk.share(Camera())
    with pytest.raises(AttributeError, match="exposure"):
        _ = vnir.exposure
    vnir.attach("exposure", 0.02)
    assert vnir.exposure == 0.02
    vnir.exposure = 0.04
    assert vnir.exposure == 0.04
    assert "exposure" in dir(desk.client["vnir"])


def test_nested_objects(desk: Desk) -> None:
    vnir = desk.share(Camera())
    assert vnir.lens.focus.move(3) == 3
    vnir.lens.focus.step = 2
    assert vnir.lens.focus.move(3) == 6
    assert vnir.lens.focus.step == 2
    with pytest.raises(AttributeError, match=r"vnir\.lens.*'fokus'.*lens\.focus"):
        _ = vnir.lens.fokus


@pytest.mark.parametrize(
    "name", ["_secret", "_hidden", "__class__", "lens._serial", "add.__globals__", "__init__"]
)
def test_underscores_never_are(desk: Desk, name: str) -> None:
    """Not even for somebody who asks without a proxy."""
    desk.share(Camera())
    for method, args in (("rpc.get", (name,)), ("rpc.set", (name, 1)), (name, ())):
        with pytest.raises(errors.MethodNotFound) as caught:
            desk.client.call_object("vnir", method, args)
        assert caught.value.executed is False
        assert "secret" not in str(caught.value).replace("_secret", "")


def test_misspelt_member_fails_at_once_and_names_the_nearest(desk: Desk) -> None:
    vnir = desk.share(Camera())
    assert vnir.add(1) == 3
    began = time.monotonic()
    with pytest.raises(AttributeError, match=r"vnir has no public member 'dubble'.*'double'"):
        vnir.dubble(2)
    with prompt():
        assert time.monotonic() - began < 0.1


# ---- how it is served


def test_one_call_at_a_time_in_the_thread_that_runs(desk: Desk) -> None:
    class Alone:
        def __init__(self) -> None:
            self.inside = 0
            self.most = 0
            self.threads: set[int] = set()

        def enter(self) -> None:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.threads.add(threading.get_ident())
            time.sleep(0.002)
            self.inside -= 1

    alone = Alone()
    server = RocServer(desk.endpoints, "alone", alone)
    running = threading.Thread(target=server.run)
    running.start()
    enter = desk.client.wait_for("alone").enter
    others = [desk.connect(timeout=10)["alone"] for _ in range(3)]
    callers = [
        threading.Thread(target=lambda m=method: [m() for _ in range(20)])
        for method in [enter, *(other.enter for other in others)]
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    server.stop()
    running.join(30)
    assert alone.most == 1
    assert alone.threads == {running.ident}


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "'left' is missing"),
        ((1, 2, 3), {}, r"takes \(left: int, right: int = 2\)"),
        ((1,), {"rigth": 2}, "rigth"),
        ((1,), {"left": 1}, "left"),
    ],
)
def test_arguments_are_checked_before_the_body_runs(
    desk: Desk, args: tuple[int, ...], kwargs: dict[str, int], words: str
) -> None:
    camera = Camera()
    vnir = desk.share(camera)
    with pytest.raises(TypeError, match=words) as caught:
        vnir.add(*args, **kwargs)
    assert isinstance(caught.value, errors.InvalidParams)
    assert caught.value.executed is False
    assert "vnir.add" in str(caught.value)
    assert camera.bodies == 0


def test_a_type_error_of_the_body_is_not_a_wrong_argument(desk: Desk) -> None:
    class Adder:
        def add(self, left: Any, right: Any) -> Any:
            return left + right

    with pytest.raises(TypeError) as caught:
        desk.share(Adder()).add("1", 2)
    assert isinstance(caught.value, errors.RemoteError)
    assert caught.value.executed is True


def test_method_that_prints(desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
    vnir = desk.share(Camera())
    assert vnir.say("hello\n") == "hello\n"
    assert "hello" in capfd.readouterr().out


def test_method_that_prints_where_nobody_listens(desk: Desk, spawn: Spawner) -> None:
    """As with `server > pipe`, when the other end is gone: the method's error, no more."""
    child = spawn(
        """
        import os, sys
        from runmacs.roc import RocServer

        class Printer:
            def say(self, text):
                print(text, flush=True)

            def works(self):
                return True

        reader, writer = os.pipe()
        os.dup2(writer, 1)
        os.close(reader)
        RocServer(sys.argv[1], "printer", Printer()).run()
        """,
        desk.endpoints.rocBroker,
    )
    printer = desk.client.wait_for("printer")
    with pytest.raises(BrokenPipeError, match=r"printer\.say"):
        printer.say("hello")
    assert printer.works() is True
    assert child.returncode is None


def test_heartbeats_and_ping_go_on_during_a_long_method(desk: Desk) -> None:
    """5.5 s, while a server that is silent for 1.5 s counts as stalled."""
    desk.serve(Camera())
    nap = desk.connect(timeout=20)["vnir"].nap
    running = threading.Thread(target=nap, args=(5.5,))
    running.start()
    broker, longest, pings = desk.client["roc.broker"], 0.0, 0
    while running.is_alive():
        (entry,) = broker.objects()
        with prompt():
            assert entry["state"] == "serving"
        began = time.monotonic()
        answer = desk.client.call_object("vnir!", "rpc.ping")
        longest = max(longest, time.monotonic() - began)
        assert answer["object"] == "vnir"
        pings += 1
        running.join(0.05)
    print(f"{pings} pings, the longest took {longest * 1000:.1f} ms")
    with prompt():
        assert pings > 50
    with prompt():
        assert longest < 0.1
    with prompt():  # a standstill of 1.5 s looks like a loss
        assert broker.stats()["servers_lost"] == 0
