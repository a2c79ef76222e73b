"""`make bench`: ROC beside other libraries and the floor, side by side in one run.

Printed are medians over interleaved rounds with their spread, what could not be measured
and why, and the bars that the project holds itself to.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from . import measures, peers
from .bars import judged
from .bench import Bench, Options
from .processes import House
from .results import Results, measured
from .table import report

QUICK_PEERS = ("roc", "zmq_direct", "zmq_proxy")
QUICK_MEASURES = (
    "serial", "pipelined", "batch", "attributes", "clients", "objects", "arrays", "latency",
    "status", "logs", "startup", "memory", "copies", "budget", "growth",
)  # fmt: skip


def main() -> int:
    given = _parser().parse_args()
    if given.read:
        results = Results.read(given.read)
    else:
        with House() as house:
            results = measured(Bench(_options(given), house))
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr)
    bars = judged(results)
    print(*report(results, bars), sep="\n")
    if given.json:
        document = json.dumps(results.document(bars), indent=1)
        given.json.write_text(f"{document}\n", "utf-8")
    if given.docs:
        from .page import write  # matplotlib is needed for this alone

        write(results, bars, given.docs)
    return 1 if given.strict and any(bar["verdict"] == "missed" for bar in bars) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", type=_words, metavar="M,...", help=f"only these: {', '.join(measures.MEASURES)}"
    )
    parser.add_argument(
        "--peers", type=_words, metavar="P,...", help=f"only these: {', '.join(peers.PEERS)}"
    )
    parser.add_argument("--rounds", type=int, help="interleaved rounds (7)")
    parser.add_argument("--seconds", type=float, help="seconds for each measurement (0.5)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="whether all of it works, in less than a minute: a round of ROC and the floor",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument("--read", type=Path, metavar="FILE", help="report an earlier run's results")
    parser.add_argument(
        "--docs", type=Path, metavar="FOLDER", help="renew the figures of performance.md there"
    )
    parser.add_argument("--strict", action="store_true", help="fail when a bar is missed")
    return parser


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


def _options(given: argparse.Namespace) -> Options:
    quick = given.quick
    chosen = given.only or (QUICK_MEASURES if quick else measures.MEASURES)
    taking_part = given.peers or (QUICK_PEERS if quick else peers.PEERS)
    _check(chosen, measures.MEASURES, "measure")
    _check(taking_part, peers.PEERS, "peer")
    return Options(
        rounds=given.rounds or (1 if quick else 7),
        seconds=given.seconds or (0.05 if quick else 0.5),
        quick=quick,
        measures=chosen,
        peers=taking_part,
    )


def _check(given: tuple[str, ...], known: tuple[str, ...], what: str) -> None:
    for name in given:
        if name not in known:
            sys.exit(f"there is no {what} {name!r}; known: {', '.join(known)}")


if __name__ == "__main__":
    sys.exit(main())
