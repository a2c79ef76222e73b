"""The documentation is true: its code runs, its output is what is printed, its links lead on.

What a page may contain and how it is run stands in ``docpages.py``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from docpages import PageRun, broken_links, matches, read_blocks
from processes import Spawner

ROOT = Path(__file__).parent.parent
RUN_PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUN_PAGES += sorted((ROOT / "spec").rglob("*.md"))
LINKED_PAGES = [*RUN_PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", RUN_PAGES, ids=name_of)
def test_the_code_of_a_page_runs(page: Path, spawn: Spawner) -> None:
    PageRun(page, ROOT, spawn).run()


@pytest.mark.parametrize("page", LINKED_PAGES, ids=name_of)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


# --- the tests of the test: a page that lies is caught ------------------------------------


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "page.md"


def fenced(language: str, *lines: str, comment: str = "") -> str:
    before = f"<!-- test: {comment} -->\n" if comment else ""
    return "\n".join([f"{before}```{language}", *lines, "```", ""])


TRUE_PAGE = [
    fenced("python", "gain = 3"),
    fenced("console", "$ echo one; echo two; echo three", "one", "...", "three"),
    fenced("pycon", ">>> gain + 1", "4"),
    fenced("sh", "test -n $ROC_BROKER"),
    fenced("json", '{"gain": 3}'),
    fenced("text", "anything"),
    fenced("sh", "pip install runmacs-roc", comment="skip installs from the network"),
]

OBJECT = """\
from runmacs.roc.servers import run_simple_server

class Thermometer:
    celsius = 21.5

run_simple_server("thermometer", Thermometer())
"""
SERVED_PAGE = [
    fenced(
        "console",
        "$ rocbroker",
        "rocbroker ready rocBroker=tcp://127.0.0.1:5555 generalXSUB=tcp://127.0.0.1:5556 ...",
        comment="server",
    ),
    fenced("python", OBJECT, comment="server"),
    fenced("python", "from runmacs.roc import RocClient", "client = RocClient(None)"),
    fenced("pycon", ">>> client['thermometer'].celsius", "21.5", ">>> client.close()"),
]


@pytest.mark.parametrize("blocks", [TRUE_PAGE, SERVED_PAGE], ids=["plain", "served"])
def test_a_true_page_passes(page: Path, spawn: Spawner, blocks: list[str]) -> None:
    page.write_text("\n".join(blocks))

    PageRun(page, ROOT, spawn).run()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (fenced("python", "", "1 / 0"), r"line 3, in <module>(.|\n)*ZeroDivisionError"),
        (fenced("pycon", ">>> 1 + 1", "3"), r"Expected:\n    3\nGot:\n    2"),
        (fenced("console", "$ echo four", "five"), r"page shows\nfive\n--- it printed\nfour"),
        (fenced("console", "$ exit 3"), r"page.md:1: exit 3 ended the shell"),
        (fenced("console", "$ false"), r"page.md:1: false gave 1"),
        (fenced("sh", "false", "true"), r"ended the shell"),
        (fenced("python", "pass", comment="server"), r"page.md:2: ended at once"),
    ],
    ids=["raises", "other value", "other output", "exits", "fails", "fails midway", "no server"],
)
def test_a_page_that_does_not_run_is_caught(
    page: Path, spawn: Spawner, text: str, complaint: str
) -> None:
    page.write_text(text)

    with pytest.raises(AssertionError, match=complaint):
        PageRun(page, ROOT, spawn).run()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (fenced("json", "{gain: 3}"), r"page.md:1: Expecting property name"),
        (fenced("bash", "true"), r"page.md:1: a block in 'bash' cannot be tested"),
        (fenced("", "true"), r"page.md:1: a block in '' cannot be tested"),
        (fenced("sh", "true", comment="skip too slow"), r"'too slow' is no reason to skip"),
        (fenced("sh", "true", comment="servre"), r"page.md:1: unknown directive 'servre'"),
        (fenced("text", "x", comment="file LICENSE"), r"page.md:2: this is not the text of"),
        (fenced("text", "x", comment="file no/such"), r"page.md:2: there is no no/such"),
        ("<!-- test: server -->\n\nProse.\n", r"page.md:3: a test comment without a code block"),
        ("```sh\ntrue\n", r"page.md:1: this code block is never closed"),
    ],
    ids=range(9),
)
def test_a_page_that_is_badly_marked_is_caught(
    page: Path, spawn: Spawner, text: str, complaint: str
) -> None:
    page.write_text(text)

    with pytest.raises(AssertionError, match=complaint):
        PageRun(page, ROOT, spawn).run()


def test_a_shown_program_must_be_run_by_its_page(page: Path, spawn: Spawner) -> None:
    program = fenced("python", Path(__file__).read_text(), comment="file tests/test_docs.py")
    page.write_text(program)

    with pytest.raises(AssertionError, match="no shell block of this page runs"):
        PageRun(page, ROOT, spawn).run()


def test_an_indented_block_belongs_to_its_list_item(page: Path) -> None:
    page.write_text("1. Start it:\n\n   ```sh\n   true\n     false\n   ```\n")

    (block,) = read_blocks(page)

    assert (block.text, block.line) == ("true\n  false\n", 3)


def test_a_broken_link_is_found(page: Path) -> None:
    page.write_text("[a](page.md#here) [b](https://x.org) [c](gone.md) `d[0](e.md)` [`f`](f.md)\n")

    assert broken_links(page) == ["gone.md", "f.md"]


@pytest.mark.parametrize(
    ("expected", "output", "match"),
    [
        ("one\n", "one  \n\n", True),
        ("one\n...ee", "one\ntwo\nthree\n", True),
        ("one", "one\ntwo", False),
        ("a.c", "abc", False),
    ],
)
def test_what_counts_as_the_shown_output(expected: str, output: str, match: bool) -> None:
    assert matches(expected, output) is match
