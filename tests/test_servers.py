"""`run_simple_server`: a program that serves until it is told to stop, and then cleans up."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from processes import Child, Spawner, start_broker
from promptness import prompt
from runmacs.roc import Endpoints, RocClient, errors, servers
from waiting import wait_until

PROGRAM = """
    import sys
    from runmacs.roc.servers import {name}

    class Camera:
        def __enter__(self):
            self.fps = 10.0
            return self

        def __exit__(self, kind, error, traceback):
            print("closed", kind and kind.__name__, flush=True)

        def thread(self):
            import threading
            return threading.current_thread() is threading.main_thread()

    with Camera() as camera:
        {name}("vnir", camera{options})
    print("ended", flush=True)
"""


def program(name: str = "run_simple_server", options: str = "") -> str:
    return PROGRAM.format(name=name, options=options)


@pytest.fixture
def server(spawn: Spawner, broker: Endpoints) -> Child:
    """The program, which finds its broker in the environment."""
    return spawn(program(), name="server", env={"ROC_BROKER": broker.rocBroker})


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals; run it on Linux or macOS")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stops_cleanly_on_a_signal(
    server: Child, broker: Endpoints, number: signal.Signals
) -> None:
    """The with block closes the hardware; exit status 0, and no traceback."""
    with RocClient(broker, timeout=20) as client:
        assert client.wait_for("vnir").fps == 10.0
        server.send_signal(number)
        assert server.ends_in_time() == 0
        assert server.stdout.splitlines() == ["closed None", "ended"]
        assert server.stderr == ""
        assert list(client) == [], "the broker was told"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals; run it on Linux or macOS")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stops_cleanly_while_no_broker_is_there(spawn: Spawner, number: signal.Signals) -> None:
    child = spawn(program(), env={"ROC_BROKER": "127.0.0.1:1"})
    wait_until(lambda: child.stderr, what="it waits for a broker")
    child.send_signal(number)
    assert child.ends_in_time() == 0
    assert child.stdout.splitlines() == ["closed None", "ended"]
    assert len(child.stderr.splitlines()) == 1


def test_methods_run_in_the_main_thread(server: Child, broker: Endpoints) -> None:
    with RocClient(broker, timeout=20) as client:
        assert client.wait_for("vnir").thread() is True
        assert server.returncode is None


def test_both_names_and_both_arguments_by_keyword(spawn: Spawner, broker: Endpoints) -> None:
    assert servers.runSimpleServer is servers.run_simple_server
    child = spawn(
        """
        import sys
        from runmacs.roc.servers import runSimpleServer

        class Camera:
            fps = 10.0

        runSimpleServer(instance=Camera(), OBJECT_ID="vnir", broker=sys.argv[1])
        """,
        broker.rocBroker,
    )
    with RocClient(broker, timeout=20) as client:
        assert client.wait_for("vnir").fps == 10.0
        assert child.returncode is None


def test_taken_object_id_closes_the_hardware_too(
    server: Child, spawn: Spawner, broker: Endpoints
) -> None:
    with RocClient(broker, timeout=20) as client:
        client.wait_for("vnir")
        second = spawn(program(), name="second", env={"ROC_BROKER": broker.rocBroker})
        assert second.wait() == 1
        assert second.stdout.splitlines() == ["closed ObjectIdTaken"]
        assert f"pid {server.pid}" in second.stderr.splitlines()[-1]
        assert client["vnir"].fps == 10.0


def test_senseless_arguments_raise_before_anything_is_served() -> None:
    with pytest.raises(errors.ConfigError, match="v nir"):
        servers.run_simple_server("v nir", object())
    with pytest.raises(errors.ConfigError, match="99999"):
        servers.run_simple_server("vnir", object(), broker="127.0.0.1:99999")


def test_no_broker_at_start_is_told_once_and_then_it_works(spawn: Spawner, tmp_path: Path) -> None:
    gone = start_broker(spawn)
    gone.stop()
    endpoints = gone.endpoints
    server = spawn(program(), name="server", env={"ROC_BROKER": endpoints.rocBroker})
    wait_until(lambda: server.stderr, what="it says where it looks")
    (line,) = server.stderr.splitlines()
    assert "vnir" in line
    assert endpoints.rocBroker in line
    assert "rocbroker" in line, "it says what to do"
    assert "ROC_BROKER" in line
    running = start_broker(spawn, "--base-port", endpoints.brokerBasePort)
    with RocClient(endpoints, timeout=20) as client:
        began = time.monotonic()
        assert client.wait_for("vnir").fps == 10.0
        with prompt():
            assert time.monotonic() - began < 3.0
        wait_until(lambda: len(server.stderr.splitlines()) == 2)
        assert "has it" in server.stderr.splitlines()[1], "and that all is well now"
    server.terminate()
    assert server.wait() == 0
    running.stop()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals; run it on Linux or macOS")
def test_exception_of_a_method_does_not_end_the_program(spawn: Spawner, broker: Endpoints) -> None:
    child = spawn(
        """
        import os, signal, sys
        from runmacs.roc.servers import run_simple_server

        class Camera:
            def exit(self):
                sys.exit(3)

            def interrupt(self):
                raise KeyboardInterrupt

            fps = 10.0

        run_simple_server("vnir", Camera(), broker=sys.argv[1])
        """,
        broker.rocBroker,
    )
    with RocClient(broker, timeout=20) as client:
        vnir = client.wait_for("vnir")
        for method in (vnir.exit, vnir.interrupt):
            with pytest.raises(errors.RemoteError) as caught:
                method()
            assert caught.value.executed is True
        assert vnir.fps == 10.0
        assert child.returncode is None


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals; run it on Linux or macOS")
def test_handlers_are_put_back(spawn: Spawner, broker: Endpoints) -> None:
    """The program's own signal handlers work again after run_simple_server."""
    child = spawn(
        """
        import signal, sys
        from runmacs.roc.servers import run_simple_server

        def on_signal(number, frame):
            pass

        signal.signal(signal.SIGTERM, on_signal)
        signal.signal(signal.SIGINT, on_signal)
        print("ready", flush=True)
        run_simple_server("vnir", object(), broker=sys.argv[1])
        assert signal.getsignal(signal.SIGTERM) is on_signal
        assert signal.getsignal(signal.SIGINT) is on_signal
        print("put back", flush=True)
        """,
        broker.rocBroker,
    )
    with RocClient(broker, timeout=20) as client:
        client.wait_for("vnir")
        child.terminate()
        assert child.wait() == 0
        assert child.stdout.splitlines() == ["ready", "put back"]
