"""``python -m runmacs.roc.config`` prints the table of all options, for the reference."""

from __future__ import annotations

from .written import table_of_options

print(table_of_options(), end="")
