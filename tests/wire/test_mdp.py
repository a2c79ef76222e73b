"""The envelope: object ids, the JSON frames beyond 7/MDP, and what the cores really send."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from runmacs.roc import errors
from runmacs.roc.core.broker import BrokerCore
from runmacs.roc.core.call import Call
from runmacs.roc.core.caller import CallerCore
from runmacs.roc.core.effects import Asked, Effect
from runmacs.roc.core.events import Arrived, Stop, Tick
from runmacs.roc.core.worker import WorkerCore
from runmacs.roc.wire import mdp
from runmacs.roc.wire.jsonrpc import encode_result, parse_body
from runmacs.roc.wire.mdp import Greeting, Properties, Reason

PATH = Path(__file__).parents[2] / "spec" / "vectors" / "mdp.json"
VECTORS: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))

# --- object ids -----------------------------------------------------------------------


@pytest.mark.parametrize("object_id", VECTORS["object_ids"]["sound"])
def test_object_ids(object_id: str) -> None:
    assert mdp.object_id_problem(object_id) is None
    assert mdp.object_id_problem(object_id.encode()) is None


@pytest.mark.parametrize("object_id", VECTORS["object_ids"]["unsound"])
def test_what_is_no_object_id(object_id: str) -> None:
    problem = mdp.object_id_problem(object_id)
    assert problem is not None
    assert problem.startswith(("must ", "may not "))
    assert problem.isprintable()
    assert mdp.object_id_problem(object_id.encode()) == problem


@pytest.mark.parametrize(
    ("object_id", "says"),
    [
        (b"", "1 to 200 bytes, not 0"),
        (b"a" * 201, "1 to 200 bytes, not 201"),
        ("ä" * 101, "1 to 200 bytes, not 202"),
        (b"vnir\xff", "must be UTF-8"),
        (b"\xed\xa0\x80", "must be UTF-8"),
        ("\udcff", "must be UTF-8"),
        ("vnir!", "may not contain '!'"),
        ("v nir", "may not contain ' '"),
        ("a\u202eb", "may not contain '\\u202e'"),
        ("a\x1b[2J", "may not contain '\\x1b'"),
        ("roc.x", "'roc.'"),
        ("mmi.service", "'mmi.'"),
    ],
)
def test_the_problem_is_named(object_id: str | bytes, says: str) -> None:
    problem = mdp.object_id_problem(object_id)
    assert problem is not None
    assert says in problem


def test_the_limit_is_in_bytes() -> None:
    assert mdp.object_id_problem("a" * 200) is None
    assert mdp.object_id_problem("ä" * 100) is None
    assert mdp.object_id_problem("😀" * 50) is None
    assert mdp.object_id_problem("😀" * 50 + "a") is not None


@pytest.mark.parametrize("category", ["Cc", "Cf", "Cn", "Co", "Zl", "Zp", "Zs"])
def test_nothing_invisible_is_in_an_object_id(category: str) -> None:
    """Control and format characters (bidi marks among them), white space, what is unassigned."""
    for point in range(0x110000):
        character = chr(point)
        if unicodedata.category(character) == category:
            assert mdp.object_id_problem(f"a{character}b") is not None, hex(point)


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_an_object_id_has_a_problem_or_none(object_id: str | bytes) -> None:
    problem = mdp.object_id_problem(object_id)
    if problem is None:
        text = object_id if isinstance(object_id, str) else object_id.decode()
        assert text.isprintable()
        assert not set(text) & set("!@*? ")
        assert 1 <= len(text.encode()) <= 200


def test_check_object_id_raises_a_sentence() -> None:
    mdp.check_object_id("vnir")
    mdp.check_object_id("roc.broker")
    with pytest.raises(errors.ConfigError, match=r"^The object id 'roc\.x' may not begin .*\.$"):
        mdp.check_object_id("roc.x")


# --- the JSON frames ------------------------------------------------------------------

PARSERS: dict[str, Callable[[Any], object]] = {
    "properties": mdp.parse_properties,
    "greetings": mdp.parse_greeting,
    "reasons": mdp.parse_reason,
}
JSON_FRAMES = [
    (name, text)
    for name in PARSERS
    for kind in ("sound", "unsound")
    for text in VECTORS[name][kind]
]


@pytest.mark.parametrize(("name", "text"), JSON_FRAMES)
def test_json_frames(name: str, text: str) -> None:
    said = PARSERS[name](text.encode())
    if text in VECTORS[name]["unsound"]:
        assert said is None
    else:
        assert said is not None
        for member, value in json.loads(text).items():
            assert getattr(said, member, value) == value


def test_what_a_server_does_not_say_has_a_default() -> None:
    assert mdp.parse_properties(b"{}") == Properties(
        version=1, instance="", prefetch=1, interval=0.5, policy="exclusive", host="", pid=0
    )
    assert mdp.parse_greeting(b"{}") == Greeting(
        version=1, broker="", state="serving", interval=0.5, limit=mdp.MESSAGE_LIMIT
    )
    assert mdp.parse_reason(b"{}") == Reason(code=0, message="")


def test_long_texts_are_not_taken() -> None:
    for member in ("host", "instance", "language"):
        longest, longer = ({member: "x" * length} for length in (255, 256))
        assert mdp.parse_properties(msgspec.json.encode(longest)) is not None
        assert mdp.parse_properties(msgspec.json.encode(longer)) is None


MEMBERS = [*Properties.__struct_fields__, *Greeting.__struct_fields__, "message", "code", "since"]
TREES = st.dictionaries(
    st.sampled_from(MEMBERS),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just("pool"),
)


@given(st.binary(max_size=100) | TREES.map(lambda tree: json.dumps(tree).encode()))
def test_the_parsers_are_total(frame: bytes) -> None:
    properties = mdp.parse_properties(frame)
    if properties is not None:
        assert 1 <= properties.prefetch <= 10_000
        assert 0.05 <= properties.interval <= 60
        assert properties.host.isprintable()
    greeting = mdp.parse_greeting(frame)
    if greeting is not None:
        assert greeting.state in ("serving", "standby", "held")
        assert greeting.limit > 0
    assert mdp.parse_reason(frame) is None or frame.strip().startswith(b"{")


@pytest.mark.parametrize("parse", PARSERS.values())
@pytest.mark.parametrize("buffer", [bytes, bytearray, memoryview, zmq.Frame])
def test_a_json_frame_may_be_any_buffer(parse: Callable[[Any], object], buffer: Any) -> None:
    assert parse(buffer(b"{}")) == parse(b"{}") is not None
    for junk in (b"", b"[", b"null", b"[1]", b"\xff", b"[" * 10_000, b'{"pid":' + b"9" * 5000):
        assert parse(buffer(junk)) is None
    assert mdp.object_id_problem(buffer(b"vnir")) is None
    assert mdp.object_id_problem(buffer(b"v nir")) is not None


# --- what the cores send --------------------------------------------------------------

CLIENT_RID, OTHER_RID, SERVER_RID, RIVAL_RID, STOCK_RID = (
    bytes.fromhex(VECTORS["routing_ids"][name])
    for name in ("client", "stock client", "server", "rival", "stock worker")
)


class Conversation:
    """A client, a server, a rival for its id and stock peers around a broker, without a network.

    What one sends waits in `sent` until the vectors have it; then the other gets it.
    """

    def __init__(self) -> None:
        self.now = VECTORS["begins_at"]
        self.sent: list[tuple[str, list[bytes]]] = []
        self.broker = BrokerCore("0b9d4c22e1")
        self.caller = CallerCore("9f3c1a2b0d4e", "tcp://127.0.0.1:5555")
        facts: dict[str, Any] = {"prefetch": 16, "host": "daq2", "language": "python"}
        self.workers = {
            "server": WorkerCore("vnir", Properties(instance="5f0c61d2a8", pid=4711, **facts)),
            "rival": WorkerCore("vnir", Properties(instance="77b1e0c4d9", pid=4712, **facts)),
        }
        self.rids = {bytes.fromhex(rid): name for name, rid in VECTORS["routing_ids"].items()}
        self.names = {name: rid for rid, name in self.rids.items()}

    def do(self, what: str) -> None:
        """What a vector says that happens."""
        out: list[Effect] = []
        match what.split(maxsplit=2):
            case ["server" | "rival" as name, "opens", _]:
                self.workers[name].opened(self.now, out)
                self._collect(name, out)
            case ["server", "stops", _]:
                self.workers["server"].stop(out)
                self._collect("server", out)
            case ["server", "beats", _]:
                self.workers["server"].tick(self.now, out)
                self._collect("server", out)
            case ["server", "returns", result]:
                task = self.workers["server"].take(self.now, out)
                assert task is not None
                text = encode_result(task.body.items[0].reply_id or b"", result.encode())
                self.workers["server"].finish(task, [text, *buffers_of(result)], out)
                self._collect("server", out)
            case ["client", "connects", _]:
                self.caller.link_up(self.now, out)
                self._collect("client", out)
            case ["client", "calls", call]:
                method, params = call.split(maxsplit=1)
                made = Call("vnir", method, params.encode(), buffers_of(params))
                self.caller.submit(made, self.now, 2.0, out)
                self._collect("client", out)
            case ["time", "passes,", seconds]:
                self.now += float(seconds)
                self.caller.tick(self.now, out)
                self._collect("client", out)
            case ["broker", "beats", _]:
                self._collect_broker(self.broker.handle(Tick(), self.now))
            case ["broker", "stops", _]:
                self._collect_broker(self.broker.handle(Stop(), self.now))
            case _:
                raise AssertionError(what)

    def _collect(self, name: str, out: list[Effect]) -> None:
        messages = [list(map(bytes, effect)) for effect in out if isinstance(effect, list)]
        self.sent += [(name, message) for message in messages]

    def _collect_broker(self, out: list[Effect]) -> None:
        for effect in out:
            if isinstance(effect, Asked):
                about = b'{"broker":"0b9d4c22e1","version":1,"software":"runmacs-roc 0.1.0"}'
                (ping,) = parse_body(bytes(effect.frames[0])).items
                text = encode_result(ping.reply_id or b"", about)
                effect = [effect.client, b"", b"MDPC01", effect.name, text]
            assert isinstance(effect, list)
            rid, *frames = map(bytes, effect)
            self.sent.append((f"broker to {self.rids[rid]}", frames))

    def deliver(self, who: str, frames: list[bytes]) -> None:
        out: list[Effect] = []
        if not who.startswith("broker to "):
            arrived = Arrived([self.names[who], *frames])
            self._collect_broker(self.broker.handle(arrived, self.now))
            self.broker.check()
        elif (name := who.removeprefix("broker to ")) in self.workers:
            self.workers[name].on_frames(frames, self.now, out)
            self.workers[name].check()
            self._collect(name, out)
        elif name == "client":
            self.caller.on_frames(frames, self.now)
            self.caller.check()


def buffers_of(text: str) -> list[bytes]:
    """The buffers that go with a text that names one."""
    return [b"\x01\x02\x03\x04"] if '"buffer":0' in text else []


def without_prose(frames: list[bytes]) -> list[Any]:
    """Frames for comparison: what an error says to people may be said better one day."""
    return [_unprosed(json.loads(f)) if f.startswith(b"{") else f for f in frames]


def _unprosed(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _unprosed(value) for name, value in tree.items() if name != "message"}
    return tree


def meaning_of(who: str, frames: list[bytes]) -> dict[str, Any]:
    """What frames say, as the vectors put it; made from the frames alone."""
    empty, header, *rest = frames
    assert empty == b""
    if header == b"MDPC01":
        name, *body = rest
        command = "REPLY" if who.startswith("broker") else "REQUEST"
        return {"command": command, "object": name.decode(), **_body(body)}
    assert header == b"MDPW01"
    code, *rest = rest
    said: dict[str, Any] = {"command": COMMANDS[code.hex()]}
    if code == mdp.READY:
        said["object"] = rest.pop(0).decode()
    if code in (mdp.REQUEST, mdp.REPLY, mdp.CONTROL):
        token, empty, *body = rest
        assert empty == b""
        return said | {"token": token.hex()} | _body(body)
    return said | ({"json": json.loads(rest[0])} if rest else {})


def _body(body: list[bytes]) -> dict[str, Any]:
    first, *buffers = body
    is_json = first.startswith((b"{", b"["))
    said = {"json": json.loads(first)} if is_json else {"text": first.decode()}
    return said | ({"buffers": len(buffers)} if buffers else {})


COMMANDS: dict[str, str] = VECTORS["commands"]


def test_the_conversation_goes_as_the_vectors_say() -> None:
    conversation = Conversation()
    for step in VECTORS["conversation"]:
        if "do" in step:
            assert conversation.sent == [], f"nobody else speaks before: {step['do']}"
            conversation.do(step["do"])
            continue
        frames = [bytes.fromhex(frame) for frame in step["frames"]]
        if step["from"].startswith("stock"):
            conversation.sent.append((step["from"], frames))
        assert conversation.sent, step
        sender, sent = conversation.sent.pop(0)
        assert (sender, without_prose(sent)) == (step["from"], without_prose(frames))
        conversation.deliver(step["from"], frames)
    assert conversation.sent == []


@pytest.mark.parametrize(
    "step", [step for step in VECTORS["conversation"] if "frames" in step], ids=lambda s: s["from"]
)
def test_frames_mean_what_the_vectors_say(step: dict[str, Any]) -> None:
    frames = [bytes.fromhex(frame) for frame in step["frames"]]
    assert meaning_of(step["from"], frames) == step["meaning"]


def test_every_command_is_spoken() -> None:
    spoken = {
        (step["from"].partition(" ")[0], step["meaning"]["command"])
        for step in VECTORS["conversation"]
        if "frames" in step
    }
    assert spoken >= {
        ("client", "REQUEST"),
        ("broker", "REPLY"),
        ("server", "READY"),
        ("broker", "REQUEST"),
        ("server", "REPLY"),
        ("server", "HEARTBEAT"),
        ("broker", "HEARTBEAT"),
        ("server", "DISCONNECT"),
        ("broker", "DISCONNECT"),
        ("broker", "CONTROL"),
    }


def test_the_commands_are_those_of_the_module() -> None:
    for code, name in COMMANDS.items():
        assert getattr(mdp, name) == bytes.fromhex(code)


@pytest.mark.parametrize("case", VECTORS["unsound"], ids=lambda case: case["why"])
def test_unsound_messages_are_dropped_or_answered_with_disconnect(case: dict[str, Any]) -> None:
    """And after each the broker serves on."""
    broker = BrokerCore("0b9d4c22e1")
    ready = [b"", b"MDPW01", b"\x01", b"vnir", b'{"prefetch":2}']
    broker.handle(Arrived([SERVER_RID, *ready]), 0.0)
    rid = SERVER_RID if case["from"] == "server" else STOCK_RID
    frames = [bytes.fromhex(frame) for frame in case["frames"]]
    effects = broker.handle(Arrived([rid, *frames]), 0.1)
    broker.check()
    if case["answer"] is None:
        assert effects == []
    else:
        (effect,) = effects
        assert isinstance(effect, list)
        assert effect[:4] == [rid, b"", b"MDPW01", mdp.DISCONNECT]
        assert case["answer"] == "DISCONNECT"
    dropped = [
        value
        for name, value in broker.snapshot()["counters"].items()
        if name.startswith("dropped_")
    ]
    assert sum(dropped) == 1
    request = [b"", b"MDPC01", b"mmi.service", b"roc.broker"]
    assert broker.handle(Arrived([OTHER_RID, *request]), 0.2) == [[OTHER_RID, *request[:3], b"200"]]
