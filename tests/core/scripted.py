"""Cores on a script: events in, one readable line for each effect out, every invariant checked.

A test of a core reads as a transcript: what happens, and exactly what is then sent::

    broker = ScriptedBroker()
    assert broker.ready("w1", "vnir") == ["w1 is serving"]
    assert broker.call("c1", "vnir", 1) == ["w1 gets m #1 of c1"]
    assert broker.reply("w1", "c1", 1) == ["c1 #1 = null"]
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from runmacs.roc import errors
from runmacs.roc.core.broker import BrokerCore
from runmacs.roc.core.effects import Asked, Effect
from runmacs.roc.core.events import (
    Arrived,
    Drained,
    Event,
    StoodStill,
    Stop,
    Tick,
    Unreachable,
)
from runmacs.roc.core.limits import Limits
from runmacs.roc.wire import mdp

__all__ = ["ScriptedBroker", "error_names", "request_text", "silent"]

W, C = mdp.WORKER, mdp.CLIENT
BEAT_LINE = "gets a heartbeat"

error_names: dict[int, str] = {
    kind.code: kind.__name__
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.RocError) and "code" in vars(kind)
}


def request_text(
    number: int | None,
    method: str = "m",
    params: object = None,
    **roc: object,
) -> bytes:
    """A JSON-RPC request; ``roc`` are the members of the extension."""
    tree: dict[str, object] = {"jsonrpc": "2.0", "method": method}
    tree |= {} if number is None else {"id": number}
    tree |= {} if params is None else {"params": params}
    tree |= {"roc": roc} if roc else {}
    return json.dumps(tree).encode()


def silent(lines: list[str]) -> list[str]:
    """The lines without heartbeats, where a test is about something else."""
    return [line for line in lines if not line.endswith(BEAT_LINE)]


class ScriptedBroker:
    """A broker, and a clock that stands still until it is told. Peers are called by names."""

    def __init__(self, **limits: Any) -> None:
        self.core = BrokerCore("b1", Limits(**limits))
        self.now = 1000.0
        self.tokens: dict[tuple[str, str, int], bytes] = {}
        self.got: dict[str, list[Any]] = {}
        """The frames that each peer got last."""

    # ---- what happens

    def do(self, event: Event) -> list[str]:
        """Give the core any event."""
        effects = self.core.handle(event, self.now)
        self.core.check()
        return [self._line(effect) for effect in effects]

    def says(self, peer: str, *frames: Any) -> list[str]:
        """A peer sends frames."""
        return self.do(Arrived([peer.encode(), *frames]))

    def ready(self, worker: str, name: str = "vnir", **properties: Any) -> list[str]:
        """A ROC server registers; its instance is called like itself."""
        facts = {"instance": worker, "prefetch": 16, "host": "daq2", "pid": 7, **properties}
        return self.says(worker, b"", W, mdp.READY, name.encode(), json.dumps(facts).encode())

    def stock_ready(self, worker: str, name: str = "vnir") -> list[str]:
        """A worker registers that knows 7/MDP and nothing else."""
        return self.says(worker, b"", W, mdp.READY, name.encode())

    def call(
        self,
        client: str,
        name: str,
        number: int,
        method: str = "m",
        params: object = None,
        buffers: Sequence[bytes] = (),
        **roc: object,
    ) -> list[str]:
        """A ROC client calls; the call id is ``c1.7``, the time to live 2 s."""
        text = request_text(
            number, method, params, **{"call": f"{client}.{number}", "ttl": 2.0, **roc}
        )
        return self.says(client, b"", C, name.encode(), text, *buffers)

    def stock_call(self, client: str, name: str, *body: bytes) -> list[str]:
        """A client calls that knows 7/MDP and nothing else."""
        return self.says(client, b"", C, name.encode(), *body)

    def cancel(self, client: str, name: str, number: int, call: object) -> list[str]:
        """A client withdraws a call: its number, or a whole call id."""
        call_id = f"{client}.{call}" if isinstance(call, int) else call
        text = request_text(number, "rpc.cancel", {"call": call_id})
        return self.says(client, b"", C, name.encode() + b"!", text)

    def reply(self, worker: str, client: str, number: int, result: object = None) -> list[str]:
        """A worker answers what it got from this client under this number."""
        token = self.tokens[worker, client, number]
        text = json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode()
        return self.says(worker, b"", W, mdp.REPLY, token, b"", text)

    def beat(self, worker: str) -> list[str]:
        """A worker sends a sign of life."""
        return self.says(worker, b"", W, mdp.HEARTBEAT)

    def leave(self, worker: str) -> list[str]:
        """A worker says goodbye."""
        return self.says(worker, b"", W, mdp.DISCONNECT)

    def vanish(self, peer: str) -> list[str]:
        """A heartbeat to a peer could not be sent: its connection is gone."""
        return self.do(Unreachable([peer.encode(), b"", W, mdp.HEARTBEAT]))

    def pass_time(self, seconds: float, beating: Sequence[str] = ()) -> list[str]:
        """Time passes; the core is ticked when it asked for it, and some workers beat."""
        lines: list[str] = []
        end = self.now + seconds
        while (due := self.core.next_deadline()) is not None and due <= end:
            self.now = max(due, self.now)
            for worker in beating:
                lines += self.beat(worker)
            lines += self.do(Tick())
            still_due = self.core.next_deadline()
            assert still_due is None or still_due > self.now, "nothing is due after a tick"
        self.now = end
        return lines

    def stand_still(self, seconds: float) -> list[str]:
        """The broker itself stood still."""
        self.now += seconds
        return self.do(StoodStill(seconds))

    def drained(self) -> list[str]:
        """The socket is empty."""
        return self.do(Drained())

    def stop(self) -> list[str]:
        """The broker ends."""
        return self.do(Stop())

    # ---- what it looks like

    @property
    def counters(self) -> dict[str, int]:
        """The counters that are not zero."""
        return {k: v for k, v in self.core.snapshot()["counters"].items() if v}

    def queued(self, name: str) -> int:
        """How many calls wait for an object."""
        known = {entry["id"]: entry for entry in self.core.snapshot()["objects"]}
        return int(known[name]["queued"]) if name in known else 0

    def states(self, name: str) -> list[str]:
        """The states of an object's servers, those that serve first."""
        known = {entry["id"]: entry for entry in self.core.snapshot()["objects"]}
        return [server["state"] for server in known[name]["servers"]] if name in known else []

    # ---- effects as text

    def _line(self, effect: Effect) -> str:
        if isinstance(effect, Asked):
            return f"{effect.client.decode()} asks {effect.name.decode()}"
        assert isinstance(effect, list)
        peer = bytes(effect[0]).decode()
        self.got[peer] = effect[1:]
        assert effect[1] == b""
        if effect[2] == C:
            return self._reply_line(peer, effect[4:])
        assert effect[2] == W
        return self._worker_line(peer, effect[3:])

    def _worker_line(self, peer: str, frames: list[Any]) -> str:
        command, *rest = frames
        if command == mdp.HEARTBEAT:
            greeting = mdp.parse_greeting(rest[0]) if rest else None
            return f"{peer} {BEAT_LINE}" if greeting is None else f"{peer} is {greeting.state}"
        if command == mdp.DISCONNECT:
            reason = mdp.parse_reason(rest[0]) if rest else None
            why = "" if reason is None else f": {error_names.get(reason.code, 'no error')}"
            return f"{peer} is sent away{why}"
        token, empty, body, *_ = rest
        assert empty == b""
        client = token[:-8].decode()
        try:
            request = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.MsgspecError:
            request = {"method": repr(bytes(body)), "id": 0}
        number = request.get("id")
        self.tokens[peer, client, number if isinstance(number, int) else 0] = token
        lane = "control " if command == mdp.CONTROL else ""
        return f"{peer} gets {lane}{request['method']} #{number} of {client}"

    def _reply_line(self, peer: str, body: list[Any]) -> str:
        if not bytes(body[0]):
            return f"{peer} gets nothing"
        try:
            response = msgspec.json.decode(body[0])
        except msgspec.MsgspecError:
            return f"{peer} gets {bytes(body[0])!r}"
        if isinstance(response, list):
            return f"{peer} " + ", ".join(map(_response_line, response))
        return (
            f"{peer} {_response_line(response)}"
            if isinstance(response, dict)
            else (f"{peer} gets {bytes(body[0])!r}")
        )


def _response_line(response: dict[str, Any]) -> str:
    error = response.get("error")
    number = response["id"]
    if error is None:
        return f"#{number} = {json.dumps(response['result'])}"
    executed = (error.get("data") or {}).get("executed")
    return f"#{number} fails: {error_names[error['code']]}, executed {executed}"
