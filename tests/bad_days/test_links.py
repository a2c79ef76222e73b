"""Cables are pulled, switches hang, radio links are slow: at the client, and at the server.

Whoever is cut off is told the truth in time, all is well again soon after the link is, and
nothing that its caller has given up is begun when it comes through late.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zmq

from callers import Calling
from processes import Child
from promptness import prompt
from runmacs.roc import Endpoints, RocClient, errors
from runmacs.roc._drivers.clock import now as clock
from runmacs.roc.testing import LossyLink
from waiting import wait_until

BACK_WITHIN = 3.0
KNOWS_WITHIN = 0.75
TOLD_WITHIN = 1.0

Begun = Callable[[], list[int]]


@pytest.fixture
def server_link(broker: Endpoints) -> Iterator[LossyLink]:
    """The way of the server to the broker."""
    with LossyLink(broker) as link:
        yield link


@pytest.fixture
def client_link(broker: Endpoints) -> Iterator[LossyLink]:
    """The way of one client to the broker."""
    with LossyLink(broker) as link:
        yield link


@pytest.fixture
def server(
    serve_recorder: Callable[..., Child], server_link: LossyLink, client: RocClient
) -> Child:
    """A process that shares a `Recorder` over its link, reached once."""
    child = serve_recorder(name="server", at=server_link.endpoints)
    client.wait_for("recorder")
    return child


@pytest.fixture
def remote(client_link: LossyLink, server: Child) -> Iterator[RocClient]:
    """A client behind its link, known to the server: it has called it."""
    with RocClient(client_link.endpoints, timeout=20) as remote:
        assert remote["recorder"].pid == server.pid
        yield remote


def let_pass(seconds: float, since: float) -> None:
    """Wait until so many seconds have passed since a moment of the monotonic clock."""
    wait_until(lambda: time.monotonic() > since + seconds, seconds + 1)


def begins(client: RocClient, number: int, timeout: float, seconds: float = 0.0) -> Calling:
    """A call under way. Not by a proxy: that would ask, before, what kind of member this is."""
    arguments = (number, seconds)
    return Calling(lambda: client.call_object("recorder", "begin", arguments, timeout=timeout))


def holds(client: RocClient, number: int) -> Calling:
    """A call under way that ends when the test lets it go."""
    return Calling(lambda: client.call_object("recorder", "hold", (number,), timeout=60))


def callable_again(client: RocClient, number: int, healed: float) -> None:
    """The object is, soon after the link is."""

    def called() -> bool:
        call = begins(client, number, 1.0).wait()
        if call.error is None:
            assert call.result == number
            return True
        assert isinstance(call.error, (errors.DeliveryError, errors.CallTimeout)), repr(call.error)
        return False

    wait_until(called, what="the object can be called again")
    with prompt():
        assert time.monotonic() - healed < BACK_WITHIN


def timed_out(call: Calling, timeout: float) -> errors.CallTimeout:
    """How a call ended for which the time was too short: in time, at least."""
    error = call.wait().error
    assert isinstance(error, errors.CallTimeout), repr(error)
    with prompt():
        assert call.ended - call.began < timeout + 0.25
    return error


# --- the cable is pulled ------------------------------------------------------------------


def test_clients_cable_pulled_in_mid_call(
    remote: RocClient, client_link: LossyLink, begun: Begun, let_go: Callable[[], None]
) -> None:
    """It knows at once, and that it cannot know; the method ends as if nothing had been."""
    call = holds(remote, 1)
    wait_until(begun, what="the call has begun")
    pulled = time.monotonic()
    client_link.cut()
    error = call.wait().error
    assert isinstance(error, errors.BrokerUnreachable), repr(error)
    assert error.executed is None
    with prompt():
        assert call.ended - pulled < TOLD_WITHIN
    let_go()
    client_link.heal()
    healed = time.monotonic()
    callable_again(remote, 2, healed)
    assert begun() == [1, 2]


def test_servers_cable_pulled_in_mid_call(
    client: RocClient, recorder: Any, server: Child, server_link: LossyLink, begun: Begun,
    let_go: Callable[[], None],
) -> None:  # fmt: skip
    """Its caller knows at once, and that nobody can know; the reply is nobody's any more."""
    call = holds(client, 1)
    wait_until(begun, what="the call has begun")
    pulled = time.monotonic()
    server_link.cut()
    error = call.wait().error
    assert isinstance(error, errors.ServerLost), repr(error)
    assert error.executed is None
    with prompt():
        assert call.ended - pulled < KNOWS_WITHIN
    let_go()
    server_link.heal()
    healed = time.monotonic()
    callable_again(client, 2, healed)
    assert begun() == [1, 2]
    assert recorder.pid == server.pid
    assert client["roc.broker"].stats()["dropped_reply_not_outstanding"] == 0


