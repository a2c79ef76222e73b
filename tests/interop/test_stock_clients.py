"""Stock clients call a ROC object: a rocbroker process, a RocServer process, raw frames.

A REQ client and a DEALER client send JSON-RPC bodies that were written by hand, as a
program in another language would write them.
"""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
import zmq

from interop.stock import Peer, ask, dealer_client
from promptness import prompt

KINDS = pytest.mark.parametrize(
    "kind", [pytest.param(zmq.REQ, id="REQ"), pytest.param(zmq.DEALER, id="DEALER")]
)


def call(method: str, *params: object, id: object = 1) -> bytes:
    """A request as plain JSON-RPC has it, without any extension member."""
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).encode()


def answer_to(address: str, body: bytes, *buffers: bytes, kind: int = zmq.DEALER) -> Any:
    """The JSON that the object ``lab`` answers, which must be the only frame."""
    frames = ask(address, b"lab", body, *buffers, kind=kind)
    assert len(frames) == 1, f"more than one frame: {frames}"
    return json.loads(frames[0])


@pytest.fixture
def lab(lab: str) -> str:
    """The object as it was made: no test sees what the one before it has set."""
    for name, value in (("gain", 1), ("notes", [])):
        assert answer_to(lab, call("rpc.set", name, value))["result"] is None
    return lab


@KINDS
def test_result(lab: str, kind: int) -> None:
    answer = answer_to(lab, call("add", 1, 2, id="seven"), kind=kind)
    assert answer == {"jsonrpc": "2.0", "id": "seven", "result": 3}


@KINDS
def test_named_parameters(lab: str, kind: int) -> None:
    body = b'{"jsonrpc": "2.0", "id": 4, "method": "add", "params": {"right": 3, "left": 4}}'
    assert answer_to(lab, body, kind=kind) == {"jsonrpc": "2.0", "id": 4, "result": 7}


@KINDS
def test_remote_exception(lab: str, kind: int) -> None:
    answer = answer_to(lab, call("divide", 1, 0), kind=kind)
    assert answer.keys() == {"jsonrpc", "id", "error"}
    error = answer["error"]
    assert error["code"] == -32000
    assert "division by zero" in error["message"]
    assert error["data"]["type"] == "ZeroDivisionError"
    assert error["data"]["executed"] is True
    assert "divide" in error["data"]["traceback"]


@pytest.mark.parametrize(
    ("body", "code", "id"),
    [
        pytest.param(call("subtract", 1, 2, id=5), -32601, 5, id="no such method"),
        pytest.param(call("__init__", id=5), -32601, 5, id="private name"),
        pytest.param(call("rpc.nothere", id=5), -32601, 5, id="unknown reserved method"),
        pytest.param(call("add", 1, id=6), -32602, 6, id="argument missing"),
        pytest.param(b'{"jsonrpc": "2.0", "id": 7}', -32600, 7, id="no method"),
        pytest.param(b"[]", -32600, None, id="empty batch"),
        pytest.param(b"17", -32600, None, id="not a request"),
    ],
)
def test_call_that_is_wrong(lab: str, body: bytes, code: int, id: object) -> None:
    answer = answer_to(lab, body)
    assert answer["error"]["code"] == code
    # An id beside a broken request may be reported or given up, but never made up.
    assert answer["id"] == id or (code == -32600 and answer["id"] is None)


def test_misspelt_method_comes_with_a_suggestion(lab: str) -> None:
    answer = answer_to(lab, call("divid", 1, 2))
    assert "divide" in answer["error"]["data"]["suggestions"]
    assert answer["error"]["data"]["executed"] is False


@KINDS
def test_attributes(lab: str, kind: int) -> None:
    assert answer_to(lab, call("rpc.get", "gain"), kind=kind)["result"] == 1
    assert answer_to(lab, call("rpc.set", "gain", 5), kind=kind)["result"] is None
    assert answer_to(lab, call("rpc.get", "gain"), kind=kind)["result"] == 5


@KINDS
def test_notification_completes_with_one_empty_frame(lab: str, kind: int) -> None:
    body = b'{"jsonrpc": "2.0", "method": "note", "params": ["lamp on"]}'
    assert ask(lab, b"lab", body, kind=kind) == [b""]
    assert answer_to(lab, call("rpc.get", "notes"), kind=kind)["result"] == ["lamp on"]


@KINDS
def test_batch(lab: str, kind: int) -> None:
    parts = [
        call("add", 1, 2, id=1),
        b'{"jsonrpc": "2.0", "method": "note", "params": ["in a batch"]}',
        call("divide", 1, 0, id=2),
        b"1",
        call("add", 3, 4, id=3),
    ]
    answers = answer_to(lab, b"[" + b",".join(parts) + b"]", kind=kind)
    by_id = {answer["id"]: answer for answer in answers}
    assert len(answers) == 4
    assert by_id[1]["result"] == 3
    assert by_id[2]["error"]["code"] == -32000
    assert by_id[3]["result"] == 7
    assert by_id[None]["error"]["code"] == -32600
    assert answer_to(lab, call("rpc.get", "notes"), kind=kind)["result"] == ["in a batch"]


