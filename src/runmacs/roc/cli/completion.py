"""`roc completion`: what a shell needs to complete the command."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]


@click.command(
    epilog="""\b
Examples:
  eval "$(roc completion bash)"                                         # in ~/.bashrc
  eval "$(roc completion zsh)"                                          # in ~/.zshrc
  roc completion fish > ~/.config/fish/completions/roc.fish

Subcommands and flags are completed; object ids, their members and the paths of the status as they
are at that moment, within half a second, and not at all when there is no broker.
"""
)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> None:
    """Print what makes bash, zsh or fish complete roc."""
    from .roc import main

    kind = get_completion_class(shell)
    assert kind is not None
    print(kind(main, {}, "roc", "_ROC_COMPLETE").source())
