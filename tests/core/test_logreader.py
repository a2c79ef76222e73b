"""core/logreader.py: every record once, and every loss told."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runmacs.roc.core.logkeeper import LogKeeper
from runmacs.roc.core.logreader import LogReaderCore
from runmacs.roc.wire.logentry import Entry, RecordWriter
from runmacs.roc.wire.logmsg import Beacon, Lost, Record, Source, encode_beacon

NOW = 100.0


class Node:
    """A source of records."""

    def __init__(self, name: str = "s1", node: str = "vnir") -> None:
        self.resource = Source(node, "daq2", 1, "", name)
        self.writer = RecordWriter(self.resource)
        self.last: dict[int, int] = {}

    def record(self, levelno: int = 20, created: float = 0.0) -> list[bytes]:
        n = self.last[levelno] = self.last.get(levelno, 0) + 1
        text = f"{self.resource.source}/{levelno}/{n}"
        entry = Entry(created, text, None, "a", levelno, "L", "p", 1, "f", 1, "t", "p")
        return self.writer.write(entry, n)

    def beacon(self, age: float = 0.0) -> list[bytes]:
        sent = {"09": self.last.get(20, 0), "13": self.last.get(30, 0)}
        about = self.resource
        return encode_beacon(Beacon(about.source, about.node, about.host, 1, sent=sent, age=age))


class Link:
    """A broker and a reader, and what is between them."""

    def __init__(self, **options: Any) -> None:
        self.now = NOW
        self.keeper = LogKeeper()
        self.core = LogReaderCore(**options)
        self.out: list[Any] = []
        self.broker = "b1"

    def up(self) -> Link:
        self.out.clear()
        self.core.link_up(self.now, self.out)
        return self

    def publish(self, frames: list[bytes], arrives: bool = True) -> None:
        if frames[0].startswith(b"log."):
            self.keeper.keep(frames, self.now)
        else:
            self.keeper.hear(frames, self.now)
        if arrives and self.hears(frames[0]):
            self.core.on_frames(frames, self.now, self.out)
            self.core.check()

    def hears(self, topic: bytes) -> bool:
        """Whether the reader has subscribed to this, for all that it has said."""
        heard: dict[bytes, int] = {}
        for (message,) in self.out:
            heard[message[1:]] = message[0]
        return any(on and topic.startswith(prefix) for prefix, on in heard.items())

    def page(self) -> bool:
        if self.core.next_deadline() is not None:
            self.core.tick(self.now, self.out)
        wanted = self.core.wanted()
        if wanted is None:
            return False
        what, asked = wanted
        if what == "log_sources":
            answer: Any = self.keeper.sources(self.now)
        else:
            nodes = asked["node"] or ()
            page = self.keeper.page(asked["after"], asked["n"], asked["level"], nodes)
            answer = {**page, "broker": self.broker}
        self.core.on_answer(answer, self.now)
        self.core.check()
        return True

    def read(self) -> list[str]:
        while self.page():
            pass
        found, self.core.found[:] = list(self.core.found), []
        return [
            item.message if isinstance(item, Record) else f"lost {item.first}-{item.last}"
            for item in found
        ]


def test_it_subscribes_to_what_it_wants() -> None:
    link = Link(least=17, nodes=["vnir"]).up()
    assert [b"\x01log.17.vnir.="] in link.out
    assert [b"\x01beacon."] in link.out
    assert link.hears(b"log.24.vnir.=")
    assert not link.hears(b"log.13.vnir.=")
    assert not any(frames[0].startswith(b"\x01log.09") for frames in link.out)


def test_first_what_is_kept_and_then_what_comes_without_doubles() -> None:
    link, node = Link(), Node()
    for _ in range(3):
        link.publish(node.record(), arrives=False)
    link.up()
    for _ in range(2):
        link.publish(node.record())  # kept, and in the stream
    assert link.core.found == []
    assert link.read() == [f"s1/20/{n}" for n in range(1, 6)]
    link.publish(node.record())
    assert link.read() == ["s1/20/6"]
    assert link.core.doubles == 2


def test_a_hole_that_the_broker_can_fill_is_no_loss() -> None:
    link, node = Link().up(), Node()
    link.publish(node.record())
    link.read()
    link.now += 5
    link.publish(node.record(), arrives=False)
    link.publish(node.record())
    assert link.read() == ["s1/20/2", "s1/20/3"]
    assert link.core.lost == 0


def test_who_has_holes_does_without_the_stream_until_it_is_up_to_date() -> None:
    link, node = Link().up(), Node()
    link.publish(node.record())
    link.read()
    for _ in range(3000):
        link.publish(node.record(), arrives=False)
    link.publish(node.record())
    assert link.core.state == "pulling"
    assert link.page()
    assert not link.hears(b"log.09.vnir.=")
    link.publish(node.record())
    while link.core.state == "pulling":
        assert link.page()
    link.publish(node.record())  # nobody hears it: it is in the pages
    assert link.page()
    assert link.hears(b"log.09.vnir.=")
    link.publish(node.record())
    assert link.read() == [f"s1/20/{n}" for n in range(2, 3006)]
    assert (link.core.state, link.core.lost) == ("live", 0)


def test_a_hole_that_stays_is_a_loss() -> None:
    link, node = Link().up(), Node()
    link.publish(node.record())
    link.read()
    link.now += 5
    for _ in range(3):
        node.record()
    link.publish(node.record())
    assert link.read() == ["lost 2-4", "s1/20/5"]
    assert link.core.lost == 3


def test_a_loss_at_the_end_is_told_by_the_beacon() -> None:
    link, node = Link().up(), Node()
    link.publish(node.record())
    link.read()
    link.now += 5
    node.record()
    node.record()
    link.publish(node.beacon())
    assert link.read() == ["lost 2-3"]
    link.publish(node.beacon())
    assert link.read() == []


def test_the_end_is_looked_for_among_the_kept_ones_too() -> None:
    link, node = Link().up(), Node()
    link.publish(node.record())
    link.read()
    link.now += 5
    link.publish(node.record(), arrives=False)
    link.publish(node.beacon())
    assert link.read() == ["s1/20/2"]


def test_a_loss_at_the_end_of_a_source_that_is_gone_is_told() -> None:
    first, node = Link().up(), Node()
    first.publish(node.beacon())
    first.publish(node.record())
    first.read()
    first.core.link_down(first.now)
    first.keeper = LogKeeper(records=2)
    for _ in range(4):
        first.publish(node.record(), arrives=False)
    first.publish(node.beacon(), arrives=False)
    for _ in range(2):
        first.publish(Node("s2").record(), arrives=False)
    first.now += 1
    first.up()
    assert sorted(first.read()) == ["lost 2-5", "s2/20/1"]


def test_of_an_old_source_nothing_is_missed_that_came_before() -> None:
    link, node = Link().up(), Node()
    for _ in range(50):
        node.record()
    link.publish(node.beacon(age=1000.0))
    link.publish(node.record())
    assert link.read() == ["s1/20/51"]


def test_of_a_young_source_the_first_ones_are_missed() -> None:
    link, node = Link().up(), Node()
    link.read()
    link.now += 10
    node.record()
    node.record()
    link.publish(node.beacon(age=1.0))
    link.publish(node.record())
    assert link.read() == ["lost 1-2", "s1/20/3"]


def test_a_broker_that_was_restarted_is_read_from_its_beginning() -> None:
    link, node = Link().up(), Node()
    for _ in range(5):
        link.publish(node.record())
    assert len(link.read()) == 5
    link.core.link_down(link.now)
    link.keeper, link.broker = LogKeeper(), "b2"
    link.publish(node.record(), arrives=False)
    link.up()
    link.publish(node.record())
    assert link.read() == ["s1/20/6", "s1/20/7"]


def test_the_newest_only_or_none() -> None:
    for history, expected in ((2, ["s1/20/4", "s1/20/5"]), (0, [])):
        link, node = Link(history=history), Node()
        for _ in range(5):
            link.publish(node.record(), arrives=False)
        link.up()
        link.publish(node.beacon(age=9.0))
        assert link.read() == expected
        link.publish(node.record())
        assert link.read() == ["s1/20/6"]


def test_a_history_of_many_pages_is_read_page_by_page() -> None:
    link, node = Link(history=6000), Node()
    for _ in range(7000):
        link.publish(node.record(), arrives=False)
    link.up()
    assert link.page()  # the sources
    assert link.page()
    for _ in range(3):
        link.publish(node.record())  # while it reads what is kept
    assert link.read() == [f"s1/20/{n}" for n in range(1001, 7004)]
    assert link.core.lost == 0


def test_what_the_history_leaves_out_is_not_lost() -> None:
    link, node = Link(history=4), Node()
    for levelno in (20, 20, 30, 30, 30, 20, 20, 20, 30):
        link.publish(node.record(levelno), arrives=False)
    link.up()
    assert link.read() == ["s1/20/3", "s1/20/4", "s1/20/5", "s1/30/4"]
    link.publish(node.beacon(age=9.0))
    link.publish(node.record(30))
    assert link.read() == ["s1/30/5"]
    assert link.core.lost == 0


def test_nor_of_a_source_that_began_just_now() -> None:
    link, node = Link(history=1, since="1970"), Node()
    link.up()
    link.publish(node.beacon())
    for levelno in (30, 20, 20):
        link.publish(node.record(levelno))
    link.publish(node.beacon())
    assert link.read() == ["s1/20/2", "s1/30/1"]
    link.publish(node.record(30), arrives=False)
    link.publish(node.record(30))
    assert link.read() == ["s1/30/2", "s1/30/3"]
    assert link.core.lost == 0


def test_what_an_earlier_reader_has_read_is_not_read_again() -> None:
    first, node = Link().up(), Node()
    for _ in range(5):
        first.publish(node.record())
    read = len(first.read())
    second = Link(since="1969", age=60.0)
    second.keeper = first.keeper
    for resource, numbers in first.core.numbers():
        for severity, last in numbers.items():
            second.core.resume_numbers(resource, severity, last)
    second.publish(node.record(), arrives=False)
    second.up()
    assert second.read() == [f"s1/20/{read + 1}"]


def test_a_source_that_began_while_nobody_read_is_read_from_its_first_record_on() -> None:
    link, node = Link(since="1970-01-01T00:00:05.000000Z", age=60.0), Node()
    for _ in range(3):
        node.record(created=10.0)
    link.publish(node.record(created=10.0), arrives=False)
    link.up()
    assert link.read() == ["lost 1-3", "s1/20/4"]


def test_a_reader_that_reads_more_than_before_misses_nothing_of_that() -> None:
    link, node = Link(since="1969", age=60.0), Node()
    link.core.resume_numbers(node.resource, 13, 7)
    link.core.widen()
    for _ in range(30):
        node.record()
    link.publish(node.record(), arrives=False)
    link.up()
    assert link.read() == ["s1/20/31"]


def test_records_without_numbers_are_not_doubled_either() -> None:
    link = Link().up()
    frames = [b"log.09.c.=", b'{"SeverityNumber":9,"Resource":{"node":"c"},"Body":"a"}']
    link.publish(frames)
    assert link.read() == ["a"]
    link.publish([frames[0], frames[1].replace(b'"a"', b'"b"')])
    assert link.read() == ["b"]


def test_junk_is_counted() -> None:
    link = Link().up()
    link.read()
    for junk in ([], [b"log.09.x.="], [b"log.09.x.=", b"{}"], [b"beacon.", b"x"], [b"", b"", b""]):
        link.core.on_frames(junk, NOW, [])
    assert link.core.malformed == 5
    junk_pages: list[Any] = [
        None,
        {},
        {"records": 3, "after": 1, "more": 0},
        [],
        {"records": [1], "after": 9},
    ]
    for page in junk_pages:
        link.up()
        link.core.on_answer(page, NOW)
        link.core.on_answer(page, NOW)
        link.core.check()
    assert link.read() == []


def test_without_pages_the_stream_is_enough() -> None:
    link, node = Link().up(), Node()
    link.publish(node.record())
    link.core.on_no_answer(NOW)
    assert link.read() == ["s1/20/1"]


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_written_and_lost_are_what_was_made_whatever_happens(seed: int) -> None:
    dice = random.Random(seed)
    link = Link(history=dice.choice([None, None, 0])).up()
    link.keeper = LogKeeper(records=dice.choice([5, 20, 1000]))
    nodes = [Node(f"s{at}") for at in range(3)]
    read: list[Any] = []
    for node in nodes:
        link.publish(node.beacon())
    for _ in range(300):
        link.now += dice.choice([0.0, 0.01, 0.7])
        what = dice.random()
        node = dice.choice(nodes)
        if what < 0.6:
            link.publish(node.record(dice.choice([20, 30])), arrives=dice.random() < 0.9)
        elif what < 0.8:
            link.publish(node.beacon())
        elif what < 0.9:
            link.page()
        elif what < 0.95:
            link.core.link_down(link.now)
            if dice.random() < 0.5:
                link.keeper, link.broker = LogKeeper(), f"b{link.now}"
            link.up()
        else:
            link.page()
            read += link.core.found
            link.core.found.clear()
    for at in range(3):
        link.now += 5
        while link.page():
            pass
        for node in nodes:
            link.publish(node.beacon())
        assert at == 0 or link.page() in (True, False)
    while link.page():
        pass
    read += link.core.found
    made = sum(sum(node.last.values()) for node in nodes)
    records = [item for item in read if isinstance(item, Record)]
    lost = sum(item.count for item in read if isinstance(item, Lost))
    keys = [(record.resource.source, record.severity, record.n) for record in records]
    assert len(set(keys)) == len(keys)
    assert len(records) + lost == made
