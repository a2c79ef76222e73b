"""The broker's status tree: what it takes, what it passes on, what it tells."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runmacs.roc.core.news import NewsCore
from runmacs.roc.core.statuskeeper import StatusLimits
from runmacs.roc.core.statussources import SETTLE, SILENCE
from runmacs.roc.wire.statusmsg import Snapshot, parse_message, topic_of


class Desk:
    """A broker's news, spoken to in words."""

    def __init__(self, limits: StatusLimits | None = None, **parts: Any) -> None:
        self.core = NewsCore("b1", limits, **parts)
        self.now = 100.0
        self.status = self.core.status

    def say(self, topic: bytes, *frames: bytes) -> list[Any]:
        out: list[Any] = []
        self.core.on_publication([topic, *frames], self.now, out)
        self.core.check()
        return out

    def emit(self, path: str, data: Any, **head: Any) -> list[Any]:
        frames = [json.dumps(data).encode()]
        if head:
            frames.append(json.dumps(head).encode())
        return self.say(topic_of(path), *frames)

    def beacon(self, source: str, **more: Any) -> list[Any]:
        text = json.dumps({"source": source, "node": source.upper(), **more}).encode()
        return self.say(b"beacon." + source.encode() + b".=", text)[:-1]

    def subscribe(self, topic: bytes) -> list[Any]:
        out: list[Any] = []
        self.core.on_subscribed(topic, self.now, out)
        return out

    def snapshot(self, mask: str = "") -> Snapshot:
        (message,) = self.subscribe(f"snapshot.t.{mask}{'.' if mask else ''}=".encode())
        return parse_message(message[1], Snapshot)

    def values(self, mask: str = "") -> dict[str, Any]:
        return {path: form for path, form, *_ in self.snapshot(mask).leaves}

    def tick(self, seconds: float = 0.0) -> list[Any]:
        self.now += seconds
        out: list[Any] = []
        due = self.core.next_deadline()
        if due is not None and self.now >= due:
            self.core.tick(self.now, out)
        self.core.check()
        return out

    @property
    def counts(self) -> dict[str, int]:
        return {name: n for name, n in self.core.snapshot().items() if n and name != "leaves"}


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_an_update_is_kept_and_passed_on_as_it_came(desk: Desk) -> None:
    frames = [b"status.system.foo.=", b'{"cpu":0.3}']
    out: list[Any] = []
    desk.core.on_publication(frames, 1.0, out)
    assert out == [frames]
    assert out[0] is frames, "the driver need not encode it again"
    assert desk.values() == {"system.foo.cpu": 0.3}


def test_dictionaries_merge_and_all_else_replaces(desk: Desk) -> None:
    desk.emit("a", {"b": 1, "c": {"d": 2}})
    desk.emit("a", {"c": {"e": 3}, "f": [1, 2]})
    assert desk.values() == {"a.b": 1, "a.c.d": 2, "a.c.e": 3, "a.f": [1, 2]}
    desk.emit("a.f", [3])
    desk.emit("a.c", None)
    assert desk.values() == {"a.b": 1, "a.f": [3], "a.c": None}
    desk.emit("a.b.x", 1)
    assert desk.values("a.b") == {"a.b.x": 1}


def test_other_topics_are_not_touched(desk: Desk) -> None:
    for topic in (b"spectra.vnir", b"", b"status", b"log.09.vnir.="):
        assert desk.say(topic, b"\xff\x00") == [[topic, b"\xff\x00"]]


@pytest.mark.parametrize(
    "frames",
    [
        [b"status.a.="],
        [b"status.a", b"1"],
        [b"status.a..=", b"1"],
        [b"status.a*.=", b"1"],
        [b"status.\xff.=", b"1"],
        [b"status." + b"a." * 65 + b"=", b"1"],
        [b"status.a.=", b"{"],
        [b"status.a.=", b"1", b"{"],
        [b"status.a.=", b"1", b'{"n":"x"}'],
        [b"status.=", b"5"],
        [b"status.a.=", b'{"b*":1}'],
        [b"status.a.=", b"[" * 200 + b"]" * 200],
        [b"beacon.x.=", b"{}"],
        [b"beacon.x.="],
        [b"beacon.x.=", b'{"source":"a.b"}'],
    ],
)
def test_junk_is_dropped_and_counted(desk: Desk, frames: list[bytes]) -> None:
    out = desk.say(*frames)
    assert [message for message in out if not message[0].startswith(b"beacon.")] == []
    assert desk.counts == {"dropped_updates_malformed": 1}
    assert desk.values() == {}


@pytest.mark.parametrize(
    "frames",
    [
        [b"roc.objects.vnir.=", b"1"],
        [b"status.roc.x.=", b"1"],
        [b"status.=", b'{"roc":{"x":1}}'],
        [b"source.s.=", b"{}"],
        [b"beat.=", b"{}"],
        [b"snapshot.t.=", b"{}"],
    ],
)
def test_the_brokers_own_is_nobody_elses(desk: Desk, frames: list[bytes]) -> None:
    assert desk.say(*frames) == []
    assert desk.counts == {"dropped_updates_reserved": 1}


