"""Raw frames against the real broker: what it answers, what it drops, what it refuses.

Frames are written out here, so that a change of the wire is seen. Nothing of ours is on
the other side of the socket. Instead of waiting for nothing to come, a test sends a second
message whose answer is known: one connection's messages are handled in their order.
"""

from __future__ import annotations

import json

import pytest

from interop.stock import (
    CLIENT,
    DISCONNECT,
    HEARTBEAT,
    READY,
    REPLY,
    REQUEST,
    WORKER,
    Peer,
    dealer_client,
)
from promptness import prompt
from waiting import wait_until

CONTROL = b"\x10"


def properties(**more: object) -> bytes:
    """What a server says of itself in its READY."""
    known: dict[str, object] = {
        "version": 1,
        "instance": "0123456789abcdef",
        "prefetch": 4,
        "interval": 0.5,
        "policy": "exclusive",
        "host": "daq2",
        "pid": 4711,
        "language": "by hand",
    }
    return json.dumps(known | more).encode()


def command(worker: Peer, timeout: float = 30.0) -> list[bytes]:
    """The next message to a worker, without the envelope, that is not a bare heartbeat."""
    while True:
        empty, header, *rest = worker.receive(timeout)
        assert (empty, header) == (b"", WORKER)
        if rest != [HEARTBEAT]:
            return rest


def register(worker: Peer, object_id: bytes, *frames: bytes) -> None:
    """Send READY, with ``frames`` behind it."""
    worker.send(b"", WORKER, READY, object_id, *frames)


def next_request(worker: Peer) -> tuple[bytes, list[bytes]]:
    """The next request: its token and its body."""
    kind, token, empty, *body = command(worker)
    assert (kind, empty) == (REQUEST, b"")
    return token, body


def serve_one(address: str, worker: Peer, object_id: bytes) -> None:
    """One request through this worker and back: it is registered and the broker listens."""
    with Peer(address) as client:
        client.request(object_id, b"question")
        token, body = next_request(worker)
        assert body == [b"question"]
        worker.send(b"", WORKER, REPLY, token, b"", b"answer")
        assert client.reply() == (object_id, [b"answer"])


def is_known(address: str, object_id: bytes) -> bool:
    return dealer_client(address, b"mmi.service", object_id) == [b"200"]


# --- registration -------------------------------------------------------------------------


def test_ready_with_properties_is_greeted_at_once(raw_broker: str, object_id: bytes) -> None:
    with Peer(raw_broker) as worker:
        register(worker, object_id, properties())
        with prompt():
            empty, header, kind, greeting = worker.receive(timeout=1.0)
        assert (empty, header, kind) == (b"", WORKER, HEARTBEAT)
        greeted = json.loads(greeting)
        assert greeted["version"] == 1
        assert greeted["broker"]
        assert 0 < greeted["interval"] <= 0.5
        assert greeted["limit"] == 256 * 1024 * 1024
        serve_one(raw_broker, worker, object_id)


def test_ready_without_properties_is_not_answered(raw_broker: str, object_id: bytes) -> None:
    with Peer(raw_broker) as worker, Peer(raw_broker) as client:
        register(worker, object_id)
        client.request(object_id, b"question")
        kind, *rest = command(worker)  # a greeting would be more than a bare heartbeat
        assert kind == REQUEST
        assert rest[1:] == [b"", b"question"]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(b"roc.x", id="reserved roc"),
        pytest.param(b"roc.broker", id="the broker's own"),
        pytest.param(b"mmi.service", id="reserved mmi"),
        pytest.param(b"", id="empty"),
        pytest.param(b"a" * 201, id="201 bytes"),
        pytest.param("é".encode() * 101, id="202 bytes of 101 letters"),
        pytest.param(b"v nir", id="space"),
        pytest.param(b"vnir\n", id="newline"),
        pytest.param(b"vnir!", id="exclamation mark"),
        pytest.param(b"vnir@site", id="at sign"),
        pytest.param(b"vnir*", id="asterisk"),
        pytest.param(b"vnir?", id="question mark"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param(b"a\x00b", id="control character"),
    ],
)
@pytest.mark.parametrize("extra", [[], [properties()]], ids=["stock", "with properties"])
def test_ready_with_a_name_that_cannot_be(
    raw_broker: str, object_id: bytes, name: bytes, extra: list[bytes]
) -> None:
    with Peer(raw_broker) as worker:
        register(worker, name, *extra)
        assert command(worker)[0] == DISCONNECT
        # The same peer may try again with a better name.
        register(worker, object_id)
        serve_one(raw_broker, worker, object_id)


