"""Objects that nobody made for ROC, used from afar as they are, through a real broker."""

from __future__ import annotations

import asyncio
import collections
import functools
import inspect
import math
import pickle
import re
import signal
import statistics
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Container, Iterable, Iterator, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from desk import Desk
from processes import Spawner
from promptness import prompt
from runmacs.roc import AsyncRocClient, Endpoints, RocClient, errors
from runmacs.roc.marks import exposed
from runmacs.roc.proxy import Proxy


@pytest.fixture
def desk() -> Iterator[Desk]:
    with Desk() as desk:
        yield desk


Use: TypeAlias = Callable[[Any], object]


def fail(error: Exception) -> None:
    raise error


def needed(name: str) -> Any:
    """A module of a package whose objects are shared here."""
    package = name.partition(".")[0]
    return pytest.importorskip(
        name, reason=f"{package} is missing: pip install {package}, or pip install -e '.[dev]'"
    )


# --- containers -----------------------------------------------------------------------


def test_a_dict(desk: Desk) -> None:
    words = {"a": 1, "b": [2]}
    d = desk.share(words, "d")
    assert d["a"] == 1
    assert "a" in d
    assert "x" not in d
    assert len(d) == 2
    assert list(d) == ["a", "b"]
    d["c"] = {"deep": np.arange(3)}
    assert words["c"]["deep"].tolist() == [0, 1, 2]  # type: ignore[index]
    del d["c"]
    assert dict(d) == words == {"a": 1, "b": [2]}
    assert list(d.items()) == [["a", 1], ["b", [2]]]
    assert sorted(d.keys()) == ["a", "b"]
    assert d.get("x", 7) == 7
    assert d.setdefault("z", 0) == 0
    assert d.pop("z") == 0
    d.update({"n": None})
    assert d["n"] is None
    d.clear()
    assert not words
    assert bool(d)  # it is there, whatever it holds


def test_a_key_that_is_missing_is_a_key_error(desk: Desk) -> None:
    d = desk.share({}, "d")
    uses: list[Use] = [lambda d: d["x"], lambda d: d.__delitem__("x"), lambda d: d.pop("x")]
    for use in uses:
        with pytest.raises(KeyError) as caught:
            use(d)
        assert isinstance(caught.value, errors.RemoteError)
        assert caught.value.executed is True
        assert caught.value.remote_args == ("x",)


@pytest.mark.parametrize("key", ["two words", "ключ", "__roc__", 3, 2.5, None, True, (1, (2, "x"))])
def test_keys_may_be_anything_that_can_be_sent(desk: Desk, key: Any) -> None:
    d = desk.share({}, "d")
    d[key] = "there"
    assert d[key] == "there"
    assert key in d
    assert (key, 1) not in d
    del d[key]
    assert key not in d


def test_a_deque_and_a_list(desk: Desk) -> None:
    for numbers in (collections.deque([1, 2, 3]), [1, 2, 3]):
        q = desk.share(numbers, type(numbers).__name__)
        q.append(4)
        assert list(q) == [1, 2, 3, 4]
        assert q[0] == 1
        assert q[-1] == 4
        q[0] = 10
        assert q.index(10) == 0
        assert q.pop() == 4
        assert 10 in q
        assert list(reversed(q)) == [3, 2, 10]
        with pytest.raises(IndexError):
            q[99]


def test_slices(desk: Desk) -> None:
    numbers = list(range(10))
    proxy = desk.share(numbers, "numbers")
    assert proxy[2:4] == [2, 3]
    assert proxy[::-3] == [9, 6, 3, 0]
    proxy[1:9] = ["x"]
    del proxy[:1]
    assert numbers == ["x", 9]


def test_an_array_is_indexed_where_it_is(desk: Desk) -> None:
    cube = np.arange(24).reshape(2, 3, 4)
    proxy = desk.share(cube, "cube")
    assert proxy.shape == [2, 3, 4]
    assert proxy[1, :, 2].tolist() == cube[1, :, 2].tolist()
    assert proxy[[0, 1]].shape == (2, 3, 4)
    proxy[0, 0] = 7
    assert cube[0, 0].tolist() == [7] * 4
    assert len(proxy) == 2
    assert proxy.mean() == cube.mean()


class Rack:
    def __init__(self) -> None:
        self.slots = collections.deque(["a", "b"])


