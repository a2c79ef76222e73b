"""`StatusTree`: a mirror of the status tree in one's own program."""

from __future__ import annotations

import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from .._drivers.clock import now as clock
from .._drivers.forking import register
from .._drivers.interrupts import OwnThread
from .._drivers.subscribing import Subscription
from ..config import resolve_subscribe
from ..core.mirror import Known, Mirror, News
from ..endpoints import Endpoints
from ..errors import Closed
from ..wire.statusmsg import fresh, is_within, mask_of
from ..wire.values import value_of
from .updates import STANDS_WITHIN, Update, nested, new_token, update_of

if TYPE_CHECKING:
    import zmq

__all__ = ["StatusLeaf", "StatusTree"]


_TURN = 1.0

_Callback: TypeAlias = tuple[tuple[str, ...], Callable[["Update"], None]]


@dataclass(frozen=True)
class StatusLeaf:
    """A value, and what is known of it.

    Attributes:
        value: as it was emitted.
        age: seconds since then; ``time`` is the same moment as seconds since 1970, UTC, by
            this computer's clock.
        source: who emitted it, ``node@host``; empty for who says nothing of himself.
        stale: whether that source was not heard of for 2.5 s, or has ended. A publisher that
            says nothing of itself is never stale.
        unit, description, limits: what `RocStatusUpdater.describe` said of it.
    """

    value: Any
    age: float
    time: float
    source: str
    stale: bool
    unit: str | None = None
    description: str | None = None
    limits: tuple[float | None, float | None] | None = None


