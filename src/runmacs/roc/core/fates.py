"""What became of a call that ends without an answer, as its caller is told.

The words for a verdict of the broker (``spec/calls.md``, "What became of a call"), for a
broker that was not there, and for one that went away.
"""

from __future__ import annotations

import msgspec

from .. import errors
from ..wire.jsonrpc import Response
from .call import Call

__all__ = ["Verdict", "abandoned", "absent", "link_lost", "parse_verdict", "timed_out", "unsent"]


class Verdict(msgspec.Struct):
    """The answer to a withdrawal."""

    executed: bool | None = None
    state: str = "unknown"
    seconds: float = 0.0


_verdict = msgspec.json.Decoder(Verdict)


def parse_verdict(response: Response) -> Verdict:
    """The verdict in an answer; whatever else it is means that nothing is known."""
    if not isinstance(response.result, msgspec.UnsetType):
        try:
            return _verdict.decode(response.result)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass
    return Verdict()


def abandoned(call: Call) -> errors.RocError:
    return errors.Closed(f"{call.name}: abandoned by its caller.", executed=None)


def unsent(call: Call, address: str) -> errors.RocError:
    """Its time is over, and no broker was there."""
    message = (
        f"{call.name}: no broker answers at {address}, so the call was not sent in"
        f" {call.timeout:g} s. Start one with `rocbroker`, or set ROC_BROKER to its address."
    )
    return errors.BrokerUnreachable(message, executed=False)


def link_lost(call: Call, address: str, why: str) -> errors.RocError:
    """It was sent, and then the broker went away."""
    message = (
        f"{call.name}: the broker at {address} went away in mid-call{why};"
        " whether the call was executed cannot be known."
    )
    return errors.BrokerUnreachable(message, executed=None)


def absent(call: Call) -> errors.RocError:
    """It waited for an object that nobody shares."""
    message = (
        f"{call.name}: no server shares {call.object_id!r} now; the call waited"
        f" {call.timeout:g} s and was not executed. Start its server again."
    )
    return errors.ObjectNotFound(message, executed=False)


def timed_out(call: Call, verdict: Verdict | None, silent: float | None) -> errors.CallTimeout:
    """It was sent, and there is no answer.

    Args:
        verdict: what the broker says of it; None if it said nothing.
        silent: seconds since anything was heard of a broker that should be heard.
    """
    executed = None if verdict is None else verdict.executed
    if verdict is None:
        fate = "what became of it cannot be known"
        if silent is not None:
            fate += f", as the broker has been silent for {silent:.1f} s"
    elif executed is False:
        fate = "it was not executed, and will not be"
    elif executed is True:
        fate = "it was executed, but its answer comes with those of its whole batch"
    elif verdict.state == "running":
        fate = f"it still runs, since {verdict.seconds:.1f} s"
    elif verdict.state == "stalled":
        fate = f"its server has been silent for {verdict.seconds:.1f} s, so nobody knows more"
    else:
        fate = "what became of it cannot be known"
    message = f"{call.name}: no answer within {call.timeout:g} s; {fate}."
    return errors.CallTimeout(message, executed=executed)
