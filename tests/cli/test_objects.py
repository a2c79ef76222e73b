"""`roc ls`, `describe`, `get`, `set` and `call`, against real objects."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from processes import Child, Spawner
from promptness import prompt
from roccommand import OnTerminal, Run
from runmacs.roc import Endpoints, RocClient, RocStatusUpdater, StatusTree
from waiting import wait_until


@pytest.fixture
def vnir(spawn: Spawner, roc: Callable[..., Child], broker: Endpoints) -> Child:
    """A camera, shared as ``lab.vnir``."""
    shutil.copy(Path(__file__).with_name("laboratory.py"), spawn.directory)
    child = roc("share", "laboratory:Camera", "--as", "lab.vnir")
    child.wait_for("^roc share serving")
    return child


# ---- ls


def test_ls(run: Run, vnir: Child) -> None:
    header, line = run("ls").stdout.splitlines()
    assert header.split() == ["ID", "STATE", "HOST", "PID", "SINCE", "CALLS"]
    with prompt():  # after a standstill of 1.5 s it is stalled
        assert re.fullmatch(rf"lab\.vnir +serving +\S+ +{vnir.pid} +[\d.]+ s ago +0", line)
    run("call", "lab.vnir.expose", 11, status=1)
    (entry,) = json.loads(run("ls", "lab*", "--json").stdout)
    with prompt():
        assert {name: entry[name] for name in ("id", "state", "pid", "servers", "errors")} == {
            "id": "lab.vnir",
            "state": "serving",
            "pid": vnir.pid,
            "servers": 1,
            "errors": 1,
        }
    assert entry["last_error"] == "lab.vnir.expose raised ValueError: seconds is 10 at most"
    assert "LAST ERROR" in run("ls").stdout
    assert "`roc ls` shows all" in run("ls", "x*", status=4).stderr
    vnir.kill()
    wait_until(lambda: "lab.vnir" not in run("ls").stdout, what="it is seen to be gone")


def test_ls_without_objects(run: Run) -> None:
    ended = run("ls")
    assert ended.stdout.startswith("ID ")
    assert "nobody shares anything yet" in ended.stderr
    assert run("ls", "--json").stdout == "[]\n"
    assert run("ls", "-o", "csv").stdout.startswith("id,state,policy,host,pid,")


def test_ls_on_a_terminal(on_terminal: OnTerminal, vnir: Child) -> None:
    screen = on_terminal("ls")
    assert screen.wait() == 0
    with prompt():
        assert "\x1b[32mserving" in screen.raw
        assert screen.text.splitlines()[1].startswith("lab.vnir  serving  ")


# ---- describe


def test_describe(run: Run, vnir: Child, broker: Endpoints) -> None:
    with RocStatusUpdater(broker) as updater, StatusTree(broker) as tree:
        updater.describe("lab.vnir.temperature", unit="°C")
        updater.emit("lab.vnir.temperature", 21.5)
        tree.wait_for("lab.vnir.temperature", timeout=30)
    text = run("describe", "lab.vnir").stdout
    assert text.startswith(
        "lab.vnir: laboratory.Camera\n\nA pushbroom camera.\n\nIts frames are raw.\n\nMethods:\n"
    )
    assert "    expose(seconds: float) -> float  -  Expose, and say for how long.\n" in text
    assert "    temperature: float [°C] (read-only)  -  Of the sensor.\n" in text
    assert text.endswith("Objects:\n    lens: laboratory.Lens\n")
    text = run("describe", "lab.vnir.frame").stdout
    assert text.startswith("lab.vnir.frame(rows: int = 2, columns: int = 3) -> ")
    assert text.endswith("\n\nRead one frame.\n")
    assert "\n    focus" in run("describe", "lab.vnir.lens").stdout
    assert json.loads(run("describe", "lab.vnir", "--json").stdout)["openrpc"]
    assert json.loads(run("describe", "lab.vnir.frame", "--json").stdout)["name"] == "frame"
    rows = csv.DictReader(io.StringIO(run("describe", "lab.vnir", "-o", "csv").stdout))
    assert {row["name"]: row["unit"] for row in rows}["temperature"] == "°C"
    assert run("get", "lab.vnir.reads").stdout == "0\n", "describing runs no property"
    assert "did you mean 'frame'" in run("describe", "lab.vnir.frme", status=4).stderr
    assert (
        "nobody shares 'vnir': did you mean 'lab.vnir'" in run("describe", "vnir", status=4).stderr
    )


# ---- get and set


def test_get_and_set(run: Run, vnir: Child) -> None:
    assert run("get", "lab.vnir.fps").stdout == "10.0\n"
    assert run("get", "lab.vnir.lens.focus").stdout == "1.5\n"
    assert run("get", "lab.vnir.title").stdout == "vnir\n"
    assert run("get", "lab.vnir.nothing").stdout == "null\n"
    names = ("lab.vnir.fps", "lab.vnir.title")
    assert run("get", *names).stdout == "lab.vnir.fps = 10.0\nlab.vnir.title = vnir\n"
    assert json.loads(run("get", *names, "--json").stdout) == dict(
        zip(names, (10.0, "vnir"), strict=True)
    )
    assert run("get", *names, "-o", "csv").stdout.splitlines()[1] == "lab.vnir.fps,10.0"
    for word, value in [("-5", -5), ("true", True), ('"007"', "007"), ("007", "007"), ("[1]", [1])]:
        assert run("set", "lab.vnir.title", word).stdout == ""
        assert json.loads(run("get", "lab.vnir.title", "--json").stdout) == value
    run("set", "lab.vnir.lens.focus", "-o", status=2)


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("get", "lab.vnir.fsp"), 4, "did you mean 'fps'"),
        (("get", "lab.vnri.fps"), 4, "did you mean 'lab.vnir'"),
        (("get", "zzz.fps"), 4, "`roc ls` shows what is shared"),
        (("get", "lab.vnir._secret"), 4, "`roc describe lab.vnir` shows what it has"),
        (("get", "lab.vnir.frame"), 2, "it is a method: `roc call lab.vnir.frame`"),
        (("get", "lab.vnir.lens"), 2, "it is a object: `roc describe lab.vnir.lens`"),
        (("get", "lab.vnir"), 2, "`roc describe lab.vnir` shows what it has"),
        (("get", "lab.vnir.fps", "-o", "x"), 2, "neither table, json, ndjson, csv nor a file"),
        (("get", "lab.vnir.fps", "-o", "no/x.npy"), 2, "no file can be written there"),
        (("set", "lab.vnir.temperature", 1), 4, "lab.vnir.temperature"),
        (("set", "lab.vnir.fps", "--fast"), 2, "there is no option --fast"),
        (("set", "lab.vnir.fps", "@none.npy"), 2, "none.npy cannot be read: No such file"),
        (("call", "lab.vnir.moove"), 4, "shows what it has"),
        (("call", "lab.vnir.expose"), 1, "'seconds' is missing; `roc describe lab.vnir.expose`"),
        (("call", "lab.vnir.expose", "x"), 1, "takes float, not str"),
        (("call", "lab.vnir.expose", "1", "seconds=1"), 1, "lab.vnir.expose takes"),
        (("call", "lab.vnir.expose", "seconds=1", "seconds=2"), 2, "seconds= is given twice"),
        (("call", "lab.vnir.expose", 11), 1, "ValueError: seconds is 10 at most; --traceback"),
        (("call", "lab.vnir.expose", 2, "-t", 0.2), 5, "it still runs"),
        (("call", "lab.vnir"), 4, "lab.vnir"),
        (("call", "lab.vnir.table", "-o", "t.npy"), 2, "the result is no array"),
        (("call", "lab.vnir.table", "-o", "t.xyz"), 2, "goes into .npy, .csv, .png, .json only"),
        (("call", "lab.vnir.hostile"), 1, r"\x1b[31mred\x07 roc call: all is well"),
    ],
)
def test_mistakes(
    run: Run, vnir: Child, arguments: tuple[object, ...], status: int, complaint: str
) -> None:
    with prompt():  # one of them is given 0.2 s
        ended = run(*arguments, status=status)
        assert complaint in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize("command", ["ls", "describe x", "get x.y", "set x.y 1", "call x.y"])
def test_no_broker(run: Run, nowhere: Endpoints, command: str) -> None:
    ended = run(*command.split(), "-b", nowhere.rocBroker, "-t", 0.3, status=3)
    assert "Start one with `rocbroker`" in ended.stderr


# ---- call


def test_call(run: Run, vnir: Child) -> None:
    assert run("call", "lab.vnir.expose", 0.01).stdout == "0.01\n"
    assert run("call", "lab.vnir.expose", "seconds=0.01").stdout == "0.01\n"
    words = ("1", "a b", '"3"', "-1.5", "null", "{bad json", "k=v", "x=[1,2]")
    assert json.loads(run("call", "lab.vnir.echo", *words, "--json").stdout) == [
        [1, "a b", "3", -1.5, None, "{bad json"],
        {"k": "v", "x": [1, 2]},
    ]
    assert run("call", "lab.vnir.echo", "null").stdout == ""
    assert run("call", "lab.vnir.echo", "null", "--json").stdout == "null\n"
    assert run("call", "lab.vnir.echo", '"two\\nlines\\u001b"').stdout == "two\nlines\\x1b\n"
    assert run("call", "lab.vnir.echo", '{"a": 1, "bc": "x"}').stdout == "a   1\nbc  x\n"
    assert run("call", "lab.vnir.table").stdout == "BAND  NM\n1     400.0\n2     500.0\n"
    assert run("call", "lab.vnir.table", "-o", "csv").stdout == "band,nm\n1,400.0\n2,500.0\n"
    assert run("call", "lab.vnir.table", "-o", "ndjson").stdout.count("\n") == 2
    assert "laboratory.Lens" in run("call", "lab.vnir.session").stdout
    assert run("call", "roc.broker.objects", "-o", "ndjson").stdout.startswith('{"id": "lab.vnir"')


def test_an_object_that_can_be_called(
    run: Run, spawn: Spawner, roc: Callable[..., Child], vnir: Child
) -> None:
    roc("share", "laboratory:Callable", "--as", "lab.vnir.square").wait_for("serving")
    assert run("call", "lab.vnir.square", 3).stdout == "9\n"
    assert run("call", "lab.vnir.expose", 0.01).stdout == "0.01\n"


def test_values_from_files_and_stdin(run: Run, spawn: Spawner, vnir: Child) -> None:
    np.save(spawn.directory / "mask.npy", np.eye(3, dtype="u1"))
    (spawn.directory / "gains.csv").write_text("1,2\n3,4\n")
    (spawn.directory / "plan.json").write_text('{"legs": [1, 2]}\n')
    (spawn.directory / "raw.bin").write_bytes(b"\xff\xfe")
    echo = ("call", "lab.vnir.echo")
    assert json.loads(run(*echo, "@mask.npy", "--json").stdout) == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert json.loads(run(*echo, "@gains.csv", "--json").stdout) == [[1.0, 2.0], [3.0, 4.0]]
    assert json.loads(run(*echo, "@plan.json", "--json").stdout) == {"legs": [1, 2]}
    assert run(*echo, "@raw.bin", "--json").stdout == '"//4="\n'
    assert run(*echo, "-", stdin="[1, 2]\n").stdout == "[1, 2]\n"
    assert run(*echo, "x=-", "--json", stdin="some text").stdout.count("some text") == 1
    assert run(*echo, '"@raw.bin"').stdout == "@raw.bin\n"
    run("call", "lab.vnir.echo", "@raw.bin", "-o", "copy.bin")
    assert (spawn.directory / "copy.bin").read_bytes() == b"\xff\xfe"


def test_arrays_into_files(run: Run, spawn: Spawner, vnir: Child) -> None:
    frame = ("call", "lab.vnir.frame")
    assert run(*frame).stdout == "[[0 1 2]\n [3 4 5]]\n"
    assert run(*frame, "-o", "csv").stdout == "0,1,2\n3,4,5\n"
    ended = run(*frame, 300, 400, "-o", "f.npy")
    assert ended.stdout == "f.npy: uint16 array of 300 x 400, 0 to 65535\n"
    array = np.load(spawn.directory / "f.npy")
    assert (array.shape, array.dtype) == ((300, 400), np.dtype("u2"))
    run(*frame, "-o", "f.csv")
    assert (spawn.directory / "f.csv").read_text() == "0,1,2\n3,4,5\n"
    run(*frame, 300, 400, "-o", "f.png")
    png = (spawn.directory / "f.png").read_bytes()
    assert png.startswith(
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01\x90\x00\x00\x01\x2c\x10\x00"
    )
    run(*frame, "-o", "f.json")
    assert json.loads((spawn.directory / "f.json").read_text()) == [[0, 1, 2], [3, 4, 5]]
    assert not [path for path in spawn.directory.iterdir() if path.name.startswith(".f")]


def test_50_megabytes(run: Run, spawn: Spawner, vnir: Child) -> None:
    arguments = ("call", "lab.vnir.frame", 5000, 5000, "-t", 20)
    assert run(*arguments).stdout == "uint16 array of 5000 x 5000, 0 to 65535\n"
    run(*arguments, "-o", "big.npy")
    assert (spawn.directory / "big.npy").stat().st_size > 50_000_000
    assert run("call", "lab.vnir.echo", "@big.npy", "-t", 20).stdout.startswith("uint16 array")


def test_not_finite_is_null_in_json(run: Run, vnir: Child, broker: Endpoints) -> None:
    with RocClient(broker, timeout=20) as client:
        client["lab.vnir"].title = [float("nan"), np.array([1.0, np.inf]), 1 + 2j, b"\0"]
    assert json.loads(run("get", "lab.vnir.title", "--json").stdout) == [
        None,
        [1.0, None],
        [1.0, 2.0],
        "AA==",
    ]


def test_the_remote_traceback(run: Run, vnir: Child) -> None:
    with pytest.raises(AssertionError) as caught:
        run("call", "lab.vnir.expose", 11, "--traceback", status=1)
    assert "Traceback (most recent call last)" in str(caught.value)
    assert 'laboratory.py", line' in str(caught.value)


def test_a_long_wait_shows_progress_and_ctrl_c_ends_it(
    on_terminal: OnTerminal, vnir: Child
) -> None:
    screen = on_terminal("call", "lab.vnir.expose", 1.6, "-t", 10)
    with prompt():  # it stands there for a second at most
        screen.wait_for("calling lab.vnir.expose: 1 of 10 s", 10)
    assert screen.wait() == 0
    assert screen.text == "1.6"
    screen = on_terminal("call", "lab.vnir.expose", 9, "-t", 10)
    with prompt():
        screen.wait_for("calling lab.vnir.expose: 1 of 10 s", 10)
    screen.interrupt()
    assert screen.wait() == 130
    assert screen.is_clean
    assert "Traceback" not in screen.raw
    assert "calling" not in screen.text
