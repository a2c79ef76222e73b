"""Endpoints: where the three sockets of a broker are.

Rules:

* A broker takes three consecutive ports: ``rocBroker`` for calls, ``generalXSUB``
  where updates and records go in, ``generalXPUB`` where they come out.  ipc and
  inproc have no ports; there the number ends the name: ``ipc:///tmp/lab.5555``.
* Text in, Endpoints out, and back.  Nothing here looks up a name or opens a socket.
* Wildcards and base port 0 are for binding; as an address to connect to they are refused.
* Bad input is a ConfigError of one sentence that says what would be right.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, Final, Literal

from .errors import ConfigError

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

__all__ = ["DEFAULT_BASE_PORT", "MAX_BASE_PORT", "TRANSPORTS", "Endpoints", "parse_endpoints"]

DEFAULT_BASE_PORT: Final = 5555
MAX_BASE_PORT: Final = 65533
TRANSPORTS: Final = ("tcp", "ipc", "inproc")

SocketName = Literal["rocBroker", "generalXSUB", "generalXPUB"]
_OFFSETS: Final[dict[SocketName, int]] = {"rocBroker": 0, "generalXSUB": 1, "generalXPUB": 2}

# What the socket address of the system holds, less its closing zero.
_IPC_LIMIT: Final = 103 if sys.platform == "darwin" else 107

_HOST_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.(?!-)[A-Za-z0-9_-]{1,63})*\.?")
_IPV6: Final = re.compile(r"[0-9A-Fa-f:.]+(%[A-Za-z0-9_.:-]+)?")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,4}")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses of one broker: immutable, hashable, equal when written alike.

    ``brokerAddress`` is a name, an IPv4 or an IPv6 address; for ipc the beginning
    of a path, for inproc that of a name.  ``brokerBasePort`` is the first of three
    consecutive numbers, 1 to 65533, or 0 to let a broker pick when it binds.
    Anything else raises ConfigError.

        >>> lab = Endpoints("192.168.0.10")
        >>> lab.rocBroker, lab.generalXSUB
        ('tcp://192.168.0.10:5555', 'tcp://192.168.0.10:5556')
        >>> Endpoints("/tmp/lab", 5555, "ipc").rocBroker
        'ipc:///tmp/lab.5555'
    """

    brokerAddress: str
    brokerBasePort: int = DEFAULT_BASE_PORT
    transport: str = "tcp"

    def __post_init__(self) -> None:
        transport = _checked_transport(self.transport)
        port = _checked_base_port(self.brokerBasePort)
        address = _checked_address(self.brokerAddress, transport)
        if transport == "ipc":
            _check_ipc_length(address, port)
        object.__setattr__(self, "brokerAddress", address)
        object.__setattr__(self, "brokerBasePort", port)
        object.__setattr__(self, "transport", transport)

    @property
    def rocBroker(self) -> str:
        """The ZeroMQ address for calls."""
        return self._address_of("rocBroker")

    @property
    def generalXSUB(self) -> str:
        """The ZeroMQ address that updates and log records are published to."""
        return self._address_of("generalXSUB")

    @property
    def generalXPUB(self) -> str:
        """The ZeroMQ address that updates and log records are subscribed at."""
        return self._address_of("generalXPUB")

    @property
    def is_ipv6(self) -> bool:
        """Whether the address is a numeric IPv6 one: its sockets need ``ZMQ_IPV6``."""
        return self.transport == "tcp" and ":" in self.brokerAddress

    @property
    def is_wildcard(self) -> bool:
        """Whether the address stands for every interface, and so can only be bound."""
        if self.transport != "tcp":
            return False
        ip = _ip_address(self.brokerAddress)
        return self.brokerAddress == "*" or (ip is not None and ip.is_unspecified)

    @property
    def is_local(self) -> bool:
        """Whether only this computer can reach the address."""
        if self.transport != "tcp":
            return True
        ip = _ip_address(self.brokerAddress)
        return self.brokerAddress == "localhost" or (ip is not None and ip.is_loopback)

    def _address_of(self, socket: SocketName) -> str:
        # Base port 0 has no successors: all three are still to be picked.
        port = self.brokerBasePort + _OFFSETS[socket] if self.brokerBasePort else 0
        if self.transport == "tcp":
            host = f"[{self.brokerAddress}]" if self.is_ipv6 else self.brokerAddress
            return f"tcp://{host}:{port}"
        return f"{self.transport}://{self.brokerAddress}.{port}"


