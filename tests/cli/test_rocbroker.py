"""`rocbroker`, as a real process: what it prints, how it ends, and what it says when it cannot."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from processes import POSIX, BrokerProcess, Child, Spawner, rocbroker_command, start_broker
from runmacs.roc import Endpoints, RocClient, RocServer, errors
from runmacs.roc.wire import mdp
from waiting import wait_until

ENDS_WITHIN = 2.0

posix = pytest.mark.skipif(not POSIX, reason="POSIX signals; run it on Linux or macOS")


class Camera:
    fps = 10.0

    def nap(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds


@pytest.fixture
def rocbroker(spawn: Spawner) -> Callable[..., Child]:
    """Start the command with these options; it may as well end."""

    def rocbroker(*options: object, **env: str) -> Child:
        return spawn.command([*rocbroker_command(), *map(str, options)], env=env)

    return rocbroker


def refused(child: Child) -> str:
    """The one sentence with which it has refused to start."""
    assert child.wait(5) == 2
    assert child.stdout == ""
    assert re.fullmatch(r"rocbroker: [^\n]*\.\n", child.stderr), child.stderr
    return child.stderr


# ---- the ready line


def test_ready_line(rocbroker: Callable[..., Child]) -> None:
    """One line on stdout, when all three sockets are bound, and nothing else anywhere."""
    child = rocbroker("--base-port", 0)
    ready = child.wait_for(r"^rocbroker ready rocBroker=tcp://127\.0\.0\.1:(\d+) ")
    base = int(ready[1])
    assert child.stdout == (
        f"rocbroker ready rocBroker=tcp://127.0.0.1:{base}"
        f" generalXSUB=tcp://127.0.0.1:{base + 1} generalXPUB=tcp://127.0.0.1:{base + 2}\n"
    )
    for port in (base, base + 1, base + 2):
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            pass
    assert child.stderr == ""


def test_ready_line_is_flushed_into_a_pipe() -> None:
    """As programs read it that start a broker."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        [*rocbroker_command(), "--base-port", "0"], stdout=subprocess.PIPE, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            watchdog = threading.Timer(10, process.kill)
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
    with RocServer(endpoints, "vnir", Camera()), RocClient(endpoints) as client:
        assert client["vnir"].fps == 10.0
    child.terminate()
    assert child.wait(ENDS_WITHIN) == 0
    assert list(tmp_path.glob("lab.*")) == [], "it has tidied up"


