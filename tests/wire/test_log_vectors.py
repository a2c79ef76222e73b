"""The vectors of spec/vectors/logs.json: what every language makes of log records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runmacs.roc.errors import RemoteProtocolError
from runmacs.roc.wire.logmsg import escape_component, parse_record, prefixes, severity_of
from runmacs.roc.wire.logtext import safe_text

PATH = Path(__file__).parents[2] / "spec" / "vectors" / "logs.json"
VECTORS: dict[str, Any] = json.loads(PATH.read_text("utf-8"))


@pytest.mark.parametrize("sound", VECTORS["sound"], ids=lambda one: one["what"])
def test_sound_records(sound: dict[str, Any]) -> None:
    record = parse_record(sound["text"].encode(), sound["topic"].encode())
    said = {name: getattr(record, name) for name in ("severity", "node", "n", "logger", "message")}
    said |= {"source": record.resource.source, "attributes": record.attributes}
    assert said == {name: sound[name] for name in said}
    assert json.loads(record.raw) == json.loads(sound["text"])


@pytest.mark.parametrize(("what", "topic", "text"), VECTORS["unsound"])
def test_unsound_records(what: str, topic: str, text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_record(text.encode(), topic.encode())


def test_nodes_levels_prefixes_and_what_is_shown() -> None:
    for node, component in VECTORS["nodes"]:
        assert escape_component(node).decode() == component
    for level, severity in VECTORS["levels"]:
        assert severity_of(level) == severity
    for least, nodes, expected in VECTORS["prefixes"]:
        assert [prefix.decode() for prefix in prefixes(least, nodes)] == expected
    for text, shown in VECTORS["shown"]:
        assert safe_text(text) == shown
