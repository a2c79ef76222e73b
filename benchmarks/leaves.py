"""A program that makes more and more status leaves: `python -m benchmarks.leaves HOST:PORT`.

`{"leaves": 1000}` emits until there are so many, and gives the seconds until the broker has
them; `{"updates": 200}` emits one leaf so many times, and gives the seconds each until it
has come back to a subscriber of that leaf.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from runmacs.roc import RocStatusUpdater, statusUpdateIterator

_GROUP = 100
_LAST = "grown.last"


class Gardener:
    def __init__(self, address: str) -> None:
        self.updater = RocStatusUpdater(address)
        self.updates = statusUpdateIterator(address, _LAST, timeout=60)
        self.count = 0
        self.turn = 0

    def grow(self, count: int) -> float:
        """Emit until there are so many leaves, and wait until they have passed the broker."""
        began = time.perf_counter()
        while self.count < count:
            group = {f"p{number}": number for number in range(_GROUP)}
            self.updater.emit(f"grown.g{self.count // _GROUP}", group)
            self.count += _GROUP
        self.update()
        return time.perf_counter() - began

    def update(self) -> float:
        self.turn += 1
        began = time.perf_counter()
        self.updater.emit(_LAST, self.turn)
        for update in self.updates:
            if update["grown"]["last"] == self.turn:
                break
        return time.perf_counter() - began


def main() -> None:
    gardener = Gardener(sys.argv[1])
    gardener.update()
    print("ready", flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        answer: Any
        if "leaves" in question:
            answer = gardener.grow(question["leaves"])
        else:
            answer = [gardener.update() for _ in range(question["updates"])]
        print(json.dumps({"answer": answer}), flush=True)


if __name__ == "__main__":
    main()
