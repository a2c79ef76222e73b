"""The log of `rocbroker`: who comes, goes, is refused or lost; and it is never in the way."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from processes import POSIX, BrokerProcess, Child, Spawner, rocbroker_command, start_broker
from promptness import prompt
from runmacs.roc import RocClient, RocServer, errors
from runmacs.roc.wire import mdp
from waiting import wait_until

ENDS_WITHIN = 2.0

posix = pytest.mark.skipif(not POSIX, reason="POSIX signals; run it on Linux or macOS")


class Camera:
    fps = 10.0

    def nap(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds


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
        with RocClient(broker.endpoints, timeout=20) as client:
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
        wait_until(lambda: len(broker.child.stderr.splitlines()) >= 3)
    for record in logged(broker.child)[1:]:
        assert record.isprintable()
        assert r"\x1b[31mred" in record
        assert r"\nlab\u202e" in record
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
            with RocClient(address[1], timeout=20) as client:
                for number in range(20):
                    with RocServer(address[1], f"vnir{number}", Camera()):
                        assert client[f"vnir{number}"].fps == 10.0
            process.terminate()
            told = time.monotonic()
            assert process.wait(30) == 0
            with prompt():
                assert time.monotonic() - told < ENDS_WITHIN
        finally:
            process.kill()
            os.close(reader)
            os.close(writer)