def parse_endpoints(address: Endpoints | str, names: SocketName = "rocBroker") -> Endpoints:
    """The Endpoints to connect to, from any spelling.

    A full ZeroMQ address is that of the socket ``names``, and the other two follow
    by port; in ``host:port`` the port is always the base port.

        >>> parse_endpoints("tcp://lab:5556", "generalXSUB").rocBroker
        'tcp://lab:5555'
        >>> parse_endpoints("[::1]:6000").generalXPUB
        'tcp://[::1]:6002'

    Raises:
        ConfigError: no such address, or one that can only be bound.
    """
    if isinstance(address, Endpoints):
        endpoints = address
    elif isinstance(address, str):
        endpoints = _parse_text(_checked_text(address), names)
    else:
        raise ConfigError(
            "A broker is named by an Endpoints or by text like 'host:5555',"
            f" not by {type(address).__name__}."
        )
    if endpoints.is_wildcard:
        raise ConfigError(
            f"{_shown(endpoints.brokerAddress)} means every interface and can only be bound:"
            " to connect, name the broker's own address, like '192.168.0.10' or '127.0.0.1'."
        )
    if endpoints.brokerBasePort == 0:
        raise ConfigError(
            "Base port 0 lets the broker pick and can only be bound:"
            " to connect, use the ports that the broker says it took."
        )
    return endpoints


def _parse_text(text: str, names: SocketName) -> Endpoints:
    transport, separator, rest = text.partition("://")
    if not separator:
        host, port = _split_port(text)
        if port is None:
            return Endpoints(host)
        return Endpoints(host, _base_port(port, "rocBroker", text))
    if _checked_transport(transport) == "tcp":
        name, port = _split_port(rest)
        if port is None:
            raise ConfigError(
                f"{_shown(text)} has no port: write 'tcp://host:5555',"
                " with an IPv6 address in brackets, 'tcp://[::1]:5555'."
            )
    else:
        name, dot, port = rest.rpartition(".")
        if not dot or not _NUMBER.fullmatch(port):
            raise ConfigError(
                f"{_shown(text)} does not end in a dot and a port:"
                f" write it like {_example(transport)!r}."
            )
    return Endpoints(name, _base_port(port, names, text), transport)


def _split_port(text: str) -> tuple[str, str | None]:
    """Host and port; a bare IPv6 address, which has two colons and more, is all host."""
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        if bracket and (not rest or rest.startswith(":")):
            return host + bracket, rest[1:] if rest else None
        raise ConfigError(f"{_shown(text)} is not an address: write it like '[::1]:5555'.")
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, port
    return text, None


def _base_port(port: str, names: SocketName, text: str) -> int:
    offset = _OFFSETS[names]
    low, high = 1 + offset, MAX_BASE_PORT + offset
    if _NUMBER.fullmatch(port) and low <= int(port) <= high:
        return int(port) - offset
    raise ConfigError(
        f"{_shown(text)} has {_shown(port)} for a port:"
        f" that of the {names} is a number from {low} to {high}."
    )


def _checked_transport(transport: object) -> str:
    if isinstance(transport, str) and transport in TRANSPORTS:
        return str(transport)
    from difflib import get_close_matches

    near = get_close_matches(str(transport).lower(), TRANSPORTS, 1)
    wanted = f"write {near[0]!r}" if near else "there are 'tcp', 'ipc' and 'inproc'"
    raise ConfigError(f"{_shown(transport)} is not a transport: {wanted}.")


