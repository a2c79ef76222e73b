"""Waiting for descriptors, and waking who waits; the seam to what each system offers."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

from . import native

__all__ = ["Gate", "Poller", "Signal", "Waker"]

_SELECTED = 500
"""Of the 512 descriptors that Windows can wait for at a time; some are not ours."""

_CROWDED = 50e-6
"""Seconds for which others run, at least, when there are more of them than processors."""

_now = time.perf_counter
_let_others_run: Callable[[], None] = getattr(os, "sched_yield", lambda: time.sleep(0))


class Waker:
    """Something that another thread can write to, to end a wait.

    An eventfd where there is one: writing to a socket costs five times as much.
    """

    def __init__(self) -> None:
        self._event = -1
        self._sockets: tuple[socket.socket, ...] = ()
        if hasattr(os, "eventfd"):
            self._event = self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            return
        self._sockets = socket.socketpair()
        for end in self._sockets:
            end.setblocking(False)
        self.fd = self._sockets[0].fileno()

    def wake(self) -> None:
        """End the wait that goes on now, or the next one. Never blocks, never raises."""
        try:
            if self._sockets:
                self._sockets[1].send(b"\0")
            else:
                os.eventfd_write(self._event, 1)
        except (OSError, ValueError):  # a full pipe wakes as well, a closed one nobody
            pass

    def clear(self) -> None:
        """Forget all calls of `wake` so far."""
        with contextlib.suppress(OSError, ValueError):
            if not self._sockets:
                os.eventfd_read(self._event)
            while self._sockets and len(self._sockets[0].recv(4096)) == 4096:
                pass

    def close(self) -> None:
        """Give the descriptors back."""
        for end in self._sockets:
            end.close()
        event, self._event = self._event, -1
        if event >= 0:
            os.close(event)

    def __del__(self) -> None:
        if getattr(self, "_event", -1) >= 0:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=1)
            self.close()


class Eagerness:
    """Looks again and again for a moment before it sleeps, while that pays.

    Being woken up costs more than a look, on a virtual machine many times more. So after a
    wait that was short the next one begins with looks, in between which others may run; one
    that was in vain ends this until a short wait is seen again. When calls come seldom, or
    not at all, nothing is spent.

    Where others want to run, who gave way gets the processor back much later than who is woken
    up: then it sleeps, and does so for the next waits as well, for more of them each time.
    """

    MOMENT = 250e-6
    MOST = 64

    def __init__(self) -> None:
        self._pays = False
        self._crowded = 0
        self._sober = 0

    def wait(self, look: Look, timeout: float) -> list[int]:
        """What ``look`` finds within ``timeout`` seconds, the first of them eagerly, or not."""
        moment = self.MOMENT
        eager = self._pays and timeout > moment
        begun = _now()
        ready = look(timeout, moment if eager else 0.0)
        if ready is None:
            self._pays = False
            self._crowded = self._sober = min(2 * self._crowded + 1, self.MOST)
            return look(timeout, 0.0) or []
        if not ready or _now() - begun >= moment:
            self._pays = False
        elif self._sober:
            self._sober -= 1
        else:
            self._pays = True
            if eager:
                self._crowded = 0
        return ready


Look: TypeAlias = Callable[[float, float], list[int] | None]
"""Waits for so many seconds, looking again and again for a moment; None if that is in the way of
others, and nothing was found by then."""


def _look_eagerly(
    look: Callable[[float], list[int]], timeout: float, moment: float
) -> list[int] | None:
    """What ``look`` finds; for the first ``moment`` seconds it looks again and again."""
    begun = now = _now()
    while now - begun < moment:
        if ready := look(0.0):
            return ready
        before = _now()
        _let_others_run()
        now = _now()
        if now - before > _CROWDED:
            return None
    return look(timeout)


class Gate:
    """Waits for any of a few descriptors, always the same. For one thread at a time.

    ``eager`` is for those who wait for an answer, and pay for it with looks; see `Eagerness`.
    When they sleep nevertheless, they are woken up before those who compute, if the system
    knows how.
    """

    def __init__(self, *descriptors: int, eager: bool = True) -> None:
        self._eager = Eagerness() if eager else None
        self._descriptors = descriptors
        self._native = native.wait
        self._poll = None
        if self._native is None and hasattr(select, "poll"):
            self._poll = select.poll()
            for descriptor in descriptors:
                self._poll.register(descriptor, select.POLLIN)

    def wait(self, timeout: float) -> list[int]:
        """The descriptors that are readable, after at most ``timeout`` seconds."""
        timeout = max(0.0, timeout)
        if self._eager is None or not timeout:
            return self._wait(timeout, 0.0) or []
        return self._eager.wait(self._wait, timeout)

    def _wait(self, timeout: float, moment: float) -> list[int] | None:
        if self._native is not None:
            return self._native(self._descriptors, timeout, moment, self._eager is not None)
        return _look_eagerly(self._look, timeout, moment)

    def _look(self, timeout: float) -> list[int]:
        if self._poll is not None:
            return [fd for fd, _ in self._poll.poll(timeout * 1000)]
        return select.select(self._descriptors, (), (), timeout)[0]


class Signal:
    """One descriptor for good that is readable while a socket, which may change, is ready.

    epoll and kqueue have descriptors that can be waited for in their turn.
    """

    AVAILABLE = hasattr(select, "epoll") or hasattr(select, "kqueue")

    def __init__(self) -> None:
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._queue: Any = None
        if self._epoll is None:
            self._queue = select.kqueue()  # type: ignore[attr-defined]
        self.fd: int = (self._epoll if self._epoll is not None else self._queue).fileno()
        self._socket: int | None = None
        self._writing = False

    def begin(self, descriptor: int) -> None:
        """From here on it stands for this socket, readable or writable."""
        self._socket = descriptor
        self._writing = True
        if self._epoll is not None:
            self._epoll.register(descriptor, _mask(True))
        else:
            self._control("KQ_FILTER_READ", "KQ_EV_ADD")
            self._control("KQ_FILTER_WRITE", "KQ_EV_ADD")

    def watch_writing(self, writing: bool) -> None:
        """Whether writable counts as ready."""
        if writing == self._writing or self._socket is None:
            return
        self._writing = writing
        if self._epoll is not None:
            self._epoll.modify(self._socket, _mask(writing))
        else:
            self._control("KQ_FILTER_WRITE", "KQ_EV_ADD" if writing else "KQ_EV_DELETE")

    def end(self) -> None:
        """It stands for nothing; to be called before the socket is closed."""
        if self._socket is not None:
            if self._epoll is not None:
                self._epoll.unregister(self._socket)
            else:
                self._control("KQ_FILTER_READ", "KQ_EV_DELETE")
                self.watch_writing(False)
            self._socket = None

    def _control(self, what: str, action: str) -> None:
        event = select.kevent(  # type: ignore[attr-defined]
            self._socket, getattr(select, what), getattr(select, action)
        )
        self._queue.control([event], 0)

    def close(self) -> None:
        """Give the descriptor back."""
        (self._epoll if self._epoll is not None else self._queue).close()


class Poller:
    """Waits for any of many descriptors that come and go."""

    def __init__(self) -> None:
        self._eager = Eagerness()
        self._interest: dict[int, bool] = {}
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._descriptor = -1 if self._epoll is None else self._epoll.fileno()
        self._poll = select.poll() if self._epoll is None and hasattr(select, "poll") else None

    @property
    def full(self) -> bool:
        """Whether the system cannot wait for more: where there is only ``select``."""
        return self._epoll is None and self._poll is None and len(self._interest) >= _SELECTED

    def add(self, descriptor: int) -> None:
        """Wait for it to become readable."""
        self._interest[descriptor] = False
        target = self._epoll or self._poll
        if target is not None:
            target.register(descriptor, _mask(False))

    def watch_writing(self, descriptor: int, writing: bool) -> None:
        """Wait for it to become writable too, or no longer."""
        if self._interest.get(descriptor, writing) == writing:
            return
        self._interest[descriptor] = writing
        target = self._epoll or self._poll
        if target is not None:
            target.modify(descriptor, _mask(writing))

    def remove(self, descriptor: int) -> None:
        """Wait for it no longer; to be called before it is closed."""
        if self._interest.pop(descriptor, None) is None:
            return
        target = self._epoll or self._poll
        if target is not None:
            with contextlib.suppress(OSError):
                target.unregister(descriptor)

    def wait(self, timeout: float) -> list[int]:
        """The descriptors that are ready, after at most ``timeout`` seconds."""
        if not timeout:
            return self._wait(0.0, 0.0) or []
        return self._eager.wait(self._wait, timeout)

    def _wait(self, timeout: float, moment: float) -> list[int] | None:
        if self._descriptor >= 0 and native.wait is not None:
            return native.wait(self._descriptor, timeout, moment, False)
        return _look_eagerly(self._look, timeout, moment)

    def look(self) -> list[int]:
        """The descriptors that are ready now; those will be found by the next `wait` as well."""
        return self._look(0.0)

    def _look(self, timeout: float) -> list[int]:
        if self._epoll is not None:
            return [fd for fd, _ in self._epoll.poll(timeout)]
        if self._poll is not None:
            return [fd for fd, _ in self._poll.poll(timeout * 1000)]
        writing = [fd for fd, wanted in self._interest.items() if wanted]
        ready, writable, _ = select.select(list(self._interest), writing, (), timeout)
        return list({*ready, *writable})

    def close(self) -> None:
        """Give the descriptor back."""
        if self._epoll is not None:
            self._epoll.close()
            self._descriptor = -1


def _mask(writing: bool) -> int:
    return select.POLLIN | (select.POLLOUT if writing else 0)
