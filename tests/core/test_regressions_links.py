"""Found by the simulation: what becomes of calls when a connection is lost."""

from __future__ import annotations

import json

from core.scripted import request_text
from runmacs.roc import errors
from runmacs.roc.core.call import Call
from runmacs.roc.core.caller import CallerCore
from runmacs.roc.core.effects import Effect, Refused
from runmacs.roc.core.worker import WorkerCore
from runmacs.roc.wire import mdp
from runmacs.roc.wire.mdp import Properties

W, C = mdp.WORKER, mdp.CLIENT
STOPPED = json.dumps({"code": -32600, "message": "READY came twice on one connection"}).encode()


class Server:
    """A worker core that was greeted, with two requests that it has not begun."""

    def __init__(self) -> None:
        self.core = WorkerCore("vnir", Properties(instance="i1", prefetch=16))
        self.now = 500.0
        self.core.opened(self.now, [])
        self.gets(mdp.HEARTBEAT, b"{}")
        self.request(1)
        self.request(2)

    def gets(self, *frames: bytes) -> list[Effect]:
        """Frames arrive, header apart."""
        out: list[Effect] = []
        self.core.on_frames([b"", W, *frames], self.now, out)
        self.core.check()
        return out

    def request(self, number: int, ttl: float = 60.0) -> None:
        """A request arrives."""
        text = request_text(number, call=f"c1.{number}", ttl=ttl)
        self.gets(mdp.REQUEST, b"token%d" % number, b"", text)

    def ticks(self, seconds: float) -> list[Effect]:
        """Time passes."""
        self.now += seconds
        out: list[Effect] = []
        self.core.tick(self.now, out)
        self.core.check()
        return out

    def begins(self) -> bool:
        """Whether there is something to begin."""
        return self.core.take(self.now, []) is not None


def sent(effects: list[Effect]) -> list[bytes]:
    """The commands among the effects."""
    return [bytes(effect[2]) for effect in effects if isinstance(effect, list)]


def test_a_server_whose_connection_is_gone_drops_what_it_has_not_begun() -> None:
    server = Server()
    server.core.link_down(server.now)
    server.core.check()
    assert not server.begins()
    assert sent(server.ticks(0.2)) == [mdp.READY]


def test_what_was_read_late_from_a_connection_that_is_gone_is_dropped_too() -> None:
    server = Server()
    server.core.link_down(server.now)
    server.request(3)
    assert not server.begins()
    server.ticks(0.2)
    server.gets(mdp.HEARTBEAT, b"{}")
    server.request(4)
    assert server.begins()


def test_at_a_broker_that_never_greets_a_lost_connection_is_the_same() -> None:
    server = Server()
    stock = WorkerCore("vnir", Properties())
    stock.opened(server.now, [])
    text = request_text(1)
    stock.on_frames([b"", W, mdp.REQUEST, b"token", b"", text], server.now, [])
    stock.unsent(server.now)
    stock.check()
    assert stock.take(server.now, []) is None


def test_a_server_that_was_accepted_is_not_refused_for_a_misunderstanding() -> None:
    """Late DISCONNECTs made it register twice on one connection: no reason to end."""
    server = Server()
    effects = server.gets(mdp.DISCONNECT, STOPPED)
    assert not any(isinstance(effect, Refused) for effect in effects)
    assert sent(server.ticks(1.1)) == [mdp.READY]


