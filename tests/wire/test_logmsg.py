"""wire/logmsg.py, logentry.py, logvalues.py and logtext.py: log records as bytes and as text."""

from __future__ import annotations

import json
from contextlib import suppress
from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runmacs.roc.errors import ConfigError, RocError
from runmacs.roc.wire.logentry import Entry, RecordWriter
from runmacs.roc.wire.logmsg import (
    Beacon,
    Lost,
    Source,
    encode_beacon,
    encode_own,
    escape_component,
    lost_in,
    parse_beacon,
    parse_level,
    parse_record,
    prefixes,
    severity_of,
    timestamp,
    topic_of,
)
from runmacs.roc.wire.logtext import as_text, escape_json, safe_text
from runmacs.roc.wire.logvalues import encode_attributes

VNIR = Source("vnir", "daq2", 4711, "MainProcess", "a1b2")
FINITE = st.floats(allow_nan=False, allow_infinity=False)
HOSTILE = "\x1b[31mred\x00\n</script>\u202eevil\u2066\x9b\ud800\x7f"


def entry(message: str = "gain is 3", **more: object) -> Entry:
    facts: dict[str, object] = {
        "created": 1_795_600_800.123456,
        "message": message,
        "template": "gain is %d",
        "logger": "camera.driver",
        "levelno": 20,
        "level": "INFO",
        "path": "/lab/camera.py",
        "line": 33,
        "function": "expose",
        "thread": 140,
        "thread_name": "MainThread",
        "process_name": "MainProcess",
    }
    return Entry(**{**facts, **more})  # type: ignore[arg-type]


def test_a_record_has_the_fields_of_the_open_telemetry_data_model() -> None:
    topic, text = RecordWriter(VNIR).write(
        entry(
            call="9f3c.17",
            extra=(("gain", b"3"),),
            exception=("ValueError", "bad", "Traceback: bad"),
            stack="Stack",
            task="Task-1",
        ),
        12,
    )
    assert topic == b"log.09.vnir.="
    assert json.loads(text) == {
        "Timestamp": "2026-11-25T10:00:00.123456Z",
        "SeverityNumber": 9,
        "SeverityText": "INFO",
        "Body": "gain is 3",
        "n": 12,
        "InstrumentationScope": {"Name": "camera.driver"},
        "Resource": {
            "node": "vnir",
            "host": "daq2",
            "source": "a1b2",
            "pid": 4711,
            "process.name": "MainProcess",
        },
        "Attributes": {
            "code.file.path": "/lab/camera.py",
            "code.line.number": 33,
            "code.function.name": "expose",
            "thread.id": 140,
            "thread.name": "MainThread",
            "log.template": "gain is %d",
            "roc.call": "9f3c.17",
            "task.name": "Task-1",
            "exception.type": "ValueError",
            "exception.message": "bad",
            "exception.stacktrace": "Traceback: bad",
            "code.stacktrace": "Stack",
            "gain": 3,
        },
    }


def test_a_record_is_read_back() -> None:
    topic, text = RecordWriter(VNIR).write(entry(), 12)
    record = parse_record(text, topic)
    assert (record.n, record.severity, record.level) == (12, 9, "INFO")
    assert (record.node, record.host, record.logger) == ("vnir", "daq2", "camera.driver")
    assert record.message == "gain is 3"
    assert record.raw == text
    assert record.resource == VNIR


@pytest.mark.parametrize("field", ["message", "logger", "path", "level", "function", "thread_name"])
def test_hostile_text_survives_as_data(field: str) -> None:
    topic, text = RecordWriter(VNIR).write(entry(**{field: HOSTILE}), 1)
    assert b"\n" not in text
    assert b"\x1b" not in text
    record = parse_record(text, topic)
    if field == "message":
        assert record.message == HOSTILE.replace("\ud800", "\\ud800")


def test_a_hostile_node_is_one_component() -> None:
    node = f"../a.b={HOSTILE}"
    topic, text = RecordWriter(Source(node, "h", 1, "", "s")).write(entry(), 1)
    assert topic.count(b".") == 3
    assert b"/" not in topic
    assert parse_record(text).node == node.replace("\ud800", "\\ud800")


