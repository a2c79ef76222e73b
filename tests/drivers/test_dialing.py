"""Addresses of the system's sockets."""

from __future__ import annotations

import subprocess
import sys


def test_nothing_is_left_to_be_imported_by_the_first_connection() -> None:
    """A fork in the midst of that import would leave a child that can look up no address."""
    code = (
        "import builtins, runmacs.roc._drivers.dialing as dialing\n"
        "from runmacs.roc import Endpoints\n"
        "where = Endpoints('127.0.0.1')\n"
        "def refuse(name, *rest): raise ImportError(name)\n"
        "builtins.__import__ = refuse\n"
        "print(dialing.addresses_of(where, where.rocBroker)[0][1])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "('127.0.0.1', 5555)", ran.stderr
