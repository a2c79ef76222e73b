"""Withdrawing a call: what the broker can say of it, and who else must hear.

A caller whose time is over sends ``rpc.cancel {"call": id}`` on the control lane.
The answer is a verdict: ``executed`` False, True or None, and a ``state`` that says
where the call was found: ``queued``, ``stalled``, ``dispatched`` or ``unknown`` here,
``withdrawn``, ``running`` or ``unknown`` at the server.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ..wire.jsonrpc import NULL, Request, encode_result, parse_body
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
    """The text that answers an rpc.cancel."""
    verdict: dict[str, object] = {"executed": executed, "state": state}
    if seconds is not None:
        verdict["seconds"] = round(seconds, 3)
    return encode_result(request.reply_id or NULL, msgspec.json.encode(verdict))


def withdraw(service: Service | None, client: bytes, request: Request, now: float) -> Verdict:
    """Take a client's call out of the queue, or find the server that holds it."""
    name = call_to_cancel(request)
    if service is None or name is None:
        return Verdict(encode_verdict(request, None, "unknown"))
    for call in service.waiting.of_client(client):
        if call.body.carries(name):
            service.waiting.remove(call)
            state = "queued" if service.serving else "absent"
            return Verdict(encode_verdict(request, False, state), removed=call)
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
    for worker in service.serving:
        for token, text in worker.held_calls.items():
            if token[:-TOKEN_NUMBER] == client and parse_body(text).carries(name):
                return worker
    return None
