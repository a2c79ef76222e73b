"""logfiles: written, mended, resumed, rotated, compressed, removed and read back."""

from __future__ import annotations

import gzip
import json
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runmacs.roc.errors import ConfigError
from runmacs.roc.logfiles.limits import Keep, Rotation
from runmacs.roc.logfiles.names import log_files, new_name
from runmacs.roc.logfiles.query import Wanted, find, follow
from runmacs.roc.logfiles.writer import LogWriter
from runmacs.roc.wire.logentry import Entry, RecordWriter
from runmacs.roc.wire.logmsg import Record, Source, parse_record
from waiting import wait_until

VNIR = Source("vnir", "daq2", 1, "", "s1")


def record(
    n: int, message: str = "", levelno: int = 20, created: float = 0.0, **more: Any
) -> Record:
    entry = Entry(created, message or str(n), None, "camera.driver", levelno, "INFO", **more)
    return parse_record(RecordWriter(VNIR).write(entry, n)[1])


class Dump:
    """A directory that is being written."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.directory = directory
        self.told: list[str] = []
        self.noted: list[Record] = []
        self.time = 1_795_600_800.0
        given = {"rotation": Rotation(), "keep": Keep(), "compress": False, **options}
        self.writer = LogWriter(
            directory,
            note=self.noted.append,
            tell=self.told.append,
            wall=lambda: self.time,
            **given,
        )
        self.writer.numbers = lambda: [(VNIR, {9: self.last})]
        self.last = 0

    def write(self, *numbers: int, **more: Any) -> None:
        self.writer.write([record(n, **more) for n in numbers])
        self.last = max([self.last, *numbers])

    def close(self) -> Dump:
        self.writer.close()
        return self

    def lines(self) -> list[dict[str, Any]]:
        found = []
        for file in log_files(self.directory):
            data = file.path.read_bytes()
            text = gzip.decompress(data) if file.compressed else data
            assert text.endswith(b"\n") or not text
            found += [json.loads(line) for line in text.splitlines()]
        return found

    def bodies(self) -> list[str]:
        return [line["Body"] for line in self.lines() if "roc.file" not in line["Attributes"]]

    def names(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())


def test_each_record_is_one_line_of_json(tmp_path: Path) -> None:
    dump = Dump(tmp_path / "log")
    dump.write(1, 2)
    dump.write(3, message="a\nb\x1b\u202e\x9b")
    assert dump.bodies() == ["1", "2", "a\nb\x1b\u202e\x9b"]
    text = log_files(dump.directory)[0].path.read_bytes()
    assert not {b"\x1b", "\u202e".encode(), "\x9b".encode()} & {
        char for char in (b"\x1b", "\u202e".encode(), "\x9b".encode()) if char in text
    }
    assert dump.names() == [".logdump.lock", "roc-2026-11-25T100000Z-000001.jsonl"]
    dump.close()


def test_a_second_writer_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    dump = Dump(tmp_path)
    with pytest.raises(ConfigError, match=f"another logdump writes there .pid {os.getpid()}"):
        Dump(tmp_path)
    dump.close()
    Dump(tmp_path).close()


def test_a_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError):
        Dump(tmp_path / "file")


def test_the_next_run_knows_the_numbers(tmp_path: Path) -> None:
    dump = Dump(tmp_path, least=5, nodes=["vnir"])
    dump.write(1, 2, 3)
    dump.close()
    second = Dump(tmp_path)
    assert [one.n for one in second.noted] == [1, 2, 3]
    assert second.writer.resumed.least == 5
    assert second.writer.resumed.nodes == ("vnir",)
    assert second.writer.resumed.since == "2026-11-25T10:00:00.000000Z"
    second.write(4)
    assert second.bodies() == ["1", "2", "3", "4"]
    second.close()


def test_only_the_last_file_has_to_be_read(tmp_path: Path) -> None:
    dump = Dump(tmp_path, rotation=Rotation(size=1500))
    for n in range(1, 21):
        dump.write(n)
    dump.close()
    assert len(log_files(tmp_path)) > 3
    second = Dump(tmp_path)
    assert len(second.noted) < 10
    ((source, severity, last),) = second.writer.resumed.numbers
    assert (source.source, severity) == ("s1", 9)
    assert [last + at + 1 for at in range(len(second.noted))] == [one.n for one in second.noted]
    assert second.noted[-1].n == 20
    second.close()


@pytest.mark.parametrize("torn", [b'{"Timest', b"\x00\x00\x00", b'{"SeverityNumber":9}', b"{}"])
def test_a_torn_line_is_set_aside(tmp_path: Path, torn: bytes) -> None:
    dump = Dump(tmp_path)
    dump.write(1, 2)
    dump.close()
    path = log_files(tmp_path)[0].path
    with path.open("ab") as file:
        file.write(torn)
    second = Dump(tmp_path)
    second.write(3)
    second.close()
    assert second.bodies() == ["1", "2", "3"]
    (aside,) = tmp_path.glob("*.torn")
    assert aside.read_bytes() == torn
    assert aside.name in second.told[0]


def test_a_whole_line_without_its_end_is_kept(tmp_path: Path) -> None:
    dump = Dump(tmp_path)
    dump.write(1, 2)
    dump.close()
    path = log_files(tmp_path)[0].path
    path.write_bytes(path.read_bytes()[:-1])
    second = Dump(tmp_path)
    assert [one.n for one in second.noted] == [1, 2]
    second.write(3)
    assert second.bodies() == ["1", "2", "3"]
    second.close()


@pytest.mark.parametrize("cut", range(0, 900, 37))
def test_wherever_it_was_cut_the_rest_is_whole(tmp_path: Path, cut: int) -> None:
    dump = Dump(tmp_path)
    dump.write(1, 2, 3)
    dump.close()
    path = log_files(tmp_path)[0].path
    path.write_bytes(path.read_bytes()[:cut])
    second = Dump(tmp_path)
    second.write(4)
    second.close()
    assert second.bodies()[-1] == "4"


def test_a_new_file_with_each_day(tmp_path: Path) -> None:
    dump = Dump(tmp_path, rotation=Rotation(daily=True))
    dump.write(1)
    dump.time += 86_400
    dump.write(2)
    dump.close()
    assert [file.day for file in log_files(tmp_path)] == ["2026-11-25", "2026-11-26"]


def test_files_have_no_more_than_their_size(tmp_path: Path) -> None:
    dump = Dump(tmp_path, rotation=Rotation(size=2000))
    dump.writer.write([record(n) for n in range(1, 51)])
    dump.close()
    assert dump.bodies() == [str(n) for n in range(1, 51)]
    assert all(file.path.stat().st_size <= 2000 for file in log_files(tmp_path))


def test_closed_files_are_compressed(tmp_path: Path) -> None:
    dump = Dump(tmp_path, rotation=Rotation(size=1500), compress=True)
    for n in range(1, 21):
        dump.write(n)
    dump.close()
    *closed, last = log_files(tmp_path)
    assert all(file.compressed for file in closed)
    assert not last.compressed
    assert dump.bodies() == [str(n) for n in range(1, 21)]
    assert [one.message for one in find(tmp_path, Wanted())] == dump.bodies()
    second = Dump(tmp_path)
    assert second.noted[-1].n == 20
    second.close()


def test_what_was_half_compressed_is_tidied_up(tmp_path: Path) -> None:
    dump = Dump(tmp_path, rotation=Rotation(size=1500))
    for n in range(1, 21):
        dump.write(n)
    dump.close()
    first, second, *_ = (file.path for file in log_files(tmp_path))
    Path(f"{first}.gz.part").write_bytes(b"half")
    Path(f"{second}.gz").write_bytes(gzip.compress(second.read_bytes()))
    again = Dump(tmp_path)
    assert again.bodies() == [str(n) for n in range(1, 21)]
    assert not list(tmp_path.glob("*.part"))
    assert not second.exists()
    again.close()


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        (Keep(count=2), [2, 3]),
        (Keep(size=4000), [2, 3]),
        (Keep(age=3600), [3]),
        (Keep(), [1, 2, 3]),
    ],
)
def test_what_is_kept(tmp_path: Path, keep: Keep, left: list[int]) -> None:
    for number in (1, 2, 3):
        path = tmp_path / new_name(number, 0.0)
        path.write_bytes(record(number).raw + b"\n" + b" " * 2000)
        old = 1_795_600_800.0 - 7200 + (7200 if number == 3 else 0)
        os.utime(path, (old, old))
    (tmp_path / "notes.txt").write_text("mine")
    dump = Dump(tmp_path, keep=keep)
    dump.close()
    assert [file.number for file in log_files(tmp_path)] == left
    assert (tmp_path / "notes.txt").exists()


def test_a_clock_that_was_set_back_confuses_nobody(tmp_path: Path) -> None:
    dump = Dump(tmp_path, rotation=Rotation(daily=True))
    dump.write(1)
    dump.time -= 10 * 86_400
    dump.write(2)
    dump.close()
    assert [one.message for one in find(tmp_path, Wanted())] == ["1", "2"]


# ---- a full disk, as the system would say it


class FullDisk:
    """Takes so many bytes, and no more until there is room."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self._write = os.write
        monkeypatch.setattr("runmacs.roc.logfiles.writer.os.write", self.write)

    def write(self, fd: int, data: Any) -> int:
        if self.room <= 0:
            raise OSError(28, "No space left on device")
        done = self._write(fd, memoryview(data)[: self.room])
        self.room -= done
        return done


