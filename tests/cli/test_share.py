"""`roc share`, as a real process: it serves what can be imported, and says what is wrong."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable

import pytest

from processes import POSIX, Child, Spawner
from promptness import prompt
from roccommand import roc_command
from runmacs.roc import Endpoints, RocClient
from runmacs.roc.errors import MethodNotFound
from waiting import wait_until

CAMERA = '''
"""A camera's driver, as its maker has it."""

class Camera:
    def __init__(self, port, *, fps=10.0, mirrored=False):
        if fps <= 0:
            raise ValueError(f"fps is above 0,\\nnot {fps}")
        self.port, self.fps, self.mirrored = port, fps, mirrored

    def __enter__(self):
        print("opened", flush=True)
        return self

    def __exit__(self, kind, error, traceback):
        print("closed", flush=True)

    def frame(self):
        return [1, 2, 3]


class Lab:
    spare = Camera("spare")


def square(x: float) -> float:
    return x * x
'''

Roc = Callable[..., Child]


@pytest.fixture
def roc(spawn: Spawner) -> Roc:
    """Run ``roc`` where the files of a laboratory are."""
    (spawn.directory / "camera.py").write_text(CAMERA)
    (spawn.directory / "broken.py").write_text("\nimport no_such_driver\n")
    (spawn.directory / "script.py").write_text("import sys; sys.exit(0)")
    (spawn.directory / "rude.py").write_text("raise ValueError('\\x1b[31mred')")

    def roc(*arguments: object, **env: str) -> Child:
        return spawn.command([*roc_command(), *map(str, arguments)], env=env)

    return roc


# ---- it serves


def test_a_class_is_made_and_its_arguments_are_json_or_text(roc: Roc, broker: Endpoints) -> None:
    child = roc(
        *("share", "camera:Camera", "--as", "vnir", "-b", broker.rocBroker),
        *("--arg", "/dev/ttyUSB0", "--arg", "fps=20", "--arg", "mirrored=true"),
    )
    child.wait_for(rf"^roc share serving: vnir \(camera\.Camera\) at {broker.rocBroker}$")
    with RocClient(broker, timeout=20) as client:
        vnir = client["vnir"]
        assert (vnir.port, vnir.fps, vnir.mirrored) == ("/dev/ttyUSB0", 20, True)
        assert vnir.frame() == [1, 2, 3]
    assert child.stderr == ""


@pytest.mark.skipif(not POSIX, reason="POSIX signals; run it on Linux or macOS")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_with_0_and_closes_the_hardware(
    roc: Roc, broker: Endpoints, number: signal.Signals
) -> None:
    child = roc("share", "camera:Camera", "--as", "vnir", "--arg", 1, ROC_BROKER=broker.rocBroker)
    child.wait_for("^roc share serving")
    child.send_signal(number)
    assert child.ends_in_time() == 0
    first, _, last = child.stdout.splitlines()
    assert (first, last) == ("opened", "closed")
    assert child.stderr == ""


@pytest.mark.parametrize(
    ("target", "use"),
    [
        ("collections:deque", lambda shared: shared.append(1) or len(shared) == 1),
        ("math", lambda shared: shared.floor(2.5) == 2),
        ("os.path", lambda shared: shared.basename("/a/b") == "b"),
        ("xml:etree.ElementTree", lambda shared: shared.iselement(None) is False),
        ("camera:square", lambda shared: shared(3.0) == 9.0),
        ("camera:Lab.spare", lambda shared: shared.port == "spare"),
    ],
)
def test_anything_that_can_be_imported(
    roc: Roc, broker: Endpoints, target: str, use: Callable[..., bool]
) -> None:
    child = roc("share", target, "--as", "it", "-b", broker.rocBroker)
    child.wait_for("^roc share serving: it")
    with RocClient(broker, timeout=20) as client:
        assert use(client["it"])


def test_it_shares_what_it_is_told_to(roc: Roc, broker: Endpoints) -> None:
    child = roc(
        *("share", "camera:Lab.spare", "--as", "vnir", "-b", broker.rocBroker, "--readonly"),
        *("--expose", "f*", "--expose", "port", "--hide", "frame"),
    )
    child.wait_for("^roc share serving")
    with RocClient(broker, timeout=20) as client:
        vnir = client["vnir"]
        assert (vnir.fps, vnir.port) == (10.0, "spare")
        refused: list[Callable[[], object]] = [
            lambda: vnir.mirrored,
            lambda: vnir.frame(),
            lambda: setattr(vnir, "fps", 1.0),
        ]
        for use in refused:
            with pytest.raises(MethodNotFound):
                use()


@pytest.mark.parametrize("by", ["flag", "variable"])
def test_a_standby_takes_over(roc: Roc, broker: Endpoints, by: str) -> None:
    command: list[object] = ["share", "camera:Lab.spare", "--as", "vnir"]
    env = {"ROC_BROKER": broker.rocBroker}
    if by == "flag":
        command += ["--policy", "standby"]
    else:
        env["ROC_POLICY"] = "standby"
    first = roc(*command, **env)
    first.wait_for("^roc share serving: vnir")
    second = roc(*command, **env)
    second.wait_for("^roc share standby: vnir")
    first.kill()
    killed = time.monotonic()
    second.wait_for("^roc share serving: vnir")
    with prompt():
        assert time.monotonic() - killed < 1.75
    assert second.stderr == ""


def test_a_pool_shares_the_load(roc: Roc, broker: Endpoints) -> None:
    command = ("share", "os", "--as", "os", "--policy", "pool", "-b", broker.rocBroker)
    children = [roc(*command) for _ in range(2)]
    for child in children:
        child.wait_for("^roc share serving: os")
    with RocClient(broker, timeout=20) as client:
        shared = client["os"]
        with prompt():
            assert {shared.getpid() for _ in range(10)} == {child.pid for child in children}


def test_it_waits_for_a_broker(roc: Roc, nowhere: Endpoints, spawn: Spawner) -> None:
    child = roc("share", "math", "--as", "math", "-b", nowhere.rocBroker)
    wait_until(lambda: child.stderr, what="it says that it waits")
    assert child.stdout == ""
    assert "Start one with `rocbroker`" in child.stderr
    assert child.returncode is None


def test_it_can_be_the_broker_as_well(roc: Roc, nowhere: Endpoints) -> None:
    address = nowhere.rocBroker
    child = roc("share", "camera:square", "--as", "square", "-b", address, "--with-broker")
    child.wait_for("^roc share serving: square")
    assert child.stderr == f"roc share: no broker was there, so this is one: {address}\n"
    with RocClient(nowhere, timeout=20) as client:
        assert client["square"](3.0) == 9.0
        second = roc("share", "math", "--as", "math", "-b", address, "--with-broker")
        second.wait_for("^roc share serving: math")
        assert second.stderr == "", "it has found the first one's"
        assert list(client) == ["math", "square"]
        child.terminate()
        assert child.wait() == 0


# ---- it says what is wrong


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        ("camra:Camera", 2, r"there is no module 'camra', .* did you mean 'camera'\?"),
        ("no_such_thing_at_all", 2, r"there is no module .* install it, or go to its directory\."),
        ("os.paht", 2, r"there is no module 'os.paht', .* did you mean 'os.path'\?"),
        ("camera:Camra", 2, r"camera has no 'Camra': did you mean 'Camera'\?"),
        ("camera:Lab.spar", 2, r"camera\.Lab has no 'spar': did you mean 'spare'\?"),
        ("camera:", 2, r"'camera:' names no object: write camera:NAME\."),
        ("camera.py:Camera", 2, r"camera\.py is a file: write camera:Camera\."),
        ("lab/camera.py", 2, r"lab/camera\.py is a file: write camera:OBJECT, in lab\."),
        ("a-b:c", 2, r"'a-b:c' is not like MODULE:OBJECT: write camera:Camera\."),
        ("camera:Camera", 2, r"camera\.Camera takes \(port, .*: missing a .*'port'; .*--arg VALUE"),
        ("camera:Camera --arg 1 --arg no=2", 2, r"camera\.Camera takes .* argument 'no'; give it"),
        ("camera:Camera --arg port=1 --arg port=2", 2, r"--arg port= is given twice: leave one"),
        ("camera --arg 1", 2, r"camera is a ready module, and --arg is for classes: leave it out"),
        ("camera:square --arg 1", 2, r"camera\.square is a ready object, and --arg is for classes"),
        (
            "camera:Camera --arg 1 --arg fps=-3",
            1,
            r"camera\.Camera\(1, fps=-3\) raised ValueError: fps is above 0, not -3"
            r" \(\S*camera\.py, line 7\)\.",
        ),
        ("collections:deque --arg 3", 1, r"collections\.deque\(3\) raised TypeError: .*iterable"),
        ("broken:X", 1, r"importing broken raised ModuleNotFoundError: .*\(\S*broken.py, line 2\)"),
        ("script", 1, r"importing script ends the program: .*__main__"),
        ("rude", 1, r"importing rude raised ValueError: \\x1b\[31mred"),
        ("camera --policy standbye", 2, r"--policy: 'standbye' .* did you mean 'standby'\?"),
        ("camera --broker 1.2.3", 2, r"'1\.2\.3' is not an IPv4 address: write"),
        ("camera --expose [", 2, r"expose: '\[' matches nothing: write names"),
        ("camera -b 10.0.0.1 --with-broker", 2, r"--with-broker starts a broker for this .*leave"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    roc: Roc, nowhere: Endpoints, arguments: str, status: int, sentence: str
) -> None:
    child = roc("share", "--as", "it", *arguments.split(), ROC_BROKER=nowhere.rocBroker)
    assert child.wait() == status
    assert re.fullmatch(rf"roc share: {sentence}[^\n]*\n", child.stderr), child.stderr
    assert child.stdout == ""


def test_an_id_that_is_taken(roc: Roc, broker: Endpoints) -> None:
    command = ("share", "camera:Camera", "--as", "vnir", "--arg", 1, "-b", broker.rocBroker)
    first = roc(*command)
    first.wait_for("^roc share serving")
    second = roc(*command)
    assert second.wait() == 1
    assert re.fullmatch(
        rf"roc share: The object id 'vnir' is taken: .*pid {first.pid} .*\n", second.stderr
    )
    assert second.stdout == "opened\nclosed\n"


def test_a_mistake_opens_no_hardware(roc: Roc) -> None:
    child = roc("share", "camera:Camera", "--arg", 1, "--as", "v!nir")
    assert child.wait() == 2
    assert "may not contain '!'" in child.stderr
    assert child.stdout == ""


def test_the_id_must_be_given(roc: Roc) -> None:
    child = roc("share", "math")
    assert child.wait() == 2
    assert "Missing option '--as'" in child.stderr


def test_help_has_an_example(roc: Roc) -> None:
    child = roc("share", "--help")
    assert child.wait() == 0
    for words in ("roc share camera:Camera --as vnir", "--arg", "--policy", "ROC_POLICY"):
        assert words in child.stdout
