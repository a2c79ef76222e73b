"""Withdrawing a call: what the broker can say of it, and who else must hear.

A caller whose time is over sends ``rpc.cancel {"call": id}`` on the control lane.
The answer is a verdict: ``executed`` False, True or None, and a ``state`` that says
where the call was found: ``queued``, ``absent``, ``stalled``, ``dispatched`` or ``unknown`` here,
``withdrawn``, ``running``, ``executed`` or ``unknown`` at the server.

A call of a batch is withdrawn alone; the others are executed.

A call id is known to its caller and to who serves it, so whoever names it may withdraw
it: a caller that lost its connection withdraws over the next one what it sent before.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ..wire.jsonrpc import Request, encode_result, parse_body
from .registry import TOKEN_NUMBER, Service, Worker
from .waiting import WaitingCall

__all__ = ["Verdict", "call_to_cancel", "encode_verdict", "withdraw"]


class Verdict(NamedTuple):
    """``text`` answers the caller; ``holder`` must be asked; ``removed`` left the queue."""

    text: bytes | None = None
    holder: Worker | None = None
    removed: WaitingCall | None = None


class _Params(msgspec.Struct):
    call: str


_params = msgspec.json.Decoder(_Params)


def call_to_cancel(request: Request) -> str | None:
    """The call id that an rpc.cancel names; None if its parameters are unsound."""
    if isinstance(request.params, msgspec.UnsetType):
        return None
    try:
        return _params.decode(request.params).call
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def encode_verdict(
    request: Request, executed: bool | None, state: str, seconds: float | None = None
) -> bytes:
    """The text that answers an rpc.cancel; empty for one that wants no answer."""
    if request.reply_id is None:
        return b""
    verdict: dict[str, object] = {"executed": executed, "state": state}
    if seconds is not None:
        verdict["seconds"] = round(seconds, 3)
    return encode_result(request.reply_id, msgspec.json.encode(verdict))


def withdraw(service: Service | None, client: bytes, request: Request, now: float) -> Verdict:
    """Take a client's call out of the queue, or find the server that holds it."""
    name = call_to_cancel(request)
    if service is None or name is None:
        return Verdict(encode_verdict(request, None, "unknown"))
    call = service.waiting.find(client, name)
    if call is not None:
        text = encode_verdict(request, False, "queued" if service.serving else "absent")
        return Verdict(text, removed=call if service.waiting.withdraw(call, name) else None)
    holder = _holder(service, client, name)
    if holder is None:
        return Verdict(encode_verdict(request, None, "unknown"))
    if not holder.greeted:
        return Verdict(encode_verdict(request, None, "dispatched"))
    if holder.stalled:
        text = encode_verdict(request, None, "stalled", now - holder.heard)
        return Verdict(text, holder=holder)
    return Verdict(holder=holder)


def _holder(service: Service, client: bytes, name: str) -> Worker | None:
    """Who has the call: looked for among the client's own first, as that is where it is."""
    held = [(token, text, w) for w in service.serving for token, text in w.held_calls.items()]
    for own in (True, False):
        for token, text, worker in held:
            if (token[:-TOKEN_NUMBER] == client) is own and parse_body(text).carries(name):
                return worker
    return None
