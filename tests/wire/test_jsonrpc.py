"""JSON-RPC 2.0: every rule of the specification, its examples, and whatever else may come."""

from __future__ import annotations

import base64
import json
import re
import tracemalloc
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import zmq
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import UNSET

from runmacs.roc.core.dispatch import Dispatcher
from runmacs.roc.core.sharing import SharedObject
from runmacs.roc.wire import jsonrpc
from runmacs.roc.wire.jsonrpc import (
    BATCH_LIMIT,
    INVALID_REQUEST,
    NULL,
    PARSE_ERROR,
    ErrorObject,
    Invalid,
    Request,
    Text,
    aged,
    encode_error,
    encode_request,
    encode_responses,
    encode_result,
    parse_body,
    parse_responses,
    without,
)

SPEC = Path(__file__).parents[2] / "spec"
VECTORS: dict[str, Any] = json.loads((SPEC / "vectors" / "jsonrpc.json").read_text("utf-8"))
CASES: dict[str, dict[str, Any]] = {case["name"]: case for case in VECTORS["cases"]}


class Calculator:
    """The object of the specification's examples."""

    def subtract(self, minuend: float, subtrahend: float) -> float:
        return minuend - subtrahend

    def sum(self, *numbers: float) -> float:
        return sum(numbers)

    def update(self, *values: object) -> None:
        pass

    def notify_hello(self, n: int) -> None:
        pass

    def notify_sum(self, *numbers: float) -> None:
        pass

    def get_data(self) -> list[object]:
        return ["hello", 5]

    def fail(self, why: str) -> None:
        raise ValueError(why)


def answer(text: Text) -> bytes:
    """What a server of the calculator answers to a call's first body frame."""
    dispatcher = Dispatcher(SharedObject(Calculator(), "calculator"), {})
    (reply,) = dispatcher.serve(parse_body(text), [text])
    assert isinstance(reply, bytes)
    return reply


def without_prose(response: dict[str, Any]) -> dict[str, Any]:
    """A response as the vectors have it: of an error the code alone."""
    if "error" in response:
        assert isinstance(response["error"]["message"], str)
        assert response["error"].keys() <= {"code", "message", "data"}
        response["error"] = {"code": response["error"]["code"]}
    return response


# --- the vectors ----------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_vectors(name: str) -> None:
    case = CASES[name]
    text = case.get("request", "").encode() or base64.b64decode(case.get("request_base64", ""))
    reply = answer(text)
    if case["response"] is None:
        assert reply == b""
        return
    response = json.loads(reply)
    if isinstance(response, list):
        assert list(map(without_prose, response)) == case["response"]
    else:
        assert without_prose(response) == case["response"]


def test_the_examples_of_the_specification_are_all_there() -> None:
    assert sum(name.startswith("published: ") for name in CASES) == 15


def test_the_standard_codes_are_those_of_the_list() -> None:
    listed = {
        entry["name"]: entry["code"] for entry in json.loads((SPEC / "errors.json").read_text())
    }
    for name in (
        "ParseError",
        "InvalidRequest",
        "MethodNotFound",
        "InvalidParams",
        "InternalError",
    ):
        constant = re.sub("(?<=[a-z])(?=[A-Z])", "_", name).upper()
        assert getattr(jsonrpc, constant) == listed[name]


@pytest.mark.parametrize("identity", VECTORS["echoed_ids"])
@pytest.mark.parametrize("method", ["get_data", "nothing", "fail"])
def test_an_id_comes_back_as_it_was_written(identity: str, method: str) -> None:
    params = '["x"]' if method == "fail" else "[]"
    text = f'{{"jsonrpc":"2.0","method":"{method}","params":{params},"id": {identity} }}'
    assert answer(text.encode()).startswith(f'{{"jsonrpc":"2.0","id":{identity},'.encode())
    if identity != "1e999":
        (response,) = parse_responses(answer(text.encode())) or []
        assert response.id == json.loads(identity)


def test_an_unsound_request_has_its_id_echoed_where_it_has_one() -> None:
    for text in (b'{"id":"\\u0041","method":1}', b'{"method":1,"id": 1.0 ,"jsonrpc":"2.0"}'):
        (item,) = parse_body(text).items
        assert isinstance(item, Invalid)
        assert item.reply_id in (b'"\\u0041"', b"1.0")