class Client:
    """A caller core on a link to a broker of ours."""

    def __init__(self) -> None:
        self.core = CallerCore("c1", "tcp://x:5555")
        self.now = 100.0
        self.link_up()

    def link_up(self) -> list[str]:
        """A connection stands, and the broker says who it is; returns what is sent."""
        out: list[Effect] = []
        self.core.link_up(self.now, out)
        requests = self.read(out)
        greeting = json.loads(bytes(self.frames[0][3]))["id"]
        text = json.dumps({"jsonrpc": "2.0", "id": greeting, "result": {"broker": "b1"}})
        self.core.on_frames([b"", C, b"roc.broker!", text.encode()], self.now)
        self.core.check()
        return requests

    def read(self, out: list[Effect]) -> list[str]:
        """What is sent: method and parameters."""
        self.core.check()
        self.frames = [effect for effect in out if isinstance(effect, list)]
        requests = [json.loads(bytes(frames[3])) for frames in self.frames]
        self.numbers = [request["id"] for request in requests]
        return [f"{r['method']} {r.get('params', {}).get('call', '')}".strip() for r in requests]

    def calls(self, timeout: float = 60.0) -> Call:
        """A call of the method m is made."""
        call = Call("vnir", "m", None, ())
        out: list[Effect] = []
        self.core.submit(call, self.now, timeout, out)
        self.read(out)
        return call

    def answered(self, number: int) -> None:
        """A withdrawal is answered."""
        result = {"executed": False, "state": "queued"}
        text = json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode()
        self.core.on_frames([b"", C, b"vnir!", text], self.now)
        self.core.check()


def test_what_was_under_way_on_a_lost_link_is_withdrawn_before_a_later_call_is_sent() -> None:
    client = Client()
    lost = client.calls()
    client.core.link_down()
    assert isinstance(lost.error, errors.BrokerUnreachable)
    assert lost.error.executed is None
    client.calls()
    assert client.link_up() == ["rpc.ping", "rpc.cancel c1.2", "m"]


def test_it_is_withdrawn_over_each_link_until_that_is_answered() -> None:
    client = Client()
    client.calls()
    client.core.link_down()
    assert client.link_up() == ["rpc.ping", "rpc.cancel c1.2"]
    client.core.link_down()
    assert client.link_up() == ["rpc.ping", "rpc.cancel c1.2"]
    client.answered(client.numbers[1])
    client.core.link_down()
    assert client.link_up() == ["rpc.ping"]
    assert client.core.late == 0


def test_a_withdrawal_that_was_not_sent_is_sent_when_that_is_tried_again() -> None:
    client = Client()
    client.calls()
    client.core.link_down()
    out: list[Effect] = []
    client.core.link_up(client.now, out)
    client.core.unsent([effect for effect in out if isinstance(effect, list)], client.now)
    client.calls()
    assert client.frames == []
    client.now += 0.02
    out = []
    client.core.tick(client.now, out)
    assert client.read(out) == ["rpc.ping", "rpc.cancel c1.2", "m"]


def test_what_is_past_its_deadline_is_not_withdrawn() -> None:
    client = Client()
    client.calls(timeout=1.0)
    client.core.link_down()
    client.now += 1.5
    assert client.link_up() == ["rpc.ping"]


def test_a_stock_broker_gets_no_withdrawals() -> None:
    client = Client()
    client.core.link_down()
    client.core.link_up(client.now, [])  # and it never answers
    client.calls()
    client.core.link_down()
    assert client.link_up() == ["rpc.ping"]


def test_an_abandoned_call_is_withdrawn_over_the_next_link_if_need_be() -> None:
    client = Client()
    call = client.calls()
    out: list[Effect] = []
    client.core.abandon(call, client.now, out)
    assert client.read(out) == ["rpc.cancel c1.2"]
    client.core.link_down()
    assert client.link_up() == ["rpc.ping", "rpc.cancel c1.2"]


def test_who_closes_withdraws_what_is_open() -> None:
    client = Client()
    call = client.calls()
    out: list[Effect] = []
    assert client.core.close(out)
    assert client.read(out) == ["rpc.cancel c1.2"]
    client.core.fail_all(errors.Closed("the client was closed."))
    assert isinstance(call.error, errors.Closed)
    assert call.error.executed is None


def test_who_closes_with_nothing_open_need_not_linger() -> None:
    client = Client()
    out: list[Effect] = []
    assert not client.core.close(out)
    assert out == []
