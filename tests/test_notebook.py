"""Where scientists use proxies: a real IPython in a real terminal, and a real notebook kernel.

They ask many things of what they show. Requests are counted where each is seen: at the
broker.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from desk import Desk
from promptness import prompt
from waiting import wait_until

# They come with `pip install -e '.[dev]'`; a terminal of one's own is POSIX.
HOW = "is not installed: pip install 'runmacs-roc[dev]'"
pytest.importorskip("IPython", reason=f"IPython {HOW}")
pytest.importorskip("ipykernel", reason=f"ipykernel {HOW}")
jupyter_client = pytest.importorskip("jupyter_client", reason=f"jupyter_client {HOW}")
pexpect = pytest.importorskip("pexpect", reason=f"pexpect {HOW}")
pyte = pytest.importorskip("pyte", reason=f"pyte {HOW}")

T = TypeVar("T")

PATIENCE = 30.0
AT_ONCE = 1.0
"""Seconds from Ctrl-C to the next prompt, of which nearly all is a busy machine's."""

A_FEW = 8
"""Requests. Pings are among them, and descriptions that grew old; one for each member is 50."""

BOUND = 5.0
"""Seconds for what is bounded by half of one, in a terminal; the rest is for a busy machine. A
call's own timeout is 30."""


class Lens:
    """The objective lens."""

    def __init__(self) -> None:
        self.position = 0

    def move(self, steps: int, *, slowly: bool = False) -> int:
        """Move the lens."""
        self.position += steps
        return self.position


class Camera:
    """A pushbroom camera."""

    def __init__(self) -> None:
        self.lens = Lens()
        self.dark = np.zeros((2, 3), "<u2")
        self.read = 0
        vars(self).update({f"channel{number:02}": number for number in range(50)})

    @property
    def temperature(self) -> float:
        """Of the sensor."""
        self.read += 1
        return 21.5

    def reads(self) -> int:
        return self.read

    def frame(self, rows: int = 2, columns: int = 3) -> np.ndarray[Any, Any]:
        """Read one frame."""
        return np.arange(rows * columns, dtype="<u2").reshape(rows, columns)

    def expose(self, seconds: float) -> float:
        """Take some time."""
        time.sleep(seconds)
        return seconds

    def setGain(self, gain: int) -> None:
        raise ValueError(f"gain is 1 to 100, not {gain}")


class Stage:
    """A linear stage."""

    position = 3.0

    def frame(self) -> str:
        """The frame of reference."""
        return "laboratory"

    def home(self) -> None:
        """Go home."""


class Requests:
    """Counts what an interpreter asks the broker."""

    def __init__(self, desk: Desk) -> None:
        self._stats = desk.connect(timeout=10)["roc.broker"].stats
        self._before = 0
        self.since()

    def since(self) -> int:
        """Requests since this was asked last, without our own."""
        now = self._stats()["requests"]
        before, self._before = self._before, now
        return int(now - before - 1)


@pytest.fixture
def requests(desk: Desk) -> Requests:
    return Requests(desk)


def connecting(desk: Desk, timeout: float = 30) -> str:
    return (
        "from runmacs.roc import RocClient;"
        f" c = RocClient({desk.endpoints.rocBroker!r}, timeout={timeout}); vnir = c['vnir']"
    )


@pytest.fixture
def interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the developer's own profile nor a pager, which waits for a key."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("PAGER", "cat")
    monkeypatch.setenv("TERM", "linux")  # that is what pyte is
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")


# --- IPython in a terminal ----------------------------------------------------------------


class Terminal:
    """An IPython that is typed into, and its screen."""

    def __init__(self) -> None:
        self._screen = pyte.Screen(200, 300)
        self._stream = pyte.Stream(self._screen)
        # A prompt asks where its cursor is, and waits for the answer.
        self._screen.write_process_input = self.type
        arguments = ["-m", "IPython", "--no-banner", "--no-confirm-exit", "--colors=nocolor"]
        self._child = pexpect.spawn(
            sys.executable, arguments, encoding="utf-8", dimensions=(300, 200)
        )
        self._number = 1
        self.see(self._prompt)

    @property
    def screen(self) -> str:
        """What it looks like now."""
        with suppress(pexpect.TIMEOUT):
            self._stream.feed(self._child.read_nonblocking(65536, timeout=0.01))
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def _prompt(self) -> str:
        return rf"(?m)^In \[{self._number}\]:"

    def type(self, keys: str) -> None:
        """Press keys."""
        self._child.send(keys)

    def see(self, pattern: str) -> None:
        """Wait until this is on the screen."""
        try:
            wait_until(lambda: re.search(pattern, self.screen), PATIENCE, f"{pattern} is seen")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.screen}") from None

    def shown(self) -> str:
        """Wait for the next prompt; what the screen shows before it, since the last."""
        before = re.split(self._prompt, self.screen)[0]
        self._number += 1
        self.see(self._prompt)
        return re.split(self._prompt, self.screen)[0][len(before) :]

    def run(self, line: str) -> str:
        """Type a line; returns it with what it printed."""
        self.type(f"{line}\r")
        return self.shown()

    def complete(self, line: str, completed: str) -> None:
        """Type a line and a tab; it must become this. Then give it up."""
        self.type(f"{line}\t")
        wanted = self._prompt + f" {re.escape(completed)}"
        with suppress(AssertionError):  # on a busy machine the first look may be in vain
            wait_until(lambda: re.search(wanted, self.screen), 5.0)
        if not re.search(wanted, self.screen):
            self.type("\t")
        self.see(wanted)
        self.type("\x03")
        self.see(self._prompt + r"\s*\Z")

    def close(self) -> None:
        self._child.close(force=True)


