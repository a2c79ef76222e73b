"""The level of any logger of this process, for those who ask from afar."""

from __future__ import annotations

from typing import Any

__all__ = ["log_level"]

_LONGEST = 1000


def log_level(name: str, level: str | int | None = None) -> dict[str, Any]:
    """Read the level of a logger, or set it.

    Args:
        name: of the logger; "" and "root" are the root logger.
        level: its new level, by name (``"DEBUG"``) or number as in `logging`; ``"NOTSET"``
            lets it follow its parents again. None changes nothing.

    Returns:
        ``logger``; ``level``, its own (``NOTSET`` if it has none); ``effective``, the one that
        counts.

    Raises:
        TypeError, ValueError: there is no such level.
    """
    # Here, so that a program which logs nothing need not import it.
    import logging

    if len(name) > _LONGEST:
        raise ValueError("the name of a logger is not that long")
    logger = logging.getLogger(name if name != "root" else None)
    if level is not None:
        if isinstance(level, bool) or not isinstance(level, (str, int)):
            raise TypeError(f"a level is a name or a number, not {level!r}")
        logger.setLevel(level.upper() if isinstance(level, str) else level)
    return {
        "logger": logger.name,
        "level": logging.getLevelName(logger.level),
        "effective": logging.getLevelName(logger.getEffectiveLevel()),
    }
