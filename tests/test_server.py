"""What a server shares, how it serves it, and its life from start to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, ClassVar

import pytest
import zmq

from desk import Desk
from processes import Spawner
from runmacs.roc import RocClient, RocServer, errors
from waiting import wait_until


@pytest.fixture
def desk() -> Iterator[Desk]:
    with Desk() as desk:
        yield desk


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
    running.join(5)
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
        assert entry["state"] == "serving"
        began = time.monotonic()
        answer = desk.client.call_object("vnir!", "rpc.ping", timeout=1.0)
        longest = max(longest, time.monotonic() - began)
        assert answer["object"] == "vnir"
        pings += 1
        running.join(0.05)
    print(f"{pings} pings, the longest took {longest * 1000:.1f} ms")
    assert pings > 50
    assert longest < 0.1
    assert broker.stats()["servers_lost"] == 0


# ---- its life


def test_start_returns_when_the_broker_has_accepted_it(desk: Desk) -> None:
    for number in range(20):
        with RocServer(desk.endpoints, f"vnir{number}", Camera()):
            assert f"vnir{number}" in desk.client


def test_stop_takes_it_away_at_once(desk: Desk) -> None:
    server = RocServer(desk.endpoints, "vnir", Camera()).start()
    assert desk.client["vnir"].fps == 10.0
    server.stop()
    assert list(desk.client) == []
    server.stop()  # a second time does no harm
    with pytest.raises(errors.ObjectNotFound):
        _ = desk.connect()["vnir"].fps


def test_starts_again_after_a_stop(desk: Desk) -> None:
    server = RocServer(desk.endpoints, "vnir", Camera())
    for _ in range(3):
        with server:
            assert server.start() is server, "a second start does no harm"
            assert desk.connect()["vnir"].fps == 10.0
    assert list(desk.client) == []


def test_run_returns_after_a_stop_from_another_thread(desk: Desk) -> None:
    server = RocServer(desk.endpoints, "vnir", Camera())
    stopper = threading.Thread(
        target=lambda: (desk.client.wait_for("vnir").add(1), server.stop()), daemon=True
    )
    stopper.start()
    server.run()
    stopper.join(5)
    assert list(desk.client) == []


def test_method_may_stop_its_own_server(desk: Desk) -> None:
    class Suicidal:
        def shutdown(self) -> str:
            server.stop()
            return "goodbye"

    server = RocServer(desk.endpoints, "vnir", Suicidal()).start()
    assert desk.client["vnir"].shutdown() == "goodbye"
    wait_until(lambda: list(desk.client) == [], what="the object is gone")


def test_stop_waits_for_the_running_method(desk: Desk) -> None:
    server = RocServer(desk.endpoints, "vnir", Camera()).start()
    nap = desk.client["vnir"].nap
    results: list[float] = []
    running = threading.Thread(target=lambda: results.append(nap(0.5)))
    running.start()
    wait_until(lambda: desk.client["roc.broker"].objects()[0]["servers"][0]["running"])
    server.stop()
    running.join(1)
    assert results == [0.5]


def test_several_servers_on_one_context_that_is_not_theirs(desk: Desk) -> None:
    with zmq.Context() as context:
        with ExitStack() as servers:
            names = [f"vnir{number}" for number in range(5)]
            for name in names:
                servers.enter_context(RocServer(desk.endpoints, name, Camera(), context))
            assert list(desk.client) == names
            for number, name in enumerate(names):
                desk.client[name].fps = number
            assert [desk.client[name].fps for name in names] == list(range(5))
        assert list(desk.client) == []
        assert not context.closed
        with RocServer(desk.endpoints, "more", Camera(), ctx=context):
            assert "more" in desk.client
    # Here the context was terminated, which waits for every socket: all of them are closed.
    assert context.closed


def test_without_a_broker_it_says_so_once_and_waits(spawn: Spawner) -> None:
    with Desk() as first:
        endpoints = first.endpoints
    child = spawn(
        """
        import sys
        from runmacs.roc import RocServer

        class Camera:
            fps = 10.0

        RocServer(sys.argv[1], "vnir", Camera()).run()
        """,
        endpoints.rocBroker,
    )
    wait_until(lambda: child.stderr, 5, "it says where it looks")
    said = time.monotonic()
    wait_until(lambda: time.monotonic() > said + 2.5, 3)
    (line,) = child.stderr.splitlines()
    assert endpoints.rocBroker in line and "vnir" in line and "rocbroker" in line
    with Desk(endpoints) as desk:
        assert desk.client.wait_for("vnir").fps == 10.0
        wait_until(lambda: len(child.stderr.splitlines()) == 2)
        assert child.returncode is None


def test_start_without_a_broker_gives_up_waiting_not_serving() -> None:
    with Desk() as first:
        endpoints = first.endpoints
    began = time.monotonic()
    with RocServer(endpoints, "vnir", Camera()):
        assert 1.5 < time.monotonic() - began < 3.0
        with Desk(endpoints) as desk:
            assert desk.client.wait_for("vnir").fps == 10.0


def test_restarted_broker_is_joined_again(desk: Desk) -> None:
    """Three times, by the same server and the same clients."""
    with Desk() as first:
        endpoints = first.endpoints
    with RocServer(endpoints, "vnir", Camera()), RocClient(endpoints) as client:
        for number in range(3):
            with Desk(endpoints):
                began = time.monotonic()
                vnir = client.wait_for("vnir")
                assert time.monotonic() - began < 3.0
                vnir.gain = number
                assert vnir.gain == number


# ---- who may serve


def test_standby_takes_over(desk: Desk) -> None:
    class Numbered:
        def __init__(self, number: int) -> None:
            self.number = number

    first = RocServer(desk.endpoints, "vnir", Numbered(1), policy="standby").start()
    desk.serve(Numbered(2), policy="standby")
    vnir = desk.client["vnir"]
    assert vnir.number == 1
    states = [s["state"] for s in desk.client["roc.broker"].objects()[0]["servers"]]
    assert states == ["serving", "standby"]
    first.stop()
    assert vnir.number == 2


def test_pool_shares_the_load(desk: Desk) -> None:
    cameras = [Camera() for _ in range(3)]
    for camera in cameras:
        desk.serve(camera, policy="pool")
    nap = desk.connect(timeout=10)["vnir"].nap
    callers = [threading.Thread(target=nap, args=(0.3,)) for _ in range(3)]
    began = time.monotonic()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert time.monotonic() - began < 0.6, "three naps at once, not one after another"


def test_policies_do_not_mix(desk: Desk) -> None:
    desk.serve(Camera(), policy="pool")
    with pytest.raises(errors.ObjectIdTaken):
        RocServer(desk.endpoints, "vnir", Camera()).start()


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((None, "v nir", 1), {}, "'v nir'"),
        ((None, "", 1), {}, "1 to 200 bytes"),
        ((None, "roc.mine", 1), {}, "broker's own"),
        ((None, "vnir", 1), {"policy": "exclusiv"}, "exclusive, standby, pool"),
        ((None, "vnir", 1), {"prefetch": 0}, "1 to 10000"),
        (("tcp://*:5555", "vnir", 1), {}, r"\*"),
        (("127.0.0.1:99999", "vnir", 1), {}, "99999"),
    ],
)
def test_senseless_options(arguments: tuple[Any, ...], options: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.ConfigError, match=words):
        RocServer(*arguments, **options)


def test_repr(desk: Desk) -> None:
    server = desk.serve(Camera())
    assert repr(server) == f"<RocServer of 'vnir' (Camera) at {desk.endpoints.rocBroker}>"
