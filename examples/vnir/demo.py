"""The whole of ROC in one minute: a broker, a camera in another process, a client.

    make demo                           # or, with everything installed:
    python examples/vnir/demo.py

Starts what it needs on free ports of this computer, tells what it does, checks what
comes back, and stops it all again. Exit code 0; 1 after a failure, with the reason;
130 after Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from children import Child, ChildFailed
from terminal import Story

from runmacs.roc import RocClient

SERVER = Path(__file__).with_name("server.py")
GREEN_LINE = 546.075  # nm, mercury, in air
POSIX = sys.platform != "win32"

Frames = npt.NDArray[np.float64]
T = TypeVar("T")


class DemoFailed(Exception):
    """Something came back that should not have."""


def main() -> int:
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupt)
    story = Story(sys.stdout)
    children: list[Child] = []
    began = time.monotonic()
    try:
        story.title("ROC: a camera in another process, used as if it were in this one.")
        play(story, children)
    except KeyboardInterrupt:
        story.end("Interrupted; stopping what was started.", good=False)
        return 130
    except BrokenPipeError:
        # Nobody listens any more (`make demo | head`). Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        tell_failure(story, error, children)
        return 1
    finally:
        stop_all(children)
    story.end(f"That was all, in {time.monotonic() - began:.1f} s. Nothing is left running.")
    return 0


def play(story: Story, children: list[Child]) -> None:
    """All acts in order; ``children`` holds the processes that run, oldest first."""
    address = start_broker(story, children)
    start_server(story, children, address)
    with RocClient(address) as client:
        vnir = locate(story, client, address)
        prepare(story, vnir)
        bright = fetch(story, vnir)
        dark = compare(story, vnir, bright)
        calibrate(story, vnir, dark)
        fail_remotely(story, vnir)
        misspell(story, client, vnir)
    stop_in_order(story, children)


def start_broker(story: Story, children: list[Child]) -> str:
    story.step("The broker starts: a process of its own, on free ports of this computer.")
    story.command("rocbroker --base-port 0")
    command = [sys.executable, "-m", "runmacs.roc.cli.rocbroker", "--base-port", "0"]
    broker = Child("the broker", command, _environment())
    children.append(broker)
    ready = broker.wait_for_line(r"rocbroker ready rocBroker=(\S+)", timeout=10.0)
    story.said(ready.string.replace(" ", "\n  ").replace("\n  ready", " ready"))
    return ready.group(1)


def start_server(story: Story, children: list[Child], address: str) -> None:
    story.step("The camera's server starts: another process, with the camera in it.")
    story.command(f"ROC_BROKER={address} python examples/vnir/server.py")
    environment = _environment(ROC_BROKER=address)
    server = Child("the camera's server", [sys.executable, str(SERVER)], environment)
    children.append(server)
    story.said(server.wait_for_line(r"camera on, cooling", timeout=15.0).string)


def locate(story: Story, client: RocClient, address: str) -> Any:
    story.step("The client, which is this process, asks the broker for the camera.")
    client.wait_for("vnir", timeout=10)
    story.code(f"c = RocClient({address!r})")
    story.code("list(c)", list(client))
    story.code("vnir = c.proxy('vnir', timeout=20)")
    return client.proxy("vnir", timeout=20)


def prepare(story: Story, vnir: Any) -> None:
    story.step("It opens the shutter, and looks whether it is open.")
    vnir.openShutter()
    story.code("vnir.openShutter()")
    story.code("vnir.shutterOpen", _expect("shutterOpen", vnir.shutterOpen, True))

    story.step("It reads the frame rate, in frames per second.")
    story.code("vnir.fps", _expect("fps", vnir.fps, 10.0))

    story.step("It sets the integration time, in seconds, and a higher frame rate.")
    vnir.setIntegrationTime(0.02)
    story.code("vnir.setIntegrationTime(0.02)")
    story.code("vnir.integrationTime", _expect("integrationTime", vnir.integrationTime, 0.02))
    vnir.fps = 40
    story.code("vnir.fps = 40")


def fetch(story: Story, vnir: Any) -> Frames:
    story.step("It fetches 40 frames: numpy arrays, lines of the sky by their spectra.")
    seconds, frames = _timed(lambda: vnir.getFrames(40))
    story.code("frames = vnir.getFrames(40)")
    story.code("frames.shape, frames.dtype", (frames.shape, frames.dtype))
    story.code("float(frames.mean())", round(float(frames.mean()), 1))
    size = frames.nbytes / 1e6
    story.note(f"{size:.1f} MB in {seconds:.2f} s: the pace of the camera.")

    seconds, again = _timed(lambda: vnir.lastFrames)
    story.code("again = vnir.lastFrames")
    story.note(
        f"The same {size:.1f} MB from the camera's memory in {seconds * 1e3:.0f} ms: "
        f"{size / seconds:,.0f} MB/s through the broker."
    )
    if not np.array_equal(frames, again):
        raise DemoFailed("the frames that were fetched twice differ")
    mean: Frames = frames.mean(axis=0)
    return mean


def compare(story: Story, vnir: Any, bright: Frames) -> Frames:
    story.step("It closes the shutter and compares: what is left is the dark signal.")
    vnir.closeShutter()
    story.code("vnir.closeShutter()")
    dark: Frames = vnir.getFrames(10).mean(axis=0)
    story.code("dark = vnir.getFrames(10)")
    story.note(f"bright {_bar(bright)}")
    story.note(f"dark   {_bar(dark)}  (100 DN of it are the camera's offset)")
    story.code("vnir.temperature", round(vnir.temperature, 2))
    story.note("In kelvin: the sensor is cooling down, its dark current halves every 7 K.")
    if not bright.mean() > 2.0 * dark.mean():
        raise DemoFailed("an open shutter should give more than twice the dark signal")
    return dark


def calibrate(story: Story, vnir: Any, dark: Frames) -> None:
    story.step("It turns the camera to a mercury-argon lamp, and looks for a known line.")
    vnir.scene = "lamp"
    story.code("vnir.scene = 'lamp'")
    vnir.openShutter()
    story.code("vnir.openShutter()")
    light = vnir.getFrames(10).mean(axis=0) - dark
    story.code("lamp = vnir.getFrames(10)")
    spectrum = light[300:340].mean(axis=0)
    wavelengths = vnir.wavelengths
    story.plot(wavelengths, spectrum)
    near = np.abs(wavelengths - GREEN_LINE) < 6.0
    found = float(np.average(wavelengths[near], weights=spectrum[near]))
    story.note(f"The green line of mercury, at {GREEN_LINE} nm in air, is found at {found:.2f} nm.")
    if abs(found - GREEN_LINE) > 0.3:
        raise DemoFailed(f"the line should be found at {GREEN_LINE} nm")


def fail_remotely(story: Story, vnir: Any) -> None:
    story.step("It asks for something impossible. The camera raises, and the client sees it.")
    story.code("vnir.setIntegrationTime(-0.02)")
    error = _provoke(ValueError, lambda: vnir.setIntegrationTime(-0.02))
    story.error(error)
    story.note("`except ValueError` catches it, as if the camera were here. Over there it was:")
    story.said(getattr(error, "remote_traceback", "").rstrip())
    story.code("vnir.integrationTime", _expect("integrationTime", vnir.integrationTime, 0.02))
    story.note("Nothing was changed, and the camera serves on.")


def misspell(story: Story, client: RocClient, vnir: Any) -> None:
    story.step("It misspells a method, then the camera itself. Both are told at once.")
    story.code("vnir.openShuter()")
    seconds, error = _timed(lambda: _provoke(AttributeError, lambda: vnir.openShuter()))
    story.error(error)
    story.code("c['vnri'].fps")
    more, error = _timed(lambda: _provoke(LookupError, lambda: client["vnri"].fps))
    story.error(error)
    story.note(f"The answers came after {seconds * 1e3:.1f} ms and {more * 1e3:.1f} ms.")


def stop_in_order(story: Story, children: list[Child]) -> None:
    story.step("All is stopped: first the camera's server, whose with block closes the shutter.")
    server = children.pop()
    told = len(server.lines)
    story.command(f"kill -TERM {server.pid}")
    code = server.stop()
    story.said("\n".join(server.lines[told:]))
    # On Windows there is no SIGTERM to be asked with: a process just ends.
    if POSIX and (code != 0 or not any("camera is safe" in line for line in server.lines)):
        children.append(server)
        raise DemoFailed(f"the camera's server did not stop cleanly (exit code {code})")

    story.step("Then the broker.")
    broker = children.pop()
    story.command(f"kill -TERM {broker.pid}")
    code = broker.stop()
    if POSIX and code != 0:
        children.append(broker)
        raise DemoFailed(f"the broker ended with exit code {code} instead of 0")
    story.note("Both ended with exit code 0.")


def stop_all(children: list[Child]) -> None:
    """Stop what still runs, the youngest first; impatience (a second Ctrl-C) kills."""
    while children:
        child = children.pop()
        try:
            child.stop()
        except (ChildFailed, KeyboardInterrupt):
            child.kill()


def tell_failure(story: Story, error: Exception, children: list[Child]) -> None:
    """One sentence on what went wrong, and the last words of the processes that ran."""
    kind = "" if isinstance(error, DemoFailed | ChildFailed) else f"{type(error).__name__}: "
    story.end(f"The demo failed: {kind}{error}", good=False)
    for child in children:
        story.note(f"What {child.name}, {child.state()}, said last:")
        story.said("\n".join(child.lines[-12:]) or "nothing")


def _environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", **more}


def _expect(name: str, value: Any, expected: object) -> Any:
    if value != expected:
        raise DemoFailed(f"{name} should be {expected!r}, but {value!r} came back")
    return value


def _timed(call: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def _provoke(kind: type[Exception], call: Callable[[], object]) -> Exception:
    try:
        call()
    except kind as error:
        return error
    raise DemoFailed(f"a {kind.__name__} was expected, but none came")


def _bar(frame: Frames) -> str:
    mean = float(frame.mean())
    return f"{mean:7.1f} DN  {'#' * round(mean / 25.0)}"


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
