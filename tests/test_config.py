"""Configuration: which source wins, and what is said when one of them is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runmacs.roc.config import (
    OPTIONS,
    Setting,
    lookup,
    resolve_bind,
    resolve_broker,
    resolve_publish,
    resolve_subscribe,
)
from runmacs.roc.endpoints import Endpoints
from runmacs.roc.errors import ConfigError

RESOLVERS = [resolve_broker, resolve_publish, resolve_subscribe]
Write = Callable[[str | bytes], Path]


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The user's configuration folder, empty, and an environment without ROC in it."""
    for option in OPTIONS.values():
        monkeypatch.delenv(option.environment, raising=False)
    monkeypatch.delenv("ROC_CONFIG", raising=False)
    monkeypatch.setattr("platformdirs.user_config_dir", lambda name: str(tmp_path / name))
    (tmp_path / "roc").mkdir()
    return tmp_path / "roc"


@pytest.fixture
def write(folder: Path) -> Write:
    def write(text: str | bytes) -> Path:
        path = folder / "config.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize("resolve", RESOLVERS)
@pytest.mark.parametrize("nothing", [None, "", " "])
def test_order_of_the_sources(
    monkeypatch: pytest.MonkeyPatch, write: Write, resolve: Any, nothing: str | None
) -> None:
    assert resolve(nothing) == resolve() == Endpoints("127.0.0.1", 5555)
    write('broker = "file:6000"')
    assert resolve(nothing) == Endpoints("file", 6000)
    monkeypatch.setenv("ROC_BROKER", "environment:6000")
    assert resolve(nothing) == Endpoints("environment", 6000)
    assert resolve("given") == Endpoints("given")
    assert resolve(Endpoints("given", 6000)) == Endpoints("given", 6000)
    monkeypatch.setenv("ROC_BROKER", "")
    assert resolve(nothing) == Endpoints("file", 6000)
    write('broker = ""')
    assert resolve(nothing) == Endpoints("127.0.0.1", 5555)


def test_a_full_address_is_that_of_the_socket_in_question() -> None:
    lab = Endpoints("lab", 6000)
    assert resolve_broker("tcp://lab:6000") == lab
    assert resolve_publish("tcp://lab:6001") == resolve_publish(lab.generalXSUB) == lab
    assert resolve_subscribe("tcp://lab:6002") == resolve_subscribe(lab.generalXPUB) == lab


@pytest.mark.parametrize("resolve", RESOLVERS)
@pytest.mark.parametrize(
    "spelling", ["tcp://[::1]:6000", "[::1]:6000", "ipc:///tmp/lab.6000", "::1"]
)
def test_a_configured_full_address_is_always_the_brokers(
    monkeypatch: pytest.MonkeyPatch, write: Write, resolve: Any, spelling: str
) -> None:
    write(f'broker = "{spelling}"')
    assert resolve() == resolve_broker(spelling)
    write("")
    monkeypatch.setenv("ROC_BROKER", spelling)
    assert resolve() == resolve_broker(spelling)


@pytest.mark.parametrize("resolve", RESOLVERS)
@pytest.mark.parametrize("wrong", ["tcp://", "*", 5555, 0, False])
def test_a_bad_address_is_not_replaced_by_the_default(resolve: Any, wrong: Any) -> None:
    with pytest.raises(ConfigError):
        resolve(wrong)


@pytest.mark.parametrize("wrong", ["0.0.0.0", "lab:70000", "lab\r"])
def test_a_bad_configured_address_names_its_source(
    monkeypatch: pytest.MonkeyPatch, write: Write, wrong: str
) -> None:
    path = write('# where to look\nbroker = "{}"'.format(wrong.replace("\r", r"\r")))
    with pytest.raises(ConfigError) as caught:
        resolve_broker()
    assert str(caught.value).startswith(f"{path}, line 2: {wrong!r} ")
    monkeypatch.setenv("ROC_BROKER", wrong)
    with pytest.raises(ConfigError) as caught:
        resolve_publish()
    assert str(caught.value).startswith(f"ROC_BROKER: {wrong!r} ")


