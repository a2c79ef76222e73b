"""The configuration as text: a file with what is in effect, and the table of the reference."""

from __future__ import annotations

from collections.abc import Mapping

from .options import OPTIONS, Option, Setting, as_toml

__all__ = ["settings_as_toml", "table_of_options"]


def settings_as_toml(settings: Mapping[str, Setting]) -> str:
    """Settings as a configuration file, each with its source as a comment.

    >>> print(settings_as_toml({"base_port": Setting(6000, "ROC_BASE_PORT")}), end="")
    base_port = 6000  # ROC_BASE_PORT
    """
    lines = {f"{name} = {as_toml(setting.value)}": setting for name, setting in settings.items()}
    width = max(map(len, lines), default=0)
    return "".join(f"{line:{width}}  # {setting.source}\n" for line, setting in lines.items())


def table_of_options() -> str:
    """All options as the table of ``docs/reference/configuration.md``."""
    head = ["key", "flag", "variable", "default", "what it is", "read by"]
    rows = [head, ["---"] * len(head), *map(_row, OPTIONS.values())]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(option: Option) -> list[str]:
    flag = f"`{option.flag}`" if option.reader == "rocbroker" else "–"
    names = [f"`{option.name}`", flag, f"`{option.environment}`", f"`{as_toml(option.default)}`"]
    return [*names, f"{option.help} ({option.takes})", option.reader]
