"""Tell everybody how this computer is: real figures of psutil, once a second.

    rocbroker                           # in one terminal
    python examples/host/monitor.py     # in another, on each computer of the laboratory

The figures stand in the status tree under ``host.`` and the computer's name. Anybody may
follow them; what a computer said last stays there, and is stale when it says no more.

Needs psutil.
"""

from __future__ import annotations

import contextlib
import socket
import time

import psutil

from runmacs.roc import RocStatusUpdater

EVERY = 1.0  # s


def figures() -> dict[str, object]:
    """What is measured: shares in percent, bytes a second, seconds."""
    disk, network = psutil.disk_usage("/"), psutil.net_io_counters()
    return {
        "cpu": psutil.cpu_percent(),
        "memory": psutil.virtual_memory().percent,
        "disk": disk.percent,
        "load": list(psutil.getloadavg()),
        "sent": network.bytes_sent,
        "received": network.bytes_recv,
        "uptime": round(time.time() - psutil.boot_time()),
    }


def main() -> None:
    path = "host." + socket.gethostname().replace(".", "-")
    with RocStatusUpdater() as updater, contextlib.suppress(KeyboardInterrupt):
        for name in ("cpu", "memory", "disk"):
            updater.describe(f"{path}.{name}", unit="%", limits=(0, 95))
        updater.describe(f"{path}.uptime", unit="s", description="since it was switched on")
        psutil.cpu_percent()  # the first one measures from here
        while True:
            time.sleep(EVERY)
            updater.emit(path, figures())


if __name__ == "__main__":
    main()
