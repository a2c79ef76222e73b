"""What `roc web` was told, and its limits.

Rules:

* Every limit stands here, with what happens beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from ..endpoints import Endpoints

__all__ = ["DEFAULT_PORT", "Limits", "Settings", "is_loopback"]

DEFAULT_PORT: Final = 8555


@dataclass(frozen=True)
class Limits:
    """How much one server takes.

    Attributes:
        body: bytes of a request or of a message from a page; more is refused (413).
        requests: a second, from one address; more is refused (429).
        burst: requests that may come at once before that.
        failures: wrong tokens a minute, from one address; then it is refused for a while.
        pages: WebSockets and event streams at once; more are refused (503).
        calls: that one page, or batch, may have under way; more is an error.
        records: of the log that are kept; the oldest go.
        waiting: records that may wait for one page; then the page is told how many it lost.
        answers: bytes of answers that may wait for one page; then it is disconnected.
    """

    body: int = 16 * 1024 * 1024
    requests: float = 200.0
    burst: float = 400.0
    failures: float = 20.0
    pages: int = 64
    calls: int = 32
    records: int = 50_000
    waiting: int = 50_000
    answers: int = 512 * 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """How one web server is set up.

    Attributes:
        endpoints: the broker that it shows.
        host, port: where it listens; port 0 takes a free one.
        token: who has it may do everything; empty where none was asked for, on loopback only.
        hosts: more names that a browser may call it by.
        readonly: nothing is set, and no method is called.
        timeout: seconds that a call may take, if its caller does not say otherwise.
    """

    endpoints: Endpoints
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str = ""
    hosts: tuple[str, ...] = ()
    readonly: bool = False
    timeout: float = 10.0
    limits: Limits = field(default_factory=Limits)

    @property
    def loopback(self) -> bool:
        """Whether only this computer reaches it."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host is this computer, for itself alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
