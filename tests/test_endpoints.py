"""Endpoints: every spelling of an address, and what is said about the others."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runmacs.roc import endpoints as module
from runmacs.roc.endpoints import MAX_BASE_PORT, Endpoints, parse_endpoints
from runmacs.roc.errors import ConfigError

V6 = "fe80::1%eth0"

ADDRESSES: list[tuple[tuple[Any, ...], str, int]] = [
    (("192.168.0.10",), "tcp://192.168.0.10:{}", 5555),
    (("daq2.lab.example", 6000), "tcp://daq2.lab.example:{}", 6000),
    (("roc_broker", 1, "tcp"), "tcp://roc_broker:{}", 1),
    (("::1", MAX_BASE_PORT), "tcp://[::1]:{}", 65533),
    (("[::1]", 6000), "tcp://[::1]:{}", 6000),
    ((V6,), "tcp://[fe80::1%eth0]:{}", 5555),
    (("*",), "tcp://*:{}", 5555),
    (("/tmp/lab", 5555, "ipc"), "ipc:///tmp/lab.{}", 5555),
    (("/Users/Jo Doe/lab.a", 5555, "ipc"), "ipc:///Users/Jo Doe/lab.a.{}", 5555),
    (("./lab", 5555, "ipc"), "ipc://./lab.{}", 5555),
    (("@lab", 5555, "ipc"), "ipc://@lab.{}", 5555),
    (("lab", 5555, "inproc"), "inproc://lab.{}", 5555),
]


@pytest.mark.parametrize(("arguments", "form", "base"), ADDRESSES)
def test_three_consecutive_addresses(arguments: tuple[Any, ...], form: str, base: int) -> None:
    endpoints = Endpoints(*arguments)
    assert endpoints.rocBroker == form.format(base)
    assert endpoints.generalXSUB == form.format(base + 1)
    assert endpoints.generalXPUB == form.format(base + 2)


def test_parameters_keep_their_names_and_defaults() -> None:
    assert Endpoints(brokerAddress="lab") == Endpoints("lab", brokerBasePort=5555, transport="tcp")


def test_base_port_0_has_no_successors() -> None:
    free = Endpoints("127.0.0.1", 0)
    assert {free.rocBroker, free.generalXSUB, free.generalXPUB} == {"tcp://127.0.0.1:0"}
    assert replace(free, brokerBasePort=6000) == Endpoints("127.0.0.1", 6000)


def test_is_an_immutable_value() -> None:
    lab = Endpoints("[::1]", 6000)
    assert lab == Endpoints("::1", 6000)
    assert len({lab, Endpoints("::1", 6000), Endpoints("::1")}) == 2
    with pytest.raises(FrozenInstanceError):
        lab.brokerBasePort = 1  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(lab)) == copy.deepcopy(lab) == lab


def test_repr_can_be_pasted() -> None:
    lab = Endpoints(V6, 6000)
    assert repr(lab) == (
        "Endpoints(brokerAddress='fe80::1%eth0', brokerBasePort=6000, transport='tcp')"
    )
    assert eval(repr(lab)) == lab


SPELLINGS = [
    ("lab", Endpoints("lab")),
    ("lab:6000", Endpoints("lab", 6000)),
    ("192.168.0.10:6000", Endpoints("192.168.0.10", 6000)),
    ("tcp://lab:6000", Endpoints("lab", 6000)),
    ("::1", Endpoints("::1")),
    ("::1:6000", Endpoints("::1:6000")),
    ("[::1]", Endpoints("::1")),
    ("[::1]:6000", Endpoints("::1", 6000)),
    ("tcp://[::1]:6000", Endpoints("::1", 6000)),
    (V6, Endpoints(V6)),
    (f"[{V6}]:6000", Endpoints(V6, 6000)),
    (f"tcp://[{V6}]:6000", Endpoints(V6, 6000)),
    ("ipc:///tmp/lab.5555", Endpoints("/tmp/lab", 5555, "ipc")),
    ("ipc:///tmp/lab.a.1", Endpoints("/tmp/lab.a", 1, "ipc")),
    ("inproc://lab.5555", Endpoints("lab", 5555, "inproc")),
    (Endpoints("lab", 6000), Endpoints("lab", 6000)),
]


@pytest.mark.parametrize(("address", "expected"), SPELLINGS)
def test_every_spelling(address: str | Endpoints, expected: Endpoints) -> None:
    assert parse_endpoints(address) == expected


@pytest.mark.parametrize(
    "endpoints", [Endpoints(*arguments) for arguments, _, _ in ADDRESSES if arguments != ("*",)]
)
def test_each_socket_finds_the_others(endpoints: Endpoints) -> None:
    assert parse_endpoints(endpoints.rocBroker) == endpoints
    assert parse_endpoints(endpoints.generalXSUB, "generalXSUB") == endpoints
    assert parse_endpoints(endpoints.generalXPUB, "generalXPUB") == endpoints


def test_the_port_after_a_bare_host_is_the_base_port_for_every_socket() -> None:
    assert parse_endpoints("lab:6000", "generalXPUB") == Endpoints("lab", 6000)
    assert parse_endpoints("lab", "generalXSUB") == Endpoints("lab")
    assert parse_endpoints(Endpoints("lab", 6000), "generalXSUB") == Endpoints("lab", 6000)


@pytest.mark.parametrize(
    ("address", "wildcard", "local", "ipv6"),
    [
        ("127.0.0.1", False, True, False),
        ("localhost", False, True, False),
        ("::1", False, True, True),
        ("192.168.0.10", False, False, False),
        (V6, False, False, True),
        ("lab", False, False, False),
        ("*", True, False, False),
        ("0.0.0.0", True, False, False),
        ("::", True, False, True),
    ],
)
def test_what_an_address_reaches(address: str, wildcard: bool, local: bool, ipv6: bool) -> None:
    endpoints = Endpoints(address)
    assert endpoints.is_wildcard is wildcard
    assert endpoints.is_local is local
    assert endpoints.is_ipv6 is ipv6


@pytest.mark.parametrize("arguments", [("/tmp/a:b", 1, "ipc"), ("0.0.0.0", 1, "inproc")])
def test_ipc_and_inproc_are_local_whatever_the_name(arguments: tuple[Any, ...]) -> None:
    endpoints = Endpoints(*arguments)
    assert endpoints.is_local
    assert not endpoints.is_wildcard
    assert not endpoints.is_ipv6


BAD_ADDRESSES = [
    ("", "names no host: write one like '127.0.0.1:5555'."),
    (" lab", "begins or ends with whitespace: write 'lab'"),
    ("lab\n", "begins or ends with whitespace: write 'lab'"),
    ("my lab", "'my lab' is not a host: write a name, an IPv4 or an IPv6 address"),
    ("lab\x1b[2J", r"'lab\x1b[2J' holds a control character"),
    ("lab\ud800", "control character"),
    ("lab..de", "is not a host"),
    ("-lab", "is not a host"),
    ("münchen", "is not a host"),
    ("a" * 64, "is not a host"),
    (".".join(["a" * 50] * 6), "is not a host"),
    ("/tmp/lab", "or a full address like 'ipc:///tmp/lab.5555'."),
    ("5555", "'5555' is not an IPv4 address: write four numbers like '192.168.0.10'."),
    ("192.168.0", "is not an IPv4 address"),
    ("192.168.0.300", "is not an IPv4 address"),
    ("192.168.000.010", "is not an IPv4 address"),
    (":5555", "names no host"),
    ("lab:", "'lab:' has '' for a port: that of the rocBroker is a number from 1 to 65533."),
    ("lab:http", "has 'http' for a port"),
    ("lab:0", "has '0' for a port: that of the rocBroker is a number"),
    ("lab:05555", "has '05555' for a port"),
    ("lab:65534", "that of the rocBroker is a number from 1 to 65533"),
    ("lab:-1", "has '-1' for a port"),
    ("lab:٥٥٥٥", "for a port"),
    ("lab:" + "9" * 5000, "for a port"),
    ("lab:6000:", "is not an IPv6 address: write one like '::1', or '[::1]:5555' with"),
    ("[::1", "'[::1' is not an address: write it like '[::1]:5555'."),
    ("[::1]6000", "is not an address: write it like '[::1]:5555'."),
    ("[lab]:6000", "'[lab]' is not an IPv6 address"),
    ("[127.0.0.1]", "is not an IPv6 address"),
    ("fe80::1%", "is not an IPv6 address"),
    ("fe80::1%a/b", "is not an IPv6 address"),
    ("tcp://lab", "has no port: write 'tcp://host:5555'"),
    ("tcp://::1", "with an IPv6 address in brackets, 'tcp://[::1]:5555'."),
    ("tcp://::1:5555", "with an IPv6 address in brackets, 'tcp://[::1]:5555'."),
    ("tcp://:5555", "names no host"),
    ("tcp://lab:*", "has '*' for a port"),
    ("tcp://lab:5555/", "has '5555/' for a port"),
    ("tcp://", "has no port"),
    ("tcpp://lab:5555", "'tcpp' is not a transport: write 'tcp'"),
    ("TCP://lab:5555", "'TCP' is not a transport: write 'tcp'"),
    ("in-proc://lab.5555", "is not a transport: write 'inproc'"),
    ("http://lab:5555", "'http' is not a transport: there are 'tcp', 'ipc' and 'inproc'"),
    ("://lab:5555", "'' is not a transport"),
    ("ipc:///tmp/lab", "does not end in a dot and a port: write it like 'ipc:///tmp/lab.5555'."),
    ("ipc:///tmp/lab.0", "has '0' for a port"),
    ("ipc:///tmp/lab.05555", "does not end in a dot and a port"),
    ("ipc://lab.5555", "'lab' is no address for ipc: write a path like '/tmp/lab' or './lab'."),
    ("ipc://*.5555", "'*' is no address for ipc"),
    ("inproc://lab", "write it like 'inproc://lab.5555'."),
    ("inproc://*.5555", "'*' is no address for inproc: write a name like 'lab'."),
    ("inproc://.5555", "'' is no address for inproc"),
    ("*", "'*' means every interface and can only be bound: to connect, name the broker's own"),
    ("tcp://0.0.0.0:5555", "'0.0.0.0' means every interface"),
    ("[::]:5555", "'::' means every interface"),
    (Endpoints("0.0.0.0"), "'0.0.0.0' means every interface"),
    (Endpoints("lab", 0), "Base port 0 lets the broker pick and can only be bound"),
    (5555, "A broker is named by an Endpoints or by text like 'host:5555', not by int."),
    (b"lab", "not by bytes"),
    (None, "not by NoneType"),
]


@pytest.mark.parametrize(("address", "complaint"), BAD_ADDRESSES)
def test_bad_address_says_what_would_be_right(address: Any, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_endpoints(address)
    text = str(caught.value)
    assert complaint in text
    assert text.endswith(".")
    assert text.isprintable()
    assert len(text) < 400


BAD_ARGUMENTS = [
    (("lab:6000",), "'lab:6000' is not a host: give the port on its own, as brokerBasePort"),
    (("tcp://lab:6000",), "is a full address: give host, base port and transport on their own"),
    ((None,), "A broker's address is text like '127.0.0.1', not NoneType"),
    (("lab", -1), "-1 is not a base port: it is a number from 1 to 65533"),
    (("lab", 65534), "because the broker takes the next two as well"),
    (("lab", "5555"), "'5555' is not a base port"),
    (("lab", 5555.0), "5555.0 is not a base port"),
    (("lab", True), "True is not a base port"),
    (("lab", 5555, "tpc"), "'tpc' is not a transport: write 'tcp'"),
    (("lab", 5555, None), "None is not a transport"),
    (("127.0.0.1", 5555, "ipc"), "'127.0.0.1' is no address for ipc: write a path"),
    (("/tmp/\0lab", 5555, "ipc"), "holds a control character"),
]


@pytest.mark.parametrize(("arguments", "complaint"), BAD_ARGUMENTS)
def test_bad_argument_says_what_would_be_right(arguments: Any, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Endpoints(*arguments)
    assert complaint in str(caught.value)


class Port:
    """A number of another library, such as numpy's."""

    def __index__(self) -> int:
        return 6000


