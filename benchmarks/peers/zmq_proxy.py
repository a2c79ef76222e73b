"""The floor with libzmq's own `zmq_proxy`, which is C, between client and worker.

It neither knows objects nor credit, and checks nothing.
"""

from __future__ import annotations

from ..processes import House
from . import plain

NAME = "zmq_proxy"
NEEDS = ("zmq", "numpy")
connect = plain.Client


def start(house: House) -> str:
    front, back = house.play("serve", "zmq_proxy", "proxy", "ROUTER", "DEALER").line().split()
    house.play("serve", "zmq_proxy", "worker", back).line()
    return front


def proxy(front_type: str, back_type: str) -> None:
    """ROUTER and DEALER for calls, XSUB and XPUB for publications."""
    import zmq

    context = zmq.Context()
    front, back = (context.socket(getattr(zmq, kind)) for kind in (front_type, back_type))
    ports = []
    for socket in (front, back):
        if front_type == "ROUTER":
            socket.set_hwm(0)
        ports.append(socket.bind_to_random_port("tcp://127.0.0.1"))
    print(*[f"tcp://127.0.0.1:{port}" for port in ports], flush=True)
    zmq.proxy(front, back)


def worker(address: str) -> None:
    import zmq

    socket = zmq.Context().socket(zmq.DEALER)
    socket.set_hwm(0)
    socket.connect(address)
    print("ready", flush=True)
    plain.work(socket)


ROLES = {"proxy": proxy, "worker": worker}
