"""Configuration: options declared once, and where their values come from.

``options`` declares them, ``file`` reads the configuration file, ``sources`` says which
source wins, ``written`` prints what is in effect.
"""

from __future__ import annotations

from .file import CONFIG_FLAG, CONFIG_VARIABLE, describe_file
from .options import OPTIONS, Option, Setting
from .sources import (
    configuration,
    lookup,
    resolve_bind,
    resolve_broker,
    resolve_publish,
    resolve_subscribe,
    unread_variables,
)
from .written import settings_as_toml, table_of_options

__all__ = [
    "CONFIG_FLAG",
    "CONFIG_VARIABLE",
    "OPTIONS",
    "Option",
    "Setting",
    "configuration",
    "describe_file",
    "lookup",
    "resolve_bind",
    "resolve_broker",
    "resolve_publish",
    "resolve_subscribe",
    "settings_as_toml",
    "table_of_options",
    "unread_variables",
]
