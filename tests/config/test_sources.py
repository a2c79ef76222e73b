"""Which source wins, and what is said when the winning one is wrong."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runmacs.roc.config import (
    OPTIONS,
    Setting,
    configuration,
    lookup,
    resolve_bind,
    resolve_broker,
    resolve_publish,
    resolve_subscribe,
    unread_variables,
)
from runmacs.roc.config.options import as_toml
from runmacs.roc.endpoints import Endpoints
from runmacs.roc.errors import ConfigError

RESOLVERS = [resolve_broker, resolve_publish, resolve_subscribe]
Write = Callable[[str | bytes], Path]

# One value of each option for each source; "default" is what it has without any.
VALUES: dict[str, dict[str, Any]] = {
    "broker": {"file": "file:6000", "environment": "environment:6000", "flag": "flag:6000"},
    "policy": {"file": "standby", "environment": "pool", "flag": "exclusive"},
    "bind": {"file": "10.0.0.1", "environment": "10.0.0.2", "flag": "10.0.0.3"},
    "base_port": {"file": 6000, "environment": 7000, "flag": 0},
    "transport": {"file": "ipc", "environment": "tcp", "flag": "ipc"},
    "log_level": {"file": "debug", "environment": "error", "flag": "warning"},
    "calls_per_object": {"file": 1, "environment": 2, "flag": 3},
    "bytes_waiting": {"file": 1, "environment": 2, "flag": 3},
    "absent_objects": {"file": 1, "environment": 2, "flag": 0},
    "unstated_patience": {"file": 1.5, "environment": 2.5, "flag": 0.0},
    "longest_wait": {"file": 1.5, "environment": 2.5, "flag": 0.0},
    "status_leaves": {"file": 10, "environment": 20, "flag": 30},
    "state_file": {"file": "a.json", "environment": "b.json", "flag": "none"},
    "log_records": {"file": 1, "environment": 2, "flag": 0},
    "log_bytes": {"file": 1, "environment": 2, "flag": 0},
    "subscriber_bytes": {"file": 1, "environment": 2, "flag": 3},
}
PRECEDENCE = [
    # file, environment and flag: given?        the winner
    (False, False, False, "default"),
    (True, False, False, "file"),
    (False, True, False, "environment"),
    (True, True, False, "environment"),
    (False, False, True, "flag"),
    (True, False, True, "flag"),
    (False, True, True, "flag"),
    (True, True, True, "flag"),
]


def test_the_table_of_precedence_is_complete() -> None:
    assert VALUES.keys() == OPTIONS.keys()
    given = sorted(row[:3] for row in PRECEDENCE)
    assert given == sorted(itertools.product([False, True], repeat=3))


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize(("file", "environment", "flag", "winner"), PRECEDENCE)
def test_precedence(
    monkeypatch: pytest.MonkeyPatch,
    write: Write,
    name: str,
    file: bool,
    environment: bool,
    flag: bool,
    winner: str,
) -> None:
    option = OPTIONS[name]
    # What counts as not given is not the same as what is not there.
    path = write(f"{name} = {as_toml(VALUES[name]['file'])}" if file else "# empty")
    monkeypatch.setenv(option.environment, str(VALUES[name]["environment"]) if environment else " ")
    flags = {name: str(VALUES[name]["flag"]) if flag else ""}

    found = configuration(flags)[name]

    sources = {
        "default": "default",
        "file": f"{path}, line 1",
        "environment": option.environment,
        "flag": option.flag,
    }
    wanted = {**VALUES[name], "default": option.default}[winner]
    assert found == Setting(wanted, sources[winner])
    assert type(found.value) is option.type
    if not flag:
        assert lookup(name) == found


def test_a_flag_of_another_option_changes_nothing() -> None:
    plain = configuration()
    assert list(plain) == list(OPTIONS)
    changed = configuration({"base_port": "6000", "bind": None})
    assert changed == {**plain, "base_port": Setting(6000, "--base-port")}


def test_a_flag_spares_its_variable_but_never_the_file(
    monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    monkeypatch.setenv("ROC_BASE_PORT", "nonsense")
    assert configuration({"base_port": "6000"})["base_port"].value == 6000
    with pytest.raises(ConfigError, match=r"^ROC_BASE_PORT: 'nonsense' is not a whole"):
        configuration()
    write("base_port = 'nonsense'")
    with pytest.raises(ConfigError, match="line 1: base_port takes a whole number"):
        configuration({"base_port": "6000"})


def test_a_wrong_flag_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^--transport: 'tpc' is no value .* mean 'tcp'\?$"):
        configuration({"transport": "tpc"})


def test_a_variable_that_is_nearly_right_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for ours_or_others in ("ROC_BASE_PORT", "ROC_CONFIG", "ROC_SEED", "ROC_NO_SKIP", "ROC_X"):
        monkeypatch.setenv(ours_or_others, "1")
    assert unread_variables() == {}
    monkeypatch.setenv("ROC_BASEPORT", "6000")
    monkeypatch.setenv("ROC_LOGLEVEL", "debug")
    monkeypatch.setenv("ROC_PORT", "6000")
    assert unread_variables() == {
        "ROC_BASEPORT": "ROC_BASE_PORT",
        "ROC_LOGLEVEL": "ROC_LOG_LEVEL",
        "ROC_PORT": "ROC_BASE_PORT",
    }


# --- addresses ------------------------------------------------------------------------------


@pytest.mark.parametrize("resolve", RESOLVERS)
@pytest.mark.parametrize("nothing", [None, "", " "])
def test_order_of_the_sources(
    monkeypatch: pytest.MonkeyPatch, write: Write, resolve: Any, nothing: str | None
) -> None:
    assert resolve(nothing) == resolve() == Endpoints("127.0.0.1", 5555)
    write('broker = "file:6000"')
    assert resolve(nothing) == Endpoints("file", 6000)
    monkeypatch.setenv("ROC_BROKER", "environment:6000")
    assert resolve(nothing) == Endpoints("environment", 6000)
    assert resolve("given") == Endpoints("given")
    assert resolve(Endpoints("given", 6000)) == Endpoints("given", 6000)
    monkeypatch.setenv("ROC_BROKER", "")
    assert resolve(nothing) == Endpoints("file", 6000)
    write('broker = ""')
    assert resolve(nothing) == Endpoints("127.0.0.1", 5555)


def test_a_full_address_is_that_of_the_socket_in_question() -> None:
    lab = Endpoints("lab", 6000)
    assert resolve_broker("tcp://lab:6000") == lab
    assert resolve_publish("tcp://lab:6001") == resolve_publish(lab.generalXSUB) == lab
    assert resolve_subscribe("tcp://lab:6002") == resolve_subscribe(lab.generalXPUB) == lab


@pytest.mark.parametrize("resolve", RESOLVERS)
@pytest.mark.parametrize(
    "spelling", ["tcp://[::1]:6000", "[::1]:6000", "ipc:///tmp/lab.6000", "::1"]
)
def test_a_configured_full_address_is_always_the_brokers(
    monkeypatch: pytest.MonkeyPatch, write: Write, resolve: Any, spelling: str
) -> None:
    write(f'broker = "{spelling}"')
    assert resolve() == resolve_broker(spelling)
    write("")
    monkeypatch.setenv("ROC_BROKER", spelling)
    assert resolve() == resolve_broker(spelling)


@pytest.mark.parametrize("resolve", RESOLVERS)
@pytest.mark.parametrize("wrong", ["tcp://", "*", 5555, 0, False])
def test_a_bad_address_is_not_replaced_by_the_default(resolve: Any, wrong: Any) -> None:
    with pytest.raises(ConfigError):
        resolve(wrong)


@pytest.mark.parametrize("wrong", ["0.0.0.0", "lab:70000", "lab\r"])
def test_a_bad_configured_address_names_its_source(
    monkeypatch: pytest.MonkeyPatch, write: Write, wrong: str
) -> None:
    path = write('# where to look\nbroker = "{}"'.format(wrong.replace("\r", r"\r")))
    with pytest.raises(ConfigError) as caught:
        resolve_broker()
    assert str(caught.value).startswith(f"{path}, line 2: {wrong!r} ")
    monkeypatch.setenv("ROC_BROKER", wrong)
    with pytest.raises(ConfigError) as caught:
        resolve_publish()
    assert str(caught.value).startswith(f"ROC_BROKER: {wrong!r} ")


def test_environment_spares_reading_the_file(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    write("nonsense")
    monkeypatch.setenv("ROC_BROKER", "lab")
    assert resolve_broker() == Endpoints("lab")


@pytest.mark.parametrize(
    ("variable", "text", "complaint"),
    [
        ("ROC_BASE_PORT", "65534", "ROC_BASE_PORT: '65534' is not a whole number from 0 to 65533"),
        ("ROC_BIND", "tcp://*", "bind (ROC_BIND), base_port (default), transport (default): 'tcp"),
        ("ROC_BIND", "lab:1", "bind (ROC_BIND), base_port (default), transport (default): 'lab:1"),
        ("ROC_BIND", "lab\r", r"ROC_BIND: 'lab\r' holds a control character"),
        ("ROC_TRANSPORT", "ipc", "bind (default), base_port (default), transport (ROC_TRANSPOR"),
        ("ROC_TRANSPORT", "inproc", "ROC_TRANSPORT: 'inproc' is no value for transport: "),
    ],
)
def test_nobody_can_bind_there(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, complaint: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigError) as caught:
        resolve_bind(configuration())
    assert str(caught.value).startswith(complaint)


def test_bind_may_be_wide_and_free(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    assert resolve_bind(configuration()) == Endpoints("127.0.0.1", 5555, "tcp")
    write('bind = "/tmp/lab"\nbase_port = 6000\ntransport = "ipc"')
    assert resolve_bind(configuration()) == Endpoints("/tmp/lab", 6000, "ipc")
    monkeypatch.setenv("ROC_BASE_PORT", "0")
    flags = {"bind": "0.0.0.0", "transport": "tcp"}
    assert resolve_bind(configuration(flags)) == Endpoints("0.0.0.0", 0)
    flags = {"bind": "::", "transport": "tcp", "base_port": "7000"}
    assert resolve_bind(configuration(flags)) == Endpoints("::", 7000)


def test_import_brings_in_nothing_slow() -> None:
    script = (
        "import sys, runmacs.roc.config;"
        "print({'zmq', 'tomllib', 'platformdirs', 'ipaddress', 'difflib'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.stdout == "set()\n", run.stderr