def test_calls_without_a_cable_were_not_executed(
    remote: RocClient, client_link: LossyLink, begun: Begun
) -> None:
    """They wait in the client; those that are still awaited are sent when it is healed."""
    client_link.cut()
    short = begins(remote, 1, 0.4)
    patient = begins(remote, 2, 30)
    error = short.wait().error
    assert isinstance(error, errors.BrokerUnreachable), repr(error)
    assert error.executed is False
    with prompt():
        assert short.ended - short.began < 0.4 + 0.25
    client_link.heal()
    assert patient.wait().result == 2
    assert begun() == [2]


@pytest.mark.parametrize("seconds", [0.0, 2.0], ids=["at once", "after 2 s"])
def test_all_cables_pulled_and_put_back(
    remote: RocClient,
    client: RocClient,
    server: Child,
    client_link: LossyLink,
    server_link: LossyLink,
    begun: Begun,
    seconds: float,
) -> None:
    client_link.cut()
    server_link.cut()
    let_pass(seconds, time.monotonic())
    client_link.heal()
    server_link.heal()
    healed = time.monotonic()
    callable_again(remote, 1, healed)
    callable_again(client, 2, healed)
    assert begun() == [1, 2]
    assert server.returncode is None


# --- nothing passes, and nobody is told -----------------------------------------------------


@pytest.mark.parametrize("seconds", [1.0, 2.5])
def test_servers_link_stalls_in_mid_call(
    client: RocClient, server: Child, server_link: LossyLink, begun: Begun, seconds: float
) -> None:
    """After 1.5 s the server leaves its broker, and joins it anew when the link is back.

    A reply from before that arrives, late; one from after it goes nowhere.
    """
    running = begins(client, 1, 30, seconds)
    wait_until(begun, what="the call has begun")
    server_link.stall()
    stalled = time.monotonic()
    broker = client["roc.broker"]
    wait_until(lambda: broker.objects()[0]["state"] == "stalled", what="it is stalled")
    late = timed_out(begins(client, 2, 0.3), 0.3)
    assert late.executed is False, "nothing is handed to a stalled server"
    let_pass(3.0, stalled)
    server_link.heal()
    healed = time.monotonic()
    callable_again(client, 3, healed)
    running.wait()
    if seconds < 1.5:
        with prompt():  # it ended before the server left its broker
            assert running.result == 1
    else:
        assert isinstance(running.error, errors.ServerLost), repr(running.error)
        assert running.error.executed is None
    assert begun() == [1, 3]
    assert server.returncode is None
    assert "has it" in server.stderr, "it registered anew"


def test_calls_on_their_way_to_the_server_when_its_link_stalls(
    client: RocClient, recorder: Any, server: Child, server_link: LossyLink, begun: Begun
) -> None:
    """The broker has sent them, and nobody knows where they are: not begun when they arrive."""
    recorder.begin(0)
    server_link.stall()
    for call in [begins(client, number, 0.4) for number in range(1, 9)]:
        with prompt():  # a little later it is stalled, and nothing is sent
            assert timed_out(call, 0.4).executed is None
    server_link.heal()
    healed = time.monotonic()
    callable_again(client, 100, healed)
    assert begun() == [0, 100]


def test_an_idle_servers_link_stalls(
    client: RocClient, server: Child, server_link: LossyLink, begun: Begun
) -> None:
    server_link.stall()
    let_pass(3.0, time.monotonic())
    server_link.heal()
    healed = time.monotonic()
    callable_again(client, 1, healed)
    assert begun() == [1]
    wait_until(lambda: len(client["roc.broker"].objects()[0]["servers"]) == 1)
    assert server_link.connections == 2  # for its calls and for its log: none was given up


def test_clients_link_stalls(
    remote: RocClient, server: Child, client_link: LossyLink, begun: Begun
) -> None:
    """It says who is silent: not the server."""
    client_link.stall()
    error = timed_out(begins(remote, 1, 2.0), 2.0)
    assert error.executed is None
    with prompt():
        assert "the broker has been silent for 2" in str(error)
    client_link.heal()
    healed = time.monotonic()
    callable_again(remote, 2, healed)
    assert begun() == [2]


