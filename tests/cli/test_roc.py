"""`roc`, the frame around its subcommands."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from promptness import prompt
from runmacs.roc import __version__, errors
from runmacs.roc.cli.failures import Failure
from runmacs.roc.cli.roc import SUBCOMMANDS, main, subcommand

HELP_WITHIN = 0.2
"""Seconds."""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runmacs.roc.cli.roc", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_each_line_of_the_help_is_the_subcommands_own(name: str) -> None:
    command = subcommand(name)
    assert isinstance(command, click.Command)
    assert command.help is not None
    assert command.help.splitlines()[0] == SUBCOMMANDS[name]
    assert command.epilog is not None
    assert re.search(rf"  roc {name}\b", command.epilog), "its help has an example"


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ()])
def test_help_lists_the_subcommands(arguments: tuple[str, ...]) -> None:
    ended = run(*arguments)
    assert ended.returncode == (0 if arguments else 2)
    printed = ended.stdout + ended.stderr
    for name, line in SUBCOMMANDS.items():
        assert f"{name} " in printed
        assert line[:30] in printed


def test_help_is_quick_and_loads_no_subcommand() -> None:
    times = []
    for _ in range(5):
        before = os.times()
        assert run("--help").returncode == 0
        after = os.times()  # the processor's time: others may be using it as well
        times.append(sum(after[2:4]) - sum(before[2:4]))
    with prompt():
        assert min(times) < HELP_WITHIN
    loaded = (
        "import sys; from runmacs.roc.cli.roc import main; main(['--help'], standalone_mode=False);"
        "print({'zmq', 'msgspec', 'numpy', 'runmacs.roc.cli.share'} & {*sys.modules})"
    )
    ended = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    assert ended.stdout.endswith("set()\n"), ended.stderr


def test_a_wrong_option_is_one_sentence() -> None:
    for arguments in (("--colour",), ("ls", "--colour"), ("--colour", "ls")):
        ended = run(*arguments)
        assert ended.returncode == 2
        assert ended.stderr.count("\n") == 1
        assert "No such option" in ended.stderr
        assert "--help` tells more." in ended.stderr


def test_version() -> None:
    assert run("--version").stdout == f"roc, version {__version__}\n"


def test_an_unknown_command_names_the_nearest() -> None:
    ended = run("shar", "math")
    assert ended.returncode == 2
    assert ended.stderr == "roc: there is no command 'shar': did you mean 'share'?\n"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.ConfigError("wrong."), 2),
        (errors.BrokerUnreachable("wrong."), 3),
        (errors.ObjectNotFound("wrong."), 4),
        (errors.MethodNotFound("wrong."), 4),
        (errors.InvalidParams("wrong."), 1),
        (errors.RemoteError("wrong."), 1),
        (errors.CallTimeout("wrong."), 5),
        (Failure("wrong."), 1),
        (Failure("wrong.", 2), 2),
    ],
)
def test_the_door(monkeypatch: pytest.MonkeyPatch, error: Exception, status: int) -> None:
    @click.command()
    def share() -> None:
        raise error

    monkeypatch.setattr("runmacs.roc.cli.share.share", share)
    ended = CliRunner().invoke(main, ["share"])
    assert ended.exit_code == status
    assert ended.output.startswith("roc share: wrong")
    assert ended.output.count("\n") == 1