def test_what_was_added_cannot_pass_for_our_own_attributes() -> None:
    _, text = RecordWriter(VNIR).write(entry(extra=(("thread.id", b"7"),)), 1)
    attributes = parse_record(text).attributes
    assert attributes["thread.id"] == 140
    assert attributes["extra.thread.id"] == 7


@given(st.binary(max_size=200), st.none() | st.binary(max_size=20))
def test_any_bytes_give_a_record_or_one_error(text: bytes, topic: bytes | None) -> None:
    for parse in (lambda: parse_record(text, topic), lambda: parse_beacon(text)):
        with suppress(RocError):
            parse()


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=10,
    )
)
def test_any_json_gives_a_record_or_one_error(value: object) -> None:
    about = {"SeverityNumber": 9, "Resource": {"node": "x"}, "Body": value, "Attributes": value}
    record = parse_record(json.dumps(about).encode())
    assert isinstance(record.message, str)
    assert isinstance(record.attributes, dict)
    assert isinstance(as_text(record), str)
    with suppress(RocError):
        parse_record(json.dumps(value).encode())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"SeverityNumber":0,"Resource":{"node":"vnir"}}',
        b'{"SeverityNumber":25,"Resource":{"node":"vnir"}}',
        b'{"SeverityNumber":9,"Resource":{"node":"vnir"},"n":-1}',
        b'{"SeverityNumber":9,"Resource":{"node":3}}',
        b'{"SeverityNumber":9,"Resource":{"node":"vnir"},"Body":"\xff"}',
        b'{"SeverityNumber":9,"Resource":{"node":"vnir"},"Attributes":{"a":"\\ud800"}}',
        b'{"SeverityNumber":13,"Resource":{"node":"vnir"}}',
        b'{"SeverityNumber":9,"Resource":{"node":"swir"}}',
    ],
)
def test_what_is_no_record_under_its_topic_is_refused(text: bytes) -> None:
    with pytest.raises(RocError):
        parse_record(text, b"log.09.vnir.=")


def test_a_record_of_several_lines_becomes_one() -> None:
    text = b'{"SeverityNumber": 9,\n "Resource":\r\n {"node": "x"}, "Body": "a\\nb"}'
    record = parse_record(text)
    assert b"\n" not in record.raw
    assert record.message == "a\nb"
    assert json.loads(record.raw) == json.loads(text)


def test_numbers_beyond_ours_are_no_reason_to_lose_a_record() -> None:
    record = parse_record(b'{"SeverityNumber":9,"Resource":{"node":"x"},"Body":1e999}')
    assert record.message == "1e999"
    assert record.as_dict()["Body"] == float("inf")


def test_severities_of_python_levels() -> None:
    assert [severity_of(level) for level in (10, 20, 30, 40, 50)] == [5, 9, 13, 17, 21]
    assert [severity_of(level) for level in (-5, 0, 1, 5, 9, 15, 25, 49, 60, 10**6)] == [
        *(1, 1, 1, 3, 4, 7, 11, 20, 24, 24)
    ]


def test_levels_by_name_and_number() -> None:
    assert [parse_level(level) for level in (None, "info", "WARN", "9", 17)] == [1, 9, 13, 9, 17]
    for level in ("loud", 0, 25, "-3"):
        with pytest.raises(ConfigError, match="is no level"):
            parse_level(level)


def test_prefixes_select_levels_and_nodes() -> None:
    def matches(topic: bytes, least: int = 1, nodes: tuple[str, ...] = ()) -> bool:
        return any(topic.startswith(prefix) for prefix in prefixes(least, nodes))

    topic = topic_of(13, "vnir")
    assert matches(topic)
    assert matches(topic, 13)
    assert not matches(topic, 14)
    assert matches(topic, 9, ("swir", "vnir"))
    assert not matches(topic, 9, ("vni", "vnir2"))


@pytest.mark.parametrize(
    ("text", "escaped"),
    [("vnir", b"vnir"), ("a.b", b"a%2Eb"), ("", b""), ("=", b"%3D"), ("ü", b"%C3%BC")],
)
def test_components(text: str, escaped: bytes) -> None:
    assert escape_component(text) == escaped


