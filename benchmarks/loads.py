"""What a client does while it is measured: each load takes a connection and seconds.

Rates are in things per second, and each load first does a little of it unmeasured.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

from .peers.connection import OBJECT, Connection

__all__ = ["LOADS", "percentiles"]

_CHUNK = 50
_IN_FLIGHT = 1000
"""Calls that are under way at once, or stand in one batch."""


def serial(connection: Connection, seconds: float) -> float:
    return _rate(lambda: connection.serial(_CHUNK), _CHUNK, seconds)


def pipelined(connection: Connection, seconds: float) -> float:
    return _rate(lambda: connection.pipelined(_IN_FLIGHT), _IN_FLIGHT, seconds)


def gathered(connection: Connection, seconds: float) -> float:
    return _rate(lambda: connection.gathered(_IN_FLIGHT), _IN_FLIGHT, seconds)


def batch(connection: Connection, seconds: float) -> float:
    return _rate(lambda: connection.batch(_IN_FLIGHT), _IN_FLIGHT, seconds)


def attributes(connection: Connection, seconds: float) -> float:
    return _rate(lambda: connection.read(_CHUNK), _CHUNK, seconds)


def objects(connection: Connection, seconds: float, names: list[str]) -> float:
    return _rate(lambda: connection.serial_at(names, _CHUNK), _CHUNK, seconds)


def arrays(connection: Connection, seconds: float, size: int) -> float:
    """MB/s."""
    several = max(1, 65536 // size)

    def fetch() -> None:
        for _ in range(several):
            arrived = connection.fetch(size)
            if arrived != size:
                raise AssertionError(f"{arrived} bytes came, not {size}")

    return _rate(fetch, several * size, seconds) / 1e6


def latency(
    connection: Connection, seconds: float, pause: float, name: str = OBJECT
) -> dict[str, float]:
    """Percentiles of single calls with pauses between them, in microseconds."""
    clock = time.perf_counter
    echo = connection.echo
    if name == OBJECT:
        connection.serial(_CHUNK)
    else:
        connection.serial_at([name], _CHUNK)
        echo = functools.partial(connection.serial_at, [name])
    times = []
    end = clock() + seconds
    while (began := clock()) < end:
        echo(1)
        times.append(clock() - began)
        time.sleep(pause)
    return percentiles(times)


def frames(connection: Connection, seconds: float, size: int, rate: float, name: str) -> float:
    """Arrays at a rate, as a camera's display fetches them; returns the MB/s that came."""
    began, count = time.perf_counter(), 0
    while (now := time.perf_counter()) < began + seconds:
        wait = began + count / rate - now
        if wait > 0:
            time.sleep(wait)
        connection.fetch(size, name)
        count += 1
    return count * size / 1e6 / (time.perf_counter() - began)


def flow(connection: Connection, seconds: float, count: int, method: str) -> float:
    """So many calls waiting all the time; it says so in a line as soon as they do."""
    steps = connection.flow(count, _CHUNK, method)
    next(steps)
    print("they wait", flush=True)
    try:
        return _rate(lambda: next(steps), _CHUNK, seconds)
    finally:
        steps.close()


_ALL = (serial, pipelined, gathered, batch, attributes, objects, arrays, latency, frames, flow)
LOADS: Mapping[str, Callable[..., Any]] = {load.__name__: load for load in _ALL}


def percentiles(times: list[float]) -> dict[str, float]:
    """The percentiles that people ask for, in microseconds."""
    times = sorted(times)
    points = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
    return {
        name: 1e6 * times[min(len(times) - 1, int(point * len(times)))]
        for name, point in points.items()
    }


def _rate(step: Callable[[], Any], size: int, seconds: float) -> float:
    """How much a second, of steps that do so much each; the first one does not count."""
    step()
    done, began, passed = 0, time.perf_counter(), 0.0
    while not done or passed < seconds:
        step()
        done += size
        passed = time.perf_counter() - began
    return done / passed
