"""The configuration file: which one is read, and what is said when it is a bad one."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runmacs.roc.config import (
    OPTIONS,
    Setting,
    configuration,
    describe_file,
    lookup,
    resolve_broker,
)
from runmacs.roc.endpoints import Endpoints
from runmacs.roc.errors import ConfigError

Write = Callable[[str | bytes], Path]


def test_roc_config_names_another_file(
    monkeypatch: pytest.MonkeyPatch, write: Write, tmp_path: Path
) -> None:
    write('broker = "usual"')
    other = tmp_path / "other.toml"
    other.write_text('broker = "other"')
    monkeypatch.setenv("ROC_CONFIG", str(other))
    assert resolve_broker() == Endpoints("other")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("ROC_CONFIG", "~/other.toml")
    assert resolve_broker() == Endpoints("other")
    monkeypatch.setenv("ROC_CONFIG", "")
    assert resolve_broker() == Endpoints("usual")


def test_a_flag_names_another_one_still(
    monkeypatch: pytest.MonkeyPatch, write: Write, tmp_path: Path
) -> None:
    write('broker = "usual"')
    monkeypatch.setenv("ROC_CONFIG", str(tmp_path / "missing.toml"))
    other = tmp_path / "other.toml"
    other.write_text('broker = "other"')
    assert configuration(file=str(other))["broker"] == Setting("other", f"{other}, line 1")
    monkeypatch.delenv("ROC_CONFIG")
    assert configuration(file="")["broker"].value == "usual"


def test_the_usual_file_may_be_missing_a_named_one_may_not(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    missing = folder / "missing.toml"
    assert configuration()["broker"].source == "default"
    with pytest.raises(ConfigError, match=r"missing.toml cannot be read .*: correct --config\.$"):
        configuration(file=str(missing))
    monkeypatch.setenv("ROC_CONFIG", str(missing))
    with pytest.raises(ConfigError, match=r"missing.toml .*: correct or unset ROC_CONFIG\.$"):
        configuration()


def test_which_file_is_read_in_words(
    monkeypatch: pytest.MonkeyPatch, write: Write, folder: Path
) -> None:
    assert describe_file() == f"no configuration file: there is no {folder / 'config.toml'}"
    path = write("")
    assert describe_file() == f"configuration file {path}"
    odd = folder / "a\nb.toml"
    odd.write_text("base_port = 6000")
    assert describe_file(str(odd)) == f"configuration file {str(odd)!r}"
    assert configuration(file=str(odd))["base_port"].source == f"{str(odd)!r}, line 1"


def test_a_user_without_a_home_has_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(name: str, *, appauthor: bool) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr("platformdirs.user_config_dir", homeless)
    assert resolve_broker() == Endpoints("127.0.0.1")
    assert describe_file() == "no configuration file: this user has no home"


def test_a_home_that_is_no_folder_has_no_file(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    (folder / "null").write_text("")
    monkeypatch.setattr("platformdirs.user_config_dir", lambda *_, **__: str(folder / "null/roc"))
    assert resolve_broker() == Endpoints("127.0.0.1")


def make_nothing(path: Path) -> None:
    pass


def make_folder(path: Path) -> None:
    path.mkdir()


def make_loop(path: Path) -> None:
    path.symlink_to(path)


HOSTILE = [make_folder, make_loop]


@pytest.mark.parametrize("make", [make_nothing, *HOSTILE])
def test_a_named_file_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "lab.toml")
    monkeypatch.setenv("ROC_CONFIG", str(tmp_path / "lab.toml"))
    with pytest.raises(ConfigError, match=r"lab\.toml cannot be read \(.+\): correct or unset ROC"):
        resolve_broker()


@pytest.mark.parametrize("make", HOSTILE)
def test_a_usual_file_that_cannot_be_read(folder: Path, make: Callable[[Path], None]) -> None:
    make(folder / "config.toml")
    with pytest.raises(ConfigError, match=r"config\.toml cannot be read .*: make it readable or"):
        resolve_broker()


def test_a_file_of_somebody_else(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    path = write('broker = "lab"')

    def refuse(self: Path, mode: str) -> None:  # chmod would not keep root out
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError) as caught:
        resolve_broker()
    reason = os.strerror(errno.EACCES)
    assert str(caught.value) == (
        f"{path} cannot be read ({reason}): make it readable or remove it."
    )


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("a\0b", "ROC_CONFIG names no file: embedded null byte."),
        ("~nobody-of-that-name/lab.toml", "ROC_CONFIG: '~nobody-of-that-name/lab.toml' names the "),
    ],
)
def test_a_name_of_no_file(monkeypatch: pytest.MonkeyPatch, name: str, complaint: str) -> None:
    # The system refuses a zero byte in its own environment; a look-alike does not.
    monkeypatch.setattr("os.environ", {"ROC_CONFIG": name})
    with pytest.raises(ConfigError) as caught:
        resolve_broker()
    assert str(caught.value).startswith(complaint)


BAD_FILES: list[tuple[str | bytes, int, str]] = [
    # not TOML
    ("\nbroker", 2, 'write it like broker = "127.0.0.1:5555"'),
    ("broker = lab:5555", 1, "write it like broker ="),
    ("bind = '*'\nbroker = ", 2, "write it like broker ="),
    ('broker = "a"\nbroker = "b"', 2, "Cannot overwrite a value"),
    ("[broker]\n[broker]", 2, "Cannot declare"),
    ("x = " + "[" * 60000, 1, "write it like broker ="),
    ("x = " + "9" * 60000, 1, "write it like broker ="),
    # not text
    (b"# ok\nbroker = 'm\xfcnchen'", 2, "this is not UTF-8: save it as such"),
    ('broker = "lab"\n'.encode("utf-16"), 1, "this is not UTF-8: save it as such"),
    (b"\x7fELF\x02\x01\x01\0\0", 1, "write it like broker ="),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 1, "this is not UTF-8: save it as such"),
    (b"\0" * 65536, 1, "write it like broker ="),
    # no such key
    ('\n\nbrokr = "lab"', 3, "there is no option 'brokr': did you mean 'broker'?"),
    ("base-port = 1", 1, "there is no option 'base-port': did you mean 'base_port'?"),
    ("ROC_BASE_PORT = 1", 1, "there is no option 'ROC_BASE_PORT': did you mean 'base_port'?"),
    ("Broker = 'lab'", 1, "there is no option 'Broker': did you mean 'broker'?"),
    ("# a\n[[rocbroker]]\na = 1", 2, "there is no option 'rocbroker': did you mean 'broker'?"),
    ('"colour scheme" = 1', 1, "there is no option 'colour scheme': there are broker, policy,"),
    ("x.y = 1", 1, "there is no option 'x': there are broker"),
    ("[tool.roc]\nbroker = 'lab'", 1, "there is no option 'tool': there are broker"),
    ('config = "a"', 1, "there is no option 'config'"),
    (f"{'x' * 60000} = 1", 1, f"there is no option '{'x' * 40}'...: there are broker"),
    # no such value
    ("[broker]\naddress = 'lab'", 1, 'broker takes text in quotes: write broker = "127.0.0.1:555'),
    ("broker = 5555", 1, "broker takes text in quotes"),
    ("broker = ['a', 'b']", 1, "broker takes text in quotes"),
    ("broker = 2026-11-22", 1, "broker takes text in quotes"),
    ('base_port = "5555"', 1, "base_port takes a whole number from 0 to 65533, without quotes: "),
    ("base_port = true", 1, "base_port takes a whole number"),
    ("base_port = 5555.0", 1, "base_port takes a whole number"),
    ("base_port = 65534", 1, "base_port takes a whole number"),
    ("base_port = -1", 1, "base_port takes a whole number"),
    ("calls_per_object = 0", 1, "takes a whole number of at least 1, without quotes: write calls_"),
    ("longest_wait = inf", 1, "takes a number of at least 0, without quotes: write longest_wait "),
    ("longest_wait = nan", 1, "longest_wait takes a number of at least 0"),
    ("broker='lab'\n  transport = 'udp'", 2, "'udp' is no value for transport: there are tcp, ip"),
    ("log_level = 'warn'", 1, "'warn' is no value for log_level: did you mean 'warning'?"),
    (f"log_level = '{'x' * 60000}'", 1, f"'{'x' * 40}'... is no value for log_level: there are "),
    ('bind = "a\\u001b[2J"', 1, r"'a\x1b[2J' holds a control character"),
]


@pytest.mark.parametrize(("text", "line", "complaint"), BAD_FILES)
def test_bad_file_names_file_and_line(
    write: Write, text: str | bytes, line: int, complaint: str
) -> None:
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        resolve_broker()
    message = str(caught.value)
    assert message.startswith(f"{path}, line {line}: ")
    assert complaint in message
    assert message[-1] in ".?"
    assert message.isprintable()
    assert len(message) < 500


@given(
    st.binary(max_size=200) | st.text("brokepot_=.[]'\"#\\\n 05é\0", max_size=60).map(str.encode)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_the_file(write: Write, content: bytes) -> None:
    path = write(content)
    complaint = ""
    try:
        assert configuration().keys() == OPTIONS.keys()
    except ConfigError as error:
        complaint = str(error)
    assert complaint.isprintable()
    assert not complaint or complaint.startswith(str(path))


def test_a_file_of_another_kind_is_not_read_to_its_end(write: Write) -> None:
    path = write(b"\n" * 65537)
    with pytest.raises(ConfigError, match=r"over 65536 bytes and is no configuration file"):
        resolve_broker()
    path.write_bytes(b"\n" * 65536)
    assert resolve_broker() == Endpoints("127.0.0.1")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file without an end")
def test_a_file_without_an_end() -> None:
    with pytest.raises(ConfigError, match=r"^/dev/zero has over 65536 bytes .* with --config\.$"):
        configuration(file="/dev/zero")


def test_a_byte_order_mark_is_no_part_of_the_first_key(write: Write) -> None:
    write(b'\xef\xbb\xbfbroker = "lab"\r\n')
    assert resolve_broker() == Endpoints("lab")


def test_lookup_says_where_the_value_stands(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    assert lookup("base_port") == Setting(5555, "default")
    path = write('bind = "*"\nbase_port = 6000\nlog_level = "Debug"')
    assert lookup("base_port") == Setting(6000, f"{path}, line 2")
    assert lookup("log_level").value == "debug"
    monkeypatch.setenv("ROC_BASE_PORT", "7000")
    monkeypatch.setenv("ROC_LOG_LEVEL", "ERROR")
    assert lookup("base_port") == Setting(7000, "ROC_BASE_PORT")
    assert lookup("log_level") == Setting("error", "ROC_LOG_LEVEL")
