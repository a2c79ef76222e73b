"""`statusUpdateIterator`: follow the status tree, change by change."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .._drivers.clock import now as clock
from .._drivers.subscribing import Subscription
from ..config import resolve_subscribe
from ..core.mirror import Mirror, News
from ..endpoints import Endpoints
from ..errors import Closed
from ..wire.statusmsg import fresh, mask_of
from ..wire.values import value_of

if TYPE_CHECKING:
    import zmq

__all__ = [
    "AsyncStatusUpdates",
    "StatusUpdates",
    "Update",
    "nested",
    "new_token",
    "statusUpdateIterator",
]

STANDS_WITHIN = 1.5
"""Seconds that a subscription waits, when it is made, for a broker to answer."""


class Update(dict[str, Any]):
    """A partial tree, ``{'system': {'foo': {'cpu': 0.3}}}``; a dict like any other.

    Attributes:
        removed: paths that are there no longer.
        missed: True if changes before this one were not given one by one; what this one has
            is what is new since.
    """

    removed: tuple[str, ...] = ()
    missed: bool = False


def statusUpdateIterator(
    source: Endpoints | str | None = None,
    mask: str | Iterable[str] = "",
    ctx: zmq.Context[Any] | None = None,
    timeout: float | None = None,
    *,
    snapshot: bool = True,
) -> StatusUpdates:
    """Yield the status tree, and from then on each change of it, as partial trees.

    The first item is what is there now, unless that is nothing. When this returns the
    subscription stands: whatever is emitted from now on is seen.

    Args:
        source: where the broker is: `Endpoints`, its generalXPUB address, ``host``,
            ``host:baseport``, or None for ``ROC_BROKER``, the configuration file, or
            ``127.0.0.1:5555``.
        mask: the subtree to follow, or several: ``'system.foo'`` is just that and all
            beneath it. ``''`` is everything but the broker's own branch, ``'roc'``.
        ctx: a ZeroMQ context to use; it is never terminated here.
        timeout: after so many seconds without news an empty update is yielded; None waits
            for ever.
        snapshot: whether to begin with what is there now.

    Raises:
        ConfigError: an address or mask that makes no sense.

    Example::

        for update in statusUpdateIterator("192.168.0.10", "system"):
            print(update)
    """
    return StatusUpdates(source, mask, ctx, timeout, snapshot=snapshot)


class _Following:
    """What the blocking and the asyncio iterator share."""

    def __init__(
        self,
        source: Endpoints | str | None = None,
        mask: str | Iterable[str] = "",
        ctx: zmq.Context[Any] | None = None,
        timeout: float | None = None,
        *,
        snapshot: bool = True,
    ) -> None:
        self.endpoints = resolve_subscribe(source)
        self.masks = mask_of(mask)
        self.timeout = timeout
        self._mirror = Mirror(self.masks, new_token, snapshot)
        self._subscription = Subscription(ctx, self.endpoints, self._mirror)

    @property
    def resyncs(self) -> int:
        """How often changes may not have been given one by one: this program read too slowly,
        or the connection broke. The update that follows has what is new since.
        """
        return self._mirror.resyncs

    def close(self) -> None:
        """End the iteration, from any thread."""
        self._subscription.close()

    def _take(self) -> Update | None:
        while (news := self._mirror.take()) is not None:
            update = update_of(news)
            if update or update.removed:
                return update
        return None

    def _until(self, seconds: float | None) -> float | None:
        return None if seconds is None else clock() + seconds

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {', '.join(map(repr, self.masks))} at {self.endpoints}>"


class StatusUpdates(_Following, Iterator[Update]):
    """What `statusUpdateIterator` returns. One thread iterates; any may close it."""

    def __init__(
        self,
        source: Endpoints | str | None = None,
        mask: str | Iterable[str] = "",
        ctx: zmq.Context[Any] | None = None,
        timeout: float | None = None,
        *,
        snapshot: bool = True,
    ) -> None:
        super().__init__(source, mask, ctx, timeout, snapshot=snapshot)
        try:
            wait_until_synced(self._subscription, self._mirror)
        except BaseException:
            self.close()
            raise

    def __next__(self) -> Update:
        deadline = self._until(self.timeout)
        while (update := self._take()) is None:
            left = None if deadline is None else deadline - clock()
            if left is not None and left <= 0:
                return Update()
            try:
                self._subscription.pump(left)
            except Closed:
                if not self._subscription.closed:
                    raise  # it belongs to the process that this one was forked from
            if self._subscription.closed:
                raise StopIteration
        return update

    def __enter__(self) -> StatusUpdates:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncStatusUpdates(_Following, AsyncIterator[Update]):
    """The same for asyncio.

    Example::

        async with AsyncStatusUpdates("192.168.0.10", "system") as updates:
            async for update in updates:
                print(update)

    The subscription stands when ``async with`` has begun.
    """

    async def __anext__(self) -> Update:
        deadline = self._until(self.timeout)
        while (update := self._take()) is None:
            left = None if deadline is None else deadline - clock()
            if left is not None and left <= 0:
                return Update()
            try:
                await self._subscription.pump_soon(left)
            except Closed:
                if not self._subscription.closed:
                    raise
            if self._subscription.closed:
                raise StopAsyncIteration
        return update

    async def aclose(self) -> None:
        """End the iteration."""
        self.close()

    async def __aenter__(self) -> AsyncStatusUpdates:
        try:
            deadline = clock() + STANDS_WITHIN
            while not self._mirror.synced and (left := deadline - clock()) > 0:
                await self._subscription.pump_soon(left)
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def wait_until_synced(subscription: Subscription, mirror: Mirror) -> None:
    """Wait until the subscription stands, or no broker has answered for a while."""
    deadline = clock() + STANDS_WITHIN
    while not mirror.synced and (left := deadline - clock()) > 0:
        subscription.pump(left)


def new_token() -> str:
    """A name for one snapshot."""
    return uuid.uuid4().hex[:12]


def update_of(news: News) -> Update:
    """What changed, as users see it."""
    update = Update()
    for path, form in news.leaves:
        nested(update, path, value_of(fresh(form)))
    if news.removed:
        update.removed = tuple(news.removed)
    update.missed = news.missed
    return update


def nested(tree: dict[str, Any], path: str, value: Any) -> None:
    """Set a leaf in a tree of dictionaries; what stands in its way goes."""
    *branches, name = path.split(".")
    for branch in branches:
        inner = tree.get(branch)
        if type(inner) is not dict:
            inner = tree[branch] = {}
        tree = inner
    tree[name] = value
