"""The door for programs: what it answers, and whom it refuses."""

from __future__ import annotations

import io
import json
import socket
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from promptness import prompt
from runmacs.roc.errors import QueueFull
from runmacs.roc.web.settings import Limits
from waiting import wait_until
from weblab import Lab, printed_port, start_web

PAGE = {"Roc_Page": "1"}


def request(method: str, *params: object, number: object = 1) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": [*params]}


def test_calls_batches_and_notifications(lab: Lab) -> None:
    assert lab.call("setIntegrationTime", 0.02) is None
    batch = [request("rpc.get", "fps"), request("setIntegrationTime", 99, number=2)]
    first, second = lab.ask("rpc/vnir", batch).json
    assert first == {"jsonrpc": "2.0", "id": 1, "result": 10.0}
    assert second["error"]["code"] == -32000
    assert second["error"]["data"]["executed"] is True
    assert "ValueError" in second["error"]["data"]["traceback"]
    told = {"jsonrpc": "2.0", "method": "openShutter"}
    assert lab.ask("rpc/vnir", told).status == 204
    wait_until(lambda: lab.call("rpc.get", "shutterOpen"), what="the shutter is open")
    assert lab.ask("rpc/vnir", b"{").json["error"]["code"] == -32700
    assert lab.ask("rpc/nobody", request("x")).json["error"]["code"] == -32001


def test_an_attribute_is_read_by_the_page_or_with_the_token_only(lab: Lab) -> None:
    refused = lab.ask("objects/vnir/scene")
    assert refused.status == 403
    assert "Roc-Page" in refused.json["error"]["message"]
    assert lab.ask("objects/vnir/scene", **PAGE).json == "sky"
    assert lab.ask("objects/vnir/lens.focus", **PAGE).json == 1.0
    assert lab.ask("objects/vnir/nothing", **PAGE).status == 404
    assert lab.ask("objects/nobody/x", **PAGE).status == 404


def test_arrays_come_as_lists_base64_or_npy(lab: Lab) -> None:
    lists = lab.ask("objects/vnir/wavelengths", **PAGE).json
    assert len(lists) == 320
    assert lists[0] == 400.0
    exact = lab.ask(
        "objects/vnir/wavelengths", Accept="application/json;arrays=base64", **PAGE
    ).json
    assert exact["__roc__"] == "array"
    file = lab.ask("rpc/vnir", request("getFrame"), Accept="application/x-npy")
    frame = np.load(io.BytesIO(file.body), allow_pickle=False)
    assert frame.shape == (640, 320)
    assert frame.dtype == np.uint16
    assert lab.ask("objects/vnir/fps", Accept="application/x-npy", **PAGE).status == 400


def test_status_and_its_history(lab: Lab) -> None:
    told = lab.ask("status/stage.position").json
    assert told["leaves"]["stage.position"]["unit"] == "mm"
    assert told["value"] == told["leaves"]["stage.position"]["value"]
    assert lab.ask("status/stage").json["value"]["position"] >= 1.0
    assert lab.ask("status/nobody").status == 404
    wait_until(
        lambda: len(lab.ask("history/stage.position").json["stage.position"]["times"]) > 2,
        5,
        "some points",
    )
    assert lab.ask("history/stage", Accept="text/csv").body.startswith(b"path,time,value\r\n")


def test_the_log_is_filtered(lab: Lab) -> None:
    lab.call("say", "needle in hay", 40)
    found = wait_until(
        lambda: lab.ask("logs?level=ERROR&text=NEEDLE&node=vnir&logger=camera").json["records"],
        5,
        "the record",
    )
    assert found[-1]["Body"] == "needle in hay"
    assert found[-1]["Attributes"]["roc.call"]
    assert lab.ask("logs?text=needle&logger=cam").json["records"] == []
    assert lab.ask("logs?level=loud").status == 400
    lines = lab.ask("logs?text=needle", Accept="application/x-ndjson").body
    assert json.loads(lines.splitlines()[0])["Body"] == "needle in hay"


