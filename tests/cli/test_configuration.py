"""`rocbroker` and its configuration: what it takes, what it says of it, and that it holds."""

from __future__ import annotations

import re
import socket
import subprocess
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from docpages import free_base_port
from processes import BrokerProcess, Spawner, child_environment, rocbroker_command, start_broker
from runmacs.roc import RocClient
from runmacs.roc.config import OPTIONS, configuration, settings_as_toml
from runmacs.roc.errors import QueueFull

ROCBROKER_OPTIONS = [option for option in OPTIONS.values() if option.reader == "rocbroker"]


def rocbroker(*arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end. One that serves is a failure."""
    return subprocess.run(
        [*rocbroker_command(), *map(str, arguments)],
        env=child_environment(env),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )


def values_and_sources(printed: str) -> dict[str, tuple[Any, str]]:
    """What `--show-config` and `--check` print, as people and as programs read it."""
    values = tomllib.loads(printed)
    sources = dict(re.findall(r"(?m)^(\w+) = .*?  # (.*)$", printed))
    assert values.keys() == sources.keys() == OPTIONS.keys()
    return {name: (value, sources[name]) for name, value in values.items()}


def refused(run: subprocess.CompletedProcess[str]) -> str:
    """The one sentence with which the command has refused to do anything."""
    assert run.returncode == 2, (run.stdout, run.stderr)
    assert re.fullmatch(r"rocbroker: [^\n]*[.?]\n", run.stderr), run.stderr
    return run.stderr


# --- help ---------------------------------------------------------------------------------


def test_help_has_every_option_and_its_default() -> None:
    words = " ".join(rocbroker("--help").stdout.split())
    for option in ROCBROKER_OPTIONS:
        assert f"{option.flag} {option.metavar} {option.help}" in words
        assert f"[{option.default}]" in words.partition(option.help)[2].partition(" --")[0]
        assert all(choice in words for choice in option.choices)
    for flag in ("--config", "--check", "--show-config"):
        assert f" {flag} " in words


def test_what_clients_read_is_no_flag() -> None:
    run = rocbroker("--broker", "lab", "--check")
    assert run.returncode == 2
    assert "No such option" in run.stderr


# --- mistakes -----------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [(), ("--check",), ("--show-config",)])
@pytest.mark.parametrize(
    ("text", "variable", "flags", "complaint"),
    [
        ("bsae_port = 1", "", (), "lab.toml, line 1: there is no option 'bsae_port': did you m"),
        ("[base_port]", "", (), "lab.toml, line 1: base_port takes a whole number from 0 to 6553"),
        ("", "abc", (), "ROC_BASE_PORT: 'abc' is not a whole number from 0 to 65533: write one l"),
        ("", "", ("--base-port", "-1"), "--base-port: '-1' is not a whole number from 0 to 65533"),
        ("", "", ("--transport", "udp"), "--transport: 'udp' is no value for transport: there ar"),
        ("bind = 'a:b'", "", (), "bind ({file}, line 1), base_port (default), transport (default"),
        ("", "", ("--config", "no.toml"), "no.toml cannot be read ("),
    ],
)
def test_a_mistake_is_one_sentence(
    tmp_path: Path,
    text: str,
    variable: str,
    flags: tuple[str, ...],
    complaint: str,
    extra: tuple[str, ...],
) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(text)
    run = rocbroker(*flags, *extra, ROC_CONFIG=str(file), ROC_BASE_PORT=variable)
    assert complaint.format(file=file) in refused(run)
    assert run.stdout == ""


# --- --check ------------------------------------------------------------------------------


def test_check_says_what_it_would_do_and_does_not(tmp_path: Path, spawn: Spawner) -> None:
    file = tmp_path / "lab.toml"
    file.write_text('# quiet\n\nlog_level = "error"\n')
    port = free_base_port()
    run = rocbroker("--check", "--config", file, "--base-port", port, ROC_LONGEST_WAIT="60")

    assert (run.returncode, run.stderr) == (0, "")
    found = values_and_sources(run.stdout)
    assert found["log_level"] == ("error", f"{file}, line 3")
    assert found["base_port"] == (port, "--base-port")
    assert found["longest_wait"] == (60.0, "ROC_LONGEST_WAIT")
    assert found["transport"] == ("tcp", "default")
    assert f", configuration file {file}\n" in run.stdout
    last = run.stdout.splitlines()[-1]
    assert last.startswith(f"# rocbroker can bind rocBroker=tcp://127.0.0.1:{port} generalXSUB=")
    start_broker(spawn, "--base-port", port).stop()


def test_check_where_ports_are_picked() -> None:
    run = rocbroker("--check", "--base-port", 0)
    assert run.returncode == 0
    assert "\n# rocbroker can bind three free ports, such as rocBroker=tcp://" in run.stdout


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_check_finds_a_port_in_use(offset: int) -> None:
    base = free_base_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", base + offset))
        taken.listen()
        run = rocbroker("--check", "--base-port", base)
    assert f"rocbroker: tcp://127.0.0.1:{base + offset} is in use: " in refused(run)
    assert values_and_sources(run.stdout)["base_port"] == (base, "--base-port")
    assert "can bind" not in run.stdout


@pytest.mark.skipif(not zmq.has("ipc"), reason="this system has no ipc")
@pytest.mark.parametrize("how", [("--check",), ()])
def test_a_running_broker_keeps_its_ipc_address(
    tmp_path: Path, spawn: Spawner, how: tuple[str, ...]
) -> None:
    where = ("--transport", "ipc", "--bind", str(tmp_path / "lab"), "--base-port", "6000")
    running = spawn.command([*rocbroker_command(), *where])
    running.wait_for("^rocbroker ready ")
    assert f"rocbroker: ipc://{tmp_path}/lab.6000 is in use: " in refused(rocbroker(*where, *how))
    with RocClient(f"ipc://{tmp_path}/lab.6000") as client:
        assert list(client) == []
    running.kill()
    # What a killed broker leaves behind is in nobody's use.
    assert (tmp_path / "lab.6000").exists()
    assert rocbroker("--check", *where).returncode == 0


def test_check_warns_like_the_real_start() -> None:
    run = rocbroker("--check", "--bind", "0.0.0.0", "--base-port", 0)
    assert run.returncode == 0
    assert run.stderr.startswith("rocbroker: warning: bound beyond this computer without keys")


def test_check_tells_of_a_misspelt_variable() -> None:
    run = rocbroker("--check", "--base-port", 0, ROC_LOGLEVEL="debug")
    assert run.returncode == 0
    assert "\n# 'ROC_LOGLEVEL' is not read: did you mean 'ROC_LOG_LEVEL'?\n" in run.stdout
    assert values_and_sources(run.stdout)["log_level"] == ("info", "default")


# --- --show-config ------------------------------------------------------------------------


def test_show_config_is_a_file_that_means_the_same(tmp_path: Path) -> None:
    first = tmp_path / "first.toml"
    first.write_text('broker = "192.168.0.10"\nbytes_waiting = 1_000\nabsent_objects = 5\n')
    flags = (
        "--base-port",
        6000,
        "--transport",
        "ipc",
        "--bind",
        tmp_path / 'a "b" \\c',
        "--config",
    )
    run = rocbroker(*flags, first, "--show-config", ROC_UNSTATED_PATIENCE="2.5")
    assert (run.returncode, run.stderr) == (0, "")
    shown = values_and_sources(run.stdout)
    assert {source for _, source in shown.values()} > {"default", "--bind", f"{first}, line 2"}

    second = tmp_path / "second.toml"
    second.write_text(run.stdout, "utf-8")
    again = values_and_sources(rocbroker("--config", second, "--show-config").stdout)

    assert {name: value for name, (value, _) in again.items()} == {
        name: value for name, (value, _) in shown.items()
    }
    assert {source.rpartition(", line ")[0] for _, source in again.values()} == {str(second)}


def test_show_config_needs_no_free_port(broker_process: BrokerProcess) -> None:
    port = broker_process.endpoints.brokerBasePort
    assert rocbroker("--show-config", "--base-port", port).returncode == 0
    assert rocbroker("--check", "--base-port", port).returncode == 2


def test_show_config_is_utf_8_everywhere(tmp_path: Path) -> None:
    file = tmp_path / "Messgerät.toml"
    file.write_text("base_port = 6000")
    run = rocbroker("--config", file, "--show-config", PYTHONIOENCODING="ascii")
    assert run.returncode == 0
    assert values_and_sources(run.stdout)["base_port"] == (6000, f"{file}, line 1")


def test_show_config_prints_what_the_library_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROC_BASE_PORT", "6000")
    assert rocbroker("--show-config").stdout.partition("\n")[2] == settings_as_toml(configuration())


# --- and it holds ---------------------------------------------------------------------------


def test_a_broker_runs_as_its_file_says(tmp_path: Path, spawn: Spawner) -> None:
    port = free_base_port()
    file = tmp_path / "lab.toml"
    file.write_text(f"base_port = {port}\ncalls_per_object = 2\n")
    child = spawn.command([*rocbroker_command(), "--config", file])
    child.wait_for(f"^rocbroker ready rocBroker=tcp://127.0.0.1:{port} ")
    with zmq.Context() as context, closing(context.socket(zmq.DEALER)) as peer:
        peer.linger = 0
        peer.connect(f"tcp://127.0.0.1:{port}")
        for number in range(3):
            call = {"jsonrpc": "2.0", "id": number, "method": "x", "roc": {"wait": True, "ttl": 9}}
            peer.send_multipart([b"", b"MDPC01", b"nobody", msgspec.json.encode(call)])
        assert peer.poll(30_000), "nothing was refused"
        answer = msgspec.json.decode(peer.recv_multipart()[-1])
    assert (answer["id"], answer["error"]["code"]) == (2, QueueFull.code)
    child.terminate()
    assert child.wait() == 0
