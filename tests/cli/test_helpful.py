"""`roc doctor`, `shell`, `demo` and `completion`."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pexpect  # type: ignore[import-untyped]
import pytest

from docpages import free_base_port
from processes import POSIX, BrokerProcess, Child, Spawner, child_environment
from promptness import prompt
from roccommand import OnTerminal, Run, roc_command
from runmacs.roc import Endpoints

# ---- doctor


def results(run: Run, *arguments: object, status: int = 0) -> dict[str, list[Any]]:
    """What was found, by check: each result with what it says."""
    ended = run("doctor", "--json", *arguments, status=status)
    found: dict[str, list[Any]] = {}
    for finding in json.loads(ended.stdout):
        found.setdefault(finding["check"], []).append(finding)
    return found


def test_all_is_well(run: Run, vnir: Child, broker: Endpoints) -> None:
    with prompt():  # it finds fault with a machine that is slow
        text = run("doctor").stdout
        assert "✗" not in text
    assert f"✓ address: {broker.rocBroker}, from ROC_BROKER\n" in text
    assert "✓ publications: status and log can be followed\n" in text
    assert "✓ objects: 1 serving\n" in text
    with prompt():
        found = results(run)
        assert found["clock"][0]["result"] == "ok"
        assert found["broker"][0]["result"] == "ok"


def test_what_is_wrong_has_an_advice(run: Run, nowhere: Endpoints, spawn: Spawner) -> None:
    def run_quietly(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*roc_command(), "doctor", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    ended = run_quietly("-b", nowhere.rocBroker)
    assert ended.returncode == 3
    assert "nobody listens there\n    Run `rocbroker` on 127.0.0.1." in ended.stdout
    ended = run_quietly("-b", "no.such.host.invalid")
    assert ended.returncode == 3
    assert "no name server has it" in ended.stdout
    ended = run_quietly("-b", "tcp://:::")
    assert ended.returncode == 2
    assert "✗ configuration" in ended.stdout


def test_what_listens_there_is_no_broker() -> None:
    base = free_base_port()
    with ExitStack() as until_the_end:
        for port in range(base, base + 3):
            until_the_end.enter_context(socket.create_server(("127.0.0.1", port)))
        ended = subprocess.run(
            [*roc_command(), "doctor", "-b", f"127.0.0.1:{base}", "-t", "0.5"],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert ended.returncode == 3
    assert "does not answer as a broker" in ended.stdout


# ---- shell


def test_a_script_for_the_shell(run: Run, vnir: Child) -> None:
    assert run("shell", stdin="print(list(c), vnir.fps)").stdout == "['vnir'] 10.0\n"


def test_the_plain_prompt(on_terminal: OnTerminal, vnir: Child) -> None:
    screen = on_terminal("shell", "--plain")
    screen.wait_for(">>>")
    assert "vnir. `c` is the client." in screen.text
    screen.press("vnir.tempera\t\r")
    screen.wait_for("21.5")
    screen.press("\x04")
    assert screen.wait() == 0


def test_ipython_completes_ids_and_members(
    on_terminal: OnTerminal, vnir: Child, tmp_path: Path
) -> None:
    screen = on_terminal("shell", IPYTHONDIR=str(tmp_path))
    screen.wait_for("In [1]:")
    screen.press("c['vn\t")
    screen.wait_for("c['vnir")
    screen.press("'].fps\r")
    screen.wait_for("10.0")
    screen.press("vnir.temper\t")
    screen.wait_for("vnir.temperature")
    screen.press("\r")
    screen.wait_for("21.5")
    screen.press("\x04")
    assert screen.wait() == 0


# ---- demo


def test_demo(run: Run) -> None:
    assert "Nothing is left running." in run("demo").stdout


# ---- completion


@pytest.fixture
def bash(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """A real bash with the completion, where a line and two tabulators are typed."""
    bash_command = shutil.which("bash")
    if not POSIX or bash_command is None:
        pytest.skip("needs bash; apt install bash")
    variables = child_environment({**environment, "PS1": "$ ", "TERM": "dumb"})
    variables["PATH"] = f"{Path(roc_command()[0]).parent}:{variables['PATH']}"
    shell = pexpect.spawn(
        bash_command,
        ["--norc", "--noprofile"],
        env=variables,
        cwd=str(tmp_path),
        encoding="utf-8",
        timeout=60,
        dimensions=(40, 200),
    )
    shell.sendline(
        'bind "set bell-style none"; bind "set enable-bracketed-paste off"; PS1="READY$ "'
    )
    shell.expect_exact("READY$ ")
    shell.sendline('eval "$(roc completion bash)"')
    shell.expect_exact("READY$ ")

    def complete(line: str) -> str:
        """What stands after the prompt when a tabulator was pressed, up to the end of line."""
        shell.send(f"{line}\t")
        shell.send("\x01printf '%s|END\\n' '\x05'\r")  # the line is printed, and not run
        shell.expect(r"\r\n([^\r\n]*)\|END\r\n")
        completed: str = shell.match[1]
        shell.expect_exact("READY$ ")
        return completed

    yield complete
    shell.close(force=True)


@prompt()  # completion asks the broker, and does not wait for long
def test_bash_completes_commands_ids_and_members(bash: Callable[[str], str], vnir: Child) -> None:
    assert bash("roc desc") == "roc describe "
    assert bash("roc broker inf") == "roc broker info "
    assert bash("roc log lev") == "roc log level "
    assert bash("roc log -u vn") == "roc log -u vnir "
    assert bash("roc status se") == "roc status set "
    assert bash("roc ls --js") == "roc ls --json "
    assert bash("roc ping vn") == "roc ping vnir "
    assert bash("roc call vnir.exp") == "roc call vnir.expose "
    assert bash("roc call vn") == "roc call vnir."
    assert bash("roc get vnir.lens.fo") == "roc get vnir.lens.focus "
    assert bash("roc completion b") == "roc completion bash "


def test_bash_completes_silently_without_a_broker(
    bash: Callable[[str], str], broker_process: BrokerProcess
) -> None:
    broker_process.stop()
    assert bash("roc call vn") == "roc call vn"
    assert bash("roc desc") == "roc describe "


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_of_other_shells(run: Run, shell: str) -> None:
    script = run("completion", shell).stdout
    assert "_ROC_COMPLETE" in script
    program = shutil.which(shell)
    if program is not None:
        checked = subprocess.run([program, "-n"], input=script, text=True, capture_output=True)
        assert checked.stderr == ""


@prompt()
def test_completion_of_members_for_fish_has_no_noise(
    run: Run, vnir: Child, environment: dict[str, str]
) -> None:
    variables = child_environment(
        {
            **environment,
            "_ROC_COMPLETE": "fish_complete",
            "COMP_WORDS": "roc get vnir.",
            "COMP_CWORD": "vnir.",
        }
    )
    ended = subprocess.run(roc_command(), env=variables, capture_output=True, text=True, timeout=60)
    assert "vnir.fps" in ended.stdout
    assert "vnir.frame" not in ended.stdout
    assert ended.stderr == ""
