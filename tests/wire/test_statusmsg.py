"""Topics, paths and data of the status tree."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runmacs.roc import errors
from runmacs.roc.wire import statusmsg
from runmacs.roc.wire.statusmsg import (
    BEAT,
    Beat,
    Head,
    Snapshot,
    encode_data,
    encode_json,
    fresh,
    is_within,
    leaves_of,
    mask_of,
    parse_data,
    parse_head,
    parse_message,
    path_of,
    path_problem,
    snapshot_topic,
    subscriptions,
    topic_of,
    topic_under,
)
from runmacs.roc.wire.values import value_of

NAMES = st.text(min_size=1, max_size=8).filter(lambda name: path_problem(name) is None)
PATHS = st.lists(NAMES.filter(lambda name: "." not in name), min_size=1, max_size=5).map(".".join)


# --- paths and topics -----------------------------------------------------------------------


@given(PATHS)
def test_a_topic_gives_its_path_back(path: str) -> None:
    assert path_of(topic_of(path)) == path


@given(st.binary(max_size=40))
def test_any_topic_is_a_path_or_none(rest: bytes) -> None:
    for topic in (rest, b"status." + rest, b"roc." + rest, b"status." + rest + b".="):
        path = path_of(topic)
        assert path is None or topic_of(path) == topic


@given(PATHS, PATHS)
def test_a_subtree_is_a_prefix_and_whole_names_match(path: str, mask: str) -> None:
    wanted = is_within(path, mask)
    assert topic_of(path).startswith(subscriptions(mask)[0]) == wanted
    above = topic_of(path) in subscriptions(mask)[1:]
    assert above == (is_within(mask, path) and mask != path)


def test_foo_is_not_foobar() -> None:
    assert not is_within("system.foobar", "system.foo")
    assert not topic_of("system.foobar").startswith(subscriptions("system.foo")[0])


def test_the_root_does_not_contain_the_brokers_own_branch() -> None:
    assert not is_within("roc.objects.vnir", "")
    assert is_within("rocket.engine", "")
    assert subscriptions("") == [b"status."]
    assert subscriptions("roc.objects")[0] == b"roc.objects."


def test_other_topics() -> None:
    assert topic_under(BEAT, "a.b") == b"beat.a.b.="
    assert topic_under(BEAT, "") == b"beat.="
    assert snapshot_topic("t1", "a.b") == b"snapshot.t1.a.b.="
    assert snapshot_topic("t1", "") == b"snapshot.t1.="


@pytest.mark.parametrize(
    "path",
    [".", "a..b", ".a", "a.", "a*", "a.?", "a\n", "a.\x00", "a\x7f", "a\x9b", "\ud800", "x" * 257,
     "ü" * 129, ".".join("x" * 65)],
)  # fmt: skip
def test_what_is_no_path(path: str) -> None:
    problem = path_problem(path)
    assert problem
    assert problem.isprintable()
    with pytest.raises(errors.ConfigError, match="nothing was sent"):
        encode_data(path, 1)
    with pytest.raises(ValueError, match="path"):
        mask_of(path)


@pytest.mark.parametrize("path", ["a", "a.b", "disk usage.sda1", "größe", "日本", "x" * 256, "a=b"])
def test_what_is_a_path(path: str) -> None:
    assert path_problem(path) is None


def test_masks_that_others_contain_are_left_out() -> None:
    assert mask_of("a") == ("a",)
    assert mask_of(["a.b", "a", "c", "a.b.c", "c"]) == ("a", "c")
    assert mask_of(["", "a", "roc.objects"]) == ("", "roc.objects")
    with pytest.raises(errors.ConfigError, match="text"):
        mask_of([1])  # type: ignore[list-item]


# --- data -----------------------------------------------------------------------------------


def test_the_example_of_the_design() -> None:
    leaves, text = encode_data("system.foo", {"cpu": 0.3, "memory": 0.7})
    assert leaves == [("system.foo.cpu", 0.3), ("system.foo.memory", 0.7)]
    assert json.loads(text) == {"cpu": 0.3, "memory": 0.7}


@pytest.mark.parametrize(
    ("path", "data", "leaves"),
    [
        ("a", 1, [("a", 1)]),
        ("a", None, [("a", None)]),
        ("a", [1, {"b": 2}], [("a", [1, {"b": 2}])]),
        ("a", {"b.c": 1, "d": {"e": "x"}}, [("a.b.c", 1), ("a.d.e", "x")]),
        ("", {"a": {"b": True}}, [("a.b", True)]),
        ("a", {}, []),
    ],
)
def test_leaves(path: str, data: Any, leaves: list[tuple[str, Any]]) -> None:
    assert encode_data(path, data)[0] == leaves
    assert leaves_of(path, parse_data(encode_data(path, data)[1])) == leaves


def test_arrays_and_bytes_stand_in_the_text() -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(6, dtype="<u2").reshape(2, 3)
    leaves, text = encode_data("a", {"frame": array, "raw": [b"\0\xff", math.nan]})
    assert leaves == leaves_of("a", parse_data(text))
    values = {path: value_of(fresh(form)) for path, form in leaves}
    numpy.testing.assert_array_equal(values["a.frame"], array)
    assert values["a.raw"][0] == b"\0\xff"
    assert math.isnan(values["a.raw"][1])
    array[:] = 0
    assert value_of(fresh(leaves[0][1])).max() == 5, "the form does not change with the array"


def test_a_form_that_is_kept_is_not_used_up() -> None:
    form = [{"__roc__": "float", "value": "inf"}, [1]]
    assert value_of(fresh(form)) == [math.inf, [1]]
    assert form == [{"__roc__": "float", "value": "inf"}, [1]]


def test_what_is_sent_does_not_change_afterwards() -> None:
    data = {"list": [1]}
    leaves, _ = encode_data("a", data)
    data["list"].append(2)
    data["more"] = [3]
    assert leaves == [("a.list", [1])]


def deep(levels: int) -> dict[str, Any]:
    data: dict[str, Any] = {"x": 1}
    for _ in range(levels):
        data = {"x": data}
    return data


@pytest.mark.parametrize(
    ("path", "data", "kind", "words"),
    [
        ("a", {1: 2}, TypeError, "keys must be str"),
        ("a", {"": 2}, ValueError, "path"),
        ("a", {"": {"b": 1}}, ValueError, "path"),
        ("a", {"b*": 2}, ValueError, "path"),
        ("a", {"b": {"c\n": 2}}, ValueError, "path"),
        ("a", deep(70), ValueError, "64"),
        ("", 5, ValueError, "dictionary"),
        ("", [1], ValueError, "dictionary"),
        ("roc", {"x": 1}, ValueError, "broker's own"),
        ("roc.objects", {}, ValueError, "broker's own"),
        ("", {"roc": {"x": 1}}, ValueError, "broker's own"),
        ("", {"roc.x": 1}, ValueError, "broker's own"),
        ("a", object(), TypeError, "object"),
        ("a", {"b": {"c": object()}}, TypeError, r"a\.b\.c"),
        ("a", "x" * 2_000_000, ValueError, "1 MB"),
        ("a", "\ud800", TypeError, "surrogate"),
        (7, 1, ValueError, "text"),
    ],
)
def test_bad_data_is_refused_with_a_sentence(
    path: Any, data: Any, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        encode_data(path, data)
    assert isinstance(caught.value, errors.RocError)


def test_a_list_that_contains_itself() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(errors.Unsendable, match="nested"):
        encode_data("a", endless)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"nan", b"\xff", b"{\"a\":1", b"[" * 300 + b"]" * 300, b"[" * 100_000,
     b'{"a":' * 5000 + b"1" + b"}" * 5000],
)  # fmt: skip
def test_junk_is_a_protocol_error(raw: bytes) -> None:
    with pytest.raises(errors.RemoteProtocolError):
        leaves_of("a", parse_data(raw))


@given(st.binary(max_size=60))
def test_parsing_is_total(raw: bytes) -> None:
    def heads() -> Head:
        return parse_head(raw)

    def beats() -> Beat:
        return parse_message(raw, Beat)

    def snapshots() -> Snapshot:
        return parse_message(raw, Snapshot)

    for parse in (heads, beats, snapshots, lambda: leaves_of("a", parse_data(raw))):
        with contextlib.suppress(errors.RemoteProtocolError):
            parse()


def test_members_that_are_not_known_are_ignored() -> None:
    head = parse_head(b'{"source":"s","n":3,"colour":"blue"}')
    assert (head.source, head.n, head.again) == ("s", 3, False)
    assert parse_message(b'{"broker":"b","count":1,"events":2,"x":[]}', Beat).count == 1
    assert encode_json(Head("s", 3)) == b'{"source":"s","n":3}'


def test_the_limit_is_the_documented_one() -> None:
    assert statusmsg.DATA_LIMIT == 2**20
    encode_data("a", "x" * (2**20 - 2))
    with pytest.raises(errors.TooLarge):
        encode_data("a", "x" * (2**20 - 1))
