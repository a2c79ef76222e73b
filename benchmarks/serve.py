"""The server processes of the benchmark: `python -m benchmarks.serve ROLE [ADDRESS]`.

Each prints one line, the address that the next process or the client needs.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from typing import Any

FRAME_BYTES = 8 * 1024 * 1024
FLOOR_CALL = b'{"jsonrpc":"2.0","id":12345,"method":"echo","params":[1],"roc":{"call":"0123456789ab.12345","ttl":1.999990,"at":123456.123456}}'  # noqa: E501
FLOOR_ANSWER = b'{"jsonrpc":"2.0","id":12345,"result":1}'
FLOOR_FRAME = b"frame"


class Bench:
    """What is shared: a method that returns its argument, and one that returns a frame."""

    def __init__(self) -> None:
        import numpy as np

        self._frame = np.arange(FRAME_BYTES // 2, dtype=np.uint16)

    def echo(self, value: int) -> int:
        return value

    def frame(self) -> Any:
        return self._frame


def _say(line: str) -> None:
    print(line, flush=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def roc_broker(_: str) -> None:
    from runmacs.roc import Endpoints
    from runmacs.roc.broker import Broker

    broker = Broker(Endpoints("127.0.0.1", 0))
    _say(broker.endpoints.rocBroker)
    broker.run()


def roc_server(address: str) -> None:
    from runmacs.roc import RocClient, RocServer

    def announce() -> None:
        with RocClient(address) as client:
            client.wait_for("bench")
        _say(address)

    threading.Thread(target=announce).start()
    with contextlib.suppress(KeyboardInterrupt):
        RocServer(address, "bench", Bench()).run()


def pyro(_: str) -> None:
    import Pyro5.api
    import Pyro5.server

    Pyro5.config.SERVERTYPE = "multiplex"
    daemon = Pyro5.server.Daemon("127.0.0.1")

    @Pyro5.api.expose
    class Shared(Bench):
        def echo(self, value: int) -> int:
            return value

        def frame(self) -> Any:
            return self._frame.tobytes()

    _say(str(daemon.register(Shared())))
    daemon.requestLoop()


def leco_coordinator(_: str) -> None:
    from pyleco.coordinators.coordinator import Coordinator

    port = _free_port()
    with Coordinator(namespace="N1", host="localhost", port=port) as coordinator:
        _say(str(port))
        coordinator.routing()


def leco_actor(address: str) -> None:
    from pyleco.utils.message_handler import MessageHandler

    handler = MessageHandler("bench", port=int(address))
    bench = Bench()
    handler.register_rpc_method(bench.echo)
    _say(address)
    handler.listen()


def floor_proxy(_: str) -> None:
    import zmq

    context = zmq.Context()
    front, back = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    _say_port = front.bind_to_random_port("tcp://127.0.0.1")
    back_port = back.bind_to_random_port("tcp://127.0.0.1")
    _say(f"tcp://127.0.0.1:{_say_port} tcp://127.0.0.1:{back_port}")
    zmq.proxy(front, back)


def floor_worker(addresses: str) -> None:
    import zmq

    front, back = addresses.split()
    worker = zmq.Context().socket(zmq.DEALER)
    worker.connect(back)
    payload = bytes(FRAME_BYTES)
    _say(front)
    while True:
        frames = worker.recv_multipart()
        if frames[-1] == FLOOR_FRAME:
            worker.send_multipart([*frames[:-1], FLOOR_ANSWER, payload], copy=False)
        else:
            worker.send_multipart([*frames[:-1], FLOOR_ANSWER])


ROLES = {
    "roc-broker": roc_broker,
    "roc-server": roc_server,
    "pyro": pyro,
    "leco-coordinator": leco_coordinator,
    "leco-actor": leco_actor,
    "floor-proxy": floor_proxy,
    "floor-worker": floor_worker,
}

if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        ROLES[sys.argv[1]](sys.argv[2] if len(sys.argv) > 2 else "")
