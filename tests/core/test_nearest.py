"""What somebody may have meant."""

from __future__ import annotations

import pytest

from runmacs.roc.core.nearest import nearest, quoted


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("openShuter", ["openShutter"]),
        ("open_shutter", ["openShutter"]),
        ("OPENSHUTTER", ["openShutter"]),
        ("fps", ["fps"]),
        ("temperature", []),
        ("", []),
        ("x" * 100_000, []),
    ],
)
def test_the_nearest_names(word: str, expected: list[str]) -> None:
    assert nearest(word, ["openShutter", "fps", "gain"]) == expected


def test_there_may_be_no_names() -> None:
    assert nearest("fps", []) == []


def test_at_most_so_many_are_named_and_the_likeliest_first() -> None:
    found = nearest("channel1", [f"channel{i}" for i in (3, 2, 1, 4, 5)])
    assert len(found) == 3
    assert found[0] == "channel1"


def test_the_right_one_is_found_among_thousands() -> None:
    names = [f"readChannel{i}Voltage" for i in range(10_000)]
    assert nearest("readChanel7321Voltage", names)[0] == "readChannel7321Voltage"


def test_names_in_a_sentence() -> None:
    assert quoted(["a"]) == "'a'"
    assert quoted(["a", "b"]) == "'a' or 'b'"
    assert quoted(["a", "b", "c"]) == "'a', 'b' or 'c'"