@pytest.mark.parametrize(("path", "word"), [("status/stage", b"status"), ("logs", b"record")])
def test_events_are_streamed(lab: Lab, path: str, word: bytes) -> None:
    asked = urllib.request.Request(lab.url + path, headers={"Accept": "text/event-stream"})
    lab.call("say", "for the stream")
    with urllib.request.urlopen(asked, timeout=10) as stream:
        seen = {stream.readline().strip() for _ in range(6)}
    assert b"event: " + word in seen


def test_pages_have_twins_and_metrics_and_documents(lab: Lab) -> None:
    for path in ("", "status", "objects", "logs", "objects/vnir"):
        page = lab.ask(path, Accept="text/html")
        assert page.headers["content-type"].startswith("text/html"), path
        assert lab.ask(path).headers["content-type"] == "application/json", path
    for path in ("overview.json", "status.json", "objects.json", "logs.json"):
        assert lab.ask(path, Accept="text/html").headers["content-type"] == "application/json"
    assert b'roc_object_up{id="vnir"} 1.0' in lab.ask("metrics").body
    assert lab.ask("health").json == {"status": "ok"}
    assert lab.ask("openrpc/vnir").json["openrpc"]
    assert lab.ask("openapi.json").json["openapi"] == "3.1.0"


def test_every_answer_has_the_policy(lab: Lab) -> None:
    for path in ("", "static/app.js", "nothing/here", "objects/vnir/fps"):
        policy = lab.ask(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "192.168.0.1"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}, 403),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Host": "localhost"}, 200),
    ],
)
def test_foreign_pages_are_refused(lab: Lab, headers: dict[str, str], status: int) -> None:
    assert lab.ask("objects", **headers).status == status


def test_what_a_foreign_form_could_send_is_refused(lab: Lab) -> None:
    body = json.dumps(request("openShutter")).encode()
    assert lab.ask("rpc/vnir", body, Content_Type="text/plain").status == 415
    assert lab.ask("rpc/vnir", method="GET").status == 405


def test_a_foreign_websocket_is_refused(lab: Lab) -> None:
    address = lab.url.replace("http", "ws") + "ws"
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        with pytest.raises((InvalidStatus, ConnectionClosed)), _raw(lab, headers) as page:
            page.recv()
    with connect(address, origin=Origin(lab.url.rstrip("/"))) as page:
        page.send('{"op": "hello"}')
        assert json.loads(page.recv())["t"] == "hello"


def _raw(lab: Lab, headers: dict[str, str]):  # type: ignore[no-untyped-def]
    """A WebSocket with headers as they are given."""
    port = printed_port(lab.url)
    host = headers.get("Host", "127.0.0.1")
    address = f"ws://{host}:{port}/ws"
    plug = socket.create_connection(("127.0.0.1", port))
    return connect(address, sock=plug, origin=headers.get("Origin"))  # type: ignore[arg-type]


def test_bodies_and_requests_have_limits(lab: Lab) -> None:
    assert lab.ask("rpc/vnir", method="POST", Content_Length=str(10**9)).status == 413
    many = [request("rpc.get", "fps", number=number) for number in range(33)]
    assert lab.ask("rpc/vnir", many).status == 413


def test_two_hundred_requests_a_second_and_no_more(lab: Lab) -> None:
    # In a server of its own: the other tests have the same address.
    name = f"limited{len(lab.spawn.children)}"
    child, url = start_web(lab.spawn, lab.broker.endpoints.rocBroker, name=name)
    port, asked = printed_port(url), b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answered: Counter[int] = Counter()
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as plug, plug.makefile("rb") as answers:
        while (took := time.monotonic() - began) < 4.0:
            plug.sendall(asked * 20)
            answered.update(_statuses(answers, 20))
    burst, rate = Limits().burst, Limits().requests
    with prompt():
        assert answered[429] > 100, answered
        assert burst + 0.8 * rate * took < answered[200] <= burst + rate * (took + 0.5)
    limited = Lab(lab.spawn, lab.broker, lab.server, child, url)
    wait_until(lambda: limited.ask("health").status == 200, what="after a moment it answers again")
    child.terminate()
    assert child.wait() == 0