@pytest.mark.parametrize("name", ["a" * 200, "é" * 100, "vnir", "сканер-1", "a.b_c/d:e"])
def test_ready_with_a_name_that_can_be(raw_broker: str, name: str) -> None:
    with Peer(raw_broker) as worker:
        register(worker, name.encode())
        serve_one(raw_broker, worker, name.encode())


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([HEARTBEAT], id="HEARTBEAT"),
        pytest.param([REPLY, b"token", b"", b"answer"], id="REPLY"),
        pytest.param([REPLY], id="REPLY cut short"),
    ],
)
def test_worker_that_is_not_registered_is_disconnected(
    raw_broker: str, frames: list[bytes]
) -> None:
    with Peer(raw_broker) as worker:
        worker.send(b"", WORKER, *frames)
        # A stranger was not greeted: not a frame more than 7/MDP has.
        assert worker.receive() == [b"", WORKER, DISCONNECT]


@pytest.mark.parametrize("extra", [[], [properties()]], ids=["stock", "with properties"])
def test_second_ready_is_out_of_turn(raw_broker: str, object_id: bytes, extra: list[bytes]) -> None:
    """7/MDP: a worker registers once. A second READY ends the conversation."""
    with Peer(raw_broker) as worker:
        register(worker, object_id, *extra)
        wait_until(lambda: is_known(raw_broker, object_id))
        if extra:
            assert command(worker)[0] == HEARTBEAT
        register(worker, object_id, *extra)
        assert command(worker)[0] == DISCONNECT
        wait_until(lambda: not is_known(raw_broker, object_id))
        register(worker, object_id)
        serve_one(raw_broker, worker, object_id)


def test_disconnect_takes_the_worker_out(raw_broker: str, object_id: bytes) -> None:
    with Peer(raw_broker) as worker:
        register(worker, object_id)
        wait_until(lambda: is_known(raw_broker, object_id))
        worker.send(b"", WORKER, DISCONNECT)
        wait_until(lambda: not is_known(raw_broker, object_id))


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"{", id="not JSON"),
        pytest.param(b"[]", id="not an object"),
        pytest.param(b"\xff", id="not UTF-8"),
        pytest.param(properties(prefetch=-1), id="negative prefetch"),
        pytest.param(properties(prefetch="many"), id="prefetch in words"),
        pytest.param(properties(interval=0), id="no interval"),
        pytest.param(properties(policy="anarchy"), id="unknown policy"),
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_properties_that_make_no_sense(raw_broker: str, object_id: bytes, broken: bytes) -> None:
    """Never greeted: served as a stock worker, whose extra frames mean nothing, or sent away."""
    with Peer(raw_broker) as worker, Peer(raw_broker) as client:
        register(worker, object_id, broken)
        client.request(object_id, b"question")
        kind, *rest = command(worker)
        assert kind in (REQUEST, DISCONNECT)
        if kind == REQUEST:
            worker.send(b"", WORKER, REPLY, rest[0], b"", b"answer")
            assert client.reply() == (object_id, [b"answer"])