@pytest.mark.parametrize("attempt", range(3))
def test_nothing_is_begun_when_a_clients_link_comes_back(
    remote: RocClient, client: RocClient, client_link: LossyLink, begun: Begun, attempt: int
) -> None:
    """Neither by a client that the server knows, nor by those that it has never heard of."""
    strangers = [RocClient(client_link.endpoints, timeout=20) for _ in range(8)]
    for stranger in strangers:
        assert "recorder" in stranger
    client_link.stall()
    callers = enumerate([remote, *strangers], 1)
    for call in [begins(caller, number, 0.3) for number, caller in callers]:
        timed_out(call, 0.3)
    client_link.heal()
    healed = time.monotonic()
    callable_again(remote, 100, healed)
    callable_again(client, 101, healed)
    for stranger in strangers:
        stranger.close()
    assert begun() == [100, 101]


def test_a_late_call_is_known_by_its_own_clock(
    server: Child, client_link: LossyLink, begun: Begun
) -> None:
    """Also when its caller is dead and withdraws nothing: with ``at``, in any language."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(client_link.endpoints.rocBroker)

        def send(number: int) -> None:
            roc = b'{"call":"raw.%d","ttl":0.5,"at":%.6f}' % (number, clock())
            body = b'{"jsonrpc":"2.0","id":%d,"method":"begin","params":[%d],"roc":%b}'
            dealer.send_multipart([b"", b"MDPC01", b"recorder", body % (number, number, roc)])

        def answer() -> bytes:
            assert dealer.poll(30_000)
            return dealer.recv_multipart()[3]

        with prompt():  # it has half a second
            send(1)
            assert b'"result":1' in answer()
        client_link.stall()
        stalled = time.monotonic()
        send(2)
        let_pass(0.8, stalled)
        client_link.heal()
        late = answer()
        assert b"-32006" in late
        assert b'"executed":false' in late
        with prompt():
            send(3)
            assert b'"result":3' in answer()
    assert begun() == [1, 3]


def test_a_call_that_is_still_awaited_is_executed_when_the_link_comes_back(
    remote: RocClient, client_link: LossyLink, begun: Begun
) -> None:
    client_link.stall()
    stalled = time.monotonic()
    patient = begins(remote, 1, 30)
    let_pass(1.0, stalled)
    client_link.heal()
    assert patient.wait().result == 1
    assert begun() == [1]


# --- a slow link ----------------------------------------------------------------------------


def test_slow_links_just_take_their_time(
    remote: RocClient,
    client: RocClient,
    server: Child,
    client_link: LossyLink,
    server_link: LossyLink,
    begun: Begun,
) -> None:
    """0.2 s each way, at both ends; heartbeats are late, too, and nobody minds."""
    client_link.delay(0.2)
    server_link.delay(0.2)
    slow = remote.proxy("recorder", timeout=30)
    numbers = range(1, 4)
    for number in numbers:
        began = time.monotonic()
        assert slow.begin(number) == number
        with prompt():
            assert 0.8 <= time.monotonic() - began < 2.0
    calls = [Calling(slow.begin, number) for number in range(10, 30)]
    for call in calls:
        call.wait()
    with prompt():
        assert max(call.ended for call in calls) - calls[0].began < 2.0, "they travel together"
    assert sorted(begun()) == [*numbers, *range(10, 30)]
    stats = client["roc.broker"].stats()
    with prompt():
        assert stats["servers_lost"] == stats["calls_lost"] == 0


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(True, id="known"),
        pytest.param(
            False,
            id="stranger",
            marks=pytest.mark.xfail(
                strict=True,
                reason="a client's first call to a server has nothing to be compared with",
            ),
        ),
    ],
)
def test_a_slow_link_and_a_short_timeout(
    client_link: LossyLink, server: Child, begun: Begun, known: bool
) -> None:
    """Too late is too late, and it is said in time; also if the server has never heard of it."""
    with RocClient(client_link.endpoints, timeout=20) as remote:
        assert "recorder" in remote
        if known:
            assert remote["recorder"].pid == server.pid
        client_link.delay(0.4)
        timed_out(begins(remote, 1, 0.3), 0.3)
        assert begins(remote, 2, 30.0).wait().result == 2
    assert begun() == [2]
