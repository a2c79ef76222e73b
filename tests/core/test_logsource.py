"""core/logsource.py: numbering, the bounded queue, beacons, and what is told of drops."""

from __future__ import annotations

import threading

import pytest

from runmacs.roc.core.logsource import LogSource
from runmacs.roc.wire.logentry import Entry
from runmacs.roc.wire.logmsg import Beacon, Record, Source, parse_beacon, parse_record

clock = 0.0


@pytest.fixture(autouse=True)
def _from_the_beginning() -> None:
    global clock
    clock = 0.0


def make(records: int = 10, most: int = 100_000) -> LogSource:
    resource = Source("vnir", "daq2", 1, "Main", "s1")
    return LogSource(resource, threading.RLock(), lambda: 0.0, records, most)


def entry(text: str = "x", levelno: int = 20) -> Entry:
    return Entry(0.0, text, None, "a", levelno, "INFO", "p", 1, "f", 1, "t", "p")


def taken(source: LogSource, now: float | None = None, room: int = 10**6) -> list[Record | Beacon]:
    global clock
    source.check()
    clock = now = clock + 0.011 if now is None else now
    found: list[Record | Beacon] = []
    for topic, text in source.take(now, room):
        found.append(parse_beacon(text) if topic.startswith(b"beacon.") else parse_record(text))
    source.check()
    return found


def records(found: list[Record | Beacon]) -> list[tuple[int, int]]:
    return [(record.severity, record.n) for record in found if isinstance(record, Record)]


def beacons(found: list[Record | Beacon]) -> list[Beacon]:
    return [beacon for beacon in found if isinstance(beacon, Beacon)]


def test_nothing_is_taken_before_the_link_stands() -> None:
    source = make()
    source.put(entry())
    assert taken(source) == []
    assert source.next_deadline() is None
    source.link_up(1.0)
    found = taken(source, 1.0)
    assert isinstance(found[0], Beacon)
    assert records(found) == [(9, 1)]


def test_each_severity_is_numbered_by_itself() -> None:
    source = make()
    source.link_up(0.0)
    for levelno in (20, 30, 20, 20, 30):
        source.put(entry(levelno=levelno))
    assert records(taken(source)) == [(9, 1), (13, 1), (9, 2), (9, 3), (13, 2)]


def test_what_is_dropped_leaves_a_hole_and_is_reported() -> None:
    source = make(records=3)
    for at in range(10):
        source.put(entry(str(at)))
    source.link_up(0.0)
    found = taken(source)
    assert records(found) == [(9, 1), (9, 2), (9, 3)]
    (report,) = (found for found in taken(source) if isinstance(found, Record))
    assert report.message == "7 records were dropped here, as too many waited to be sent"
    assert report.attributes["roc.dropped"] == 7
    assert (report.severity, report.n) == (13, 1)
    source.put(entry())
    assert records(taken(source)) == [(9, 11)]
    assert source.snapshot()["dropped"] == 7


def test_the_queue_is_bounded_in_bytes_as_well() -> None:
    source = make(most=2000)
    source.put(entry("x" * 1700))
    assert source.dropped == 1
    source.put(entry(), more=1500)
    source.put(entry())
    assert source.dropped == 2


def test_beacons_say_what_has_been_sent() -> None:
    source = make()
    source.link_up(5.0)
    source.put(entry())
    source.put(entry(levelno=40))
    assert [beacon.sent for beacon in beacons(taken(source, 5.0))] == [{}]
    (beacon,) = beacons(taken(source, 5.5))
    assert beacon.sent == {"09": 1, "17": 1}
    assert (beacon.source, beacon.node, beacon.host, beacon.age) == ("s1", "vnir", "daq2", 0.5)
    assert source.next_deadline() == 6.5
    assert taken(source, 6.4) == []
    (beacon,) = beacons(taken(source, 6.5))
    assert beacon.age == 1.5


def test_a_beacon_counts_nothing_that_still_waits() -> None:
    source = make(records=3)
    source.link_up(0.0)
    for _ in range(5):
        source.put(entry())
    taken(source, 0.0, room=1)
    (beacon,) = beacons(taken(source, 1.0, room=1))
    assert beacon.sent == {"09": 1}
    taken(source, 1.01)
    (beacon,) = beacons(taken(source, 1.1))  # with the report
    assert beacon.sent == {"09": 5, "13": 1}


def test_the_first_goes_at_once_and_those_that_follow_are_gathered() -> None:
    source = make(records=1000, most=10**6)
    source.link_up(1.0)
    assert source.put(entry())
    assert not source.put(entry())
    assert len(records(taken(source, 1.0))) == 2
    assert source.put(entry())
    assert taken(source, 1.002) == []
    assert source.next_deadline() == 1.01
    assert not source.put(entry())
    assert len(records(taken(source, 1.01))) == 2
    assert source.put(entry())
    woken = [source.put(entry("x" * 1000)) for _ in range(40)]
    assert sum(woken) == 1
    assert len(records(taken(source, 1.012))) == 41


def test_it_is_empty_when_its_beacon_has_told_of_all() -> None:
    source = make()
    source.link_up(0.0)
    taken(source)
    source.put(entry())
    assert records(taken(source, 0.02)) == [(9, 1)]
    assert not source.empty()
    assert source.next_deadline() == pytest.approx(0.061)
    (beacon,) = beacons(taken(source, 0.07))
    assert beacon.sent == {"09": 1}
    assert source.empty()
    assert source.next_deadline() == pytest.approx(1.07)


def test_what_cannot_be_written_is_still_a_record() -> None:
    source = make()
    source.link_up(0.0)
    source.put(entry()._replace(created=float("nan")))
    source.put(entry()._replace(logger=object()))  # type: ignore[arg-type]
    source.put(entry())
    assert records(taken(source)) == [(9, 1), (9, 2), (9, 3)]


def test_a_child_is_a_new_source() -> None:
    source = make()
    source.put(entry())
    source.begin(Source("vnir", "daq2", 2, "Child", "s2"), threading.RLock())
    assert source.empty()
    source.link_up(0.0)
    source.put(entry())
    found = taken(source)
    assert records(found) == [(9, 1)]
    assert isinstance(found[1], Record)
    assert found[1].resource.source == "s2"


def test_the_room_is_kept_to() -> None:
    source = make(records=100)
    source.link_up(0.0)
    for _ in range(100):
        source.put(entry("x" * 100))
    assert 5 <= len(records(taken(source, room=3000))) <= 10
