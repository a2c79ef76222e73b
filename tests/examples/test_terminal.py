"""How the demo speaks: plots, colours, and outputs that have neither."""

from __future__ import annotations

import io

import numpy as np
import pytest
from terminal import ASCII, BLOCKS, Story, axis, plot


class Output(io.TextIOWrapper):
    """An output of some encoding, which may be a terminal."""

    def __init__(self, encoding: str, *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="\n")
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def text(self) -> str:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture(autouse=True)
def _a_plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("WT_SESSION", "1")


def told(output: Output) -> str:
    """A short story with everything in it, as it reads on this output."""
    story = Story(output)
    story.step("It opens the shutter.")
    story.code("vnir.fps", 10.0)
    story.error(ValueError("no"))
    story.plot(np.linspace(400.0, 1000.0, 50), np.linspace(0.0, 1.0, 50))
    return output.text()


def test_steps_are_numbered_and_code_is_followed_by_its_answer() -> None:
    text = told(Output("utf-8"))

    assert " 1. It opens the shutter.\n      >>> vnir.fps\n      10.0\n" in text
    assert "      ValueError: no\n" in text


def test_colour_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" in told(Output("utf-8", terminal=True))
    assert "\x1b[" not in told(Output("utf-8"))
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in told(Output("utf-8", terminal=True))


def test_an_output_without_blocks_gets_ascii() -> None:
    assert "█" in told(Output("utf-8"))
    assert told(Output("ascii")).isascii()
    assert "█" not in told(Output("latin-1"))


def test_what_an_output_cannot_show_does_not_break_the_story() -> None:
    output = Output("ascii")
    Story(output).said("µm")

    assert output.text() == "      ?m\n"


def test_a_plot_keeps_its_highest_value_however_narrow() -> None:
    values = np.zeros(1000)
    values[617] = 5.0
    lines = plot(values, 50, 4, BLOCKS)

    assert [line.count("█") for line in lines] == [1, 1, 1, 1]
    assert {line.index("█") for line in lines} == {30}


@pytest.mark.parametrize("values", [np.zeros(10), np.full(10, -3.0), np.array([0.0, 1.0])])
@pytest.mark.parametrize("ramp", [BLOCKS, ASCII])
def test_a_plot_has_the_size_that_was_asked_for(
    values: np.ndarray[tuple[int], np.dtype[np.float64]], ramp: str
) -> None:
    assert {len(line) for line in plot(values, 40, 5, ramp)} == {40}
    assert len(plot(values, 40, 5, ramp)) == 5


def test_labels_stand_beneath_their_place() -> None:
    line = axis(np.linspace(400.0, 1000.0, 320), 60)

    assert line.endswith("1000 nm")
    assert line.index("500") + 1 == 10
    assert line.index("900") + 1 == 50
