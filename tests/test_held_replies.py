"""Replies that leave together: none waits for a method that takes its time."""

from __future__ import annotations

import asyncio
import functools
import time

from desk import Desk
from promptness import prompt
from runmacs.roc import RocServer
from runmacs.roc.asyncclient import AsyncRocClient


class Sleeper:
    """Sleeps as long as it is told, and remembers in which order."""

    def __init__(self) -> None:
        self.order: list[float] = []

    def nap(self, seconds: float) -> float:
        self.order.append(seconds)
        time.sleep(seconds)
        return seconds

    def slow(self) -> str:
        time.sleep(2.0)
        return "slow"


def test_a_reply_is_not_kept_while_the_next_method_runs(desk: Desk) -> None:
    """Not even when that one was quick until now."""

    async def calls() -> None:
        async with AsyncRocClient(desk.endpoints, timeout=10) as client:
            sleeper = client["sleeper"]
            for _ in range(3):
                await sleeper.nap(0.0)
            for begin in (sleeper.slow, functools.partial(sleeper.nap, 2.0)):
                quick = [asyncio.ensure_future(sleeper.nap(0.0)) for _ in range(3)]
                last = asyncio.ensure_future(begin())
                with prompt():
                    done, _ = await asyncio.wait(quick, timeout=1.0)
                    assert len(done) == len(quick)
                    assert not last.done()
                await last

    with RocServer(desk.endpoints, "sleeper", Sleeper()):
        asyncio.run(calls())


def test_many_calls_of_a_quick_method_are_all_answered_in_order(desk: Desk) -> None:
    async def calls() -> None:
        async with AsyncRocClient(desk.endpoints, timeout=30) as client:
            sleeper = client["sleeper"]
            answers = await asyncio.gather(*(sleeper.nap(1e-9 * n) for n in range(1000)))
            assert answers == [1e-9 * n for n in range(1000)]

    shared = Sleeper()
    with RocServer(desk.endpoints, "sleeper", shared):
        asyncio.run(calls())
    assert shared.order == sorted(shared.order)
    assert len(shared.order) == 1000
