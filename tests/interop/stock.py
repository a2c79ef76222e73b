"""Stock Majordomo peers, for the tests of interoperation: pyzmq and nothing of ours.

A broker, a worker and a client of 7/MDP with 8/MMI, as somebody writes them who has read
the two specifications and has never heard of ROC. Rules:

* Nothing here imports ``runmacs``. Frames that the specifications do not know (in READY,
  in HEARTBEAT) are tolerated and ignored.
* The broker never greets. It beats idle workers only, every 2.5 s, drops an idle worker
  after three beats of silence, hands a worker one request at a time, and keeps requests
  for ever. A HEARTBEAT or REPLY of a worker that it does not know earns a DISCONNECT.
* The worker is one thread: while it works it neither beats nor listens.

The broker and the worker run as processes::

    python stock.py broker --bind tcp://127.0.0.1:0
    python stock.py worker --broker tcp://127.0.0.1:5555 --name echo --answer echo

Each prints one line when it is at work; the broker's ends with its address.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import zmq

CLIENT = b"MDPC01"
WORKER = b"MDPW01"
READY, REQUEST, REPLY, HEARTBEAT, DISCONNECT = (bytes([number]) for number in range(1, 6))
BEAT = 2.5
PATIENCE = 3 * BEAT

Body = list[bytes]


class Peer:
    """A socket that sends exactly what it is told and never waits without a limit."""

    def __init__(self, address: str, kind: int = zmq.DEALER) -> None:
        self.kind = kind
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(kind)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.SNDHWM, 0)
        self.socket.connect(address)

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, *frames: bytes) -> None:
        self.socket.send_multipart(frames)

    def receive(self, timeout: float = 30.0) -> list[bytes]:
        """The next message; TimeoutError when none comes in time."""
        if not self.socket.poll(max(0, round(timeout * 1000))):
            raise TimeoutError(f"no message within {timeout:g} s")
        frames: list[bytes] = self.socket.recv_multipart()
        return frames

    def request(self, name: bytes, *body: bytes) -> None:
        """Send a client's REQUEST. A REQ socket adds the empty delimiter by itself."""
        delimiter = [] if self.kind == zmq.REQ else [b""]
        self.send(*delimiter, CLIENT, name, *body)

    def reply(self, timeout: float = 30.0) -> tuple[bytes, Body]:
        """The next reply to a client: the name that answered, and the body."""
        frames = self.receive(timeout)
        if self.kind != zmq.REQ:
            assert frames[0] == b"", f"no delimiter in {frames}"
            frames = frames[1:]
        assert frames[0] == CLIENT, f"not a client's reply: {frames}"
        return frames[1], frames[2:]


def ask(
    address: str, name: bytes, *body: bytes, kind: int = zmq.DEALER, timeout: float = 30.0
) -> Body:
    """One request from a stock client of its own (``kind``: REQ or DEALER); the reply's body."""
    with Peer(address, kind) as client:
        client.request(name, *body)
        answered, answer = client.reply(timeout)
        assert answered == name, f"asked {name!r}, answered by {answered!r}"
        return answer


def req_client(address: str, name: bytes, *body: bytes, timeout: float = 30.0) -> Body:
    """A stock REQ client's one request."""
    return ask(address, name, *body, kind=zmq.REQ, timeout=timeout)


def dealer_client(address: str, name: bytes, *body: bytes, timeout: float = 30.0) -> Body:
    """A stock DEALER client's one request."""
    return ask(address, name, *body, kind=zmq.DEALER, timeout=timeout)


@dataclass
class KnownWorker:
    """What the stock broker knows of a worker."""

    service: bytes
    expires: float
    idle: bool


class StockBroker:
    """One ROUTER, two tables: workers by address, waiting requests by service."""

    def __init__(self, bind: str) -> None:
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind(bind)
        self.address: str = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        # The order of this dict is the order of idleness: who has been idle longest is first.
        self.workers: dict[bytes, KnownWorker] = {}
        self.waiting: dict[bytes, deque[tuple[bytes, Body]]] = {}

    def run(self) -> None:
        beat_at = time.monotonic() + BEAT
        while True:
            left = beat_at - time.monotonic()
            if self.socket.poll(max(0, round(left * 1000))):
                self.on_message(self.socket.recv_multipart())
            self.expire()
            if time.monotonic() >= beat_at:
                for address, worker in self.workers.items():
                    if worker.idle:
                        self.to_worker(address, HEARTBEAT)
                beat_at = time.monotonic() + BEAT

    def to_worker(self, address: bytes, *frames: bytes) -> None:
        self.socket.send_multipart([address, b"", WORKER, *frames])

    def on_message(self, frames: list[bytes]) -> None:
        if len(frames) < 4 or frames[1] != b"":
            return
        sender, header, rest = frames[0], frames[2], frames[3:]
        if header == CLIENT:
            self.on_request(sender, rest[0], rest[1:])
        elif header == WORKER:
            self.on_worker(sender, rest[0], rest[1:])

    def on_request(self, client: bytes, service: bytes, body: Body) -> None:
        if service.startswith(b"mmi."):
            code = b"501"
            if service == b"mmi.service":
                known = any(worker.service == body[-1] for worker in self.workers.values())
                code = b"200" if known else b"404"
            self.socket.send_multipart([client, b"", CLIENT, service, code])
            return
        self.waiting.setdefault(service, deque()).append((client, body))
        self.dispatch(service)

    def on_worker(self, address: bytes, command: bytes, rest: Body) -> None:
        worker = self.workers.get(address)
        if command == READY and worker is None and rest and not rest[0].startswith(b"mmi."):
            self.workers[address] = KnownWorker(rest[0], 0.0, True)
            self.set_idle(address)
        elif command == DISCONNECT:
            self.workers.pop(address, None)
        elif worker is None or command not in (HEARTBEAT, REPLY):
            self.workers.pop(address, None)
            self.to_worker(address, DISCONNECT)
        elif command == HEARTBEAT:
            worker.expires = time.monotonic() + PATIENCE
        elif len(rest) >= 2:
            client, body = rest[0], rest[2:]
            self.socket.send_multipart([client, b"", CLIENT, worker.service, *body])
            self.set_idle(address)

    def set_idle(self, address: bytes) -> None:
        worker = self.workers.pop(address)
        worker.idle = True
        worker.expires = time.monotonic() + PATIENCE
        self.workers[address] = worker
        self.dispatch(worker.service)

    def dispatch(self, service: bytes) -> None:
        self.expire()
        requests = self.waiting.get(service, deque())
        for address, worker in self.workers.items():
            if not requests:
                return
            if worker.idle and worker.service == service:
                client, body = requests.popleft()
                worker.idle = False
                self.to_worker(address, REQUEST, client, b"", *body)

    def expire(self) -> None:
        now = time.monotonic()
        for address, worker in list(self.workers.items()):
            if worker.idle and worker.expires < now:
                del self.workers[address]


