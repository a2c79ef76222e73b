"""Arguments of a remote call, as they are typed.

Rules:

* A word is JSON, else text (`words`); ``KEY=VALUE`` is a keyword argument.
* ``@FILE`` and ``-`` (stdin) read a value: .npy and .csv are arrays, what is no text is
  bytes, all else is JSON, else text. In quotes, ``'"@x"'``, it is text.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .failures import WRONG_USAGE, Failure
from .terminal import to_install
from .words import parse_word

__all__ = ["parse_arguments", "read_word"]

_NPY = b"\x93NUMPY"


def parse_arguments(words: Sequence[str], command: str) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments.

    Raises:
        Failure: a file that cannot be read, a keyword given twice, an unknown option.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for word in words:
        named = re.match(r"([^\W\d]\w*)=", word)
        if named is None:
            args.append(read_word(word, command))
        elif named[1] in kwargs:
            raise Failure(f"{named[1]}= is given twice: leave one out.", WRONG_USAGE)
        else:
            kwargs[named[1]] = read_word(word[named.end() :], command)
    return args, kwargs


def read_word(word: str, command: str) -> Any:
    """The value of a word. Raises Failure."""
    if word == "-":
        return _read(sys.stdin.buffer.read(), "stdin")
    if word.startswith("@"):
        path = Path(word[1:])
        try:
            return _read(path.read_bytes(), word[1:])
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise Failure(
                f"{word[1:]} cannot be read: {why}. For a text that begins with @, write"
                f" '\"{word}\"'.",
                WRONG_USAGE,
            ) from None
    value = parse_word(word)
    if word.startswith("-") and isinstance(value, str):
        raise Failure(
            f"there is no option {word}: `roc {command} --help` has all; for a text, write"
            f" '\"{word}\"'.",
            WRONG_USAGE,
        )
    return value


def _read(raw: bytes, name: str) -> Any:
    if raw.startswith(_NPY):
        return _array(raw, name)
    if name.endswith(".csv"):
        return _table(raw, name)
    try:
        return parse_word(raw.decode().removesuffix("\n"))
    except UnicodeDecodeError:
        return raw


def _array(raw: bytes, name: str) -> Any:
    numpy = _numpy(name)
    try:
        return numpy.load(io.BytesIO(raw), allow_pickle=False)
    except ValueError as error:
        raise Failure(f"{name} is no array that can be read: {error}.", WRONG_USAGE) from None


def _table(raw: bytes, name: str) -> Any:
    numpy = _numpy(name)
    try:
        return numpy.loadtxt(io.StringIO(raw.decode()), delimiter=",", ndmin=1)
    except ValueError as error:
        raise Failure(f"{name} is no table of numbers: {error}.", WRONG_USAGE) from None


def _numpy(name: str) -> Any:
    try:
        import numpy
    except ImportError:
        raise Failure(f"{name} needs numpy: {to_install('numpy')}", WRONG_USAGE) from None
    return numpy
