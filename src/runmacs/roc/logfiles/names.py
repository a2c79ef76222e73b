"""The files of one directory: their names, and the order that they were written in.

``roc-2026-11-22T100000Z-000001.jsonl``: when it was begun (UTC) and a number that only grows,
so that a clock which was set back confuses nobody. Nothing else goes into a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

__all__ = ["COMPRESSED", "LogFile", "log_files", "new_name"]

COMPRESSED: Final = ".gz"
_NAME = re.compile(r"roc-(\d{4}-\d\d-\d\dT\d{6}Z)-(\d{6,})\.jsonl(\.gz)?")


@dataclass(frozen=True, order=True)
class LogFile:
    """One file of records."""

    number: int
    begun: str
    path: Path

    @property
    def compressed(self) -> bool:
        """Whether it is closed for good."""
        return self.path.name.endswith(COMPRESSED)

    @property
    def day(self) -> str:
        """The day (UTC) that it was begun on."""
        return self.begun[:10]


def log_files(directory: Path) -> list[LogFile]:
    """The files of records in a directory, oldest first."""
    found: dict[int, LogFile] = {}
    for path in directory.iterdir():
        name = _NAME.fullmatch(path.name)
        if name is not None:
            file = LogFile(int(name[2]), name[1], path)
            # Both are there while one is being replaced by the other.
            if file.number not in found or file.compressed:
                found[file.number] = file
    return sorted(found.values())


def new_name(number: int, seconds: float) -> str:
    """The name of a file that is begun now."""
    begun = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H%M%SZ")
    return f"roc-{begun}-{number:06d}.jsonl"
