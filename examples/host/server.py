"""Share a module that nobody here wrote: psutil, as it is, under the object id ``host``.

    rocbroker                           # in one terminal
    python examples/host/server.py      # in another
    python examples/host/client.py      # in a third

A shared module offers what its ``__all__`` names and no more: its functions and
constants, but none of its classes, and nothing that it has merely imported.

Needs psutil.
"""

from __future__ import annotations

import psutil

from runmacs.roc.servers import run_simple_server


def main() -> None:
    run_simple_server("host", psutil)


if __name__ == "__main__":
    main()
