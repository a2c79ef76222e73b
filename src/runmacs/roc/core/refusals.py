"""What is refused by the rules of sharing, and not by anything the author's code says."""

from __future__ import annotations

from .. import errors

__all__ = ["ArgumentsRefused", "MemberRefused", "Refusal", "ResultRefused"]


class Refusal(errors.CallError):
    """The call was refused here, by the rules of sharing; no user code raised this."""


class MemberRefused(Refusal, errors.MethodNotFound):
    """There is no such member, or it may not be used like this."""


class ArgumentsRefused(Refusal, errors.InvalidParams):
    """The arguments do not fit the signature."""


class ResultRefused(Refusal, errors.Unsendable):
    """It was executed, and what it gave is nothing that is sent."""

    executed: bool | None = True