# --- requests that are sound ----------------------------------------------------------


def only(text: Text) -> Request:
    body = parse_body(text)
    (item,) = body.items
    assert isinstance(item, Request), item
    assert body.sound
    assert not body.batch
    return item


def test_a_request_keeps_its_parts_undecoded() -> None:
    request = only(b'{"jsonrpc":"2.0","id": 7 ,"method":"a.b","params": [1.0, "\\u0041"] }')
    assert request.method == "a.b"
    assert request.reply_id == b"7"
    assert request.params is not UNSET
    assert bytes(request.params) == b'[1.0, "\\u0041"]'
    assert request.roc.call == ""
    assert request.roc.ttl is None


def test_a_notification_has_no_reply_id_and_null_is_one() -> None:
    assert only(b'{"jsonrpc":"2.0","method":"m"}').reply_id is None
    assert only(b'{"jsonrpc":"2.0","method":"m","id":null}').reply_id == NULL


def test_of_members_that_come_twice_the_last_counts_everywhere() -> None:
    text = (
        b'{"jsonrpc":"2.0","method":"a","method":"b","id":1,"id":2,'
        b'"roc":{"ttl":9,"call":"x.1"},"roc":{"ttl":1,"ttl":2,"call":"x.2"}}'
    )
    for version in (text, aged(text, 0.5)):
        request = only(version)
        assert (request.method, request.reply_id, request.roc.call) == ("b", b"2", "x.2")
    assert only(aged(text, 0.5)).roc.ttl == 1.5


def test_the_extension_is_found_however_it_is_spelled() -> None:
    request = only(
        b'{"jsonrpc":"2.0","method":"m","r\\u006fc":{"c\\u0061ll":"9f3c.17","ttl":2,"at":-3e2}}'
    )
    assert (request.roc.call, request.roc.ttl, request.roc.at) == ("9f3c.17", 2.0, -300.0)
    assert not request.roc.wait


@pytest.mark.parametrize(
    ("bodies", "ttl", "waits"),
    [
        (['"roc":{"ttl":2}'], 2.0, False),
        (['"roc":{"ttl":2,"wait":true}', '"roc":{"ttl":3}'], 3.0, True),
        (['"roc":{"ttl":2}', '"x":1'], None, False),
        (['"x":1'], None, False),
        (['"roc":{"ttl":0}'], 0.0, False),
        (['"roc":{"ttl":-1}', '"roc":{"ttl":-2}'], -1.0, False),
    ],
)
def test_what_a_body_says_of_its_time(bodies: list[str], ttl: float | None, waits: bool) -> None:
    texts = [f'{{"jsonrpc":"2.0","method":"m",{body}}}' for body in bodies]
    body = parse_body(f"[{','.join(texts)}]".encode())
    assert body.ttl == ttl
    assert body.waits is waits


def test_what_is_unsound_in_a_batch_says_nothing_of_time_and_carries_no_call() -> None:
    text = (
        b'[{"jsonrpc":"2.0","method":"m","roc":{"ttl":2,"call":"a.1"}},'
        b'{"jsonrpc":"1.0","method":"m","roc":{"ttl":5,"call":"a.2","wait":true}}]'
    )
    body = parse_body(text)
    assert (body.sound, body.ttl, body.waits) == (True, 2.0, False)
    assert body.carries("a.1")
    assert not body.carries("a.2")
    assert not body.carries("")
    assert not parse_body(b"[1]").sound


# --- errors that help -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (b"{", "Parse error"),
        (b"\xff", "not UTF-8"),
        (b"[]", "empty batch"),
        (b"17", "object"),
        (b'{"jsonrpc":"2.0","method":1}', "$.method"),
        (b'{"jsonrpc":"2.0"}', "`method`"),
        (b'{"method":"m"}', "`jsonrpc`"),
        (b'{"jsonrpc":"2.0","method":"m","params":null}', "params"),
        (b'{"jsonrpc":"2.0","method":"m","id":[]}', "id"),
        (b'{"jsonrpc":"2.0","method":"m","roc":null}', "$.roc"),
        (b'{"jsonrpc":"2.0","method":"m","roc":{"ttl":1e999}}', "$.roc.ttl"),
        (b'{"jsonrpc":"2.0","method":"m","roc":{"wait":"yes"}}', "$.roc.wait"),
        (b'{"jsonrpc":"2.0","method":"m","params":' + b"[" * 9999 + b"]" * 9999 + b"}", "nested"),
        (b"[" * 9999 + b"]" * 9999, "nested"),
        (b"[" + b"0," * BATCH_LIMIT + b"0]", str(BATCH_LIMIT)),
    ],
)
def test_the_message_says_what_is_wrong(text: bytes, hint: str) -> None:
    (item,) = parse_body(text).items
    assert isinstance(item, Invalid)
    assert hint in item.message
    assert item.message.startswith(("Parse error: ", "Invalid Request: "))


