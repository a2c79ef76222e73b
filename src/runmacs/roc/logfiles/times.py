"""Moments as people write them: ``2026-11-22 10:00``, ``10:00``, ``yesterday``, ``2h ago``.

All times are UTC, as in the records.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ..errors import ConfigError
from ..wire.logmsg import timestamp

__all__ = ["parse_moment"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGO = re.compile(
    r"-?\s*(\d+(?:\.\d+)?)\s*"
    r"(s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:ours?)?|d(?:ays?)?|w(?:eeks?)?)(\s+ago)?"
)
_CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d)?")


def parse_moment(text: str, now: float) -> str:
    """A moment as a record's Timestamp; ``now`` is in seconds since 1970.

    >>> parse_moment("2026-11-22 10:00", 0.0)
    '2026-11-22T10:00:00.000000Z'

    Raises:
        ConfigError: it is none.
    """
    here = datetime.fromtimestamp(now, UTC)
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
    word = text.strip().lower()
    named = {"now": here, "today": midnight, "yesterday": midnight - timedelta(days=1)}
    if word in named:
        return timestamp(named[word].timestamp())
    ago = _AGO.fullmatch(word)
    if ago is not None and (ago[3] or word.startswith("-")):
        return timestamp(now - float(ago[1]) * _UNITS[ago[2][:1]])
    try:
        if _CLOCK.fullmatch(word):
            word = f"{here.date()}T{word.zfill(5) if len(word) < 6 else word.zfill(8)}"
        moment = datetime.fromisoformat(word.replace("z", "+00:00"))
    except ValueError:
        raise ConfigError(
            f"{text!r} is no moment: write 2026-11-22, 2026-11-22 10:00, 10:00, today,"
            " yesterday, or 2h ago; all times are UTC."
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return timestamp(moment.timestamp())
