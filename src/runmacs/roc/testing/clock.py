"""Time that passes only when it is told to: for tests of whatever takes time as an argument.

Rules:

* Actions run in the order of their times; those of one instant in the order in which
  they were planned. So the same program gives the same history, each time.
* While an action runs, no time passes.
* A computer's own clock (`LocalClock`) has another zero, and another idea of a second.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

__all__ = ["FakeClock", "LocalClock", "Timer"]


class Timer:
    """An action that is planned; `cancel` takes it back."""

    __slots__ = ("action", "when")

    def __init__(self, when: float, action: Callable[[], None]) -> None:
        self.when = when
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        """Do not run it. It may have run already."""
        self.action = None


class FakeClock:
    """A clock, and the actions that wait for it.

    Example:
        >>> clock = FakeClock()
        >>> timer = clock.after(2.0, lambda: print("now it is", clock()))
        >>> clock.run(5.0)
        now it is 2.0
        >>> clock.now
        5.0
    """

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self._planned: list[tuple[float, int, Timer]] = []
        self._count = 0

    def __call__(self) -> float:
        return self.now

    def at(self, when: float, action: Callable[[], None]) -> Timer:
        """Run ``action`` at a time; one that is over counts as now."""
        timer = Timer(max(when, self.now), action)
        self._count += 1
        heapq.heappush(self._planned, (timer.when, self._count, timer))
        return timer

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Run ``action`` when so many seconds have passed."""
        return self.at(self.now + seconds, action)

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        self.run_until(self.now + seconds)

    def run_until(self, when: float, condition: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass until ``condition`` holds, at most until ``when``; whether it holds."""
        planned = self._planned
        while not condition():
            if not planned or planned[0][0] > when:
                self.now = max(self.now, when)
                return condition()
            moment, _, timer = heapq.heappop(planned)
            if timer.action is not None:
                self.now = moment
                timer.action()
        return True


class LocalClock:
    """What one computer's clock shows: ``offset`` apart, and ``rate`` times as fast."""

    __slots__ = ("_clock", "offset", "rate")

    def __init__(self, clock: FakeClock, offset: float = 0.0, rate: float = 1.0) -> None:
        self._clock = clock
        self.offset = offset
        self.rate = rate

    def __call__(self) -> float:
        return self._clock.now * self.rate + self.offset

    def true(self, shown: float) -> float:
        """The `FakeClock`'s time at which this clock shows ``shown``."""
        return (shown - self.offset) / self.rate