def test_environment_spares_reading_the_file(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    write("nonsense")
    monkeypatch.setenv("ROC_BROKER", "lab")
    assert resolve_broker() == Endpoints("lab")


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


@pytest.mark.parametrize("name", ["missing.toml", ".", "a\0b"])
def test_a_named_file_must_be_readable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    # The system refuses a zero byte in its own environment; a look-alike does not.
    monkeypatch.setattr("os.environ", {"ROC_CONFIG": str(tmp_path / name)})
    with pytest.raises(ConfigError, match="ROC_CONFIG"):
        resolve_broker()


def test_a_usual_file_that_cannot_be_read(folder: Path) -> None:
    (folder / "config.toml").mkdir()
    with pytest.raises(ConfigError, match=r"config\.toml cannot be read .*: make it readable or"):
        resolve_broker()


BAD_FILES: list[tuple[str | bytes, int, str]] = [
    ("\nbroker", 2, 'write it like broker = "127.0.0.1:5555"'),
    ("broker = lab:5555", 1, "write it like broker ="),
    ("bind = '*'\nbroker = ", 2, "write it like broker ="),
    ('broker = "a"\nbroker = "b"', 2, "Cannot overwrite a value"),
    ('\n\nbrokr = "lab"', 3, "there is no option 'brokr': did you mean 'broker'?"),
    (
        '[broker]\naddress = "lab"',
        1,
        'broker takes text in quotes: write broker = "127.0.0.1:5555"',
    ),
    ("# a\n[[rocbroker]]\na = 1", 2, "there is no option 'rocbroker': did you mean 'broker'?"),
    ('"colour scheme" = 1', 1, "there is no option 'colour scheme': there are broker, bind,"),
    ("x.y = 1", 1, "there is no option 'x': there are broker"),
    ('config = "a"', 1, "there is no option 'config'"),
    ("broker = 5555", 1, "broker takes text in quotes"),
    ('base_port = "5555"', 1, "base_port takes a whole number without quotes: write base_port = 5"),
    ("base_port = true", 1, "base_port takes a whole number"),
    ("base_port = 5555.0", 1, "base_port takes a whole number"),
    ("broker='lab'\n  transport = 'udp'", 2, "'udp' is not a transport: there are tcp, ipc, inp"),
    ("log_level = 'warn'", 1, "'warn' is not a log_level: did you mean 'warning'?"),
    (b"# ok\nbroker = 'm\xfcnchen'", 2, "this is not UTF-8: save it as such"),
    ("x = " + "[" * 60000, 1, "write it like broker ="),
    ("x = " + "9" * 60000, 1, "write it like broker ="),
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


def test_a_file_of_another_kind_is_not_read_to_its_end(write: Write) -> None:
    path = write(b"\n" * 65537)
    with pytest.raises(ConfigError, match=r"over 65536 bytes and is no configuration file"):
        resolve_broker()
    path.write_bytes(b"\n" * 65536)
    assert resolve_broker() == Endpoints("127.0.0.1")


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


@pytest.mark.parametrize(
    ("variable", "text", "complaint"),
    [
        ("ROC_BASE_PORT", "5555.0", "ROC_BASE_PORT: '5555.0' is not a whole number: write one li"),
        ("ROC_BASE_PORT", "9" * 5000, "is not a whole number"),
        ("ROC_TRANSPORT", "tpc", "ROC_TRANSPORT: 'tpc' is not a transport: did you mean 'tcp'?"),
        (
            "ROC_BASE_PORT",
            "65534",
            "bind (default), base_port (ROC_BASE_PORT), transport (default): 655",
        ),
        ("ROC_BIND", "tcp://*", "'tcp://*' is a full address"),
    ],
)
def test_bad_environment_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, complaint: str
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigError) as caught:
        resolve_bind()
    assert complaint in str(caught.value)
    assert variable in str(caught.value)


def test_bind_may_be_wide_and_free(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    assert resolve_bind() == Endpoints("127.0.0.1", 5555, "tcp")
    write('bind = "/tmp/lab"\nbase_port = 6000\ntransport = "ipc"')
    assert resolve_bind() == Endpoints("/tmp/lab", 6000, "ipc")
    monkeypatch.setenv("ROC_BASE_PORT", "0")
    assert resolve_bind("0.0.0.0", transport="tcp") == Endpoints("0.0.0.0", 0)
    assert resolve_bind("::", 7000, "tcp") == Endpoints("::", 7000)
    with pytest.raises(ConfigError, match=r"^bind \(--bind\), base_port \(ROC_BASE_PORT\), "):
        resolve_bind("lab:1")


def test_each_option_is_well_formed() -> None:
    for name, option in OPTIONS.items():
        assert name == option.name
        assert name.isidentifier()
        assert name.islower()
        assert type(option.default) is option.type
        assert option.help
        assert not option.help.endswith(".")
        assert not option.choices or option.default in option.choices
    assert OPTIONS["base_port"].environment == "ROC_BASE_PORT"
    assert OPTIONS["base_port"].flag == "--base-port"
    assert list(OPTIONS) == ["broker", "bind", "base_port", "transport", "log_level"]


def test_import_brings_in_nothing_slow() -> None:
    script = (
        "import sys, runmacs.roc.config;"
        "print({'zmq', 'tomllib', 'platformdirs', 'ipaddress', 'difflib'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.stdout == "set()\n", run.stderr