def test_a_container_inside_an_object(desk: Desk) -> None:
    rack = desk.share(Rack(), "rack")
    assert rack.slots[1] == "b"
    assert len(rack.slots) == 2
    assert [slot.upper() for slot in rack.slots] == ["A", "B"]
    rack.slots.appendleft("z")
    assert rack.slots[0] == "z"


# --- numbers, paths, records ----------------------------------------------------------


def test_a_fraction(desk: Desk) -> None:
    third = desk.share(Fraction(1, 3), "third")
    assert (third.numerator, third.denominator) == (1, 3)
    assert third.as_integer_ratio() == [1, 3]
    assert third.limit_denominator(2) == Fraction(1, 2)
    d = desk.share({}, "d")
    d["ratio"] = Fraction(-22, 7)
    assert d["ratio"] == Fraction(-22, 7)
    d["huge"] = Fraction(1, 2) ** 14_000
    with pytest.raises(errors.Unsendable, match=r"args\[3\] cannot be sent: .*send a float"):
        d["huge"] = Fraction(1, 10) ** 5_000


def test_arithmetic(desk: Desk) -> None:
    third = desk.share(Fraction(1, 3), "third")
    assert third + 1 == 1 + third == Fraction(4, 3)
    assert (2 / third, third**2, -third, abs(third)) == (
        6,
        Fraction(1, 9),
        -Fraction(1, 3),
        Fraction(1, 3),
    )
    assert (float(third), int(third), round(third, 2)) == (1 / 3, 0, Fraction(33, 100))
    assert (math.floor(third), math.ceil(third), divmod(1, third)) == (0, 1, [3, 0])
    assert third < 1 < 4 > third >= Fraction(1, 3)
    with pytest.raises(TypeError, match="unsupported operand") as caught:
        third + "x"
    assert isinstance(caught.value, errors.RemoteError)
    with pytest.raises(ZeroDivisionError):
        third / 0
    numbers = desk.share(np.arange(3.0), "numbers")
    for product in (numbers * np.arange(3), np.arange(3) * numbers, np.float64(2) * numbers):
        assert isinstance(product, np.ndarray)
        assert product.shape == (3,)
    assert (numbers @ np.ones(3), (numbers > 1).tolist()) == (3, [False, False, True])


class Table:
    """As pandas and pint have it: no array, but it can be made into one."""

    def __init__(self) -> None:
        self.rows = np.arange(6.0).reshape(2, 3)
        self.made = 0

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        self.made += 1
        return self.rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Any:
        return self.rows[row]

    def half(self) -> Table:
        return self


def test_what_can_be_an_array_becomes_one_in_one_call(desk: Desk) -> None:
    table = Table()
    proxy = desk.share(table, "table")
    for it in (proxy, proxy.half(), desk.client["table"]):
        table.made = 0
        assert np.asarray(it).tolist() == [[0, 1, 2], [3, 4, 5]]
        assert np.asarray(it, dtype="<f4").dtype == "<f4"
        assert np.array(it).flags.writeable
        assert table.made == 3
    assert np.mean(desk.share(np.arange(4.0), "numbers")) == 1.5
    d = desk.share({}, "d")
    assert not hasattr(d, "__array__")


def test_operators_that_change_the_object(desk: Desk) -> None:
    queue, words = collections.deque([1]), {"a": 1}
    q = before = desk.share(queue, "q")
    q += [2]
    assert q is before
    assert list(queue) == [1, 2]
    d = desk.share(words, "d")
    d |= {"b": 2}
    assert words == {"a": 1, "b": 2}
    rack = desk.share(Rack(), "rack")
    rack.slots += ["c"]
    assert list(rack.slots) == ["a", "b", "c"]
    with pytest.raises(errors.Unsendable, match="it stands for a remote object: send its values"):
        rack.slots = q


def test_what_does_not_support_an_operator(desk: Desk) -> None:
    """It is Python's own complaint, and shows no frame of ours."""
    rack = desk.share(Rack(), "rack")
    uses: list[tuple[Use, str]] = [
        (lambda it: it + 1, "unsupported operand type.s. for +"),
        (lambda it: 1 - it, "unsupported operand type.s. for -"),
        (lambda it: it < 1, "'<' not supported between"),
        (lambda it: float(it), r"rack \(Rack\) cannot be converted with float\(\)"),
        (lambda it: -it, r"rack \(Rack\) does not support -x"),
        (len, r"rack \(Rack\) has no length"),
        (lambda it: it[0], r"rack \(Rack\) cannot be indexed"),
    ]
    for use, complaint in uses:
        with pytest.raises(TypeError, match=complaint) as caught:
            use(rack)
        assert "roc/" not in "".join(traceback.format_tb(caught.value.__traceback__))
    repr(rack)  # its description is known now
    for use, _ in uses:
        with pytest.raises(TypeError):
            use(rack)


