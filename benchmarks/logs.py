"""What distributed logging costs, and how much it bears. `python -m benchmarks.logs`.

* *caller*: what one `log.info` costs the thread that logs, beside the standard library's
  `QueueHandler` and no handler at all, in bursts that find the queue empty, and one after
  the other without a pause.
* *disk*: four processes log at a rate for some seconds, `logdump` writes; how many records
  stand in the files, and how many were lost.
* *storm*: four processes log as fast as they can or are asked to, with `RocLogger` and with
  `QueueHandler` and a listener that writes a file each: the time of single `log.info`.
* *calls*: the time of calls through the broker, quiet, while the log takes so much of the
  processors that 30 % stay idle (or at a rate that is asked for), while as many records go into
  files with the standard library, and while other processes
  take as much without logging: nobody else's program can be kept off the processors.
"""

from __future__ import annotations

import argparse
import json
import logging
import logging.handlers
import os
import queue
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runmacs.roc import RocClient, RocLogger
from runmacs.roc.servers import run_simple_server

PROCESSES = 4


@contextmanager
def running(*command: str, stop: bool = True) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        if stop:
            child.terminate()
        child.wait(30)
        assert child.stdout is not None
        child.stdout.close()


@contextmanager
def broker() -> Iterator[str]:
    with running("-m", "runmacs.roc.cli.rocbroker", "--base-port", "0") as child:
        assert child.stdout is not None
        found = re.search(r"rocBroker=tcp://(\S+)", child.stdout.readline())
        assert found is not None
        os.environ["ROC_BROKER"] = found[1]
        yield found[1]


# ---- one record in the calling thread


def timed(handler: logging.Handler, count: int) -> float:
    log = logging.getLogger("bench")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.handlers[:] = [handler]
    began = time.perf_counter()
    for at in range(count):
        log.info("frame %d of %s", at, "vnir")
    return (time.perf_counter() - began) / count * 1e6


