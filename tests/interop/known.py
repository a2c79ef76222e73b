"""What a stock client can find out: whether somebody serves under a name."""

from __future__ import annotations

from interop.stock import dealer_client
from waiting import wait_until


def until_known(address: str, name: bytes, code: bytes = b"200", timeout: float = 10.0) -> None:
    """Wait until ``mmi.service`` answers ``code`` for this name."""

    def is_so() -> bool:
        return dealer_client(address, b"mmi.service", name) == [code]

    wait_until(is_so, timeout, f"mmi.service {name!r} is {code!r}")
