"""`LossyLink`: what passes, what does not, and in which order; below all that ROC does."""

from __future__ import annotations

import multiprocessing
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event

import pytest
import zmq

from promptness import prompt
from runmacs.roc import Endpoints, RocClient, RocServer
from runmacs.roc.errors import Closed, ConfigError
from runmacs.roc.testing import LossyLink, run_broker
from waiting import wait_until

PATIENCE = 30.0
NOTHING = 0.2
"""Seconds after which what has not come is believed not to come."""


@pytest.fixture
def far() -> Iterator[socket.socket]:
    """What listens where a broker would."""
    with socket.create_server(("127.0.0.1", 0)) as far:
        far.settimeout(PATIENCE)
        yield far


@pytest.fixture
def link(far: socket.socket) -> Iterator[LossyLink]:
    with LossyLink(Endpoints("127.0.0.1", far.getsockname()[1])) as link:
        yield link


class Ends:
    """Both ends of one connection over a link."""

    def __init__(self, link: LossyLink, far: socket.socket) -> None:
        self.near = dial(link)
        self.far, _ = far.accept()
        self.far.settimeout(PATIENCE)

    def close(self) -> None:
        self.near.close()
        self.far.close()


def dial(link: LossyLink) -> socket.socket:
    place = link.endpoints.brokerAddress, link.endpoints.brokerBasePort
    return socket.create_connection(place, PATIENCE)


@pytest.fixture
def ends(link: LossyLink, far: socket.socket) -> Iterator[Ends]:
    ends = Ends(link, far)
    yield ends
    ends.close()


def receive(sock: socket.socket, count: int) -> bytes:
    """So many bytes, or fewer if that is the end."""
    data = bytearray()
    while len(data) < count and (more := sock.recv(count - len(data))):
        data += more
    return bytes(data)


def nothing_comes(sock: socket.socket) -> bool:
    sock.settimeout(NOTHING)
    try:
        sock.recv(1)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(PATIENCE)
    return False


def is_reset_at_once(link: LossyLink) -> bool:
    """Whether a new connection is, be it so soon that it does not even seem to be made."""
    try:
        with dial(link) as near:
            near.recv(1)
    except ConnectionResetError:
        return True
    return False


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


# --- an open link -------------------------------------------------------------------------


def test_all_that_is_sent_arrives_both_ways_in_order(ends: Ends) -> None:
    sent = b"".join(struct.pack(">I", number) for number in range(1_000_000))
    senders = [
        threading.Thread(target=sock.sendall, args=(sent,)) for sock in (ends.near, ends.far)
    ]
    for sender in senders:
        sender.start()
    arrived: list[bytes] = []
    reader = threading.Thread(target=lambda: arrived.append(receive(ends.near, len(sent))))
    reader.start()
    assert receive(ends.far, len(sent)) == sent
    for thread in (*senders, reader):
        thread.join(PATIENCE)
    assert arrived == [sent]


def test_connections_do_not_mix(link: LossyLink, far: socket.socket) -> None:
    several = [Ends(link, far) for _ in range(10)]
    for number, ends in enumerate(several):
        ends.near.sendall(b"from near %d" % number)
        ends.far.sendall(b"from far %d" % number)
    for number, ends in enumerate(several):
        assert ends.far.recv(100) == b"from near %d" % number
        assert ends.near.recv(100) == b"from far %d" % number
    assert link.connections == 10
    for ends in several:
        ends.close()
    wait_until(lambda: link.connections == 0, what="the link has forgotten them")


def test_one_direction_may_end_before_the_other(ends: Ends, link: LossyLink) -> None:
    ends.near.sendall(b"all")
    ends.near.shutdown(socket.SHUT_WR)
    assert receive(ends.far, 10) == b"all"
    ends.far.sendall(b"answer")
    ends.far.close()
    assert receive(ends.near, 10) == b"answer"
    wait_until(lambda: link.connections == 0, what="the link has forgotten it")


def test_a_reset_stays_a_reset(ends: Ends) -> None:
    reset(ends.near)
    with pytest.raises(ConnectionResetError):
        ends.far.recv(1)


def test_without_a_broker_a_connection_is_reset(link: LossyLink, far: socket.socket) -> None:
    far.close()
    assert is_reset_at_once(link)
    assert link.connections == 0


# --- cut ------------------------------------------------------------------------------------