def test_second_exclusive_server_is_refused_with_the_reason(
    raw_broker: str, object_id: bytes
) -> None:
    with Peer(raw_broker) as first, Peer(raw_broker) as second:
        register(first, object_id, properties(instance="first", host="daq2", pid=4711))
        assert command(first)[0] == HEARTBEAT
        register(second, object_id, properties(instance="second", host="daq3", pid=4712))

        # The holder's next sign of life decides.
        def refusal() -> list[bytes]:
            first.send(b"", WORKER, HEARTBEAT)
            try:
                return command(second, timeout=0.5)
            except TimeoutError:
                return []

        answers: list[list[bytes]] = []

        def is_refused() -> bool:
            answers.append(refusal())
            return answers[-1][:1] == [DISCONNECT]

        wait_until(is_refused)
        assert len(answers[-1]) == 2, f"no reason: {answers[-1]}"
        reason = json.loads(answers[-1][1])
        assert reason["code"] == -32002
        assert reason["host"] == "daq2"
        assert reason["pid"] == 4711
        assert reason["since"] > 0
        assert object_id.decode() in reason["message"]
        serve_one(raw_broker, first, object_id)


def test_second_exclusive_server_takes_over_when_the_first_is_gone(
    raw_broker: str, object_id: bytes
) -> None:
    with Peer(raw_broker) as second:
        with Peer(raw_broker) as first:
            register(first, object_id, properties(instance="first"))
            assert command(first)[0] == HEARTBEAT
        # libzmq closes a connection in a thread of its own; 0.25 s later the second is refused.
        wait_until(lambda: not is_known(raw_broker, object_id), what="its end is seen")
        register(second, object_id, properties(instance="second"))
        serve_one_when_greeted(raw_broker, second, object_id)


def serve_one_when_greeted(address: str, worker: Peer, object_id: bytes) -> None:
    """As `serve_one`, for a worker that is greeted first, perhaps more than once."""
    with Peer(address) as client:
        client.request(object_id, b"question")
        kind, *rest = command(worker)
        while kind == HEARTBEAT:
            worker.send(b"", WORKER, HEARTBEAT)
            kind, *rest = command(worker)
        assert kind == REQUEST
        worker.send(b"", WORKER, REPLY, rest[0], b"", b"answer")
        assert client.reply() == (object_id, [b"answer"])


# --- credit -------------------------------------------------------------------------------


def test_greeted_worker_gets_its_prefetch_at_once(raw_broker: str, object_id: bytes) -> None:
    with Peer(raw_broker) as worker, Peer(raw_broker) as client:
        register(worker, object_id, properties(prefetch=4))
        assert command(worker)[0] == HEARTBEAT
        for number in range(6):
            client.request(object_id, str(number).encode())
        # The control lane overtakes what has no credit yet, so it closes the first lot.
        client.request(object_id + b"!", b'{"jsonrpc":"2.0","id":1,"method":"rpc.ping"}')
        lot = [command(worker) for _ in range(5)]
        assert [frames[0] for frames in lot] == [REQUEST] * 4 + [CONTROL]
        assert [frames[-1] for frames in lot[:4]] == [b"0", b"1", b"2", b"3"]
        for expected in (b"4", b"5"):
            token = lot.pop(0)[1]
            worker.send(b"", WORKER, REPLY, token, b"", b"done")
            assert client.reply() == (object_id, [b"done"])
            assert next_request(worker)[1] == [expected]


def test_stock_worker_gets_one_request_at_a_time(raw_broker: str, object_id: bytes) -> None:
    with Peer(raw_broker) as worker, Peer(raw_broker) as client:
        register(worker, object_id)
        for number in range(3):
            client.request(object_id, str(number).encode())
        for number in range(3):
            token, body = next_request(worker)
            assert body == [str(number).encode()]
            client.request(b"mmi.service", object_id)
            assert client.reply() == (b"mmi.service", [b"200"])
            # Whatever the broker had for this worker before that answer has long been sent.
            with pytest.raises(TimeoutError):
                command(worker, timeout=0.1)
            worker.send(b"", WORKER, REPLY, token, b"", b"done")
            assert client.reply() == (object_id, [b"done"])


# --- replies ------------------------------------------------------------------------------


