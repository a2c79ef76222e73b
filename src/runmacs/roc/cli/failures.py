"""How a subcommand of `roc` fails: a sentence with the next step, and an exit code."""

from __future__ import annotations

from typing import Final

from .. import errors

__all__ = [
    "INTERRUPTED",
    "NOT_THERE",
    "NO_BROKER",
    "REMOTE",
    "TIMEOUT",
    "WRONG_USAGE",
    "Failure",
    "advice_on",
    "exit_code_of",
]

REMOTE: Final = 1
WRONG_USAGE: Final = 2
NO_BROKER: Final = 3
NOT_THERE: Final = 4
TIMEOUT: Final = 5
INTERRUPTED: Final = 130

_CODES: Final[dict[type[errors.RocError], int]] = {
    errors.ConfigError: WRONG_USAGE,
    errors.Unsendable: WRONG_USAGE,
    errors.TooLarge: WRONG_USAGE,
    errors.BrokerUnreachable: NO_BROKER,
    errors.ObjectNotFound: NOT_THERE,
    errors.MethodNotFound: NOT_THERE,
    errors.CallTimeout: TIMEOUT,
    errors.Expired: TIMEOUT,
}
"""All others are errors of the other side: `REMOTE`."""


def advice_on(error: errors.RocError) -> str:
    """What to do next, where the error itself does not say so."""
    data = error.data if isinstance(error.data, dict) else {}
    object_id, member = data.get("object") or "OBJ", data.get("method") or ""
    if isinstance(error, errors.MethodNotFound) and "did you mean" not in error.message:
        return f"`roc describe {object_id}` shows what it has."
    if isinstance(error, errors.InvalidParams) and not member.startswith("rpc."):
        return f"`roc describe {object_id}.{member}` tells what it takes."
    if isinstance(error, errors.RemoteError):
        return "--traceback shows where, and `roc log` what was logged."
    if isinstance(error, errors.CallTimeout):
        return "-t SECONDS grants more time."
    return ""


class Failure(Exception):
    """What a subcommand itself finds wrong. The message is one sentence."""

    def __init__(self, message: str, exit_code: int = REMOTE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def exit_code_of(error: errors.RocError | Failure) -> int:
    """The exit code for what a subcommand fails with."""
    if isinstance(error, Failure):
        return error.exit_code
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), REMOTE)