@KINDS
def test_batch_of_notifications_completes_with_one_empty_frame(lab: str, kind: int) -> None:
    note = b'{"jsonrpc": "2.0", "method": "note", "params": ["x"]}'
    assert ask(lab, b"lab", b"[" + note + b"," + note + b"]", kind=kind) == [b""]
    assert answer_to(lab, call("rpc.get", "notes"), kind=kind)["result"] == ["x", "x"]


@KINDS
@pytest.mark.parametrize("junk", [b"", b"{", b"\xff\xfe", b"take a picture", b"\x00" * 999])
def test_junk_is_answered_by_the_server(lab: str, junk: bytes, kind: int) -> None:
    answer = answer_to(lab, junk, kind=kind)
    assert answer["error"]["code"] == -32700
    assert answer["id"] is None
    # The object is unharmed.
    assert answer_to(lab, call("add", 1, 1), kind=kind)["result"] == 2


def test_junk_for_an_unknown_object_is_never_answered(raw_broker: str) -> None:
    with Peer(raw_broker) as client:
        client.request(b"nobody", b"take a picture")
        client.request(b"mmi.service", b"nobody")
        # The broker has read both; what it answers to the second is all it ever says.
        assert client.reply() == (b"mmi.service", [b"404"])
        with pytest.raises(TimeoutError):
            client.reply(timeout=1.0)


def test_call_of_an_unknown_object_is_answered_by_the_broker(lab: str) -> None:
    answer = json.loads(dealer_client(lab, b"lob", call("add", 1, 2, id=9))[0])
    assert answer["id"] == 9
    assert answer["error"]["code"] == -32001
    assert answer["error"]["data"]["executed"] is False
    assert "lab" in answer["error"]["data"]["suggestions"]


def test_ping_on_the_control_lane_overtakes_a_long_call(lab: str) -> None:
    with Peer(lab) as client:
        client.request(b"lab", call("nap", 1.5, id="nap"))
        client.request(b"lab!", call("rpc.ping", id="ping"))
        answers = [json.loads(client.reply()[1][0]) for _ in range(2)]
    with prompt():
        assert [answer["id"] for answer in answers] == ["ping", "nap"]
        assert answers[1]["result"] == 1.5


def test_pipelined_calls_are_answered_in_order(lab: str) -> None:
    with Peer(lab) as client:
        for number in range(100):
            client.request(b"lab", call("add", number, 1, id=number))
        answers = [json.loads(client.reply()[1][0]) for _ in range(100)]
    assert [(answer["id"], answer["result"]) for answer in answers] == [
        (number, number + 1) for number in range(100)
    ]


def array_tag(**where: object) -> dict[str, object]:
    return {"__roc__": "array", "dtype": "<u2", "shape": [2, 3], **where}


PIXELS = struct.pack("<6H", 0, 1, 2, 1000, 40000, 65535)
TOTAL = sum(struct.unpack("<6H", PIXELS))


@KINDS
def test_array_as_base64(lab: str, kind: int) -> None:
    array = array_tag(base64=base64.b64encode(PIXELS).decode())
    assert answer_to(lab, call("total", array), kind=kind)["result"] == TOTAL


@KINDS
def test_array_as_a_frame_of_its_own(lab: str, kind: int) -> None:
    answer = answer_to(lab, call("total", array_tag(buffer=0)), PIXELS, kind=kind)
    assert answer["result"] == TOTAL


@KINDS
def test_bytes_as_base64(lab: str, kind: int) -> None:
    data = {"__roc__": "bytes", "base64": base64.b64encode(b"\x00\xff" * 7).decode()}
    assert answer_to(lab, call("size", data), kind=kind)["result"] == 14


@KINDS
def test_array_in_the_answer_is_a_frame_after_the_json(lab: str, kind: int) -> None:
    small = struct.pack("<6H", *range(6))
    text, *buffers = ask(lab, b"lab", call("twice", array_tag(buffer=0)), small, kind=kind)
    tag = json.loads(text)["result"]
    assert tag == {"__roc__": "array", "dtype": "<u2", "shape": [2, 3], "buffer": 0}
    assert [struct.unpack("<6H", buffer) for buffer in buffers] == [(0, 2, 4, 6, 8, 10)]


@pytest.mark.parametrize(
    "tag",
    [
        pytest.param(array_tag(buffer=0), id="no such buffer"),
        pytest.param(array_tag(buffer=-1), id="negative buffer"),
        pytest.param(array_tag(base64="!"), id="not base64"),
        pytest.param(array_tag(base64="AAAA"), id="too few bytes"),
        pytest.param(array_tag(), id="no bytes at all"),
        pytest.param({"__roc__": "pickle", "base64": "gASVAAAAAAAAAA=="}, id="unknown tag"),
    ],
)
def test_broken_tag_is_refused(lab: str, tag: dict[str, object]) -> None:
    answer = answer_to(lab, call("total", tag, id=3))
    assert answer["id"] in (3, None)
    assert -32768 <= answer["error"]["code"] <= -32000
    assert answer["error"]["data"]["executed"] is False
    assert answer_to(lab, call("add", 1, 1))["result"] == 2
