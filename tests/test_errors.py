"""The exception tree and spec/errors.json say the same, and errors behave as Python's do."""

from __future__ import annotations

import builtins
import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from runmacs.roc import errors
from runmacs.roc.errors import RocError

SPEC: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "spec" / "errors.json").read_text("utf-8")
)
CLASSES: dict[str, type[RocError]] = {name: getattr(errors, name) for name in errors.__all__}

# For `except` clauses: they share the code of a relative that is in the file.
UMBRELLAS = {"RocError", "DeliveryError", "LocalProtocolError", "RemoteProtocolError"}

JSON_RPC = {
    -32700: "Parse error",
    -32600: "Invalid Request",
    -32601: "Method not found",
    -32602: "Invalid params",
    -32603: "Internal error",
}

each_entry = pytest.mark.parametrize("entry", SPEC, ids=lambda entry: entry["name"])
each_class = pytest.mark.parametrize("name", errors.__all__)


@each_entry
def test_entry_is_well_formed(entry: dict[str, Any]) -> None:
    assert list(entry) == [
        "code", "name", "message", "executed", "raised_by", "python", "also", "meaning",
        "next_step",
    ]  # fmt: skip
    assert entry["executed"] in (True, False, None, "varies")
    assert entry["raised_by"]
    assert set(entry["raised_by"]) <= {"client", "server", "broker"}
    assert entry["name"].isidentifier()
    for sentence in (entry["meaning"], entry["next_step"]):
        assert sentence[0].isupper()
        assert sentence.endswith(".")


def test_codes_and_names_are_unique_and_in_their_ranges() -> None:
    codes = [entry["code"] for entry in SPEC]
    assert len(set(codes)) == len(codes) == len({entry["name"] for entry in SPEC})
    own = codes[len(JSON_RPC) :]
    assert set(own).isdisjoint(JSON_RPC)
    assert own == sorted(own, reverse=True)
    assert all(-32099 <= code <= -32000 for code in own)


def test_the_codes_of_json_rpc_keep_their_messages() -> None:
    assert {entry["code"]: entry["message"] for entry in SPEC[: len(JSON_RPC)]} == JSON_RPC


@each_entry
def test_every_code_has_its_class(entry: dict[str, Any]) -> None:
    kind = CLASSES[entry["python"]]
    # A parse error is a protocol error whose code is set on the instance.
    assert kind.code == (-32600 if entry["name"] == "ParseError" else entry["code"])
    if entry["executed"] != "varies":
        assert kind.executed is entry["executed"]


@each_class
def test_every_class_is_in_the_file(name: str) -> None:
    kind = CLASSES[name]
    named = [CLASSES[entry["python"]] for entry in SPEC if entry["code"] == kind.code]
    assert len(named) == 1
    if name in UMBRELLAS:
        assert issubclass(named[0], kind) or issubclass(kind, named[0])
    else:
        assert named == [kind]


def test_all_exceptions_are_public() -> None:
    kinds = {n for n, v in vars(errors).items() if isinstance(v, type) and issubclass(v, RocError)}
    assert kinds == set(errors.__all__)


@each_class
def test_builtin_bases_are_those_of_the_file(name: str) -> None:
    kind = CLASSES[name]
    bases = {base.__name__ for base in kind.__bases__ if base.__module__ == "builtins"}
    also = {entry["also"] for entry in SPEC if entry["python"] == name} - {None}
    assert bases - {"Exception"} == also
    for base in also:
        with pytest.raises(getattr(builtins, base)):
            raise kind("shown")


@each_class
def test_says_its_message_and_keeps_what_is_known(name: str) -> None:
    kind = CLASSES[name]
    plain = kind("vnir.setGain: no")
    assert str(plain) == plain.message == "vnir.setGain: no"
    assert (plain.code, plain.executed, plain.data) == (kind.code, kind.executed, None)
    for executed in (True, False, None):
        full = kind("no", code=-32050, executed=executed, data={"object": "vnir"})
        assert (full.code, full.executed, full.data) == (-32050, executed, {"object": "vnir"})
    assert (kind.code, kind.executed) == (plain.code, plain.executed)


@each_class
def test_travels_between_processes(name: str) -> None:
    error = CLASSES[name]("no", code=-32050, executed=None, data={"object": "vnir"})
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert str(twin) == "no"
        assert (twin.code, twin.executed, twin.data) == (-32050, None, {"object": "vnir"})