class StatusTree(Mapping[str, Any]):
    """The status tree, live: read it like a dictionary of paths. Any thread may use it.

    It follows the broker in a thread of its own, over restarts of the broker too; while
    none is there it shows what was known last, and ``connected`` is False.

    Args:
        source: where the broker is, as for `statusUpdateIterator`.
        mask: the subtree to follow, or several; ``''`` is everything but the broker's own
            branch, ``'roc'``.
        ctx: a ZeroMQ context to use; it is never terminated here.

    Example::

        with StatusTree() as tree:
            tree["system.foo.cpu"]          # 0.3
            tree["system.foo"]              # {'cpu': 0.3, 'memory': 0.7}
            tree.leaf("system.foo.cpu").age # 0.21
            tree.wait_for("vnir.shutter", lambda value: value == "open", timeout=5)
    """

    def __init__(
        self,
        source: Endpoints | str | None = None,
        mask: str | Iterable[str] = "",
        ctx: zmq.Context[Any] | None = None,
    ) -> None:
        self.endpoints = resolve_subscribe(source)
        self.masks = mask_of(mask)
        self._mirror = Mirror(self.masks, new_token)
        self._changed = threading.Condition()
        self._callbacks: dict[int, _Callback] = {}
        self._numbers = 0
        self._inherited = False
        self._untold: deque[tuple[News, list[_Callback]]] = deque()
        reader = _Guarded(self._mirror, self._changed, self._untold, self._callbacks)
        self._subscription = Subscription(ctx, self.endpoints, reader)
        register(self)
        followed = weakref.ref(self), self._subscription
        self._thread = OwnThread(_follow, "roc-status", followed)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._mirror.synced, STANDS_WITHIN)

    # A live tree equals itself alone.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    # ---- reading

    def __getitem__(self, path: str) -> Any:
        """The value of a leaf, or a branch as dictionaries. Raises KeyError."""
        with self._looking():
            known = self._mirror.tree.get(path)
            if known is not None:
                return value_of(fresh(known.form))
            if path and path not in self._mirror.tree:
                raise KeyError(path)
            return self._branch(path)

    def _branch(self, path: str) -> dict[str, Any]:
        branch: dict[str, Any] = {}
        skip = len(path) + 1 if path else 0
        for name, known in self._mirror.tree.items(path):
            nested(branch, name[skip:], value_of(fresh(known.form)))
        return branch

    def __iter__(self) -> Iterator[str]:
        """The paths of all leaves."""
        with self._looking():
            return iter([path for path, _ in self._mirror.tree.items()])

    def __len__(self) -> int:
        with self._looking():
            return len(self._mirror.tree)

    def __contains__(self, path: object) -> bool:
        """Whether there is a leaf or a branch of this path."""
        with self._looking():
            return path in self._mirror.tree

    def leaf(self, path: str) -> StatusLeaf:
        """A leaf with its age, source and staleness. Raises KeyError."""
        with self._looking():
            known = self._mirror.tree.get(path)
            if known is None:
                raise KeyError(path)
            return self._leaf(path, known)

    def leaves(self, mask: str = "") -> dict[str, StatusLeaf]:
        """All leaves within a mask, by path."""
        with self._looking():
            return {name: self._leaf(name, known) for name, known in self._mirror.tree.items(mask)}

    def _leaf(self, path: str, known: Known) -> StatusLeaf:
        age = max(0.0, clock() - known.at)
        state = self._mirror.sources.get(known.source)
        about = self._mirror.about.get(path, {})
        limits = about.get("limits")
        return StatusLeaf(
            value=value_of(fresh(known.form)),
            age=age,
            time=time.time() - age,
            source=state.shown if state is not None else known.source,
            stale=state is not None and state.stale,
            unit=about.get("unit"),
            description=about.get("description"),
            limits=tuple(limits) if isinstance(limits, list) else None,
        )

    @property
    def connected(self) -> bool:
        """Whether what is shown is what the broker has."""
        return self._mirror.synced

    @property
    def resyncs(self) -> int:
        """How often changes may have been missed one by one (this program was too slow, or the
        connection broke), and the tree was compared with the broker's.
        """
        return self._mirror.resyncs

    # ---- waiting

    def on_change(
        self, mask: str | Iterable[str], callback: Callable[[Update], None]
    ) -> Callable[[], None]:
        """Have a function called with each change within a mask; returns what ends that.

        It is called in the tree's own thread, one change after the other; what it raises is
        reported, and it is called again.
        """
        masks = mask_of(mask)
        with self._changed:
            self._numbers += 1
            number = self._numbers
            self._callbacks[number] = (masks, callback)

        def cancel() -> None:
            with self._changed:
                self._callbacks.pop(number, None)

        return cancel

    def wait_for(
        self,
        path: str,
        predicate: Callable[[Any], bool] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Wait until there is a value, for which ``predicate`` is true, and return it.

        Raises:
            TimeoutError: not within ``timeout`` seconds.
            Closed: the tree was closed.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("wait_for would wait for itself in a callback of on_change")
        deadline = None if timeout is None else clock() + timeout
        with self._changed:
            while True:
                self._check()
                if path in self._mirror.tree:
                    value = self[path]
                    if predicate is None or predicate(value):
                        return value
                left = None if deadline is None else deadline - clock()
                if left is not None and left <= 0:
                    there = path in self._mirror.tree
                    now = f"it is {self[path]!r}" if there else "it is not there"
                    raise TimeoutError(f"{path}: not as awaited within {timeout:g} s; {now}.")
                self._changed.wait(left)

    # ---- the thread

    def _on_pumped(self) -> None:
        """Call who asked for it before this news came."""
        with self._changed:
            self._changed.notify_all()
        while self._untold:
            news, callbacks = self._untold.popleft()
            for masks, callback in callbacks:
                _tell(_within(news, masks), callback)

    # ---- the end

    def close(self) -> None:
        """Follow the broker no longer. May be called twice, and from any thread."""
        self._subscription.close()
        with self._changed:
            self._changed.notify_all()
        if threading.current_thread() is not self._thread and not self._inherited:
            self._thread.join(1.0)

    def __del__(self) -> None:
        if hasattr(self, "_subscription"):
            self._subscription.close()

    def _looking(self) -> threading.Condition:
        self._check()
        return self._changed

    def _check(self) -> None:
        if self._inherited:
            raise Closed(
                "this status tree is followed by the process that this one was forked from;"
                " make a new one here."
            )
        if self._subscription.closed:
            raise Closed("this status tree was closed; make a new one.")

    def on_fork(self) -> None:
        """In a child: the thread and the connection are the parent's."""
        self._inherited = True
        self._changed = threading.Condition()

    def __enter__(self) -> StatusTree:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<StatusTree of {', '.join(map(repr, self.masks))} at {self.endpoints.generalXPUB}>"


def _follow(owner: weakref.ref[StatusTree], subscription: Subscription) -> None:
    """The thread's work, until the tree is closed, or nobody has it any more."""
    while not subscription.closed:
        try:
            subscription.pump(_TURN)
        except Closed:
            break
        tree = owner()
        if tree is None:
            break
        tree._on_pumped()
        del tree
    subscription.close()


def _tell(news: News, callback: Callable[[Update], None]) -> None:
    update = update_of(news)
    if update or update.removed:
        try:
            callback(update)
        except Exception:
            threading.excepthook(
                threading.ExceptHookArgs([*sys.exc_info(), threading.current_thread()])
            )


def _within(news: News, masks: tuple[str, ...]) -> News:
    return News(
        [leaf for leaf in news.leaves if any(is_within(leaf[0], mask) for mask in masks)],
        [path for path in news.removed if any(is_within(path, mask) for mask in masks)],
        missed=news.missed,
    )


class _Guarded:
    """The mirror as the subscription's reader, so that others may look at it."""

    def __init__(
        self,
        mirror: Mirror,
        lock: threading.Condition,
        untold: deque[tuple[News, list[_Callback]]],
        callbacks: dict[int, _Callback],
    ) -> None:
        self._mirror = mirror
        self._lock = lock
        self._untold = untold
        self._callbacks = callbacks
        self.next_deadline = mirror.next_deadline

    def link_up(self, now: float, out: list[Any]) -> None:
        with self._lock:
            self._mirror.link_up(now, out)

    def link_down(self, now: float) -> None:
        with self._lock:
            self._mirror.link_down(now)

    def on_frames(self, frames: list[Any], now: float, out: list[Any]) -> None:
        with self._lock:
            self._mirror.on_frames(frames, now, out)
            while (news := self._mirror.take()) is not None:
                if self._callbacks:
                    self._untold.append((news, list(self._callbacks.values())))

    def tick(self, now: float, out: list[Any]) -> None:
        with self._lock:
            self._mirror.tick(now, out)
