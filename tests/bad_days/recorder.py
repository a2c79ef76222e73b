"""An object that writes down what it begins, and the process that serves it.

python recorder.py --broker tcp://127.0.0.1:5555 --id recorder --journal begun.txt

The journal is the truth about what was executed: it is written before anything else is
done, by one system call that no kill can halve.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from runmacs.roc.servers import run_simple_server


class Recorder:
    """Begins what it is told to; a number that stands in the journal twice was begun twice."""

    def __init__(self, journal: Path) -> None:
        self._journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._let_go = journal.with_name("let_go")
        self.pid = os.getpid()

    def begin(self, number: int, seconds: float = 0.0) -> int:
        """Write the number down, take some time, and return it."""
        os.write(self._journal, b"%d\n" % number)
        if seconds:
            time.sleep(seconds)
        return number

    def hold(self, number: int) -> int:
        """Write the number down, and return it once there is a file ``let_go`` beside it."""
        os.write(self._journal, b"%d\n" % number)
        while not self._let_go.exists():
            time.sleep(0.002)
        return number

    def echo(self, value: object) -> object:
        return value

    def block(self, megabytes: int) -> bytes:
        return bytes(megabytes * 1_000_000)

    def text(self, megabytes: int) -> str:
        return "x" * (megabytes * 1_000_000)

    def complain(self, megabytes: int) -> None:
        raise ValueError("x" * (megabytes * 1_000_000))

    def size(self, value: bytes | str) -> int:
        return len(value)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--broker", required=True)
    parser.add_argument("--id", default="recorder")
    parser.add_argument("--journal", type=Path, required=True)
    options = parser.parse_args()
    run_simple_server(options.id, Recorder(options.journal), broker=options.broker)
