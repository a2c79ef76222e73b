"""A real broker for as long as a test needs one: in this process, or as one of its own.

Rules:

* It binds what is free, and this computer only.
* Nothing of this user's configuration reaches it, and it changes nothing in this process:
  whoever shall find it is given its endpoints.
* It has ended when the ``with`` block has, however that ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from ..broker import Broker
from ..endpoints import Endpoints, parse_endpoints
from ..errors import ConfigError

__all__ = ["run_broker"]

_STARTS_WITHIN = 20.0
_ENDS_WITHIN = 5.0


@contextmanager
def run_broker(*, process: bool = False, transport: str = "tcp") -> Iterator[Endpoints]:
    """A broker on free ports of this computer, until the ``with`` block ends.

    Args:
        process: run a real ``rocbroker`` as a process of its own, in place of a thread of
            this one. It takes half a second to start; a test that holds the GIL does not
            hold it up.
        transport: ``tcp``, ``ipc``, or ``inproc``, which reaches the clients and servers of
            this process that use the context they share by default.

    Returns:
        its endpoints, for `RocClient` and `RocServer`, or for a child's ``ROC_BROKER``.

    Raises:
        ConfigError: no such transport, or ``inproc`` for a process of its own.
        RuntimeError: the process did not start, or did not end as it should; what it had to
            say about that is on stderr.

    Example:
        >>> from runmacs.roc import RocClient, RocServer
        >>> from runmacs.roc.testing import run_broker
        >>> with run_broker() as endpoints, RocServer(endpoints, "gains", [1, 2, 4]):
        ...     with RocClient(endpoints) as client:
        ...         client["gains"].index(4)
        2
    """
    with _somewhere(transport) as bind:
        if process:
            with _process(bind) as endpoints:
                yield endpoints
        else:
            with Broker(bind) as broker:
                yield broker.endpoints


@contextmanager
def _somewhere(transport: str) -> Iterator[Endpoints]:
    """Where to bind; base port 0 lets the broker pick."""
    if transport == "ipc":
        with TemporaryDirectory(prefix="roc-") as directory:
            yield Endpoints(os.path.join(directory, "broker"), 0, transport)
    elif transport == "inproc":
        yield Endpoints(f"broker-{uuid.uuid4().hex}", 0, transport)
    else:
        yield Endpoints("127.0.0.1", 0, transport)


@contextmanager
def _process(bind: Endpoints) -> Iterator[Endpoints]:
    if bind.transport == "inproc":
        raise ConfigError("inproc reaches no other process: leave out process=True, or use 'tcp'.")
    argv = [sys.executable, "-m", "runmacs.roc.cli.rocbroker", "--config", os.devnull]
    argv += ["--bind", bind.brokerAddress, "--base-port", "0", "--transport", bind.transport]
    argv += ["--log-level", "warning"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("ROC_")}
    with subprocess.Popen(
        argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, encoding="utf-8"
    ) as child:
        try:
            yield _ready(child)
        finally:
            trouble = _end(child)
        if trouble:
            raise RuntimeError(f"The broker of this test {trouble}.")


def _ready(child: subprocess.Popen[str]) -> Endpoints:
    """Wait for the line that says where it listens."""
    assert child.stdout is not None
    watchdog = threading.Timer(_STARTS_WITHIN, child.kill)
    watchdog.start()
    try:
        line = child.stdout.readline()
    finally:
        watchdog.cancel()
        watchdog.join()
    _, found, addresses = line.partition("rocbroker ready rocBroker=")
    if not found:
        raise RuntimeError("The broker of this test did not start; stderr says why.")
    return parse_endpoints(addresses.partition(" generalXSUB=")[0])


def _end(child: subprocess.Popen[str]) -> str:
    """End it for certain; returns what was wrong with its end."""
    if child.poll() is not None:
        return f"ended by itself, with exit status {child.returncode}"
    child.terminate()
    try:
        child.wait(_ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return f"did not end within {_ENDS_WITHIN:g} s"
    except BaseException:  # Ctrl-C, while it ends
        child.kill()
        raise
    if child.returncode and os.name == "posix":
        return f"ended with exit status {child.returncode}"
    return ""
