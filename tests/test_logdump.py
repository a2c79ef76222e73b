"""`logdump` with real programs: nothing twice, nothing lost unseen, on good days and bad ones."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from logbook import logger_at
from processes import BrokerProcess, Child, Spawner, start_broker
from promptness import prompt
from runmacs.roc import Endpoints
from runmacs.roc.logdump import LogDump
from runmacs.roc.logfiles.limits import Rotation
from waiting import wait_until

EMITTER = """
    import logging, sys, time
    from runmacs.roc import RocLogger

    node, count, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    handler = RocLogger(node, None)
    log = logging.getLogger("emitter")
    log.setLevel(logging.DEBUG)
    log.addHandler(handler)
    began = time.monotonic()
    for at in range(count):
        while at > (time.monotonic() - began) * rate:
            time.sleep(0.001)
        log.log((logging.INFO, logging.WARNING)[at % 10 == 0], "record %d of %s", at, node)
    handler.flush()
    handler.close()
    print("emitted", count, "dropped", handler.dropped)
    """


def env(endpoints: Endpoints) -> dict[str, str | None]:
    return {"ROC_BROKER": endpoints.rocBroker}


def dump(spawn: Spawner, broker: Endpoints, *options: object, **more: Any) -> Child:
    """Start logdump, and wait until it writes."""
    command = [sys.executable, "-m", "runmacs.roc.logdump", *map(str, options)]
    child = spawn.command(command, env=env(broker), **more)
    if "--directory" in command:
        wait_until(lambda: "writing to" in child.stderr, what="it writes")
    return child


def lines(directory: Path) -> Iterator[dict[str, Any]]:
    """All that is written; every line must be JSON."""
    for path in sorted(directory.glob("*.jsonl")):
        text = path.read_bytes()
        for line in text[: text.rfind(b"\n") + 1].splitlines():
            yield json.loads(line)


class Written:
    """What stands in a directory: the emitters' records, and what is told of others."""

    def __init__(self, directory: Path) -> None:
        self.keys: Counter[tuple[str, int, int]] = Counter()
        self.lost = 0
        self.reports = 0
        for line in lines(directory):
            attributes = line["Attributes"]
            self.lost += attributes.get("roc.lost", 0)
            if "n" in line:
                source = line["Resource"]["source"]
                self.keys[source, line["SeverityNumber"], line["n"]] += 1
                self.reports += "roc.dropped" in attributes

    @property
    def doubles(self) -> int:
        return sum(count - 1 for count in self.keys.values())

    @property
    def accounted(self) -> int:
        """Records of the emitters that were written or told as lost."""
        return len(self.keys) + self.lost - self.reports


@pytest.mark.slow
def test_killed_twenty_times_while_eight_nodes_log(spawn: Spawner, tmp_path: Path) -> None:
    running = start_broker(spawn)
    directory = tmp_path / "log"
    writing = dump(spawn, running.endpoints, "--directory", directory, name="logdump0")
    count, rate = 12_500, 1200.0
    nodes = [
        spawn(EMITTER, f"node{at}", count, rate, env=env(running.endpoints), name=f"node{at}")
        for at in range(8)
    ]
    dice = random.Random(20)
    for kill in range(1, 21):
        time.sleep(dice.uniform(0.05, 0.3))
        writing.kill()
        writing = dump(spawn, running.endpoints, "--directory", directory, name=f"logdump{kill}")
    for node in nodes:
        assert node.wait(60) == 0
    emitted = 8 * count

    def settled() -> bool:
        return Written(directory).accounted >= emitted

    wait_until(settled, 30, "all is written or told")
    writing.terminate()
    assert writing.wait() == 0
    written = Written(directory)
    assert written.doubles == 0
    assert written.accounted == emitted, (len(written.keys), written.lost, written.reports)
    running.stop()


def test_the_broker_is_restarted_during_logging(spawn: Spawner, tmp_path: Path) -> None:
    running = start_broker(spawn)
    directory = tmp_path / "log"
    writing = dump(spawn, running.endpoints, "--directory", directory, name="logdump")
    count = 4000
    node = spawn(EMITTER, "vnir", count, 1000.0, env=env(running.endpoints), name="vnir")
    for again in range(2):
        time.sleep(0.7)
        running.child.kill()
        port = running.endpoints.brokerBasePort
        running = start_broker(spawn, "--base-port", port, name=f"again{again}")
    assert node.wait(60) == 0
    wait_until(lambda: Written(directory).accounted >= count, what="all is written or told")
    writing.terminate()
    assert writing.wait() == 0
    written = Written(directory)
    assert (written.doubles, written.accounted) == (0, count)
    with prompt():
        assert written.lost < count / 2
    running.stop()