def _checked_base_port(port: object) -> int:
    try:
        number = -1 if isinstance(port, bool) else index(port)  # type: ignore[arg-type]
    except TypeError:
        number = -1
    if 0 <= number <= MAX_BASE_PORT:
        return number
    raise ConfigError(
        f"{_shown(port)} is not a base port: it is a number from 1 to {MAX_BASE_PORT},"
        " because the broker takes the next two as well, or 0 to let a broker pick."
    )


def _checked_address(address: object, transport: str) -> str:
    if not isinstance(address, str):
        raise ConfigError(
            f"A broker's address is text like '127.0.0.1', not {type(address).__name__}."
        )
    text = _checked_text(address)
    if "://" in text:
        raise ConfigError(
            f"{_shown(text)} is a full address: give host, base port and transport"
            " on their own, like Endpoints('host', 5555, 'tcp')."
        )
    if transport == "tcp":
        return _checked_host(text)
    is_path = text.startswith("@") or "/" in text or "\\" in text
    if not text or text == "*" or (transport == "ipc" and not is_path):
        wanted = "path like '/tmp/lab' or './lab'" if transport == "ipc" else "name like 'lab'"
        raise ConfigError(f"{_shown(text)} is no address for {transport}: write a {wanted}.")
    return text


def _checked_host(host: str) -> str:
    """A tcp host as it is kept: an IPv6 address without its brackets."""
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    if bracketed or bare.count(":") > 1:
        if _IPV6.fullmatch(bare) and ":" in bare and _ip_address(bare):
            return bare
        raise ConfigError(
            f"{_shown(host)} is not an IPv6 address:"
            " write one like '::1', or '[::1]:5555' with a port."
        )
    if not host:
        raise ConfigError("The address names no host: write one like '127.0.0.1:5555'.")
    if ":" in host:
        raise ConfigError(
            f"{_shown(host)} is not a host: give the port on its own, as brokerBasePort."
        )
    if not host.strip("0123456789.") and not _ip_address(host):
        raise ConfigError(
            f"{_shown(host)} is not an IPv4 address: write four numbers like '192.168.0.10'."
        )
    if host == "*" or (_HOST_NAME.fullmatch(host) and len(host) <= 253):
        return host
    raise ConfigError(
        f"{_shown(host)} is not a host: write a name, an IPv4 or an IPv6 address,"
        " or a full address like 'ipc:///tmp/lab.5555'."
    )


def _checked_text(text: str) -> str:
    if text != text.strip():
        raise ConfigError(
            f"{_shown(text)} begins or ends with whitespace: write {_shown(text.strip())}."
        )
    # This refuses lone surrogates too, which cannot be encoded for the socket.
    if not text.isprintable():
        raise ConfigError(f"{_shown(text)} holds a control character: write it without.")
    return str(text)


def _check_ipc_length(path: str, base_port: int) -> None:
    ending = f".{base_port + 2}" if base_port else ".65535"
    length = len((path + ending).encode())
    if length > _IPC_LIMIT:
        raise ConfigError(
            f"The ipc path {_shown(path + ending)} has {length} bytes and the system allows"
            f" {_IPC_LIMIT}: choose a shorter one, like '/tmp/lab'."
        )


def _ip_address(host: str) -> IPv4Address | IPv6Address | None:
    from ipaddress import ip_address

    try:
        return ip_address(host)
    except ValueError:
        return None


def _example(transport: str) -> str:
    return "ipc:///tmp/lab.5555" if transport == "ipc" else "inproc://lab.5555"


def _shown(value: object) -> str:
    """The value as an error shows it: escaped, and never longer than a line or two."""
    text = repr(value)
    return text if len(text) <= 160 else f"{text[:120]}...{text[-20:]}"
