"""`make bench`: calls and arrays, against peers and against the floor, side by side in one run.

Each peer's servers run as processes of their own during the whole run; rounds are
interleaved (A B C, A B C, ...), so that a machine that drifts drifts for all. Printed are
medians over the rounds, their spread, and the ratios that the project holds itself to.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from .peers import PEERS, Connection, Peer

FRAME_BYTES = 8 * 1024 * 1024

BARS = [
    ("serial call", "calls/s", "roc", "Pyro5 direct", 0.6),
    ("serial call", "calls/s", "roc", "pyleco", 1.5),
    ("8 MiB array", "MB/s", "roc", "1000 MB/s", 1.0),
]


def serial_calls(connection: Connection, seconds: float) -> float:
    """Calls a second, one after the other, of a method that returns its argument."""
    call = connection.echo
    for _ in range(200):
        call(1)
    count = 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        for _ in range(100):
            call(1)
        count += 100
    return count / elapsed


def arrays(connection: Connection, seconds: float) -> float:
    """MB/s of 8 MiB arrays that a method returns."""
    fetch = connection.frame
    fetch()
    count = 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        size = fetch()
        if size != FRAME_BYTES:
            raise AssertionError(f"{size} bytes came, not {FRAME_BYTES}")
        count += 1
    return count * FRAME_BYTES / 1e6 / elapsed


MEASURES: dict[str, tuple[str, Callable[[Connection, float], float]]] = {
    "serial call": ("calls/s", serial_calls),
    "8 MiB array": ("MB/s", arrays),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds (default 7)")
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds for each measurement")
    parser.add_argument("--only", nargs="*", metavar="PEER", help="measure only these peers")
    parser.add_argument("--json", type=Path, help="write the result to this file as JSON")
    options = parser.parse_args()
    missing: dict[str, str] = {}
    results: dict[str, dict[str, list[float]]] = {name: {} for name in MEASURES}
    with contextlib.ExitStack() as stack:
        connections = _start(stack, options.only, missing)
        for round_number in range(options.rounds):
            for measure, (_, function) in MEASURES.items():
                for name, connection in connections.items():
                    if measure in connection.measures:
                        print(
                            f"\rround {round_number + 1}/{options.rounds}: {measure}, {name:14}",
                            end="", file=sys.stderr, flush=True,
                        )  # fmt: skip
                        figure = function(connection, options.seconds)
                        results[measure].setdefault(name, []).append(figure)
    print(file=sys.stderr)
    held = _report(results, missing)
    if options.json:
        document = {"machine": platform.platform(), "python": sys.version, "results": results}
        options.json.write_text(json.dumps({**document, "missing": missing}, indent=1) + "\n")
    return 0 if held else 1


def _start(
    stack: contextlib.ExitStack, only: list[str] | None, missing: dict[str, str]
) -> dict[str, Connection]:
    connections = {}
    for peer in PEERS:
        if only and peer.name not in only:
            continue
        try:
            connections[peer.name] = stack.enter_context(_running(peer))
        except ImportError as error:
            missing[peer.name] = str(error)
    return connections


@contextlib.contextmanager
def _running(peer: Peer):  # type: ignore[no-untyped-def]
    with peer.servers() as address:
        connection = peer.connect(address)
        try:
            yield connection
        finally:
            connection.close()


def _report(results: dict[str, dict[str, list[float]]], missing: dict[str, str]) -> bool:
    for measure, by_peer in results.items():
        unit = MEASURES[measure][0]
        print(f"\n{measure} ({unit}), median [least .. most], and as a multiple of roc")
        roc = statistics.median(by_peer["roc"]) if "roc" in by_peer else None
        for name, figures in by_peer.items():
            median = statistics.median(figures)
            spread = f"[{min(figures):,.0f} .. {max(figures):,.0f}]"
            ratio = f"{median / roc:6.2f}" if roc else ""
            print(f"  {name:14} {median:12,.0f} {spread:24} {ratio}")
    for name, why in missing.items():
        print(f"\nnot measured: {name} ({why})")
    print("\nbars")
    return all([_bar(results, *bar) for bar in BARS])


def _bar(
    results: dict[str, dict[str, list[float]]],
    measure: str,
    unit: str,
    ours: str,
    other: str,
    goal: float,
) -> bool:
    own = results[measure].get(ours)
    theirs = [1000.0] if other == "1000 MB/s" else results[measure].get(other)
    if not own or not theirs:
        print(f"  {measure}: {ours} against {other}: not measured")
        return True
    ratio = statistics.median(own) / statistics.median(theirs)
    verdict = "held" if ratio >= goal else "MISSED"
    print(f"  {measure}: {ours} is {ratio:.2f} x {other}, goal {goal:g}: {verdict}")
    return ratio >= goal


if __name__ == "__main__":
    sys.exit(main())