@pytest.fixture
def terminal(interpreter: None) -> Iterator[Terminal]:
    if sys.platform == "win32":
        pytest.skip("a terminal of one's own is POSIX; run it on Linux or macOS")
    terminal = Terminal()
    try:
        yield terminal
    finally:
        print(terminal.screen)
        terminal.close()


def test_what_a_prompt_shows(desk: Desk, terminal: Terminal, requests: Requests) -> None:
    camera = Camera()
    desk.serve(camera)
    terminal.run(connecting(desk))
    requests.since()

    shown = terminal.run("vnir")
    assert f"<vnir: {__name__}.Camera at {desk.endpoints.rocBroker}>" in shown
    with prompt():
        assert requests.since() <= A_FEW

    shown = terminal.run("vnir?")
    assert "A pushbroom camera." in shown
    assert "expose(seconds: float) -> float  -  Take some time." in shown
    assert "temperature: float (read-only)  -  Of the sensor." in shown
    shown = terminal.run("vnir.frame?")
    assert "vnir.frame(rows: int = 2, columns: int = 3)" in shown
    assert "Read one frame." in shown
    assert "Call signature" not in shown
    shown = terminal.run("vnir.frame??")
    assert "Read one frame." in shown
    assert "class RemoteMethod" not in shown, "our source is not that of the object"
    assert "Move the lens." in terminal.run("vnir.lens.move?")
    assert "Of the sensor." in terminal.run("vnir.temperature?")
    with prompt():
        assert requests.since() <= A_FEW
    assert camera.read == 0, "help runs no property"

    shown = terminal.run("vnir.frame()")
    assert re.search(r"array\(\[\[0, 1, 2\],\s+\[3, 4, 5\]\], dtype=uint16\)", shown)
    assert "(2, 3)" in terminal.run("vnir.dark.shape")


def test_completion(desk: Desk, terminal: Terminal, requests: Requests) -> None:
    camera = Camera()
    with desk.serve(camera):
        terminal.run(connecting(desk))
        requests.since()
        terminal.complete("vnir.t", "vnir.temperature")
        with prompt():
            assert requests.since() <= A_FEW
        assert camera.read == 0, "completion runs no property"
        terminal.complete("vnir.lens.m", "vnir.lens.move")
        with prompt():
            assert requests.since() <= A_FEW
        terminal.complete("vnir.frame(colum", "vnir.frame(columns=")
        with prompt():
            assert requests.since() <= A_FEW
    with desk.serve(Stage()):
        wait_until(lambda: "Stage" in terminal.run("vnir"), PATIENCE, "it is another object")
        terminal.complete("vnir.ho", "vnir.home")
        assert "laboratory" in terminal.run("vnir.frame()")


def test_remote_errors_show_both_sides_and_nothing_else(desk: Desk, terminal: Terminal) -> None:
    desk.serve(Camera())
    terminal.run(connecting(desk))
    shown = terminal.run("vnir.setGain(0)")
    assert "----> 1 vnir.setGain(0)" in shown
    assert "ValueError: gain is 1 to 100, not 0" in shown
    assert "Remote traceback (vnir" in shown
    assert "in setGain" in shown
    assert "roc/proxy.py" not in shown
    assert "roc/client.py" not in shown


def test_interrupt_in_a_terminal(desk: Desk, terminal: Terminal) -> None:
    camera = Camera()
    desk.serve(camera)
    terminal.run(connecting(desk))
    terminal.run("vnir.frame")
    terminal.type("print('be' 'gins'); vnir.expose(1.5)\r")
    terminal.see("(?m)^begins")
    struck = time.monotonic()
    terminal.type("\x03")
    shown = terminal.shown()
    with prompt():
        assert time.monotonic() - struck < AT_ONCE
        assert "KeyboardInterrupt" in shown
    assert "src/runmacs" not in shown
    assert "_drivers" not in shown
    assert "array" in terminal.run("vnir.frame()"), "after the method, which goes on"


