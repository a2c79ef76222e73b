"""How a subcommand of `roc` fails: a sentence with the next step, and an exit code."""

from __future__ import annotations

from typing import Final

from .. import errors

__all__ = ["NO_BROKER", "REMOTE", "WRONG_USAGE", "Failure", "exit_code_of"]

REMOTE: Final = 1
WRONG_USAGE: Final = 2
NO_BROKER: Final = 3


class Failure(Exception):
    """What a subcommand itself finds wrong. The message is one sentence."""

    def __init__(self, message: str, exit_code: int = REMOTE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def exit_code_of(error: errors.RocError | Failure) -> int:
    """The exit code for what a subcommand fails with."""
    if isinstance(error, Failure):
        return error.exit_code
    if isinstance(error, errors.ConfigError):
        return WRONG_USAGE
    return NO_BROKER if isinstance(error, errors.BrokerUnreachable) else REMOTE