def test_a_message_does_not_repeat_whatever_was_sent() -> None:
    (item,) = parse_body(b'{"jsonrpc":"%b","method":"m"}' % (b"x" * 100_000)).items
    assert isinstance(item, Invalid)
    assert len(item.message) < 1000


def test_what_is_nested_deeper_than_values_may_be_is_refused_before_it_runs() -> None:
    text = b'{"jsonrpc":"2.0","id":1,"method":"sum","params":[%b%b]}' % (b"[" * 200, b"]" * 200)
    response = json.loads(answer(text))
    assert response["error"]["code"] == -32602
    assert response["error"]["data"]["executed"] is False
    assert response["id"] == 1


# --- batches --------------------------------------------------------------------------


def batch_of(count: int, item: bytes) -> bytes:
    return b"[" + b",".join([item] * count) + b"]"


def test_a_batch_without_some_of_its_calls_is_otherwise_as_it_was() -> None:
    one = b'{"jsonrpc": "2.0",  "id":1.0, "method":"m", "x": 1e400, "roc":{"call":"c.1"}}'
    two = b'{"jsonrpc":"2.0","id":2,"method":"m","params":["c.2"],"roc":{"call":"c.\\u0032"}}'
    stock = b'{"jsonrpc":"2.0","method":"c.2"}'
    text = b" [ %b ,%b, %b, 7, [], null]" % (one, two, stock)
    assert without(text, {"c.2"}) == b"[%b,%b,7,[],null]" % (one, stock)
    assert without(memoryview(text), {"c.1", "c.2"}) == b"[%b,7,[],null]" % stock
    assert without(b"[%b]" % stock, {""}) == b"[%b]" % stock


def test_a_batch_may_be_as_long_as_the_limit() -> None:
    body = parse_body(batch_of(BATCH_LIMIT, b'{"jsonrpc":"2.0","method":"m"}'))
    assert body.batch
    assert len(body.items) == BATCH_LIMIT
    assert all(isinstance(item, Request) for item in body.items)


@pytest.mark.parametrize("item", [b"0", b"{}", b"[]", b'{"jsonrpc":"2.0","method":"m","id":1}'])
def test_an_endless_batch_costs_little_time_and_memory(item: bytes) -> None:
    text = batch_of(1_000_000, item)
    tracemalloc.start()
    begun = perf_counter()
    body = parse_body(text)
    unchanged = aged(text, 1.0)
    seconds = perf_counter() - begun
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert body.items[0][:1] == (INVALID_REQUEST,)  # type: ignore[index]
    assert not body.batch
    assert unchanged == text
    assert peak < 2_000_000
    # Some ten milliseconds; the items one by one would take seconds.
    assert seconds < 1.0


def test_the_parts_of_an_unsound_text_are_not_kept() -> None:
    text = b'{"method":"m","x":' + batch_of(1_000_000, b'{"a":0}') + b"}"
    members = b"{" + b",".join(b'"%d":0' % number for number in range(300_000)) + b"}"
    for unsound in (text, members):
        tracemalloc.start()
        (item,) = parse_body(unsound).items
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert isinstance(item, Invalid)
        assert peak < 1_000_000


# --- anything -------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
NAMES = st.sampled_from(["jsonrpc", "method", "params", "id", "roc", "x"])
ALMOST = st.dictionaries(
    NAMES,
    JSON
    | st.just("2.0")
    | st.just("get_data")
    | st.dictionaries(st.sampled_from(["call", "ttl", "at", "wait"]), JSON),
)
TEXTS = (ALMOST | st.lists(ALMOST, max_size=4) | JSON).map(
    lambda tree: json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass")
)
CUT = st.tuples(TEXTS, st.integers(0, 200), st.binary(max_size=3)).map(
    lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :]
)


