"""Ask another computer how it is: psutil over there, called from here.

    python examples/host/client.py                  # the broker on this computer
    python examples/host/client.py 192.168.0.10     # the broker on another one

Shows what becomes of values that only Python knows: named tuples arrive as dicts,
enums as their values, exceptions as themselves.
"""

from __future__ import annotations

import sys
from typing import Any

from runmacs.roc import Endpoints, RocClient


def main() -> None:
    broker = Endpoints(sys.argv[1]) if len(sys.argv) > 1 else None
    with RocClient(broker) as c:
        host = c["host"]
        print(f"processors: {host.cpu_count()}, busy: {host.cpu_percent(interval=0.1)} %")

        memory = host.virtual_memory()  # a named tuple over there, a dict here
        print(f"memory: {memory['total'] / 2**30:.1f} GiB, used: {memory['percent']} %")

        for name, addresses in host.net_if_addrs().items():
            # family is an enum over there, its value here
            known = ", ".join(f"{each['address']} ({each['family']})" for each in addresses)
            print(f"{name}: {known}")

        show_errors(host)


def show_errors(host: Any) -> None:
    """What goes wrong over there is raised here, as the builtin exception that it is."""
    try:
        host.disk_usage("/no/such/folder")
    except FileNotFoundError as error:
        print("no folder:", error)
    try:
        host.cpu_percent(interval=-1)
    except ValueError as error:
        print("no interval:", error)
    try:
        host.os.getcwd()  # psutil imports os, but does not offer it
    except AttributeError as error:
        print("no way to os:", error)


if __name__ == "__main__":
    main()
