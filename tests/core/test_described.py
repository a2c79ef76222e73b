"""A description is read as far as it makes sense, whoever sent it."""

from __future__ import annotations

from typing import Any

import pytest

from runmacs.roc.core.described import Description, signature_of
from runmacs.roc.core.description import describe_object
from runmacs.roc.core.offers import Offer


class Lens:
    """The objective lens."""


class Camera:
    """A camera.

    It looks down.
    """

    def __init__(self) -> None:
        self.lens = Lens()

    @property
    def temperature(self) -> float:
        """Of the sensor.

        In degrees Celsius.
        """
        return 21.5

    def expose(self, seconds: float = 0.02) -> None:
        """Take a picture."""


@pytest.fixture
def camera() -> Description:
    obj = Camera()
    return Description(describe_object(obj, Offer(type(obj)), "vnir"))


def test_members(camera: Description) -> None:
    assert sorted(camera.names) == ["expose", "lens", "temperature"]
    assert camera.kinds == {"expose": "method", "lens": "object"}
    assert camera.class_name.endswith("Camera")
    assert camera.special == frozenset()


def test_help(camera: Description) -> None:
    assert camera.help.splitlines() == [
        "A camera.",
        "",
        "It looks down.",
        "",
        "Methods:",
        "    expose(seconds: float = 0.02) -> None  -  Take a picture.",
        "",
        "Attributes:",
        "    temperature: float (read-only)  -  Of the sensor.",
        "",
        "Objects:",
        "    lens  -  The objective lens.",
    ]
    assert camera.attributes == {
        "temperature": "temperature: float (read-only)\n\nOf the sensor.\n\nIn degrees Celsius."
    }


def test_signatures(camera: Description) -> None:
    assert str(signature_of(camera.method("expose"))) == "(seconds: float = 0.02) -> None"
    assert signature_of(camera.method("nothing")) is None


def test_two_agree_if_they_say_the_same(camera: Description) -> None:
    same = Description(describe_object(Camera(), Offer(Camera), "vnir"))
    assert camera.agrees(same)
    assert not camera.agrees(Description(describe_object(Lens(), Offer(Lens), "vnir")))


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "text",
        {},
        {"info": 3, "methods": 3, "x-attributes": {"a": 1}, "x-objects": None},
        {"methods": [3, None, {}, {"name": 3}, {"name": "_hidden"}, {"name": "__init__"}]},
        {"x-special": "call", "x-call": 3, "x-class": ["C"]},
        {"x-special": [3, None, ["call"]]},
    ],
    ids=repr,
)
def test_whatever_a_foreign_server_says(document: Any) -> None:
    said = Description(document)
    assert said.names == []
    assert said.kinds == said.attributes == {}
    assert said.help == ""
    assert not said.special
    assert signature_of(said.calling) is None
    assert said.class_name