def test_a_number_of_another_library_becomes_an_int() -> None:
    assert type(Endpoints("lab", Port()).brokerBasePort) is int  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("letter", "size", "base", "fits"),
    [
        ("a", 102, 9997, True),
        ("a", 103, 9997, False),
        ("a", 102, 9998, False),  # the third port has a digit more
        ("a", 101, 9998, True),
        ("a", 101, 0, True),
        ("a", 102, 0, False),  # the broker may pick any port
        ("é", 102, 9997, True),
        ("é", 104, 9997, False),
    ],
)
def test_ipc_path_length(
    monkeypatch: pytest.MonkeyPatch, letter: str, size: int, base: int, fits: bool
) -> None:
    monkeypatch.setattr(module, "_IPC_LIMIT", 107)
    width = len(letter.encode())
    path = "/" + letter * ((size - 1) // width) + "b" * ((size - 1) % width)
    if fits:
        assert Endpoints(path, base, "ipc").brokerAddress == path
    else:
        with pytest.raises(ConfigError, match=r"bytes and the system allows 107: choose a sh"):
            Endpoints(path, base, "ipc")


hosts = st.one_of(
    st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z][a-z0-9]{0,20}){0,3}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)


@given(hosts, st.integers(1, MAX_BASE_PORT))
def test_what_is_written_is_read_back(host: str, base: int) -> None:
    endpoints = Endpoints(host, base)
    if endpoints.is_wildcard:
        with pytest.raises(ConfigError, match="every interface"):
            parse_endpoints(endpoints.rocBroker)
    else:
        assert parse_endpoints(endpoints.generalXPUB, "generalXPUB") == endpoints


@given(
    st.one_of(
        st.text(),
        st.text(":/.[]%*0123456789abcip \n", max_size=24),
        st.text(max_size=20).map("tcp://{}".format),
        st.text(max_size=20).map("ipc://{}.5555".format),
    ),
    st.sampled_from(["rocBroker", "generalXSUB", "generalXPUB"]),
)
@example("tcp://:" + "1" * 6000, "rocBroker")
@example("[]:1", "rocBroker")
@example("tcp://lab:1", "generalXPUB")
def test_any_text_gives_endpoints_or_a_config_error(text: str, names: Any) -> None:
    try:
        endpoints = parse_endpoints(text, names)
    except ConfigError:
        return
    assert parse_endpoints(getattr(endpoints, names), names) == endpoints
    assert 1 <= endpoints.brokerBasePort <= MAX_BASE_PORT


def test_import_brings_in_nothing_slow() -> None:
    script = (
        "import sys; from runmacs.roc.endpoints import Endpoints;"
        "print({'zmq', 'ipaddress', 'difflib', 'socket'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.stdout == "set()\n", run.stderr
