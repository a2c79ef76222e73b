"""`RocClient`: find remote objects, and call them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import errors
from ._drivers.clock import now as clock
from ._drivers.futures import FutureCaller
from .batch import Batch
from .config import resolve_broker
from .core.call import Call
from .core.outcome import result_of
from .endpoints import Endpoints
from .known import Lately
from .pickled import client_of, origin, shared_client
from .proxy import Proxy, make_proxy
from .spelling import Spelled, spelled
from .wire import mdp
from .wire.values import Buffer, Member, encode_arguments

if TYPE_CHECKING:
    import concurrent.futures

    import zmq

__all__ = ["RocClient"]

_LONGEST = 1e9
_UNCHECKED = 1_000_000
AT_ONCE = 0.35
"""Seconds that completion waits."""
PAUSE = 0.05
"""Seconds between two attempts to find an object that is waited for."""


class RocClient:
    """A connection to a broker, and a mapping of object ids to proxies.

    Any number of threads may use one client, and its proxies, at once.

    Args:
        broker_addr: where the broker is: `Endpoints`, ``tcp://host:5555``, ``host``,
            ``host:baseport``, or None for ``ROC_BROKER``, the configuration file, or
            ``127.0.0.1:5555``.
        ctx: a ZeroMQ context to use; it is never terminated here.
        timeout: seconds that a call may take, if its proxy does not say otherwise.

    Raises:
        ConfigError: an address or timeout that makes no sense.

    Example::

        with RocClient("192.168.0.10") as client:
            vnir = client["vnir"]
            vnir.openShutter()
            print(vnir.fps)
    """

    def __init__(
        self,
        broker_addr: Endpoints | str | None = None,
        ctx: zmq.Context[Any] | None = None,
        timeout: float = 2.0,
    ) -> None:
        self.endpoints = resolve_broker(broker_addr)
        self.timeout = checked_timeout(timeout)
        self._lately = Lately()
        self._caller = FutureCaller(ctx, self.endpoints, instance_name)

    # ---- objects

    def __getitem__(self, object_id: str) -> Proxy:
        """The proxy of an object. Makes no call: the first use finds out whether it is there.

        Raises:
            ConfigError: no object can have this id.
        """
        return self.proxy(object_id)

    def proxy(self, object_id: str, timeout: float | None = None) -> Proxy:
        """The proxy of an object, with a timeout (seconds) of its own.

        Example::

            client.proxy("vnir", timeout=60).calibrate()
        """
        mdp.check_object_id(object_id)
        own = None if timeout is None else checked_timeout(timeout)
        return make_proxy(self, object_id, own, kinds=self._lately.kinds_of(object_id))

    def __iter__(self) -> Iterator[str]:
        """The ids of all objects that are shared now, sorted."""
        return iter(self._served())

    def __len__(self) -> int:
        return len(self._served())

    def _ipython_key_completions_(self) -> list[str]:
        """What IPython completes in ``c["``; nothing where no broker answers at once."""
        try:
            return self._served(AT_ONCE)
        except errors.RocError:
            return []

    def __contains__(self, object_id: object) -> bool:
        return object_id in self._served()

    def __bool__(self) -> bool:
        return True

    def _served(self, timeout: float | None = None) -> list[str]:
        objects = self.call_object("roc.broker", "objects", (), {}, timeout)
        return [entry["id"] for entry in objects if entry["state"] != "absent"]

    def wait_for(self, object_id: str, timeout: float = 10.0) -> Proxy:
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
            self._caller.complete(call, left)
            left = left_to_wait(call, deadline, timeout)
            time.sleep(min(left, PAUSE))
        return proxy

    # ---- calls

    def call_object(
        self,
        object_id: str,
        method: str,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        timeout: float | None = None,
        member: str = "",
    ) -> Any:
        """Call a method by name, wait, and return its result: what proxies do.

        Raises:
            RocError: see `errors`; a remote exception of a builtin type is that type too.
        """
        call = encoded_call(object_id, method, args, kwargs or {}, member)
        self._caller.complete(call, self.timeout if timeout is None else timeout)
        return result_of(call, self._object_of)

    # ---- calls for later

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        """Begin a call, and return its future at once.

        Any number of calls may be begun before the first result is asked for. Calls of one
        thread to one object are executed in their order.

        Args:
            function: a remote method, or another remote thing that can be called; or
                ``getattr`` or ``setattr``, to read or set an attribute.
            args: what it is called with.
            kwargs: what it is called with. The timeout is that of the proxy, or the client's,
                and counts from now.

        Returns:
            A `concurrent.futures.Future`. Its ``result()`` raises what a blocking call raises;
            its ``cancel()`` withdraws the call. Also one that nobody waits for ends.

        Raises:
            TypeError: it is nothing remote, and the message says what would be.
            Unsendable, TooLarge: its arguments cannot travel; nothing was sent.
            Closed: the client was closed.

        Example::

            frames = [client.submit(camera.expose, 0.1) for camera in (vnir, swir)]
            fps = client.submit(getattr, vnir, "fps")
            print(fps.result(), [frame.result() for frame in frames])
        """
        said = spelled(self, function, args, kwargs)
        call, timeout = self._encoded(said)
        return self._caller.begin(call, timeout, self._finish)

    def notify(self, function: Any, /, *args: Any, **kwargs: Any) -> None:
        """Make a one-way call: nobody waits for its end, and there is no answer.

        Returns when it was handed to the connection. What becomes of it then only the server
        knows: a method that raises, a member that is not there, is in its log. An object that
        nobody shares, a full queue or a time that is over are told to nobody.

        Args:
            function: as for `submit`.
            args: what it is called with.
            kwargs: what it is called with.

        Raises:
            BrokerUnreachable: no broker was there within the timeout; it was not sent.
            TypeError, Unsendable, TooLarge, Closed: as for `submit`.

        Example::

            client.notify(vnir.setFps, 20)
        """
        call, timeout = self._encoded(spelled(self, function, args, kwargs))
        call.one_way = True
        self._caller.complete(call, timeout)
        result_of(call)

    def batch(self, timeout: float | None = None) -> Batch:
        """Collect calls in a ``with`` block, and send them when it ends: one message per object.

        The calls of one object are executed one after the other, with no other client's in
        between. Each has its own result or error; a block that raises sends nothing.

        Args:
            timeout: seconds that all calls of one object may take together; if it is left
                out, the longest timeout of the proxies in it.

        Returns:
            Something with the methods ``submit`` and ``notify`` of a client.

        Example::

            with client.batch() as batch:
                batch.submit(setattr, vnir, "fps", 20)
                frame = batch.submit(vnir.expose, 0.01)
            print(frame.result())
        """
        own = None if timeout is None else checked_timeout(timeout)
        return Batch(self, self._caller, own, self._finish)

    def _encoded(self, said: Spelled) -> tuple[Call, float]:
        """A call, ready to be made, and its timeout."""
        spot = said.spot
        call = encoded_call(spot.object_id, said.method, said.args, said.kwargs, said.member)
        call.reads = said.reads
        return call, self.timeout if spot.timeout is None else spot.timeout

    def _finish(self, call: Call) -> Any:
        return finished(call, self._object_of)

    def _object_of(self, call: Call, path: str) -> Proxy:
        """What stands for a result that is an object; it has the timeout of the call."""
        timeout = None if call.timeout == self.timeout else call.timeout
        return make_proxy(self, call.object_id, timeout, path)

    def describe(self, object_id: str, path: str = "", timeout: float | None = None) -> object:
        """What an object, or a nested one at ``path``, says of itself: an OpenRPC document.

        It is asked over the control lane, so that one that is busy answers too. A stock
        broker knows no such lane, and leaves that unanswered: there it must not be busy.
        """
        return self._on_control(object_id, "rpc.discover", (path,) if path else (), timeout)

    def _on_control(
        self, object_id: str, method: str, args: tuple[Any, ...], timeout: float | None
    ) -> Any:
        """Call over the control lane, and over the ordinary one where there is no other."""
        try:
            return self.call_object(f"{object_id}!", method, args, {}, timeout)
        except errors.CallTimeout:
            if self._caller.core.broker is not None:
                raise
        return self.call_object(object_id, method, args, {}, timeout)

    def log_level(
        self,
        object_id: str,
        logger: str = "",
        level: str | int | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Read the level of a logger in an object's server, or set it; also while it is busy.

        Args:
            object_id: any object that this process shares.
            logger: its name; "" is the root logger.
            level: the new level, by name or number as in `logging`; ``"NOTSET"`` lets the
                logger follow its parents. None changes nothing.

        Returns:
            ``logger``, ``level`` (its own) and ``effective`` (the one that counts).

        Raises:
            InvalidParams: there is no such level.

        Example::

            client.log_level("vnir", "camera.driver", "DEBUG")
        """
        args = (logger,) if level is None else (logger, level)
        return self._on_control(object_id, "rpc.log_level", args, timeout)

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
        """Close the connection; open calls of other threads end with `Closed`."""
        self._caller.close()

    def __enter__(self) -> RocClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickle has address and timeout; unpickled it is a client of its own."""
        return client_of, (type(self), *origin(self.endpoints), self.timeout)

    def reference(self) -> tuple[Any, ...]:
        """What the pickle of a proxy has of its client: `__reduce__`'s, but shared."""
        return shared_client, self.__reduce__()[1]

    def __repr__(self) -> str:
        return f"<RocClient of {self.address}>"


def instance_name() -> str:
    """A name for one run of a client; it stands in call ids."""
    return uuid.uuid4().hex[:12]


def encoded_call(
    object_id: str, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], member: str = ""
) -> Call:
    """A call, ready to be made.

    Raises:
        Unsendable, TooLarge: its arguments cannot travel; nothing was sent.
    """
    buffers: list[Buffer] = []
    params = encode_arguments(args, kwargs, buffers)
    if buffers or (params is not None and len(params) > _UNCHECKED):
        _check_size(f"{object_id}.{member or method}", params or b"", buffers)
    return Call(object_id, method, params, buffers, member)


def finished(call: Call, objects: Callable[[Call, str], Any]) -> Any:
    """The result of a call that was spelled; raises what it failed with."""
    value = result_of(call, objects)
    if call.reads is not None and isinstance(value, Member):
        return call.reads._roc_member(call.member, value.kind)
    return value


def left_to_wait(call: Call, deadline: float, timeout: float) -> float:
    """Seconds to go on waiting for an object, after a call that did; 0 if it is there.

    A broker or server that went away, or a computer that stood still, ends such a call
    before its time.

    Raises:
        ObjectNotFound, BrokerUnreachable: no time is left.
    """
    try:
        result_of(call)
    except errors.QueueFull:
        raise
    except (errors.CallTimeout, errors.DeliveryError) as error:
        left = deadline - clock()
        if left > PAUSE:
            return left
        if isinstance(error, errors.BrokerUnreachable):
            raise
        name = call.object_id.rstrip("!")
        message = f"{name}: nobody has shared it within {timeout:g} s. Start its server."
        raise errors.ObjectNotFound(message, executed=False) from None
    return 0.0


def checked_timeout(timeout: float) -> float:
    """Seconds, as a float; ConfigError for what is no duration."""
    try:
        seconds = float(timeout)
    except (TypeError, ValueError):
        seconds = float("nan")
    if not seconds > 0:
        raise errors.ConfigError(f"A timeout is a number of seconds above 0, not {timeout!r}.")
    return min(seconds, _LONGEST)


def _check_size(name: str, params: bytes, buffers: list[Buffer]) -> None:
    size = len(params) + sum(memoryview(buffer).nbytes for buffer in buffers)
    if size > mdp.MESSAGE_LIMIT - 4096:
        raise errors.TooLarge(
            f"{name}: its arguments have {size / 1e6:.0f} MB, and a message may have"
            f" {mdp.MESSAGE_LIMIT / 1e6:.0f} MB; nothing was sent. Send them in parts."
        )