def test_the_limit_of_leaves(desk: Desk) -> None:
    desk = Desk(StatusLimits(leaves=2))
    desk.emit("a", {"b": 1, "c": 2})
    assert desk.emit("a", {"d": 3}) == []
    assert desk.emit("a", {"b": 5, "d": 3}) == [], "an update is taken as a whole, or not"
    assert desk.emit("a.b", 6) != []
    assert desk.values() == {"a.b": 6, "a.c": 2}
    assert desk.counts["dropped_updates_leaves_full"] == 2


def test_removing(desk: Desk) -> None:
    desk.emit("a", {"b": 1, "c": {"d": 2}})
    desk.emit("x", 1)
    assert len(desk.emit("a.c", None, removed=True)) == 1
    assert desk.values() == {"a.b": 1, "x": 1}
    assert desk.emit("a.c", None, removed=True) == [], "nothing is there to be removed"
    desk.emit("", None, removed=True)
    assert desk.values() == {}


# --- sources --------------------------------------------------------------------------------


def test_doubled_updates_are_dropped(desk: Desk) -> None:
    assert desk.emit("a", 1, source="s", n=1)
    assert desk.emit("a", 2, source="s", n=2)
    assert desk.emit("a", 1, source="s", n=1) == []
    assert desk.emit("a", 2, source="s", n=2) == []
    assert desk.values() == {"a": 2}
    assert desk.counts["dropped_updates_doubled"] == 2


def test_what_comes_again_is_taken_only_if_newer(desk: Desk) -> None:
    desk.emit("a", {"x": 1, "y": 1}, source="s", n=5)
    assert desk.emit("a.x", 1, source="s", n=5, again=True, age=3.0) == []
    assert desk.emit("a.x", 2, source="s", n=6, again=True, age=0.0)
    desk.now += 10.0
    desk.emit("a.y", 7)  # somebody else, now
    assert desk.emit("a.y", 2, source="s", n=9, again=True, age=3.0) == []
    assert desk.emit("a.z", 3, source="s", n=4, again=True, age=3.0), "nobody has set it"
    assert desk.values() == {"a.x": 2, "a.y": 7, "a.z": 3}
    ages = {path: age for path, _, _, age in desk.snapshot().leaves}
    assert ages == {"a.x": 10.0, "a.y": 0.0, "a.z": 3.0}


def test_a_removal_that_comes_again_spares_what_is_newer(desk: Desk) -> None:
    desk.emit("a", {"x": 1}, source="s", n=1)
    desk.emit("a", {"y": 1}, source="s", n=3)
    (message,) = desk.emit("a", None, source="s", n=2, again=True, removed=True)
    assert message[0] == b"status.a.x.="
    assert desk.values() == {"a.y": 1}


def test_a_silent_source_is_stale_and_lives_again(desk: Desk) -> None:
    desk.emit("a", 1, source="s", n=1)
    desk.emit("b", 1)
    desk.beacon("s", host="daq2", pid=7)
    assert desk.snapshot().sources["s"].shown == "S@daq2"
    for _ in range(4):
        assert desk.tick(0.6) == []
    (message,) = desk.tick(0.6)
    assert message[0] == b"source.s.="
    assert json.loads(message[1])["stale"] is True
    assert desk.snapshot().sources["s"].stale
    assert desk.values() == {"a": 1, "b": 1}
    (message,) = desk.beacon("s", host="daq2", pid=7)
    assert "stale" not in json.loads(message[1])
    assert desk.tick(0.6) == []


def test_a_goodbye_is_stale_at_once(desk: Desk) -> None:
    desk.emit("a", 1, source="s", n=1)
    desk.beacon("s")
    assert json.loads(desk.beacon("s", end=True)[0][1])["stale"] is True


def test_ones_own_standstill_is_not_the_others_silence(desk: Desk) -> None:
    desk.emit("a", 1, source="s", n=1)
    desk.now += 60.0
    desk.core.stood_still(60.0)
    assert desk.tick() == []
    assert desk.tick(SILENCE + 0.1) != []


def test_a_source_without_leaves_is_forgotten(desk: Desk) -> None:
    for number in range(100):
        desk.emit("a", number, source=f"s{number}", n=1)
        desk.beacon(f"s{number}", end=True)
    desk.tick(1.0)
    assert set(desk.status.sources.states()) == {"s99"}


# --- subscribers ----------------------------------------------------------------------------


def test_a_snapshot_of_a_mask(desk: Desk) -> None:
    desk.emit("", {"a": {"b": {"c": 1}, "bc": 2}, "x": 3}, source="s", n=1)
    desk.emit("a.b.c", {}, source="s", n=2, about={"unit": "K"})
    assert desk.values("a.b") == {"a.b.c": 1}
    assert desk.values("nothing.here") == {}
    assert desk.snapshot("a").about == {"a.b.c": {"unit": "K"}}
    for topic in (b"snapshot.", b"snapshot.t", b"snapshot.t.a*.=", b"snapshot.t.\xff.=", b""):
        assert desk.subscribe(topic) == []