def test_token_of_an_earlier_request_is_worth_nothing(raw_broker: str, object_id: bytes) -> None:
    """Every dispatch has a token of its own, for the same client, too."""
    with Peer(raw_broker) as worker, Peer(raw_broker) as client:
        register(worker, object_id)
        client.request(object_id, b"first")
        old, _ = next_request(worker)
        worker.send(b"", WORKER, REPLY, old, b"", b"first answer")
        assert client.reply()[1] == [b"first answer"]
        client.request(object_id, b"second")
        new, _ = next_request(worker)
        assert new != old
        worker.send(b"", WORKER, REPLY, old, b"", b"first answer again")
        worker.send(b"", WORKER, REPLY, new, b"", b"second answer")
        assert client.reply()[1] == [b"second answer"]
        serve_one(raw_broker, worker, object_id)


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([b"made up", b"", b"wrong"], id="unknown token"),
        pytest.param([b"", b"", b"wrong"], id="empty token"),
        pytest.param([], id="nothing at all"),
        pytest.param([b"made up"], id="token only"),
        pytest.param([b"made up", b""], id="no body"),
        pytest.param([b"made up", b"delimiter", b"wrong"], id="delimiter missing"),
    ],
)
def test_reply_to_nothing_is_dropped(
    raw_broker: str, object_id: bytes, frames: list[bytes]
) -> None:
    with Peer(raw_broker) as worker, Peer(raw_broker) as client:
        register(worker, object_id)
        client.request(object_id, b"question")
        token, _ = next_request(worker)
        worker.send(b"", WORKER, REPLY, *frames)
        worker.send(b"", WORKER, REPLY, token, b"", b"right")
        assert client.reply() == (object_id, [b"right"])


def test_reply_of_another_worker_is_dropped(raw_broker: str) -> None:
    with Peer(raw_broker) as holder, Peer(raw_broker) as thief, Peer(raw_broker) as client:
        register(holder, b"holder")
        register(thief, b"thief")
        client.request(b"holder", b"question")
        token, _ = next_request(holder)
        thief.send(b"", WORKER, REPLY, token, b"", b"stolen")
        # The thief's next reply is its own and gets through: the broker has read the stolen one.
        serve_one(raw_broker, thief, b"thief")
        assert not client.socket.poll(0)
        holder.send(b"", WORKER, REPLY, token, b"", b"right")
        assert client.reply() == (b"holder", [b"right"])


def test_second_reply_to_one_request_is_dropped(raw_broker: str, object_id: bytes) -> None:
    with Peer(raw_broker) as worker, Peer(raw_broker) as client:
        register(worker, object_id)
        client.request(object_id, b"question")
        token, _ = next_request(worker)
        worker.send(b"", WORKER, REPLY, token, b"", b"once")
        worker.send(b"", WORKER, REPLY, token, b"", b"twice")
        assert client.reply() == (object_id, [b"once"])
        serve_one(raw_broker, worker, object_id)
        client.request(b"mmi.nothere", b"")
        assert client.reply() == (b"mmi.nothere", [b"501"])


# --- clients ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "object_id",
    [
        pytest.param(b"a" * 201, id="201 bytes"),
        pytest.param(b"v nir", id="space"),
        pytest.param(b"nobody!", id="control lane of nobody"),
        pytest.param(b"vnir@elsewhere", id="another site's object"),
        pytest.param(b"", id="empty"),
        pytest.param(b"!", id="control lane of nothing"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param(b"roc.nothere", id="reserved"),
    ],
)
def test_call_of_a_name_that_cannot_be_is_answered(raw_broker: str, object_id: bytes) -> None:
    call = b'{"jsonrpc":"2.0","id":5,"method":"add","params":[1,2]}'
    [answer] = dealer_client(raw_broker, object_id, call)
    error = json.loads(answer)
    assert error["id"] == 5
    assert -32768 <= error["error"]["code"] <= -32000
    assert error["error"]["data"]["executed"] is False


def test_control_lane_is_for_reserved_methods_only(raw_broker: str, object_id: bytes) -> None:
    """Nothing of the object's own can overtake its queue, whether broker or server says so."""
    with Peer(raw_broker) as worker, Peer(raw_broker) as client:
        register(worker, object_id, properties())
        assert command(worker)[0] == HEARTBEAT
        client.request(object_id + b"!", b'{"jsonrpc":"2.0","id":5,"method":"openShutter"}')
        _, [answer] = client.reply()
        error = json.loads(answer)
        assert error["id"] == 5
        assert error["error"]["data"]["executed"] is False
        serve_one(raw_broker, worker, object_id)


