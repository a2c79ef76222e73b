"""`AsyncRocClient`: the asyncio face of the client. Same core, guarantees and errors.

Rules:

* Nothing is sent before it is awaited: attribute access makes no call.
* An awaited member is its value; a called one is a call. So nobody needs to ask first
  whether a member is a method.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import errors
from ._drivers.clock import now as clock
from ._drivers.looping import LoopCaller
from .batch import AsyncBatch
from .client import (
    PAUSE,
    checked_timeout,
    encoded_call,
    finished,
    instance_name,
    left_to_wait,
)
from .config import resolve_broker
from .core.call import Call
from .core.outcome import result_of
from .endpoints import Endpoints
from .pickled import client_of, origin
from .proxy import ASKED_BY_TOOLS, NOWHERE
from .spelling import Spot, spelled
from .wire import mdp
from .wire.values import Member

if TYPE_CHECKING:
    import zmq

__all__ = ["AsyncMember", "AsyncProxy", "AsyncRocClient"]


class AsyncRocClient:
    """A connection to a broker for asyncio programs; many calls may be in flight at once.

    Arguments are those of `RocClient`. A client belongs to the event loop that it is
    first used in, until that is closed. Cancelling a task withdraws its call: it is not
    begun any more, or its result is dropped.

    Example::

        async with AsyncRocClient("192.168.0.10") as c:
            vnir = c["vnir"]
            await vnir.openShutter()
            print(await vnir.fps)
            await c.set("vnir.fps", 20)
    """

    def __init__(
        self,
        broker_addr: Endpoints | str | None = None,
        ctx: zmq.Context[Any] | None = None,
        timeout: float = 2.0,
    ) -> None:
        self.endpoints = resolve_broker(broker_addr)
        self.timeout = checked_timeout(timeout)
        self._caller = LoopCaller(ctx, self.endpoints, instance_name)

    # ---- objects

    def __getitem__(self, object_id: str) -> AsyncProxy:
        """The proxy of an object. Makes no call.

        Raises:
            ConfigError: no object can have this id.
        """
        return self.proxy(object_id)

    def proxy(self, object_id: str, timeout: float | None = None) -> AsyncProxy:
        """The proxy of an object, with a timeout (seconds) of its own."""
        mdp.check_object_id(object_id)
        return AsyncProxy(self, object_id, "", _checked(timeout))

    async def objects(self) -> list[str]:
        """The ids of all objects that are shared now, sorted."""
        entries = await self.call_object("roc.broker", "objects")
        return [entry["id"] for entry in entries if entry["state"] != "absent"]

    async def wait_for(self, object_id: str, timeout: float = 10.0) -> AsyncProxy:
        """Wait until an object is shared, and return its proxy.

        Also waits for a broker that is not there yet, and does not mind an object that is
        busy.

        Raises:
            ObjectNotFound: nobody shares it within ``timeout`` seconds.
            BrokerUnreachable: no broker was there.
        """
        proxy = self.proxy(object_id)
        left = checked_timeout(timeout)
        deadline = clock() + left
        while left:
            call = Call.waiting_for(object_id)
            await self._caller.complete_soon(call, left)
            left = left_to_wait(call, deadline, timeout)
            await asyncio.sleep(min(left, PAUSE))
        return proxy

    # ---- calls by name

    async def get(self, path: str, timeout: float | None = None) -> Any:
        """The value of an attribute, named with its object: ``vnir.fps``."""
        object_id, member = await self._split(path)
        return await AsyncMember(self, object_id, member, _checked(timeout))

    async def set(self, path: str, value: Any, timeout: float | None = None) -> None:
        """Set an attribute, named with its object: ``await c.set("vnir.fps", 20)``."""
        object_id, member = await self._split(path)
        args = (member, value)
        await self.call_object(object_id, "rpc.set", args, None, _checked(timeout), member)

    async def call(self, path: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a method, named with its object: ``await c.call("vnir.setGain", 3)``.

        All that follows the name goes to the method; for a timeout of its own, call it
        through `proxy`.
        """
        object_id, member = await self._split(path)
        return await self.call_object(object_id, member, args, kwargs)

    async def _split(self, path: str) -> tuple[str, str]:
        """Object id and member; an id may have dots, so the longest that is shared counts."""
        object_id, dot, member = path.partition(".")
        if not dot or not member:
            raise errors.ConfigError(f"{path!r} names no member: write it as 'object.member'.")
        if "." in member:
            known = [mdp.BROKER_ID.decode(), *await self.objects()]
            named = [known_id for known_id in known if path.startswith(f"{known_id}.")]
            object_id = max([*named, object_id], key=len)
        return object_id, path[len(object_id) + 1 :]

    async def call_object(
        self,
        object_id: str,
        method: str,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        timeout: float | None = None,
        member: str = "",
    ) -> Any:
        """Call a method of the object by name, and return its result: what proxies do.

        Raises:
            RocError: see `errors`; a remote exception of a builtin type is that type too.
        """
        call = encoded_call(object_id, method, args, kwargs or {}, member)
        await self._caller.complete_soon(call, self.timeout if timeout is None else timeout)
        return result_of(call, self._object_of)

    async def notify(self, function: Any, /, *args: Any, **kwargs: Any) -> None:
        """Make a one-way call, as `RocClient.notify`: ``await c.notify(vnir.setFps, 20)``.

        Raises:
            BrokerUnreachable: no broker was there within the timeout; it was not sent.
            TypeError, Unsendable, TooLarge, Closed: it cannot be sent.
        """
        said = spelled(self, function, args, kwargs)
        spot = said.spot
        call = encoded_call(spot.object_id, said.method, said.args, said.kwargs, said.member)
        call.one_way = True
        timeout = self.timeout if spot.timeout is None else spot.timeout
        await self._caller.complete_soon(call, timeout)
        result_of(call)

    def batch(self, timeout: float | None = None) -> AsyncBatch:
        """Collect calls in an ``async with`` block, and send them when it ends: `RocClient.batch`.

        Example::

            async with c.batch() as batch:
                batch.submit(setattr, vnir, "fps", 20)
                frame = batch.submit(vnir.expose, 0.01)
            print(await frame)
        """
        return AsyncBatch(self, self._caller, _checked(timeout), self._finish)

    def _finish(self, call: Call) -> Any:
        return finished(call, self._object_of)

    def _object_of(self, call: Call, path: str) -> AsyncMember:
        """What stands for a result that is an object; it has the timeout of the call."""
        timeout = None if call.timeout == self.timeout else call.timeout
        return _member_of(self, call.object_id, path, timeout)

    async def log_level(
        self,
        object_id: str,
        logger: str = "",
        level: str | int | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Read the level of a logger in an object's server, or set it: `RocClient.log_level`."""
        args = (logger,) if level is None else (logger, level)
        name = f"{object_id}!"
        return await self.call_object(name, "rpc.log_level", args, None, _checked(timeout))

    @property
    def address(self) -> str:
        """The broker's address."""
        return self.endpoints.rocBroker

    # ---- the end

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._caller.closed

    def close(self) -> None:
        """Close the connection; open calls end with `Closed`. Nothing to be awaited."""
        self._caller.close()

    async def __aenter__(self) -> AsyncRocClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickle has address and timeout; unpickled it is a client of its own."""
        return client_of, (type(self), *origin(self.endpoints), self.timeout)

    def __repr__(self) -> str:
        return f"<AsyncRocClient of {self.address}>"


class AsyncMember:
    """A member of a remote object: await it for its value, or call it and await that."""

    __module__ = NOWHERE
    __slots__ = ("_roc_client", "_roc_object_id", "_roc_path", "_roc_timeout")

    def __init__(
        self, client: AsyncRocClient, object_id: str, path: str, timeout: float | None
    ) -> None:
        self._roc_client = client
        self._roc_object_id = object_id
        self._roc_path = path
        self._roc_timeout = timeout

    def __getattr__(self, name: str) -> AsyncMember:
        if name.startswith("_"):
            raise AttributeError(f"{name}: names with a leading underscore are not shared.")
        if name in ASKED_BY_TOOLS:  # and called, but not awaited
            raise AttributeError(f'{_title(self)}: write `client.call("{_title(self)}.{name}")`.')
        path = f"{self._roc_path}.{name}" if self._roc_path else name
        return AsyncMember(self._roc_client, self._roc_object_id, path, self._roc_timeout)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_roc_"):
            object.__setattr__(self, name, value)
            return
        path = f"{_title(self)}.{name}"
        raise AttributeError(f"{path}: write `await client.set({path!r}, ...)` to set it.")

    def __await__(self) -> Generator[Any, None, Any]:
        return self._roc_get().__await__()

    async def _roc_get(self) -> Any:
        path = self._roc_path
        if not path:
            return self
        value = await self._roc_client.call_object(
            self._roc_object_id, "rpc.get", (path,), None, self._roc_timeout, path
        )
        if not isinstance(value, Member):
            return value
        if value.kind == "method":
            name = _title(self)
            raise TypeError(f"{name} is a method: write `await {name}(...)`.")
        return self

    async def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        object_id, timeout = self._roc_object_id, self._roc_timeout
        if not self._roc_path:  # the object itself is called
            return await self._roc_client.call_object(
                object_id, "rpc.special", ("", "call", *args), kwargs, timeout, "__call__"
            )
        return await self._roc_client.call_object(object_id, self._roc_path, args, kwargs, timeout)

    def _roc_spot(self) -> Spot:
        return Spot(self._roc_client, self._roc_object_id, self._roc_path, self._roc_timeout)

    def _roc_member(self, path: str, kind: str) -> AsyncMember:
        """What stands for a member that was asked for by its name, and is no value."""
        return _member_of(self._roc_client, self._roc_object_id, path, self._roc_timeout)

    def __bool__(self) -> bool:
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        return _member_of, tuple(getattr(self, name) for name in AsyncMember.__slots__)

    def __copy__(self) -> AsyncMember:
        return self

    def __deepcopy__(self, memo: object) -> AsyncMember:
        return self

    def __repr__(self) -> str:
        return f"<{_title(self)} at {self._roc_client.address}, to be awaited>"


class AsyncProxy(AsyncMember):
    """Stands for a remote object. Made by ``client["id"]``; its members are awaited."""

    __module__ = NOWHERE
    __slots__ = ()


def _member_of(
    client: AsyncRocClient, object_id: str, path: str, timeout: float | None
) -> AsyncMember:
    kind = AsyncMember if path else AsyncProxy
    return kind(client, object_id, path, timeout)


def _title(member: AsyncMember) -> str:
    return ".".join(filter(None, (member._roc_object_id, member._roc_path)))


def _checked(timeout: float | None) -> float | None:
    return None if timeout is None else checked_timeout(timeout)
