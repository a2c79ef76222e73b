"""Where the microseconds of one serial call go.

Client, broker and server note when they do what, on the clock that they share, in ROC's own
functions (in pure Python: what is compiled cannot be traced). A stage lasts from the end of
the one before to its own end along the way of the call, so that all together are the call.
What the notes cost themselves, some 0.3 µs each, is in the stages. Medians over 2,000 calls.
"""

from __future__ import annotations

import bisect
import json
import statistics
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..bench import Bench, Case, Figures
from ..processes import House, NotThere
from ..traced import Note

TITLE = "The budget of one call"
UNIT = "µs"
ABOUT = __doc__
LESS_IS_BETTER = True
CALLS = 2000


@dataclass(frozen=True)
class Stage:
    """A stage: who is at it, and with which of its notes it ends."""

    who: str
    ends: str
    title: str


STAGES = (
    Stage("client", "flush>", "client: take the call, encode it"),
    Stage("broker", "decode>", "send, wake the broker, receive"),
    Stage("broker", "decode<", "broker: decode frames"),
    Stage("broker", "route>", "broker: to the core"),
    Stage("broker", "route<", "broker: route the request"),
    Stage("broker", "flush>", "broker: encode frames"),
    Stage("server", "decode>", "send, wake the server, receive"),
    Stage("server", "decode<", "server: decode frames"),
    Stage("server", "method>", "server: parse, find and check the method"),
    Stage("server", "method<", "the method itself"),
    Stage("server", "flush>", "server: encode the answer"),
    Stage("broker", "decode>", "send, wake the broker, receive (answer)"),
    Stage("broker", "decode<", "broker: decode frames (answer)"),
    Stage("broker", "route>", "broker: to the core (answer)"),
    Stage("broker", "route<", "broker: route the answer"),
    Stage("broker", "flush>", "broker: encode frames (answer)"),
    Stage("client", "decode>", "send, wake the client, receive"),
    Stage("client", "decode<", "client: decode frames"),
    Stage("client", "call<", "client: match and parse the answer"),
)


def cases(bench: Bench) -> list[Case]:
    return [Case("roc", partial(_run, 200 if bench.options.quick else CALLS))]


def _run(calls: int) -> Figures:
    with House() as house:
        files = {who: house.folder / f"{who}.json" for who in ("broker", "server", "client")}
        broker = house.play("traced", "broker", files["broker"])
        address = broker.line()
        server = house.play("traced", "server", files["server"], address)
        server.line()
        client = house.play("traced", "client", files["client"], address, calls)
        client.line()
        for process in (client, server, broker):
            house.end(process)
        said = {who: _read(file) for who, file in files.items()}
    return _medians(said)


def _read(file: Path) -> list[Note]:
    if not file.exists():
        raise NotThere(f"{file.stem} wrote no notes")
    return [(word, at) for word, at in json.loads(file.read_text())]


def _medians(said: dict[str, list[Note]]) -> Figures:
    followed = Followed(said)
    found = [stages for begin in followed.begins if (stages := followed.stages(begin))]
    if len(found) < len(followed.begins) / 2:
        raise NotThere("the calls took another way than was expected")
    figures = {
        stage.title: statistics.median(one[index] for one in found) / 1e3
        for index, stage in enumerate(STAGES)
    }
    whole = statistics.median(sum(one) for one in found) / 1e3
    return {**figures, "the whole call": whole, **followed.system_calls()}


class Followed:
    """The notes of all three, by who made them and what they say."""

    def __init__(self, said: dict[str, list[Note]]) -> None:
        self._at: dict[tuple[str, str], list[int]] = {}
        for who, notes in said.items():
            for word, at in notes:
                self._at.setdefault((who, word), []).append(at)
        self.begins = self._at.get(("client", "call>"), [])

    def stages(self, begin: int) -> list[int]:
        """How long each stage of the call took that began then; empty if it went otherwise."""
        found, at, before = [], begin, begin
        (end, *_) = self._after("client", "call<", begin)
        for stage in STAGES:
            following = self._after(stage.who, stage.ends, at)
            if not following or following[0] > end:
                return []
            # What comes next happens after this, but for a send that returns late.
            at = following[0]
            found.append(at - before)
            before = at
        return found

    def _after(self, who: str, word: str, at: int) -> list[int]:
        several = self._at.get((who, word), [])
        index = bisect.bisect_left(several, at)
        return several[index : index + 1]

    def system_calls(self) -> Figures:
        """How long a send takes until it returns, part of the stages that begin with one."""
        figures = {}
        for who in ("client", "broker", "server"):
            begins, ends = self._at.get((who, "flush>"), []), self._at.get((who, "flush<"), [])
            took = [end - begin for begin, end in zip(begins, ends, strict=False)]
            if took:
                figures[f"of which {who}'s send"] = statistics.median(took) / 1e3
        return figures
