"""A broker as a library: embedded in a program, beside others, and what it tells of itself."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
import zmq

from callers import Calling
from desk import Desk
from processes import Spawner
from promptness import prompt
from runmacs.roc import Endpoints, RocClient, RocServer, errors
from runmacs.roc._drivers import native
from runmacs.roc.broker import Broker, Limits
from slices import OWN, SHORT, slice_of
from waiting import wait_until


class Camera:
    fps = 10.0

    def __init__(self) -> None:
        self._go_on = threading.Event()

    def nap(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    def hold(self) -> None:
        """Until the test lets go."""
        assert self._go_on.wait(60)


# ---- where it binds


def test_is_bound_when_it_is_made() -> None:
    broker = Broker(Endpoints("127.0.0.1", 0))
    try:
        for offset in range(3):
            address = ("127.0.0.1", broker.endpoints.brokerBasePort + offset)
            with socket.create_connection(address, timeout=30):
                pass
    finally:
        broker.stop()


def test_the_thread_that_routes_steps_forward_until_it_is_stopped() -> None:
    broker = Broker(Endpoints("127.0.0.1", 0))
    over = threading.Event()

    def run() -> None:
        broker.run()
        over.wait(30)

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: slice_of(thread) == SHORT, what="the slice of the thread that routes")
    broker.stop()
    wait_until(lambda: slice_of(thread) == OWN, what="its own slice, as it was found")
    over.set()
    thread.join()


def test_base_port_0_picks_three_consecutive_ones() -> None:
    with Broker(Endpoints("127.0.0.1", 0)) as broker:
        base = broker.endpoints.brokerBasePort
        assert broker.endpoints == Endpoints("127.0.0.1", base)
        assert base > 0
        assert broker.endpoints.generalXPUB == f"tcp://127.0.0.1:{base + 2}"
        assert repr(broker) == f"<Broker at tcp://127.0.0.1:{base}>"


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_port_in_use(nowhere: Endpoints, offset: int) -> None:
    """Of the three any may be taken, and those bound before are given back."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", nowhere.brokerBasePort + offset))
        other.listen()
        with pytest.raises(errors.ConfigError) as caught:
            Broker(nowhere)
        message = str(caught.value)
        assert f"tcp://127.0.0.1:{nowhere.brokerBasePort + offset}" in message
        assert "in use" in message
        assert "--base-port" in message
    with Broker(nowhere) as broker:
        assert broker.endpoints == nowhere


def test_port_of_another_broker(desk: Desk) -> None:
    with pytest.raises(errors.ConfigError, match="another broker"):
        Broker(desk.endpoints)
    with pytest.raises(errors.ConfigError, match="another broker"):
        Broker(Endpoints("127.0.0.1", desk.endpoints.brokerBasePort - 2))
    assert list(desk.client) == [], "it serves on"


@pytest.mark.parametrize("address", ["192.0.2.1", "no-such-host.invalid", "2001:db8::1"])
def test_address_that_cannot_be_bound(address: str) -> None:
    with pytest.raises(errors.ConfigError, match="--bind"):
        Broker(Endpoints(address, 0))


