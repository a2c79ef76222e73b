"""`rocbroker`, as a real process: what it prints, and what it says when it cannot start."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zmq

from processes import (
    POSIX,
    BrokerProcess,
    Child,
    Spawner,
    only_says_how_it_runs,
    rocbroker_command,
    start_broker,
)
from runmacs.roc import Endpoints, RocClient, RocServer
from waiting import wait_until

posix = pytest.mark.skipif(not POSIX, reason="POSIX signals; run it on Linux or macOS")


class Camera:
    fps = 10.0

    def nap(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds


def refused(child: Child) -> str:
    """The one sentence with which it has refused to start."""
    assert child.wait() == 2
    assert child.stdout == ""
    assert re.fullmatch(r"rocbroker: [^\n]*\.\n", child.stderr), child.stderr
    return child.stderr


# ---- the ready line


def test_ready_line(rocbroker: Callable[..., Child]) -> None:
    """One line on stdout, when all three sockets are bound, and nothing alarming on stderr."""
    child = rocbroker("--base-port", 0)
    ready = child.wait_for(r"^rocbroker ready rocBroker=tcp://127\.0\.0\.1:(\d+) ")
    base = int(ready[1])
    wait_until(lambda: child.stdout.endswith("\n"), what="the whole line")
    assert child.stdout == (
        f"rocbroker ready rocBroker=tcp://127.0.0.1:{base}"
        f" generalXSUB=tcp://127.0.0.1:{base + 1} generalXPUB=tcp://127.0.0.1:{base + 2}\n"
    )
    for port in (base, base + 1, base + 2):
        with socket.create_connection(("127.0.0.1", port), timeout=30):
            pass
    assert only_says_how_it_runs(child)


def test_ready_line_is_flushed_into_a_pipe() -> None:
    """As programs read it that start a broker."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        [*rocbroker_command(), "--base-port", "0"], stdout=subprocess.PIPE, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            watchdog = threading.Timer(60, process.kill)
            watchdog.start()
            assert process.stdout.readline().startswith(b"rocbroker ready rocBroker=tcp://")
            watchdog.cancel()
        finally:
            process.kill()


def test_given_ports(spawn: Spawner) -> None:
    first = start_broker(spawn)
    first.stop()
    again = start_broker(spawn, "--base-port", first.endpoints.brokerBasePort)
    assert again.endpoints == first.endpoints
    again.stop()


def test_default_ports(rocbroker: Callable[..., Child]) -> None:
    """5555 to 5557: what it would bind, as they may be taken here."""
    child = rocbroker("--show-config")
    assert child.wait() == 0
    assert re.search(r"^base_port = 5555 ", child.stdout, re.MULTILINE)
    assert re.search(r'^bind = "127\.0\.0\.1" ', child.stdout, re.MULTILINE)


@pytest.mark.parametrize("bind", ["::1", "[::1]"])
def test_ipv6(rocbroker: Callable[..., Child], bind: str) -> None:
    if not socket.has_ipv6 or not ipv6_works():
        pytest.skip("there is no ::1 here; enable IPv6 on the loopback interface")
    child = rocbroker("--base-port", 0, "--bind", bind)
    ready = child.wait_for(r"^rocbroker ready rocBroker=(tcp://\[::1\]:\d+) ")
    with RocServer(ready[1], "vnir", Camera()), RocClient(ready[1]) as client:
        assert client["vnir"].fps == 10.0
    assert child.stderr.count("warning") == 0


def ipv6_works() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@posix
def test_ipc(rocbroker: Callable[..., Child], tmp_path: Path) -> None:
    path = tmp_path / "lab"
    child = rocbroker("--transport", "ipc", "--bind", path)
    child.wait_for(
        rf"^rocbroker ready rocBroker=ipc://{path}\.5555"
        rf" generalXSUB=ipc://{path}\.5556 generalXPUB=ipc://{path}\.5557$"
    )
    endpoints = Endpoints(str(path), 5555, "ipc")
    with RocServer(endpoints, "vnir", Camera()), RocClient(endpoints, timeout=20) as client:
        assert client["vnir"].fps == 10.0
    child.terminate()
    assert child.wait() == 0
    assert list(tmp_path.glob("lab.*")) == [], "it has tidied up"


