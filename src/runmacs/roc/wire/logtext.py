"""Log records as lines for people. What came from elsewhere is data, on a screen as well.

Rules:

* Control characters, ANSI sequences and bidirectional marks are shown as escapes, never sent.
* One record is one line, but for a traceback, whose lines are indented beneath.
"""

from __future__ import annotations

import re
from typing import Final

from .logmsg import Record, severity_text

__all__ = ["as_text", "escape_json", "safe_text"]

_HARMFUL: Final = (
    "\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb"
)
_harmful = re.compile(f"[{_HARMFUL}\ud800-\udfff\U000e0000-\U000e007f]")
_in_json = re.compile(f"[{_HARMFUL[3:]}]")


def safe_text(text: str) -> str:
    """The text with everything escaped that a terminal would obey.

    >>> print(safe_text("a\\x1b[31mb"))
    a\\x1b[31mb
    """
    if text.isascii() and text.isprintable():
        return text
    return _harmful.sub(lambda found: _escape(found[0]), text)


def _escape(char: str) -> str:
    return repr(char)[1:-1] if not char.isprintable() else f"\\u{ord(char):04x}"


def escape_json(text: bytes) -> bytes:
    """A JSON text whose strings hold nothing that a terminal would obey; the same values.

    JSON itself escapes control characters below 32; this does so for the others.
    """
    if text.isascii() and b"\x7f" not in text:
        return text
    return _in_json.sub(lambda found: f"\\u{ord(found[0]):04x}", text.decode()).encode()


def as_text(record: Record, trace: bool = True) -> str:
    """``2026-11-22 10:00:00.123 INFO     vnir@daq2 camera.driver: gain is 3``."""
    time = record.timestamp.replace("T", " ").rstrip("Z")[:23]
    level = record.level or severity_text(record.severity)
    where = f"{record.resource} {record.logger}".rstrip()
    line = safe_text(f"{time} {level:<8} {where}: {record.message}")
    if not trace:
        return line
    stack = record.attributes.get("exception.stacktrace")
    if not isinstance(stack, str) or not stack:
        return line
    return "\n    ".join([line, *map(safe_text, stack.rstrip().split("\n"))])