# --- messages that are no messages --------------------------------------------------------


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([b""], id="one empty frame"),
        pytest.param([b"", b""], id="two empty frames"),
        pytest.param([b"", b"", b"", b""], id="four empty frames"),
        pytest.param([b"", CLIENT], id="client, nothing more"),
        pytest.param([b"", CLIENT, b"vnir"], id="client, no body"),
        pytest.param([b"", WORKER], id="worker, no command"),
        pytest.param([b"", WORKER, b""], id="worker, empty command"),
        pytest.param([b"", WORKER, READY], id="READY without a name"),
        pytest.param([b"", WORKER, REQUEST, b"x", b"", b"x"], id="a worker's REQUEST"),
        pytest.param([b"", WORKER, b"\x00"], id="command 0"),
        pytest.param([b"", WORKER, b"\x06"], id="command 6"),
        pytest.param([b"", WORKER, CONTROL, b"x", b"", b"x"], id="CONTROL from nobody"),
        pytest.param([b"", WORKER, b"\x1f", b"x"], id="reserved command"),
        pytest.param([b"", WORKER, b"\xff"], id="command 255"),
        pytest.param([b"", WORKER, b"\x01\x01", b"vnir"], id="command of two bytes"),
        pytest.param([CLIENT, b"vnir", b"x"], id="client, no delimiter"),
        pytest.param([WORKER, READY, b"vnir"], id="worker, no delimiter"),
        pytest.param([b"x", CLIENT, b"vnir", b"x"], id="full delimiter"),
        pytest.param([b"", b"MDPC02", b"vnir", b"x"], id="wrong client protocol"),
        pytest.param([b"", b"MDPW02", READY, b"vnir"], id="wrong worker protocol"),
        pytest.param([b"", b"mdpc01", b"vnir", b"x"], id="lower case"),
        pytest.param([b"", CLIENT * 1000, b"vnir", b"x"], id="long protocol"),
        pytest.param([b""] * 300, id="300 empty frames"),
        pytest.param([b"", b"junk", *([b"x"] * 300)], id="300 frames of junk"),
        pytest.param([b"", WORKER, READY, b"v", *([b"{}"] * 300)], id="READY of 300 frames"),
        pytest.param([b"", WORKER, HEARTBEAT, *([b"{}"] * 300)], id="HEARTBEAT of 300 frames"),
        pytest.param([b"", CLIENT, b"mmi.service"], id="mmi without a name"),
        pytest.param([b"", CLIENT, b"mmi.service", *([b"x"] * 300)], id="mmi of 300 frames"),
        pytest.param([b"", CLIENT, b"roc.broker"], id="the broker, no body"),
        pytest.param([b"", CLIENT, b"roc.broker", b"junk"], id="the broker, junk"),
    ],
)
def test_broker_serves_on(raw_broker: str, object_id: bytes, frames: list[bytes]) -> None:
    """A worker and a client that have done nothing wrong notice nothing."""
    with Peer(raw_broker) as worker, Peer(raw_broker) as stranger:
        register(worker, object_id)
        serve_one(raw_broker, worker, object_id)
        for _ in range(3):
            stranger.send(*frames)
        # The stranger itself may still become a client: its messages were read in order.
        stranger.request(b"mmi.service", object_id)
        wait_until(lambda: stranger.receive()[-3:] == [CLIENT, b"mmi.service", b"200"])
        serve_one(raw_broker, worker, object_id)


def test_request_of_300_frames_is_a_request(raw_broker: str, object_id: bytes) -> None:
    body = [str(number).encode() for number in range(300)]
    with Peer(raw_broker) as worker, Peer(raw_broker) as client:
        register(worker, object_id)
        client.request(object_id, *body)
        token, received = next_request(worker)
        assert received == body
        worker.send(b"", WORKER, REPLY, token, b"", *received)
        assert client.reply() == (object_id, body)
