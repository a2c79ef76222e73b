"""What people write of sizes, ages and moments."""

from __future__ import annotations

import pytest

from runmacs.roc.errors import ConfigError
from runmacs.roc.logfiles.limits import Keep, Rotation, parse_keep, parse_rotation
from runmacs.roc.logfiles.times import parse_moment

NOW = 1_795_600_800.0  # 2026-11-25T10:00:00Z


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], Rotation()),
        (["day"], Rotation(daily=True)),
        (["100MB"], Rotation(size=100_000_000)),
        (["1.5k"], Rotation(size=1500)),
        (["1KiB,daily"], Rotation(size=1024, daily=True)),
        (["200B"], Rotation(size=200)),
        (["never"], Rotation()),
    ],
)
def test_rotation(texts: list[str], expected: Rotation) -> None:
    assert parse_rotation(texts) == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], Keep()),
        (["30"], Keep(count=30)),
        (["7d", "10GB"], Keep(age=7 * 86400, size=10_000_000_000)),
        (["1.5h"], Keep(age=5400)),
    ],
)
def test_keep(texts: list[str], expected: Keep) -> None:
    assert parse_keep(texts) == expected


@pytest.mark.parametrize("text", ["often", "0", "-1", "7 moons", "0d"])
def test_what_makes_no_sense_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="write"):
        parse_keep([text])
    with pytest.raises(ConfigError, match="write"):
        parse_rotation([text])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22", "2026-11-22T00:00:00.000000Z"),
        ("2026-11-22 10:30", "2026-11-22T10:30:00.000000Z"),
        ("2026-11-22T10:30:00.5Z", "2026-11-22T10:30:00.500000Z"),
        ("2026-11-22T10:30:00+02:00", "2026-11-22T08:30:00.000000Z"),
        ("9:05", "2026-11-25T09:05:00.000000Z"),
        ("now", "2026-11-25T10:00:00.000000Z"),
        ("today", "2026-11-25T00:00:00.000000Z"),
        ("yesterday", "2026-11-24T00:00:00.000000Z"),
        ("2h ago", "2026-11-25T08:00:00.000000Z"),
        ("-10min", "2026-11-25T09:50:00.000000Z"),
        ("3 days ago", "2026-11-22T10:00:00.000000Z"),
    ],
)
def test_moments(text: str, expected: str) -> None:
    assert parse_moment(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "25:00", "2h", "3 moons ago"])
def test_what_is_no_moment_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="is no moment"):
        parse_moment(text, NOW)
