"""`roc doctor`: finds out what is wrong, and says what to do about each.

The checks stand in `checks`; here they are run, in order, and told.
"""

from __future__ import annotations

from typing import Any

import click

from .checks import FAIL, NOTE, OK, Finding, examine
from .failures import NO_BROKER, REMOTE, WRONG_USAGE
from .flags import broker_flag, format_flags, timeout_flag
from .output import Column, print_rows, rich_console
from .stderr import printable

__all__ = ["doctor"]

_SIGNS = {OK: "✓", NOTE: "!", FAIL: "✗"}
_STYLES = {OK: "green", NOTE: "yellow", FAIL: "bold red"}
COLUMNS = [Column("check"), Column("result"), Column("found"), Column("advice")]
_CODES = {"configuration": WRONG_USAGE, "address": WRONG_USAGE, "ports": NO_BROKER}


@click.command(
    epilog="""\b
Examples:
  roc doctor
  roc doctor -b 192.168.0.10
  roc doctor --json

Exit code 0 if all is well, else the code of what is wrong: 2 configuration, 3 no broker, 1 other.
Notes (!) are no faults.
"""
)
@format_flags
@broker_flag
@timeout_flag()
def doctor(form: str, broker: str | None, timeout: float) -> None:
    """Find out what is wrong, and what to do about it."""
    console = rich_console() if form == "table" else None
    findings: list[Finding] = []
    for finding in examine(broker, timeout):
        findings.append(finding)
        if form == "table":
            _tell(finding, console)
    if form != "table":
        print_rows([vars(finding) for finding in findings], COLUMNS, form)
    failed = [finding for finding in findings if finding.result == FAIL]
    if failed:
        click.get_current_context().exit(_CODES.get(failed[0].check, REMOTE))


def _tell(finding: Finding, console: Any) -> None:
    """As soon as it is known: some take a second."""
    line = printable(f"{_SIGNS[finding.result]} {finding.check}: {finding.found}")
    advice = printable(f"    {finding.advice}") if finding.advice else ""
    if console is None:
        print("\n".join(filter(None, (line, advice))), flush=True)
        return
    from rich.text import Text

    console.print(Text(line, _STYLES[finding.result]), soft_wrap=True)
    if advice:
        console.print(Text(advice), soft_wrap=True)