@given(st.binary(max_size=200) | TEXTS | CUT)
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"jsonrpc":"2.0","method":"m","id":"\xed\xa0\x80"}')
@example(b'{"jsonrpc":"2.0","method":"m","id":' + b"9" * 4000 + b"}")
@example(b'{"jsonrpc":"2.0","method":"m","roc":{"ttl":' + b"9" * 5000 + b"}}")
def test_any_bytes_are_a_body_and_earn_json(text: bytes) -> None:
    body = parse_body(text)
    assert body.items
    assert body.ttl is None or isinstance(body.ttl, float)
    assert isinstance(body.waits, bool)
    reply = answer(text)
    if reply:
        responses = json.loads(reply)
        for response in responses if body.batch else [responses]:
            assert response["jsonrpc"] == "2.0"
            assert ("result" in response) != ("error" in response)
    else:
        assert all(item.reply_id is None for item in body.items)


@given(st.binary(max_size=200) | TEXTS | CUT)
def test_one_of_two_errors_fits_whatever_is_not_json(text: bytes) -> None:
    try:
        json.loads(text.decode("utf-8"), parse_constant=int)
    except ValueError:
        (item,) = parse_body(text).items
        assert isinstance(item, Invalid)
        assert item.code == PARSE_ERROR
        assert item.reply_id == NULL


@given(TEXTS)
def test_what_is_json_never_earns_a_parse_error(text: bytes) -> None:
    if b"\\ud" not in text.lower():
        items = [item for item in parse_body(text).items if isinstance(item, Invalid)]
        assert all(item.code == INVALID_REQUEST for item in items)


@pytest.mark.parametrize(
    "buffer",
    [bytes, bytearray, memoryview, zmq.Frame, lambda text: memoryview(text + text)[: len(text)]],
)
@pytest.mark.parametrize(
    "text",
    [
        b'{"jsonrpc":"2.0","method":"get_data","id":1,"roc":{"ttl":2}}',
        b'[{"jsonrpc":"2.0","method":"sum","params":[1],"id":1,"roc":{"ttl":2}},1]',
        b"nothing",
        b"\xff",
        b"",
    ],
)
def test_a_frame_may_be_anything_with_the_buffer_protocol(buffer: Any, text: bytes) -> None:
    assert answer(buffer(text)) == answer(text)
    assert aged(buffer(text), 0.5) == aged(text, 0.5)
    assert (parse_responses(buffer(text)) is None) == (parse_responses(text) is None)


# --- growing older --------------------------------------------------------------------

AGED = [
    (
        b'{"jsonrpc":"2.0","id":1.0,"method":"m","roc":{"call":"a.1","ttl":2.5,"at":10}}',
        b'{"jsonrpc":"2.0","id":1.0,"method":"m","roc":{"call":"a.1","ttl":1.0,"at":11.5}}',
    ),
    (
        b'{"jsonrpc":"2.0","id":1,"method":"m","params":[{"x":1,"roc":{"call":"a.1","ttl":2.5,'
        b'"at":10.5}}],"roc":{"call":"b.2","ttl":2.500000,"at":10.250000,"wait":true,"clock":3}}',
        b'{"jsonrpc":"2.0","id":1,"method":"m","params":[{"x":1,"roc":{"call":"a.1","ttl":2.5,'
        b'"at":10.5}}],"roc":{"call":"b.2","ttl":1.000000,"at":11.750000,"wait":true,"clock":3}}',
    ),
    (
        b'{"jsonrpc":"2.0","roc":{"ttl":3.5},"method":"m","params":'
        b'{"x":[1],"roc":{"call":"a.1","ttl":2.5,"at":10.5}}}',
        b'{"jsonrpc":"2.0","roc":{"ttl":2.0},"method":"m","params":'
        b'{"x":[1],"roc":{"call":"a.1","ttl":2.5,"at":10.5}}}',
    ),
    (
        b'{"roc":{"ttl":1},"params":[1e999,1.0,"\\u0041",{"ttl":9}],"x":"\xc3\xa4","jsonrpc":"2.0",'
        b'"method":"m"}',
        b'{"roc":{"ttl":-0.5},"params":[1e999,1.0,"\\u0041",{"ttl":9}],"x":"\xc3\xa4",'
        b'"jsonrpc":"2.0","method":"m"}',
    ),
    (
        b'[{"jsonrpc":"2.0","method":"m","roc":{"ttl":2,"later":1e999,"wait":true}},'
        b'{"roc":null},5,{"jsonrpc":"2.0","method":"n","r\\u006fc":{"at":0}}]',
        b'[{"jsonrpc":"2.0","method":"m","roc":{"ttl":0.5,"later":1e999,"wait":true}},'
        b'{"roc":null},5,{"jsonrpc":"2.0","method":"n","roc":{"at":1.5}}]',
    ),
]
UNCHANGED = [
    b'{"jsonrpc":"2.0","method":"m"}',
    b'{"jsonrpc":"2.0","method":"m","params":["roc",{"roc":{"ttl":1}}]}',
    b'{"jsonrpc":"2.0","method":"m","roc":null}',
    b'{"jsonrpc":"2.0","method":"m","roc":{"ttl":"2"}}',
    b'{"jsonrpc":"2.0","method":"m","roc":{"ttl":1e999}}',
    b'["roc"]',
    b'"roc"',
    b'{"roc"',
    b'[{"roc":{"ttl":1}}',
    b'\xff"roc"',
    b"",
]