def test_late_it_begins_with_what_was_kept(
    spawn: Spawner, broker: Endpoints, tmp_path: Path
) -> None:
    with logger_at(broker) as (log, handler):
        for at in range(3000):
            log.info("%d", at)
        handler.flush()
        directory = tmp_path / "log"
        writing = dump(spawn, broker, "--directory", directory)
        log.info("last")
        wait_until(lambda: len(Written(directory).keys) == 3001, what="all are written")
    writing.terminate()
    assert writing.wait() == 0
    assert Written(directory).lost == 0


def test_a_clean_restart_writes_nothing_twice(
    spawn: Spawner, broker: Endpoints, tmp_path: Path
) -> None:
    directory = tmp_path / "log"
    with logger_at(broker) as (log, handler):
        for run in range(3):
            writing = dump(spawn, broker, "--directory", directory, "--rotate", "2kB")
            for at in range(20):
                log.info("%d %d", run, at)
            handler.flush()
            expected = (run + 1) * 20
            wait_until(lambda n=expected: len(Written(directory).keys) == n, what="written")  # type: ignore[misc]
            writing.terminate()
            assert writing.wait() == 0
    written = Written(directory)
    assert (written.doubles, written.lost) == (0, 0)


def test_filters(spawn: Spawner, broker: Endpoints, tmp_path: Path) -> None:
    directory = tmp_path / "log"
    options = ("--level", "warning", "--node", "vnir", "--logger", "test")
    writing = dump(spawn, broker, "--directory", directory, *options)
    with logger_at(broker) as (log, _), logger_at(broker, "swir") as (other, _):
        other.error("another node")
        log.info("too quiet")
        log.error("heard")
        log.name = "testing"
        log.error("another logger")
        log.name = "test.vnir"
        log.critical("last")
    wait_until(lambda: len(Written(directory).keys) == 2, what="both are written")
    assert [one["Body"] for one in lines(directory)][1:] == ["heard", "last"]
    writing.terminate()
    assert writing.wait() == 0


def test_a_second_dump_into_one_directory_is_refused(
    spawn: Spawner, broker: Endpoints, tmp_path: Path
) -> None:
    first = dump(spawn, broker, "--directory", tmp_path / "log")
    command = [sys.executable, "-m", "runmacs.roc.logdump", "--directory", str(tmp_path / "log")]
    second = spawn.command(command, env=env(broker))
    assert second.wait() == 2
    assert f"another logdump writes there (pid {first.pid}" in second.stderr
    assert "Traceback" not in second.stderr


def test_on_screen_nothing_commands_the_terminal(spawn: Spawner, broker: Endpoints) -> None:
    screen = dump(spawn, broker, "--print")
    with logger_at(broker, "no\x1bde") as (log, handler):
        log.info("\x1b[2Jcleared\x00\u202e\x9b\nnext line")
        try:
            raise ValueError("\x1b]0;title\x07")
        except ValueError:
            log.exception("failed")
        handler.flush()
        screen.wait_for(r"no\\x1bde@\S+ test\.\S+ \\x1b\[2Jcleared\\x00\\u202e\\x9b\\nnext line")
        screen.wait_for(r"^    ValueError: \\x1b\]0;title\\x07$")
    assert not {"\x1b", "\x00", "\u202e", "\x9b", "\x07"} & set(screen.stdout)
    screen.terminate()
    assert screen.wait() == 0


