"""What `roc doctor` looks at, from the inside outwards: each check a function.

Rules:

* A check yields what it found, and an advice where something can be done. It changes nothing.
* What makes all later checks vain ends them.
"""

from __future__ import annotations

import platform
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from .. import __version__, errors
from ..client import RocClient
from ..config import configuration, describe_file, lookup, resolve_broker, unread_variables
from ..endpoints import Endpoints
from ..status import StatusTree
from ..wire import mdp
from .names import BROKER
from .terminal import to_install
from .words import ago

__all__ = ["FAIL", "NOTE", "OK", "Finding", "examine"]

OK: Final = "ok"
NOTE: Final = "note"
FAIL: Final = "fail"

_BUFFER: Final = 4 * 1024 * 1024
_DESCRIPTORS: Final = 4096
_CLOCKS: Final = 0.5
_EXTRAS: Final = {
    "numpy": ("numpy", "arrays"),
    "rich": ("cli", "colours and live screens"),
    "textual": ("top", "roc top"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    check: str
    result: str
    found: str
    advice: str = ""


def examine(broker: str | None, timeout: float) -> Iterator[Finding]:
    """All checks, as far as they make sense."""
    yield from _versions()
    try:
        yield from _configuration()
        endpoints = resolve_broker(broker)
    except errors.ConfigError as error:
        yield Finding("configuration", FAIL, str(error), "Correct it; all else depends on it.")
        return
    yield _address(broker, endpoints)
    yield from _limits()
    if endpoints.transport == "tcp":
        ports = list(_ports(endpoints, timeout))
        yield from ports
        if any(finding.result == FAIL for finding in ports):
            return
    with RocClient(endpoints, timeout=timeout) as client:
        yield from _broker(client)


# ---- this computer


def _versions() -> Iterator[Finding]:
    import zmq

    python = platform.python_version()
    yield Finding(
        "versions",
        OK,
        f"roc {__version__}, Python {python}, pyzmq {zmq.__version__} with"
        f" libzmq {zmq.zmq_version()}, {platform.system()} {platform.release()}",
    )
    for package, (extra, what) in _EXTRAS.items():
        try:
            yield Finding("extras", OK, f"{package} {version(package)}: {what}")
        except PackageNotFoundError:
            yield Finding("extras", NOTE, f"no {package}, for {what}", to_install(extra))


def _configuration() -> Iterator[Finding]:
    configuration()
    yield Finding("configuration", OK, describe_file())
    for variable, meant in unread_variables().items():
        yield Finding("configuration", NOTE, f"{variable} is not read", f"Did you mean {meant}?")


def _address(broker: str | None, endpoints: Endpoints) -> Finding:
    source = "--broker" if broker else lookup("broker").source
    return Finding("address", OK, f"{endpoints.rocBroker}, from {source}")


def _limits() -> Iterator[Finding]:
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < 256 or (soft < _DESCRIPTORS and soft < hard):
            yield Finding(
                "buffers",
                NOTE,
                f"{soft} open files at most, one for each connection",
                f"On the broker's computer: ulimit -n {min(hard, _DESCRIPTORS)}",
            )
    for name in ("rmem_max", "wmem_max"):
        try:
            size = int(Path(f"/proc/sys/net/core/{name}").read_text())
        except (OSError, ValueError):
            continue
        small = size < _BUFFER
        yield Finding(
            "buffers",
            NOTE if small else OK,
            f"net.core.{name} is {size / 1e6:.1f} MB",
            f"For large arrays over a network: sysctl -w net.core.{name}={_BUFFER}"
            if small
            else "",
        )


# ---- the way to the broker


def _ports(endpoints: Endpoints, timeout: float) -> Iterator[Finding]:
    host = endpoints.brokerAddress
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        yield Finding(
            "ports",
            FAIL,
            f"{host} is not known: no name server has it",
            "Write its IP address, or correct the name.",
        )
        return
    names = ("rocBroker", "generalXSUB", "generalXPUB")
    for offset, name in enumerate(names):
        port = endpoints.brokerBasePort + offset
        problem = _problem(host, port, timeout)
        if problem is None:
            yield Finding("ports", OK, f"{host}:{port} is open, for {name}")
        else:
            yield Finding("ports", FAIL, f"{host}:{port} ({name}): {problem[0]}", problem[1])
            return


def _problem(host: str, port: int, timeout: float) -> tuple[str, str] | None:
    try:
        socket.create_connection((host, port), timeout).close()
    except ConnectionRefusedError:
        return "nobody listens there", (
            f"Run `rocbroker` on {host}. If one runs there, it may be bound to its own"
            " computer only (`rocbroker --bind 0.0.0.0` is for all), or to other ports."
        )
    except TimeoutError:
        return "no answer", (
            "That computer is off, cut off, or a firewall drops the packets: let the three ports"
            " through."
        )
    except OSError as error:
        return str(error.strerror or error), "Is there a network, and a way to that computer?"
    return None


# ---- the broker


def _broker(client: RocClient) -> Iterator[Finding]:
    where = client.address
    began = time.time()
    try:
        facts = client.call_object(BROKER, "rpc.ping")
    except errors.BrokerUnreachable:
        yield Finding(
            "ports",
            FAIL,
            f"{where}: something listens there, and does not answer as a broker",
            "Look what that is; a broker's address is that of its first port.",
        )
        return
    except (errors.ObjectNotFound, errors.CallTimeout):
        yield Finding(
            "broker",
            NOTE,
            f"{where}: a broker of 7/MDP, and not ROC's",
            "Calls work, with less comfort; there is neither status nor log.",
        )
        return
    if facts.get("version") != mdp.VERSION:
        yield Finding(
            "broker",
            FAIL,
            f"it speaks protocol {facts.get('version')}, and we {mdp.VERSION}",
            "Install the same version of ROC on both.",
        )
    same = facts.get("software") == __version__
    yield Finding(
        "broker",
        OK if same else NOTE,
        f"{where}: rocbroker {facts.get('software')}",
        "" if same else f"This is {__version__}; the same everywhere is less to wonder about.",
    )
    trips = []
    for _ in range(20):
        at = time.perf_counter()
        client.call_object(f"{BROKER}!", "rpc.ping")
        trips.append(time.perf_counter() - at)
    yield Finding("round trip", OK, f"{sorted(trips)[10] * 1000:.2f} ms (median of 20)")
    yield from _clock(client)
    yield _publications(client, began)
    yield from _counters(client.call_object(BROKER, "stats"))
    yield from _objects(client.call_object(BROKER, "objects"))


def _clock(client: RocClient) -> Iterator[Finding]:
    before = time.time()
    stats = client.call_object(BROKER, "stats")
    after = time.time()
    if not isinstance(stats.get("time"), float):
        return
    offset = stats["time"] - (before + after) / 2
    large = abs(offset) > _CLOCKS + (after - before)
    yield Finding(
        "clock",
        NOTE if large else OK,
        f"the broker's is {abs(offset) * 1000:.1f} ms {'ahead' if offset > 0 else 'behind'}",
        "Calls do not mind, but times in the log do: run chrony or NTP on both." if large else "",
    )


def _publications(client: RocClient, began: float) -> Finding:
    with StatusTree(client.endpoints, "roc.objects") as tree:
        if tree.connected:
            return Finding("publications", OK, "status and log can be followed")
    return Finding(
        "publications",
        FAIL,
        "nothing comes from its generalXPUB",
        "Let all three ports through, not the first alone.",
    )


_TOLD: Final = {
    "dropped_full": "Somebody calls faster than the object answers, or does not wait for answers.",
    "dropped_subscriber": "A subscriber reads too slowly; it gets the current values later.",
    "dropped_updates_leaves_full": "The status tree is full: status_leaves allows more.",
    "dropped_updates_malformed": "A publisher sends what is no update; see spec/status.md.",
    "dropped_updates_reserved": "A publisher uses a path that begins with `roc`: rename it.",
}


def _counters(stats: dict[str, Any]) -> Iterator[Finding]:
    odd = {
        name: count
        for name, count in stats.items()
        if name.startswith(("dropped", "refused")) and isinstance(count, int) and count
    }
    if not odd:
        yield Finding("counters", OK, f"nothing was dropped or refused in {ago(stats['uptime'])}")
    for name, count in odd.items():
        advice = next((text for key, text in _TOLD.items() if name.startswith(key)), "")
        yield Finding("counters", NOTE, f"{name}: {count}", advice)


def _objects(objects: list[dict[str, Any]]) -> Iterator[Finding]:
    serving = [entry for entry in objects if entry["state"] == "serving"]
    yield Finding("objects", OK, f"{len(serving)} serving")
    for entry in objects:
        if entry["state"] == "stalled":
            yield Finding(
                "objects",
                NOTE,
                f"{entry['id']} is stalled: its process is silent",
                f"Look at pid {entry['pid']} on {entry['host']}: does a driver hold Python?",
            )
        elif entry["state"] == "absent" and entry["queued"]:
            yield Finding(
                "objects",
                NOTE,
                f"{entry['queued']} calls wait for {entry['id']}, which is not there",
                "Start its server.",
            )
        if entry["state"] == "serving" and entry["queued"] > 100:
            yield Finding(
                "objects",
                NOTE,
                f"{entry['queued']} calls wait for {entry['id']}",
                "It is slower than those who call it.",
            )
