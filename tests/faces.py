"""The client's faces, blocking and asyncio, behind one interface for the same tests.

All of it is awaited: a blocking call is made in a thread. What a test expects of one face
it expects of the other.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn, Protocol, TypeVar

import pytest

from runmacs.roc import AsyncRocClient, Endpoints, RocClient

__all__ = ["LOOPS", "AsyncFace", "BlockingFace", "Face", "new_loop", "run", "until"]

T = TypeVar("T")

LOOPS = ["asyncio", "uvloop"]
"""The kinds of event loops; "no readers" is a third, for what depends on watching."""
INSTALL_UVLOOP = "uvloop is not installed: pip install -e '.[dev]' (not on Windows)"


class Face(Protocol):
    """What all faces can do; names are those of `AsyncRocClient`."""

    async def get(self, path: str, timeout: float | None = None) -> Any: ...
    async def set(self, path: str, value: Any, timeout: float | None = None) -> None: ...
    async def call(
        self, path: str, /, *args: Any, timeout: float | None = None, **kwargs: Any
    ) -> Any: ...
    async def objects(self) -> list[str]: ...
    async def wait_for(self, object_id: str, timeout: float = 10.0) -> Any: ...
    async def close(self) -> None: ...


class BlockingFace:
    """`RocClient`, each call in a thread."""

    def __init__(self, endpoints: Endpoints, timeout: float = 20.0) -> None:
        self.client = RocClient(endpoints, timeout=timeout)
        self._threads = ThreadPoolExecutor(64)

    async def _in_thread(self, function: Callable[..., T], *args: Any) -> T:
        loop = asyncio.get_running_loop()
        if self.client.closed:  # the threads are gone, too
            return await loop.run_in_executor(None, function, *args)
        return await loop.run_in_executor(self._threads, function, *args)

    def _holder(self, path: str, timeout: float | None) -> tuple[Any, str]:
        object_id, *inner, name = path.split(".")
        return functools.reduce(getattr, inner, self.client.proxy(object_id, timeout)), name

    async def get(self, path: str, timeout: float | None = None) -> Any:
        return await self._in_thread(lambda: getattr(*self._holder(path, timeout)))

    async def set(self, path: str, value: Any, timeout: float | None = None) -> None:
        await self._in_thread(lambda: setattr(*self._holder(path, timeout), value))

    async def call(
        self, path: str, /, *args: Any, timeout: float | None = None, **kwargs: Any
    ) -> Any:
        object_id, _, method = path.partition(".")
        self.client.proxy(object_id, timeout)  # checks both, but would ask what the member is
        return await self._in_thread(
            self.client.call_object, object_id, method, args, kwargs, timeout
        )

    async def objects(self) -> list[str]:
        return await self._in_thread(list, self.client)

    async def wait_for(self, object_id: str, timeout: float = 10.0) -> Any:
        return await self._in_thread(self.client.wait_for, object_id, timeout)

    async def close(self) -> None:
        self.client.close()
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)


class AsyncFace:
    """`AsyncRocClient`."""

    def __init__(self, endpoints: Endpoints, timeout: float = 20.0) -> None:
        self.client = AsyncRocClient(endpoints, timeout=timeout)

    async def get(self, path: str, timeout: float | None = None) -> Any:
        return await self.client.get(path, timeout)

    async def set(self, path: str, value: Any, timeout: float | None = None) -> None:
        await self.client.set(path, value, timeout)

    async def call(
        self, path: str, /, *args: Any, timeout: float | None = None, **kwargs: Any
    ) -> Any:
        object_id, *names = path.split(".")
        member: Any = self.client.proxy(object_id, timeout)
        for name in names:
            member = getattr(member, name)
        return await member(*args, **kwargs)

    async def objects(self) -> list[str]:
        return await self.client.objects()

    async def wait_for(self, object_id: str, timeout: float = 10.0) -> Any:
        return await self.client.wait_for(object_id, timeout)

    async def close(self) -> None:
        self.client.close()


class LoopWithoutReaders(asyncio.SelectorEventLoop):
    """A loop that cannot watch descriptors, as Windows' proactor cannot."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> NoReturn:  # type: ignore[override]
        raise NotImplementedError

    def remove_reader(self, fd: Any) -> NoReturn:
        raise NotImplementedError


def new_loop(kind: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes loops of a kind; skips the test where there are none."""
    if kind == "asyncio":
        return asyncio.new_event_loop
    if kind == "no readers":
        return LoopWithoutReaders
    uvloop = pytest.importorskip("uvloop", reason=INSTALL_UVLOOP)
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def until(condition: Callable[[], object], timeout: float = 30.0) -> None:
    """Wait for a condition, and let the loop go on meanwhile."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s"
        await asyncio.sleep(0.01)


def run(main: Coroutine[Any, Any, T], kind: str = "asyncio") -> T:
    """Run a coroutine in a loop of that kind. No task may be left behind.

    The loop is in debug mode: it complains of what is done in another thread than its own.
    """

    async def alone() -> T:
        result = await main
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks are left behind: {left}"
        return result

    with asyncio.Runner(debug=True, loop_factory=new_loop(kind)) as runner:
        return runner.run(alone())
