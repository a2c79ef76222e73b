"""Where an option's value comes from, and the addresses that follow.

Rules:

* What the program passes comes first, a flag being one way to pass it; then the
  environment, the configuration file, the default.  What is empty counts as not given.
* The file is read anew on each look-up, and only when the environment does not answer
  already.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from ..endpoints import Endpoints, SocketName, parse_endpoints
from ..errors import ConfigError
from .file import CONFIG_VARIABLE, read_file
from .options import OPTIONS, Option, Setting

__all__ = [
    "configuration",
    "lookup",
    "resolve_bind",
    "resolve_broker",
    "resolve_publish",
    "resolve_subscribe",
    "unread_variables",
]

_BIND: Final = ("bind", "base_port", "transport")


def resolve_broker(address: Endpoints | str | None = None) -> Endpoints:
    """The broker's Endpoints from any spelling; None and '' mean the configured one.

    A full address is the rocBroker's.

        >>> resolve_broker("192.168.0.10").rocBroker
        'tcp://192.168.0.10:5555'

    Raises:
        ConfigError: the address, the environment or the configuration file is wrong.
    """
    return _resolve(address, "rocBroker")


def resolve_publish(destination: Endpoints | str | None = None) -> Endpoints:
    """Like resolve_broker(), but a full address is the generalXSUB's."""
    return _resolve(destination, "generalXSUB")


def resolve_subscribe(source: Endpoints | str | None = None) -> Endpoints:
    """Like resolve_broker(), but a full address is the generalXPUB's."""
    return _resolve(source, "generalXPUB")


def lookup(name: str) -> Setting:
    """The value of an option from the environment, the configuration file or its default.

        >>> lookup("log_level")
        Setting(value='info', source='default')

    Raises:
        ConfigError: what was found is wrong; the message says where it stands.
    """
    option = OPTIONS[name]
    return _from_environment(option) or read_file().get(name) or _from_default(option)


def configuration(
    flags: Mapping[str, str | None] | None = None, file: str | None = None
) -> dict[str, Setting]:
    """The values of all options, for a command.

    Args:
        flags: what stands on the command line, by option name; None for what does not.
        file: what ``--config`` names.

    Raises:
        ConfigError: what was found is wrong; the message says where it stands. The file
            must be right as a whole, the environment where no flag overrides it.
    """
    flags = flags or {}
    from_file = read_file(file)
    return {
        name: _from_flag(option, flags.get(name))
        or _from_environment(option)
        or from_file.get(name)
        or _from_default(option)
        for name, option in OPTIONS.items()
    }


def resolve_bind(settings: Mapping[str, Setting]) -> Endpoints:
    """Where a broker binds with these settings.

    Raises:
        ConfigError: no broker can bind there; the message names the values' sources.
    """
    try:
        return Endpoints(*(settings[name].value for name in _BIND))
    except ConfigError as error:
        sources = ", ".join(f"{name} ({settings[name].source})" for name in _BIND)
        raise ConfigError(f"{sources}: {error}") from None


def unread_variables() -> dict[str, str]:
    """The variables of the environment that look like a misspelt one, and what they resemble.

    They are no errors: other software has variables that begin with ``ROC_`` too.
    """
    from ..core.nearest import nearest

    known = {option.environment for option in OPTIONS.values()} | {CONFIG_VARIABLE}
    unread = {}
    for variable in os.environ:
        if variable.startswith("ROC_") and variable not in known:
            near = nearest(variable.removeprefix("ROC_"), OPTIONS, 1)
            if near:
                unread[variable] = OPTIONS[near[0]].environment
    return unread


def _from_flag(option: Option, text: str | None) -> Setting | None:
    return _from_text(option, text or "", option.flag)


def _from_environment(option: Option) -> Setting | None:
    return _from_text(option, os.environ.get(option.environment, ""), option.environment)


def _from_text(option: Option, text: str, source: str) -> Setting | None:
    return Setting(option.parse(text, source), source) if text.strip() else None


def _from_default(option: Option) -> Setting:
    return Setting(option.default, "default")


def _resolve(address: Endpoints | str | None, names: SocketName) -> Endpoints:
    if address is not None and not (isinstance(address, str) and not address.strip()):
        return parse_endpoints(address, names)
    setting = lookup("broker")
    try:
        return parse_endpoints(setting.value)
    except ConfigError as error:
        raise ConfigError(f"{setting.source}: {error}") from None
