"""A server process of a peer: `python -m benchmarks.serve PEER ROLE [WORD ...]`.

It prints one line, the address that clients or the next process need.
"""

from __future__ import annotations

import contextlib
import signal
import sys

from . import peers


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    name, role, *words = sys.argv[1:]
    with contextlib.suppress(KeyboardInterrupt):
        peers.load(name).ROLES[role](*words)


if __name__ == "__main__":
    main()
