"""The same guarantees: one table of scenarios, run through the blocking and the asyncio client.

The broker and the servers are processes of their own. A scenario is a coroutine that gets
a `Scene`; it does not know which face it uses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from faces import LOOPS, AsyncFace, BlockingFace, Face, run, until
from instrument import Bench
from processes import BrokerProcess, Child, Spawner, start_broker
from promptness import prompt
from runmacs.roc import errors
from sameness import same

TOLERANCE = 0.25
"""Seconds after its timeout within which a call must have ended."""

FACES = ["blocking", *LOOPS]


class Scene:
    """What a scenario has at hand: a face, a server that shares ``vnir``, and the broker."""

    def __init__(self, bench: Bench, server: Child | None, face: str) -> None:
        self.bench = bench
        self.broker = bench.process
        self._server = server
        self.kind: Callable[..., Face] = BlockingFace if face == "blocking" else AsyncFace
        self._faces: list[Face] = []

    @property
    def server(self) -> Child:
        assert self._server is not None, "it is not this scenario's own"
        return self._server

    def connect(self, timeout: float = 20.0) -> Face:
        """One more client, closed when the scenario is over."""
        face = self.kind(self.broker.endpoints, timeout)
        self._faces.append(face)
        return face

    async def close(self) -> None:
        for face in self._faces:
            await face.close()

    def restart_broker(self) -> None:
        port = self.broker.endpoints.brokerBasePort
        self.broker = start_broker(self.bench.spawn, "--base-port", port, name="again")


async def refused(call: Awaitable[Any], *kinds: type[BaseException]) -> Any:
    """The error that a call ends with: one of ours, and of all these kinds."""
    with pytest.raises(errors.RocError) as caught:
        await call
    assert all(isinstance(caught.value, kind) for kind in kinds), repr(caught.value)
    return caught.value


async def ended_within(call: Awaitable[Any], timeout: float, *kinds: type[BaseException]) -> Any:
    """The error of a call that must end at its timeout, no earlier and hardly later."""
    began = time.monotonic()
    error = await refused(call, *kinds)
    with prompt():
        assert timeout - 0.01 < time.monotonic() - began < timeout + TOLERANCE
    return error


Scenario = Callable[[Scene, Face], Awaitable[None]]
PEACEFUL: dict[str, Scenario] = {}
VIOLENT: dict[str, Scenario] = {}


def scenario(body: Scenario) -> Scenario:
    """One that leaves broker and server as they were."""
    PEACEFUL[body.__name__.replace("_", " ")] = body
    return body


def violent(body: Scenario) -> Scenario:
    """One that needs a broker and a server of its own."""
    VIOLENT[body.__name__.replace("_", " ")] = body
    return body


# ---- what works


@scenario
async def values_come_back_as_they_went(scene: Scene, face: Face) -> None:
    for value in (None, True, 3, 2.5, "ä", b"\0", [1, [2]], {"a": {"b": 1}}, 1 + 2j, {1, 2}):
        assert same(await face.call("vnir.echo", value), value)


@scenario
async def arrays_come_back_as_they_went(scene: Scene, face: Face) -> None:
    assert same(
        await face.call("vnir.frame", 300, 1000),
        np.arange(300_000, dtype="<u2").reshape(300, 1000),
    )
    for array in (
        np.zeros((0, 3)),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([(1, 2.0)], dtype=[("a", "<i4"), ("b", "<f8")]),
        np.array(3.5),
    ):
        assert same(await face.call("vnir.echo", [array, array]), [array, array])


@scenario
async def arguments_of_every_sort(scene: Scene, face: Face) -> None:
    assert await face.call("vnir.add", 1) == 2
    assert await face.call("vnir.add", 1, right=5, sign=-1) == -6
    names = {"path": 1, "method": 2, "object_id": 3}
    assert await face.call("vnir.options", **names) == names
    await refused(face.call("vnir.echo", self=1), errors.InvalidParams)


@scenario
async def attributes_are_read_and_set(scene: Scene, face: Face) -> None:
    assert await face.get("vnir.fps") == 10.0
    await face.set("vnir.fps", 20)
    assert await face.get("vnir.fps") == 20
    await face.set("vnir.lens.position", 3)
    assert await face.call("vnir.lens.move", 2) == 5
    assert await face.get("vnir.lens.position") == 5


@violent
async def objects_are_listed_and_waited_for(scene: Scene, face: Face) -> None:
    assert await face.objects() == ["vnir"]
    waiting = asyncio.ensure_future(face.wait_for("swir"))
    await asyncio.sleep(0)
    scene.bench.serve("swir")
    await waiting
    assert await face.objects() == ["swir", "vnir"]
    assert await face.call("swir.echo", 1) == 1


@scenario
async def many_calls_are_under_way_at_once(scene: Scene, face: Face) -> None:
    calls = [face.call("vnir.echo", number) for number in range(300)]
    assert await asyncio.gather(*calls) == list(range(300))


# ---- what the object, or its rules, refuse


@scenario
async def remote_exceptions_are_of_their_builtin_type(scene: Scene, face: Face) -> None:
    error = await refused(face.call("vnir.fail", "too bright"), errors.RemoteError, ValueError)
    assert error.executed is True
    assert "too bright" in str(error)
    assert "in fail" in error.remote_traceback
    error = await refused(face.get("vnir.broken"), OSError)
    assert error.errno == 5
    error = await refused(face.set("vnir.gain", 0), ValueError)
    assert "gain is 1 or more" in str(error)
    assert await face.get("vnir.gain") == 1


@scenario
async def what_is_not_shared_is_not_found(scene: Scene, face: Face) -> None:
    for call in (
        face.get("vnir.fsp"),
        face.set("vnir.fsp", 1),
        face.call("vnir.fsp"),
        face.set("vnir.temperature", 1.0),
    ):
        error = await refused(call, errors.MethodNotFound, AttributeError)
        assert error.executed is False
    error = await refused(face.call("vnir.ehco", 1), errors.MethodNotFound)
    assert "echo" in str(error)


@scenario
async def wrong_arguments_are_refused_before_the_method_begins(scene: Scene, face: Face) -> None:
    for call in (face.call("vnir.begin"), face.call("vnir.begin", 1, 2, 3)):
        error = await refused(call, errors.InvalidParams, TypeError)
        assert error.executed is False
    assert scene.bench.begun() == []


@scenario
async def unknown_objects_are_refused_at_once(scene: Scene, face: Face) -> None:
    began = time.monotonic()
    error = await refused(face.call("vnri.echo", 1), LookupError)
    with prompt():
        assert time.monotonic() - began < 1.0
    assert isinstance(error, errors.ObjectNotFound)
    assert error.executed is False
    assert "vnir" in str(error)


@scenario
async def what_cannot_be_sent_is_refused_on_its_side(scene: Scene, face: Face) -> None:
    error = await refused(face.call("vnir.echo", [object()]), errors.Unsendable, TypeError)
    assert error.executed is False
    assert "args[0][0]" in str(error)
    assert (await refused(face.call("vnir.unsendable"), errors.RocError)).executed
    large = np.zeros(270_000_000, dtype="u1")
    error = await refused(face.call("vnir.echo", large), errors.TooLarge, ValueError)
    assert await face.call("vnir.echo", 1) == 1


@scenario
async def names_and_timeouts_that_make_no_sense(scene: Scene, face: Face) -> None:
    for call in (
        face.call("a b.echo"),
        face.get("vnir.fps", timeout=0),
        face.call("vnir.echo", 1, timeout=-1),
        face.wait_for("vnir", timeout=float("nan")),
        face.wait_for("vnir!"),
    ):
        assert (await refused(call, ValueError)).executed is False
    with pytest.raises(errors.ConfigError):
        scene.connect(timeout=0)


# ---- calls that do not get through


@scenario
async def a_running_call_that_times_out_is_known_to_run(scene: Scene, face: Face) -> None:
    error = await ended_within(
        face.call("vnir.hold", 1, timeout=0.6), 0.6, errors.CallTimeout, TimeoutError
    )
    with prompt():  # it has begun, and the server says so in time
        assert error.executed is None
        assert "it still runs" in str(error)
    scene.bench.let_go()
    assert await face.call("vnir.echo", 2) == 2


@scenario
async def a_waiting_call_that_times_out_is_never_begun(scene: Scene, face: Face) -> None:
    running = asyncio.ensure_future(face.call("vnir.hold", 1, timeout=60))
    await until(scene.bench.has_begun(1))
    error = await ended_within(
        face.call("vnir.begin", 2, timeout=0.5), 0.5, errors.CallTimeout, TimeoutError
    )
    with prompt():  # the verdict comes in time
        assert error.executed is False
    scene.bench.let_go()
    assert await running == 1
    assert await face.call("vnir.begin", 3) == 3
    assert scene.bench.begun() == [1, 3]


@violent
async def without_a_broker_nothing_is_sent(scene: Scene, face: Face) -> None:
    scene.broker.child.kill()
    other = scene.connect(timeout=0.5)
    error = await ended_within(other.call("vnir.begin", 1), 0.5, errors.BrokerUnreachable)
    assert error.executed is False
    assert "rocbroker" in str(error)
    await ended_within(other.wait_for("vnir", timeout=0.4), 0.4, errors.BrokerUnreachable)


@violent
async def a_broker_that_goes_away_in_mid_call(scene: Scene, face: Face) -> None:
    calls = [asyncio.ensure_future(face.call("vnir.begin", n, 3.0, timeout=30)) for n in range(3)]
    await until(scene.bench.begun)
    scene.broker.child.kill()
    killed = time.monotonic()
    for call in calls:
        error = await refused(call, errors.BrokerUnreachable)
        assert error.executed is None
    with prompt():
        assert time.monotonic() - killed < 1.0


@violent
async def a_broker_that_comes_back(scene: Scene, face: Face) -> None:
    scene.broker.child.kill()
    await refused(face.call("vnir.echo", 1, timeout=0.5), errors.BrokerUnreachable)
    waiting = asyncio.ensure_future(face.call("vnir.begin", 1, timeout=30))
    await asyncio.sleep(0)
    scene.restart_broker()
    restarted = time.monotonic()
    assert await waiting == 1
    with prompt():
        assert time.monotonic() - restarted < 3.0
    assert await face.call("vnir.begin", 2) == 2
    assert scene.bench.begun() == [1, 2]


@violent
async def a_server_that_is_killed_in_mid_call(scene: Scene, face: Face) -> None:
    running = asyncio.ensure_future(face.call("vnir.begin", 1, 30.0, timeout=60))
    await until(scene.bench.begun)
    scene.server.kill()
    killed = time.monotonic()
    error = await refused(running, errors.ServerLost)
    assert error.executed is None
    with prompt():
        assert time.monotonic() - killed < 0.75
    # Lost a moment ago: the next call waits for its restart.
    waiting = asyncio.ensure_future(face.call("vnir.begin", 2, timeout=30))
    await asyncio.sleep(0)
    scene.bench.serve()
    assert await waiting == 2
    assert scene.bench.begun() == [1, 2]


@violent
async def a_server_that_freezes(scene: Scene, face: Face) -> None:
    scene.server.freeze()
    error = await ended_within(
        face.call("vnir.begin", 1, timeout=2.5), 2.5, errors.CallTimeout, TimeoutError
    )
    assert error.executed is not True
    scene.server.thaw()
    assert await face.call("vnir.begin", 2, timeout=30) == 2
    assert scene.bench.begun() == [2]


@scenario
async def an_object_that_nobody_shares_in_time(scene: Scene, face: Face) -> None:
    call = face.wait_for("swir", timeout=0.5)
    error = await ended_within(call, 0.5, errors.ObjectNotFound)
    assert error.executed is False


# ---- the end


@scenario
async def closing_ends_the_calls_that_are_under_way(scene: Scene, face: Face) -> None:
    other = scene.connect()
    running = asyncio.ensure_future(other.call("vnir.hold", 1, timeout=30))
    await until(scene.bench.begun)
    await other.close()
    error = await refused(running, errors.Closed)
    assert error.executed is None
    for call in (other.call("vnir.echo", 1), other.get("vnir.fps"), other.wait_for("vnir")):
        assert "closed" in str(await refused(call, errors.Closed))
    await other.close()
    scene.bench.let_go()
    assert await face.call("vnir.echo", 1) == 1


# ---- all of it


def play(scenario: Scenario, scene: Scene, face: str) -> None:
    async def main() -> None:
        try:
            client = scene.connect()
            await client.wait_for("vnir")
            await scenario(scene, client)
        finally:
            await scene.close()

    run(main(), "asyncio" if face == "blocking" else face)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", PEACEFUL)
def test_guarantee(name: str, face: str, standing: Bench) -> None:
    play(PEACEFUL[name], Scene(standing.cleared(), None, face), face)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", VIOLENT)
def test_bad_day(name: str, face: str, broker_process: BrokerProcess, spawn: Spawner) -> None:
    bench = Bench(spawn, broker_process)
    scene = Scene(bench, bench.serve(), face)
    play(VIOLENT[name], scene, face)
    scene.broker.stop()