def test_a_full_disk_is_survived_said_once_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runmacs.roc.logfiles.writer._RETRY", 0.0)
    dump = Dump(tmp_path)
    dump.write(1)
    disk = FullDisk(monkeypatch, 700)
    for n in range(2, 100):
        dump.write(n)
    assert len([text for text in dump.told if "takes no more" in text]) == 1
    written = dump.bodies()
    assert written == [str(n) for n in range(1, len(written) + 1)]
    disk.room = 10**9
    dump.write(100)
    assert dump.bodies() == [str(n) for n in range(1, 101)]
    assert "takes records again; nothing was lost" in dump.told[-1]
    dump.close()


def test_what_had_no_room_in_the_ring_either_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runmacs.roc.logfiles.writer._RETRY", 0.0)
    dump = Dump(tmp_path)
    dump.writer._ring._most_lines = 10
    dump.write(1)
    disk = FullDisk(monkeypatch, 0)
    for n in range(2, 52):
        dump.write(n)
    disk.room = 10**9
    dump.writer.tick()
    lost = "40 records lost from vnir@daq2, as the disk was full"
    assert dump.bodies() == ["1", lost, *(str(n) for n in range(42, 52))]
    assert "40 records were lost" in dump.told[-1]
    dump.close()
    second = Dump(tmp_path)
    assert max(one.n for one in second.noted) == 51
    assert [(severity, last) for _, severity, last in second.writer.resumed.numbers][-1] == (9, 41)
    second.close()