# ---- when it cannot


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_port_in_use(rocbroker: Callable[..., Child], offset: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        sentence = refused(rocbroker("--base-port", port - offset))
        assert f"tcp://127.0.0.1:{port} is in use" in sentence
        assert "--base-port" in sentence


def test_another_broker_runs_there(
    broker_process: BrokerProcess, rocbroker: Callable[..., Child]
) -> None:
    sentence = refused(rocbroker("--base-port", broker_process.endpoints.brokerBasePort))
    assert "another broker" in sentence
    with RocClient(broker_process.endpoints) as client:
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
def test_senseless_options(
    rocbroker: Callable[..., Child], options: list[str], words: str
) -> None:
    given = options if "--base-port" in options else [*options, "--base-port", "0"]
    if "ipc" in options:
        given = [*options, "--base-port", "1"]
    assert words in refused(rocbroker(*given))


def test_unknown_option(rocbroker: Callable[..., Child]) -> None:
    child = rocbroker("--prot", 5555)
    assert child.wait() == 2
    assert "No such option" in child.stderr and "--prot" in child.stderr
    assert "rocbroker" in child.stderr and "--help" in child.stderr
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
    (warning,) = child.stderr.splitlines()
    assert "warning" in warning and "without keys" in warning and "can call" in warning
    with RocClient(f"127.0.0.1:{ready[1]}" if bind != "::" else f"[::1]:{ready[1]}") as client:
        assert list(client) == []


def test_does_not_warn_on_loopback(broker_process: BrokerProcess) -> None:
    assert broker_process.child.stderr == ""


# ---- its end


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ends_cleanly_on_a_signal(
    broker_process: BrokerProcess, number: signal.Signals
) -> None:
    broker_process.child.send_signal(number)
    struck = time.monotonic()
    assert broker_process.child.wait(ENDS_WITHIN) == 0
    print(f"ended after {time.monotonic() - struck:.2f} s")
    assert len(broker_process.child.stdout.splitlines()) == 1
    assert broker_process.child.stderr == ""


@posix
def test_ends_cleanly_under_load(broker_process: BrokerProcess) -> None:
    """Servers are told, callers too, and the process is gone within 2 s."""
    endpoints = broker_process.endpoints
    ended: list[tuple[float, BaseException]] = []

    def call(client: RocClient) -> None:
        try:
            while True:
                client.call_object("vnir", "nap", (0.01,))
        except errors.RocError as error:
            ended.append((time.monotonic(), error))

    with RocServer(endpoints, "vnir", Camera()):
        clients = [RocClient(endpoints, timeout=10) for _ in range(4)]
        threads = [threading.Thread(target=call, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        with RocClient(endpoints) as client:
            wait_until(lambda: client["roc.broker"].stats()["replies"] > 20)
        broker_process.child.terminate()
        struck = time.monotonic()
        assert broker_process.child.wait(ENDS_WITHIN) == 0
        for thread in threads:
            thread.join(2)
        for when, error in ended:
            assert isinstance(error, errors.BrokerUnreachable)
            assert when - struck < 1.0 + 0.5  # told within 1 s of the end of a broker
        assert len(ended) == 4
        for client in clients:
            client.close()


@posix
def test_workers_are_told(broker_process: BrokerProcess) -> None:
    """Also a stock one, by the plain DISCONNECT of 7/MDP, before the connection ends."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as worker:
        worker.linger = 0
        worker.connect(broker_process.endpoints.rocBroker)
        worker.send_multipart([b"", mdp.WORKER, mdp.READY, b"stock"])
        with RocClient(broker_process.endpoints) as client:
            wait_until(lambda: "stock" in client)
        broker_process.child.terminate()
        commands = []
        while worker.poll(2000):
            commands.append(worker.recv_multipart()[2])
            if commands[-1] == mdp.DISCONNECT:
                break
        assert commands[-1] == mdp.DISCONNECT
        assert broker_process.child.wait(ENDS_WITHIN) == 0


@posix
def test_ends_although_a_peer_takes_nothing(broker_process: BrokerProcess, spawn: Spawner) -> None:
    """A frozen server cannot keep a broker from ending."""
    child = spawn(
        """
        import sys
        from runmacs.roc import RocServer

        class Camera:
            fps = 10.0

            def size(self, data):
                return len(data)

        RocServer(sys.argv[1], "vnir", Camera()).run()
        """,
        broker_process.endpoints.rocBroker,
    )
    with RocClient(broker_process.endpoints, timeout=0.3) as client:
        client.wait_for("vnir")
        child.freeze()
        for _ in range(3):
            with pytest.raises(errors.RocError):
                client.call_object("vnir", "size", (bytes(20_000_000),))
        broker_process.child.terminate()
        assert broker_process.child.wait(ENDS_WITHIN) == 0


@posix
@pytest.mark.parametrize("attempt", range(5))
def test_signal_right_after_the_ready_line(rocbroker: Callable[..., Child], attempt: int) -> None:
    child = rocbroker("--base-port", 0)
    child.wait_for("^rocbroker ready")
    child.terminate()
    assert child.wait(ENDS_WITHIN) == 0


# ---- its log


def logged(child: Child) -> list[str]:
    """The records on stderr, without their time."""
    lines = child.stderr.splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ ", line) for line in lines)
    return [line.split(" ", 2)[2] for line in lines]


@pytest.fixture
def told(spawn: Spawner) -> Iterator[Callable[[str], Child]]:
    """A day in the life of a broker with this log level: servers come, clash, and are lost."""
    running: list[BrokerProcess] = []

    def told(level: str) -> Child:
        broker = start_broker(spawn, "--log-level", level)
        running.append(broker)
        child = spawn(
            "import sys; from runmacs.roc import RocServer\n"
            "RocServer(sys.argv[1], 'vnir', object()).run()",
            broker.endpoints.rocBroker,
            name="vnir",
        )
        with RocClient(broker.endpoints) as client:
            client.wait_for("vnir")
            with pytest.raises(errors.ObjectIdTaken):
                RocServer(broker.endpoints, "vnir", Camera()).start()
            with RocServer(broker.endpoints, "swir", Camera()):
                pass
            with pytest.raises(errors.ObjectNotFound):
                _ = client["nothing"].fps
            child.kill()
            wait_until(lambda: list(client) == [])
        return broker.child

    yield told
    for broker in running:
        broker.stop()


def test_log_level_info(told: Callable[[str], Child]) -> None:
    """Who comes, who goes, who is refused, who is lost; and no word of single calls."""
    child = told("info")
    wait_until(lambda: "lost" in child.stderr)
    records = logged(child)
    me, host = f"pid {os.getpid()}", socket.gethostname()
    words = [record.partition(" ")[2] for record in records]
    assert any(re.fullmatch(rf"vnir: {host}, pid \d+ shares it", text) for text in words)
    assert f"swir: {host}, {me} shares it" in words
    assert f"swir: {host}, {me} has left" in words
    assert any(re.match(rf"vnir: {host}, {me} is refused, as {host}, pid \d+", t) for t in words)
    assert any(re.match(r"vnir: \S+, pid \d+ is lost", text) for text in words)
    assert {record.split()[0] for record in records} == {"INFO", "WARNING"}
    assert not any("nothing" in text for text in words)


def test_log_level_warning(told: Callable[[str], Child]) -> None:
    child = told("warning")
    wait_until(lambda: "lost" in child.stderr)
    assert {record.split()[0] for record in logged(child)} == {"WARNING"}


def test_log_level_error(told: Callable[[str], Child]) -> None:
    assert told("error").stderr == ""


def test_log_level_debug(told: Callable[[str], Child]) -> None:
    child = told("debug")
    wait_until(lambda: "lost" in child.stderr)
    assert any(record.startswith("DEBUG nothing: ") for record in logged(child))


def test_log_text_is_data(spawn: Spawner) -> None:
    """What a peer makes up reaches no terminal unescaped."""
    broker = start_broker(spawn, "--log-level", "debug")
    with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
        peer.linger = 0
        peer.connect(broker.endpoints.rocBroker)
        evil = "\x1b[31mred\x1b[0m\nlab\u202e".encode()
        peer.send_multipart([b"", mdp.WORKER, mdp.READY, evil])
        peer.send_multipart([b"", mdp.CLIENT, evil, b'{"jsonrpc":"2.0","id":1,"method":"x"}'])
        wait_until(lambda: len(broker.child.stderr.splitlines()) >= 2)
    for record in logged(broker.child):
        assert record.isprintable()
        assert r"\x1b[31mred" in record and r"\nlab\u202e" in record
    broker.stop()


@posix
def test_log_that_nobody_reads_does_not_stop_the_broker(tmp_path: Path) -> None:
    """Its stderr is a pipe that is full: the broker serves on, and still ends in time."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, bytes(4096))
    except BlockingIOError:
        os.set_blocking(writer, True)
    command = [*rocbroker_command(), "--base-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=writer) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline().decode()
            address = re.search(r"rocBroker=(\S+)", ready)
            assert address is not None
            with RocClient(address[1]) as client:
                for number in range(20):
                    with RocServer(address[1], f"vnir{number}", Camera()):
                        assert client[f"vnir{number}"].fps == 10.0
            process.terminate()
            assert process.wait(ENDS_WITHIN) == 0
        finally:
            process.kill()
            os.close(reader)
            os.close(writer)


# ---- publications


def test_forwards_publications_and_subscriptions(broker_process: BrokerProcess) -> None:
    endpoints = broker_process.endpoints
    with (
        zmq.Context() as context,
        context.socket(zmq.XPUB) as publisher,
        context.socket(zmq.SUB) as subscriber,
    ):
        publisher.linger = subscriber.linger = 0
        publisher.connect(endpoints.generalXSUB)
        subscriber.connect(endpoints.generalXPUB)
        subscriber.subscribe(b"status.")
        assert publisher.poll(5000), "the subscription has come through"
        assert publisher.recv() == b"\x01status."
        sent: list[Any] = [[b"status.vnir", b"%d" % number] for number in range(1000)]
        publisher.send_multipart([b"other", b"nobody wants this"])
        for message in sent:
            publisher.send_multipart(message)
        received = []
        while len(received) < len(sent) and subscriber.poll(2000):
            received.append(subscriber.recv_multipart())
        assert received == sent