def test_times_have_microseconds_and_never_raise() -> None:
    assert timestamp(0.5) == "1970-01-01T00:00:00.500000Z"
    assert timestamp(1e300) == "1970-01-01T00:00:00.000000Z"
    _, text = RecordWriter(VNIR).write(entry(created=1.9999999), 1)
    assert parse_record(text).timestamp == "1970-01-01T00:00:01.999999Z"


def test_beacons() -> None:
    topic, text = encode_beacon(Beacon("a1.b", "vnir", "daq2", 1, sent={"09": 12}, age=2.5))
    assert topic == b"beacon.a1%2Eb.="
    assert parse_beacon(text).sent == {"09": 12}


def test_a_loss_is_told_by_a_record() -> None:
    lost = Lost(VNIR, 9, 13, 49)
    assert str(lost) == "37 records lost from vnir@daq2"
    assert str(Lost(VNIR, 9, 13, 13)) == "1 record lost from vnir@daq2"
    record = parse_record(encode_own(0.0, 13, str(lost), Source("logdump"), lost.attributes()))
    assert record.lost == 37
    found = lost_in(record)
    assert found is not None
    assert (found.first, found.last, found.severity) == (13, 49, 9)
    assert str(found) == str(lost)
    assert lost_in(parse_record(RecordWriter(VNIR).write(entry(), 1)[1])) is None


class Gain(IntEnum):
    HIGH = 3


class Mute:
    def __repr__(self) -> str:
        raise RuntimeError


def test_what_is_added_is_plain_json() -> None:
    endless: list[object] = []
    endless.append(endless)
    found = {
        name: json.loads(text)
        for name, text in encode_attributes(
            {
                "gain": Gain.HIGH,
                "big": 2**80,
                "nan": float("nan"),
                "inf": -float("inf"),
                "bytes": b"\xff",
                "list": [1, (2.5, None)],
                "dict": {1: HOSTILE},
                "mute": Mute(),
                "endless": endless,
                "object": object,
                "long": "x" * 100_000,
                "surrogate": "\udcff",
            }
        )
    }
    assert found["gain"] == 3
    assert found["big"] == str(2**80)
    assert (found["nan"], found["inf"]) == ("NaN", "-Infinity")
    assert found["bytes"] == r"b'\xff'"
    assert found["list"] == [1, [2.5, None]]
    assert found["dict"]["1"].startswith("\x1b[31m")
    assert found["mute"] == "(cannot be shown: its __repr__ raised RuntimeError)"
    assert "[...]" in json.dumps(found["endless"])
    assert found["object"] == "<class 'object'>"
    assert found["long"].endswith("... (cut: it had 100000 characters)")
    assert found["surrogate"] == "\\udcff"


def test_attributes_have_a_limit_together() -> None:
    found = encode_attributes({f"a{at}": "x" * 60_000 for at in range(10)})
    assert sum(len(text) for _, text in found) < 300_000
    assert b"left out" in found[9][1]


@given(st.text())
def test_no_text_commands_a_terminal(text: str) -> None:
    shown = safe_text(text)
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown)
    assert not set(shown) & set(
        "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f"
    )
    shown.encode()


def test_ordinary_text_is_shown_as_it_is() -> None:
    assert safe_text("Größe 5 µm, 測定, emoji 🙂") == "Größe 5 µm, 測定, emoji 🙂"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_files_hold_the_same_values_with_nothing_for_a_terminal(text: str) -> None:
    line = json.dumps({"Body": text}, ensure_ascii=False).encode()
    escaped = escape_json(line)
    assert json.loads(escaped) == {"Body": text}
    assert not any(127 <= ord(char) < 160 for char in escaped.decode())


def test_a_line_for_people() -> None:
    _, text = RecordWriter(VNIR).write(
        entry("a\nb", exception=("ValueError", "bad", "Traceback:\n  \x1b[1mbad\n")), 1
    )
    assert as_text(parse_record(text)) == (
        "2026-11-25 10:00:00.123 INFO     vnir@daq2 camera.driver: a\\nb\n"
        "    Traceback:\n"
        "      \\x1b[1mbad"
    )