def test_directory_that_does_not_exist(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("ipc is POSIX here; run it on Linux or macOS")
    with pytest.raises(errors.ConfigError, match="nowhere"):
        Broker(Endpoints(str(tmp_path / "nowhere" / "lab"), 5555, "ipc"))


def test_names_of_this_computer_can_be_bound() -> None:
    with (
        Broker(Endpoints("localhost", 0)) as broker,
        RocClient(broker.endpoints, timeout=20) as client,
    ):
        assert list(client) == []


def test_ends_and_begins_again_at_the_same_address() -> None:
    with Broker(Endpoints("127.0.0.1", 0)) as broker:
        where = broker.endpoints
    for _ in range(10):
        with Broker(where), RocClient(where, timeout=20) as client:
            assert list(client) == []


# ---- beside others


def test_several_brokers_in_one_process() -> None:
    """Each its own world."""
    with Desk() as one, Desk() as two:
        one.serve(Camera(), "vnir")
        two.serve(Camera(), "swir")
        assert list(one.client) == ["vnir"]
        assert list(two.client) == ["swir"]
        with pytest.raises(errors.ObjectNotFound):
            _ = one.client["swir"].fps


def test_several_brokers_on_one_context() -> None:
    with zmq.Context() as context:
        with (
            Broker(Endpoints("127.0.0.1", 0), context) as one,
            Broker(Endpoints("127.0.0.1", 0), ctx=context) as two,
            RocClient(one.endpoints, context) as first,
            RocClient(two.endpoints, context) as second,
        ):
            assert list(first) == list(second) == []
            assert first["roc.broker"].stats()["broker"] != second["roc.broker"].stats()["broker"]
        assert not context.closed, "it was passed in, and is not ours to terminate"


def test_runs_in_a_thread_of_the_programs_own() -> None:
    broker = Broker(Endpoints("127.0.0.1", 0))
    running = threading.Thread(target=broker.run)
    running.start()
    with RocClient(broker.endpoints, timeout=20) as client:
        assert list(client) == []
    broker.stop()
    running.join(30)
    assert not running.is_alive()


def test_stop_is_quick_and_may_come_twice(desk: Desk) -> None:
    began = time.monotonic()
    desk.broker.stop()
    desk.broker.stop()
    with prompt():
        assert time.monotonic() - began < 1.0


def test_stopped_without_having_run_gives_its_ports_back() -> None:
    broker = Broker(Endpoints("127.0.0.1", 0))
    broker.stop()
    wait_until(lambda: can_be_bound(broker.endpoints), what="ZeroMQ has given the ports back")
    broker.run()  # returns at once


def can_be_bound(endpoints: Endpoints) -> bool:
    try:
        with Broker(endpoints):
            return True
    except errors.ConfigError:
        return False


def test_is_not_started_again(desk: Desk) -> None:
    desk.broker.stop()
    with pytest.raises(errors.Closed, match="make a new one"):
        desk.broker.start()


def test_one_program_does_it_all(spawn: Spawner) -> None:
    """The example of the class, as somebody would type it."""
    child = spawn(
        """
        from runmacs.roc import Endpoints, RocClient, RocServer
        from runmacs.roc.broker import Broker

        class Camera:
            fps = 10.0

        with Broker(Endpoints("127.0.0.1", 0)) as broker:
            with RocServer(broker.endpoints, "vnir", Camera()):
                with RocClient(broker.endpoints, timeout=20) as client:
                    print(client["vnir"].fps)
        """
    )
    assert child.wait() == 0
    assert child.stdout == "10.0\n"
    assert child.stderr == ""


# ---- its end


def test_tells_everybody_when_it_is_stopped() -> None:
    """Servers look for the next broker, and callers are not left waiting."""
    broker = Broker(Endpoints("127.0.0.1", 0)).start()
    camera = Camera()
    with (
        RocServer(broker.endpoints, "vnir", camera),
        RocClient(broker.endpoints, timeout=20) as client,
    ):
        call = Calling(client["vnir"].hold)
        wait_until(lambda: client["roc.broker"].objects()[0]["servers"][0]["running"])
        stopped = time.monotonic()
        broker.stop()
        error = call.wait().error
        camera._go_on.set()
        assert isinstance(error, errors.BrokerUnreachable)
        assert error.executed is None
        with prompt():
            assert call.ended - stopped < 1.0


def test_calls_that_waited_in_it_were_not_executed() -> None:
    """Here for a server that has left, and that the caller had reached before."""
    broker = Broker(Endpoints("127.0.0.1", 0)).start()
    with RocClient(broker.endpoints, timeout=20) as client:
        vnir = client["vnir"]
        with RocServer(broker.endpoints, "vnir", Camera()):
            assert vnir.fps == 10.0
        call = Calling(lambda: vnir.fps)
        objects = client["roc.broker"].objects
        wait_until(lambda: [entry["queued"] for entry in objects()] == [1])
        broker.stop()
        error = call.wait().error
        assert isinstance(error, errors.BrokerUnreachable)
        assert error.executed is False
        assert "vnir" in str(error)


# ---- what it tells


def test_objects(desk: Desk) -> None:
    objects = desk.client["roc.broker"].objects
    before = time.time()
    desk.serve(Camera(), "vnir")
    desk.serve(Camera(), "nav", policy="pool")
    _ = desk.client["vnir"].fps
    nav, vnir = objects()
    assert nav["id"] == "nav"
    assert nav["policy"] == "pool"
    assert vnir["id"] == "vnir"
    assert vnir["policy"] == "exclusive"
    assert vnir["host"] == socket.gethostname()
    assert vnir["pid"] == os.getpid()
    assert vnir["language"] == "python"
    assert before - 1 < vnir["since"] < time.time() + 1, "seconds since 1970, UTC"
    assert vnir["state"] == "serving"
    assert vnir["calls"] == 1
    assert vnir["queued"] == 0


def test_objects_tells_of_calls_that_wait(desk: Desk) -> None:
    camera = Camera()
    desk.serve(camera, prefetch=1)
    hold = desk.connect(timeout=60)["vnir"].hold
    callers = [threading.Thread(target=hold) for _ in range(3)]
    for caller in callers:
        caller.start()
    objects = desk.client["roc.broker"].objects
    wait_until(lambda: objects()[0]["queued"] == 2)
    assert objects()[0]["servers"][0]["running"] == 1
    camera._go_on.set()
    for caller in callers:
        caller.join()
    assert objects()[0]["queued"] == 0
    assert objects()[0]["calls"] >= 3


def test_stats(desk: Desk) -> None:
    stats = desk.client["roc.broker"].stats
    first = stats()
    assert first["broker"] == desk.broker.broker_id
    assert 0 < first["uptime"] < 60
    assert abs(first["time"] - time.time()) < 60
    vnir = desk.share(Camera())
    assert vnir.fps == 10.0
    with pytest.raises(errors.ObjectNotFound):
        _ = desk.client["nothing"].fps
    with pytest.raises(errors.ObjectIdTaken):
        RocServer(desk.endpoints, "vnir", Camera()).start()
    second = stats()
    assert first["implementation"] == native.RUNS
    told = ("broker", "uptime", "time", "implementation")
    grown = {name: second[name] - first[name] for name in first if name not in told}
    changed = {name: number for name, number in grown.items() if number}
    assert changed == {
        "requests": 3,
        "replies": 1,
        "refused_unknown_object": 1,
        "refused_object_id_taken": 1,
    }


def test_stats_of_publications(desk: Desk) -> None:
    stats = desk.client["roc.broker"].stats
    with (
        zmq.Context() as context,
        context.socket(zmq.XPUB) as publisher,
        context.socket(zmq.SUB) as subscriber,
        context.socket(zmq.XSUB) as rude,
    ):
        for socket in (publisher, subscriber, rude):
            socket.linger = 0
        publisher.connect(desk.endpoints.generalXSUB)
        subscriber.connect(desk.endpoints.generalXPUB)
        rude.connect(desk.endpoints.generalXPUB)
        rude.send(b"nonsense")
        subscriber.subscribe(b"a")
        wait_until(lambda: stats()["dropped_malformed_subscription"] == 1)
        wait_until(lambda: (stats()["publishers"], stats()["subscribers"]) == (1, 2))

        def arrives() -> bool:
            publisher.send_multipart([b"a", b"1"])
            publisher.send_multipart([b"b", b"1"])
            return bool(subscriber.poll(20))

        wait_until(arrives)
        # The second of two may not be taken yet when the first has arrived.
        found = wait_until(lambda: told if (told := stats())["publications_taken"] % 2 == 0 else {})
        assert found["publications_taken"] >= 2 * found["publications_passed_on"] > 0
        assert found["dropped_subscriber_full"] == 0
    wait_until(lambda: (stats()["publishers"], stats()["subscribers"]) == (0, 0))


def test_asked_while_all_servers_are_busy(desk: Desk) -> None:
    """What the broker is asked itself waits for nobody."""
    desk.serve(Camera())
    caller = threading.Thread(target=desk.client.proxy("vnir", timeout=5).nap, args=(0.5,))
    caller.start()
    client = desk.connect()
    client.wait_for("vnir")
    longest = 0.0
    while caller.is_alive():
        began = time.monotonic()
        client["roc.broker"].stats()
        longest = max(longest, time.monotonic() - began)
    with prompt():
        assert longest < 0.25


def test_broker_is_documented_like_any_object(desk: Desk) -> None:
    broker = desk.client["roc.broker"]
    assert {"objects", "stats"} <= set(dir(broker))
    assert "counters" in broker.stats.__doc__.lower()
    with pytest.raises(AttributeError, match="'stats'"):
        broker.stat()


# ---- its limits


def test_full_queue_is_an_error_at_once() -> None:
    limits = Limits(calls_per_object=3)
    camera = Camera()
    with (
        Broker(Endpoints("127.0.0.1", 0), limits=limits) as broker,
        RocServer(broker.endpoints, "vnir", camera, prefetch=1),
        RocClient(broker.endpoints, timeout=60) as client,
    ):
        nap = client["vnir"].nap
        callers = [threading.Thread(target=client["vnir"].hold) for _ in range(4)]
        for caller in callers:
            caller.start()
        objects = client["roc.broker"].objects
        wait_until(lambda: objects()[0]["queued"] == 3)
        began = time.monotonic()
        with pytest.raises(errors.QueueFull, match="vnir") as caught:
            nap(0.0)
        with prompt():
            assert time.monotonic() - began < 0.2
        assert caught.value.executed is False
        camera._go_on.set()
        for caller in callers:
            caller.join()
        assert nap(0.0) == 0.0