def test_beats_count_what_matters_to_a_mask(desk: Desk) -> None:
    desk.subscribe(b"beat.a.b.=")
    desk.subscribe(b"beat.=")
    for path in ("a.b", "a.b.c", "a", "a.bc", "x"):
        desk.emit(path, {"z": 1})
    desk.emit("", {"q": 1})
    counts = {topic: json.loads(text)["count"] for topic, text in desk.tick(1.0)}
    assert counts == {b"beat.a.b.=": 4, b"beat.=": 6}
    desk.core.on_unsubscribed(b"beat.=", desk.now)
    assert [topic for topic, _ in desk.tick(1.0)] == [b"beat.a.b.="]


def test_a_description_is_passed_on_once(desk: Desk) -> None:
    assert desk.emit("a", {}, source="s", n=1, about={"unit": "K"})
    assert desk.emit("a", {}, source="s", n=1, again=True, about={"unit": "K"}) == []
    assert desk.emit("a", {}, source="s", n=2, about={"unit": "mK"})
    assert desk.emit("a", {}, source="s", n=3, about={"unit": "x" * 5000}) == []


# --- presence, and over a restart -----------------------------------------------------------


def test_presence() -> None:
    up: dict[str, Any] = {"vnir": {"state": "serving", "pid": 1}}
    desk = Desk(presence=up.get)
    desk.core.on_object("vnir")
    (message,) = desk.tick()
    assert message[0] == b"roc.objects.vnir.="
    assert json.loads(message[1]) == {"state": "serving", "pid": 1}
    desk.core.on_object("vnir")
    assert desk.tick() == [], "nothing has changed"
    del up["vnir"]
    desk.core.on_object("vnir")
    assert json.loads(desk.tick()[0][1]) == {"state": "absent"}
    assert desk.values("roc.objects")["roc.objects.vnir.state"] == "absent"
    assert desk.values() == {}, "the root does not contain it"


def test_ids_that_make_no_path() -> None:
    desk = Desk(presence=lambda name: {"state": "serving"})
    desk.core.on_object("a..b")
    assert desk.tick()[0][0] == b"roc.objects.a%2E%2Eb.="


def test_figures_are_told_while_somebody_watches() -> None:
    calls = iter(range(100))
    desk = Desk(figures=lambda: {"calls": next(calls)})
    assert desk.tick(5.0) == []
    desk.subscribe(b"beat.roc.broker.=")
    assert [topic for topic, _ in desk.tick()] == [b"roc.broker.="]
    assert desk.values("roc") == {"roc.broker.calls": 0}
    assert b"roc.broker.=" in [topic for topic, _ in desk.tick(1.0)]


def test_a_tree_survives(desk: Desk) -> None:
    desk.emit("a", {"b": 1}, source="s", n=3)
    desk.emit("c", [1])
    desk.emit("c", {}, about={"unit": "m"})
    desk.beacon("s", host="h")
    desk.now += 2.0
    later = Desk()
    later.now = 5000.0
    later.core.restore(desk.status.saved(desk.now), 60.0, later.now)
    later.core.check()
    assert later.subscribe(b"snapshot.t1.=") == [], "its source may know better"
    assert later.subscribe(b"snapshot.t2.=") == []
    later.core.on_unsubscribed(b"snapshot.t2.=", later.now)
    assert later.beacon("s", host="h") == []
    assert later.tick() == []
    assert later.emit("a.b", 1, source="s", n=3, again=True, age=62.0) == []
    later.beacon("s", host="h")
    (message,) = later.tick()
    assert message[0] == b"snapshot.t1.="
    assert later.values() == desk.values()
    assert later.snapshot().about == {"c": {"unit": "m"}}
    assert [leaf[3] for leaf in later.snapshot().leaves] == [62.0, 62.0]
    assert not later.snapshot().sources["s"].stale
    assert later.emit("a.b", 2, source="s", n=4)


def test_sources_that_do_not_return_are_not_waited_for_longer(desk: Desk) -> None:
    desk.emit("a", 1, source="s", n=1)
    later = Desk()
    later.core.restore(desk.status.saved(desk.now), 0.0, later.now)
    assert later.subscribe(b"snapshot.t1.=") == []
    assert later.tick(SETTLE - 0.1) == []
    assert [topic for topic, _ in later.tick(0.1)] == [b"snapshot.t1.="]
    later.tick(SILENCE)
    assert later.snapshot().sources["s"].stale


def test_it_is_saved_when_something_changed() -> None:
    saved: list[int] = []

    def save(tree: Any) -> float:
        saved.append(len(tree.leaves))
        return 7.0

    desk = Desk(save=save)
    desk.tick(100.0)
    assert saved == []
    desk.emit("a", 1)
    desk.tick()
    assert saved == [1]
    desk.emit("b", 1)
    desk.tick(6.0)
    assert saved == [1]
    desk.tick(1.1)
    assert saved == [1, 2]
    desk.tick(100.0)
    assert saved == [1, 2]
