"""Messages over the limit of 256 MiB: a clear error where they are made, and nothing breaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from callers import Calling
from processes import Child
from promptness import prompt
from runmacs.roc import RocClient, errors

MEGABYTES = 300


@pytest.fixture
def recorder(client: RocClient, server: Child) -> Any:
    """Half a minute for what is made of hundreds of megabytes."""
    return client.proxy("recorder", timeout=30)


def assert_unharmed(client: RocClient, server: Child, recorder: Any) -> None:
    """The next call works: no connection was dropped."""
    assert client.proxy("recorder", timeout=5.0).echo("next") == "next"
    stats = client["roc.broker"].stats()
    with prompt():  # a standstill of 1.5 s looks like a loss
        assert stats["servers_lost"] == stats["calls_lost"] == 0
    assert server.returncode is None
    with prompt():
        assert server.stderr == ""


@pytest.mark.parametrize("method", ["block", "text"])
def test_result(client: RocClient, server: Child, recorder: Any, method: str) -> None:
    """It was executed: only its result cannot come back."""
    with pytest.raises(errors.TooLarge) as caught:
        getattr(recorder, method)(MEGABYTES)
    assert caught.value.executed is True
    message = str(caught.value)
    assert f"recorder.{method} was executed" in message
    assert "300 MB" in message
    assert "268 MB" in message
    assert_unharmed(client, server, recorder)


def test_argument(client: RocClient, server: Child, recorder: Any) -> None:
    """Refused before anything is sent."""
    method = recorder.size
    with pytest.raises(errors.TooLarge) as caught:
        method(bytes(MEGABYTES * 1_000_000))
    assert caught.value.executed is False
    message = str(caught.value)
    assert "recorder.size" in message
    assert "300 MB" in message
    assert "268 MB" in message
    assert_unharmed(client, server, recorder)


def test_argument_of_text(client: RocClient, server: Child, recorder: Any) -> None:
    method = recorder.size
    with pytest.raises(errors.TooLarge) as caught:
        method("x" * (MEGABYTES * 1_000_000))
    assert caught.value.executed is False
    assert_unharmed(client, server, recorder)


def test_attribute(client: RocClient, server: Child, recorder: Any) -> None:
    with pytest.raises(errors.TooLarge, match=r"recorder\.pid"):
        recorder.pid = bytes(MEGABYTES * 1_000_000)
    assert recorder.pid == server.pid


def test_exception_with_a_huge_message(client: RocClient, server: Child, recorder: Any) -> None:
    """Its beginning says enough."""
    with pytest.raises(ValueError, match="xxxxxxxx") as caught:
        recorder.complain(MEGABYTES)
    assert len(str(caught.value)) < 1_000_000
    assert_unharmed(client, server, recorder)


def test_what_is_just_within_the_limit_goes_through(
    client: RocClient, server: Child, recorder: Any
) -> None:
    assert len(recorder.block(250)) == 250_000_000
    assert recorder.size(bytes(250_000_000)) == 250_000_000
    assert_unharmed(client, server, recorder)


def test_other_clients_do_not_notice(
    client: RocClient, server: Child, serve_recorder: Callable[..., Child], recorder: Any
) -> None:
    """While one object makes its 300 MB, another one's calls go on."""
    serve_recorder("other", name="other")
    other = client.wait_for("other")
    method = recorder.block
    large = Calling(method, MEGABYTES)
    for number in range(100):
        assert other.echo(number) == number
    assert isinstance(large.wait().error, errors.TooLarge)
