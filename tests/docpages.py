"""Runs what the documentation shows: every code block of a Markdown page, from top to bottom.

What a block's language means:

* ``python``: run in one namespace per page, in a child process.
* ``pycon``: the same, with ``>>>`` and the output that must appear (``...`` matches anything).
* ``sh``: run; must succeed.
* ``console``: lines after ``$ `` are run; what follows is the output that must appear
  (``...`` matches anything). A command that shows nothing must succeed.
* ``json``, ``toml``: must parse. A sketch that does not is ``jsonc`` or ``text``.

A comment on the line before a block says more; several are separated by commas:

* ``<!-- test: file examples/x.py -->``: the block is that file's text. It is not run by
  itself: a shell block of the same page must run it, under its path or its bare name.
* ``<!-- test: server -->``: the block serves for ever. It runs in the background until the
  page ends, is awaited until its object can be found (or its output appears), must be alive
  at the end and must then stop on SIGTERM.
* ``<!-- test: background -->``: the same, and nothing is awaited.
* ``<!-- test: server, killed -->``: the page itself kills it.
* ``<!-- test: skip REASON -->``: not run, for one of the reasons in `SKIP_REASONS`.

A real broker runs for each page that runs anything; ``ROC_BROKER`` leads to it, so that
snippets need no address. A page that starts ``rocbroker`` itself is served by that one.
Its ports are free ones, and read as 5555 to 5557 in all output. So is the port of ``roc web``,
which is 8555 on the page.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from processes import Child, Spawner, rocbroker_command, start_broker
from roccommand import roc_command
from waiting import wait_until

__all__ = ["SKIP_REASONS", "Block", "PageRun", "broken_links", "matches", "read_blocks"]

SKIP_REASONS = {
    "installs from the network",
    "needs another computer",
    "runs in a step of its own",  # make demo, make test: .ci/run
}

RUN = {"python", "pycon", "console", "sh"}
PARSED = {"json": json.loads, "toml": tomllib.loads}
SHOWN = {"text", "jsonc", "ini", "mermaid", "html", "javascript", "c", "cpp", "matlab"}
DIRECTIVES = {"file", "server", "background", "killed", "skip"}

FENCE = re.compile(r"^(?P<indent>\s*)(?P<fence>`{3,}|~{3,})\s*(?P<language>[^\s`]*)")
COMMENT = re.compile(r"^\s*<!--\s*test:\s*(?P<directives>.*?)\s*-->\s*$")
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
INLINE_CODE = re.compile(r"`[^`\n]*`")

PATIENCE = 60.0
DEFAULT_PORT = 5555
DEFAULT_WEB_PORT = 8555
END_OF_COMMAND = "-- end of command --"


@dataclass(frozen=True)
class Block:
    """One fenced block; ``line`` is that of its opening fence."""

    page: Path
    line: int
    language: str
    text: str
    directives: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"


def read_blocks(page: Path) -> list[Block]:
    """Read the fenced blocks of a page, with the directives before them."""
    lines = page.read_text("utf-8").splitlines()
    blocks: list[Block] = []
    pending: dict[str, str] = {}
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        if comment := COMMENT.match(line):
            pending = _parse_directives(comment["directives"], f"{page.name}:{position}")
        elif opening := FENCE.match(line):
            start = position
            position = _closing_fence(lines, start, opening["fence"], page)
            text = textwrap.dedent("".join(f"{body}\n" for body in lines[start:position]))
            blocks.append(Block(page, start, opening["language"], text, pending))
            pending = {}
            position += 1
        elif line.strip():
            assert not pending, f"{page.name}:{position}: a test comment without a code block"
    assert not pending, f"{page.name}: a test comment without a code block"
    return blocks


def _closing_fence(lines: list[str], start: int, fence: str, page: Path) -> int:
    for position in range(start, len(lines)):
        line = lines[position].strip()
        if line.startswith(fence) and not line.strip(fence[0]):
            return position
    raise AssertionError(f"{page.name}:{start}: this code block is never closed")


def _parse_directives(text: str, place: str) -> dict[str, str]:
    directives: dict[str, str] = {}
    for part in text.split(","):
        word, _, rest = part.strip().partition(" ")
        assert word in DIRECTIVES, f"{place}: unknown directive {word!r}; known: {DIRECTIVES}"
        directives[word] = rest.strip()
    return directives


def broken_links(page: Path) -> list[str]:
    """The relative links of a page that lead nowhere."""
    prose = page.read_text("utf-8")
    for block in read_blocks(page):
        prose = prose.replace(block.text, "")
    prose = INLINE_CODE.sub("", prose)
    targets = (match["target"].partition("#")[0] for match in LINK.finditer(prose))
    local = (target for target in targets if target and ":" not in target)
    return [target for target in local if not (page.parent / target).exists()]


class PageRun:
    """One page, being run in the directory of ``spawn``, against files of ``root``."""

    def __init__(self, page: Path, root: Path, spawn: Spawner) -> None:
        self.blocks = read_blocks(page)
        self.root = root
        self.spawn = spawn
        self.directory = spawn.directory
        self.port = free_base_port()
        self.web_port = free_base_port()
        self.env = {
            "PATH": os.pathsep.join(
                [str(self._shims()), str(Path(sys.executable).parent), os.environ["PATH"]]
            ),
            "ROC_BROKER": f"127.0.0.1:{self.port}",
        }
        self._python: Child | None = None
        self._background: list[tuple[Block, Child]] = []

    def run(self) -> None:
        """Run the whole page; AssertionError names the first block that does not hold."""
        for block in self.blocks:
            self._check(block)
        runnable = [block for block in self.blocks if self._runs(block)]
        if not runnable:
            return
        (self.directory / "examples").symlink_to(self.root / "examples")
        own_broker = any(starts_rocbroker(block) for block in runnable)
        broker = None if own_broker else start_broker(self.spawn, "--base-port", self.port)
        for block in runnable:
            self._run(block)
        self._finish()
        if broker is not None:
            broker.stop()

    # --- checks that need no process ---------------------------------------------------

    def _check(self, block: Block) -> None:
        known = RUN | PARSED.keys() | SHOWN
        assert block.language in known, (
            f"{block.place}: a block in {block.language!r} cannot be tested; take one of {known}"
        )
        if "skip" in block.directives:
            reason = block.directives["skip"]
            assert reason in SKIP_REASONS, f"{block.place}: {reason!r} is no reason to skip"
        if "file" in block.directives:
            self._check_file(block)
        if block.language in PARSED:
            try:
                PARSED[block.language](block.text)
            except ValueError as error:
                raise AssertionError(f"{block.place}: {error}") from None

    def _check_file(self, block: Block) -> None:
        path = self.root / block.directives["file"]
        assert path.exists(), f"{block.place}: there is no {block.directives['file']}"
        text = path.read_text("utf-8")
        assert block.text.strip() == text.strip(), f"{block.place}: this is not the text of {path}"
        shells = [other.text for other in self.blocks if other.language in ("sh", "console")]
        assert block.language != "python" or any(path.name in shell for shell in shells), (
            f"{block.place}: no shell block of this page runs {path.name}"
        )
        shutil.copy(path, self.directory / path.name)

    def _runs(self, block: Block) -> bool:
        return block.language in RUN and not {"skip", "file"} & block.directives.keys()

    # --- running ------------------------------------------------------------------------

    def _run(self, block: Block) -> None:
        for other, child in self._background:
            lives = child.returncode is None or "killed" in other.directives
            assert lives, f"{other.place}: ended before {block.place}"
        if {"server", "background"} & block.directives.keys():
            self._start_in_background(block)
        elif block.language in ("python", "pycon"):
            self._run_python(block)
        else:
            self._run_shell(block)

    def _run_python(self, block: Block) -> None:
        if self._python is None:
            self._python = self.spawn(DRIVER, name="python", env=self.env, interactive=True)
        text = self._as_own_web_port(block.text)
        line = {"page": str(block.page), "line": block.line, "text": text}
        self._python.send_line(json.dumps({**line, "doctest": block.language == "pycon"}))
        try:
            self._python.wait_for(f"^{END_OF_COMMAND} {block.line}$", PATIENCE)
        except AssertionError as error:
            raise AssertionError(f"{block.place}: {error}") from None

    def _run_shell(self, block: Block) -> None:
        commands = list(read_commands(block))
        script = ["exec 2>&1"]
        for command, _ in commands:
            script += [self._as_own_web_port(command), f"printf '\\n{END_OF_COMMAND} %d\\n' $?"]
        child = self._shell("\n".join(script), f"shell-{block.line}")
        child.wait(PATIENCE * 2)
        outputs = re.split(f"\n{END_OF_COMMAND} (\\d+)\n", child.stdout)
        for number, (command, expected) in enumerate(commands):
            ended = f"{block.place}: {command} ended the shell\n{child.stdout}"
            assert len(outputs) > 2 * number + 2, ended
            output, status = outputs[2 * number : 2 * number + 2]
            if expected:
                self._compare(expected, output, f"{block.place}: {command}")
            else:
                assert status == "0", f"{block.place}: {command} gave {status}\n{output}"

    def _start_in_background(self, block: Block) -> None:
        name = f"background-{block.line}"
        awaited = "server" in block.directives and not starts_rocbroker(block)
        shared = self._objects() if awaited else set()
        if block.language == "python":
            child, expected = self.spawn(block.text, name=name, env=self.env), ""
        else:
            commands = list(read_commands(block))
            # With a trap the shell outlives SIGTERM and waits for what it runs.
            script = ["exec 2>&1", "trap : TERM", *(command for command, _ in commands)]
            child = self._shell("\n".join(script), name)
            expected = commands[-1][1]
        self._background.append((block, child))
        if "server" in block.directives:
            expected = expected or ("rocbroker ready ..." if starts_rocbroker(block) else "")
            self._wait_until_served(block, child, expected, shared)

    def _wait_until_served(
        self, block: Block, child: Child, expected: str, shared: set[str]
    ) -> None:
        def ready() -> bool:
            assert child.returncode is None, f"{block.place}: ended at once"
            if expected:
                return matches(f"{expected.rstrip()}...", self._as_default_ports(child.stdout))
            return bool(self._objects() - shared)

        wait_until(ready, PATIENCE, f"{block.place}: {expected or 'its object'} can be seen")

    def _finish(self) -> None:
        """Everything must end by itself: Python at its end of input, servers on SIGTERM."""
        if self._python is not None:
            assert self._python.process.stdin is not None
            self._python.process.stdin.close()
            assert self._python.wait(PATIENCE) == 0, "the page's Python did not end cleanly"
        for block, child in reversed(self._background):
            if "killed" in block.directives:
                assert child.wait(PATIENCE) != 0, f"{block.place}: the page did not kill it"
                continue
            assert child.returncode is None, f"{block.place}: ended before the page did"
            os.killpg(child.pid, signal.SIGTERM)
            child.wait(PATIENCE)

    def _shell(self, script: str, name: str) -> Child:
        return self.spawn.command(["sh", "-u", "-c", script], name=name, env=self.env)

    def _shims(self) -> Path:
        """A directory with commands that take this page's ports unless told otherwise."""
        shims = self.directory / "shims"
        shims.mkdir()
        broker, roc = shlex.join(rocbroker_command()), shlex.join(roc_command())
        for name, lines in {
            "rocbroker": [f'exec {broker} --base-port {self.port} "$@"'],
            "roc": [
                f'[ "$1" = web ] && shift && set -- web --port {self.web_port} "$@"',
                f'exec {roc} "$@"',
            ],
        }.items():
            shim = shims / name
            shim.write_text("\n".join(["#!/bin/sh", *lines, ""]))
            shim.chmod(0o755)
        return shims

    def _objects(self) -> set[str]:
        from runmacs.roc import RocClient
        from runmacs.roc.errors import RocError

        try:
            with RocClient(self.env["ROC_BROKER"], timeout=1.0) as client:
                return set(client)
        except RocError:
            return set()  # the page has not started its broker yet

    def _compare(self, expected: str, output: str, place: str) -> None:
        output = self._as_default_ports(output)
        assert matches(expected, output), (
            f"{place}\n--- the page shows\n{expected.rstrip()}\n--- it printed\n{output.rstrip()}"
        )

    def _as_default_ports(self, output: str) -> str:
        for offset in range(3):
            output = output.replace(f":{self.port + offset}", f":{DEFAULT_PORT + offset}")
        return output.replace(f":{self.web_port}", f":{DEFAULT_WEB_PORT}")

    def _as_own_web_port(self, text: str) -> str:
        return text.replace(f":{DEFAULT_WEB_PORT}", f":{self.web_port}")


