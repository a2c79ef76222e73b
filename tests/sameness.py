"""Whether two values are the same in everything a receiver could notice.

``==`` is not enough: 1 == 1.0 == True, 0.0 == -0.0, and NaN is not even itself.
"""

from __future__ import annotations

import math
import struct
from decimal import Decimal
from typing import Any

import numpy as np

__all__ = ["same"]


def same(one: Any, other: Any) -> bool:
    """Equal in type and value, all the way down; every NaN is the same as every other."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (np.ndarray, np.generic)):
        return _same_memory(one, other)
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or _bits(one) == _bits(other)
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, Decimal):
        return str(one) == str(other)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(map(same, one.values(), other.values()))
    if isinstance(one, (set, frozenset)):
        return len(one) == len(other) and all(
            any(same(mine, theirs) for theirs in other) for mine in one
        )
    return bool(one == other)


def _bits(number: float) -> bytes:
    return struct.pack("d", number)


def _same_memory(one: Any, other: Any) -> bool:
    alike = bool(one.dtype == other.dtype) and one.shape == other.shape
    return alike and one.tobytes() == other.tobytes()
