"""The configuration as text: what is printed can be read again, and the reference is true."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from platformdirs.macos import MacOS
from platformdirs.unix import Unix

from processes import child_environment
from runmacs.roc.config import (
    OPTIONS,
    Setting,
    configuration,
    settings_as_toml,
    table_of_options,
)
from runmacs.roc.config.options import Option

Write = Callable[[str | bytes], Path]
ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "reference" / "configuration.md"
NAMED_FOR_LINUX, NAMED_FOR_MACOS = (
    "~/.config/roc/config.toml",
    "~/Library/Application Support/roc/config.toml",
)


def values_of(option: Option) -> st.SearchStrategy[Any]:
    if option.choices:
        return st.sampled_from(option.choices)
    if option.type is str:
        # What consists of spaces alone counts as not given.
        return st.text().filter(str.isprintable).filter(str.strip)
    most = 10**18 if option.most is None else option.most
    if option.type is int:
        return st.integers(option.least, most)
    return st.floats(option.least, most)


@given(st.fixed_dictionaries({name: values_of(option) for name, option in OPTIONS.items()}))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_printed_can_be_read_again(write: Write, values: dict[str, Any]) -> None:
    printed = settings_as_toml({name: Setting(values[name], "somewhere") for name in OPTIONS})
    assert tomllib.loads(printed) == values
    path = write(printed)
    for line, (name, setting) in enumerate(configuration().items(), 1):
        assert setting == Setting(values[name], f"{path}, line {line}")
        assert type(setting.value) is OPTIONS[name].type


def test_each_value_has_its_source(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    path = write('bind = "labor"')
    monkeypatch.setenv("ROC_LOG_LEVEL", "debug")
    lines = settings_as_toml(configuration({"base_port": "6000"})).splitlines()
    assert lines[:6] == [
        'broker = "127.0.0.1:5555"   # default',
        'policy = "exclusive"        # default',
        f'bind = "labor"              # {path}, line 1',
        "base_port = 6000            # --base-port",
        'transport = "tcp"           # default',
        'log_level = "debug"         # ROC_LOG_LEVEL',
    ]


def test_nothing_is_nothing() -> None:
    assert settings_as_toml({}) == ""


def test_the_table_has_all_options() -> None:
    head, ruler, *rows = table_of_options().splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in (head, ruler, *rows)]
    assert {len(row) for row in cells} == {6}
    assert [row[0] for row in cells[2:]] == [f"`{name}`" for name in OPTIONS]
    assert cells[2] == [
        "`broker`",
        "–",
        "`ROC_BROKER`",
        '`"127.0.0.1:5555"`',
        "the broker to use: host, host:baseport, or its rocBroker address (text)",
        "clients and servers",
    ]


def test_the_reference_has_the_table_that_is_printed() -> None:
    command = [sys.executable, "-m", "runmacs.roc.config"]
    run = subprocess.run(
        command, env=child_environment({}), stdout=subprocess.PIPE, encoding="utf-8", check=True
    )
    table = run.stdout
    assert table == table_of_options()
    wanted = f"put this into {PAGE.relative_to(ROOT)}:\n{table}"
    assert f"\n\n{table}\n" in PAGE.read_text("utf-8"), wanted


def test_the_reference_names_the_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    page = PAGE.read_text("utf-8")
    for system, shown in ((Unix, NAMED_FOR_LINUX), (MacOS, NAMED_FOR_MACOS)):
        folder = system("roc", appauthor=False).user_config_dir
        assert f"{folder}/config.toml" == shown.replace("~", "/home/me")
        assert f"`{shown}`" in page
