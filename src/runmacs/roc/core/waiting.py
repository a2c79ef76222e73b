"""Calls that wait for a server: round robin between clients, in order for each.

Rules:

* Every queue has a limit in calls and in bytes; over it a call is not taken.
* A call that has waited longer than its time to live is never handed out.
* What is withdrawn from a batch goes; the rest of the batch waits on.
* Python's garbage collector keeps track of nothing that a waiting call consists of: with ten
  thousand of them it took 20 ms to go through it all, and nobody was served meanwhile.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

import msgspec

from ..wire.jsonrpc import Body, Request, aged, without
from ..wire.values import Buffer

__all__ = ["WaitingCall", "WaitingCalls"]

_OVERHEAD = 1024
"""Bytes of memory that a waiting call takes beside its frames; measured are 920."""


class WaitingCall(msgspec.Struct, eq=False, gc=False):
    """One call, as it was read, and what its body says of its time.

    ``unread`` is how long it may have waited before it was read; ``size`` are the bytes of
    memory that it takes, about.
    """

    client: bytes
    frames: tuple[Buffer, ...]
    body: Body
    arrived: float
    deadline: float
    control: bool = False
    unread: float = 0.0
    withdrawn: frozenset[str] = frozenset()
    size: int = 0

    def __post_init__(self) -> None:
        self.size = _OVERHEAD + sum(map(len, self.frames))

    def asked(self, name: bytes) -> bytes:
        """What its caller asked for: the object of this name, or its control lane."""
        return name + b"!" if self.control else name

    @property
    def sender(self) -> str:
        """Who its call id says that it is from."""
        first = self.body.items[0]
        return first.roc.call.partition(".")[0] if isinstance(first, Request) else ""

    def ids(self) -> list[str]:
        """The call ids that it carries."""
        return [
            item.roc.call for item in self.body.items if isinstance(item, Request) and item.roc.call
        ]

    def drop(self, call_id: str) -> bool:
        """Take one request out of its body; whether any is left."""
        kept = [
            item
            for item in self.body.items
            if not isinstance(item, Request) or item.roc.call != call_id
        ]
        self.body = Body(tuple(kept), self.body.batch)
        self.withdrawn |= {call_id}
        return bool(kept)

    def passed_on(self, now: float) -> tuple[Buffer, ...]:
        """Its frames, with the time it was held taken from its time to live."""
        if self.withdrawn:
            self.frames = (without(self.frames[0], self.withdrawn), *self.frames[1:])
            self.withdrawn = frozenset()
        held = now - self.arrived
        if (held < 1e-3 and not self.unread) or not self.body.sound:
            return self.frames
        return (aged(self.frames[0], held, self.unread), *self.frames[1:])


class _Line:
    """The calls of one client, in their order, and which of them carries which call id."""

    __slots__ = ("by_id", "calls")

    def __init__(self) -> None:
        self.calls: OrderedDict[WaitingCall, None] = OrderedDict()
        self.by_id: dict[str, WaitingCall] = {}

    def enter(self, call: WaitingCall) -> None:
        self.calls[call] = None
        for name in call.ids():
            self.by_id[name] = call

    def remove(self, call: WaitingCall) -> None:
        del self.calls[call]
        for name in call.ids():
            if self.by_id.get(name) is call:
                del self.by_id[name]


class WaitingCalls:
    """The queue of one object id."""

    __slots__ = ("_clients", "bytes", "count")

    def __init__(self) -> None:
        self._clients: OrderedDict[bytes, _Line] = OrderedDict()
        self.count = 0
        self.bytes = 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[WaitingCall]:
        for line in self._clients.values():
            yield from line.calls

    @property
    def clients(self) -> Iterable[bytes]:
        """Those whose calls wait, in turn."""
        return self._clients

    def add(self, call: WaitingCall) -> None:
        """Append a call to those of its client."""
        self._line(call).enter(call)
        self.count += 1
        self.bytes += call.size

    def put_back(self, call: WaitingCall) -> None:
        """A call that was taken, to be the next again."""
        line = self._line(call)
        line.enter(call)
        line.calls.move_to_end(call, last=False)
        self._clients.move_to_end(call.client, last=False)
        self.count += 1
        self.bytes += call.size

    def _line(self, call: WaitingCall) -> _Line:
        line = self._clients.get(call.client)
        if line is None:
            line = self._clients[call.client] = _Line()
        return line

    def take(self, client: bytes) -> WaitingCall:
        """The oldest call of one of the clients: it has had its turn."""
        call = next(iter(self._clients[client].calls))
        self._clients.move_to_end(client)
        self.remove(call)
        return call

    def remove(self, call: WaitingCall) -> None:
        """Take one particular call out."""
        line = self._clients[call.client]
        line.remove(call)
        if not line.calls:
            del self._clients[call.client]
        self.count -= 1
        self.bytes -= call.size

    def withdraw(self, call: WaitingCall, call_id: str) -> bool:
        """Take a request out of a call, and the call out when it was the last; whether it was."""
        self._clients[call.client].by_id.pop(call_id, None)
        if call.body.batch and call.drop(call_id):
            return False
        self.remove(call)
        return True

    def find(self, client: bytes, call_id: str) -> WaitingCall | None:
        """The call of this id: among those of ``client``, or of an earlier connection of it."""
        own = self._clients.get(client)
        found = None if own is None else own.by_id.get(call_id)
        if found is None:
            sender = call_id.partition(".")[0]
            for line in self._clients.values():
                if found is None and _sender(line) == sender:
                    found = line.by_id.get(call_id)
        return found

    def expired(self, now: float) -> list[WaitingCall]:
        """Takes out, and returns, the calls whose time is over."""
        over = [call for call in self if call.deadline <= now]
        for call in over:
            self.remove(call)
        return over

    def check(self) -> None:
        """Every invariant of the queue."""
        calls = list(self)
        assert self.count == len(calls)
        assert self.bytes == sum(call.size for call in calls)
        for client, line in self._clients.items():
            assert line.calls, "no client without calls"
            assert all(call.client == client for call in line.calls)
            carried = {name for call in line.calls for name in call.ids()}
            assert carried >= set(line.by_id)


def _sender(line: _Line) -> str:
    return next((call.sender for call in line.calls if call.sender), "")
