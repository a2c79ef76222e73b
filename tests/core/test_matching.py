"""Who gets a topic, against the obvious: does it begin with one of the prefixes?"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from runmacs.roc.core.matching import Matching

NAMES = ["display", "logger", "recorder"]
# Few letters, so that prefixes meet.
PREFIXES = st.one_of(
    st.text("ab.", max_size=5).map(str.encode), st.sampled_from([b"", b"a" * 300, b"status."])
)
TOPICS = st.one_of(PREFIXES, st.tuples(PREFIXES, PREFIXES).map(b"".join))


class Machine(RuleBasedStateMachine):
    """Subscriptions come and go; a plain list of them says what is right."""

    def __init__(self) -> None:
        super().__init__()
        self.matching: Matching[str] = Matching()
        self.model: Counter[tuple[str, bytes]] = Counter()

    def wanted(self) -> set[bytes]:
        return {prefix for _, prefix in self.model}

    @rule(name=st.sampled_from(NAMES), prefix=PREFIXES)
    def add(self, name: str, prefix: bytes) -> None:
        first = prefix not in self.wanted()
        self.model[name, prefix] += 1
        assert self.matching.add(name, prefix) is first

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        name, prefix = data.draw(st.sampled_from(sorted(self.model)))
        self.model[name, prefix] -= 1
        self.model += Counter()
        assert self.matching.remove(name, prefix) is (prefix not in self.wanted())

    @rule(name=st.sampled_from(NAMES))
    def drop(self, name: str) -> None:
        before = self.wanted()
        self.model = Counter({key: n for key, n in self.model.items() if key[0] != name})
        assert sorted(self.matching.drop(name)) == sorted(before - self.wanted())

    @rule(topic=TOPICS)
    def match(self, topic: bytes) -> None:
        expected = {name for name, prefix in self.model if topic.startswith(prefix)}
        matched = self.matching.match(topic)
        assert set(matched) == expected
        assert len(matched) == len(expected), "once, however many prefixes fit"

    @invariant()
    def nothing_is_left_of_what_has_gone(self) -> None:
        assert len(self.matching) == len(self.wanted())
        for name in NAMES:
            for prefix in self.wanted():
                assert self.matching.has(name, prefix) is ((name, prefix) in self.model)
        assert self.matching._lengths == sorted({len(prefix) for prefix in self.wanted()})


TestMatching = Machine.TestCase


def test_of_what_was_never_asked_for_there_is_no_end() -> None:
    matching: Matching[str] = Matching()
    matching.add("display", b"status.")
    assert not matching.has("display", b"status")
    assert not matching.has("logger", b"status.")
    with pytest.raises(KeyError):
        matching.remove("logger", b"status.")
    assert matching.drop("logger") == []


@given(st.lists(PREFIXES, max_size=20), TOPICS)
def test_one_subscriber_with_many_prefixes(prefixes: list[bytes], topic: bytes) -> None:
    matching: Matching[int] = Matching()
    for prefix in prefixes:
        matching.add(1, prefix)
    assert matching.match(topic) == ((1,) if topic.startswith(tuple(prefixes)) else ())