def test_cut_resets_both_ends_and_refuses_new_ones(ends: Ends, link: LossyLink) -> None:
    link.cut()
    assert link.state == "cut"
    assert link.connections == 0
    for end in (ends.near, ends.far):
        with pytest.raises(ConnectionResetError):
            end.recv(1)
    with pytest.raises(ConnectionRefusedError):
        dial(link)


def test_what_was_under_way_is_lost_with_its_connection(
    ends: Ends, link: LossyLink, far: socket.socket
) -> None:
    link.stall()
    ends.near.sendall(b"lost")
    link.cut()
    link.heal()
    with pytest.raises(ConnectionResetError):
        ends.far.recv(10)
    again = Ends(link, far)
    again.near.sendall(b"found")
    assert again.far.recv(10) == b"found"
    again.close()


def test_cut_and_healed_again_and_again(link: LossyLink, far: socket.socket) -> None:
    """At the same ports, each time."""
    for _ in range(20):
        ends = Ends(link, far)
        ends.near.sendall(b"x")
        assert ends.far.recv(1) == b"x"
        link.cut()
        link.cut()
        with pytest.raises(ConnectionRefusedError):
            dial(link)
        link.heal()
        link.heal()
        ends.close()


def run_on(running: Event) -> None:
    running.set()
    time.sleep(60)


@pytest.mark.skipif(sys.platform == "win32", reason="no fork on Windows; run it on Linux")
@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_a_forked_child_keeps_no_connection_open(ends: Ends, link: LossyLink) -> None:
    wait_until(lambda: link.connections == 1)
    context = multiprocessing.get_context("fork")
    running = context.Event()
    child = context.Process(target=run_on, args=(running,))
    child.start()
    try:
        assert running.wait(PATIENCE)
        link.cut()
        with pytest.raises(ConnectionResetError):
            ends.near.recv(1)
        with pytest.raises(ConnectionRefusedError):
            dial(link)
    finally:
        child.kill()
        child.join()
        child.close()


# --- stall ----------------------------------------------------------------------------------


def test_stalled_nothing_passes_and_healed_all_arrives(ends: Ends, link: LossyLink) -> None:
    link.stall()
    assert "stalled" in repr(link)
    ends.near.sendall(b"one ")
    ends.far.sendall(b"two")
    assert nothing_comes(ends.far)
    assert nothing_comes(ends.near)
    ends.near.sendall(b"three")
    link.heal()
    assert receive(ends.far, 9) == b"one three"
    assert receive(ends.near, 3) == b"two"
    assert "open" in repr(link)


def test_stalled_the_end_of_a_connection_is_not_seen_either(ends: Ends, link: LossyLink) -> None:
    link.stall()
    ends.near.sendall(b"last")
    ends.near.close()
    assert nothing_comes(ends.far)
    link.heal()
    assert receive(ends.far, 10) == b"last"


def test_who_connects_meanwhile_gets_through_afterwards(
    link: LossyLink, far: socket.socket
) -> None:
    link.stall()
    near = dial(link)
    near.sendall(b"hello")
    far.settimeout(NOTHING)
    with pytest.raises(TimeoutError):
        far.accept()
    link.heal()
    far.settimeout(PATIENCE)
    accepted, _ = far.accept()
    accepted.settimeout(PATIENCE)
    assert accepted.recv(5) == b"hello"
    near.close()
    accepted.close()


def test_stalled_after_a_cut(ends: Ends, link: LossyLink) -> None:
    """The last word holds: connections are possible, and silent."""
    link.cut()
    link.stall()
    with dial(link) as near:
        assert nothing_comes(near)
    assert link.connections == 0


# --- delay ----------------------------------------------------------------------------------


def test_delay_each_way(ends: Ends, link: LossyLink) -> None:
    link.delay(0.2)
    began = time.monotonic()
    ends.near.sendall(b"ping")
    assert ends.far.recv(4) == b"ping"
    assert time.monotonic() - began >= 0.2
    ends.far.sendall(b"pong")
    assert ends.near.recv(4) == b"pong"
    with prompt():
        assert 0.4 <= time.monotonic() - began < 2.0


def test_what_is_sent_while_it_is_under_way_is_no_later(ends: Ends, link: LossyLink) -> None:
    """A delay is not a rate."""
    link.delay(0.3)
    began = time.monotonic()
    for _ in range(20):
        ends.near.sendall(b"x" * 10_000)
    assert len(receive(ends.far, 200_000)) == 200_000
    with prompt():
        assert time.monotonic() - began < 1.5


