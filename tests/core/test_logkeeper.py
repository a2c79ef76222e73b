"""core/logkeeper.py: the newest records, in pages."""

from __future__ import annotations

import gc
from typing import Any

from runmacs.roc.core.logkeeper import PAGE_BYTES, LogKeeper
from runmacs.roc.wire.logentry import Entry, RecordWriter
from runmacs.roc.wire.logmsg import Beacon, Source, encode_beacon, parse_record


def frames(at: int, node: str = "vnir", levelno: int = 20, size: int = 0) -> list[bytes]:
    entry = Entry(0.0, f"{at}" + "x" * size, None, "a", levelno, "L", "p", 1, "f", 1, "t", "p")
    return RecordWriter(Source(node, "daq2", 1, "", "s")).write(entry, at)


def kept(count: int, **more: Any) -> LogKeeper:
    keeper = LogKeeper(**more)
    for at in range(1, count + 1):
        keeper.keep(frames(at), 0.0)
    keeper.check()
    return keeper


def texts(page: dict[str, Any]) -> list[str]:
    return [parse_record(text.encode()).message for text in page["records"]]


def test_the_newest_are_kept() -> None:
    keeper = kept(25, records=10)
    assert texts(keeper.page(None, 100)) == [str(at) for at in range(16, 26)]
    assert texts(keeper.page(None, 3)) == ["23", "24", "25"]
    assert keeper.snapshot()["kept"] == 10


def test_they_are_bounded_in_bytes() -> None:
    keeper = kept(25, most=2000)
    assert keeper.snapshot()["bytes"] <= 2000
    assert texts(keeper.page(None, 100))[-1] == "25"


def test_pages_lead_through_all_of_them() -> None:
    keeper = kept(25, records=20)
    found, after, more = [], 0, True
    while more:
        page = keeper.page(after, 7)
        found += texts(page)
        after, more = page["after"], page["more"]
    assert found == [str(at) for at in range(6, 26)]
    keeper.keep(frames(26), 0.0)
    page = keeper.page(after, 7)
    assert (texts(page), page["more"], page["after"]) == (["26"], False, 26)
    assert texts(keeper.page(1000, 7)) == []


def test_a_page_may_begin_so_many_before_the_newest() -> None:
    keeper = kept(25, records=20)
    page = keeper.page(-8, 3)
    assert (texts(page), page["after"], page["more"]) == (["18", "19", "20"], 20, True)
    assert texts(keeper.page(-100, 2)) == ["6", "7"]
    keeper.keep(frames(26, "swir", 40), 0.0)
    keeper.keep(frames(27), 0.0)
    assert texts(keeper.page(-2, 9, nodes=["vnir"])) == ["25", "27"]
    assert texts(keeper.page(-1, 9, least=17)) == ["26"]
    assert texts(keeper.page(-9, 9, least=17)) == ["26"]


def test_a_page_has_a_limit_in_bytes() -> None:
    keeper = LogKeeper()
    for at in range(10):
        keeper.keep(frames(at, size=PAGE_BYTES // 4), 0.0)
    page = keeper.page(0, 100)
    assert 4 <= len(page["records"]) <= 5
    assert page["more"]
    assert len(keeper.page(None, 100)["records"]) <= 5


def test_pages_of_a_level_and_of_nodes() -> None:
    keeper = LogKeeper()
    for at, (node, levelno) in enumerate([("vnir", 10), ("swir", 30), ("a.b", 40), ("vnir", 50)]):
        keeper.keep(frames(at, node, levelno), 0.0)
    assert texts(keeper.page(0, 9, least=13)) == ["1", "2", "3"]
    assert texts(keeper.page(0, 9, nodes=["vnir"])) == ["0", "3"]
    assert texts(keeper.page(None, 1, nodes=["a.b", "swir"])) == ["2"]
    page = keeper.page(0, 1, nodes=["vnir"])
    assert (texts(page), page["after"], page["more"]) == (["0"], 1, True)


def test_the_last_beacon_of_each_source() -> None:
    keeper = LogKeeper()
    for source, n in (("a", 1), ("b", 2), ("a", 3)):
        keeper.hear(encode_beacon(Beacon(source, "vnir", sent={"09": n}, age=5.0)), float(n))
    keeper.hear(encode_beacon(Beacon("c", kind="status")), 0.0)
    keeper.hear([b"beacon.x.=", b"junk"], 0.0)
    found = [(one["source"], one["sent"], one["ago"]) for one in keeper.sources(10.0)]
    assert found == [("b", {"09": 2}, 8.0), ("a", {"09": 3}, 7.0)]
    assert keeper.dropped_malformed == 0  # whoever keeps the status counts it


def test_what_is_no_record_is_not_kept_or_not_shown() -> None:
    keeper = LogKeeper()
    for junk in ([b"log.09.x.="], [b"log.99.x.=", b"{}"], [b"log.x", b"{}"], [b"log.09.x.=", b"1"]):
        keeper.keep(junk, 0.0)
    assert keeper.dropped_malformed == 4
    keeper.keep([b"log.09.x.=", b"{\xff"], 0.0)
    keeper.keep(frames(1), 0.0)
    page = keeper.page(0, 10)
    assert texts(page) == ["1"]
    assert page["after"] == 2
    keeper.check()


def test_keeping_makes_nothing_that_the_garbage_collector_must_look_at() -> None:
    keeper = kept(1, records=500)
    messages = [frames(at) for at in range(2, 1000)]
    gc.collect()
    before = len(gc.get_objects())
    for message in messages:
        keeper.keep(message, 0.0)
    assert len(gc.get_objects()) - before < 10
    assert keeper.kept == 500
