"""Objects that methods return: which are kept, for how long, and under what name."""

from __future__ import annotations

import asyncio
import collections
import threading

import pytest

from runmacs.roc.core.kept import MOST, Kept
from runmacs.roc.core.kinds import MISSING
from runmacs.roc.core.selection import Selection
from runmacs.roc.core.sharing import MemberRefused, SharedObject
from runmacs.roc.wire.values import Member, Resident


class Axis:
    """One axis."""

    def __init__(self, name: str = "x") -> None:
        self.name = name
        self.inner = collections.deque([1, 2])

    def move(self, by: float) -> float:
        return by


class Stage:
    def __init__(self) -> None:
        self.x = Axis()


async def coroutine() -> None: ...


@pytest.fixture
def stage() -> SharedObject:
    return SharedObject(Stage(), "stage", kept=Kept("9f"))


def path_of(shared: SharedObject, result: object) -> str:
    stands_in = shared.stand_in(result, "axis()")
    assert isinstance(stands_in, Resident)
    return stands_in.path


def test_a_result_is_used_by_its_path(stage: SharedObject) -> None:
    axis = Axis()
    path = path_of(stage, axis)
    assert path == "axis()#1-9f"
    assert stage.get(f"{path}.name") == "x"
    assert stage.bind(f"{path}.move", [2.0], {})() == 2.0
    stage.set(f"{path}.name", "y")
    assert axis.name == "y"
    assert stage.special(f"{path}.inner", "len", [], {})() == 2
    assert stage.get(f"{path}.inner") == stage.get(path) == Member("object")
    assert [method["name"] for method in stage.describe(path)["methods"]] == ["move"]


@pytest.mark.parametrize("name", ["_private", "__class__", "no.such", "inner._x", ""])
def test_only_its_public_members(stage: SharedObject, name: str) -> None:
    path = path_of(stage, Axis())
    with pytest.raises(MemberRefused):
        stage.get(f"{path}.{name}")


def test_it_is_neither_called_nor_set_itself(stage: SharedObject) -> None:
    path = path_of(stage, Axis())
    with pytest.raises(MemberRefused):
        stage.bind(path, [], {})
    with pytest.raises(MemberRefused):
        stage.special(path, "call", [], {})
    with pytest.raises(MemberRefused):
        stage.set(path, 3)


def test_the_shared_object_itself_needs_no_keeping(stage: SharedObject) -> None:
    assert stage.stand_in(stage.instance, "me()") == Resident("")


def test_objects_in_lists_and_dicts(stage: SharedObject) -> None:
    one, two = Axis(), Axis()
    result = {"axes": [one, (two, 3)], "more": {1: one}.values()}
    first, second = Resident("a#1-9f"), Resident("a#2-9f")
    assert stage.stand_in(result, "a") == {"axes": [first, [second, 3]], "more": [first]}


@pytest.mark.parametrize(
    "result",
    [
        len,
        Axis,
        asyncio,
        lambda: None,
        iter([1]),
        (number for number in range(3)),
        [Axis() for _ in range(MOST + 1)],
    ],
)
def test_what_is_not_kept(stage: SharedObject, result: object) -> None:
    assert stage.stand_in(result, "a") in (result, [result])


def test_what_is_to_be_awaited_is_not_kept(stage: SharedObject) -> None:
    made = coroutine()
    assert stage.stand_in(made, "a") is made
    made.close()


def test_the_last_used_are_kept_and_each_once() -> None:
    kept = Kept("9f")
    axes = [Axis() for _ in range(MOST)]
    paths = [kept.keep(axis, "a") for axis in axes]
    assert [kept.keep(axis, "b") for axis in axes] == paths
    assert paths[0] is not None
    assert kept.find(paths[0]) is axes[0]
    assert kept.keep(Axis(), "a") == f"a#{MOST + 1}-9f"
    assert kept.find(paths[0]) is axes[0], "it was used"
    assert kept.find(str(paths[1])) is MISSING
    assert kept.find(str(paths[2])) is axes[2]


def test_one_that_is_gone_is_told_from_one_that_never_was(stage: SharedObject) -> None:
    for path in ("axis()#1-00", "axis()#7-9f", "#", "a#b#c"):
        with pytest.raises(MemberRefused, match=r"is not there any longer: .* ask for it anew"):
            stage.get(f"{path}.name")


def test_who_is_given_no_place_keeps_nothing() -> None:
    shared = SharedObject(Stage(), "stage", Selection(expose="x"), kept=None)
    axis = Axis()
    assert shared.stand_in(axis, "a") is axis
    assert shared.stand_in([shared.instance], "a") == [Resident("")]
    with pytest.raises(MemberRefused, match="is not an identifier"):
        shared.get("a#1-9f.name")


def test_many_threads_may_look(stage: SharedObject) -> None:
    """A description is asked for in another thread than the one that keeps."""
    path = path_of(stage, Axis())
    failed: list[BaseException] = []

    def look() -> None:
        try:
            for _ in range(300):
                stage.describe(path)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(1000):
        stage.stand_in(Axis(str(number)), "a")
        stage.get(f"{path}.name")
    for thread in threads:
        thread.join()
    assert failed == []