def _statuses(answers: IO[bytes], count: int) -> Iterator[int]:
    """The statuses of the next answers of a connection that stays open."""
    for _ in range(count):
        status = int(answers.readline().split()[1])
        length = 0
        while (line := answers.readline()) != b"\r\n":
            name, _, text = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(text)
        answers.read(length)
        yield status


def test_a_page_that_asks_too_often_is_told_and_then_sent_away(lab: Lab) -> None:
    with connect(lab.url.replace("http", "ws") + "ws", max_size=None) as page:
        page.send('{"op": "hello"}')
        asked = json.dumps({"op": "history", "id": 1, "paths": []})
        for _ in range(int(1.4 * Limits().burst)):
            page.send(asked)
        refused = f'"code":{QueueFull.code}'
        with prompt():  # where it asks slowly it may go on, and nothing comes then
            while refused not in str(page.recv(timeout=10)):
                pass
            with suppress(ConnectionClosed):
                for _ in range(int(2 * Limits().burst)):
                    page.send(asked)
            with suppress(ConnectionClosed):
                while True:
                    page.recv(timeout=10)
            assert page.close_code == 4429


def test_readonly_shows_and_does_nothing(lab: Lab) -> None:
    child, lab_url = start_web(
        lab.spawn, lab.broker.endpoints.rocBroker, "--readonly", name="readonly"
    )
    only = Lab(lab.spawn, lab.broker, lab.server, child, lab_url)
    assert only.call("rpc.get", "scene") == "sky"
    for method, params in (
        ("openShutter", []),
        ("rpc.set", ["fps", 5]),
        ("rpc.special", ["", "len"]),
    ):
        said = only.ask("rpc/vnir", request(method, *params)).json["error"]
        assert said["data"]["executed"] is False
        assert "--readonly" in said["message"]
    child.terminate()
    assert child.wait() == 0


def test_beyond_loopback_all_but_the_pages_files_needs_the_token(lab: Lab) -> None:
    broker = lab.broker.endpoints.rocBroker
    file = lab.spawn.directory / "token"
    name = f"wide{len(lab.spawn.children)}"
    child, address = start_web(
        lab.spawn, broker, "--bind", "0.0.0.0", "--token-file", file, name=name
    )
    token = file.read_text().strip()
    assert address.endswith(f"#token={token}")
    assert file.stat().st_mode & 0o077 == 0
    wide = Lab(
        lab.spawn, lab.broker, lab.server, child, f"http://127.0.0.1:{printed_port(address)}/"
    )
    assert wide.ask("", Accept="text/html").status == 200
    assert wide.ask("static/app.js").status == 200
    for path in ("objects", "status", "logs", "metrics", "overview.json", "openapi.json"):
        assert wide.ask(path).status == 401, path
    assert wide.ask("objects/vnir/fps", **PAGE).status == 401
    right = {"Authorization": f"Bearer {token}"}
    assert wide.ask("objects", **right).status == 200
    with connect(wide.url.replace("http", "ws") + "ws") as page:
        page.send('{"op": "hello", "token": "wrong"}')
        with pytest.raises(ConnectionClosed):
            page.recv()
    for _ in range(25):
        wide.ask("objects", Authorization="Bearer wrong")
    with prompt():
        assert wide.ask("objects", **right).status == 429, "guessing is slowed down"
    child.terminate()
    child.wait()


def test_a_page_that_does_not_read_costs_nobody_else(lab: Lab) -> None:
    with connect(lab.url.replace("http", "ws") + "ws", max_size=None) as page:
        page.send('{"op": "hello"}')
        page.send('{"op": "follow", "topics": ["status", "logs"]}')
        for number in range(30):
            call = {"op": "call", "id": number, "object": "vnir", "method": "getFrame"}
            page.send(json.dumps(call))
        began = time.monotonic()
        assert lab.ask("health").status == 200
        with prompt():
            assert time.monotonic() - began < 2


def test_rocbroker_web_ends_with_its_broker(lab: Lab) -> None:
    # Its port is the well-known one: where it is taken, the broker runs on without it.
    from processes import start_broker

    broker = start_broker(lab.spawn, "--web", name="with-web")
    child = broker.child
    told = "it says where the page is, or why not"
    wait_until(lambda: "roc web" in child.stdout + child.stderr, 10, told)
    broker.stop()
