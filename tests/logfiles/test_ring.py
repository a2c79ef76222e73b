"""logfiles/ring.py: the newest lines, and an exact count of the others."""

from __future__ import annotations

from runmacs.roc.logfiles.ring import Ring
from runmacs.roc.wire.logentry import Entry, RecordWriter
from runmacs.roc.wire.logmsg import Lost, Record, Source, encode_own, parse_record

VNIR = Source("vnir", "daq2", 1, "", "s1")
WRITER = RecordWriter(VNIR)


def line(n: int, levelno: int = 20) -> tuple[bytes, Record]:
    entry = Entry(0.0, str(n), None, "a", levelno, "L")
    record = parse_record(WRITER.write(entry, n)[1])
    return record.raw + b"\n", record


def report(lost: Lost) -> tuple[bytes, Record]:
    record = parse_record(encode_own(0.0, 13, "", Source("logdump"), lost.attributes()))
    return record.raw + b"\n", record


def test_the_newest_stay_and_the_others_are_counted() -> None:
    ring = Ring(lines=3)
    ring.push([line(n) for n in range(1, 8)])
    ring.push([line(n, 30) for n in range(1, 3)])
    assert [record.message for _, record in ring.take_lines()] == ["7", "1", "2"]
    losses, unnumbered = ring.take_losses()
    assert [(lost.severity, lost.first, lost.last) for lost in losses] == [(9, 1, 6)]
    assert unnumbered == 0
    assert ring.take_losses() == ([], 0)


def test_a_report_that_goes_is_counted_with_what_it_reported() -> None:
    ring = Ring(lines=1)
    ring.push([line(1), report(Lost(VNIR, 9, 2, 5)), line(6), line(7)])
    (lost,) = ring.take_losses()[0]
    assert (lost.first, lost.last, lost.count) == (1, 6, 6)


def test_it_is_bounded_in_bytes() -> None:
    ring = Ring(most=1000)
    ring.push([line(n) for n in range(1, 20)])
    assert sum(len(text) for text, _ in ring.take_lines()) <= 1000


def test_records_without_a_number_are_counted_too() -> None:
    ring = Ring(lines=1)
    record = parse_record(b'{"SeverityNumber":9,"Resource":{"node":"c"}}')
    ring.push([(record.raw, record)] * 3)
    assert ring.take_losses() == ([], 2)
