"""Found by the simulation: how old a request is, and who may say so."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.scripted import ScriptedBroker, request_text
from runmacs.roc.core.effects import Effect
from runmacs.roc.core.worker import WorkerCore
from runmacs.roc.wire import mdp
from runmacs.roc.wire.jsonrpc import aged
from runmacs.roc.wire.mdp import Properties

W = mdp.WORKER


def extension_of(frames: list[Any], place: int) -> dict[str, Any]:
    """The member ``roc`` of the request in these frames."""
    members: dict[str, Any] = msgspec.json.decode(frames[place])
    roc: dict[str, Any] = members["roc"]
    return roc


class Server:
    """A worker core that was greeted."""

    def __init__(self) -> None:
        self.core = WorkerCore("vnir", Properties(instance="i1", prefetch=16))
        self.now = 500.0
        out: list[Effect] = []
        self.core.opened(self.now, out)
        self.core.on_frames([b"", W, mdp.HEARTBEAT, b"{}"], self.now, out)
        self.core.check()

    def gets(self, text: bytes) -> None:
        """A request arrives."""
        self.core.on_frames([b"", W, mdp.REQUEST, b"token", b"", text], self.now, [])
        self.core.check()

    def begins(self) -> bool:
        """Whether it begins what it has got last."""
        task = self.core.take(self.now, [])
        self.core.check()
        if task is not None:
            self.core.finish(task, [b""], [])
        return task is not None


def request(at: float, ttl: float = 2.0, **roc: object) -> bytes:
    return request_text(1, "m", None, call="c1.1", ttl=ttl, at=at, **roc)


def test_a_brokers_standstill_does_not_touch_the_senders_clock() -> None:
    """It is a supposition: in ``at`` it would make this request look quick, all later ones slow,
    and the client would not be served again for hours.
    """
    broker = ScriptedBroker()
    broker.ready("w1")
    broker.stand_still(1.5)
    assert broker.call("c1", "vnir", 1, at=70.0) == ["w1 gets m #1 of c1"]
    roc = extension_of(broker.got["w1"], 5)
    assert roc["at"] == 70.0
    assert roc["ttl"] == 2.0
    assert roc["age"] == 1.5


def test_time_in_the_brokers_queue_is_certain() -> None:
    broker = ScriptedBroker()
    broker.ready("w1", prefetch=1)
    broker.call("c1", "vnir", 1)
    broker.call("c1", "vnir", 2, at=70.0)
    broker.now += 0.5
    broker.reply("w1", "c1", 1)
    roc = extension_of(broker.got["w1"], 5)
    assert roc["at"] == pytest.approx(70.5)
    assert roc["ttl"] == pytest.approx(1.5)
    assert "age" not in roc


def test_ages_add_up_from_holder_to_holder() -> None:
    text = aged(aged(request(at=70.0), 0.5, 1.0), 0.25, 0.125)
    roc = extension_of([text], 0)
    assert (roc["at"], roc["ttl"], roc["age"]) == (70.75, 1.25, 1.125)


def test_a_server_counts_what_others_suppose() -> None:
    server = Server()
    server.gets(request(at=70.0, age=1.9))
    server.now += 0.05
    assert server.begins()
    server.gets(request(at=70.05, age=1.9))
    server.now += 0.15
    assert not server.begins()


def test_what_is_supposed_of_one_request_is_not_held_against_the_next() -> None:
    server = Server()
    server.gets(request(at=70.0, age=1.5))
    assert server.begins()
    server.now += 0.1
    server.gets(request(at=70.1, ttl=0.05))
    assert server.begins()


def test_a_clock_with_another_number_is_compared_with_itself_anew() -> None:
    server = Server()
    server.gets(request(at=1000.0))
    assert server.begins()
    server.gets(request(at=70.0))
    assert not server.begins()
    server.gets(request(at=70.0, clock=1))
    assert server.begins()


def test_a_server_says_how_late_it_takes_a_request_to_be() -> None:
    server = Server()
    server.gets(request(at=100.0))
    assert server.begins()
    server.gets(request(at=93.0))
    out: list[Effect] = []
    assert server.core.take(server.now, out) is None
    (reply,) = out
    assert isinstance(reply, list)
    error = msgspec.json.decode(reply[5])["error"]
    assert error["code"] == -32006
    assert error["data"]["executed"] is False
    assert error["data"]["late"] == pytest.approx(7.0, abs=0.01)


def test_after_a_long_standstill_nothing_is_begun_until_all_is_read() -> None:
    """The withdrawal, or the end of the broker, may be among what is still to be read."""
    server = Server()
    server.gets(request(at=70.0, ttl=60.0))
    server.now += 5.0
    server.core.stood_still(5.0)
    assert not server.begins()
    server.core.drained()
    assert server.begins()


def test_a_short_standstill_keeps_nobody_waiting() -> None:
    server = Server()
    server.gets(request(at=70.0, ttl=60.0))
    server.now += 0.3
    server.core.stood_still(0.3)
    assert server.begins()