def caller() -> None:
    roc = RocLogger("bench", None)
    lines: queue.Queue[Any] = queue.Queue()
    handlers: dict[str, logging.Handler] = {
        "no handler": logging.NullHandler(),
        "QueueHandler": logging.handlers.QueueHandler(lines),
        "RocLogger": roc,
    }
    for what, bursts, count in (("bursts of 200", 100, 200), ("without a pause", 5, 3000)):
        times: dict[str, list[float]] = {name: [] for name in handlers}
        for _ in range(bursts):
            for name, handler in handlers.items():
                times[name].append(timed(handler, count))
                lines.queue.clear()
                roc.flush()
        medians = {name: sorted(found)[len(found) // 2] for name, found in times.items()}
        ratio = medians["RocLogger"] / medians["QueueHandler"]
        shown = ", ".join(f"{name} {median:.1f} us" for name, median in medians.items())
        print(f"caller, {what}: {shown}; ratio {ratio:.2f}, dropped {roc.dropped}")
    roc.close()


# ---- a process that logs at a rate


def emit(how: str, rate: float, seconds: float, path: str) -> None:
    """Log so many records a second; prints what came of it."""
    log = logging.getLogger("bench.storm")
    log.setLevel(logging.INFO)
    log.propagate = False
    listener = None
    handler: logging.Handler
    if how == "roc":
        handler = RocLogger(f"node{os.getpid()}", None)
        handler_roc: RocLogger | None = handler
    else:
        lines: queue.Queue[Any] = queue.Queue(20_000)
        handler, handler_roc = logging.handlers.QueueHandler(lines), None
        handler.handleError = lambda record: None  # type: ignore[method-assign]
        listener = logging.handlers.QueueListener(lines, logging.FileHandler(path))
        listener.start()
    log.addHandler(handler)
    time.sleep(0.5)
    times: list[float] = []
    clock = time.perf_counter
    began = clock()
    made = 0
    while (now := clock()) < began + seconds:
        due = int((now - began) * rate) - made
        if due <= 0:
            time.sleep(0.001)
            continue
        for _ in range(min(due, 200)):
            at = clock()
            log.info("frame %d of %s is %s", made, "vnir", "dark")
            times.append(clock() - at)
            made += 1
    took = clock() - began
    while handler_roc is not None and handler_roc.unsent:
        handler.flush()
    dropped = 0 if handler_roc is None else handler_roc.dropped
    handler.close()
    if listener is not None:
        listener.stop()
    times.sort()
    tail = {f"p{p}": times[int(len(times) * p / 100)] * 1e6 for p in (50, 99, 99.9)}
    print(json.dumps({"made": made, "dropped": dropped, "took": took, **tail}), flush=True)


def storm(how: str, rate: float, seconds: float, folder: Path) -> list[dict[str, Any]]:
    children = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.logs", "--emit", how, "--rate", str(rate)),
                *("--seconds", str(seconds), "--path", str(folder / f"{how}{at}.log")),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for at in range(PROCESSES)
    ]
    found = []
    for child in children:
        text, _ = child.communicate()
        found.append(json.loads(text))
    return found


def shown(found: list[dict[str, Any]]) -> str:
    made = sum(one["made"] for one in found)
    rate = sum(one["made"] / one["took"] for one in found)
    tails = ", ".join(f"{p} {max(one[p] for one in found):.0f} us" for p in ("p50", "p99", "p99.9"))
    return f"{made} made, {rate:,.0f}/s, dropped {sum(o['dropped'] for o in found)}; worst {tails}"


def disk(rate: float, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as name, broker():
        folder = Path(name)
        target = folder / "log"
        with running("-m", "runmacs.roc.logdump", "--directory", str(target)) as dump:
            wait_for(lambda: target.exists() and (target / ".logdump.lock").exists())
            time.sleep(1.0)
            began = time.perf_counter()
            found = storm("roc", rate / PROCESSES, seconds, folder)
            wait_for(lambda: settled(target), 20.0)
            took = time.perf_counter() - began
            usage = resources(dump.pid)
        written, lost = counted(target)
        print(f"disk, {rate:,.0f}/s asked for: {shown(found)}")
        print(
            f"      written {written}, told as lost {lost}, of {sum(o['made'] for o in found)},"
            f" all of it within {took:.1f} s; logdump {usage}"
        )


def wait_for(condition: Callable[[], bool], timeout: float = 60.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def settled(target: Path) -> bool:
    """Whether nothing was written for a while."""
    files = [*target.glob("*.jsonl")]
    return bool(files) and max(file.stat().st_mtime for file in files) < time.time() - 4.0


def resources(pid: int) -> str:
    try:
        import psutil

        process = psutil.Process(pid)
        return (
            f"{process.cpu_times().user:.1f} s of processor, {process.memory_info().rss >> 20} MiB"
        )
    except ImportError:
        return ""


def counted(target: Path) -> tuple[int, int]:
    written = lost = 0
    for path in target.glob("*.jsonl"):
        for line in path.read_bytes().splitlines():
            record = json.loads(line)
            if record["InstrumentationScope"]["Name"] == "bench.storm":
                written += 1
            lost += record["Attributes"].get("roc.lost", 0)
    return written, lost


def storms(rate: float, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as name, broker():
        folder = Path(name)
        target = folder / "log"
        with running("-m", "runmacs.roc.logdump", "--directory", str(target)):
            time.sleep(1.0)
            found = storm("roc", rate / PROCESSES, seconds, folder)
            print(f"storm, RocLogger, {rate:,.0f}/s asked for: {shown(found)}")
            wait_for(lambda: settled(target), 20.0)
        written, lost = counted(target)
        made = sum(one["made"] for one in found)
        print(f"      written {written} + told as lost {lost} = {written + lost} of {made}")
        found = storm("queue", rate / PROCESSES, seconds, folder)
        print(f"storm, QueueHandler, the same: {shown(found)}")


# ---- calls during a storm


class Echo:
    def echo(self, value: int) -> int:
        return value


def serve() -> None:
    run_simple_server("echo", Echo(), log=False)


def calls_timed(client: RocClient, seconds: float) -> list[float]:
    echo = client.wait_for("echo")
    times = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        echo.echo(1)
        times.append(time.perf_counter() - began)
        time.sleep(0.001)
    return sorted(times)


def loop(share: float, seconds: float) -> None:
    """Take this share of a processor in bursts of 0.1 ms, and do nothing with it."""
    burst = 1e-4
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.thread_time()
        while time.thread_time() - began < burst:
            pass
        time.sleep(burst * (1 / share - 1))


@contextmanager
def emitting(how: str, rate: float, seconds: float, folder: Path) -> Iterator[None]:
    """Four processes log, or loop, for at least so long; it begins when they are under way."""
    command = [sys.executable, "-m", "benchmarks.logs", "--emit", how, "--rate", str(rate)]
    children = [
        subprocess.Popen(
            [*command, "--seconds", str(seconds + 1.5), "--path", str(folder / f"{how}{at}.log")],
            stdout=subprocess.DEVNULL,
        )
        for at in range(PROCESSES)
    ]
    time.sleep(1.5)
    try:
        yield
    finally:
        for child in children:
            child.wait()


def percentile(times: list[float], p: float) -> float:
    return times[int(len(times) * p / 100)] * 1e6


class Round:
    """What calls took in one round, and how much of the processors was idle meanwhile."""

    def __init__(self, client: RocClient, seconds: float) -> None:
        import psutil

        psutil.cpu_percent()
        self.times = calls_timed(client, seconds)
        self.idle = 100 - psutil.cpu_percent()


IDLE = 30.0
"""Percent of the processors that the storm is to leave idle."""

LEAST = 2000.0


def calls(rate: float, seconds: float, rounds: int = 5) -> None:
    """Rounds of quiet, of a storm, of one that goes into files and does not come near ROC, and of
    processes that take as much and do not log.
    """
    with (
        tempfile.TemporaryDirectory() as name,
        broker(),
        running("-c", "from benchmarks.logs import serve; serve()"),
        RocClient(None, timeout=10) as client,
        running("-m", "runmacs.roc.logdump", "--directory", str(Path(name) / "log")),
    ):
        calls_timed(client, 1.0)
        found: dict[str, list[Round]] = {name: [] for name in ("quiet", "storm", "files", "loops")}
        asked = rate or 20_000.0
        for at in range(rounds + 1):
            quiet = Round(client, seconds)
            with emitting("roc", asked / PROCESSES, seconds, Path(name)):
                storm = Round(client, seconds)
            with emitting("queue", asked / PROCESSES, seconds, Path(name)):
                files = Round(client, seconds)
            share = (quiet.idle - storm.idle) / 100 * (os.cpu_count() or 1) / PROCESSES
            with emitting("loop", max(0.01, share), seconds, Path(name)):
                loops = Round(client, seconds)
            if at:  # the first one warms up, and tells how much is needed
                for rounds_of, one in zip(
                    found.values(), (quiet, storm, files, loops), strict=True
                ):
                    rounds_of.append(one)
            if not rate:
                asked *= (quiet.idle - IDLE) / max(5.0, quiet.idle - storm.idle)
                asked = max(LEAST, asked)
    print(f"calls, {rounds} rounds of {seconds:.0f} s, {asked:,.0f} records/s at the end")
    medians = {}
    for what, all_of_it in found.items():
        p50, p99 = ([percentile(one.times, p) for one in all_of_it] for p in (50, 99))
        medians[what] = statistics.median(p99)
        each = ", ".join(f"{value:.0f}" for value in p99)
        idle = statistics.median(one.idle for one in all_of_it)
        print(
            f"      {what}: p50 {statistics.median(p50):.0f} us, p99 {medians[what]:.0f} us"
            f" ({each}), {idle:.0f} % idle; ratio {medians[what] / medians['quiet']:.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["caller", "disk", "storm", "calls"])
    parser.add_argument("--emit")
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--path", default="")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if given.emit == "loop":
        loop(given.rate, given.seconds)
        return
    if given.emit:
        emit(given.emit, given.rate, given.seconds, given.path)
        return
    for what in given.what:
        if what == "caller":
            with broker():
                caller()
        elif what == "disk":
            disk(given.rate or 50_000, given.seconds)
        elif what == "storm":
            storms(given.rate or 100_000, given.seconds)
        elif what == "calls":
            calls(given.rate, min(given.seconds, 3.0), given.rounds)


if __name__ == "__main__":
    main()
