"""A proxy behaves like its object, and has no public name of its own."""

from __future__ import annotations

import copy
import inspect
import io
import pydoc
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

import pytest

from desk import Desk
from processes import BrokerProcess
from promptness import prompt
from runmacs.roc import RocClient, errors
from runmacs.roc.proxy import Proxy, RemoteMethod
from waiting import wait_until


class Lens:
    """The objective lens."""

    def __init__(self) -> None:
        self.position = 0

    def move(self, steps: int, *, slowly: bool = False) -> int:
        """Move the lens.

        Further lines explain.
        """
        self.position += steps
        return self.position


class Camera:
    """A pushbroom camera.

    It looks down.
    """

    def __init__(self) -> None:
        self.fps = 10.0
        self.lens = Lens()
        self.close = "a public name that a proxy might have wanted"
        self.timeout = 3
        self.call = "another"

    @property
    def temperature(self) -> float:
        """Of the sensor, in degrees Celsius."""
        return 21.5

    def frames(self, count: int, /, binning: int = 1, *names: str, **options: object) -> list[int]:
        """Take some frames."""
        return [binning] * count

    def plain(self):  # type: ignore[no-untyped-def]
        return None


@pytest.fixture
def vnir(desk: Desk) -> Any:
    return desk.share(Camera())


def test_has_no_public_names_of_its_own() -> None:
    for kind in (Proxy, RemoteMethod):
        assert [name for name in dir(kind) if not name.startswith("_")] == []


def test_names_that_clients_and_python_use_are_the_objects(vnir: Any) -> None:
    assert vnir.close.startswith("a public name")
    assert vnir.call == "another"
    vnir.timeout = 4
    assert vnir.timeout == 4


def test_dir(vnir: Any) -> None:
    names = [name for name in dir(vnir) if not name.startswith("_")]
    assert names == sorted(
        ["fps", "lens", "close", "timeout", "call", "temperature", "frames", "plain"]
    )
    assert "move" in dir(vnir.lens)
    assert "fps" not in dir(vnir.lens)


def test_help(vnir: Any) -> None:
    shown = help_of(vnir)
    assert "A pushbroom camera." in shown
    assert "It looks down." in shown
    assert "frames(count: int, /, binning: int = 1, *names: str, **options: object)" in shown
    assert "Take some frames." in shown
    assert "temperature: float (read-only)  -  Of the sensor, in degrees Celsius." in shown
    assert "lens" in shown
    assert "The objective lens." in help_of(vnir.lens)
    assert "Further lines explain." in help_of(vnir.lens.move)


def help_of(thing: object) -> str:
    out = io.StringIO()
    with redirect_stdout(out):
        help(thing)
    return pydoc.plain(out.getvalue())


def test_docstrings(vnir: Any) -> None:
    assert vnir.frames.__doc__ == "Take some frames."
    assert vnir.plain.__doc__ is None
    assert vnir.__doc__.startswith("A pushbroom camera.")
    assert vnir.lens.move.__name__ == "move"


def test_signatures(vnir: Any) -> None:
    signature = inspect.signature(vnir.frames)
    assert list(signature.parameters) == ["count", "binning", "names", "options"]
    kinds = [parameter.kind.name for parameter in signature.parameters.values()]
    assert kinds == ["POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD", "VAR_POSITIONAL", "VAR_KEYWORD"]
    assert repr(signature.parameters["binning"].default) == "1"
    signature.bind(3, 2, "a", gain=1)
    with pytest.raises(TypeError):
        signature.bind()
    assert str(inspect.signature(vnir.plain)) == "()"
    assert inspect.signature(vnir.lens.move).parameters["slowly"].kind.name == "KEYWORD_ONLY"


def test_repr(desk: Desk, vnir: Any) -> None:
    where = desk.endpoints.rocBroker
    assert repr(vnir) == f"<vnir: {__name__}.Camera at {where}>"
    assert repr(vnir.lens) == f"<vnir.lens: {__name__}.Lens at {where}>"
    assert repr(vnir.lens.move).startswith("<remote method vnir.lens.move(steps: int, *, slowly")


def test_repr_without_the_object(desk: Desk) -> None:
    began = time.monotonic()
    assert repr(desk.client["nothing"]).endswith(": nobody shares it>")
    with prompt():
        assert time.monotonic() - began < 0.2


def test_repr_without_a_broker() -> None:
    with RocClient("127.0.0.1:1", timeout=60) as client:
        began = time.monotonic()
        shown = repr(client["vnir"])
        assert time.monotonic() - began < 1.0, "repr has less patience than a call"
    assert shown.startswith("<vnir at tcp://127.0.0.1:1: ")
    assert "no broker answers" in shown


def test_bool_makes_no_call() -> None:
    with RocClient("127.0.0.1:1", timeout=60) as client:
        began = time.monotonic()
        assert bool(client["vnir"]) is True
        assert client["vnir"]
        assert client.proxy("vnir", timeout=5)
        with prompt():
            assert time.monotonic() - began < 0.1


def test_looking_at_it_never_raises_for_want_of_a_broker(broker_process: BrokerProcess) -> None:
    with RocClient(broker_process.endpoints, timeout=0.2) as client:
        vnir = client["vnir"]
        broker_process.child.kill()
        assert repr(vnir)
        assert vnir.__doc__ is None
        assert dir(vnir)
        assert hash(vnir) == hash(vnir)
        assert vnir == vnir