def test_order_is_kept_when_the_delay_ends(ends: Ends, link: LossyLink) -> None:
    link.delay(0.3)
    began = time.monotonic()
    ends.near.sendall(b"first ")
    wait_until(
        lambda: any(pair.next_due < float("inf") for pair in link._pairs), what="the link has it"
    )
    link.delay(0)
    ends.near.sendall(b"second")
    ends.near.close()
    assert receive(ends.far, 100) == b"first second"
    assert time.monotonic() - began >= 0.3


def test_a_delay_survives_a_cut(link: LossyLink, far: socket.socket) -> None:
    link.delay(0.2)
    link.cut()
    link.heal()
    ends = Ends(link, far)
    began = time.monotonic()
    ends.near.sendall(b"x")
    assert ends.far.recv(1) == b"x"
    assert time.monotonic() - began >= 0.2
    ends.close()


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_senseless_delays(link: LossyLink, seconds: float) -> None:
    with pytest.raises(ConfigError, match="number of seconds"):
        link.delay(seconds)


# --- limits, and the end --------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["a reader that does not read", "delay", "stall"])
def test_what_it_holds_is_bounded(ends: Ends, link: LossyLink, trouble: str) -> None:
    """The sender waits; and the link ends at once all the same."""
    if trouble == "delay":
        link.delay(60)
    elif trouble == "stall":
        link.stall()
    ends.near.settimeout(1.5)
    with pytest.raises(TimeoutError):
        ends.near.sendall(bytes(64 * 1024 * 1024))
    began = time.monotonic()
    link.close()
    with prompt():
        assert time.monotonic() - began < 1.0


def test_surplus_connections_are_reset(
    ends: Ends, link: LossyLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runmacs.roc.testing.lossylink.CONNECTIONS", 1)
    assert is_reset_at_once(link)
    ends.near.sendall(b"x")
    assert ends.far.recv(1) == b"x"


def test_after_its_end_nothing_is_left(ends: Ends, link: LossyLink) -> None:
    link.close()
    link.close()
    assert "roc-lossy-link" not in {thread.name for thread in threading.enumerate()}
    assert link.state == "closed"
    with pytest.raises(ConnectionResetError):
        ends.near.recv(1)
    with pytest.raises(ConnectionRefusedError):
        dial(link)
    for order in (link.cut, link.stall, link.heal, lambda: link.delay(1)):
        with pytest.raises(Closed, match="make a new one"):
            order()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (Endpoints("lab", 5555, "inproc"), "no cable"),
        ("no-such-host.invalid:5555", "cannot be found"),
        (Endpoints("127.0.0.1", 0), "Base port 0"),
    ],
)
def test_senseless_brokers(address: Endpoints | str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        LossyLink(address)


# --- with a real broker ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "transport",
    [
        "tcp",
        pytest.param(
            "ipc", marks=pytest.mark.skipif(sys.platform == "win32", reason="ipc is POSIX here")
        ),
    ],
)
def test_calls_over_a_link(transport: str) -> None:
    with (
        run_broker(transport=transport) as endpoints,
        LossyLink(endpoints) as link,
        RocServer(link.endpoints, "gains", [1, 2, 4]),
        RocClient(link.endpoints, timeout=20) as client,
    ):
        assert client["gains"].index(4) == 2
        assert link.connections == 2
        assert repr(link).endswith(f"{endpoints.rocBroker}: open>")


def test_publications_over_a_link() -> None:
    """generalXSUB and generalXPUB are relayed, too."""
    with (
        run_broker() as endpoints,
        LossyLink(endpoints.rocBroker) as link,
        zmq.Context() as context,
        context.socket(zmq.SUB) as reader,
        context.socket(zmq.PUB) as source,
    ):
        reader.subscribe(b"vnir")
        reader.connect(link.endpoints.generalXPUB)
        source.connect(link.endpoints.generalXSUB)

        def passes() -> bool:
            source.send(b"vnir 20 degrees")
            return bool(reader.poll(20))

        wait_until(passes, what="a publication has passed")
        assert reader.recv() == b"vnir 20 degrees"
        assert link.connections == 2
        source.close(linger=0)