def test_names_never_become_paths(spawn: Spawner, broker: Endpoints, tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "log"
    writing = dump(spawn, broker, "--directory", directory, name="logdump")
    with logger_at(broker, "../../../escaped") as (log, _):
        log.name = "/etc/../x"
        log.info("x")
    wait_until(lambda: len(Written(directory).keys) == 1, what="it is written")
    writing.terminate()
    assert writing.wait() == 0
    assert {path.name for path in tmp_path.rglob("*")} == {
        *("deep", "log", ".logdump.lock", "logdump.out", "logdump.err"),
        *(path.name for path in directory.glob("roc-*-000001.jsonl")),
        *(path.name for path in tmp_path.glob("rocbroker*")),
    }


def test_a_gap_is_said_in_the_file_and_to_the_user(
    spawn: Spawner, broker: Endpoints, tmp_path: Path
) -> None:
    directory = tmp_path / "log"
    writing = dump(spawn, broker, "--directory", directory)
    with logger_at(broker) as (log, handler):
        log.info("one")
        handler.flush()
        for _ in range(37):
            handler._source.give_up(9)
        log.info("two")
        wait_until(lambda: "37 records lost from vnir@" in writing.stderr, what="it is said")
        wait_until(lambda: any(one["Body"] == "two" for one in lines(directory)), what="written")
    bodies = [one["Body"] for one in lines(directory)][1:]
    assert bodies[:1] + bodies[2:3] == ["one", "two"]
    assert bodies[1].startswith("37 records lost from vnir@")
    writing.terminate()
    assert writing.wait() == 0


def query(directory: Path, *options: str) -> str:
    command = [sys.executable, "-m", "runmacs.roc.logdump", "query", "--directory"]
    ended = subprocess.run(
        [*command, str(directory), *options], capture_output=True, text=True, timeout=30
    )
    assert ended.returncode in (0, 2)
    return ended.stdout or ended.stderr


def test_queries_and_following(spawn: Spawner, broker: Endpoints, tmp_path: Path) -> None:
    directory = tmp_path / "log"
    dump(spawn, broker, "--directory", directory)
    with logger_at(broker) as (log, handler):
        log.info("cold")
        log.error("hot \x1b[31m")
        wait_until(lambda: len(Written(directory).keys) == 2, what="both are written")
        assert query(directory).count("\n") == 2
        assert "hot \\x1b[31m\n" in query(directory, "--level", "error")
        assert query(directory, "--grep", "c.ld").endswith("test.vnir: cold\n")
        assert query(directory, "--node", "swir") == ""
        assert query(directory, "--since", "1h ago", "--until", "now").count("\n") == 2
        assert query(directory, "--until", "1h ago") == ""
        assert json.loads(query(directory, "--json", "--grep", "cold"))["Body"] == "cold"
        assert "is no moment" in query(directory, "--since", "soon")
        assert "is no regular expression" in query(directory, "--grep", "(")
        command = [sys.executable, "-u", "-m", "runmacs.roc.logdump", "query", "--directory"]
        following = spawn.command([*command, directory, "--follow"], name="following")
        following.wait_for("cold")
        log.info("fresh")
        handler.flush()
        following.wait_for("fresh")
        following.send_signal(signal.SIGINT)
        assert following.wait() in (0, 130)
        assert "Traceback" not in following.stderr


def test_what_makes_no_sense_is_told(spawn: Spawner, tmp_path: Path) -> None:
    for at, (options, problem) in enumerate(
        {
            (): "--print",
            ("--print", "--level", "loud"): "is no level",
            ("--print", "--rotate", "often"): "--rotate",
            ("--print", "--broker", "tcp://x"): "tcp://x",
        }.items()
    ):
        command = [sys.executable, "-m", "runmacs.roc.logdump", *options]
        child = spawn.command(command, name=f"wrong{at}")
        assert child.wait() == 2
        assert problem in child.stderr
        assert "Traceback" not in child.stderr


def test_without_a_broker_it_waits_for_one(
    spawn: Spawner, nowhere: Endpoints, tmp_path: Path
) -> None:
    directory = tmp_path / "log"
    writing = dump(spawn, nowhere, "--directory", directory)
    running = start_broker(spawn, "--base-port", nowhere.brokerBasePort)
    with logger_at(nowhere) as (log, _):
        log.info("x")
    wait_until(lambda: len(Written(directory).keys) == 1, what="it is written")
    writing.terminate()
    assert writing.wait() == 0
    running.stop()


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    """A file system of its own, where that is allowed."""
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting a tmpfs is not allowed here: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_full_disk_is_survived(
    spawn: Spawner, broker_process: BrokerProcess, tmp_path: Path
) -> None:
    if sys.platform != "linux":
        pytest.skip("mounting a tmpfs is Linux's")
    broker = broker_process.endpoints
    with small_disk(tmp_path / "disk", "256k") as disk:
        directory = disk / "log"
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 100_000)
        writing = dump(spawn, broker, "--directory", directory)
        with logger_at(broker) as (log, handler):
            for at in range(2000):
                log.info("record %d", at)
            handler.flush()
            wait_until(lambda: "takes no more" in writing.stderr, what="it is full")
            assert writing.returncode is None
            assert len(Written(directory).keys) > 100
            ballast.unlink()
            subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
            wait_until(lambda: "takes records again" in writing.stderr, what="it goes on")
            log.info("last")
            wait_until(lambda: len(Written(directory).keys) == 2001, what="all are written")
        writing.terminate()
        assert writing.wait() == 0
        assert writing.stderr.count("takes no more") == 1
        written = Written(directory)
        assert (written.doubles, written.lost) == (0, 0)


def test_as_a_library(broker: Endpoints, tmp_path: Path) -> None:
    import threading

    shown: list[str] = []
    library = LogDump(
        broker,
        tmp_path / "log",
        rotation=Rotation(size=10_000),
        show=lambda record: shown.append(record.message),
        tell=lambda text: None,
    )
    thread = threading.Thread(target=library.run)
    thread.start()
    with logger_at(broker) as (log, _):
        log.info("x")
        wait_until(lambda: shown == ["x"], what="it is shown")
    library.stop()
    thread.join(30)
    assert not thread.is_alive()
    assert len(Written(tmp_path / "log").keys) == 1
    assert os.path.exists(tmp_path / "log" / ".logdump.lock")