def test_proxies_are_made_without_a_call(desk: Desk) -> None:
    stats = desk.client["roc.broker"].stats
    before = stats()["requests"]
    for _ in range(10):
        desk.client["vnir"]
        desk.client.proxy("vnir", timeout=60)
    assert stats()["requests"] == before + 1


def test_a_method_is_looked_up_once(desk: Desk, vnir: Any) -> None:
    stats = desk.client["roc.broker"].stats
    assert vnir.frames(1) == [1]
    before = stats()["requests"]
    for _ in range(10):
        vnir.frames(1)
    assert stats()["requests"] == before + 11


def test_a_member_that_changes_its_kind_is_found_again(desk: Desk) -> None:
    """The server's program was changed and started again; the client's was not."""

    class Old:
        def fps(self) -> float:
            return 10.0

    class New:
        fps = 25.0

    with desk.serve(Old()):
        vnir = desk.client["vnir"]
        assert vnir.fps() == 10.0
    with desk.serve(New()):
        with pytest.raises(errors.MethodNotFound):
            vnir.fps()
        assert vnir.fps == 25.0


def test_underscores_stay_here(vnir: Any) -> None:
    with pytest.raises(AttributeError, match="not shared"):
        _ = vnir._gain
    with pytest.raises(AttributeError, match="not shared"):
        vnir._gain = 1
    assert not hasattr(vnir, "_repr_html_"), "notebooks ask for such names"


def test_attributes_cannot_be_deleted(vnir: Any) -> None:
    with pytest.raises(AttributeError, match=r"vnir\.fps"):
        del vnir.fps
    assert vnir.fps == 10.0


def test_hasattr_and_getattr(vnir: Any) -> None:
    assert hasattr(vnir, "fps")
    assert not hasattr(vnir, "fsp")
    assert getattr(vnir, "fsp", 1) == 1


def test_copies_stand_for_the_same_object(vnir: Any) -> None:
    for twin in (copy.copy(vnir), copy.deepcopy(vnir)):
        twin.fps = 12.0
        assert vnir.fps == 12.0


def test_an_object_is_not_taken_for_a_sequence_or_an_array(vnir: Any) -> None:
    """Special methods are never shared."""
    with pytest.raises(TypeError):
        iter(vnir)
    with pytest.raises(TypeError):
        len(vnir)
    with pytest.raises(TypeError):
        vnir()


# --- looking at a proxy -------------------------------------------------------------------


class Watched:
    """Knows how often it was read."""

    def __init__(self) -> None:
        self._reads = 0
        self._begun = threading.Event()

    @property
    def frame(self) -> bytes:
        self._reads += 1
        return b"frame"

    def expose(self, seconds: float) -> None:
        """Take some time."""
        self._begun.set()
        time.sleep(seconds)


def test_looking_reads_no_attribute(desk: Desk) -> None:
    watched = Watched()
    vnir = desk.share(watched)
    assert "frame" in dir(vnir)
    assert inspect.getattr_static(vnir, "frame").__doc__ == "frame: bytes (read-only)"
    assert help_of(vnir)
    assert watched._reads == 0
    assert vnir.frame == b"frame"
    assert watched._reads == 1


def test_looking_at_an_object_that_is_busy(desk: Desk) -> None:
    watched = Watched()
    vnir = desk.share(watched)
    busy = threading.Thread(target=desk.connect(timeout=10)["vnir"].expose, args=(1.5,))
    busy.start()
    assert watched._begun.wait(30)
    began = time.monotonic()
    assert "Watched" in repr(vnir)
    assert "frame" in dir(vnir)
    with prompt():
        assert time.monotonic() - began < 0.5
        assert busy.is_alive(), "it was answered beside the method"
    busy.join()


def test_an_object_of_another_class_is_noticed(desk: Desk) -> None:
    """The server's program was changed and started again, while nobody called anything."""
    with desk.serve(Camera()):
        vnir = desk.client["vnir"]
        assert "temperature" in dir(vnir)
    with desk.serve(Watched()):
        wait_until(lambda: "Watched" in repr(vnir), what="the description is read again")
        assert "frame" in dir(vnir)
        assert "temperature" not in dir(vnir)
        assert not hasattr(type(vnir), "temperature")


def test_looking_in_vain_is_not_repeated_at_once() -> None:
    with RocClient("127.0.0.1:1", timeout=60) as client:
        vnir = client["vnir"]
        began = time.monotonic()
        assert repr(vnir).endswith(": no broker answers>")
        assert repr(vnir)
        assert dir(vnir)
        assert vnir.__doc__ is None
        assert not hasattr(vnir, "getdoc"), "IPython asks for it"
        with prompt():
            assert time.monotonic() - began < 0.7


@pytest.mark.parametrize(
    "fail",
    [
        lambda vnir: vnir.frames("many"),
        lambda vnir: vnir.nothing,
        lambda vnir: setattr(vnir, "temperature", 3),
    ],
    ids=["call", "get", "set"],
)
def test_errors_come_without_our_own_frames(vnir: Any, fail: Callable[[Any], object]) -> None:
    with pytest.raises(errors.RocError) as caught:
        fail(vnir)
    files = {frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)}
    assert files == {__file__}
