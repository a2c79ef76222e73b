"""Prints the reference page of `roc`: ``python -m runmacs.roc.cli > docs/reference/roc.md``."""

from __future__ import annotations

import sys

from .reference import reference

sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
sys.stdout.write(reference())
