"""What a stock client can find out: who serves under a name, and what the broker tells."""

from __future__ import annotations

import json
from typing import Any

from interop.stock import dealer_client
from waiting import wait_until


def until_known(address: str, name: bytes, code: bytes = b"200", timeout: float = 30.0) -> None:
    """Wait until ``mmi.service`` answers ``code`` for this name."""

    def is_so() -> bool:
        return dealer_client(address, b"mmi.service", name) == [code]

    wait_until(is_so, timeout, f"mmi.service {name!r} is {code!r}")


def ask_the_broker(address: str, method: str) -> Any:
    """The result of a method of ``roc.broker`` that takes no arguments."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method}).encode()
    return json.loads(dealer_client(address, b"roc.broker", body)[0])["result"]