def test_a_path(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("started\n")
    path = desk.share(tmp_path / "log.txt", "path")
    assert path.name == "log.txt"
    assert path.exists()
    assert path.read_text() == "started\n"
    assert path.parent == str(tmp_path)
    assert path.with_suffix(".bak") == str(tmp_path / "log.bak")
    folder = desk.share(tmp_path, "folder")
    with pytest.raises(errors.Unsendable, match=r"send a list"):
        folder.iterdir()


def test_a_dataclass(desk: Desk) -> None:
    @dataclass
    class Stage:
        x: float = 0.0
        names: list[str] = field(default_factory=list)

        def move(self, x: float) -> float:
            self.x = x
            return x

    stage = Stage()
    proxy = desk.share(stage, "stage")
    proxy.move(3)
    proxy.names = ["a"]
    assert (proxy.x, proxy.names) == (3, ["a"])
    with pytest.raises(errors.InvalidParams, match="'x' takes float, not str"):
        proxy.x = "far"
    assert stage == Stage(3, ["a"])


# --- what can be called ---------------------------------------------------------------


class Shutter:
    """Opens and closes."""

    def __init__(self) -> None:
        self.state = "closed"

    def __call__(self, state: str) -> str:
        """Put it into a state."""
        self.state = state
        return state

    def toggle(self) -> str:
        return self("open" if self.state == "closed" else "closed")


def test_callables_of_every_sort(desk: Desk) -> None:
    most = desk.share(functools.partial(max, 5), "most")
    assert (most(3), most(7)) == (5, 7)
    assert desk.share(math.hypot, "hypot")(3, 4) == 5.0
    assert desk.share(lambda *args, **kwargs: [args, kwargs], "echo")(1, self=2) == [
        [1],
        {"self": 2},
    ]
    with pytest.raises(ValueError, match=r"math domain error|expected a nonnegative input"):
        desk.share(math.sqrt, "sqrt")(-1)


def test_an_object_that_can_be_called_has_attributes_too(desk: Desk) -> None:
    class Camera:
        def __init__(self) -> None:
            self.shutter = Shutter()

    shutters = (desk.share(Shutter(), "shutter"), desk.share(Camera(), "vnir").shutter)
    for shutter in shutters:
        assert shutter("open") == "open"
        assert shutter.state == "open"
        assert shutter.toggle() == "closed"
        shutter.state = "stuck"
        assert shutter.state == "stuck"
        assert str(inspect.signature(shutter)) == "(state: str) -> str"
        with pytest.raises(errors.InvalidParams, match="'state' takes str, not int"):
            shutter(3)
        with pytest.raises(errors.InvalidParams, match="'state' is missing"):
            shutter()


def test_methods_written_in_c_without_a_signature(desk: Desk) -> None:
    class Tools:
        biggest = staticmethod(max)

        def __init__(self) -> None:
            self.buffer = np.frombuffer

    tools = desk.share(Tools(), "tools")
    assert tools.biggest(3, 5) == 5
    assert tools.buffer(b"\1\2", dtype="u1").tolist() == [1, 2]
    with pytest.raises(TypeError) as caught:
        tools.biggest()
    assert isinstance(caught.value, errors.RemoteError)


def test_a_module(desk: Desk) -> None:
    stats = desk.share(statistics, "stats")
    assert stats.mean([1, 2, 3]) == 2
    with pytest.raises(errors.MethodNotFound):
        stats.itertools  # noqa: B018
    with pytest.raises(errors.MethodNotFound):
        stats.NormalDist  # noqa: B018


def test_a_class_with_getattr(desk: Desk) -> None:
    class Registers:
        def __init__(self) -> None:
            self.__dict__["values"] = {"R1": 1}

        def __getattr__(self, name: str) -> int:
            try:
                return int(self.__dict__["values"][name])
            except KeyError:
                raise AttributeError(name) from None

        def __setattr__(self, name: str, value: int) -> None:
            self.__dict__["values"][name] = value

    registers = desk.share(Registers(), "registers")
    registers.R1 = 5
    assert registers.R1 == 5
    with pytest.raises(errors.MethodNotFound, match="no public member 'R2'"):
        registers.R2  # noqa: B018


def test_descriptors(desk: Desk) -> None:
    class Volts:
        def __get__(self, holder: Any, owner: object) -> float:
            return float(holder._volts)

        def __set__(self, holder: Any, value: float) -> None:
            holder._volts = value * 2

    class Supply:
        volts = Volts()

        def __init__(self) -> None:
            self._volts = 0.0

        @functools.cached_property
        def serial(self) -> str:
            return "A7"

    supply = desk.share(Supply(), "supply")
    supply.volts = 1.5
    assert supply.volts == 3.0
    assert supply.serial == "A7"


# --- async def, generators ------------------------------------------------------------


class Slow:
    """Its methods are coroutines."""

    def __init__(self) -> None:
        self.loops: set[int] = set()
        self.threads: set[int] = set()
        self.cancelled = threading.Event()

    async def measure(self, seconds: float, value: Any = None) -> Any:
        await asyncio.sleep(seconds)
        self.loops.add(id(asyncio.get_running_loop()))
        self.threads.add(threading.get_ident())
        return value

    async def both(self) -> list[Any]:
        return list(await asyncio.gather(self.measure(0.01, 1), self.measure(0.01, 2)))

    async def fail(self) -> None:
        await asyncio.sleep(0)
        raise ValueError("too slow")

    async def leave(self) -> None:
        self.task = asyncio.ensure_future(self._forever())
        await asyncio.sleep(0.01)

    async def _forever(self) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            self.cancelled.set()

    @property
    async def temperature(self) -> float:
        await asyncio.sleep(0)
        return 20.5

    async def __call__(self, value: int) -> int:
        return value + 1

    def numbers(self) -> Iterator[int]:
        yield 1

    async def later(self) -> AsyncIterator[int]:
        yield 1

    async def nothing(self) -> Iterator[int]:
        return iter([1])


def test_async_methods_are_awaited_in_one_loop_and_thread(desk: Desk) -> None:
    slow = Slow()
    proxy = desk.share(slow, "slow")
    assert proxy.measure(0.01, "done") == "done"
    assert proxy.both() == [1, 2]
    assert proxy.temperature == 20.5
    assert proxy(3) == 4
    assert len(slow.loops) == len(slow.threads) == 1
    with pytest.raises(ValueError, match="too slow") as caught:
        proxy.fail()
    assert "_forever" not in caught.value.remote_traceback  # type: ignore[attr-defined]
    assert 'raise ValueError("too slow")' in caught.value.remote_traceback  # type: ignore[attr-defined]
    with pytest.raises(errors.InvalidParams):
        proxy.measure("long")


def test_a_task_that_is_left_behind_is_cancelled_at_the_end(desk: Desk) -> None:
    slow = Slow()
    server = desk.serve(slow, "slow")
    desk.client["slow"].leave()
    assert not slow.cancelled.is_set()
    server.stop()
    assert slow.cancelled.is_set()


def test_heartbeats_go_on_while_a_coroutine_runs(desk: Desk) -> None:
    desk.serve(Slow(), "slow")
    patient = desk.client.proxy("slow", timeout=30)
    assert patient.measure(2.0, "after many beats") == "after many beats"


SLOW_SERVER = """
import asyncio
import sys
from runmacs.roc.servers import run_simple_server

class Slow:
    async def measure(self, seconds):
        print("begun", flush=True)
        try:
            await asyncio.sleep(seconds)
        finally:
            print("cleaned up", flush=True)

run_simple_server("slow", Slow(), broker=sys.argv[1])
print("closed", flush=True)
"""


def test_ctrl_c_breaks_into_a_coroutine(spawn: Spawner, broker: Endpoints) -> None:
    server = spawn(SLOW_SERVER, broker.rocBroker)
    with RocClient(broker, timeout=20) as client, ThreadPoolExecutor() as pool:
        client.wait_for("slow")
        call = pool.submit(client.proxy("slow", timeout=30).measure, 60)
        server.wait_for("begun")
        server.send_signal(signal.SIGINT)
        with pytest.raises(errors.ServerLost):
            call.result(30)
        assert server.wait() == 0
        assert server.stdout.split() == ["begun", "cleaned", "up", "closed"]


@pytest.mark.parametrize("name", ["numbers", "later", "nothing"])
def test_streams_are_refused_with_a_sentence(desk: Desk, name: str) -> None:
    proxy = desk.share(Slow(), "slow")
    with pytest.raises(errors.Unsendable, match="streams cannot be sent yet") as caught:
        getattr(proxy, name)()
    assert caught.value.executed is True
    assert proxy.measure(0, "still there") == "still there"


# --- context managers -----------------------------------------------------------------


class Laser:
    def __init__(self, swallows: bool = False) -> None:
        self.story: list[Any] = []
        self.swallows = swallows

    def __enter__(self) -> Laser:
        self.story.append("on")
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        self.story.append(("off", kind, error and error.args))
        return self.swallows


def test_a_context_manager(desk: Desk) -> None:
    laser = Laser()
    proxy = desk.share(laser, "laser")
    with proxy as on:
        assert on is proxy
        assert laser.story == ["on"]
    assert laser.story == ["on", ("off", None, None)]
    with pytest.raises(KeyError), proxy:
        raise KeyError("x")
    assert laser.story[-1] == ("off", KeyError, ("x",))
    laser.swallows = True
    with proxy:
        fail(RuntimeError("swallowed over there"))
    assert laser.story[-1] == ("off", RuntimeError, ("swallowed over there",))


def test_a_remote_error_inside_the_block_keeps_its_name(desk: Desk) -> None:
    laser = Laser()
    proxy = desk.share(laser, "laser")
    words = desk.share({}, "words")
    with pytest.raises(KeyError), proxy:
        words["x"]
    assert laser.story[-1][1] is KeyError


# --- what Python asks of a proxy ------------------------------------------------------


def test_what_an_object_does_not_support_is_a_type_error(desk: Desk) -> None:
    class Plain:
        def __init__(self) -> None:
            self.lens = Laser()

    plain = desk.share(Plain(), "plain")
    for target in (plain, plain.lens):
        for use in (
            lambda p: len(p),
            lambda p: iter(p),
            lambda p: p["x"],
            lambda p: p("x"),
            lambda p: "x" in p,
            lambda p: p.__setitem__("x", 1),
            lambda p: p.__delitem__("x"),
        ):
            with pytest.raises(
                TypeError, match=r"^plain.* \((Plain|Laser)\)|cannot be called"
            ) as caught:
                use(target)
            assert not isinstance(caught.value, errors.RocError)
    with pytest.raises(TypeError, match="is no context manager"), plain:
        pass


def test_a_described_proxy_supports_what_its_object_does(desk: Desk) -> None:
    kinds: list[Any] = [Callable, Sized, Iterable, Container]
    fresh = desk.share({}, "d")
    assert callable(fresh)  # who knows; nobody has asked
    for instance, expected in (({}, (0, 1, 1, 1)), (Shutter(), (1, 0, 0, 0)), (3, (0, 0, 0, 0))):
        proxy = desk.share(instance, type(instance).__name__)
        assert "at tcp://" in repr(proxy)
        assert [isinstance(proxy, kind) for kind in kinds] == [bool(known) for known in expected]
        assert callable(proxy) == bool(expected[0])
        assert isinstance(proxy, Proxy)
        assert bool(proxy)


def test_an_object_that_was_restarted_as_another_is_noticed(desk: Desk) -> None:
    server = desk.serve(Shutter(), "it")
    proxy: Any = desk.client["it"]
    toggle = proxy.toggle
    assert callable(proxy)
    assert "Shutter" in repr(proxy)
    with pytest.raises(TypeError):
        proxy["a"]
    server.stop()
    desk.serve({"a": 1}, "it")
    with pytest.raises(errors.MethodNotFound):
        toggle()
    assert proxy["a"] == 1
    assert "dict" in repr(proxy)
    assert not callable(proxy)


def test_bool_repr_and_dir_need_no_broker() -> None:
    with Desk() as desk:
        proxy = desk.share({}, "d")
    assert bool(proxy)
    assert repr(proxy).startswith("<d at ")
    assert "__len__" in dir(proxy)


# --- narrowed by the server -----------------------------------------------------------


def test_a_server_shares_only_what_it_says(desk: Desk) -> None:
    class Camera:
        def __init__(self) -> None:
            self.fps = 10.0
            self.serial = "A7"
            self.shutter = Shutter()

        def reset(self) -> None:
            raise AssertionError

    exposed_only = desk.share(Camera(), "narrow", expose=["fps", "shutter.state"])
    assert exposed_only.fps == 10.0
    assert exposed_only.shutter.state == "closed"
    uses: list[Use] = [lambda p: p.serial, lambda p: p.reset(), lambda p: p.shutter("open")]
    for use in uses:
        with pytest.raises((errors.MethodNotFound, TypeError), match="not shared by its server"):
            use(exposed_only)
    hidden = desk.share(Camera(), "hidden", hide="res*")
    assert hidden.serial == "A7"
    with pytest.raises(errors.MethodNotFound):
        hidden.reset()
    fixed = desk.share({"a": 1}, "fixed", readonly=True)
    assert fixed["a"] == 1
    with pytest.raises(TypeError, match="its server says"):
        fixed["a"] = 2


def test_an_instance_of_a_class_that_is_exposed_is_used_where_it_is(desk: Desk) -> None:
    class Lab:
        @exposed
        class Stage:
            def __init__(self, axis: int) -> None:
                self.axis = axis

    lab = desk.share(Lab(), "lab")
    assert lab.Stage(1).axis == 1
    with pytest.raises(errors.InvalidParams, match="'axis' takes int"):
        lab.Stage("x")


# --- instruments that others wrote ----------------------------------------------------


def test_an_instrument_of_pymeasure(desk: Desk) -> None:
    fakes = needed("pymeasure.instruments.fakes")
    fake = desk.share(fakes.SwissArmyFake(wait=0.0), "fake")
    assert fake.name == "Mock instrument"
    fake.output_voltage = 2.5
    assert fake.output_voltage == 2.5
    assert fake.voltage == 10
    fake.frame_width, fake.frame_height = 6, 4
    assert fake.frame.shape == (4, 6)
    with pytest.raises(ValueError, match="not in the discrete set"):
        fake.frame_format = "colour"
    assert "output_voltage" in dir(fake)
    with fake as same:
        assert same is fake


def test_a_generator_of_pymeasure_with_channels_over_a_scripted_line(desk: Desk) -> None:
    instruments = needed("pymeasure.instruments.agilent")
    adapters = needed("pymeasure.adapters")
    script = [
        (b"*IDN?", b"Agilent Technologies,33522B"),
        (b"FREQ?", b"1000"),
        (b"FREQ 2000.000000", None),
        (b"SOUR1:FREQ?", b"2000"),
        (b"SOUR2:VOLT 0.500000", None),
    ]
    generator = desk.share(instruments.Agilent33500(adapters.ProtocolAdapter(script)), "generator")
    assert generator.id == "Agilent Technologies,33522B"
    assert generator.frequency == 1000
    generator.frequency = 2e3
    assert generator.ch_1.frequency == 2000
    generator.ch_2.amplitude = 0.5
    with pytest.raises(ValueError, match="not in range"):
        generator.frequency = 1e12
    assert {"frequency", "ch_1", "ch_2", "beep"} <= set(dir(generator))


def test_simulated_devices_of_ophyd(desk: Desk) -> None:
    sim = needed("ophyd.sim")
    axis = sim.SynAxis(name="motor")
    motor = desk.share(axis, "motor")
    detector = desk.share(sim.SynGauss("det", axis, "motor", center=0, Imax=1), "detector")
    assert motor.name == "motor"
    assert motor.describe()["motor"]["dtype"] in ("integer", "number")
    motor.setpoint.put(3)
    assert motor.position == 3
    assert motor.read()["motor"]["value"] == 3
    assert motor.readback.get() == 3
    motor.velocity.put(2)
    assert motor.read_configuration()["motor_velocity"]["value"] == 2
    assert motor.component_names[:2] == ["readback", "setpoint"]
    assert detector.read()["det"]["value"] is not None
    slow = sim.SynAxis(name="slow", delay=1.0)
    status = desk.share(slow, "slow").set(5)
    with prompt():
        assert status.done is False
    status.wait(timeout=30)
    assert (status.done, status.success) == (True, True)
    assert slow.position == 5
    assert "MoveStatus" in repr(status)
    assert {"wait", "done", "success", "add_callback"} <= set(dir(status))


# --- results that are objects ---------------------------------------------------------


class Axis:
    """One axis of a stage."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.position = 0.0

    def move(self, by: float) -> Axis:
        self.position += by
        return self


class Stage:
    def __init__(self) -> None:
        self.axes = [Axis("x"), Axis("y")]

    def axis(self, name: str) -> Axis:
        return next(axis for axis in self.axes if axis.name == name)

    def me(self) -> Stage:
        return self

    def lock(self) -> Any:
        return threading.Lock()

    def history(self) -> Any:
        return collections.deque([1, 2, 3])


def test_a_result_that_is_an_object_is_a_proxy(desk: Desk) -> None:
    stage = Stage()
    proxy = desk.share(stage, "stage")
    axis = proxy.axis("y")
    assert isinstance(axis, Proxy)
    assert axis.move(2.0).move(3.0).position == 5.0
    axis.position = 1.0
    assert stage.axes[1].position == 1.0
    assert re.match(r"<stage\.axis\(\)#1-\w{6}: \S+\.Axis at tcp:", repr(axis))
    assert {"move", "name", "position"} <= set(dir(axis))
    assert inspect.getdoc(axis).startswith("One axis of a stage.")  # type: ignore[union-attr]
    assert [each.name for each in proxy.axes] == ["x", "y"]
    assert proxy.me().me().axes[0].name == "x"
    with pytest.raises(AttributeError, match="has no public member 'mov'; did you mean"):
        axis.mov(1)


def test_such_results_support_what_they_do_there(desk: Desk) -> None:
    proxy = desk.share(Stage(), "stage")
    history = proxy.history()
    history.append(4)
    assert (list(history), history[-1], len(history), 2 in history) == ([1, 2, 3, 4], 4, 4, True)
    with proxy.lock() as lock:
        assert lock is True
    pool = desk.share({"x": Axis("x")}, "d")
    assert pool["x"].name == "x"
    assert [name for name, _ in pool.items()] == ["x"]


def test_such_results_have_the_timeout_of_their_call(desk: Desk) -> None:
    desk.serve(Stage(), "stage")
    patient = desk.client.proxy("stage", timeout=77).axis("x")
    assert patient._roc_known.timeout == 77
    assert desk.client["stage"].axis("x")._roc_known.timeout is None


def test_such_results_in_asyncio(desk: Desk) -> None:
    async def main() -> None:
        async with AsyncRocClient(desk.endpoints, timeout=20) as client:
            axis = await client["stage"].axis("y")
            assert await (await axis.move(2.0)).position == 2.0
            assert await axis is axis
            assert [await each.name for each in await client["stage"].axes] == ["x", "y"]

    desk.serve(Stage(), "stage")
    asyncio.run(main())


def test_such_results_can_be_pickled(desk: Desk) -> None:
    axis = desk.share(Stage(), "stage").axis("y")
    assert pickle.loads(pickle.dumps(axis)).name == "y"
    assert pickle.loads(pickle.dumps(axis.move))(1.0).position == 1.0


def test_after_a_restart_there_is_an_error_and_never_another_object(desk: Desk) -> None:
    with desk.serve(Stage(), "stage"):
        axis = desk.client["stage"].axis("y")
        assert axis.name == "y"
    with desk.serve(Stage(), "stage"):
        assert desk.client["stage"].axis("x").name == "x"
        with pytest.raises(AttributeError, match=r"not there any longer.*anew") as caught:
            axis.move(1.0)
        assert isinstance(caught.value, errors.MethodNotFound)
        assert caught.value.executed is False
        assert "not there any longer" in repr(axis)


@pytest.mark.parametrize("options", [{"policy": "pool"}, {"expose": "axis"}, {"hide": "lock"}])
def test_where_no_result_can_be_kept_it_is_refused(desk: Desk, options: dict[str, str]) -> None:
    proxy = desk.share(Stage(), "stage", **options)
    with pytest.raises(errors.Unsendable, match="was executed, but its result cannot") as caught:
        proxy.axis("x")
    assert caught.value.executed is True


def test_readonly_holds_for_results_too(desk: Desk) -> None:
    axis = desk.share(Stage(), "stage", readonly=True).axis("x")
    with pytest.raises(errors.MethodNotFound, match="can be read, but not set"):
        axis.position = 3.0
    assert axis.position == 0.0