def test_without_a_broker(terminal: Terminal, desk: Desk) -> None:
    desk.serve(Camera())
    terminal.run(connecting(desk))
    terminal.run("vnir.frame")
    terminal.run("vnir")
    desk.broker.stop()
    assert "no broker answers" in timed(lambda: terminal.run("repr(c['vnir'])"))
    timed(lambda: terminal.run("dir(vnir)"))
    timed(lambda: terminal.run("vnir?"))
    timed(lambda: terminal.run("c['other']?"))

    timed(lambda: terminal.complete("vnir.exp", "vnir.expose"))


def timed(act: Callable[[], T]) -> T:
    began = time.monotonic()
    result = act()
    with prompt():
        assert time.monotonic() - began < BOUND
    return result


def plain(text: str) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


# --- a notebook's kernel ------------------------------------------------------------------


class Kernel:
    """A kernel, and what a notebook would tell it."""

    def __init__(self) -> None:
        self.manager = jupyter_client.KernelManager(kernel_name="python3")
        spec = self.manager.kernel_spec
        assert spec is not None
        spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        self.manager.start_kernel()
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)

    def begin(self, code: str) -> str:
        """Run a cell, and do not wait for it."""
        return str(self.client.execute(code))

    def end(self, request: str) -> list[dict[str, Any]]:
        """What a cell has given: messages on the IOPub channel, until the kernel is idle."""
        told = []
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") != request:
                continue
            content = {"type": message["msg_type"], **message["content"]}
            if content.get("execution_state") == "idle":
                break
            told.append(content)
        return told

    def run(self, code: str) -> dict[str, Any]:
        """The result or error of a cell; empty if it has none."""
        kinds = ("execute_result", "error", "stream")
        told = [content for content in self.end(self.begin(code)) if content["type"] in kinds]
        return told[-1] if told else {}

    def shown(self, code: str) -> str:
        """The text of a cell's result."""
        return str(self.run(code)["data"]["text/plain"])

    def complete(self, code: str) -> set[str]:
        reply = self.client.complete(code, reply=True, timeout=PATIENCE)
        return {match.rpartition(".")[2] for match in reply["content"]["matches"]}

    def inspect(self, code: str, level: int = 0) -> str:
        reply = self.client.inspect(code, detail_level=level, reply=True, timeout=PATIENCE)
        return plain(reply["content"]["data"]["text/plain"])

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


@pytest.fixture
def kernel(interpreter: None) -> Iterator[Kernel]:
    kernel = Kernel()
    try:
        yield kernel
    finally:
        kernel.close()


def test_a_notebook(desk: Desk, kernel: Kernel, requests: Requests) -> None:
    camera = Camera()
    desk.serve(camera)
    kernel.run(connecting(desk))
    requests.since()

    assert kernel.shown("vnir").startswith(f"<vnir: {__name__}.Camera at tcp://")
    with prompt():
        assert requests.since() <= A_FEW, "a notebook asks for a dozen representations"
    assert kernel.complete("vnir.") >= {"temperature", "dark", "frame", "lens"}
    with prompt():
        assert requests.since() <= A_FEW
    assert "A pushbroom camera." in kernel.inspect("vnir")
    assert "Read one frame." in kernel.inspect("vnir.frame", level=1)
    with prompt():
        assert requests.since() <= A_FEW
    assert camera.read == 0
    assert kernel.shown("vnir.frame()").startswith("array([[0, 1, 2],")
    assert kernel.shown("vnir.temperature") == "21.5"

    error = kernel.run("vnir.setGain(0)")
    assert error["ename"] == "RemoteValueError"
    trace = plain("\n".join(error["traceback"]))
    assert "Remote traceback (vnir" in trace
    assert "roc/proxy.py" not in trace


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is POSIX; run it on Linux or macOS")
def test_interrupt_in_a_notebook(desk: Desk, kernel: Kernel) -> None:
    desk.serve(Camera())
    kernel.run(connecting(desk))
    kernel.run("vnir.frame()")
    request = kernel.begin("print('begins', flush=True); vnir.expose(1.5)")
    told: list[dict[str, Any]] = []
    while not any(content.get("text", "").startswith("begins") for content in told):
        message = kernel.client.get_iopub_msg(timeout=PATIENCE)
        told.append(message["content"])
    struck = time.monotonic()
    kernel.manager.interrupt_kernel()
    with prompt():  # before the method ends
        error = next(content for content in kernel.end(request) if content["type"] == "error")
        assert time.monotonic() - struck < AT_ONCE
    assert error["ename"] == "KeyboardInterrupt"
    assert "runmacs" not in plain("\n".join(error["traceback"]))
    assert kernel.shown("vnir.frame()").startswith("array")
