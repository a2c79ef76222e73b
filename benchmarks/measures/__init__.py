"""What is measured. Each measure is a module here, with

* `TITLE` and `UNIT`, for tables; `ABOUT`, what exactly is done;
* `cases(bench)`, which says what is to be run in each round;
* `ROUNDS`, if it needs fewer of them than asked for; `LESS_IS_BETTER`, if so.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["MEASURES", "load"]

MEASURES = (
    "serial", "pipelined", "gathered", "batch", "attributes", "clients", "objects", "arrays",
    "latency", "fair", "alone", "status", "logs", "logdisk", "startup", "memory", "copies",
    "budget", "growth",
)  # fmt: skip
"""All of them, in the order of the report."""


def load(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name}")