# ---- reading back


def test_queries(tmp_path: Path) -> None:
    dump = Dump(tmp_path)
    dump.write(1, message="cold", created=100.0)
    dump.write(2, message="hot", created=200.0, levelno=40)
    dump.write(3, message="x", created=300.0, exception=("E", "hot too", "hot traceback"))
    dump.close()

    def found(**wanted: Any) -> list[int]:
        return [one.n for one in find(tmp_path, Wanted(**wanted))]

    assert found() == [1, 2, 3]
    assert found(since="1970-01-01T00:03:20.000000Z") == [2, 3]
    assert found(until="1970-01-01T00:03:20.000000Z") == [1]
    assert found(least=17) == [2]
    assert found(nodes=["vnir"]) == [1, 2, 3]
    assert found(nodes=["swir"]) == []
    assert found(loggers=["camera"]) == [1, 2, 3]
    assert found(loggers=["cam"]) == []
    assert found(grep=re.compile("hot")) == [2, 3]
    nothing = find(tmp_path / "nowhere", Wanted())
    with pytest.raises(ConfigError):
        next(nothing)


def test_following_across_files(tmp_path: Path) -> None:
    dump = Dump(tmp_path, rotation=Rotation(size=1500), compress=True)
    dump.write(1)
    found: list[int] = []
    going = [True]
    thread = threading.Thread(target=_follow, args=(tmp_path, found, lambda: going[0]))
    thread.start()
    try:
        for n in range(2, 30):
            dump.write(n)
        wait_until(lambda: len(found) >= 29, what="all were followed")
    finally:
        going[0] = False
        thread.join()
    assert found == [*range(1, 30)]
    dump.close()


def _follow(directory: Path, found: list[int], going_on: Callable[[], bool]) -> None:
    for one in follow(directory, Wanted(), going_on=going_on):
        if one is not None:
            found.append(one.n)