def starts_rocbroker(block: Block) -> bool:
    return "server" in block.directives and bool(re.search(r"(?m)^(\$ )?rocbroker\b", block.text))


def read_commands(block: Block) -> Iterator[tuple[str, str]]:
    """The commands of a shell block, each with the output that is shown for it."""
    if block.language == "sh":
        yield f"set -e\n{block.text}", ""
        return
    command, expected = "", ""
    for line in block.text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, expected
            command, expected = line[2:], ""
        elif command.endswith("\\") and not expected:
            command = f"{command}\n{line}"
        else:
            assert command, f"{block.place}: a console block begins with `$ `"
            expected += f"{line}\n"
    yield command, expected


def matches(expected: str, output: str) -> bool:
    """Is this the output that is shown? ``...`` stands for anything, line ends are ignored."""
    shown = "\n".join(line.rstrip() for line in expected.strip().splitlines())
    printed = "\n".join(line.rstrip() for line in output.strip().splitlines())
    pattern = ".*".join(re.escape(part) for part in shown.split("..."))
    return re.fullmatch(pattern, printed, re.DOTALL) is not None


def free_base_port() -> int:
    """The first of three consecutive ports that are free on loopback."""
    while True:
        with socket.socket() as first, socket.socket() as second, socket.socket() as third:
            first.bind(("127.0.0.1", 0))
            base: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", base + 1))
                third.bind(("127.0.0.1", base + 2))
            except (OSError, OverflowError):
                continue
            return base


DRIVER = f"""\
import doctest, json, sys, types

main = sys.modules["__main__"] = types.ModuleType("__main__")
for line in sys.stdin:
    block = json.loads(line)
    if block["doctest"]:
        parser = doctest.DocTestParser()
        test = parser.get_doctest(block["text"], {{}}, "page", block["page"], block["line"])
        test.globs = main.__dict__
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        if runner.run(test, clear_globs=False).failed:
            sys.exit(1)
    else:
        source = "\\n" * block["line"] + block["text"]
        exec(compile(source, block["page"], "exec"), main.__dict__)
    print("\\n{END_OF_COMMAND}", block["line"], flush=True)
"""