@pytest.mark.parametrize(("before", "after"), AGED)
def test_a_body_that_was_held_is_older_and_else_the_same(before: bytes, after: bytes) -> None:
    assert aged(before, 1.5) == after


@pytest.mark.parametrize("text", UNCHANGED)
def test_a_body_without_times_stays_as_it_is(text: bytes) -> None:
    assert aged(text, 1.5) == text


def test_how_long_it_may_have_been_unread_is_told_beside_its_times() -> None:
    text = b'{"jsonrpc":"2.0","method":"m","roc":{"ttl":5.0,"at":8.0,"age":1.0}}'
    older = aged(text, 0.5, 2.0)
    request = only(older).roc
    assert (request.ttl, request.at, request.age) == (4.5, 8.5, 3.0)
    assert parse_body(older).ttl == 1.5
    assert only(aged(text, 0.5)).roc.age == 1.0


NUMBERS = st.floats(-1e6, 1e6) | st.integers(-(10**6), 10**6)
EXTENSIONS = st.fixed_dictionaries(
    {}, optional={"call": st.text("ab.1"), "ttl": NUMBERS, "at": NUMBERS, "wait": st.booleans()}
)


@given(st.lists(st.tuples(JSON, st.none() | EXTENSIONS), min_size=1, max_size=3), st.floats(0, 1e4))
def test_only_the_times_of_a_held_body_change(
    requests: list[tuple[Any, dict[str, Any] | None]], seconds: float
) -> None:
    trees = [
        {"jsonrpc": "2.0", "method": "m", "params": [params], "id": number}
        | ({} if extension is None else {"roc": extension})
        for number, (params, extension) in enumerate(requests)
    ]
    after = json.loads(aged(json.dumps(trees).encode(), seconds))
    for tree in trees:
        for name, change in (("ttl", -seconds), ("at", seconds)):
            extension = tree.get("roc")
            if isinstance(extension, dict) and name in extension:
                extension[name] = pytest.approx(extension[name] + change)
    assert after == trees


def test_held_twice_is_held_for_the_sum() -> None:
    text = b'{"jsonrpc":"2.0","method":"m","roc":{"ttl":2.0,"at":8.0}}'
    twice = only(aged(aged(text, 0.5), 0.25)).roc
    assert (twice.ttl, twice.at) == (1.25, 8.75)


# --- writing --------------------------------------------------------------------------


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.none() | st.lists(JSON, max_size=3) | st.dictionaries(st.text("ab*", min_size=1), JSON),
    st.none() | st.integers(0, 2**63),
    st.none() | EXTENSIONS,
)
def test_a_request_that_was_written_is_read_as_the_same(
    method: str, params: object, number: int | None, extension: dict[str, Any] | None
) -> None:
    text = encode_request(
        json.dumps(method).encode(),
        None if params is None else json.dumps(params).encode(),
        number,
        b"" if extension is None else json.dumps(extension).encode(),
    )
    request = only(text)
    assert request.method == method
    assert request.reply_id == (None if number is None else str(number).encode())
    if params is None:
        assert request.params is UNSET
    else:
        assert json.loads(bytes(request.params)) == params  # type: ignore[arg-type]
    for name, value in (extension or {}).items():
        assert getattr(request.roc, name) == value


