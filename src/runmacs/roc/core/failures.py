"""Errors that the broker answers in the object's stead, and the words for each.

Rules:

* Every request in a body gets the error; a notification gets an empty answer, as MDP wants
  one.
* A body that is not JSON-RPC is never answered: its client would not know what to do with it.
* An error says whether the call was executed, and what to do next.

The words for an object that nobody shares stand in `absence`; what a client says of calls
that were never answered, in `fates`.
"""

from __future__ import annotations

from typing import Any

from .. import errors
from ..wire.jsonrpc import Body, Text, encode_error, encode_responses, parse_body
from ..wire.mdp import CLIENT, EMPTY
from .effects import Effect
from .registry import TOKEN_NUMBER, Service, Worker
from .waiting import WaitingCall

__all__ = [
    "expired",
    "fail",
    "no_control_lane",
    "not_for_control",
    "queue_full",
    "server_lost",
    "stopped",
]


def fail(
    client: bytes,
    name: bytes,
    body: Body,
    kind: type[errors.RocError],
    message: str,
    out: list[Effect],
    **data: Any,
) -> None:
    """Answer every request in the body with an error, in the name of the object."""
    if not body.sound:
        return
    data["executed"] = kind.executed
    data["object"] = name.decode(errors="backslashreplace").rstrip("!")
    answers = []
    for item in body.items:
        reply_id = item.reply_id
        if reply_id is not None:
            answers.append(encode_error(reply_id, kind.code, message, data))
    out.append([client, EMPTY, CLIENT, name, encode_responses(answers, body.batch)])


def _fail_waiting(
    service: Service,
    call: WaitingCall,
    kind: type[errors.RocError],
    what: str,
    out: list[Effect],
) -> None:
    message = f"{service.name.decode()}: {what}"
    fail(call.client, call.asked(service.name), call.body, kind, message, out)


def queue_full(service: Service, call: WaitingCall, out: list[Effect]) -> None:
    """There is no room for it."""
    _fail_waiting(
        service, call, errors.QueueFull,
        f"{service.waiting.count} calls wait for it already; this one was not taken. Call less"
        " often, or share the load with policy='pool'.", out,
    )  # fmt: skip


def expired(service: Service, call: WaitingCall, out: list[Effect]) -> None:
    """It waited for a server that was busy all the time."""
    _fail_waiting(
        service, call, errors.Expired,
        "the call's time was over before its turn came; it was not executed. The object is"
        " busy: allow a longer timeout.", out,
    )  # fmt: skip


def stopped(service: Service, call: WaitingCall, out: list[Effect]) -> None:
    """It waits, and the broker ends."""
    _fail_waiting(
        service, call, errors.BrokerUnreachable,
        "the broker was stopped; the call was not executed.", out,
    )  # fmt: skip


def server_lost(worker: Worker, token: bytes, text: Text, out: list[Effect]) -> None:
    """Its server is gone, and had it under this token."""
    name = worker.service.name
    message = (
        f"{name.decode()}: its server ({worker.describe()}) went away while it held this call;"
        " whether it was executed cannot be known."
    )
    client = token[:-TOKEN_NUMBER]
    fail(client, name, parse_body(text), errors.ServerLost, message, out)


def not_for_control(client: bytes, lane: bytes, body: Body, out: list[Effect]) -> None:
    """It came on the control lane, and belongs into the queue."""
    name = lane.decode(errors="backslashreplace")
    message = f"{name}: the control lane takes single rpc. calls only."
    fail(client, lane, body, errors.ProtocolError, message, out)


def no_control_lane(client: bytes, lane: bytes, body: Body, out: list[Effect]) -> None:
    """It is for a stock worker."""
    message = f"{lane.decode()}: this object's server knows no control lane."
    fail(client, lane, body, errors.MethodNotFound, message, out)
