"""What happened in a simulated network, for checkers and for people.

Rules:

* An entry is a time, who did it, what, the call it was done to, and what else is known.
* Messages are only remembered, not read: `History.story` looks into them when somebody
  asks what became of a call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..wire import mdp

__all__ = ["Entry", "History", "Message", "call_in"]

_MARK = b'"call":"'
_COMMANDS = {
    mdp.READY: "READY",
    mdp.REQUEST: "REQUEST",
    mdp.REPLY: "REPLY",
    mdp.HEARTBEAT: "HEARTBEAT",
    mdp.DISCONNECT: "DISCONNECT",
    mdp.CONTROL: "CONTROL",
}


class Entry(NamedTuple):
    """Something that was done."""

    when: float
    who: str
    what: str
    call: str = ""
    more: Any = None

    def __str__(self) -> str:
        more = "" if self.more is None else f" {self.more}"
        return f"{self.when:9.4f}  {self.who:<12} {self.what}{more}"


class Message(NamedTuple):
    """A message that was sent, was read, or got lost, as frames without a routing id."""

    when: float
    sender: str
    receiver: str
    what: str
    frames: Sequence[Any]


def call_in(text: bytes) -> str:
    """The call id in a request's first body frame; empty when there is none."""
    start = text.find(_MARK)
    if start < 0:
        return ""
    start += len(_MARK)
    return text[start : text.index(b'"', start)].decode()


class History:
    """All that happened, in order."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.messages: list[Message] = []

    def add(self, when: float, who: str, what: str, call: str = "", more: Any = None) -> None:
        """Remember something that was done."""
        self.entries.append(Entry(when, who, what, call, more))

    def of(self, what: str) -> list[Entry]:
        """The entries of one kind."""
        return [entry for entry in self.entries if entry.what == what]

    def story(self, call: str) -> str:
        """What became of one call, one line an event; faults, which hit all calls, too."""
        lines = [
            (entry.when, str(entry)) for entry in self.entries if entry.call in ("", call)
        ] + list(self._messages_about(call))
        return "\n".join(line for _, line in sorted(lines, key=lambda pair: pair[0]))

    def _messages_about(self, call: str) -> Iterator[tuple[float, str]]:
        quoted = f'"{call}"'.encode()
        client, _, number = call.partition(".")
        answered = f'"id":{number},'.encode()
        tokens: set[bytes] = set()
        for message in self.messages:
            when, sender, receiver, what, frames = message
            text = b" ".join(bytes(frame) for frame in frames[3:])
            about = quoted in text
            if frames[1] == mdp.WORKER and len(frames) > 3:
                if about:
                    tokens.add(bytes(frames[3]))
                about |= bytes(frames[3]) in tokens
            elif receiver.startswith(client):
                about |= answered in text
            if about:
                line = f"{when:9.4f}  {sender:<12} -> {receiver}: {_show(frames)} {what}"
                yield when, line


def _show(frames: Sequence[Any]) -> str:
    if frames[1] == mdp.WORKER:
        command = _COMMANDS.get(bytes(frames[2]), "?")
        body = frames[5:] if len(frames) > 5 else frames[3:]
    else:
        command, body = f"{bytes(frames[2]).decode()!r}", frames[3:]
    return f"{command} {b' | '.join(bytes(frame)[:300] for frame in body).decode(errors='replace')}"
