"""What `roc share` is to share: found by its name, and made from a class if need be.

Rules:

* ``MODULE:OBJECT`` or ``MODULE``; both may have dots. The current directory counts.
* Whatever other people's code does on the way, it costs one sentence: wrong names and
  arguments are wrong usage, what the code raises is its own failure.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from ..core.nearest import nearest
from .failures import WRONG_USAGE, Failure

__all__ = ["Target"]

_MESSAGE = 300


class Target:
    """A thing that was found by its name."""

    def __init__(self, name: str, thing: Any) -> None:
        self.name = name
        self._thing = thing

    @classmethod
    def found(cls, text: str) -> Target:
        """What a command line names.

        Raises:
            Failure: there is no such thing, or its module cannot be imported.
        """
        module_name, colon, path = text.partition(":")
        thing: Any = _module(module_name, text)
        if colon and not path:
            raise Failure(f"{text!r} names no object: write {text}NAME.", WRONG_USAGE)
        at = module_name
        for name in path.split(".") if path else ():
            thing = _member(thing, name, at, module_name)
            at = f"{at}.{name}"
        return cls(at, thing)

    def instance(self, arguments: Sequence[str], until_the_end: ExitStack) -> Any:
        """What is to be shared: itself, or for a class, an instance that is made now.

        Raises:
            Failure: the arguments do not fit, or making it raised something.
        """
        if not isinstance(self._thing, type):
            if arguments:
                kind = "module" if isinstance(self._thing, ModuleType) else "object"
                raise Failure(
                    f"{self.name} is a ready {kind}, and --arg is for classes: leave it out.",
                    WRONG_USAGE,
                )
            return self._thing
        args, kwargs = _parsed(arguments)
        self._check(args, kwargs)
        try:
            made = self._thing(*args, **kwargs)
            if hasattr(type(made), "__enter__") and hasattr(type(made), "__exit__"):
                entered = until_the_end.enter_context(made)
                return made if entered is None else entered
            return made
        except Exception as error:
            _blame(f"{self.name}({', '.join(arguments)})", error)

    def _check(self, args: list[Any], kwargs: dict[str, Any]) -> None:
        try:
            signature = inspect.signature(self._thing)
        except (TypeError, ValueError):  # written in C: it will tell by itself
            return
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise Failure(
                f"{self.name} takes {signature}: {error}; give it what it takes with"
                " --arg VALUE or --arg NAME=VALUE.",
                WRONG_USAGE,
            ) from None


def _module(name: str, text: str) -> ModuleType:
    if name.endswith(".py") or "/" in name or os.sep in name:
        stem = Path(name).stem
        rest = text[len(name) :] or ":OBJECT"
        folder = "" if Path(name).parent == Path() else f", in {Path(name).parent}"
        raise Failure(f"{name} is a file: write {stem}{rest}{folder}.", WRONG_USAGE)
    if not re.fullmatch(r"\w+(\.\w+)*", name):
        raise Failure(f"{text!r} is not like MODULE:OBJECT: write camera:Camera.", WRONG_USAGE)
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            _blame(f"importing {name}", error)
        near = nearest(error.name, _modules_like(error.name, here), 1)
        meant = f"did you mean {near[0]!r}?" if near else "install it, or go to its directory."
        raise Failure(
            f"there is no module {error.name!r}, neither installed nor in {here}: {meant}",
            WRONG_USAGE,
        ) from None
    except SystemExit:
        raise Failure(
            f"importing {name} ends the program: put what it does when it is run beneath"
            " `if __name__ == '__main__':`."
        ) from None
    except Exception as error:
        _blame(f"importing {name}", error)


def _modules_like(name: str, here: str) -> list[str]:
    """The modules that may have been meant: beside it in its package, or else here."""
    package, dot, _ = name.rpartition(".")
    if dot:
        return [f"{package}.{found}" for found in dir(sys.modules.get(package))]
    return [*(path.stem for path in Path(here).glob("*.py")), *sys.stdlib_module_names]


def _member(thing: Any, name: str, at: str, module: str) -> Any:
    try:
        return getattr(thing, name)
    except AttributeError:
        pass
    except Exception as error:
        _blame(f"reading {at}.{name}", error)
    if isinstance(thing, ModuleType):
        try:  # a module of a package that nobody has imported yet
            return importlib.import_module(f"{thing.__name__}.{name}")
        except ModuleNotFoundError:
            pass
        except Exception as error:
            _blame(f"importing {at}.{name}", error)
    near = nearest(name, [found for found in dir(thing) if not found.startswith("_")], 1)
    look = f"`python -c 'import {module}; print(dir({at}))'` shows what it has."
    meant = f"did you mean {near[0]!r}?" if near else look
    raise Failure(f"{at} has no {name!r}: {meant}", WRONG_USAGE)


def _parsed(arguments: Sequence[str]) -> tuple[list[Any], dict[str, Any]]:
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for text in arguments:
        named = re.match(r"([^\W\d]\w*)=", text)
        if named is None:
            args.append(_value(text))
        elif named[1] in kwargs:
            raise Failure(f"--arg {named[1]}= is given twice: leave one out.", WRONG_USAGE)
        else:
            kwargs[named[1]] = _value(text[named.end() :])
    return args, kwargs


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _blame(what: str, error: Exception) -> NoReturn:
    """Other people's code raised: say what, and in which line of theirs."""
    try:
        message = " ".join(str(error).split()) or "(no message)"
    except Exception:
        message = "(its message cannot be shown)"
    if len(message) > _MESSAGE:
        message = f"{message[:_MESSAGE]}..."
    place = ""
    if not isinstance(error, SyntaxError):  # which names its place itself
        own = os.path.dirname(__file__)
        frames = traceback.extract_tb(error.__traceback__)
        theirs = [f for f in frames if not f.filename.startswith(("<", own))]
        theirs = [f for f in theirs if f.filename != importlib.__file__]
        if theirs:
            place = f" ({theirs[-1].filename}, line {theirs[-1].lineno})"
    raise Failure(f"{what} raised {type(error).__name__}: {message}{place}.") from error
