"""The declaration: each option is well formed, and says what it takes."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

import pytest

from runmacs.roc.broker import Limits
from runmacs.roc.config import OPTIONS, Option
from runmacs.roc.errors import ConfigError


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_is_well_formed(name: str) -> None:
    option = OPTIONS[name]
    assert option.name == name
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
    assert option.type in (str, int, float)
    assert option.help
    assert not option.help.endswith(".")
    assert "|" not in option.help, "it would end a cell of the table"
    assert option.check(option.default, "here") == option.default
    assert option.parse(str(option.default), "here") == option.default


def test_the_other_spellings_follow_from_the_name() -> None:
    assert OPTIONS["base_port"].environment == "ROC_BASE_PORT"
    assert OPTIONS["base_port"].flag == "--base-port"


def test_every_limit_of_the_broker_is_an_option() -> None:
    limits = asdict(Limits())
    declared = {name: OPTIONS[name].default for name in limits}
    assert declared == limits
    assert {name: OPTIONS[name].type for name in limits} == {n: type(v) for n, v in limits.items()}


def test_what_an_option_takes_in_words() -> None:
    assert OPTIONS["broker"].takes == "text"
    assert OPTIONS["transport"].takes == "one of tcp, ipc"
    assert OPTIONS["base_port"].takes == "a whole number from 0 to 65533"
    assert OPTIONS["calls_per_object"].takes == "a whole number of at least 1"
    assert OPTIONS["longest_wait"].takes == "a number of at least 0"


NUMBER = Option("number", 5, "a number", "N", least=1, most=9)
SECONDS = Option("seconds", 5.0, "a duration", "SECONDS")
CHOICE = Option("choice", "red", "a colour", "NAME", choices=("red", "green"))
TEXT = Option("text", "abc", "any text", "TEXT")


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        (NUMBER, "1", 1),
        (NUMBER, "9", 9),
        (SECONDS, "0", 0.0),
        (SECONDS, "2", 2.0),
        (SECONDS, "2.25", 2.25),
        (CHOICE, "Green", "green"),
        (TEXT, "ä b", "ä b"),
    ],
)
def test_text_of_a_flag_or_variable(option: Option, text: str, value: object) -> None:
    parsed = option.parse(text, "here")
    assert parsed == value
    assert type(parsed) is option.type


@pytest.mark.parametrize(
    ("option", "text", "complaint"),
    [
        (NUMBER, "0", "'0' is not a whole number from 1 to 9: write one like 5."),
        (NUMBER, "10", "'10' is not a whole number from 1 to 9: write one like 5."),
        (NUMBER, "5.0", "'5.0' is not a whole number from 1 to 9: write one like 5."),
        (NUMBER, " 5", "' 5' is not a whole number from 1 to 9: write one like 5."),
        (NUMBER, "0x5", "'0x5' is not a whole number from 1 to 9: write one like 5."),
        (NUMBER, "٥", "'٥' is not a whole number from 1 to 9: write one like 5."),
        (NUMBER, "9" * 5000, f"'{'9' * 40}'... is not a whole number from 1 to 9: write one li"),
        (SECONDS, "-0.5", "'-0.5' is not a number of at least 0: write one like 5.0."),
        (SECONDS, "1e400", "'1e400' is not a number of at least 0: write one like 5.0."),
        (SECONDS, "nan", "'nan' is not a number of at least 0: write one like 5.0."),
        (SECONDS, "inf", "'inf' is not a number of at least 0: write one like 5.0."),
        (SECONDS, "9" * 19, f"'{'9' * 19}' is not a number of at least 0: write one like 5.0."),
        (CHOICE, "gren", "'gren' is no value for choice: did you mean 'green'?"),
        (CHOICE, "xxx", "'xxx' is no value for choice: there are red, green."),
        (TEXT, "a\x1b[2J", r"'a\x1b[2J' holds a control character: write it without."),
        (TEXT, "\udcff", r"'\udcff' holds a control character: write it without."),
    ],
)
def test_wrong_text_names_its_place(option: Option, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        option.parse(text, "--here")
    assert str(caught.value).startswith(f"--here: {complaint}")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("option", "value", "kept"),
    [(NUMBER, 9, 9), (SECONDS, 2, 2.0), (SECONDS, 2.5, 2.5), (CHOICE, "RED", "red")],
)
def test_value_of_a_file(option: Option, value: Any, kept: object) -> None:
    checked = option.check(value, "here")
    assert checked == kept
    assert type(checked) is option.type


NUMBER_WANTED = "number takes a whole number from 1 to 9, without quotes: write number = 5."
SECONDS_WANTED = "seconds takes a number of at least 0, without quotes: write seconds = 5.0."
TEXT_WANTED = 'text takes text in quotes: write text = "abc".'


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        *((NUMBER, wrong, NUMBER_WANTED) for wrong in (0, 10, 5.0, True, "5", [5], {"a": 5})),
        *((NUMBER, wrong, NUMBER_WANTED) for wrong in (10**5000, -(10**5000), float("nan"))),
        *((SECONDS, wrong, SECONDS_WANTED) for wrong in (-1, -0.5, True, "5", 10**400)),
        *((SECONDS, float(wrong), SECONDS_WANTED) for wrong in ("inf", "-inf", "nan")),
        *((TEXT, wrong, TEXT_WANTED) for wrong in (5, False, ["abc"], {"a": "abc"})),
    ],
    ids=range(22),
)
def test_wrong_value_names_its_place(option: Option, value: Any, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        option.check(value, "x.toml, line 3")
    assert str(caught.value) == f"x.toml, line 3: {complaint}"