# ---- when it cannot


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_port_in_use(rocbroker: Callable[..., Child], nowhere: Endpoints, offset: int) -> None:
    port = nowhere.brokerBasePort + offset
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        sentence = refused(rocbroker("--base-port", nowhere.brokerBasePort))
        assert f"tcp://127.0.0.1:{port} is in use" in sentence
        assert "--base-port" in sentence


def test_another_broker_runs_there(
    broker_process: BrokerProcess, rocbroker: Callable[..., Child]
) -> None:
    sentence = refused(rocbroker("--base-port", broker_process.endpoints.brokerBasePort))
    assert "another broker" in sentence
    with RocClient(broker_process.endpoints, timeout=20) as client:
        assert list(client) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--bind", "192.0.2.1"], "--bind"),
        (["--bind", "no-such-host.invalid"], "--bind"),
        (["--bind", "999.1.1.1"], "999.1.1.1"),
        (["--bind", "tcp://127.0.0.1"], "tcp://127.0.0.1"),
        (["--base-port", "99999"], "99999"),
        (["--base-port", "-1"], "-1"),
        (["--base-port", "many"], "many"),
        (["--transport", "udp"], "udp"),
        (["--transport", "ipc", "--bind", "/nowhere/at/all/lab"], "/nowhere/at/all/lab"),
        (["--log-level", "loud"], "loud"),
    ],
)
def test_senseless_options(rocbroker: Callable[..., Child], options: list[str], words: str) -> None:
    given = options if "--base-port" in options else [*options, "--base-port", "0"]
    if "ipc" in options:
        given = [*options, "--base-port", "1"]
    assert words in refused(rocbroker(*given))


def test_unknown_option(rocbroker: Callable[..., Child]) -> None:
    child = rocbroker("--prot", 5555)
    assert child.wait() == 2
    assert "No such option" in child.stderr
    assert "--prot" in child.stderr
    assert "rocbroker" in child.stderr
    assert "--help" in child.stderr
    assert child.stdout == ""


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_has_an_example(rocbroker: Callable[..., Child], option: str) -> None:
    child = rocbroker(option)
    assert child.wait() == 0
    assert "rocbroker --bind 0.0.0.0" in child.stdout
    for flag in ("--bind", "--base-port", "--transport", "--log-level"):
        assert flag in child.stdout
    assert child.stderr == ""


def test_version(rocbroker: Callable[..., Child]) -> None:
    from runmacs.roc import __version__

    child = rocbroker("--version")
    assert child.wait() == 0
    assert __version__ in child.stdout


# ---- the network


@pytest.mark.parametrize("bind", ["0.0.0.0", "*", "::"])
def test_warns_when_bound_wide(rocbroker: Callable[..., Child], bind: str) -> None:
    """One line that names the risk; still it serves."""
    if bind == "::" and not ipv6_works():
        pytest.skip("there is no IPv6 here; enable it on the loopback interface")
    child = rocbroker("--bind", bind, "--base-port", 0)
    ready = child.wait_for(r"^rocbroker ready rocBroker=tcp://\S+:(\d+) ")
    warning = child.stderr.splitlines()[0]
    assert "warning" in warning
    assert "without keys" in warning
    assert "can call" in warning
    with RocClient(f"127.0.0.1:{ready[1]}" if bind != "::" else f"[::1]:{ready[1]}") as client:
        assert list(client) == []


def test_does_not_warn_on_loopback(broker_process: BrokerProcess) -> None:
    assert only_says_how_it_runs(broker_process.child)


# ---- publications


def test_forwards_publications_and_subscriptions(broker_process: BrokerProcess) -> None:
    endpoints = broker_process.endpoints
    with (
        zmq.Context() as context,
        context.socket(zmq.XPUB) as publisher,
        context.socket(zmq.SUB) as subscriber,
    ):
        publisher.linger = subscriber.linger = publisher.sndhwm = 0
        publisher.connect(endpoints.generalXSUB)
        subscriber.connect(endpoints.generalXPUB)
        subscriber.subscribe(b"spectra.")
        assert publisher.poll(30_000), "the broker wants everything"
        assert publisher.recv() == b"\x01"
        sent: list[Any] = [[b"spectra.vnir", b"%d" % number] for number in range(1000)]
        publisher.send_multipart([b"other", b"nobody wants this"])
        for message in sent:
            publisher.send_multipart(message)
        received: list[Any] = []
        while len(received) < len(sent) and subscriber.poll(30_000):
            received.append(subscriber.recv_multipart())
        assert received == sent
