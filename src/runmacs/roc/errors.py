"""The exception tree: everything that ROC raises, on one page.

Rules:

* An error says who is at fault, what became of the call, and what to do next.
* Every class has a ``code``, the JSON-RPC error code it travels under; the list
  for all languages is ``spec/errors.json``, and a test holds the two together.
* ``executed`` tells what is known of the call: False (it was not begun and will
  not be), True (it was begun, and ended), None (cannot be known, or still runs).
* Where Python has a builtin for the same mishap, the class is that builtin too.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import Any

__all__ = [
    "BrokerUnreachable",
    "CallError",
    "CallTimeout",
    "Closed",
    "ConfigError",
    "DeliveryError",
    "Expired",
    "InvalidParams",
    "LocalProtocolError",
    "MethodNotFound",
    "ObjectIdTaken",
    "ObjectNotFound",
    "ProtocolError",
    "QueueFull",
    "RemoteError",
    "RemoteProtocolError",
    "RocError",
    "ServerLost",
    "TooLarge",
    "Unsendable",
]


class RocError(Exception):
    """Anything that ROC raises.

    Attributes:
        code: the JSON-RPC error code, from ``spec/errors.json``.
        executed: False, True, or None; see the rules of this module.
        data: what else the peer sent with the error, or None.
        remote_log: what was logged in the call that failed, oldest first; printed, it is
            the lines. Empty where the server keeps no distributed log.
    """

    code: int = -32603
    executed: bool | None = False
    data: Any = None
    remote_log: Sequence[Any] = ()

    def __init__(
        self,
        message: str = "",
        *,
        code: int | None = None,
        executed: bool | EllipsisType | None = ...,
        data: Any = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        if not isinstance(executed, EllipsisType):
            self.executed = executed
        if data is not None:
            self.data = data

    def __str__(self) -> str:
        return self.message


class ProtocolError(RocError):
    """Somebody broke the protocol; the two subclasses say who."""

    code = -32600


class RemoteProtocolError(ProtocolError):
    """A peer sent what the protocol does not allow."""


class LocalProtocolError(ProtocolError):
    """This side tried to send what the protocol does not allow."""


class Unsendable(LocalProtocolError, TypeError):
    """A value of a type that cannot travel; the message names its place."""

    code = -32010


class TooLarge(LocalProtocolError, ValueError):
    """A message over the size limit, refused at the sender."""

    code = -32011


class CallError(RocError):
    """The call reached its object's server, and the answer is an error."""

    executed: bool | None = None


class RemoteError(CallError):
    """The remote method raised; see the ``remote_`` attributes for what.

    An exception of a builtin type can be caught as that type as well::

        try:
            vnir.setIntegrationTime(-1)
        except ValueError as error:
            print(error.remote_traceback)
    """

    code = -32000
    executed: bool | None = True
    remote_type: str = ""
    remote_args: tuple[Any, ...] = ()
    remote_attributes: dict[str, Any]
    remote_traceback: str = ""


class MethodNotFound(CallError, AttributeError):
    """The object has no such public member, or it cannot be set."""

    code = -32601
    executed: bool | None = False


class InvalidParams(CallError, TypeError):
    """The arguments do not fit the signature; the method was not begun."""

    code = -32602
    executed: bool | None = False


class DeliveryError(RocError):
    """The call, or its answer, did not get through; ``executed`` says what is known."""

    code = -32001


class ObjectNotFound(DeliveryError, LookupError):
    """No server shares an object under this id."""

    code = -32001


class ObjectIdTaken(DeliveryError):
    """Another server already shares an object under this id."""

    code = -32002


class ServerLost(DeliveryError):
    """The server died, or was cut off, while it held the call."""

    code = -32003
    executed: bool | None = None


class BrokerUnreachable(DeliveryError):
    """No broker answers at this address, or it went away in mid-call."""

    code = -32004


class QueueFull(DeliveryError):
    """Too many calls wait already; this one was not taken."""

    code = -32005


class Expired(DeliveryError):
    """The call's time was over before it could begin; it was not executed."""

    code = -32006


class CallTimeout(RocError, TimeoutError):
    """No answer within the timeout; ``executed`` says what became of the call."""

    code = -32007
    executed: bool | None = None


class Closed(RocError):
    """The client or server was closed."""

    code = -32008


class ConfigError(RocError, ValueError):
    """An address or option that makes no sense; the message says what would."""

    code = -32009
