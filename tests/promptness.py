"""What a test may expect of a machine that is busy: that it is prompt once in a few tries.

A promise such as "callers know within 0.75 s of a kill" can be broken by ROC, and by a machine
that lets a thread stand still for a second. Only ROC breaks it in each try::

    with prompt():
        assert call.ended - killed < KNOWS_WITHIN

A test that fails there begins again, with new fixtures, up to `TRIES` times in all, and fails if
it does each time; `conftest` sees to it, and the summary tells of each try. Whatever fails
elsewhere fails at once. So only that stands in such a block which depends on the clock: an upper
bound that is a promise, or an outcome that is another one where a thread stood still.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

__all__ = ["TRIES", "Late", "prompt"]

TRIES = 4


class Late(AssertionError):
    """What a slow machine may have caused, once."""


@contextmanager
def prompt() -> Iterator[None]:
    """What fails in this block, or in a test that is decorated with ``@prompt()``, is `Late`."""
    try:
        yield
    except (Exception, pytest.fail.Exception) as error:
        raise Late(f"{type(error).__name__}: {error}") from error
