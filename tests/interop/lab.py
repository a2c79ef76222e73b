"""An object to call in the tests of interoperation, and the process that serves it.

python lab.py --broker tcp://127.0.0.1:5555 --id lab
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from runmacs.roc import RocServer


class Lab:
    """A little of everything that a stock peer may ask of an object."""

    def __init__(self) -> None:
        self.gain = 1
        self.notes: list[str] = []

    def add(self, left: int, right: int) -> int:
        return left + right

    def divide(self, left: float, right: float) -> float:
        return left / right

    def note(self, text: str) -> None:
        self.notes.append(text)

    def total(self, values: Any) -> int:
        assert isinstance(values, np.ndarray), f"not an array: {values!r}"
        return int(values.sum())

    def size(self, data: bytes) -> int:
        assert isinstance(data, (bytes, bytearray, memoryview)), f"not bytes: {data!r}"
        return len(data)

    def twice(self, values: Any) -> Any:
        return values * 2

    def nap(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--broker", required=True)
    parser.add_argument("--id", default="lab")
    options = parser.parse_args()
    RocServer(options.broker, options.id, Lab()).run()
