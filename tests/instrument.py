"""An instrument with a member of every sort, and the process that serves it.

python instrument.py --broker tcp://127.0.0.1:5555 --id vnir --journal begun.txt

The journal is the truth about what was executed: it is written before anything else is
done, by one system call that no kill can halve.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from processes import BrokerProcess, Child, Spawner, start_broker
from runmacs.roc import Endpoints, RocClient, errors
from runmacs.roc.servers import run_simple_server
from waiting import wait_until

__all__ = ["Bench", "Instrument", "held", "standing_bench"]


LET_GO = "let_go"
"""The file beside the journal that ends every `Instrument.hold`."""


class Lens:
    """Nested."""

    def __init__(self) -> None:
        self.position = 0

    def move(self, steps: int) -> int:
        self.position += steps
        return self.position


class Instrument:
    """Begins what it is told to; a number that stands in the journal twice was begun twice."""

    model = "VNIR"

    def __init__(self, journal: Path) -> None:
        self._journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._let_go = journal.with_name(LET_GO)
        self.pid = os.getpid()
        self._set_up()

    def _set_up(self) -> None:
        self._gain = 1
        self.fps = 10.0
        self.lens = Lens()

    def reset(self) -> None:
        """Be as at first, and empty the journal."""
        os.ftruncate(self._journal, 0)
        self._set_up()

    @property
    def gain(self) -> int:
        return self._gain

    @gain.setter
    def gain(self, value: int) -> None:
        if value < 1:
            raise ValueError("gain is 1 or more")
        self._gain = value

    @property
    def temperature(self) -> float:
        """Has no setter."""
        return 20.5

    @property
    def broken(self) -> float:
        raise OSError(5, "no sensor")

    def __call__(self, value: Any, /, **options: Any) -> Any:
        return value, options

    def begin(self, number: int, seconds: float = 0.0) -> int:
        """Write the number down, take some time, and return it."""
        os.write(self._journal, b"%d\n" % number)
        if seconds:
            time.sleep(seconds)
        return number

    def hold(self, number: int) -> int:
        """Write the number down, and return it once the test says so: see `Bench.let_go`."""
        os.write(self._journal, b"%d\n" % number)
        while not self._let_go.exists():
            time.sleep(0.002)
        return number

    def echo(self, value: Any) -> Any:
        return value

    def options(self, **options: Any) -> dict[str, Any]:
        return options

    def add(self, left: int, right: int = 1, *, sign: int = 1) -> int:
        return sign * (left + right)

    def frame(self, rows: int, columns: int) -> np.ndarray[Any, Any]:
        return np.arange(rows * columns, dtype="<u2").reshape(rows, columns)

    def fail(self, message: str) -> None:
        raise ValueError(message)

    def unsendable(self) -> object:
        return len


class Bench:
    """Starts instruments in processes of their own, and reads what they have begun.

    Attributes:
        broker: where they are shared.
        process: the broker itself.
    """

    def __init__(self, spawn: Spawner, process: BrokerProcess) -> None:
        self.spawn = spawn
        self.process = process
        self.broker: Endpoints = process.endpoints
        self._journal = spawn.directory / "begun.txt"
        self._let_go = spawn.directory / LET_GO

    def serve(self, object_id: str = "vnir", name: str = "") -> Child:
        """Start a server; it may not be there yet when this returns."""
        options = ["--broker", self.broker.rocBroker, "--id", object_id]
        options += ["--journal", str(self._journal)]
        return self.spawn(Path(__file__), *options, name=name)

    def cleared(self) -> Bench:
        """The bench, with the instrument as it was at first, and done with what it did."""

        def is_cleared() -> bool:
            try:
                client.wait_for("vnir").reset()
            except errors.RocError:
                return False  # the whole computer stood still, perhaps
            return True

        self.let_go()
        with RocClient(self.broker, timeout=40) as client:
            wait_until(is_cleared, 40, "the instrument is as it was at first")
        self._let_go.unlink()
        return self

    def let_go(self) -> None:
        """End `Instrument.hold`, until the bench is cleared."""
        self._let_go.touch()

    def begun(self) -> list[int]:
        """The numbers that all instruments of this test have begun so far, in order."""
        journal = self._journal
        return [int(line) for line in journal.read_text().split()] if journal.exists() else []

    def has_begun(self, number: int) -> Callable[[], bool]:
        """Whether this number was begun, as a condition to wait for."""
        return lambda: number in self.begun()


def held(client: RocClient, object_id: str = "vnir") -> int:
    """How many calls the server of an object holds, begun or not."""
    objects = {entry["id"]: entry for entry in client["roc.broker"].objects()}
    return int(objects[object_id]["servers"][0]["running"])


@contextmanager
def standing_bench(directory: Path) -> Iterator[Bench]:
    """A broker and an instrument for many tests, which do them no harm. See `Bench.cleared`."""
    spawn = Spawner(directory)
    try:
        bench = Bench(spawn, start_broker(spawn))
        server = bench.serve(name="server")
        yield bench
        assert server.returncode is None, "the server has ended by itself"
        bench.process.stop()
    finally:
        spawn.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--broker", required=True)
    parser.add_argument("--id", default="vnir")
    parser.add_argument("--journal", type=Path, required=True)
    options = parser.parse_args()
    run_simple_server(options.id, Instrument(options.journal), broker=options.broker)
