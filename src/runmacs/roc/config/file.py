"""The configuration file: where it is, and what it sets.

Rules:

* All of the file must be right: an unknown key is an error, and so is a wrong value that
  something else would have overridden.
* Whatever the file is (a folder, a film, somebody else's settings), it costs a ConfigError
  of one sentence that names the file and, where there is one, the line.
* Nobody needs a file: the usual one may be missing, one that was named may not.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..errors import ConfigError
from .options import OPTIONS, Setting, as_toml, did_you_mean, shown

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CONFIG_FLAG", "CONFIG_VARIABLE", "describe_file", "read_file"]

# Not options: what names the file cannot stand in it.
CONFIG_VARIABLE: Final = "ROC_CONFIG"
CONFIG_FLAG: Final = "--config"
_SIZE_LIMIT: Final = 65536


@dataclass(frozen=True, slots=True)
class _Location:
    """A path, and what named it: a flag, a variable, or '' for the usual place."""

    path: Path
    named_by: str

    @property
    def shown(self) -> str:
        """The path as it stands in a line of text: a file's name may hold anything."""
        text = str(self.path)
        return text if text.isprintable() else repr(text)


def describe_file(flag: str | None = None) -> str:
    """Which configuration file is read, in words: for people who wonder why it is not.

    Raises:
        ConfigError: what ``--config`` or ROC_CONFIG names can be no file.
    """
    location = _locate(flag)
    if location is None:
        return "no configuration file: this user has no home"
    if location.path.exists():
        return f"configuration file {location.shown}"
    return f"no configuration file: there is no {location.shown}"


def read_file(flag: str | None = None) -> dict[str, Setting]:
    """What the configuration file sets; empty when nobody wrote one.

    Raises:
        ConfigError: it cannot be read, or something in it is wrong.
    """
    location = _locate(flag)
    content = None if location is None else _read(location)
    if location is None or content is None:
        return {}
    if len(content) > _SIZE_LIMIT:
        raise ConfigError(
            f"{location.shown} has over {_SIZE_LIMIT} bytes and is no configuration file of ROC:"
            f" name the right one with {location.named_by or CONFIG_VARIABLE}."
        )
    text = _decode(location, content)
    return _settings(location, text, _parse(location, text))


def _locate(flag: str | None) -> _Location | None:
    from pathlib import Path

    sources = {CONFIG_FLAG: flag or "", CONFIG_VARIABLE: os.environ.get(CONFIG_VARIABLE, "")}
    for named_by, name in sources.items():
        if name.strip():
            try:
                return _Location(Path(name).expanduser(), named_by)
            except RuntimeError:
                problem = "names the home of a user who has none"
                raise ConfigError(f"{named_by}: {name!r} {problem}: write a full path.") from None
    import platformdirs

    try:
        folder = platformdirs.user_config_dir("roc", appauthor=False)
    except RuntimeError:  # a user without a home, as in many containers
        return None
    return _Location(Path(folder) / "config.toml", "")


def _read(location: _Location) -> bytes | None:
    """The beginning of the file, one byte more than it may have; None if there is none."""
    named_by = location.named_by
    try:
        with location.path.open("rb") as file:
            return file.read(_SIZE_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        if not named_by:  # /dev/null as a home is no mistake
            return None
        raise _unreadable(location, error) from error
    except OSError as error:
        raise _unreadable(location, error) from error
    except ValueError as error:  # a name that holds a zero byte
        raise ConfigError(f"{named_by} names no file: {error}.") from error


def _unreadable(location: _Location, error: OSError) -> ConfigError:
    remedy = {
        "": "make it readable or remove it",
        CONFIG_FLAG: f"correct {CONFIG_FLAG}",
        CONFIG_VARIABLE: f"correct or unset {CONFIG_VARIABLE}",
    }[location.named_by]
    reason = error.strerror or type(error).__name__
    return ConfigError(f"{location.shown} cannot be read ({reason}): {remedy}.")


def _decode(location: _Location, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        complaint = "this is not UTF-8: save it as such"
        raise ConfigError(f"{location.shown}, line {line}: {complaint}.") from None


def _parse(location: _Location, text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
        at = re.search(r" \(at line (\d+), column \d+\)", reason)
        line = int(at[1]) if at else text.count("\n") + 1
        reason = re.sub(r" \(at [^()]*\)$", "", reason)
        example = f"broker = {as_toml(OPTIONS['broker'].default)}"
        raise ConfigError(
            f"{location.shown}, line {line}: {reason}: write it like {example}."
        ) from None


def _settings(location: _Location, text: str, document: dict[str, Any]) -> dict[str, Setting]:
    settings = {}
    for key, value in document.items():
        place = f"{location.shown}, line {_line_of(key, text)}"
        option = OPTIONS.get(key)
        if option is None:
            meant = did_you_mean(key, OPTIONS)
            raise ConfigError(f"{place}: there is no option {shown(key)}: {meant}")
        if not (isinstance(value, str) and option.type is str and not value.strip()):
            settings[key] = Setting(option.check(value, place), place)
    return settings


def _line_of(key: str, text: str) -> int:
    """The line where a key of the document's top level is set, or its table begins."""
    pattern = rf"\s*\[*\s*[\"']?{re.escape(key)}[\"']?\s*[\].=]"
    for number, line in enumerate(text.split("\n"), 1):
        if re.match(pattern, line):
            return number
    return 1
