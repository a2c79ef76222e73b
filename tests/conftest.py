"""What all tests share: the fixtures for real processes, and how tests are run.

``ROC_NO_SKIP=1`` turns every skipped test into a failure, so that a build in which an
optional tool was missing cannot look like one in which everything was tested.

A test that was `Late` begins again; see `promptness`.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import socket
import sys
import warnings
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import hypothesis
import pytest
from _pytest.runner import runtestprotocol

from processes import BrokerProcess, Spawner, start_broker
from promptness import TRIES, Late

if TYPE_CHECKING:
    from desk import Desk
    from instrument import Bench
    from runmacs.roc import RocClient
    from runmacs.roc.endpoints import Endpoints

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job inherits that, and would hand it on to each child.
    signal.signal(signal.SIGINT, signal.default_int_handler)

NO_SKIP = os.environ.get("ROC_NO_SKIP", "") not in ("", "0")

# No deadline for a single example: a busy two-core machine is not a bug. Where no skip is
# allowed the examples are the same in each run: a red build is due to the change alone.
hypothesis.settings.register_profile("roc", deadline=None, derandomize=NO_SKIP)
hypothesis.settings.load_profile("roc")

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.excinfo is not None and isinstance(call.excinfo.value, Late):
        item.user_properties.append(("late", str(call.excinfo.value).partition("\n")[0]))
    return _refuse_skip(report)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _refuse_skip((yield))


def _refuse_skip(report: Report) -> Report:
    if NO_SKIP and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = (
            f"{report.nodeid}: ROC_NO_SKIP is set, and this was to be skipped: {reason}"
        )
    return report


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """As pytest does it, but what was late is done again."""
    where = {"nodeid": item.nodeid, "location": item.location}
    item.ihook.pytest_runtest_logstart(**where)
    for number in range(1, TRIES + 1):
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        late = sum(name == "late" for name, _ in item.user_properties)
        if late < number or number == TRIES:
            break
        assert isinstance(item, pytest.Function)
        item._initrequest()  # new fixtures
        _forget()
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(**where)
    return True


def _forget() -> None:
    """Collect what a test that failed has left open: nobody else is to hear of it."""
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        vars(sys).pop(name, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.getreports("passed"):
        late = [what for name, what in report.user_properties if name == "late"]
        if late:
            terminalreporter.write_line(f"LATE {report.nodeid}: {len(late)} x, as: {late[-1]}")


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_this_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the developer's own broker and configuration file out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("ROC_") and name not in ("ROC_NO_SKIP", "ROC_SEED"):
                patch.delenv(name)
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A broker, servers and clients in this process, over real sockets."""
    from desk import Desk

    with Desk() as desk:
        yield desk


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where tests run in several processes."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.fixture
def nowhere() -> Endpoints:
    """Endpoints where nobody listens: three free ports, none that the system gives to clients.

    (Who tries again and again to connect to such a port can end up connected to himself.)
    """
    from runmacs.roc.endpoints import Endpoints

    while True:
        base = random.randrange(10_000, 20_000)
        with ExitStack() as taken:
            try:
                for port in (base, base + 1, base + 2):
                    taken.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return Endpoints("127.0.0.1", base)


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Spawner]:
    """Start Python programs as child processes; all are dead when the test is over."""
    spawner = Spawner(tmp_path)
    try:
        yield spawner
    finally:
        spawner.close()


@pytest.fixture
def broker_process(spawn: Spawner) -> Iterator[BrokerProcess]:
    """A real ``rocbroker`` on free ports, for tests that also kill or freeze it."""
    running = start_broker(spawn)
    yield running
    running.stop()


@pytest.fixture
def broker(broker_process: BrokerProcess) -> Endpoints:
    """The endpoints of a real ``rocbroker``, which must end cleanly after the test."""
    return broker_process.endpoints


# ---- an instrument in a process of its own


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The broker and the instrument of all tests of a module."""
    from instrument import standing_bench

    with standing_bench(tmp_path_factory.mktemp("bench")) as bench:
        yield bench


@pytest.fixture
def bench(standing: Bench) -> Bench:
    """A broker, and ``vnir`` shared at it, for tests that leave them as they were."""
    return standing.cleared()


@pytest.fixture
def own_bench(spawn: Spawner, broker_process: BrokerProcess) -> Bench:
    """A broker, and ``vnir`` shared at it, for tests that kill or freeze them."""
    from instrument import Bench

    bench = Bench(spawn, broker_process)
    bench.serve(name="server")
    return bench.cleared()


@pytest.fixture
def client(bench: Bench) -> Iterator[RocClient]:
    """A client of the bench, with patience."""
    from runmacs.roc import RocClient

    with RocClient(bench.broker, timeout=30) as client:
        yield client


@pytest.fixture
def vnir(client: RocClient) -> Any:
    """The instrument's proxy."""
    return client["vnir"]