Answer = Callable[[Body], Body]


def run_worker(broker: str, name: bytes, answer: Answer) -> None:
    """Serve for ever; a new connection whenever the broker says so or falls silent."""
    while True:
        with Peer(broker) as worker:
            worker.send(b"", WORKER, READY, name)
            converse(worker, answer)


def converse(worker: Peer, answer: Answer) -> None:
    """One connection's life, up to a DISCONNECT or the end of patience."""
    heard = time.monotonic()
    beat_at = heard + BEAT
    while time.monotonic() - heard < PATIENCE:
        left = beat_at - time.monotonic()
        if worker.socket.poll(max(0, round(left * 1000))):
            _, _, command, *rest = worker.socket.recv_multipart()
            if command == DISCONNECT:
                return
            if command == REQUEST:
                worker.send(b"", WORKER, REPLY, rest[0], b"", *answer(rest[2:]))
            heard = time.monotonic()
        if time.monotonic() >= beat_at:
            worker.send(b"", WORKER, HEARTBEAT)
            beat_at = time.monotonic() + BEAT


def answer_echo(body: Body) -> Body:
    return body


def answer_pid(body: Body) -> Body:
    """Who answers: the process id, then the body."""
    return [str(os.getpid()).encode(), *body]


def answer_busy(body: Body) -> Body:
    """Work for as many seconds as the body says, deaf and mute, then echo."""
    time.sleep(float(body[0]))
    return body


def answer_meet(body: Body) -> Body:
    """Leave a mark in a directory, and answer once as many workers did as the body says."""
    directory, count = Path(body[0].decode()), int(body[1])
    (directory / str(os.getpid())).touch()
    while len(list(directory.iterdir())) < count:
        time.sleep(0.01)
    return answer_pid([])


def answer_hold(body: Body) -> Body:
    """Leave the mark that a JSON-RPC call names, and keep the request for ever."""
    Path(json.loads(body[0])["params"][0]).touch()
    signal.pause()
    raise AssertionError("a signal that does not kill woke the worker")


def answer_jsonrpc(body: Body) -> Body:
    """JSON-RPC 2.0 with two methods, and no idea of anything that begins with ``rpc.``."""
    call = json.loads(body[0])
    answer: dict[str, object] = {"jsonrpc": "2.0", "id": call.get("id")}
    params = call.get("params", [])
    if call["method"] == "add":
        answer["result"] = sum(params)
    elif call["method"] == "divide" and params[1] == 0:
        answer["error"] = {"code": 17, "message": "division by zero"}
    elif call["method"] == "divide":
        answer["result"] = params[0] / params[1]
    else:
        answer["error"] = {"code": -32601, "message": "Method not found"}
    return [json.dumps(answer).encode()]


def answer_members(body: Body) -> Body:
    """As above, and says of each member that it is a method, so that a proxy can offer it."""
    call = json.loads(body[0])
    if call["method"] != "rpc.get" or call["params"] not in (["add"], ["divide"]):
        return answer_jsonrpc(body)
    member = {"__roc__": "member", "kind": "method"}
    return [json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": member}).encode()]


ANSWERS: dict[str, Answer] = {
    "echo": answer_echo,
    "pid": answer_pid,
    "busy": answer_busy,
    "meet": answer_meet,
    "hold": answer_hold,
    "jsonrpc": answer_jsonrpc,
    "members": answer_members,
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="stock Majordomo peers")
    commands = parser.add_subparsers(dest="command", required=True)
    broker = commands.add_parser("broker")
    broker.add_argument("--bind", required=True)
    worker = commands.add_parser("worker")
    worker.add_argument("--broker", required=True)
    worker.add_argument("--name", required=True)
    worker.add_argument("--answer", choices=ANSWERS, required=True)
    options = parser.parse_args(argv)
    if options.command == "broker":
        stock = StockBroker(options.bind)
        print(f"stock broker ready {stock.address}", flush=True)
        stock.run()
    else:
        print(f"stock worker ready {options.name}", flush=True)
        run_worker(options.broker, options.name.encode(), ANSWERS[options.answer])


if __name__ == "__main__":
    main()
