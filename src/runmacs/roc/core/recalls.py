"""Recalls: withdrawals of calls whose caller waits for no answer any longer.

A call that was sent and then abandoned, or lost sight of with its connection, may still wait
somewhere to be begun. It is withdrawn on the control lane: at once where that can be, and
over each next connection until somebody has answered, or its time is over and nobody
begins it anyway.

Rules:

* Who did not greet us may be a stock broker, and gets nothing. What is withdrawn before the
  greeting waits for it, and is dropped if the connection ends first.
* What waits for a connection goes out before any newer call, in its order.
"""

from __future__ import annotations

from typing import Any

from ..wire.jsonrpc import encode_request
from ..wire.mdp import CLIENT, EMPTY
from .call import Call

__all__ = ["Recalls", "withdrawal"]


def withdrawal(call: Call, instance: bytes, number: int) -> list[Any]:
    """The frames that withdraw a call; their answer will have this number."""
    params = b'{"call":"%b.%d"}' % (instance, call.number)
    text = encode_request(b'"rpc.cancel"', params, number)
    lane = call.object_id.rstrip("!").encode() + b"!"
    return [EMPTY, CLIENT, lane, text]


class Recalls:
    """What one client still has to withdraw, by the numbers of the withdrawals."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[float, list[Any]]] = {}
        self._unsent: set[int] = set()
        self._early: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._open)

    def __contains__(self, number: object) -> bool:
        return number in self._open

    @property
    def unsent(self) -> bool:
        """Whether some wait for a connection."""
        return bool(self._unsent)

    def add(self, number: int, deadline: float, frames: list[Any], early: bool = False) -> None:
        """A withdrawal that is on its way; with ``early`` it waits for the broker's greeting."""
        self._open[number] = deadline, frames
        if early:
            self._early.append(number)

    def put_back(self, number: int) -> None:
        """The socket did not take it."""
        self._unsent.add(number)

    def answered(self, number: int) -> None:
        """Somebody knows of it now."""
        del self._open[number]
        self._unsent.discard(number)

    def greeted(self) -> bool:
        """The broker is one of ours: what waited for that may go. True if something did."""
        early = [number for number in self._early if number in self._open]
        self._early.clear()
        self._unsent.update(early)
        return bool(early)

    def link_down(self) -> None:
        """The connection is gone: all is to be sent over the next one."""
        for number in self._early:
            self._open.pop(number, None)  # it may be a stock broker
        self._early.clear()
        self._unsent = set(self._open)

    def take_unsent(self) -> list[list[Any]]:
        """What waits for a connection that stands now, in its order."""
        frames = [self._open[number][1] for number in sorted(self._unsent)]
        self._unsent.clear()
        return frames

    def forget(self, now: float) -> None:
        """What is past its deadline is begun by nobody."""
        for number in [n for n, (deadline, _) in self._open.items() if deadline <= now]:
            self.answered(number)

    def check(self) -> None:
        """Every invariant."""
        assert self._unsent <= set(self._open)