def test_responses_that_were_written_are_read_as_the_same() -> None:
    result = encode_result(b"17", b'{"a":[1.0]}')
    error = encode_error(b'"x"', -32001, "no \udcff such \x1b object", {"suggestions": ["vnir"]})
    raw = encode_error(b"null", -32000, "", b'{"executed":true}')
    responses = parse_responses(encode_responses([result, error, raw], batch=True))
    assert responses is not None
    first, second, third = responses
    assert (first.id, first.error) == (17, UNSET)
    assert bytes(first.result) == b'{"a":[1.0]}'  # type: ignore[arg-type]
    assert isinstance(second.error, ErrorObject)
    assert (second.id, second.error.code) == ("x", -32001)
    assert second.error.message == "no \\udcff such \x1b object"
    assert json.loads(bytes(second.error.data)) == {  # type: ignore[arg-type]
        "suggestions": ["vnir"]
    }
    assert isinstance(third.error, ErrorObject)
    assert (third.id, third.error.message) == (None, "")
    assert bytes(third.error.data) == b'{"executed":true}'  # type: ignore[arg-type]


def test_an_error_without_data_has_no_such_member() -> None:
    text = encode_error(b"1", -32601, "no")
    assert text == b'{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}'


def test_a_single_response_stands_alone_and_none_is_an_empty_frame() -> None:
    assert encode_responses([b"{}"], batch=False) == b"{}"
    assert encode_responses([b"{}"], batch=True) == b"[{}]"
    assert encode_responses([b"{}", b"[]"], batch=True) == b"[{},[]]"
    assert encode_responses([], batch=True) == b""
    assert encode_responses([], batch=False) == b""


# --- reading responses ----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]x",
        b"hello",
        b"\xff",
        b"17",
        b"{}",
        b"[1]",
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","result":1}',
        b'{"jsonrpc":"1.0","id":1,"result":1}',
        b'{"id":1,"result":1}',
        b'{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1,"message":""}}',
        b'{"jsonrpc":"2.0","id":[1],"result":1}',
        b'{"jsonrpc":"2.0","id":true,"result":1}',
        b'{"jsonrpc":"2.0","id":1e999,"result":1}',
        b'{"jsonrpc":"2.0","id":1,"error":null}',
        b'{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":""}}',
        b'{"jsonrpc":"2.0","id":1,"error":{"code":1}}',
        b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"\xff"}}',
        b'{"jsonrpc":"2.0","id":1,"result":' + b"[" * 9999 + b"]" * 9999 + b"}",
        b'[{"jsonrpc":"2.0","id":1,"result":1},{"jsonrpc":"2.0","id":2}]',
    ],
)
def test_what_is_no_response_is_none(text: bytes) -> None:
    assert parse_responses(text) is None


def test_a_null_result_is_a_result() -> None:
    (response,) = parse_responses(b'{"jsonrpc":"2.0","id":1,"result":null}') or []
    assert bytes(response.result) == b"null"  # type: ignore[arg-type]


RESPONSES = st.dictionaries(
    st.sampled_from(["jsonrpc", "id", "result", "error"]),
    JSON | st.just("2.0") | st.just({"code": 1, "message": ""}),
)


@given(st.binary(max_size=200) | CUT | RESPONSES.map(lambda tree: json.dumps(tree).encode()))
@example(b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"result":1}')
@example(b'{"jsonrpc":"2.0","id":1,"error":{"code":' + b"9" * 5000 + b',"message":""}}')
def test_any_bytes_are_responses_or_none(text: bytes) -> None:
    responses = parse_responses(text)
    for response in responses or []:
        assert (response.result is UNSET) != (response.error is UNSET)


def test_a_flood_of_junk_responses_costs_no_memory() -> None:
    text = batch_of(1_000_000, b"0")
    tracemalloc.start()
    assert parse_responses(text) is None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
