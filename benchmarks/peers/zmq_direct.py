"""The floor without anything between client and worker: DEALER and ROUTER of pyzmq."""

from __future__ import annotations

from ..processes import House
from . import plain

NAME = "pyzmq, direct"
NEEDS = ("zmq", "numpy")
connect = plain.Client


def start(house: House) -> str:
    return house.play("serve", "zmq_direct", "worker").line()


def worker() -> None:
    import zmq

    socket = zmq.Context().socket(zmq.ROUTER)
    socket.set_hwm(0)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    print(f"tcp://127.0.0.1:{port}", flush=True)
    plain.work(socket)


ROLES = {"worker": worker}
